"""Write the pictures in `docs/images/`, none of which is drawn manually.

python -m demo.pictures            all of them
python -m demo.pictures lifecycle  one; an unknown name lists the known ones

The state machine's picture comes from its definition. The terminals show the output of `make
launch` on the embedded AWS, which takes a minute for each on an idle machine. If a run fails, its
pictures stay as they were.
"""

import argparse
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from demo import deploy
from demo.faults import FAULTS
from demo.progress import Progress
from demo.run import run
from demo.story import tell
from vending.drawing import draw

DEFINITION = deploy.ROOT / "statemachine" / "notebook_lifecycle.asl.json"
IMAGES = deploy.ROOT / "docs" / "images"
_COLUMNS = 112  # of the terminals: what fits a page

# A picture in a page loads nothing: without rich's fonts the reader's own is taken.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
_THEME = TerminalTheme(
    background=(0x16, 0x1B, 0x22),
    foreground=(0xE6, 0xED, 0xF3),
    normal=[
        *((0x48, 0x4F, 0x58), (0xFF, 0x7B, 0x72), (0x7E, 0xE7, 0x87), (0xE3, 0xB3, 0x41)),
        *((0x79, 0xC0, 0xFF), (0xD2, 0xA8, 0xFF), (0x76, 0xE3, 0xEA), (0xE6, 0xED, 0xF3)),
    ],
)


@dataclass(frozen=True)
class Terminal:
    """A picture of the output of `make launch`."""

    fault: str
    """What goes wrong, as `make launch FAULT=…` names it; "" is nothing."""
    whole: bool
    """Whether all of it is shown, or the launches alone."""

    @property
    def command(self) -> str:
        """The command that the reader types for it."""
        return f"make launch FAULT={self.fault}" if self.fault else "make launch"


TERMINALS: Mapping[str, Terminal] = {
    "make-launch": Terminal("", whole=True),
    "launched": Terminal("", whole=False),
    "refused": Terminal("name-taken", whole=False),
    "fallback": Terminal("capacity", whole=False),
}
EVERY = ("lifecycle", *TERMINALS)


def lifecycle() -> str:
    """Return the state machine's picture, from its definition."""
    return draw(json.loads(DEFINITION.read_text())) + "\n"


def say(fault: str) -> list[str]:
    """Run `make launch`; return the lines of its output, as a terminal gets them.

    Raises SystemExit with the output if the run failed.
    """
    said = io.StringIO()
    # A terminal that is called dumb has no last line that rich paints again and again.
    console = Console(
        file=said,
        force_terminal=True,
        color_system="standard",
        width=_COLUMNS,
        height=50,
        highlight=False,
        _environ={"TERM": "dumb"},
    )
    if run("launch", partial(tell, FAULTS[fault] if fault else None), Progress(console)):
        raise SystemExit(said.getvalue())
    return said.getvalue().splitlines()


def launches(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the steps in which a user launches; dots stand for the others."""
    shown, left_out = False, False
    for line in lines:
        plain = Text.from_ansi(line).plain
        if re.match(r"\d+\. ", plain):
            shown = "launches the product" in plain
        if shown and left_out:
            yield "…"
        if shown:
            yield line
        left_out = not shown
    if left_out:
        yield "…"


def draw_terminal(command: str, lines: Sequence[str]) -> str:
    """Return a picture of a terminal: a command, and its output in colour."""
    shown = Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
        width=_COLUMNS,
        highlight=False,
        record=True,
    )
    shown.print(Text(f"$ {command}", style="bold"))
    for line in lines:
        # Dim letters are hard to read in a picture that is scaled to fit a page.
        shown.print(Text.from_ansi(re.sub(r"\x1b\[2(;|m)", "\x1b[0\\1", line.rstrip())))
    name = re.sub(r"\W", "-", command)
    svg = shown.export_svg(title=command, theme=_THEME, code_format=_FORMAT, unique_id=name)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def write(names: Sequence[str]) -> Iterator[Path]:
    """Write these pictures; yield the path of each. A run is made once for all that show it."""
    said: dict[str, list[str]] = {}
    for name in names:
        if name == "lifecycle":
            svg = lifecycle()
        else:
            shown = TERMINALS[name]
            if shown.fault not in said:
                said[shown.fault] = say(shown.fault)
            lines = said[shown.fault]
            svg = draw_terminal(shown.command, lines if shown.whole else [*launches(lines)])
        path = IMAGES / f"{name}.svg"
        path.write_text(svg)
        yield path


def main() -> None:
    """Write the pictures that the command line names, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help=f"of {', '.join(EVERY)}")
    names = parser.parse_args().name or EVERY
    if unknown := [name for name in names if name not in EVERY]:
        parser.error(f"there is no picture {', '.join(unknown)}; there are {', '.join(EVERY)}")
    for path in write(names):
        print(f"pictures: {path.relative_to(deploy.ROOT)}")


if __name__ == "__main__":
    main()
