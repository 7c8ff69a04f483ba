"""The notebook as requested (`NotebookSpec`) and as SageMaker shows it (`Notebook`).

Calls no AWS service. The spec's fields are named after the custom resource's properties. Each has
its checks, so that `requests.notebook_request` can report every fault of a request at once.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum, auto
from typing import Annotated, cast

from notebook_vending.notebooks.limits import Limits

TAG_PREFIX = "notebook-vending:"
PLATFORM_TAG = f"{TAG_PREFIX}platform"
STACK_TAG = f"{TAG_PREFIX}stack-id"
LOGICAL_RESOURCE_TAG = f"{TAG_PREFIX}logical-resource-id"
REQUEST_TAG = f"{TAG_PREFIX}request-id"  # of the request that created the notebook
PROVISIONED_PRODUCT_TAG = f"{TAG_PREFIX}provisioned-product"
LAUNCHED_BY_TAG = f"{TAG_PREFIX}launched-by"
EXPIRES_TAG = f"{TAG_PREFIX}expires-on"  # a date, in UTC
WARNED_TAG = f"{TAG_PREFIX}warned-of"  # the date that its owner was warned of
OFF_HOURS_TAG = f"{TAG_PREFIX}off-hours"  # only of a notebook that takes no part in them
CALENDAR_TAG = f"{TAG_PREFIX}calendar"  # what off-hours or on-hours last did to it, and when
PROJECT_TAG = "ProjectID"  # the product's, on all that a launch makes

# Who launched it, and as what (Service Catalog administrator guide, "AutoTags").
_AUTO_TAGS = {
    "aws:servicecatalog:provisioningPrincipalArn": LAUNCHED_BY_TAG,
    "aws:servicecatalog:provisionedProductArn": PROVISIONED_PRODUCT_TAG,
}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# SageMaker shows tags with a delay at times, and AWS says of none how long
# (terraform-provider-aws#15572). This is how long a role that was just made may be unknown, too.
TAGS_SHOWN_WITHIN = timedelta(minutes=2)
# The statuses in which the platform acts on a notebook. In any other it waits.
SETTLED = ("InService", "Stopped", "Failed")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_TAGS = 50  # of a notebook (CreateNotebookInstance)

# CreateNotebookInstance, botocore's service model: NotebookInstanceName (63 at most).
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+")
# Asterisk and question mark are wildcards in an EC2 filter, the backslash escapes them.
_NAME_TAG = re.compile(r"[^*?\\]+")

Check = Callable[[object, Limits], str | None]
"""Returns what is wrong with a value and what to give instead, or None."""


def _matches(pattern: re.Pattern[str], longest: int, wanted: str) -> Check:
    def check(value: object, _: Limits) -> str | None:
        text = str(value)
        fits = len(text) <= longest and pattern.fullmatch(text)
        return None if fits else f"'{text:.80}' is not valid: give {wanted}"

    return check


def _instance_type(value: object, limits: Limits) -> str | None:
    if value in limits.instance_types:
        return None
    return f"'{value!s:.80}' is not allowed here: choose one of {', '.join(limits.instance_types)}"


def _instance_types(value: object, limits: Limits) -> str | None:
    wrong = [each for each in cast("tuple[str, ...]", value) if each not in limits.instance_types]
    if not wrong:
        return None
    named, are = ", ".join(f"'{each}'" for each in wrong), "are" if len(wrong) > 1 else "is"
    return f"{named:.300} {are} not allowed here: choose from {', '.join(limits.instance_types)}"


def _platform(value: object, limits: Limits) -> str | None:
    if value in limits.platform_identifiers:
        return None
    choice = ", ".join(limits.platform_identifiers)
    return f"'{value!s:.80}' is not supported: choose one of {choice}"


def _volume_size(value: object, limits: Limits) -> str | None:
    if isinstance(value, int) and 5 <= value <= limits.max_volume_size_in_gb:
        return None
    return f"{value!s:.80} is out of range: ask for 5 to {limits.max_volume_size_in_gb} GB"


def _days(value: object, _: Limits) -> str | None:
    if isinstance(value, int) and 0 <= value <= 365:
        return None
    return f"{value!s:.80} is out of range: give 1 to 365 days, or 0 for never"


def _root_access(value: object, limits: Limits) -> str | None:
    if value == "Disabled" or (value == "Enabled" and limits.root_access_allowed):
        return None
    if value == "Enabled":
        return "'Enabled' is not allowed here: choose Disabled"
    choice = "Enabled or Disabled" if limits.root_access_allowed else "Disabled"
    return f"'{value!s:.80}' is not valid: choose {choice}"


def _one_of(*allowed: str) -> Check:
    def check(value: object, _: Limits) -> str | None:
        if value in allowed:
            return None
        return f"'{value!s:.80}' is not valid: give {' or '.join(allowed)}"

    return check


def _tags(value: object, _: Limits) -> str | None:
    value, faults = cast("dict[str, str]", value), []
    reserved = [key for key in value if key.lower().startswith(("aws:", TAG_PREFIX))]
    if reserved:
        faults.append(
            f"tag keys that start with 'aws:' or '{TAG_PREFIX}' are reserved: {reserved!s:.300}"
        )
    # AddTags: 50 tags a resource, of which the platform keeps some for itself.
    if len(value) > 40:
        faults.append(f"{len(value)} tags are too many: give 40 at most")
    wrong = [k for k, v in value.items() if not 1 <= len(k) <= 128 or len(v) > 256]
    if wrong:
        faults.append(f"tags are too long (key 128, value 256 characters): {wrong!s:.300}")
    if fault := _odd_tags(value):
        faults.append(fault)
    return "; ".join(faults) or None


def _in_tags(character: str) -> bool:
    r"""Tell whether a tag may hold a character: SageMaker's API, TagKey and TagValue.

    Their pattern is `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`. So no tab, and no vowel sign of a letter.
    """
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LZN"


def _odd_tags(tags: Mapping[str, str]) -> str:
    """Return what is wrong with the characters of some tags; empty if nothing is."""
    odd = [f"{k:.80}={v:.80}" for k, v in tags.items() if not all(map(_in_tags, k + v))]
    if not odd:
        return ""
    named = ", ".join(map(repr, odd))
    return f"may hold letters, digits, spaces and _.:/=+-@ only: change {named:.300}"


def keys_alike(keys: Iterable[str]) -> list[list[str]]:
    """Return the tag keys that are one to AWS, as they differ only by case; the same ones too.

    "Duplicate tag keys found. Please note that Tag keys are case insensitive" (IAM, which has the
    tags of a launch as SageMaker has them; aws/aws-cdk#26253).
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        alike[key.lower()].append(key)
    return [each for each in alike.values() if len(each) > 1]


_Label = Annotated[str, _matches(re.compile(r".*"), 256, "256 characters at most")]


@dataclass(frozen=True)
class NotebookSpec:
    """The requested notebook."""

    NotebookInstanceName: Annotated[
        str, _matches(NAME, 63, "1 to 63 letters, digits and hyphens, no hyphen at either end")
    ]
    NotebookInstanceType: Annotated[str, _instance_type]
    RoleArn: Annotated[str, _matches(_ROLE, 2048, "the ARN of an IAM role")]
    KmsKeyId: Annotated[
        str, _matches(re.compile(r"[a-zA-Z0-9:/_-]+"), 2048, "the ARN of a customer KMS key")
    ]
    Subnet: Annotated[str, _matches(_NAME_TAG, 255, "a subnet's Name tag or id")]
    SecurityGroupName: Annotated[str, _matches(_NAME_TAG, 255, "a security group's Name or id")]
    FallbackInstanceTypes: Annotated[tuple[str, ...], _instance_types] = ()
    VolumeSizeInGB: Annotated[int, _volume_size] = 20
    RootAccess: Annotated[str, _root_access] = "Disabled"
    DirectInternetAccess: Annotated[str, _one_of("Disabled")] = "Disabled"
    PlatformIdentifier: Annotated[str, _platform] = "notebook-al2023-v1"
    LifecycleConfigName: Annotated[
        str, _matches(re.compile(rf"|{NAME.pattern}"), 63, "a lifecycle configuration's name")
    ] = ""
    AllowReplacement: Annotated[str, _one_of("YES", "NO")] = "NO"
    ExpiresAfterDays: Annotated[int, _days] = 0
    OffHours: Annotated[str, _one_of("Enabled", "Disabled")] = "Enabled"
    Repair: Annotated[
        str,
        _matches(re.compile(r"[A-Za-z0-9:.-]*"), 64, "letters, digits, colons, dots and hyphens"),
    ] = ""
    Tags: Annotated[dict[str, str], _tags] = field(default_factory=dict)
    ENVName: _Label = ""
    ProjectName: _Label = ""
    ProjectID: _Label = ""

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Every instance type the notebook may get, in the order they are tried, each once."""
        return tuple(dict.fromkeys((self.NotebookInstanceType, *self.FallbackInstanceTypes)))


class Ownership(StrEnum):
    """Whose a notebook is, by its tags."""

    OURS = auto()
    NOT_OURS = auto()
    CANNOT_TELL = auto()


@dataclass(frozen=True)
class Notebook:
    """A notebook as DescribeNotebookInstance and ListTags show it."""

    name: str
    arn: str
    status: str
    instance_type: str
    role_arn: str
    volume_size_in_gb: int
    root_access: str
    platform_identifier: str
    subnet_id: str
    security_group_ids: tuple[str, ...]
    kms_key_id: str
    direct_internet_access: str
    lifecycle_config_name: str
    minimum_metadata_version: str
    network_interface_id: str
    url: str
    failure_reason: str
    tags: Mapping[str, str]
    created_at: datetime = LONG_AGO

    def may_lack_tags(self, now: datetime) -> bool:
        """Return whether it is so young that ListTags may not show what it was made with."""
        return now - self.created_at < TAGS_SHOWN_WITHIN

    def ownership(self, stack_id: str, logical_resource_id: str, role_arn: str) -> Ownership:
        """Return whether this notebook belongs to a stack's resource.

        The platform's tags decide. A tag with another stack or resource makes it foreign. If it has
        lost a tag, or has no tags but the requesting stack's role, its owner is unclear. Then the
        platform neither deletes it nor calls it foreign.
        """
        expected = {STACK_TAG: stack_id, LOGICAL_RESOURCE_TAG: logical_resource_id}
        found = {key: self.tags[key] for key in expected if key in self.tags}
        if any(value != expected[key] for key, value in found.items()):
            return Ownership.NOT_OURS
        if found == expected:
            return Ownership.OURS
        return Ownership.CANNOT_TELL if found or self.role_arn == role_arn else Ownership.NOT_OURS

    def attributes(self, message: str) -> dict[str, str]:
        """Return the Data of a success: what the stack's template gets with Fn::GetAtt."""
        return {
            "NotebookInstanceName": self.name,
            "NotebookInstanceArn": self.arn,
            "NotebookInstanceUrl": f"https://{self.url}" if self.url else "",
            "NotebookInstanceStatus": self.status,
            "NotebookInstanceType": self.instance_type,
            "SubnetId": self.subnet_id,
            "SecurityGroupId": ",".join(self.security_group_ids),
            "Message": message,
        }


def ownership_tags(platform: str, stack_id: str, logical_resource_id: str) -> dict[str, str]:
    """Return the tags by which a notebook is known as made by this stack and logical resource."""
    return {
        PLATFORM_TAG: platform,
        STACK_TAG: stack_id,
        LOGICAL_RESOURCE_TAG: logical_resource_id,
    }


def expiry_tags(spec: NotebookSpec, asked_at: datetime) -> dict[str, str]:
    """Return the tag with a launch's expiry date, or no tag if it never expires.

    The date is the first day in UTC after all requested days. It depends on the request alone, so
    that every look computes the same, and leaves a whole day for the warning.
    """
    if spec.ExpiresAfterDays == 0:
        return {}
    over = asked_at.astimezone(UTC).date() + timedelta(days=spec.ExpiresAfterDays + 1)
    return {EXPIRES_TAG: over.isoformat()}


def off_hours_tags(spec: NotebookSpec) -> dict[str, str]:
    """Return the tag that excepts a notebook from off-hours and on-hours, or no tag."""
    return {OFF_HOURS_TAG: spec.OffHours} if spec.OffHours == "Disabled" else {}


def expiry_date(tags: Mapping[str, str]) -> date | None:
    """Return a launch's expiry date, or None if no tag has one in our format.

    `fromisoformat` alone takes "20260105" and "2026-W02-1" too, which do not sort among the others.
    """
    said = tags.get(EXPIRES_TAG, "")
    try:
        return date.fromisoformat(said) if _DATE.fullmatch(said) else None
    except ValueError:
        return None


def tags_at_creation(own: Mapping[str, str], stack: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to create a notebook with: its own, who launched it, and its stack's.

    `own` come first, should they be more than a notebook may have. A stack's tags are also its
    launcher's to choose, and so none of them stands for one of ours. The name of a session may hold
    what a tag may not.
    """
    launch = {
        ours: "".join(each if _in_tags(each) else "_" for each in stack[key])[:256]
        for key, ours in _AUTO_TAGS.items()
        if key in stack
    }
    tags = {**own, **launch, **_tags_of_launch(own, stack)}
    return {key: tags[key] for key in list(tags)[:_MOST_TAGS]}


def faults_of_stack_tags(own: Mapping[str, str], stack: Mapping[str, str]) -> list[str]:
    """Return a sentence for each fault for which SageMaker would refuse these at a creation."""
    given = _tags_of_launch(own, stack)
    faults = []
    if odd := _odd_tags(given):
        faults.append(f"Launch tags and TagOptions {odd}.")
    for alike in keys_alike((*own, *given)):
        named = [
            f"'{key}' ({'Tags of the template' if key in own else 'launch tag or TagOption'})"
            for key in alike
        ]
        faults.append(
            f"AWS rejects tag keys that differ only by case: {', '.join(named)}. Launch "
            "without that tag, or ask your administrator to change the TagOption or the template."
        )
    return faults


def _tags_of_launch(own: Mapping[str, str], stack: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in stack.items()
        if not key.lower().startswith(("aws:", TAG_PREFIX)) and key not in own
    }
