"""The launch role against the handlers with which CloudFormation makes what a launch is made of.

The registry's schema of a resource type lists what its handlers may call, for any property there
is: more than a launch, an update and a termination of this product use. What of it the launch role
lacks, and what it has beyond, stands here with the reason. A read for a resource's attributes
(Fn::GetAtt) that is denied fails nothing but the attribute it is for: AWS has its handlers go on
without what is not read-only (aws-cloudformation/aws-cloudformation-resource-providers-ecr#11;
softFailAccessDenied in …-kms).
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_SCHEMAS = Path(__file__).with_name("handlers.json")


@dataclass(frozen=True)
class Difference:
    """Actions in which the launch role and the schemas differ, and why."""

    reason: str
    actions: tuple[str, ...]


LACKED = (
    Difference(
        "the property is not used: no boundary is set",
        ("iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"),
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
        "a project's key is enabled and rotates, always",
        ("kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey"),
    ),
    Difference(
        "the read handler of an alias, of which no attribute is asked",
        ("kms:ListAliases",),
    ),
    Difference("an alias keeps its key", ("kms:UpdateAlias",)),
    Difference("a topic keeps its key, and has no other attribute", ("sns:SetTopicAttributes",)),
    Difference(
        "the property is not used",
        (
            "iam:PassRole",
            "s3:CreateBucketMetadataTableConfiguration",
            "s3:DeleteBucketAnalyticsConfiguration",
            "s3:DeleteBucketCors",
            "s3:DeleteBucketMetadataTableConfiguration",
            "s3:DeleteBucketMetricsConfiguration",
            "s3:DeleteBucketReplication",
            "s3:DeleteBucketWebsite",
            "s3:DeleteObject",
            "s3:GetBucketAcl",
            "s3:PutAccelerateConfiguration",
            "s3:PutAnalyticsConfiguration",
            "s3:PutBucketAbac",
            "s3:PutBucketAcl",
            "s3:PutBucketCORS",
            "s3:PutBucketLogging",
            "s3:PutBucketNotification",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutBucketReplication",
            "s3:PutBucketWebsite",
            "s3:PutIntelligentTieringConfiguration",
            "s3:PutInventoryConfiguration",
            "s3:PutMetricsConfiguration",
            "s3:PutObjectAcl",
            "s3:PutObjectLockConfiguration",
            "s3:PutReplicationConfiguration",
            "s3:UpdateBucketMetadataAnnotationTableConfiguration",
            "s3:UpdateBucketMetadataInventoryTableConfiguration",
            "s3:UpdateBucketMetadataJournalTableConfiguration",
            "sns:PutDataProtectionPolicy",
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
    Difference(
        "a bucket stays encrypted and keeps its lifecycle rules, in every version of the product",
        ("s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle"),
    ),
    Difference(
        "the read handler of a bucket; the attribute that is asked, its ARN, needs no read",
        (
            "s3:GetAccelerateConfiguration",
            "s3:GetAnalyticsConfiguration",
            "s3:GetBucketAbac",
            "s3:GetBucketCORS",
            "s3:GetBucketLogging",
            "s3:GetBucketMetadataTableConfiguration",
            "s3:GetBucketNotification",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetBucketWebsite",
            "s3:GetEncryptionConfiguration",
            "s3:GetIntelligentTieringConfiguration",
            "s3:GetInventoryConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetMetricsConfiguration",
            "s3:GetReplicationConfiguration",
            "s3:ListTagsForResource",
        ),
    ),
)

BEYOND = (
    Difference(
        "what Service Catalog does with a launch role (administrator guide, "
        '"Add a launch constraint to assign an IAM role")',
        (
            "cloudformation:CreateStack",
            "cloudformation:DeleteStack",
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStacks",
            "cloudformation:GetTemplateSummary",
            "cloudformation:SetStackPolicy",
            "cloudformation:UpdateStack",
            "cloudformation:ValidateTemplate",
            "s3:GetObject",
        ),
    ),
    Difference("the custom resources", ("lambda:InvokeFunction",)),
    Difference(
        "what CloudFormation tells the topic of the stacks, which is encrypted",
        ("kms:Decrypt", "kms:GenerateDataKey", "sns:Publish"),
    ),
    Difference(
        "the type has no handlers in the registry: the operations of SageMaker that make, tag, "
        "read, change and delete a lifecycle configuration",
        (
            "sagemaker:AddTags",
            "sagemaker:CreateNotebookInstanceLifecycleConfig",
            "sagemaker:DeleteNotebookInstanceLifecycleConfig",
            "sagemaker:DescribeNotebookInstanceLifecycleConfig",
            "sagemaker:UpdateNotebookInstanceLifecycleConfig",
        ),
    ),
)


def mistakes(
    types: Collection[str],
    granted: Collection[str],
    lacked: Collection[Difference] = LACKED,
    beyond: Collection[Difference] = BEYOND,
) -> Iterator[str]:
    """Yield what is wrong with a launch role that may do `granted`, for resources of these types.

    And what the reasons above say and is not so.
    """
    schemas = json.loads(_SCHEMAS.read_text())["types"]
    ours = {each for each in types if not each.startswith("Custom::")}
    yield from (f"{each}: its handlers are not in handlers.json" for each in ours - schemas.keys())
    yield from (
        f"{each} is in handlers.json, and no product has it" for each in schemas.keys() - ours
    )
    listed = {
        action
        for each in ours & schemas.keys()
        for permissions in schemas[each].values()
        for action in permissions
    }
    may_lack = {action for each in lacked for action in each.actions}
    may_have = {action for each in beyond for action in each.actions}
    for action in sorted(listed - set(granted) - may_lack):
        yield f"the launch role lacks {action}, which a handler may call"
    for action in sorted(set(granted) - listed - may_have):
        yield f"the launch role has {action}, which no handler calls"
    for action in sorted(may_lack - (listed - set(granted))):
        yield f"there is a reason to lack {action}, which is not lacked"
    for action in sorted(may_have - (set(granted) - listed)):
        yield f"there is a reason to have {action}, which is no exception"
