"""The Service Authorization Reference in the locked cfn-lint."""

import functools
import json
from typing import Any

from embedded_aws.runtime.resource_schemas import package_data


@functools.cache
def _data() -> dict[str, Any]:
    text = (package_data() / "AdditionalSpecs" / "Policies.json").read_text()
    data: dict[str, Any] = json.loads(text)
    return data


def is_action(action: str) -> bool:
    """Return whether IAM has an action of that name."""
    service, name = action.split(":")
    return name.lower() in _data().get(service, {}).get("Actions", {})


def resource_kinds(action: str) -> dict[str, list[str]]:
    """Return the resource types of an action, each with its ARN formats."""
    known = _data()[action.partition(":")[0]]
    return {kind: known["Resources"].get(kind, {}).get("ARNFormats", []) for kind in _kinds(action)}


def _kinds(action: str) -> list[str]:
    service, name = action.split(":")
    kinds: list[str] = _data()[service]["Actions"][name.lower()].get("Resources", [])
    # The Service Authorization Reference lists both, cfn-lint's data only one.
    return [*kinds, *(["model-package-group"] if name == "CreateModelPackage" else [])]


def resource_condition_keys(action: str) -> set[str]:
    """Return the condition keys of an action's resource types, without tag keys after the slash."""
    known = _data()[action.partition(":")[0]]["Resources"]
    return {
        key.partition("/")[0]
        for kind in _kinds(action)
        for key in known.get(kind, {}).get("ConditionKeys", [])
    }
