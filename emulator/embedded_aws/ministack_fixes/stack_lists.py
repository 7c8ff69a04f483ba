"""DescribeStacks without a name, which AWS authorizes with ListStacks, too.

CloudFormation API reference, DescribeStacks: "This requires ListStacks and DescribeStacks
permissions". MiniStack requires only DescribeStacks.
"""

from typing import Any

from ministack.core import iam_actions, iam_evaluator

_DESCRIBE, _LIST = "cloudformation:DescribeStacks", "cloudformation:ListStacks"
_ALL_STACKS = "*"


def install() -> None:
    """Require ListStacks after DescribeStacks; install after `authorizations`, which records."""
    enforce = iam_evaluator.enforce
    of_all = iam_actions.extract_resource_arn("cloudformation", "POST", "/", {}, b"", {}, "", "")
    assert of_all == _ALL_STACKS, "MiniStack asks about other stacks now"

    def with_list_stacks(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = enforce(access_key, action, service, region, resource_arn, service_context)
        if denied is not None or (action, resource_arn) != (_DESCRIBE, _ALL_STACKS):
            return denied
        if enforce(access_key, _LIST, service, region) is None:
            return None
        return iam_evaluator.AuthError(
            "AccessDenied",
            f"User: {iam_evaluator.caller_arn()} is not authorized to perform: {_LIST}",
        )

    iam_evaluator.enforce = with_list_stacks
