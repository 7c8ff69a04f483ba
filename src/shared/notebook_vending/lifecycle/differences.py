"""Compare a notebook with the requested one. Calls no AWS service."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace

from notebook_vending import environment
from notebook_vending.aws.ec2 import Place
from notebook_vending.lifecycle.decision import Settings
from notebook_vending.notebooks.notebook import (
    EXPIRES_TAG,
    OFF_HOURS_TAG,
    Notebook,
    NotebookSpec,
    expiry_date,
    expiry_tags,
    keys_alike,
    off_hours_tags,
    ownership_tags,
)
from notebook_vending.requests.entry import Entry
from notebook_vending.requests.request_order import RequestInOrder

# What UpdateNotebookInstance has no parameter for.
_FIXED = ("Subnet", "SecurityGroupName", "KmsKeyId")


def wanted_tags(entry: Entry) -> dict[str, str]:
    """Return the tags that the notebook must have, including the platform's."""
    ours = ownership_tags(environment.text("PLATFORM"), entry.stack_id, entry.logical_resource_id)
    spec = wanted_spec(entry)
    return {**spec.Tags, **ours, **expiry_tags(spec, entry.issued_at), **off_hours_tags(spec)}


def tag_changes(entry: Entry, notebook: Notebook) -> tuple[dict[str, str], list[str]]:
    """Return the tags that the notebook lacks, and the keys of the tags that it must lose.

    A repair keeps the expiry date, which an operator may have postponed. Otherwise a repair would
    end a launch earlier or later than its launcher knows.
    """
    wanted, dropped = wanted_tags(entry), (*entry.dropped_tags, EXPIRES_TAG, OFF_HOURS_TAG)
    if entry.repairs and EXPIRES_TAG in wanted and expiry_date(notebook.tags):
        wanted[EXPIRES_TAG] = notebook.tags[EXPIRES_TAG]
    return tags_to_change(wanted, notebook.tags, dropped)


def left_alone(entry: Entry, notebook: Notebook) -> list[str]:
    """Return a sentence for each setting that keeps its value, as the new one is not allowed."""
    spec = entry.spec
    if spec is None:
        return []
    found = {
        "NotebookInstanceType": (notebook.instance_type, spec.instance_types),
        "RootAccess": (notebook.root_access, (spec.RootAccess,)),
        "PlatformIdentifier": (notebook.platform_identifier, (spec.PlatformIdentifier,)),
    }
    return [
        f"{name} stays {value}: {entry.not_allowed[name].removeprefix(name).strip()}."
        for name, (value, asked) in found.items()
        if name in entry.not_allowed and value not in asked
    ]


def wanted_spec(entry: Entry) -> NotebookSpec:
    """Return the requested notebook; raises LookupError for a request that asks for none."""
    if entry.spec is None:
        raise LookupError(f"{entry.request_type} {entry.request_id} asks for no notebook.")
    return entry.spec


def compare(entry: Entry, notebook: Notebook, instance_type: str) -> Settings:
    """Return how a notebook compares with a request that would use this instance type."""
    if entry.spec is None:
        return Settings.AS_ASKED
    spec = replace(entry.spec, NotebookInstanceType=instance_type)
    if settings_to_change(spec, notebook, entry.not_allowed):
        return Settings.DIFFER
    add, remove = tag_changes(entry, notebook)
    return Settings.TAGS_DIFFER if add or remove else Settings.AS_ASKED


