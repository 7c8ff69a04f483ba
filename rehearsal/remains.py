"""The remains of a run, whose absence the run proves at its end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from rehearsal import owned
from rehearsal.plan import Plan
from vending.platform import client

_MISSING = (
    *("404", "NoSuchBucket", "NotFound", "NotFoundException", "NotFoundError"),
    *("ResourceNotFoundException", "NoSuchEntity", "ResourceNotFound"),
    *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "StateMachineDoesNotExist"),
)


@dataclass(frozen=True)
class Remain:
    """Something that is left."""

    kind: str
    name: str
    todo: str
    """What to do about it."""
    expected: bool = False
    """AWS removes it on a day of its own, and it costs nothing until then."""


def left(plan: Plan, layers: list[str]) -> list[Remain]:
    """Return all that is left of a run. Raises ClientError, BotoCoreError.

    Args:
        plan: the run.
        layers: the layer versions that its stacks made.

    """
    again = f"Run: make rehearse CLEAN={plan.run_id}"
    found: list[Remain] = []

    def add(kind: str, names: list[str]) -> None:
        found.extend(Remain(kind, each, again) for each in names)

    add("launch", [each.name for each in owned.products(plan)])
    add("stack", [each["StackName"] for each in owned.stacks(plan).values()])
    add("notebook", owned.notebooks(plan))
    add("role", [plan.role] if _is_there(_role, plan.role) else [])
    add("bucket", [plan.bucket] if owned.bucket(plan) else [])
    add("queue", [plan.listener] if owned.queue(plan) else [])
    add("EventBridge rule", [plan.listener] if owned.rule(plan) else [])
    add("layer version", [each for each in layers if owned.layer_is_there(each)])
    add("log group", owned.log_groups(plan))
    add("log stream", owned.notebook_streams(plan))
    found += _tagged(plan, {each.name for each in found}, again)
    found += _backups(plan)
    return found


def _tagged(plan: Plan, known: set[str], again: str) -> Iterator[Remain]:
    """Yield the existing resources with the run's tag that are not yet known."""
    deleted = _deleted_resources(plan)
    for arn in owned.tagged(plan):
        name = arn.rpartition(":")[2]
        service = arn.split(":")[2]
        if service == "kms":
            yield from _key(arn, again)
        elif name in known or known & set(name.split("/")):
            continue
        elif look := _LOOKS.get(service):
            if _is_there(look, arn):
                yield Remain(service, name, again)
        # The tagging API continues to list deleted resources. CloudFormation's record shows the
        # deletion of those that have no check of their own.
        elif not any(arn.endswith(each) for each in deleted):
            yield Remain(
                service, name, "The program cannot delete this. Delete it in the service's console."
            )


def _key(arn: str, again: str) -> Iterator[Remain]:
    key = client("kms").describe_key(KeyId=arn)["KeyMetadata"]
    name = arn.rpartition("/")[2]
    if key["KeyState"] != "PendingDeletion":
        yield Remain("KMS key", name, again)
        return
    yield Remain(
        "KMS key",
        name,
        f"Nothing: AWS deletes it on {key['DeletionDate']:%d %B %Y}, and does not bill it until "
        "then.",
        expected=True,
    )


def _backups(plan: Plan) -> Iterator[Remain]:
    """Yield the backups that DynamoDB makes of a table that is deleted."""
    pages = client("dynamodb").get_paginator("list_backups").paginate(BackupType="SYSTEM")
    for each in [each for page in pages for each in page["BackupSummaries"]]:
        if each["TableName"].startswith(plan.stack):
            yield Remain(
                "backup of the ledger",
                each["BackupName"],
                "Nothing: DynamoDB deletes it after 35 days, and does not bill it.",
                expected=True,
            )


def _deleted_resources(plan: Plan) -> set[str]:
    return {
        each["PhysicalResourceId"]
        for stack_id in owned.deleted_stacks(plan)
        for each in owned.resources(stack_id)
        if each["ResourceStatus"] == owned.GONE and each.get("PhysicalResourceId")
    }


def _is_there(look: Callable[[str], Any], arn: str) -> bool:
    try:
        return look(arn) is not False
    except ClientError as error:
        # SageMaker has no code of its own for it.
        if error.response["Error"]["Code"] in _MISSING or "RecordNotFound" in str(error):
            return False
        raise


def _role(name: str) -> Any:
    return client("iam").get_role(RoleName=name)


def _stack(arn: str) -> bool:
    found = owned.stack(arn)
    return found is not None and found["StackStatus"] != owned.GONE


def _of_sagemaker(arn: str) -> Any:
    sagemaker, name = client("sagemaker"), arn.rpartition("/")[2]
    if "lifecycle-config" in arn:
        return sagemaker.describe_notebook_instance_lifecycle_config(
            NotebookInstanceLifecycleConfigName=name
        )
    return sagemaker.describe_notebook_instance(NotebookInstanceName=name)


def _product(arn: str) -> Any:
    return client("servicecatalog").describe_provisioned_product(Id=arn.rpartition("/")[2])


def _state_machine(arn: str) -> bool:
    found = client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    return bool(found["status"] != "DELETING")


def _queue(arn: str) -> Any:
    return client("sqs").get_queue_url(QueueName=arn.rpartition(":")[2])


def _log_group(arn: str) -> bool:
    name = arn.partition(":log-group:")[2].removesuffix(":*")
    groups = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return any(each["logGroupName"] == name for each in groups)


# By the service in the ARN.
_LOOKS: dict[str, Callable[[str], Any]] = {
    "cloudformation": _stack,
    "dynamodb": lambda arn: client("dynamodb").describe_table(TableName=arn.rpartition("/")[2]),
    "events": lambda arn: client("events").describe_rule(Name=arn.rpartition("/")[2]),
    "lambda": lambda arn: client("lambda").get_function_configuration(FunctionName=arn),
    "logs": _log_group,
    "s3": lambda arn: client("s3").head_bucket(Bucket=arn.rpartition(":")[2]),
    "sagemaker": _of_sagemaker,
    "servicecatalog": _product,
    "sns": lambda arn: client("sns").get_topic_attributes(TopicArn=arn),
    "sqs": _queue,
    "states": _state_machine,
}
