"""Finds the resources of a run, which have its tag or come from one of its own stacks.

The program changes no other resource. Some resources cannot have a tag (layer versions, log
streams) or have lost it. They belong to the run if one of its stacks gave them a name with the
run's ID.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from rehearsal.plan import TAG, Plan
from vending.platform import client

GONE = "DELETE_COMPLETE"


@dataclass(frozen=True)
class Product:
    """A provisioned product of the run: a launch."""

    id: str
    name: str
    status: str
    stack_id: str


def is_tagged(run_id: str, tags: Iterable[Mapping[str, str]]) -> bool:
    """Return whether the run's tag is among these, whichever way the service writes tags."""
    return any(
        (each.get("Key", each.get("TagKey")), each.get("Value", each.get("TagValue")))
        == (TAG, run_id)
        for each in tags
    )


def stacks(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return the run's stacks that are there, nested ones too, by their IDs."""
    pages = client("cloudformation").get_paginator("describe_stacks").paginate()
    return {
        each["StackId"]: each
        for page in pages
        for each in page["Stacks"]
        if is_tagged(plan.run_id, each.get("Tags", [])) and each["StackStatus"] != GONE
    }


def stack(stack_id: str) -> dict[str, Any] | None:
    """Return a stack by its ID or name; None when there is none."""
    try:
        found: dict[str, Any] = client("cloudformation").describe_stacks(StackName=stack_id)[
            "Stacks"
        ][0]
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        return None
    return found


def platform(plan: Plan) -> dict[str, Any] | None:
    """Return the platform's stack; None when it is not there, or not the run's."""
    found = stack(plan.stack)
    if found is None or found["StackStatus"] == GONE:
        return None
    return found if is_tagged(plan.run_id, found.get("Tags", [])) else None


def products(plan: Plan) -> list[Product]:
    """Return the launches that are there."""
    catalog, found = client("servicecatalog"), []
    where: dict[str, Any] = {"AccessLevelFilter": {"Key": "Account", "Value": "self"}}
    while True:  # botocore has no paginator for it
        page = catalog.search_provisioned_products(**where)
        found += [
            Product(each["Id"], each["Name"], each["Status"], each.get("PhysicalId", ""))
            for each in page["ProvisionedProducts"]
            if is_tagged(plan.run_id, each.get("Tags", []))
        ]
        if not page.get("NextPageToken"):
            return found
        where["PageToken"] = page["NextPageToken"]


def resources(stack_id: str) -> Iterator[dict[str, Any]]:
    """Yield the resources of a stack, even of a deleted one."""
    pages = (
        client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_id)
    )
    for page in pages:
        yield from page["StackResourceSummaries"]


def deleted_stacks(plan: Plan) -> list[str]:
    """Return the IDs of the run's stacks that were deleted; CloudFormation keeps them 90 days."""
    pages = client("cloudformation").get_paginator("list_stacks").paginate(StackStatusFilter=[GONE])
    return [
        each["StackId"]
        for page in pages
        for each in page["StackSummaries"]
        if each["StackName"].startswith(plan.stack)
    ]


def tagged(plan: Plan) -> list[str]:
    """Return the ARNs that carry the run's tag, those of some deleted resources included."""
    pages = (
        client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(TagFilters=[{"Key": TAG, "Values": [plan.run_id]}])
    )
    return [each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]]


def bucket(plan: Plan) -> bool:
    """Return whether the bucket for uploads is there, and the run's.

    A run that is killed between CreateBucket and PutBucketTagging leaves an empty bucket without a
    tag. Its name, which has the run's ID in it, is enough then.
    """
    s3 = client("s3")
    try:
        s3.head_bucket(Bucket=plan.bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket", "403"):
            return False
        raise
    try:
        tags = s3.get_bucket_tagging(Bucket=plan.bucket)["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return "Contents" not in s3.list_objects_v2(Bucket=plan.bucket, MaxKeys=1)
    return is_tagged(plan.run_id, tags)


def queue(plan: Plan) -> str:
    """Return the address of the listener's queue; '' when it is not there, or not the run's."""
    sqs = client("sqs")
    try:
        url = str(sqs.get_queue_url(QueueName=plan.listener)["QueueUrl"])
        tags = sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
    except ClientError as error:
        if "NonExistentQueue" in str(error) or "QueueDoesNotExist" in str(error):
            return ""
        raise
    return url if tags.get(TAG) == plan.run_id else ""


def rule(plan: Plan) -> bool:
    """Return whether the listener's EventBridge rule is there, and the run's."""
    events = client("events")
    try:
        arn = events.describe_rule(Name=plan.listener)["Arn"]
        tags = events.list_tags_for_resource(ResourceARN=arn)["Tags"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return False
        raise
    return is_tagged(plan.run_id, tags)


def notebooks(plan: Plan) -> list[str]:
    """Return the run's notebooks that are there, by the stack that each is tagged with."""
    sagemaker = client("sagemaker")
    pages = sagemaker.get_paginator("list_notebook_instances").paginate(NameContains=plan.notebook)
    found = []
    for page in pages:
        for each in page["NotebookInstances"]:
            tags = {
                tag["Key"]: tag["Value"]
                for tag in sagemaker.list_tags(ResourceArn=each["NotebookInstanceArn"])["Tags"]
            }
            if tags.get("notebook-vending:platform") == plan.stack:
                found.append(each["NotebookInstanceName"])
    return found


def log_groups(plan: Plan) -> list[str]:
    """Return the log groups that have the name of one of the run's stacks."""
    logs, found = client("logs"), []
    for prefix in ("/aws/lambda/", "/aws/vendedlogs/states/", "/aws/vpc/"):
        pages = logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=f"{prefix}{plan.stack}"
        )
        found += [each["logGroupName"] for page in pages for each in page["logGroups"]]
    return found


NOTEBOOK_LOGS = "/aws/sagemaker/NotebookInstances"


def notebook_streams(plan: Plan) -> list[str]:
    """Return the log streams that SageMaker wrote for the run's notebooks."""
    pages = (
        client("logs")
        .get_paginator("describe_log_streams")
        .paginate(logGroupName=NOTEBOOK_LOGS, logStreamNamePrefix=plan.notebook)
    )
    try:
        return [each["logStreamName"] for page in pages for each in page["logStreams"]]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return []
        raise


def layers(plan: Plan) -> list[str]:
    """Return the ARNs of the layer versions that the run's stacks made, those it deleted too."""
    ids = [*stacks(plan), *deleted_stacks(plan)]
    return [
        each["PhysicalResourceId"]
        for stack_id in ids
        for each in resources(stack_id)
        if each["ResourceType"] == "AWS::Lambda::LayerVersion" and each.get("PhysicalResourceId")
    ]


def layer_is_there(arn: str) -> bool:
    """Return whether a layer version is there."""
    try:
        client("lambda").get_layer_version_by_arn(Arn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return False
        raise
    return True
