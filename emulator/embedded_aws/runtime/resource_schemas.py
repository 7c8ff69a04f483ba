"""CloudFormation's resource schemas, as the locked cfn-lint brings them.

A schema says which permissions the handlers of a resource type need, which attributes Fn::GetAtt
gives, and what Ref gives. The files are read directly. Importing cfn-lint takes a second, and it
would prefer newer schemas from the user's cache.
"""

import functools
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The handlers of a resource type, in the order in which a stack operation may need them.
HANDLERS = ("create", "read", "update", "delete", "list")
REGION = "us-east-1"  # where every type is


@functools.cache
def package_data() -> Path:
    """Return the folder of cfn-lint's data."""
    found = importlib.util.find_spec("cfnlint")
    assert found, "cfn-lint is not installed: run make, which sets up .venv"
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "data"


@functools.cache
def schema(resource_type: str) -> Mapping[str, Any]:
    """Return the schema of a resource type.

    Raises:
        KeyError: there is no such type in CloudFormation's registry.

    """
    schemas = package_data() / "schemas"
    files: dict[str, str] = _read(schemas / "providers" / f"{REGION}.json")
    found: dict[str, Any] = _read(schemas / "resources" / f"{files[resource_type]}.json")
    return found


@functools.cache
def date() -> str:
    """Return when the schemas were published."""
    return str(_read(package_data() / "schemas" / "version.json")["schema_date"])


def permissions(resource_type: str, handler: str) -> tuple[str, ...]:
    """Return what a handler of a type may call; `tagging` stands for all that tags need."""
    known = schema(resource_type)
    part = known.get("tagging") if handler == "tagging" else known.get("handlers", {}).get(handler)
    return tuple(sorted((part or {}).get("permissions", ())))


def attributes(resource_type: str) -> frozenset[str]:
    """Return the attributes that Fn::GetAtt gives: the read-only properties."""
    return frozenset(map(_attribute, schema(resource_type).get("readOnlyProperties", ())))


def identifier(resource_type: str) -> tuple[str, ...]:
    """Return the attributes that make up the primary identifier, which Ref gives."""
    return tuple(map(_attribute, schema(resource_type)["primaryIdentifier"]))


def _attribute(pointer: str) -> str:
    """Return the attribute of a pointer: Endpoint.Address of /properties/Endpoint/Address."""
    return ".".join(pointer.split("/")[2:])


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
