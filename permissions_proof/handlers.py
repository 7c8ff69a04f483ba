"""Compares the launch role with CloudFormation's handlers for the resources of a launch.

The registry's schema of a resource type lists the calls of its handlers, for every property. The
launch role has permission for all of them, on the resources of a launch. This module lists, with a
reason each, the permissions that the role lacks and those that it has in addition.

A denied read fails a launch, because CloudFormation serves Fn::GetAtt by the type's read handler.
Sources: AWS Knowledge Center, "cloudformation-attribute-key-error" (repost.aws), and
aws-cloudformation/aws-cloudformation-resource-providers-sns#49, where AWS writes that a permission
missing in a read handler "would impact Fn::GetAtt". Many create handlers end in a read, too.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from embedded_aws.runtime import resource_schemas
from embedded_aws.runtime.authorization_reference import is_action, resource_kinds

# A permission as a policy grants it: an action, and the resource that the statement names.
Granted = tuple[str, str]


@dataclass(frozen=True)
class Difference:
    """Actions in which the launch role and the schemas differ, and why.

    With `types`, only the handlers of these resource types are meant. With `elsewhere`, handlers
    call them all the same, and another policy than the role's own lets them.
    """

    reason: str
    actions: tuple[str, ...]
    types: tuple[str, ...] = ()
    elsewhere: bool = False

    def names(self, resource_type: str, action: str) -> bool:
        """Return whether this is the reason for an action of a type's handler."""
        return action in self.actions and (not self.types or resource_type in self.types)


# What the handlers of a type name in a launch, with an account and a Region for all others. A
# subscription stands under "*": the authorization reference has had its actions with the topic as
# their resource, and with none.
_ARN = "arn:aws:{service}:eu-west-1:111122223333:{resource}"
_ROLE = "arn:aws:iam::111122223333:role/notebook-vending/SC-111122223333-pp-abc-ExecutionRole-A1B2"
_BUCKET = "arn:aws:s3:::sc-111122223333-pp-abc-projectbucket-a1b2"
_KEY = _ARN.format(service="kms", resource="key/1f2e3d4c-0000-4000-8000-123456789abc")
_ALIAS = _ARN.format(service="kms", resource="alias/notebook-vending/SC-111122223333-pp-abc")
_TOPIC = _ARN.format(service="sns", resource="NotebookVending-Owner-1f2e3d4c")
_CONFIG = _ARN.format(
    service="sagemaker", resource="notebook-instance-lifecycle-config/notebook-vending-1f2e3d4c"
)
_RESOURCES = {
    "AWS::IAM::Policy": (_ROLE,),
    "AWS::IAM::Role": (_ROLE,),
    "AWS::KMS::Alias": (_ALIAS, _KEY),
    "AWS::KMS::Key": (_KEY,),
    "AWS::S3::Bucket": (_BUCKET,),
    "AWS::S3::BucketPolicy": (_BUCKET,),
    "AWS::SNS::Subscription": (_TOPIC,),
    "AWS::SNS::Topic": (_TOPIC,),
    "AWS::SageMaker::NotebookInstanceLifecycleConfig": (_CONFIG,),
}
_OF_SUBSCRIPTIONS = (
    "sns:GetSubscriptionAttributes",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
)

LIST = "no operation on a stack runs a list handler: they serve Cloud Control and the IaC generator"
NO_SUCH_ACTION = "IAM has no action of this name, so no policy can grant it"

# What the policy of a launch's key lets the launch role do (product/versions/, ProjectKey).
GIVEN_BY_THE_KEY = (
    "kms:DeleteAlias",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)

