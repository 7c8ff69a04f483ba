"""The embedded AWS works with any Service Catalog product and does not refer to this one."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EMULATOR = ROOT / "emulator"
OURS = re.compile(
    r"vending|\bSCEnd|ProSM"
    r"|\b(src|stacks|statemachine|demo|rehearsal|permissions_proof|docs|benchmarks)/",
    re.IGNORECASE,
)


def test_no_file_of_the_emulator_names_this_platform_or_its_folders() -> None:
    files = [path for kind in ("py", "md", "toml", "in") for path in EMULATOR.rglob(f"*.{kind}")]
    named = {
        f"{path.relative_to(ROOT)}:{number}": line
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if OURS.search(line)
    }

    assert len(files) > 100
    assert named == {}


def test_every_correction_has_a_row_and_tests_that_exist() -> None:
    text = (EMULATOR / "CORRECTIONS.md").read_text()
    modules = {path.stem for path in (EMULATOR / "embedded_aws/ministack_fixes").glob("[!_]*.py")}
    cells = re.findall(r"^(?:\| (`.+?) \||(`\w+`) records )", text, re.MULTILINE)
    described = {name for row in cells for name in re.findall(r"`(\w+)`", "".join(row))}

    assert described == modules
    for path in re.findall(r"`(tests/\w+\.py)`", text):
        assert (EMULATOR / path).exists(), path
