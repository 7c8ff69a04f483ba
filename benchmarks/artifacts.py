"""The size of what is deployed, as `sam build` makes it: each function and the layer."""

import io
import zipfile
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks import built

# The earliest that a zip can hold: what is packed has the same bytes whenever it is packed.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def measure(progress: Progress) -> list[dict[str, Any]]:
    """Return the sizes of every function and layer, zipped as Lambda gets them, and unzipped."""
    resources = built.resources()
    task = progress.add_task("Sizes of the artifacts", total=len(resources))
    rows = []
    for name, resource in resources.items():
        directory = built.directory(name)
        rows.append(
            {
                "name": name,
                "kind": "layer" if resource["Type"] == built.LAYER else "function",
                "zipped_bytes": len(zipped(directory)),
                "unzipped_bytes": sum(each.stat().st_size for each in files(directory)),
            }
        )
        progress.advance(task)
    return rows


def zipped(directory: Path) -> bytes:
    """Return a directory as a zip; the same files give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files(directory):
            entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def files(directory: Path) -> list[Path]:
    """Return all files below a directory, always in the same order."""
    return sorted(path for path in directory.rglob("*") if path.is_file())
