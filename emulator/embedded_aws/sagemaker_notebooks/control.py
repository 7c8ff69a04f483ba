"""The simulator's control: its state and settings as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.faults import CallFault, Faults
from embedded_aws.sagemaker_notebooks.instance import Notebook
from embedded_aws.sagemaker_notebooks.operations import NotebookOperations
from embedded_aws.sagemaker_notebooks.permissions import VOLUME_KEYS

# Settings that are attributes of Faults, with the conversions from JSON.
_FAULT_SETTINGS: dict[str, Callable[[Any], Any]] = {
    "quotas": dict,
    "no_capacity": set,
    "not_in_zone": dict,
    "updates_failed_notebooks": bool,
    "failing_lifecycle_configs": set,
    "failing_notebooks": dict,
    "calls_per_second": lambda value: value,
    "page_size": lambda value: value,
    "call_faults": lambda value: [CallFault(**fault) for fault in value],
}
SETTINGS = (
    "reset",
    "timing",
    "role_propagation",
    "volume_key_condition",
    "statuses",
    *_FAULT_SETTINGS,
)


def state(around: Surroundings, faults: Faults, notebooks: NotebookOperations) -> dict[str, Any]:
    """Return the state without lifecycle configurations, including internal attributes."""
    return {
        "time": around.clock(),
        "timing": asdict(around.timing),
        "role_propagation": around.role_propagation,
        "volume_key_condition": around.volume_key_condition,
        "quotas": faults.quotas,
        "no_capacity": sorted(faults.no_capacity),
        "not_in_zone": faults.not_in_zone,
        "updates_failed_notebooks": faults.updates_failed_notebooks,
        "failing_lifecycle_configs": sorted(faults.failing_lifecycle_configs),
        "failing_notebooks": faults.failing_notebooks,
        "calls_per_second": faults.calls_per_second,
        "page_size": faults.page_size,
        "call_faults": [asdict(fault) for fault in faults.call_faults],
        "calls": dict(faults.calls),
        "notebooks": [_notebook_state(notebook) for notebook in notebooks.by_arn.values()],
        "lingering_network_interfaces": notebooks.lingering_interfaces(),
    }


def configure(
    around: Surroundings,
    faults: Faults,
    force_status: Callable[..., None],
    settings: Mapping[str, Any],
) -> None:
    """Change the settings given and leave the others.

    `reset` (true) first removes all faults and counts, and restores the default condition key of
    volume keys.
    `timing` holds seconds by the names of Timing. `statuses` maps a notebook's name to a status or
    to the arguments of `NotebookService.force_status`. `volume_key_condition` is one of
    VOLUME_KEYS. The others are those of Faults; `call_faults` are objects with the members of
    CallFault.

    Raises ValueError for an unknown setting or condition key.
    """
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise ValueError(f"unknown settings {unknown}; there are {sorted(SETTINGS)}")
    unchanged = VOLUME_KEYS[0] if settings.get("reset") else around.volume_key_condition
    volume_key = settings.get("volume_key_condition", unchanged)
    if volume_key not in VOLUME_KEYS:
        raise ValueError(f"volume_key_condition is one of {VOLUME_KEYS}, not {volume_key!r}")
    if settings.get("reset"):
        _reset(faults)
    try:
        if "timing" in settings:
            around.timing = replace(around.timing, **settings["timing"])
        for name, kept_as in _FAULT_SETTINGS.items():
            if name in settings:
                setattr(faults, name, kept_as(settings[name]))
        for name, wanted in settings.get("statuses", {}).items():
            arguments = {"status": wanted} if isinstance(wanted, str) else wanted
            force_status(name, **arguments)
    except TypeError as error:
        raise ValueError(str(error)) from error
    around.volume_key_condition = volume_key
    if "role_propagation" in settings:
        around.role_propagation = settings["role_propagation"]


def _reset(faults: Faults) -> None:
    fresh = Faults()
    for member in fields(Faults):
        setattr(faults, member.name, getattr(fresh, member.name))


def _notebook_state(notebook: Notebook) -> dict[str, Any]:
    return {
        "name": notebook.name,
        "arn": notebook.arn,
        "status": notebook.status,
        "failure_reason": notebook.failure_reason,
        "next": asdict(notebook.next) if notebook.next else None,
        "instance_type": notebook.settings["InstanceType"],
        "volume_id": notebook.volume_id,
        "volume_size_gb": notebook.settings["VolumeSizeInGB"],
        "network_interface_id": notebook.network_interface_id,
        "key_arn": notebook.key_arn,
        "grant_id": notebook.grant_id,
        "tags": dict(notebook.tags),
    }
