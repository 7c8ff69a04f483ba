"""Runs the examples of both SDKs and writes the table of examples/README.md."""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.sdk import table


def main() -> None:
    """Run both SDKs and write both pages."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        begun = {sdk: pool.submit(table.run, sdk, _made(Path(folder, str(sdk)))) for sdk in (2, 3)}
        runs = {sdk: each.result() for sdk, each in begun.items()}
    for page, language in table.pages().items():
        before, _, rest = page.read_text().partition(table.BEGIN)
        after = rest.partition(table.END)[2]
        written = table.table(runs, language)
        page.write_text(before + table.BEGIN + written + table.END + after)
        sys.stdout.write(f"{page.name}\n{written}\n")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