def cannot_change(
    request: RequestInOrder, notebook: Notebook, find_place: Callable[[NotebookSpec], Place]
) -> tuple[str, ...]:
    """Return a sentence for each setting that differs and that SageMaker cannot change in place.

    `find_place` is asked only where the request changes the place.
    """
    spec, cannot = request.entry.spec, []
    if spec is None or not _is_in_place(request):
        return ()
    if moved := [name for name in _FIXED if not request.keeps(name)]:
        place = find_place(spec)
        found = {
            "Subnet": notebook.subnet_id == place.subnet_id,
            "SecurityGroupName": notebook.security_group_ids == (place.security_group_id,),
            "KmsKeyId": notebook.kms_key_id == spec.KmsKeyId,
        }
        cannot += [_fixed(name) for name in moved if not found[name]]
    # A volume that a failed update has grown keeps its size when CloudFormation rolls back. A later
    # update that does not change VolumeSizeInGB ignores the difference.
    shrinks = spec.VolumeSizeInGB < notebook.volume_size_in_gb
    if shrinks and not request.keeps("VolumeSizeInGB"):
        cannot.append(
            f"VolumeSizeInGB can only grow: ask for {notebook.volume_size_in_gb} GB or more."
        )
    add, remove = tag_changes(request.entry, notebook)
    cannot += [
        f"AWS rejects tag keys that differ only by case: the template's Tags have "
        f"{' and '.join(repr(key) for key in alike if key in add)}, and the notebook has "
        f"{' and '.join(repr(key) for key in alike if key not in add)} (launch tag or TagOption). "
        "Use only one of them."
        for alike in keys_alike({*add, *notebook.tags} - set(remove))
        if any(key in add and key not in notebook.tags for key in alike)
    ]
    return tuple(cannot)


def cannot_move(request: RequestInOrder) -> tuple[str, ...]:
    """Return a sentence for each fixed setting that an Update changes of a deleted notebook.

    The Update could create the notebook with it. But if the Update fails later, its rollback would
    find a notebook whose settings nothing can restore. A failed Create has settled nothing.
    """
    if not request.settled or not _is_in_place(request):
        return ()
    return tuple(_fixed(name) for name in _FIXED if not request.keeps(name))


def _is_in_place(request: RequestInOrder) -> bool:
    """Return whether a request is for the notebook of the last successful one."""
    entry = request.entry
    back = request.renamed_from.lower() == entry.notebook_name.lower()
    return entry.request_type == "Update" and (back or not entry.replaces)


def _fixed(name: str) -> str:
    return (
        f"{name} of a notebook cannot be changed. Restore the old value, or enter a new "
        "NotebookInstanceName and set AllowReplacement to YES (the data on the old volume is "
        "lost)."
    )


def settings_to_change(
    spec: NotebookSpec, notebook: Notebook, not_allowed: Container[str] = ()
) -> dict[str, str | int]:
    """Return what UpdateNotebookInstance must set, by its own parameter names.

    A smaller volume than the present one is not in it: SageMaker only grows a volume
    (UpdateNotebookInstance, VolumeSizeInGB). Nor is a setting that is `not_allowed`: a notebook
    that has it keeps it, and none gets it. The instance type is chosen before, from those allowed.
    """
    asked: dict[str, str | int] = {
        "InstanceType": spec.NotebookInstanceType,
        "RoleArn": spec.RoleArn,
        "RootAccess": spec.RootAccess,
        "PlatformIdentifier": spec.PlatformIdentifier,
        "VolumeSizeInGB": max(spec.VolumeSizeInGB, notebook.volume_size_in_gb),
        "LifecycleConfigName": spec.LifecycleConfigName,
        "MinimumInstanceMetadataServiceVersion": "2",
    }
    found = settings_of(notebook)
    return {
        name: wanted
        for name, wanted in asked.items()
        if wanted != found[name] and name not in not_allowed
    }


def settings_of(notebook: Notebook) -> dict[str, str | int]:
    """Return a notebook's settings by the parameter names of UpdateNotebookInstance."""
    return {
        "InstanceType": notebook.instance_type,
        "RoleArn": notebook.role_arn,
        "RootAccess": notebook.root_access,
        "PlatformIdentifier": notebook.platform_identifier,
        "VolumeSizeInGB": notebook.volume_size_in_gb,
        "LifecycleConfigName": notebook.lifecycle_config_name,
        "MinimumInstanceMetadataServiceVersion": notebook.minimum_metadata_version,
    }


def tags_to_change(
    wanted: Mapping[str, str], present: Mapping[str, str], dropped: Iterable[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the tags to add and the tag keys to remove.

    `dropped` are the keys that the previous request asked for and this one does not. Other tags
    stay, as CloudFormation leaves them on the resources that it creates.
    """
    add = {key: value for key, value in wanted.items() if present.get(key) != value}
    return add, sorted(set(dropped) & set(present) - set(wanted))
