"""Rules for drift: what a notebook must be, and how it differs. Calls no AWS service.

A notebook is compared with its last successful request, as an update would compare it
(`lifecycle.differences`), and with today's limits. A setting that a failed request after that one
asked for is no difference. The platform may have set it, and the stack's status shows the failure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from notebook_vending.housekeeping.drift_record import TAGS, Difference, Kind, Record
from notebook_vending.lifecycle.differences import (
    settings_of,
    settings_to_change,
    tags_to_change,
    wanted_spec,
    wanted_tags,
)
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import (
    EXPIRES_TAG,
    LAUNCHED_BY_TAG,
    LOGICAL_RESOURCE_TAG,
    OFF_HOURS_TAG,
    PROJECT_TAG,
    PROVISIONED_PRODUCT_TAG,
    REQUEST_TAG,
    STACK_TAG,
    Notebook,
    NotebookSpec,
    expiry_date,
)
from notebook_vending.requests.entry import Entry

# The product's names of what UpdateNotebookInstance names differently.
_NAMES = {"InstanceType": "NotebookInstanceType"}
# UpdateNotebookInstance has no parameter for these: another notebook has taken the name.
_NEVER_CHANGED = ("Notebook", "KmsKeyId", "Subnet", "SecurityGroupName", "DirectInternetAccess")
# The platform's tags that no request asks for again: the Create gave them.
_GIVEN_ONCE = (REQUEST_TAG, LAUNCHED_BY_TAG, PROVISIONED_PRODUCT_TAG)
# Requests ask for these, so a notebook without a known request must keep them.
_ASKED_OR_NOT = (PROJECT_TAG, EXPIRES_TAG)
_CLOCKS_APART = timedelta(minutes=5)
NOTEBOOK = "Notebook"  # the setting of a notebook that is gone, or another one under its name


@dataclass(frozen=True)
class Asked:
    """The requests that a notebook is compared with."""

    entries: tuple[Entry, ...]
    """The last successful request, then the failed ones after it."""
    largest_volume: int


def asked_of(requests: Sequence[Entry], name: str, before: Sequence[Entry]) -> Asked | None:
    """Return what the requests for a resource, in order, ask of the notebook of this name.

    `before` are those that an earlier check found, in case the ledger no longer has them. Returns
    None if no request succeeded, or if the notebook is no longer the resource's. In the latter
    case, the last successful request or a later one names another notebook or deletes this one.
    """
    kept = {each.request_id for each in requests}
    # A record has the request before a repair at its end.
    earlier = sorted(before, key=lambda each: each.issued_at)
    known = [*(each for each in earlier if each.request_id not in kept), *requests]
    done = [n for n, each in enumerate(known) if each.outcome == "SUCCESS" and each.spec]
    if not done:
        return None
    since = known[done[-1] :]
    for each in since:
        of_it = each.notebook_name.lower() == name.lower()
        if of_it is (each.request_type == "Delete"):
            return None
    if since[0].repairs:  # it keeps the expiry date of the request before it
        done_before = (known[n] for n in reversed(done[:-1]))
        since += [each for each in done_before if not each.repairs][:1]
    # Without the digests of properties, which no comparison needs.
    entries = tuple(replace(e, asked=None, asked_before=None) for e in since if e.spec)
    # A refused request has grown no volume.
    sizes = (
        e.spec.VolumeSizeInGB for e in known if e.spec and not _was_refused(e, "VolumeSizeInGB")
    )
    return Asked(entries, max(sizes))


def _was_refused(entry: Entry, setting: str) -> bool:
    return setting in entry.not_allowed and entry.outcome != "SUCCESS"


def as_found(notebook: Notebook) -> Asked:
    """Return what a notebook would have asked for, as the ledger no longer has its request."""
    spec = NotebookSpec(
        NotebookInstanceName=notebook.name,
        NotebookInstanceType=notebook.instance_type,
        RoleArn=notebook.role_arn,
        KmsKeyId=notebook.kms_key_id,
        Subnet=notebook.subnet_id,
        SecurityGroupName=",".join(notebook.security_group_ids),
        VolumeSizeInGB=notebook.volume_size_in_gb,
        RootAccess=notebook.root_access,
        DirectInternetAccess=notebook.direct_internet_access,
        PlatformIdentifier=notebook.platform_identifier,
        LifecycleConfigName=notebook.lifecycle_config_name,
        Tags={key: notebook.tags[key] for key in _ASKED_OR_NOT if key in notebook.tags},
    )
    entry = Entry(
        request_type="Create",
        request_id="",
        stack_id=notebook.tags.get(STACK_TAG, ""),
        logical_resource_id=notebook.tags.get(LOGICAL_RESOURCE_TAG, ""),
        physical_resource_id=notebook.name,
        notebook_name=notebook.name,
        role_arn=notebook.role_arn,
        issued_at=notebook.created_at,
        deadline=notebook.created_at,
        spec=spec,
        outcome="SUCCESS",
    )
    return Asked((entry,), notebook.volume_size_in_gb)


def differences(record: Record, limits: Limits, now: datetime) -> tuple[Difference, ...]:
    """Return how a record's notebook differs from what was asked, and from today's limits."""
    notebook, allowed = record.notebook, _not_allowed(record.notebook, limits)
    changed = {**_settings(record), **_fixed(record), **_tags(record)}
    found = {
        "NotebookInstanceType": notebook.instance_type,
        "VolumeSizeInGB": str(notebook.volume_size_in_gb),
        "RootAccess": notebook.root_access,
        "PlatformIdentifier": notebook.platform_identifier,
    }
    return (
        *(
            Difference(setting, Kind.CHANGED, asked, is_, allowed.get(setting, ""), now)
            for setting, (asked, is_) in changed.items()
        ),
        *(
            Difference(setting, Kind.NARROWER_NOW, found[setting], found[setting], only, now)
            for setting, only in allowed.items()
            if setting not in changed
        ),
    )


def gone(now: datetime) -> Difference:
    """Return the difference of a notebook that SageMaker no longer has."""
    return Difference(NOTEBOOK, Kind.GONE, "there", "deleted", "", now)


def carried_over(
    before: Iterable[Difference], now: Iterable[Difference]
) -> tuple[tuple[Difference, ...], list[Difference], list[Difference]]:
    """Return the differences of now with their history, those that are new, and those that ended.

    A difference that changes is a new one.
    """
    known = {(each.setting, each.kind, each.found): each for each in before}
    standing, new = [], []
    for each in now:
        earlier = known.pop((each.setting, each.kind, each.found), None)
        if earlier is None:
            new.append(each)
        else:
            each = replace(earlier, asked=each.asked, allowed=each.allowed)
        standing.append(each)
    return tuple(standing), new, list(known.values())


def _settings(record: Record) -> dict[str, tuple[str, str]]:
    """Return what an update of the launch would set: what was asked and what was found."""
    notebook, last = record.notebook, wanted_spec(record.asked[0])
    never_set = [_never_set(each, notebook) for each in record.asked[1:]]
    found = settings_of(notebook)
    changed = {
        _NAMES.get(name, name): (str(wanted), str(found[name]))
        for name, wanted in _update(record.asked[0], notebook).items()
        if all(name in each for each in never_set)
    }
    if "NotebookInstanceType" in changed:
        changed["NotebookInstanceType"] = (" or ".join(last.instance_types), notebook.instance_type)
    # An update asks for the larger size of both, so it does not show a volume that grew.
    if notebook.volume_size_in_gb > record.largest_volume:
        sizes = (str(last.VolumeSizeInGB), str(notebook.volume_size_in_gb))
        changed["VolumeSizeInGB"] = sizes
    return changed


def _update(entry: Entry, notebook: Notebook) -> dict[str, str | int]:
    """Return what an update by this request would set. Any of its instance types will do.

    If none of them is allowed, it keeps the type that it finds.
    """
    spec, present = wanted_spec(entry), notebook.instance_type
    none_allowed = bool(entry.not_allowed) and not entry.types_allowed
    if present in spec.instance_types or none_allowed:
        spec = replace(spec, NotebookInstanceType=present)
    return settings_to_change(spec, notebook, entry.not_allowed)


def _never_set(failed: Entry, notebook: Notebook) -> set[str]:
    """Return the settings that a failed request cannot have set, as SageMaker names them.

    It asked for other values, or for a value that is not allowed.
    """
    spec, present = wanted_spec(failed), notebook.instance_type
    allowed = failed.types_allowed if failed.not_allowed else spec.instance_types
    differ = settings_to_change(replace(spec, NotebookInstanceType=present), notebook)
    return {*differ, *failed.not_allowed, *(() if present in allowed else ("InstanceType",))}


def _fixed(record: Record) -> dict[str, tuple[str, str]]:
    """Return what differs of the settings that SageMaker never changes: another notebook has them.

    A Name tag may lead to another subnet or group by now, so a name stands for what the notebook
    had at first. SageMaker may show a key by its ARN or by its ID.
    """
    spec, first, notebook = wanted_spec(record.asked[0]), record.first, record.notebook
    key, subnet, group = spec.KmsKeyId, spec.Subnet, spec.SecurityGroupName
    at_first = ",".join(first.security_group_ids)
    settings = {
        "KmsKeyId": (first.kms_key_id if "alias/" in key else key, notebook.kms_key_id),
        "Subnet": (
            subnet if subnet.startswith("subnet-") else first.subnet_id,
            notebook.subnet_id,
        ),
        "SecurityGroupName": (
            group if group.startswith("sg-") else at_first,
            ",".join(notebook.security_group_ids),
        ),
        "DirectInternetAccess": (spec.DirectInternetAccess, notebook.direct_internet_access),
    }
    differ = {
        name: (asked, found)
        for name, (asked, found) in settings.items()
        if asked.rpartition("/")[2] != found.rpartition("/")[2]
    }
    # No request creates a notebook after its deadline.
    latest = max(each.deadline for each in record.asked) + _CLOCKS_APART
    created_at = notebook.created_at
    if created_at > latest or created_at != first.created_at:
        differ[NOTEBOOK] = ("created by a request", f"created at {created_at.isoformat()}")
    return differ


def _tags(record: Record) -> dict[str, tuple[str, str]]:
    """Return the tags of the platform and of the requests that differ.

    Other tags may be added. A later expiry date than the requested one is no difference, as
    `vending extend` sets it.
    """
    tags, given = record.notebook.tags, record.first.tags
    differ = [_tag_changes(each, tags) for each in record.asked]
    asked = {key: value for key, value in differ[0].items() if all(key in e for e in differ)}
    asked |= {k: given[k] for k in _GIVEN_ONCE if k in given and tags.get(k) != given[k]}
    if EXPIRES_TAG in asked and record.asked[0].repairs:
        set_by = record.asked[-1]
        if set_by.repairs or set_by.outcome != "SUCCESS":  # the request before it is not known
            del asked[EXPIRES_TAG]
        else:
            asked[EXPIRES_TAG] = differ[-1][EXPIRES_TAG]
    return {
        f"{TAGS}{key}": (value, tags.get(key, ""))
        for key, value in asked.items()
        if key != EXPIRES_TAG or not _is_later(tags, value)
    }


def _tag_changes(entry: Entry, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that an update would add, and with '' those of the platform to remove."""
    add, remove = tags_to_change(wanted_tags(entry), tags, (EXPIRES_TAG, OFF_HOURS_TAG))
    return {**add, **dict.fromkeys(remove, "")}


