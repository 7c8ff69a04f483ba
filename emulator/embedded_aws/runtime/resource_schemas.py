"""CloudFormation's resource schemas in the locked cfn-lint.

A schema lists the permissions of a resource type's handlers, the attributes for Fn::GetAtt and the
value of Ref. The files are read directly, because importing cfn-lint takes a second and prefers
newer schemas from the user's cache.
"""

import functools
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The handlers of a resource type, in the order in which a stack operation may need them.
HANDLERS = ("create", "read", "update", "delete", "list")
REGION = "us-east-1"  # has every type


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
        KeyError: CloudFormation's registry does not have the type.

    """
    schemas = package_data() / "schemas"
    files: dict[str, str] = _read(schemas / "providers" / f"{REGION}.json")
    found: dict[str, Any] = _read(schemas / "resources" / f"{files[resource_type]}.json")
    return found


@functools.cache
def date() -> str:
    """Return the publication date of the schemas."""
    return str(_read(package_data() / "schemas" / "version.json")["schema_date"])


def permissions(resource_type: str, handler: str) -> tuple[str, ...]:
    """Return the permissions of a type's handler; `tagging` has those for tags."""
    known = schema(resource_type)
    part = known.get("tagging") if handler == "tagging" else known.get("handlers", {}).get(handler)
    return tuple(sorted((part or {}).get("permissions", ())))


def attributes(resource_type: str) -> frozenset[str]:
    """Return the attributes for Fn::GetAtt, which are the read-only properties."""
    return frozenset(map(_attribute, schema(resource_type).get("readOnlyProperties", ())))


def identifier(resource_type: str) -> tuple[str, ...]:
    """Return the attributes of the primary identifier, which Ref returns."""
    return tuple(map(_attribute, schema(resource_type)["primaryIdentifier"]))


def _attribute(pointer: str) -> str:
    """Return the attribute of a pointer: Endpoint.Address for /properties/Endpoint/Address."""
    return ".".join(pointer.split("/")[2:])


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
