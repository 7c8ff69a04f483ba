"""The permissions that AWS requires and no call here can show, each with its reason and source.

A run fails for an entry whose permission is not granted, or was used.
"""

from permissions_proof.usage import Unexercised

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
    "PublishProductRole",
    "SharePortfolioRole",
    "EraseDataRole",
    "DeleteOrphansRole",
    "ExpireLaunchesRole",
    "PublishVersionsRole",
    "GuardNotebooksRole",
    "CountRunningRole",
    "StopIdleRole",
    "StartOnHoursRole",
    "WatchBudgetRole",
    "ReportDriftRole",
)
_READS_THE_LEDGER = (
    *("RequestRole", "ObserveRole", "CreateRole", "UpdateRole", "StartRole", "StopRole"),
    *("DeleteRole", "RespondRole", "WaitRole", "DeleteOrphansRole", "StopIdleRole"),
    "StartOnHoursRole",
    "WatchBudgetRole",
    "ReportDriftRole",
)
_KMS_HANDLERS = (
    "https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-kms at f2d7168"
)
_SCHEMAS = (
    "CloudFormation registry, resource schemas in cfn-lint: "
    "emulator/embedded_aws/runtime/resource_schemas.py"
)

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
        "Lambda sends a function's traces with the function's role, and tracing is off here",
        "https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html",
    ),
    Unexercised(
        _READS_THE_LEDGER,
        ("kms:DescribeKey",),
        "DynamoDB's guide lists it for principals that use a table with a customer's key. Reports "
        "say that kms:Decrypt is enough (aws/aws-cdk#10010)",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
        "encryption.usagenotes.html",
        statement="TheLedgerIsEncrypted",
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
        "Step Functions sends traces with the state machine's role, and tracing is off here",
        "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html",
    ),
    Unexercised(
        ("OffHoursRole", "OnHoursRole"),
        ("kms:Decrypt", "kms:GenerateDataKey", "lambda:InvokeFunction", "sqs:SendMessage"),
        "EventBridge Scheduler uses this role, and only it may assume the role. The emulator's "
        "works without it",
        "https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html",
    ),
    Unexercised(
        ("LaunchRole",),
        (
            "cloudformation:DescribeStackResources",
            "cloudformation:GetTemplate",
            "cloudformation:ListExports",
            "cloudformation:ListImports",
            "cloudformation:ListStackResources",
            "cloudformation:SetStackPolicy",
            "cloudformation:TagResource",
            "cloudformation:UntagResource",
            "cloudformation:ValidateTemplate",
        ),
        "Service Catalog's guide asks for the right to create, read, update, delete, list and tag "
        "stacks, without a list of calls; the simulator makes none of these",
        "https://docs.aws.amazon.com/servicecatalog/latest/adminguide/getstarted-launchconstraint.html",
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
        (
            "iam:PutRolePermissionsBoundary",
            "s3:GetBucketAcl",
            "sagemaker:DeleteTags",
            "sns:SetSubscriptionAttributes",
            "sns:SetTopicAttributes",
        ),
        "listed for handlers, in updates that no version of the product makes yet",
        _SCHEMAS,
    ),
    Unexercised(
        ("LaunchRole",),
        ("kms:DescribeKey",),
        "an alias is described before it is made, and a denial is taken for one that exists",
        _KMS_HANDLERS,
        statement="Aliases",
    ),
    Unexercised(
        ("LaunchRole",),
        ("s3:UntagResource",),
        "one of two calls by which the handler may take a bucket's tags away; the other is "
        "s3:PutBucketTagging",
        _SCHEMAS,
    ),
    Unexercised(
        ("EndUserRole",),
        (
            "cloudformation:GetTemplateSummary",
            "servicecatalog:ScanProvisionedProducts",
            "ssm:GetAutomationExecution",
        ),
        "what the console's pages call besides: AWS's own policy for end users has it",
        "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/"
        "AWSServiceCatalogEndUserFullAccess.html",
    ),
    Unexercised(
        ("CreateRole", "DeleteRole"),
        ("ec2:DescribeNetworkInterfaces",),
        "SageMaker's guide of 2018 asked for it, today's does not",
        "https://github.com/awsdocs/amazon-sagemaker-developer-guide: api-permissions-reference.md",
    ),
    Unexercised(
        ("DeleteRole",),
        ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
        "SageMaker's guide of 2018 asked for it, today's does not",
        "https://github.com/awsdocs/amazon-sagemaker-developer-guide: api-permissions-reference.md",
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