LACKED = (
    Difference(
        LIST,
        (
            "iam:ListRoles",
            "kms:ListKeys",
            "s3:ListAllMyBuckets",
            "sagemaker:ListNotebookInstanceLifecycleConfigs",
            "sns:ListSubscriptions",
            "sns:ListTopics",
        ),
    ),
    Difference(
        NO_SUCH_ACTION,
        (
            "s3:DeleteBucketAnalyticsConfiguration",
            "s3:DeleteBucketCors",
            "s3:DeleteBucketEncryption",
            "s3:DeleteBucketLifecycle",
            "s3:DeleteBucketMetricsConfiguration",
            "s3:DeleteBucketReplication",
            "s3:DeleteBucketTagging",
            "s3:PutBucketReplication",
            "s3:PutObjectLockConfiguration",
        ),
    ),
    Difference(
        "a role of a launch never loses its boundary, with which alone the launch role may make it",
        ("iam:DeleteRolePermissionsBoundary",),
    ),
    Difference(
        "the key's own policy gives it to the launch role, of the keys of launches alone",
        GIVEN_BY_THE_KEY,
        ("AWS::KMS::Alias", "AWS::KMS::Key"),
        elsewhere=True,
    ),
    Difference(
        "AWS::IAM::Policy is put into a role here, not into a user or a group",
        (
            "iam:DeleteGroupPolicy",
            "iam:DeleteUserPolicy",
            "iam:GetGroupPolicy",
            "iam:GetUserPolicy",
            "iam:PutGroupPolicy",
            "iam:PutUserPolicy",
        ),
    ),
    Difference(
        "a project's key is enabled and rotates, in every version of the product",
        ("kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey"),
    ),
    Difference("an alias keeps its key", ("kms:UpdateAlias",)),
    Difference(
        "the property is not used: nothing is delivered with a role",
        ("iam:GetRole", "iam:PassRole"),
        ("AWS::SNS::Subscription", "AWS::SNS::Topic"),
    ),
    Difference(
        "the property is not used: ReplicationConfiguration",
        ("iam:PassRole",),
        ("AWS::S3::Bucket",),
    ),
    Difference("the property is not used: DataProtectionPolicy", ("sns:PutDataProtectionPolicy",)),
    Difference(
        "the property is not used",
        (
            "s3:CreateBucketMetadataTableConfiguration",
            "s3:DeleteBucketMetadataTableConfiguration",
            "s3:DeleteBucketWebsite",
            "s3:DeleteObject",
            "s3:PutAccelerateConfiguration",
            "s3:PutAnalyticsConfiguration",
            "s3:PutBucketAbac",
            "s3:PutBucketAcl",
            "s3:PutBucketCORS",
            "s3:PutBucketLogging",
            "s3:PutBucketNotification",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutBucketWebsite",
            "s3:PutIntelligentTieringConfiguration",
            "s3:PutInventoryConfiguration",
            "s3:PutMetricsConfiguration",
            "s3:PutObjectAcl",
            "s3:PutReplicationConfiguration",
            "s3:UpdateBucketMetadataAnnotationTableConfiguration",
            "s3:UpdateBucketMetadataInventoryTableConfiguration",
            "s3:UpdateBucketMetadataJournalTableConfiguration",
            "s3tables:CreateNamespace",
            "s3tables:CreateTable",
            "s3tables:CreateTableBucket",
            "s3tables:GetTable",
            "s3tables:GetTableMetadataLocation",
            "s3tables:PutTableBucketPolicy",
            "s3tables:PutTableEncryption",
            "s3tables:PutTablePolicy",
            "s3tables:UpdateTableMetadataLocation",
        ),
    ),
)

BEYOND = (
    Difference(
        "what Service Catalog does with a launch role (administrator guide, "
        '"Add a launch constraint to assign an IAM role": create, read, update, delete, list and '
        "tag stacks)",
        (
            "cloudformation:CreateStack",
            "cloudformation:DeleteStack",
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStackResources",
            "cloudformation:DescribeStacks",
            "cloudformation:GetTemplate",
            "cloudformation:GetTemplateSummary",
            "cloudformation:ListExports",
            "cloudformation:ListImports",
            "cloudformation:ListStackResources",
            "cloudformation:SetStackPolicy",
            "cloudformation:TagResource",
            "cloudformation:UntagResource",
            "cloudformation:UpdateStack",
            "cloudformation:ValidateTemplate",
            "s3:GetObject",
        ),
    ),
    Difference("the custom resources", ("lambda:InvokeFunction",)),
)


