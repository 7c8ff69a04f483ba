"""The permissions that AWS asks for and nothing here can show, each with its reason and source.

A run fails for an entry that names what is not granted, or what was used after all.
"""

from local.permissions.usage import Unexercised

_FUNCTIONS = (
    "RequestRole",
    "ObserveRole",
    "CreateRole",
    "UpdateRole",
    "StartRole",
    "StopRole",
    "DeleteRole",
    "RespondRole",
    "WaitRole",
    "PublishRole",
    "ShareRole",
    "EmptyBucketRole",
    "CleanRole",
    "ExpireRole",
    "VersionRole",
    "GuardRole",
    "CountRole",
    "RestRole",
)
_KMS_HANDLERS = (
    "https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-kms at f2d7168"
)
_SCHEMAS = "CloudFormation registry, resource schemas in cfn-lint: local/resource_schemas.py"

UNEXERCISED = (
    Unexercised(
        _FUNCTIONS,
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        "Lambda writes a function's log with the function's role; the emulator writes it itself",
        "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html",
    ),
    Unexercised(
        _FUNCTIONS,
        ("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
        "Lambda sends a function's traces with the function's role; nobody traces here",
        "https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html",
    ),
    Unexercised(
        ("LifecycleRole",),
        (
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ),
        "Step Functions sets its log delivery up with the state machine's role; no log is here",
        "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    ),
    Unexercised(
        ("LifecycleRole",),
        (
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
        ),
        "Step Functions sends traces with the state machine's role; nobody traces here",
        "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html",
    ),
    Unexercised(
        ("OffHoursRole",),
        ("kms:Decrypt", "kms:GenerateDataKey", "lambda:InvokeFunction", "sqs:SendMessage"),
        "EventBridge Scheduler works as this role, which nobody else may assume; the emulator's "
        "works without it",
        "https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html",
    ),
    Unexercised(
        ("LaunchRole",),
        ("cloudformation:SetStackPolicy", "cloudformation:ValidateTemplate"),
        "Service Catalog's own list of what a launch role needs; the simulator calls neither",
        "https://docs.aws.amazon.com/servicecatalog/latest/adminguide/getstarted-launchconstraint.html",
    ),
    Unexercised(
        ("LaunchRole",),
        (
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
        ),
        "what the handlers of a role and of its policy read; without iam:GetRole no role is made "
        "(aws/aws-cdk#27067)",
        _SCHEMAS,
    ),
    Unexercised(
        ("LaunchRole",),
        ("iam:UpdateRoleDescription",),
        "one of two calls by which the handler may change a role's description; the other is "
        "iam:UpdateRole",
        _SCHEMAS,
    ),
    Unexercised(
        ("LaunchRole",),
        ("kms:DescribeKey",),
        "read before a key is updated, after its deletion is scheduled, and for its attributes",
        f"{_SCHEMAS}; {_KMS_HANDLERS}",
    ),
    Unexercised(
        ("LaunchRole",),
        ("kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"),
        "read for a key's attributes; denied, the handler goes on without",
        f"{_SCHEMAS}; {_KMS_HANDLERS}",
    ),
    Unexercised(
        ("LaunchRole",),
        ("s3:GetBucketPolicy", "s3:ListBucket"),
        "read before a bucket, or its policy, is made, changed or deleted",
        _SCHEMAS,
    ),
    Unexercised(
        ("LaunchRole",),
        ("s3:TagResource", "s3:UntagResource"),
        "a bucket may be created with its tags since 2025, which asks for "
        "s3:TagResource; here it gets them by s3:PutBucketTagging",
        f"{_SCHEMAS}; https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html",
    ),
    Unexercised(
        ("LaunchRole",),
        (
            "sns:GetDataProtectionPolicy",
            "sns:GetTopicAttributes",
            "sns:ListSubscriptionsByTopic",
            "sns:ListTagsForResource",
        ),
        "what the handlers of a topic read",
        _SCHEMAS,
    ),
    Unexercised(
        ("LaunchRole",),
        ("sagemaker:DescribeNotebookInstanceLifecycleConfig",),
        "CloudFormation reads the configuration that it made",
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
        "API_DescribeNotebookInstanceLifecycleConfig.html",
    ),
    Unexercised(
        ("ActionsRole",),
        ("ssm:StartAutomationExecution",),
        "the ARN that a document has as automation-definition: the service authorization reference "
        "has it beside the other two, by which AWS's examples and the simulator judge",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/"
        "list_awssystemsmanager.html",
        statement="Automations",
    ),
    Unexercised(
        ("FlowLogRole",),
        (
            "logs:CreateLogStream",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        ),
        "EC2 writes flow logs as this role; nothing flows here",
        "https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html",
    ),
)
