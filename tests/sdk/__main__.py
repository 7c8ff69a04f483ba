"""Runs the examples of both SDKs, and writes the table of examples/README.md."""

import sys
import tempfile
from pathlib import Path

from tests.sdk import table


def main() -> None:
    """Run both, write both pages."""
    runs = {}
    for sdk in (2, 3):
        with tempfile.TemporaryDirectory() as folder:
            runs[sdk] = table.run(sdk, Path(folder))
    for page, language in table.pages().items():
        before, _, rest = page.read_text().partition(table.BEGIN)
        after = rest.partition(table.END)[2]
        written = table.table(runs, language)
        page.write_text(before + table.BEGIN + written + table.END + after)
        sys.stdout.write(f"{page.name}\n{written}\n")


if __name__ == "__main__":
    main()
