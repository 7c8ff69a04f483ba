"""Cut botocore's data, in an installed layer, to what the functions call.

python3 -B requirements/botocore_data.py LAYER SOURCE

LAYER is the folder that botocore is installed in, SOURCE the folder of the functions' code. The
code alone says what stays: the services of `boto3.client("…")`, and of each service the operations
that its module names, with their shapes. botocore reads all of a service's model to make its
client, and most of a model is operations that no function calls, and documentation.
"""

import ast
import gzip
import json
import shutil
import sys
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any


def named(source: Path) -> dict[str, set[str]]:
    """Return the services that the code makes clients of, each with what may be an operation.

    Those are all attributes and texts of the modules that make or call the client. A module whose
    client others call has the service's name.
    """
    trees = [ast.parse(path.read_text()) for path in sorted(source.rglob("*.py"))]
    made = {id(tree): {*_made(tree)} for tree in trees}
    found: dict[str, set[str]] = {each: set() for services in made.values() for each in services}
    for tree in trees:
        code = ast.unparse(tree)
        for service, names in found.items():
            if service in made[id(tree)] or f"{service}.client()" in code:
                names |= {*_names(tree)}
    return found


def cut(model: dict[str, Any], called: Set[str]) -> dict[str, Any]:
    """Return a service's model with these operations alone, without their documentation."""
    operations = {name: each for name, each in model["operations"].items() if name in called}
    shapes: dict[str, Any] = {}
    left = [*_shapes_in(operations)]
    while left:
        name = left.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            left += _shapes_in(shapes[name])
    # botocore reads the documentation of S3's `clientContextParams` with the first call.
    return {**model, "operations": _undocumented(operations), "shapes": _undocumented(shapes)}


def main() -> None:
    """Cut the data in place."""
    layer, source = Path(sys.argv[1]), Path(sys.argv[2])
    sys.path.insert(0, str(layer))
    from botocore import xform_name  # the layer's own

    data, used, prefixes = layer / "botocore" / "data", named(source), set()
    for folder in sorted(each for each in data.iterdir() if each.is_dir()):
        if folder.name not in used:
            shutil.rmtree(folder)
            continue
        *older, version = sorted(folder.iterdir())  # boto3 uses the newest
        for each in older:
            shutil.rmtree(each)
        (version / "examples-1.json").unlink(missing_ok=True)
        packed = version / "service-2.json.gz"
        model = json.loads(gzip.decompress(packed.read_bytes()))
        prefixes.add(model["metadata"]["endpointPrefix"])
        called = {each for each in model["operations"] if xform_name(each) in used[folder.name]}
        _write(packed.with_suffix(""), cut(model, called))
        packed.unlink()
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        services = partition["services"].items()
        partition["services"] = {name: each for name, each in services if name in prefixes}
    _write(data / "endpoints.json", endpoints)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")))


def _made(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "boto3.client":
            yield ast.literal_eval(node.args[0])


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=str(name)) | ast.Constant(value=str(name)):
                yield name


def _shapes_in(part: Any) -> Iterator[str]:
    """Yield the shapes that a part of a model refers to."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _shapes_in(value)
    elif isinstance(part, list):
        for each in part:
            yield from _shapes_in(each)


def _undocumented(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: _undocumented(value)
            for key, value in part.items()
            if not (key == "documentation" and isinstance(value, str))
        }
    return [_undocumented(each) for each in part] if isinstance(part, list) else part


if __name__ == "__main__":
    main()