def _is_later(tags: Mapping[str, str], asked: str) -> bool:
    date = expiry_date(tags)
    return bool(asked) and date is not None and date.isoformat() > asked


def _not_allowed(notebook: Notebook, limits: Limits) -> dict[str, str]:
    """Return each setting that today's limits do not allow, with what they allow."""
    types, platforms = limits.instance_types, limits.platform_identifiers
    only = {}
    if notebook.instance_type not in types:
        only["NotebookInstanceType"] = " or ".join(types)
    if notebook.volume_size_in_gb > limits.max_volume_size_in_gb:
        only["VolumeSizeInGB"] = f"{limits.max_volume_size_in_gb} at most"
    if notebook.root_access == "Enabled" and not limits.root_access_allowed:
        only["RootAccess"] = "Disabled"
    if notebook.platform_identifier not in platforms:
        only["PlatformIdentifier"] = " or ".join(platforms)
    return only


def survives_updates(setting: str) -> bool:
    """Return whether an update of the launch may leave a setting as it was changed by hand."""
    return setting in _NEVER_CHANGED or setting.removeprefix(TAGS) in (*_GIVEN_ONCE, EXPIRES_TAG)


def calls(difference: Difference) -> tuple[str, ...]:
    """Return the SageMaker operations that may have made a difference; none if the limits did."""
    if difference.kind is Kind.NARROWER_NOW:
        return ()
    if difference.kind is Kind.GONE:
        return ("DeleteNotebookInstance",)
    if difference.setting.startswith(TAGS):
        return ("AddTags", "DeleteTags")
    if difference.setting in _NEVER_CHANGED:
        return ("CreateNotebookInstance", "DeleteNotebookInstance")
    return ("UpdateNotebookInstance",)
