"""CloudFormation's IDs, separate from its requests, because most functions parse no request."""

import re
from typing import NamedTuple

# An answer repeats these IDs, and the ledger's key and the execution's name consist of them. Within
# these limits, keys are short enough for DynamoDB (2,048 and 1,024 bytes), a name has only
# characters that Step Functions takes, and an answer has room for a Reason. CloudFormation's own
# limits are narrower: a stack's name has 128 characters, a logical ID is alphanumeric, and a
# physical ID has 1 KB at most.
IDS = {
    "StackId": re.compile(
        r"arn:[a-z-]{1,32}:cloudformation:[a-z0-9-]{1,32}:[0-9]{12}:stack/[A-Za-z0-9/-]{1,256}"
    ),
    "RequestId": re.compile(r"[A-Za-z0-9_-]{1,128}"),
    "LogicalResourceId": re.compile(r"[A-Za-z0-9]{1,255}"),
    "PhysicalResourceId": re.compile(r"[ -~]{,1024}"),
}


def is_stack_id(text: str) -> bool:
    """Return whether this is a CloudFormation stack ID."""
    return IDS["StackId"].fullmatch(text) is not None


# Service Catalog names a launch's stack SC-<account>-<the provisioned product's ID>.
_LAUNCH = re.compile(
    r"arn:(?P<partition>[a-z-]+):cloudformation:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):"
    r"stack/SC-[0-9]{12}-(?P<product>pp-[A-Za-z0-9-]+)/(?P<uuid>[0-9A-Za-z-]+)"
)


class LaunchStack(NamedTuple):
    """The parts of the ID of a launch's stack."""

    partition: str
    region: str
    account: str
    product: str
    """The provisioned product's ID."""
    uuid: str


def launch_stack(stack_id: str) -> LaunchStack | None:
    """Return the parts of the ID of a launch's stack, or None for any other stack."""
    found = _LAUNCH.fullmatch(stack_id)
    return LaunchStack(**found.groupdict()) if found else None


def provisioned_product_of(stack_id: str) -> str:
    """Return the provisioned product ID of a launch's stack, or '' for any other stack."""
    found = launch_stack(stack_id)
    return found.product if found else ""
