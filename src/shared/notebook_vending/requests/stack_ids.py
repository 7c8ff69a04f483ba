"""The ids that CloudFormation gives, apart from its requests: most functions parse none."""

import re

# What an answer repeats, and the ledger's key and the execution's name are made of. Within these
# bounds the keys are no longer than DynamoDB takes (2,048 and 1,024 bytes), a name has no character
# that Step Functions refuses, and the answer has room for a Reason. CloudFormation keeps them: a
# stack's name has 128 characters, a logical id is alphanumeric, a physical id has 1 KB at most.
IDS = {
    "StackId": re.compile(
        r"arn:[a-z-]{1,32}:cloudformation:[a-z0-9-]{1,32}:[0-9]{12}:stack/[A-Za-z0-9/-]{1,256}"
    ),
    "RequestId": re.compile(r"[A-Za-z0-9_-]{1,128}"),
    "LogicalResourceId": re.compile(r"[A-Za-z0-9]{1,255}"),
    "PhysicalResourceId": re.compile(r"[ -~]{,1024}"),
}


def is_stack_id(text: str) -> bool:
    """Tell whether CloudFormation could give a stack this id."""
    return IDS["StackId"].fullmatch(text) is not None


def provisioned_product_of(stack_id: str) -> str:
    """Return the id of the provisioned product that a stack is a launch's of; empty if it is none.

    Service Catalog names a launch's stack SC-<account>-<that id>.
    """
    _, begins, rest = stack_id.partition(":stack/SC-")
    return rest.partition("/")[0].partition("-")[2] if begins else ""
