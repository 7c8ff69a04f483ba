"""Write docstrings and the descriptions of templates as pages, for textlint, which reads neither.

.venv/bin/python tools/prose.py TARGET FILE …

TARGET/FILE.md has each text at the line where FILE has it, or where its paragraph begins.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of a Python module, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text is not None:
                yield node.body[0].lineno, inspect.cleandoc(text)


def descriptions(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Yield what a template has under Description, AlarmDescription and the like, as items."""
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                if str(key.value).endswith("Description") and isinstance(value, yaml.ScalarNode):
                    yield value.start_mark.line + 1, f"- {value.value}"
                yield from descriptions(value)
        case yaml.SequenceNode():
            for each in node.value:
                yield from descriptions(each)


def page(path: Path) -> str:
    """Return a file's texts, with wrapped lines joined: the rules take a line's end for a stop."""
    source = path.read_text()
    texts = docstrings(source) if path.suffix == ".py" else descriptions(yaml.compose(source))
    lines = [""] * (source.count("\n") + 2)
    for first, text in texts:
        at = first - 1
        for number, line in enumerate(text.splitlines(), first - 1):
            if line[:1] not in ("", " ", "-", "*", "|") and lines[at]:
                lines[at] += f" {line}"
            else:
                at = number
                lines[at] = line
    return "\n".join(lines)


def main(target: Path, paths: list[Path]) -> None:
    """Write a page for each file."""
    for path in paths:
        written = target / f"{path}.md"
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(page(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