def needed(resource_type: str) -> Iterator[tuple[str, str]]:
    """Yield the handlers of a type with each permission that one of them needs."""
    for handler in (*resource_schemas.HANDLERS, "tagging"):
        for action in resource_schemas.permissions(resource_type, handler):
            yield handler, action


def mistakes(
    types: Collection[str],
    granted: Collection[Granted],
    lacked: Collection[Difference] = LACKED,
    beyond: Collection[Difference] = BEYOND,
) -> Iterator[str]:
    """Yield the faults of a launch role with these `granted` permissions, for these types.

    Also yield the reasons above that do not hold.
    """
    ours = sorted(each for each in types if not each.startswith("Custom::"))
    yield from (f"{each}: say in handlers.py what it names" for each in ours if not _known(each))
    known = [each for each in ours if _known(each)]
    yield from (
        f"{each} is in handlers.py, and no product has it" for each in _RESOURCES.keys() - set(ours)
    )
    called = {action for each in known for _, action in needed(each)}
    excused: set[tuple[Difference, str]] = set()
    named: set[tuple[str, str]] = set()
    for lack in _lacks(known, granted):
        reasons = {(each, lack.action) for each in lacked if each.names(lack.type, lack.action)}
        excused |= reasons
        if not reasons and (lack.action, lack.resource) not in named:
            named.add((lack.action, lack.resource))
            yield (
                f"the launch role lacks {lack.action} on {lack.resource}, which the {lack.handler} "
                f"handler of {lack.type} calls"
            )
    has = {action for action, _ in granted}
    may_have = {action for each in beyond for action in each.actions}
    for action in sorted(has - called - may_have):
        yield f"the launch role has {action}, which no handler calls"
    for each in lacked:
        for action in each.actions:
            if (each, action) not in excused:
                yield f"there is a reason to lack {action}, which is not lacked"
    for action in sorted(may_have - (has - called)):
        yield f"there is a reason to have {action}, which is no exception"


class _Lack(NamedTuple):
    type: str
    handler: str
    action: str
    resource: str


def _lacks(types: Iterable[str], granted: Collection[Granted]) -> Iterator[_Lack]:
    for resource_type in types:
        for handler, action in needed(resource_type):
            for arn in _named(resource_type, action):
                if not any(_grants(each, action, arn) for each in granted):
                    yield _Lack(resource_type, handler, action, arn)


def _known(resource_type: str) -> bool:
    return resource_type in _RESOURCES


def _named(resource_type: str, action: str) -> tuple[str, ...]:
    """Return what a handler of a type names in a call: `*` if the action takes no resource."""
    if action in _OF_SUBSCRIPTIONS or not is_action(action) or not resource_kinds(action):
        return ("*",)
    kinds = set(map(_kind, _forms(action)))
    return tuple(arn for arn in _RESOURCES[resource_type] if _kind(arn) in kinds) or ("*",)


def _forms(action: str) -> Iterator[str]:
    for forms in resource_kinds(action).values():
        yield from forms


def _kind(arn: str) -> str:
    """Return the kind of what an ARN or its form names, as `key`; empty for a bucket or a topic."""
    kind, slash, _ = arn.split(":", 5)[5].partition("/")
    return kind if slash else ""


def _grants(granted: Granted, action: str, arn: str) -> bool:
    """Return whether a permission is for this action on this resource, in whichever account."""
    may, on = granted
    if may != action:
        return False
    return on == "*" or (arn != "*" and fnmatchcase(_anywhere(arn), _anywhere(on)))


def _anywhere(arn: str) -> str:
    """Leave out of an ARN where it is: the account and, before the name, partition and Region."""
    _, _, service, _, _, name = re.sub(r"\d{12}", "", arn).split(":", 5)
    return f"{service}:{name}"
