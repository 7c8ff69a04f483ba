"""The requests to IAM that docs/permissions.md and docs/controls.md call allowed or refused."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.scan.iam_engine import ACCOUNT, BUCKET, REGION, Context, Request


def arn(service: str, name: str) -> str:
    """Return an ARN in the account and the Region."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def shared(name: str) -> str:
    """Return the ARN of a subnet or security group that another account shares with this one."""
    return arn("ec2", name).replace(ACCOUNT, "999988887777")


def without(context: Context, *keys: str) -> Context:
    """Return the context without some keys."""
    return {key: value for key, value in context.items() if key not in keys}


def via(service: str) -> Context:
    """Return the context of KMS when a service calls it for a principal."""
    # IAM user guide, "Forward access sessions": the call has the principal's rights.
    return {
        "kms:ViaService": f"{service}.{REGION}.amazonaws.com",
        "kms:CallerAccount": ACCOUNT,
        "aws:ViaAWSService": "true",
    }


NOTEBOOK = arn("sagemaker", "notebook-instance/n")
STACK = arn("cloudformation", "stack/SC-111122223333-pp-1/1f2e3d4c")
PLATFORM = arn("cloudformation", "stack/platform/1f2e3d4c")
SCRIPTS = arn("sagemaker", "notebook-instance-lifecycle-config/notebook-vending-1")
PLATFORM_SCRIPT = arn(
    "sagemaker", "notebook-instance-lifecycle-config/packages-of-notebook-vending"
)
FOREIGN_SCRIPTS = arn("sagemaker", "notebook-instance-lifecycle-config/foreign")
LEDGER = arn("dynamodb", "table/ledger")
KEY, OTHER_KEY = arn("kms", "key/projectkey"), arn("kms", "key/otherkey")
PLATFORM_KEY, FOREIGN_KEY = arn("kms", "key/key"), arn("kms", "key/foreign")
JUMPSTART = f"arn:aws:s3:::jumpstart-cache-prod-{REGION}"
OTHER_BUCKET = BUCKET.replace("projectbucket", "otherbucket")
ROLES = f"arn:aws:iam::{ACCOUNT}:role/"
ROLE, FOREIGN_ROLE = f"{ROLES}notebook-vending/executionrole", f"{ROLES}Administrator"
POLICIES = f"arn:aws:iam::{ACCOUNT}:policy/"
FAILED_ANSWERS, UNDELIVERED = arn("sqs", "failedanswers"), arn("sqs", "undeliveredevents")
STATE_MACHINE = arn("states", "stateMachine:notebooklifecycle")
STREAM = "log-group:/aws/sagemaker/NotebookInstances:log-stream:"
PRODUCT, PORTFOLIO = arn("catalog", "product/product"), arn("catalog", "portfolio/port-1")
BUDGET = f"arn:aws:budgets::{ACCOUNT}:budget/NotebookVending-port-1"
OTHER_BUDGET = BUDGET.replace("NotebookVending-port-1", "Everything")
OWNERS_TOPIC = arn("sns", "NotebookVending-Owner-1")

PASSED: Context = {"iam:PassedToService": "sagemaker.amazonaws.com"}
OURS: Context = {"aws:ResourceTag/notebook-vending:platform": "platform"}
ANOTHERS: Context = {"aws:ResourceTag/notebook-vending:platform": "another-platform"}
OF_A_LAUNCH: Context = {"aws:ResourceTag/notebook-vending:stack-id": PLATFORM}
THROUGH_THE_ENDPOINT: Context = {"aws:SourceVpce": "s3gatewayendpoint"}
IN_A_PROJECT: Context = {**OURS, "aws:ResourceTag/ProjectID": "QuickStart007"}
IN_ANOTHER: Context = {**OURS, "aws:ResourceTag/ProjectID": "Moon"}

# The notebook as the function requests it.
CREATED: Context = {
    "aws:RequestTag/notebook-vending:platform": "platform",
    "aws:TagKeys": ["notebook-vending:platform"],
    "sagemaker:DirectInternetAccess": "Disabled",
    "sagemaker:InstanceTypes": ["ml.t3.medium"],
    "sagemaker:MinimumInstanceMetadataServiceVersion": "2",
    "sagemaker:NotebookInstanceLifecycleConfigArns": [SCRIPTS],
    "sagemaker:RootAccess": "Disabled",
    "sagemaker:VolumeKmsKeyArn": KEY,
    "sagemaker:VpcSecurityGroupIds": ["sg-1"],
    "sagemaker:VpcSubnets": ["subnet-1"],
}
CREATE = "sagemaker:CreateNotebookInstance"

# A job as the example requests it.
JOB: Context = {
    "aws:RequestTag/ProjectID": "QuickStart007",
    "aws:TagKeys": ["ProjectID"],
    "sagemaker:InstanceTypes": ["ml.m5.large"],
    "sagemaker:OutputKmsKeyArn": KEY,
    "sagemaker:VolumeKmsKeyArn": KEY,
    "sagemaker:VpcSecurityGroupIds": ["securitygroup"],
    "sagemaker:VpcSubnets": ["subnet"],
}

TRAINING, CONFIGURE = "sagemaker:CreateTrainingJob", "sagemaker:CreateEndpointConfig"
TRAINED = arn("sagemaker", "training-job/1f2e3d4c-a")
PROJECTS: Context = {"aws:ResourceTag/ProjectID": "QuickStart007"}
MOONS: Context = {"aws:ResourceTag/ProjectID": "Moon"}
GATEWAY = ("S3GatewayEndpoint",)
FOR_TOKENS = ("CodeArtifactApiInterfaceEndpoint",)
FOR_PACKAGES = ("CodeArtifactRepositoriesInterfaceEndpoint",)
DOMAIN = arn("codeartifact", "domain/packages")
PYTHON = arn("codeartifact", "repository/packages/python")
BEARER: Context = {"sts:AWSServiceName": "codeartifact.amazonaws.com"}
BOUNDED: Context = {"iam:PermissionsBoundary": f"{POLICIES}executionroleboundary"}
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def may(
    action: str, resource: str, why: str, context: Context | None = None, **more: Any
) -> Request:
    """Return a request that is allowed."""
    return Request("", action, resource, True, why, context or {}, **more)


def may_not(
    action: str, resource: str, why: str, context: Context | None = None, **more: Any
) -> Request:
    """Return a request that is refused."""
    return Request("", action, resource, False, why, context or {}, **more)


def self_at(level: str) -> Context:
    """Return Service Catalog's context for a launch that is the caller's own at this level."""
    return {f"servicecatalog:{level}Level": "self"}


def sagemaker(kind: str, name: str = "1f2e3d4c-a") -> str:
    """Return the ARN of a launch's resource in SageMaker."""
    return arn("sagemaker", f"{kind}/{name}")


READS_BUDGETS = may(
    "dynamodb:Query",
    LEDGER,
    "reads whether a project is over its budget",
    {
        "dynamodb:Attributes": ["Resource", "Month", "Spent", "Limit"],
        "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
    },
)
COUNTS_UNANSWERED = (
    may(
        "dynamodb:Query",
        f"{LEDGER}/index/Unanswered",
        "counts the unanswered requests",
        {"dynamodb:Select": "COUNT"},
    ),
    may_not(
        "dynamodb:Query",
        f"{LEDGER}/index/Unanswered",
        "reads none of them there",
        {"dynamodb:Select": "ALL_PROJECTED_ATTRIBUTES"},
    ),
)

_BY_ROLE: dict[str, list[Request]] = {
    "StopRole": [
        may(
            "logs:PutLogEvents",
            arn("logs", "log-group:functionlogs:log-stream:1"),
            "writes its log",
        ),
        may_not(
            "logs:PutLogEvents", arn("logs", "log-group:other:log-stream:1"), "writes no other log"
        ),
        may("xray:PutTraceSegments", "*", "writes its traces"),
        may("sagemaker:StopNotebookInstance", NOTEBOOK, "with the platform's tag", OURS),
        may_not(
            "sagemaker:StopNotebookInstance", NOTEBOOK, "with another platform's tag", ANOTHERS
        ),
        may_not(
            "sagemaker:StopNotebookInstance",
            NOTEBOOK,
            "as a permissions boundary denies it",
            OURS,
            boundary={
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}],
            },
        ),
    ],
    "StartRole": [
        may_not("kms:CreateGrant", FOREIGN_KEY, "grants no key but through SageMaker"),
        may("ec2:CreateNetworkInterface", arn("ec2", "subnet/s"), "in a subnet of its own account"),
        may("ec2:CreateNetworkInterface", shared("subnet/s"), "in a subnet that is shared with it"),
        may(
            "ec2:CreateNetworkInterface", shared("security-group/g"), "with a group that is shared"
        ),
        may_not(
            "ec2:CreateNetworkInterface",
            shared("network-interface/i"),
            "makes no interface of another account",
        ),
        may(
            "dynamodb:Query",
            LEDGER,
            "reads a request",
            {
                "dynamodb:Attributes": ["Resource", "Request", "Entry"],
                "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
            },
        ),
        may_not(
            "dynamodb:Query",
            LEDGER,
            "reads no response URL",
            {
                "dynamodb:Attributes": ["Entry", "ResponseURL"],
                "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
            },
        ),
        may_not(
            "dynamodb:Query",
            LEDGER,
            "reads not all attributes",
            {"dynamodb:Attributes": ["Resource"], "dynamodb:Select": "ALL_ATTRIBUTES"},
        ),
        may_not("dynamodb:GetItem", LEDGER, "reads no item with its response URL"),
        may("kms:Decrypt", PLATFORM_KEY, "reads the encrypted ledger", via("dynamodb")),
        may_not("kms:Decrypt", PLATFORM_KEY, "decrypts nothing directly"),
        may("sagemaker:StartNotebookInstance", NOTEBOOK, "with the platform's tag", OURS),
        may_not(
            "sagemaker:StartNotebookInstance", NOTEBOOK, "with another platform's tag", ANOTHERS
        ),
        may_not("sagemaker:StopNotebookInstance", NOTEBOOK, "stops none", OURS),
        may(
            "kms:CreateGrant",
            KEY,
            "grants the volume's key",
            via("sagemaker"),
        ),
    ],
    "RequestRole": [
        may(
            "dynamodb:PutItem",
            LEDGER,
            "enters a request",
            {"dynamodb:LeadingKeys": ["stack|Notebook"]},
        ),
        may_not("dynamodb:GetItem", LEDGER, "reads no entered request"),
        READS_BUDGETS,
        may_not(
            "dynamodb:Query",
            LEDGER,
            "reads no response URL",
            {
                "dynamodb:Attributes": ["Resource", "ResponseURL"],
                "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
            },
        ),
        may("states:StartExecution", STATE_MACHINE, "starts the execution"),
        may_not(
            "states:StartExecution",
            arn("states", "stateMachine:other"),
            "starts no other state machine",
        ),
        may(
            "lambda:InvokeFunction",
            arn("lambda", "function:respondfunction"),
            "hands on a request that it failed at",
        ),
        may_not(
            "lambda:InvokeFunction",
            arn("lambda", "function:deletefunction"),
            "invokes no other function",
        ),
    ],
    "ObserveRole": [
        may("sagemaker:DescribeNotebookInstance", NOTEBOOK, "describes any notebook", ANOTHERS),
        may_not("sagemaker:StopNotebookInstance", NOTEBOOK, "does not stop one", OURS),
        may(
            "dynamodb:UpdateItem",
            LEDGER,
            "records that the notebook ran",
            {"dynamodb:Attributes": ["Resource", "Request", "RanOn"]},
        ),
        may_not(
            "dynamodb:UpdateItem",
            LEDGER,
            "writes no answer",
            {"dynamodb:Attributes": ["Resource", "Request", "Outcome"]},
        ),
        may("ec2:DescribeSubnets", "*", "compares the place"),
        *COUNTS_UNANSWERED,
    ],
    "RespondRole": [
        may("dynamodb:GetItem", LEDGER, "reads the response URL"),
        may("dynamodb:Query", f"{LEDGER}/index/Unanswered", "finds what is past its deadline"),
        may_not("dynamodb:Query", LEDGER, "queries only the index"),
        may(
            "states:DescribeExecution",
            arn("states", "execution:notebooklifecycle-name:e"),
            "finds the execution of a request",
        ),
        may("sqs:SendMessage", FAILED_ANSWERS, "counts what it failed at"),
        may("kms:GenerateDataKey", PLATFORM_KEY, "in an encrypted queue", via("sqs")),
        may_not("sqs:ReceiveMessage", FAILED_ANSWERS, "nobody reads that queue"),
    ],
    "WaitRole": [
        may("dynamodb:PutItem", LEDGER, "keeps a token", {"dynamodb:LeadingKeys": ["waiting|n"]}),
        may("dynamodb:GetItem", LEDGER, "reads a token", {"dynamodb:LeadingKeys": ["waiting|n"]}),
        may_not(
            "dynamodb:GetItem",
            LEDGER,
            "reads no request",
            {"dynamodb:LeadingKeys": ["stack|Notebook"]},
        ),
        may_not(
            "dynamodb:GetItem",
            LEDGER,
            "reads no request along with a token",
            {"dynamodb:LeadingKeys": ["waiting|n", "stack|Notebook"]},
        ),
        may_not("dynamodb:GetItem", LEDGER, "reads nothing without a key"),
        may("states:SendTaskSuccess", "*", "gives a token back"),
        may_not(
            "states:StopExecution",
            arn("states", "execution:notebooklifecycle-name:e"),
            "stops no execution",
        ),
    ],
    "CreateRole": [
        *COUNTS_UNANSWERED,
        may_not("kms:CreateGrant", FOREIGN_KEY, "grants no key but through SageMaker"),
        may(CREATE, NOTEBOOK, "private and encrypted", CREATED),
        may_not(CREATE, NOTEBOOK, "without a key", without(CREATED, "sagemaker:VolumeKmsKeyArn")),
        may_not(
            CREATE,
            NOTEBOOK,
            "without a subnet",
            without(CREATED, "sagemaker:VpcSubnets", "sagemaker:VpcSecurityGroupIds"),
        ),
        may_not(
            CREATE,
            NOTEBOOK,
            "with direct internet access",
            {**CREATED, "sagemaker:DirectInternetAccess": "Enabled"},
        ),
        may_not(
            CREATE,
            NOTEBOOK,
            "without a word on the internet",
            without(CREATED, "sagemaker:DirectInternetAccess"),
        ),
        may_not(
            CREATE,
            NOTEBOOK,
            "with root access that is not allowed",
            {**CREATED, "sagemaker:RootAccess": "Enabled"},
            narrow=True,
        ),
        may(
            CREATE,
            NOTEBOOK,
            "with root access that is allowed",
            {**CREATED, "sagemaker:RootAccess": "Enabled"},
        ),
        may_not(
            CREATE,
            NOTEBOOK,
            "without the platform's tag",
            without(CREATED, "aws:RequestTag/notebook-vending:platform"),
        ),
        may_not(
            CREATE,
            NOTEBOOK,
            "with another platform's tag",
            {**CREATED, "aws:RequestTag/notebook-vending:platform": "another-platform"},
        ),
        may_not(
            CREATE,
            NOTEBOOK,
            "with an older metadata service",
            {**CREATED, "sagemaker:MinimumInstanceMetadataServiceVersion": "1"},
        ),
        may_not(
            CREATE,
            NOTEBOOK,
            "with scripts that are no launch's",
            {**CREATED, "sagemaker:NotebookInstanceLifecycleConfigArns": [FOREIGN_SCRIPTS]},
        ),
        may(
            CREATE,
            NOTEBOOK,
            "without scripts",
            without(CREATED, "sagemaker:NotebookInstanceLifecycleConfigArns"),
        ),
        may(
            "sagemaker:AddTags",
            NOTEBOOK,
            "tags it at its creation",
            {
                **{key: CREATED[key] for key in CREATED if key.startswith("aws:")},
                "sagemaker:TaggingAction": "CreateNotebookInstance",
            },
        ),
        may_not(
            "sagemaker:AddTags",
            NOTEBOOK,
            "makes no other notebook the platform's",
            {**ANOTHERS, **{key: CREATED[key] for key in CREATED if key.startswith("aws:")}},
        ),
        may("iam:PassRole", ROLE, "passes a launch's role", PASSED),
        may_not("iam:PassRole", FOREIGN_ROLE, "passes no other role", PASSED),
        may_not(
            "iam:PassRole",
            ROLE,
            "passes it to SageMaker only",
            {"iam:PassedToService": "ec2.amazonaws.com"},
        ),
        may(
            "kms:CreateGrant",
            KEY,
            "grants the volume's key",
            via("sagemaker"),
        ),
        may_not(
            "kms:CreateGrant", KEY, "grants it to nothing else", {"kms:CallerAccount": ACCOUNT}
        ),
        may_not("kms:Decrypt", KEY, "reads no project's data", via("s3")),
        may("ec2:CreateNetworkInterface", arn("ec2", "subnet/s"), "in a subnet of its own account"),
        may("ec2:CreateNetworkInterface", shared("subnet/s"), "in a subnet that is shared with it"),
        may(
            "ec2:CreateNetworkInterface", shared("security-group/g"), "with a group that is shared"
        ),
        may_not(
            "ec2:CreateNetworkInterface",
            shared("network-interface/i"),
            "makes no interface of another account",
        ),
        may("cloudformation:DescribeStacks", STACK, "finds who launched"),
        may_not("sagemaker:DeleteNotebookInstance", NOTEBOOK, "deletes none", OURS),
    ],
    "UpdateRole": [
        may("sagemaker:UpdateNotebookInstance", NOTEBOOK, "with the platform's tag", OURS),
        may(
            "sagemaker:UpdateNotebookInstance",
            NOTEBOOK,
            "to the newer metadata service",
            {
                **OURS,
                "sagemaker:MinimumInstanceMetadataServiceVersion": "2",
                "sagemaker:NotebookInstanceLifecycleConfigArns": [SCRIPTS],
            },
        ),
        may_not(
            "sagemaker:UpdateNotebookInstance",
            NOTEBOOK,
            "to an older metadata service",
            {**OURS, "sagemaker:MinimumInstanceMetadataServiceVersion": "1"},
        ),
        may_not(
            "sagemaker:UpdateNotebookInstance",
            NOTEBOOK,
            "to scripts that are no launch's",
            {**OURS, "sagemaker:NotebookInstanceLifecycleConfigArns": [FOREIGN_SCRIPTS]},
        ),
        may(
            "sagemaker:UpdateNotebookInstance",
            NOTEBOOK,
            "to an instance type that is allowed",
            {**OURS, "sagemaker:InstanceTypes": ["ml.t3.medium"]},
        ),
        may_not(
            "sagemaker:UpdateNotebookInstance",
            NOTEBOOK,
            "to an instance type that is not allowed",
            {**OURS, "sagemaker:InstanceTypes": ["ml.p5.48xlarge"]},
        ),
        may(
            "sagemaker:UpdateNotebookInstance",
            NOTEBOOK,
            "to root access that is allowed",
            {**OURS, "sagemaker:RootAccess": "Enabled"},
        ),
        may_not(
            "sagemaker:UpdateNotebookInstance",
            NOTEBOOK,
            "to root access that is not allowed",
            {**OURS, "sagemaker:RootAccess": "Enabled"},
            narrow=True,
        ),
        may(
            "sagemaker:UpdateNotebookInstance",
            NOTEBOOK,
            "to none where root access is not allowed",
            {**OURS, "sagemaker:RootAccess": "Disabled"},
            narrow=True,
        ),
        may_not(
            "sagemaker:UpdateNotebookInstance", NOTEBOOK, "with another platform's tag", ANOTHERS
        ),
        may_not("sagemaker:UpdateNotebookInstance", NOTEBOOK, "without a tag"),
        may(
            "sagemaker:DeleteTags",
            NOTEBOOK,
            "with the platform's tag",
            {**OURS, "aws:TagKeys": ["ENVName"]},
        ),
        may_not(
            "sagemaker:AddTags",
            NOTEBOOK,
            "tags no notebook into the platform",
            {
                **ANOTHERS,
                "aws:RequestTag/notebook-vending:platform": "platform",
                "aws:TagKeys": ["notebook-vending:platform"],
            },
        ),
    ],
    "DeleteRole": [
        may("sagemaker:DeleteNotebookInstance", NOTEBOOK, "with the platform's tag", OURS),
        may_not(
            "sagemaker:DeleteNotebookInstance", NOTEBOOK, "with another platform's tag", ANOTHERS
        ),
        may(
            "ec2:DeleteNetworkInterface",
            arn("ec2", "network-interface/eni-1"),
            "releases its interface",
        ),
    ],
    "DeleteOrphansRole": [
        may(
            "servicecatalog:DescribeProvisionedProduct",
            "*",
            "asks whether a launch is there",
            self_at("account"),
        ),
        may_not(
            "servicecatalog:TerminateProvisionedProduct",
            "*",
            "terminates none",
            self_at("account"),
        ),
        may("sagemaker:ListNotebookInstances", "*", "finds notebooks"),
        may("cloudformation:DescribeStacks", "*", "describes all stacks in one list"),
        may("cloudformation:ListStacks", "*", "describes all stacks in one list"),
        may_not("cloudformation:GetTemplate", STACK, "reads no template"),
        may_not("sagemaker:DeleteNotebookInstance", NOTEBOOK, "deletes none itself", OURS),
        may("sqs:SendMessage", UNDELIVERED, "counts what it failed at"),
    ],
    "StopIdleRole": [
        may("sagemaker:StopNotebookInstance", NOTEBOOK, "with the platform's tag", OURS),
        may_not(
            "sagemaker:StopNotebookInstance", NOTEBOOK, "with another platform's tag", ANOTHERS
        ),
        may(
            "logs:GetLogEvents",
            arn("logs", f"{STREAM}n/IdleStop"),
            "reads what an idle notebook reports",
        ),
        may_not("logs:GetLogEvents", arn("logs", f"{STREAM}n/OnStart"), "reads no other stream"),
        may(
            "sagemaker:AddTags",
            NOTEBOOK,
            "records the stop",
            {**OURS, "aws:TagKeys": ["notebook-vending:calendar"]},
        ),
        may_not(
            "sagemaker:AddTags",
            NOTEBOOK,
            "changes no other tag",
            {**OURS, "aws:TagKeys": ["notebook-vending:platform"]},
        ),
        may_not("sagemaker:StartNotebookInstance", NOTEBOOK, "starts none", OURS),
    ],
    "StartOnHoursRole": [
        READS_BUDGETS,
        may("sagemaker:StartNotebookInstance", NOTEBOOK, "with the platform's tag", OURS),
        may_not(
            "sagemaker:StartNotebookInstance", NOTEBOOK, "with another platform's tag", ANOTHERS
        ),
        may_not("sagemaker:StopNotebookInstance", NOTEBOOK, "stops none", OURS),
        may(
            "sagemaker:AddTags",
            NOTEBOOK,
            "records the start",
            {**OURS, "aws:TagKeys": ["notebook-vending:calendar"]},
        ),
        may_not(
            "sagemaker:AddTags",
            NOTEBOOK,
            "changes no other tag",
            {**OURS, "aws:TagKeys": ["notebook-vending:calendar", "notebook-vending:platform"]},
        ),
    ],
    "CountRunningRole": [
        may("tag:GetResources", "*", "counts notebooks"),
        may_not("sagemaker:DescribeNotebookInstance", NOTEBOOK, "describes none", OURS),
    ],
    "GuardNotebooksRole": [
        may("cloudformation:DescribeStacks", PLATFORM, "sees whether the platform goes"),
        may("cloudformation:DescribeStacks", STACK, "sees which portfolio a launch is of"),
        may_not(
            "cloudformation:DescribeStacks",
            arn("cloudformation", "stack/another/1f2e3d4c"),
            "sees no other stack",
        ),
        may("sagemaker:DescribeNotebookInstance", NOTEBOOK, "finds what would be left", OURS),
    ],
    "OffHoursRole": [
        may(
            "lambda:InvokeFunction",
            arn("lambda", "function:stopidlefunction"),
            "invokes the function",
        ),
        may_not(
            "lambda:InvokeFunction", arn("lambda", "function:deletefunction"), "invokes no other"
        ),
    ],
    "OnHoursRole": [
        may(
            "lambda:InvokeFunction",
            arn("lambda", "function:startonhoursfunction"),
            "invokes the function",
        ),
        may_not(
            "lambda:InvokeFunction", arn("lambda", "function:stopidlefunction"), "invokes no other"
        ),
    ],
    "FlowLogRole": [
        may("logs:DescribeLogGroups", "*", "writes the flow logs"),
        may_not(
            "logs:PutLogEvents",
            arn("logs", "log-group:functionlogs:log-stream:1"),
            "writes no other log",
        ),
    ],
    "PublishVersionsRole": [
        may(
            "lambda:PublishVersion",
            arn("lambda", "function:requestfunction"),
            "publishes a version",
        ),
        may_not(
            "lambda:PublishVersion", arn("lambda", "function:foreign"), "of no foreign function"
        ),
    ],
    "LifecycleRole": [
        may(
            "lambda:InvokeFunction", arn("lambda", "function:createfunction:1"), "invokes a version"
        ),
        may("logs:CreateLogDelivery", "*", "logs the executions"),
        may_not(
            "lambda:InvokeFunction",
            arn("lambda", "function:publishproductfunction"),
            "invokes no function but the lifecycle's",
        ),
    ],
    "PublishProductRole": [
        may("s3:PutObject", "arn:aws:s3:::templates/1.yaml", "publishes a template"),
        may_not(
            "s3:PutObject",
            "arn:aws:s3:::templates/1.yaml",
            "not without TLS",
            {"aws:SecureTransport": "false"},
        ),
        may_not("s3:GetObject", f"{BUCKET}/data", "reads no project's data"),
        may("servicecatalog:UpdateProvisioningArtifact", PRODUCT, "deprecates a version", OURS),
        may_not(
            "servicecatalog:UpdateProvisioningArtifact", PRODUCT, "of no other product", ANOTHERS
        ),
    ],
    "WatchBudgetRole": [
        may("budgets:ModifyBudget", BUDGET, "keeps the budget of a portfolio"),
        may("budgets:ViewBudget", BUDGET, "reads what was spent"),
        may_not("budgets:ViewBudget", OTHER_BUDGET, "reads no other budget"),
        may("servicecatalog:AssociateBudgetWithResource", "*", "shows it on the portfolio"),
        may(
            "dynamodb:PutItem",
            LEDGER,
            "records a project that is over its budget",
            {"dynamodb:LeadingKeys": ["budget|QuickStart007"]},
        ),
        may_not(
            "dynamodb:PutItem",
            LEDGER,
            "records no request",
            {"dynamodb:LeadingKeys": ["stack|Notebook"]},
        ),
        may_not("dynamodb:DeleteItem", LEDGER, "deletes nothing without a key"),
    ],
    "SharePortfolioRole": [
        may(
            "servicecatalog:CreatePortfolioShare",
            PORTFOLIO,
            "shares a portfolio of notebooks",
            {"aws:ResourceTag/notebook-vending:portfolio": "platform"},
        ),
        may_not("servicecatalog:CreatePortfolioShare", PORTFOLIO, "shares no other portfolio"),
    ],
    "ExpireLaunchesRole": [
        may(
            "sagemaker:AddTags",
            NOTEBOOK,
            "records the warning",
            {
                **OURS,
                "aws:TagKeys": ["notebook-vending:warned-of"],
                "aws:RequestTag/notebook-vending:warned-of": "1",
            },
        ),
        may_not(
            "sagemaker:AddTags",
            NOTEBOOK,
            "gives no other tag",
            {
                **OURS,
                "aws:TagKeys": ["notebook-vending:warned-of", "ProjectID"],
                "aws:RequestTag/ProjectID": "Moon",
            },
        ),
        may_not(
            "sagemaker:AddTags",
            NOTEBOOK,
            "on no other notebook",
            {**ANOTHERS, "aws:TagKeys": ["notebook-vending:warned-of"]},
        ),
        may(
            "servicecatalog:TerminateProvisionedProduct",
            "*",
            "terminates a launch",
            self_at("account"),
        ),
        may_not(
            "servicecatalog:TerminateProvisionedProduct",
            "*",
            "as the account's administrator only",
            self_at("user"),
        ),
        may("sns:Publish", OWNERS_TOPIC, "warns the owner"),
        may_not("sns:Publish", arn("sns", "other"), "publishes to no other topic"),
    ],
    "ReportDriftRole": [
        may("cloudtrail:LookupEvents", "*", "finds who changed a notebook"),
        may("dynamodb:PutItem", arn("dynamodb", "table/drifttable"), "keeps what was asked"),
        may_not("dynamodb:PutItem", LEDGER, "changes no request"),
        may_not("sagemaker:UpdateNotebookInstance", NOTEBOOK, "changes no notebook", OURS),
        may_not("sagemaker:AddTags", NOTEBOOK, "changes no tag", OURS),
    ],
    "EraseDataRole": [
        may(
            "s3:DeleteObjectVersion",
            f"{BUCKET}/data",
            "empties a launch's bucket from outside the VPC",
        ),
        may_not("s3:GetObject", f"{BUCKET}/data", "reads nothing"),
        may_not("s3:DeleteObject", "arn:aws:s3:::company-data/data", "empties no other bucket"),
        may("s3:DeleteBucket", BUCKET, "erases the bucket"),
        may("kms:ScheduleKeyDeletion", KEY, "erases the key"),
        may_not("kms:ScheduleKeyDeletion", FOREIGN_KEY, "erases no foreign key"),
        may_not("kms:PutKeyPolicy", KEY, "changes no key"),
    ],
    "DataAdministratorRole": [
        may("s3:GetObject", f"{BUCKET}/data", "reads what a launch left, from outside the VPC"),
        may_not("s3:PutObject", f"{BUCKET}/data", "writes nothing"),
        may_not("s3:GetObject", "arn:aws:s3:::company-data/data", "reads no other bucket"),
        may("kms:Decrypt", KEY, "decrypts through S3", {**via("s3"), **OF_A_LAUNCH}),
        may_not("kms:Decrypt", KEY, "decrypts nothing directly", OF_A_LAUNCH),
        may_not("kms:Decrypt", FOREIGN_KEY, "decrypts with no foreign key", via("s3")),
    ],
    "LaunchRole": [
        may("cloudformation:CreateStack", STACK, "makes a launch's stack"),
        may_not("cloudformation:DeleteStack", PLATFORM, "touches no other stack"),
        may(
            "lambda:InvokeFunction",
            arn("lambda", "function:erasedatafunction"),
            "empties a launch's bucket",
        ),
        may(
            "lambda:InvokeFunction",
            arn("lambda", "function:requestalias:live"),
            "requests a notebook",
        ),
        may_not(
            "lambda:InvokeFunction",
            arn("lambda", "function:deletefunction"),
            "invokes no other function",
        ),
        may("iam:CreateRole", ROLE, "makes the notebook's role", BOUNDED),
        may_not("iam:CreateRole", ROLE, "makes none without the boundary"),
        may("iam:PutRolePolicy", ROLE, "writes the policy of a role with the boundary", BOUNDED),
        may_not("iam:PutRolePolicy", ROLE, "writes none of a role without it"),
        may_not(
            "iam:PutRolePermissionsBoundary",
            ROLE,
            "sets no other boundary",
            {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"},
        ),
        may_not("iam:DeleteRolePermissionsBoundary", ROLE, "takes no boundary away", BOUNDED),
        may_not("iam:CreateRole", FOREIGN_ROLE, "makes no role outside the path"),
        may_not("iam:PutRolePolicy", FOREIGN_ROLE, "changes no role outside the path"),
        may_not("iam:PassRole", FOREIGN_ROLE, "passes no role", PASSED),
        may(
            "iam:AttachRolePolicy",
            ROLE,
            "attaches the platform's policy",
            {"iam:PolicyARN": f"{POLICIES}jobspolicy"},
        ),
        may_not(
            "iam:AttachRolePolicy",
            ROLE,
            "attaches no other policy",
            {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
        ),
        may(
            "kms:CreateKey",
            "*",
            "makes a key with a launch's tag",
            {
                "aws:RequestTag/notebook-vending:stack-id": STACK,
                "aws:TagKeys": ["notebook-vending:stack-id"],
            },
        ),
        may_not("kms:CreateKey", "*", "makes no key without it"),
        may_not("kms:TagResource", FOREIGN_KEY, "tags no key without it"),
        may("kms:PutKeyPolicy", KEY, "changes a launch's key, as its policy says"),
        may("kms:ScheduleKeyDeletion", KEY, "undoes a launch before the key's tags count"),
        may("kms:DeleteAlias", KEY, "and its alias"),
        may_not("kms:PutKeyPolicy", FOREIGN_KEY, "changes no foreign key"),
        may_not("kms:PutKeyPolicy", FOREIGN_KEY, "also if it has a launch's tag", OF_A_LAUNCH),
        may_not("kms:ScheduleKeyDeletion", FOREIGN_KEY, "deletes no foreign key"),
        may_not("kms:Decrypt", KEY, "reads no project's data", via("s3")),
        may("s3:CreateBucket", BUCKET, "makes the project's bucket"),
        may_not("s3:DeleteBucket", "arn:aws:s3:::company-data", "touches no other bucket"),
        may_not("s3:GetObject", f"{BUCKET}/data", "reads no project's data"),
        may(
            "s3:GetObject",
            "arn:aws:s3:::cf-templates-1/t",
            "reads Service Catalog's templates",
            {"s3:ExistingObjectTag/servicecatalog:provisioning": "true"},
        ),
        may("sns:CreateTopic", OWNERS_TOPIC, "makes the owner's topic"),
        may(
            "sagemaker:CreateNotebookInstanceLifecycleConfig",
            arn("sagemaker", "notebook-instance-lifecycle-config/notebook-vending-1"),
            "makes the notebook's scripts",
        ),
        may_not(
            "sagemaker:UpdateNotebookInstanceLifecycleConfig",
            PLATFORM_SCRIPT,
            "writes no script that other notebooks run",
        ),
        may_not(CREATE, NOTEBOOK, "makes no notebook itself", CREATED),
    ],
    "ActionsRole": [
        may_not("kms:CreateGrant", FOREIGN_KEY, "grants no key but through SageMaker"),
        may(
            "ssm:StartAutomationExecution",
            arn("ssm", "automation-definition/stopdocument:1"),
            "runs the document",
        ),
        may("sagemaker:StopNotebookInstance", NOTEBOOK, "stops a notebook of the platform", OURS),
        may_not("sagemaker:StopNotebookInstance", NOTEBOOK, "stops no other", ANOTHERS),
        may("sagemaker:StartNotebookInstance", NOTEBOOK, "starts a notebook of the platform", OURS),
        may(
            "kms:CreateGrant",
            KEY,
            "grants the volume's key",
            via("sagemaker"),
        ),
    ],
    "EndUserRole": [
        may_not(
            "kms:CreateGrant",
            FOREIGN_KEY,
            "grants a project's key through SageMaker only",
            {"aws:ResourceTag/ProjectID": "QuickStart007"},
        ),
        may("ec2:CreateNetworkInterface", arn("ec2", "subnet/s"), "in a subnet of its own account"),
        may("ec2:CreateNetworkInterface", shared("subnet/s"), "in a subnet that is shared with it"),
        may(
            "ec2:CreateNetworkInterface", shared("security-group/g"), "with a group that is shared"
        ),
        may_not(
            "ec2:CreateNetworkInterface",
            shared("network-interface/i"),
            "makes no interface of another account",
        ),
        may("servicecatalog:ProvisionProduct", PRODUCT, "launches the product"),
        may_not(
            "servicecatalog:ProvisionProduct",
            arn("catalog", "product/other"),
            "launches no other product",
        ),
        may(
            "servicecatalog:TerminateProvisionedProduct",
            "*",
            "terminates their own launch",
            self_at("user"),
        ),
        may_not(
            "servicecatalog:TerminateProvisionedProduct",
            "*",
            "terminates no launch of the account",
            self_at("account"),
        ),
        may(
            "servicecatalog:ExecuteProvisionedProductServiceAction",
            "*",
            "starts their own launch",
            self_at("user"),
        ),
        may_not(
            "servicecatalog:ExecuteProvisionedProductServiceAction",
            "*",
            "starts no other launch",
            self_at("role"),
        ),
        may(
            "sagemaker:CreatePresignedNotebookInstanceUrl",
            NOTEBOOK,
            "opens a notebook of their project",
            IN_A_PROJECT,
        ),
        may_not(
            "sagemaker:CreatePresignedNotebookInstanceUrl",
            NOTEBOOK,
            "opens none of another project",
            IN_ANOTHER,
        ),
        may_not(
            "sagemaker:CreatePresignedNotebookInstanceUrl",
            NOTEBOOK,
            "opens none that is not the platform's",
            without(IN_A_PROJECT, *OURS),
        ),
        may_not(
            "sagemaker:CreatePresignedNotebookInstanceUrl",
            NOTEBOOK,
            "opens none without a project",
            {**IN_A_PROJECT, "aws:PrincipalTag/ProjectID": ""},
        ),
        may_not(
            "sagemaker:DescribeNotebookInstance",
            NOTEBOOK,
            "sees none of another project",
            IN_ANOTHER,
        ),
        may_not(
            "sagemaker:StopNotebookInstance", NOTEBOOK, "stops none of another project", IN_ANOTHER
        ),
        may(
            "sagemaker:StartNotebookInstance",
            NOTEBOOK,
            "starts a notebook of their project",
            IN_A_PROJECT,
        ),
        may_not(
            "sagemaker:StartNotebookInstance",
            NOTEBOOK,
            "starts none of another project",
            IN_ANOTHER,
        ),
        may(
            "sagemaker:StartNotebookInstance",
            NOTEBOOK,
            "a session for Moon starts Moon's",
            {**IN_ANOTHER, "aws:PrincipalTag/ProjectID": "Moon"},
        ),
        may_not(CREATE, NOTEBOOK, "makes none past the catalog", CREATED),
        may_not(
            "sagemaker:DeleteNotebookInstance",
            NOTEBOOK,
            "deletes none past the catalog",
            IN_A_PROJECT,
        ),
        may_not(
            "sagemaker:AddTags",
            NOTEBOOK,
            "changes no tags of a notebook",
            {**IN_A_PROJECT, "aws:TagKeys": ["ProjectID"]},
        ),
        may(
            "kms:CreateGrant",
            KEY,
            "grants the volume's key of their project",
            {
                **via("sagemaker"),
                "aws:ResourceTag/ProjectID": "QuickStart007",
            },
        ),
        may_not(
            "kms:CreateGrant",
            OTHER_KEY,
            "grants no key of another project",
            {
                **via("sagemaker"),
                "aws:ResourceTag/ProjectID": "Moon",
            },
        ),
        may_not(
            "kms:CreateGrant",
            OTHER_KEY,
            "the key refuses where its tag is forged",
            {
                **via("sagemaker"),
                "aws:ResourceTag/ProjectID": "QuickStart007",
            },
        ),
        may_not(
            "kms:Decrypt",
            KEY,
            "decrypts nothing",
            {**via("s3"), "aws:ResourceTag/ProjectID": "QuickStart007"},
        ),
        may_not("iam:PassRole", FOREIGN_ROLE, "passes no other role", PASSED),
        may_not(
            "s3:GetObject",
            f"{BUCKET}/data",
            "reads no data past the notebook",
            THROUGH_THE_ENDPOINT,
        ),
    ],
    "ExecutionRole": [
        may(
            "s3:GetObject",
            f"{BUCKET}/data",
            "reads through the endpoint",
            THROUGH_THE_ENDPOINT,
            endpoints=GATEWAY,
        ),
        may(
            "s3:PutObject",
            f"{BUCKET}/data",
            "writes through the endpoint",
            THROUGH_THE_ENDPOINT,
            endpoints=GATEWAY,
        ),
        may(
            "s3:PutObject",
            f"{BUCKET}/data",
            "writes with the project's key",
            {
                **THROUGH_THE_ENDPOINT,
                "s3:x-amz-server-side-encryption": "aws:kms",
                "s3:x-amz-server-side-encryption-aws-kms-key-id": KEY,
            },
        ),
        may_not(
            "s3:PutObject",
            f"{BUCKET}/data",
            "writes nothing with another key",
            {
                **THROUGH_THE_ENDPOINT,
                "s3:x-amz-server-side-encryption": "aws:kms",
                "s3:x-amz-server-side-encryption-aws-kms-key-id": OTHER_KEY,
            },
        ),
        may_not(
            "s3:PutObject",
            f"{BUCKET}/data",
            "writes nothing with the account's own key for S3",
            {**THROUGH_THE_ENDPOINT, "s3:x-amz-server-side-encryption": "aws:kms"},
        ),
        may_not(
            "s3:PutObject",
            f"{BUCKET}/data",
            "writes nothing with a key of S3's",
            {**THROUGH_THE_ENDPOINT, "s3:x-amz-server-side-encryption": "AES256"},
        ),
        may_not(
            "s3:PutObject",
            f"{BUCKET}/data",
            "writes nothing with a key that it sends along",
            {
                **THROUGH_THE_ENDPOINT,
                "s3:x-amz-server-side-encryption-customer-algorithm": "AES256",
            },
        ),
        may_not("s3:GetObject", f"{BUCKET}/data", "reads nothing past the endpoint"),
        may_not(
            "s3:GetObject",
            f"{BUCKET}/data",
            "reads nothing through another endpoint",
            {"aws:SourceVpce": "vpce-other"},
        ),
        may_not(
            "s3:GetObject",
            f"{BUCKET}/data",
            "reads nothing with an old TLS",
            {**THROUGH_THE_ENDPOINT, "s3:TlsVersion": "1.1"},
        ),
        may("s3:ListBucket", BUCKET, "lists the bucket, as SageMaker does from outside"),
        may_not(
            "s3:GetObject",
            f"{OTHER_BUCKET}/data",
            "reads no other project's bucket",
            THROUGH_THE_ENDPOINT,
            endpoints=GATEWAY,
        ),
        may_not(
            "s3:GetObjectVersion",
            f"{BUCKET}/data",
            "reads no overwritten version",
            THROUGH_THE_ENDPOINT,
        ),
        may("s3:GetObject", "arn:aws:s3:::given-codebucketname/code", "reads the code bucket"),
        may_not(
            "s3:GetObject",
            "arn:aws:s3:::given-codebucketname/code",
            "of the same account only",
            {"aws:ResourceAccount": "999999999999"},
        ),
        may_not(
            "s3:GetObject",
            "arn:aws:s3:::given-codebucketname/code",
            "which has to be named",
            narrow=True,
        ),
        may("kms:Decrypt", KEY, "decrypts through S3", via("s3")),
        may_not("kms:Decrypt", KEY, "decrypts nothing directly"),
        may_not("kms:Decrypt", OTHER_KEY, "decrypts with no other project's key", via("s3")),
        may("kms:CreateGrant", KEY, "grants the volumes of its jobs", via("sagemaker")),
        may_not("kms:CreateGrant", KEY, "grants nothing else", {"kms:CallerAccount": ACCOUNT}),
        may("iam:PassRole", ROLE, "passes itself", PASSED),
        may_not("iam:PassRole", FOREIGN_ROLE, "passes no other role", PASSED),
        may(
            "sagemaker:StopNotebookInstance",
            NOTEBOOK,
            "stops its own notebook when it is idle",
            OF_A_LAUNCH,
        ),
        may_not(
            "sagemaker:StopNotebookInstance",
            NOTEBOOK,
            "with IdleMinutes only",
            OF_A_LAUNCH,
            narrow=True,
        ),
        may_not(
            "sagemaker:StopNotebookInstance",
            NOTEBOOK,
            "stops no other notebook of its project",
            {"aws:ResourceTag/notebook-vending:stack-id": STACK},
        ),
        may_not(
            "sagemaker:AddTags",
            NOTEBOOK,
            "changes no tags of its notebook",
            {**OF_A_LAUNCH, "aws:TagKeys": ["ProjectID"]},
        ),
        may(TRAINING, TRAINED, "in the VPC with the launch's key", JOB),
        may_not(
            TRAINING,
            TRAINED,
            "without its key for the volume",
            without(JOB, "sagemaker:VolumeKmsKeyArn"),
        ),
        may_not(
            TRAINING,
            TRAINED,
            "without its key for the output",
            without(JOB, "sagemaker:OutputKmsKeyArn"),
        ),
        may_not(
            TRAINING,
            TRAINED,
            "with another key for the output",
            {**JOB, "sagemaker:OutputKmsKeyArn": OTHER_KEY},
        ),
        may_not(
            TRAINING,
            TRAINED,
            "with another key for the volume",
            {**JOB, "sagemaker:VolumeKmsKeyArn": OTHER_KEY},
        ),
        may(
            TRAINING,
            TRAINED,
            "on a type with a disk of its own, without the volume's key",
            {
                **without(JOB, "sagemaker:VolumeKmsKeyArn"),
                "sagemaker:InstanceTypes": ["ml.g5.xlarge"],
            },
        ),
        may_not(
            TRAINING,
            TRAINED,
            "on such a type and another",
            {
                **without(JOB, "sagemaker:VolumeKmsKeyArn"),
                "sagemaker:InstanceTypes": ["ml.g5.xlarge", "ml.m5.large"],
            },
        ),
        may_not(
            TRAINING,
            TRAINED,
            "outside the VPC",
            without(JOB, "sagemaker:VpcSubnets", "sagemaker:VpcSecurityGroupIds"),
        ),
        may_not(
            TRAINING,
            TRAINED,
            "in another subnet too",
            {**JOB, "sagemaker:VpcSubnets": ["subnet", "subnet-9"]},
        ),
        may_not(TRAINING, TRAINED, "with a file system", {**JOB, "sagemaker:FileSystemId": "fs-1"}),
        may_not(
            TRAINING, TRAINED, "for another project", {**JOB, "aws:RequestTag/ProjectID": "Moon"}
        ),
        may_not(
            TRAINING, sagemaker("training-job", "a"), "under a name that is not the launch's", JOB
        ),
        may(
            CONFIGURE,
            sagemaker("endpoint-config"),
            "from its model",
            {**without(JOB, "sagemaker:OutputKmsKeyArn"), "sagemaker:ModelArn": sagemaker("model")},
        ),
        may_not(
            CONFIGURE,
            sagemaker("endpoint-config"),
            "from no other model",
            {
                **without(JOB, "sagemaker:OutputKmsKeyArn"),
                "sagemaker:ModelArn": sagemaker("model", "other"),
            },
        ),
        may(
            "sagemaker:AddTags",
            TRAINED,
            "tags a job as it is made",
            {
                "aws:TagKeys": ["ProjectID"],
                "aws:RequestTag/ProjectID": "QuickStart007",
                "sagemaker:TaggingAction": "CreateTrainingJob",
            },
        ),
        may_not(
            "sagemaker:AddTags",
            TRAINED,
            "tags none afterwards",
            {"aws:TagKeys": ["ProjectID"], "aws:RequestTag/ProjectID": "QuickStart007"},
        ),
        may_not(
            "sagemaker:AddTags",
            TRAINED,
            "gives none of the platform's tags",
            {
                "aws:TagKeys": ["notebook-vending:platform"],
                "sagemaker:TaggingAction": "CreateTrainingJob",
            },
        ),
        may(
            "sagemaker:InvokeEndpoint",
            sagemaker("endpoint"),
            "invokes an endpoint of its project",
            PROJECTS,
        ),
        may_not(
            "sagemaker:InvokeEndpoint",
            sagemaker("endpoint", "moon"),
            "invokes none of another project",
            MOONS,
        ),
        may_not(
            "sagemaker:DeleteModel",
            sagemaker("model", "moon"),
            "deletes nothing of another project",
            MOONS,
        ),
        may(
            "sagemaker:DescribeModelPackage",
            sagemaker("model-package", "1f2e3d4c-a/1"),
            "describes a model that it registered",
        ),
        may(
            "sagemaker:UpdateModelPackage",
            sagemaker("model-package", "1f2e3d4c-a/1"),
            "approves a model that it registered",
        ),
        may_not(
            "sagemaker:UpdateModelPackage",
            sagemaker("model-package", "9a8b7c6d-a/1"),
            "approves no other launch's",
        ),
        may_not(
            "sagemaker:DescribeModelPackage",
            sagemaker("model-package", "9a8b7c6d-a/1"),
            "describes no other launch's",
        ),
        may(
            "ecr:BatchGetImage",
            arn("ecr", "repository/ours"),
            "pulls the account's images",
            PROJECTS,
        ),
        may_not(
            "ecr:BatchGetImage",
            arn("ecr", "repository/moon"),
            "pulls no image of another project",
            MOONS,
        ),
        may(
            "cloudwatch:PutMetricData",
            "*",
            "writes SageMaker's metrics",
            {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"},
        ),
        may_not(
            "cloudwatch:PutMetricData",
            "*",
            "writes no others",
            {"cloudwatch:namespace": "AWS/Billing"},
        ),
        may(
            "ec2:CreateNetworkInterface",
            arn("ec2", "subnet/subnet"),
            "makes interfaces in the platform's subnets",
        ),
        may(
            "ec2:CreateNetworkInterface",
            shared("subnet/subnet"),
            "in one of them that is shared with the account",
        ),
        may_not(
            "ec2:CreateNetworkInterface",
            arn("ec2", "subnet/subnet-9"),
            "makes none in other subnets",
        ),
        may_not(
            "iam:CreateUser",
            f"arn:aws:iam::{ACCOUNT}:user/u",
            "whatever its inline policy grants",
            further=EVERYTHING,
        ),
        may(
            "s3:GetObject",
            f"{JUMPSTART}/models_manifest.json",
            "reads what JumpStart publishes in the Region",
            {**THROUGH_THE_ENDPOINT, "aws:ResourceAccount": "999999999999"},
            endpoints=GATEWAY,
        ),
        may_not(
            "s3:PutObject",
            f"{JUMPSTART}/models_manifest.json",
            "writes nothing there",
            {**THROUGH_THE_ENDPOINT, "aws:ResourceAccount": "999999999999"},
            endpoints=GATEWAY,
        ),
        may_not(
            "s3:GetObject",
            f"{JUMPSTART}/models_manifest.json",
            "with JumpStartModels only",
            {**THROUGH_THE_ENDPOINT, "aws:ResourceAccount": "999999999999"},
            narrow=True,
        ),
        may(
            "sagemaker:DescribeNotebookInstanceLifecycleConfig",
            PLATFORM_SCRIPT,
            "fetches the script that sets pip up",
        ),
        may_not(
            "sagemaker:DescribeNotebookInstanceLifecycleConfig",
            SCRIPTS,
            "fetches no script of a launch",
        ),
        may(
            "codeartifact:GetAuthorizationToken",
            DOMAIN,
            "asks for a token of the domain of packages",
            endpoints=FOR_TOKENS,
        ),
        may(
            "sts:GetServiceBearerToken",
            "*",
            "which STS makes for CodeArtifact",
            BEARER,
            endpoints=FOR_TOKENS,
        ),
        may_not(
            "sts:GetServiceBearerToken",
            "*",
            "for CodeArtifact alone",
            {"sts:AWSServiceName": "ecr-public.amazonaws.com"},
        ),
        may(
            "codeartifact:GetRepositoryEndpoint",
            PYTHON,
            "asks for the address of the repository",
            endpoints=FOR_TOKENS,
        ),
        may(
            "codeartifact:ReadFromRepository",
            PYTHON,
            "installs its packages",
            endpoints=FOR_PACKAGES,
        ),
        may_not(
            "codeartifact:ReadFromRepository",
            arn("codeartifact", "repository/packages/other"),
            "reads no other repository of the domain",
        ),
        may_not(
            "codeartifact:ReadFromRepository",
            arn("codeartifact", "repository/packages/other"),
            "whatever it grants, by that endpoint",
            further=EVERYTHING,
            endpoints=FOR_PACKAGES,
        ),
        may_not(
            "codeartifact:GetAuthorizationToken",
            arn("codeartifact", "domain/other"),
            "asks for no token of another domain",
        ),
        may_not(
            "codeartifact:DeleteRepository",
            PYTHON,
            "reads alone, whatever it grants",
            further=EVERYTHING,
        ),
        may_not(
            "codeartifact:ReadFromRepository",
            PYTHON,
            "with CodeArtifactRepository only",
            narrow=True,
        ),
        may_not(
            "codeartifact:GetAuthorizationToken",
            DOMAIN,
            "with CodeArtifactRepository only",
            narrow=True,
        ),
        may_not(
            "sts:GetServiceBearerToken",
            "*",
            "with CodeArtifactRepository only",
            BEARER,
            narrow=True,
        ),
        may_not(
            "s3:GetObject",
            "arn:aws:s3:::elsewhere/data",
            "whatever it grants in another account",
            {"aws:ResourceAccount": "999999999999"},
            further=EVERYTHING,
        ),
        may_not(
            "iam:PassRole", FOREIGN_ROLE, "whatever role it grants", PASSED, further=EVERYTHING
        ),
        may_not("kms:Decrypt", FOREIGN_KEY, "whatever key it grants", further=EVERYTHING),
        may_not(
            "kms:Decrypt",
            "arn:aws:kms:eu-west-1:444455556666:key/k1",
            "of whatever account",
            via("s3"),
            further=EVERYTHING,
        ),
        may_not("sagemaker:Search", "*", "searches nothing"),
    ],
    "events.amazonaws.com": [
        may(
            "sqs:SendMessage",
            UNDELIVERED,
            "keeps an event that a rule could not deliver",
            {
                "aws:SourceArn": arn("events", "rule/deleteorphansfunctionschedule"),
                "aws:SourceAccount": ACCOUNT,
            },
        ),
        may_not(
            "sqs:SendMessage",
            UNDELIVERED,
            "keeps nothing of another rule",
            {"aws:SourceArn": arn("events", "rule/foreign"), "aws:SourceAccount": ACCOUNT},
        ),
        may(
            "kms:GenerateDataKey",
            PLATFORM_KEY,
            "encrypts it for this account",
            {"aws:SourceAccount": ACCOUNT},
        ),
        may("sns:Publish", arn("sns", "notifications"), "reports a launch"),
        may_not(
            "sns:Publish",
            arn("sns", "notifications"),
            "not without TLS",
            {"aws:SecureTransport": "false"},
        ),
    ],
    "cloudwatch.amazonaws.com": [
        may("kms:Decrypt", PLATFORM_KEY, "publishes alarms", {"aws:SourceAccount": ACCOUNT}),
    ],
    "budgets.amazonaws.com": [
        may("kms:GenerateDataKey", PLATFORM_KEY, "warns", {"aws:SourceAccount": ACCOUNT}),
        may_not("kms:GenerateDataKey", PLATFORM_KEY, "not for another account"),
        may(
            "sns:Publish",
            arn("sns", "notifications"),
            "warns the topic of a portfolio",
            {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": BUDGET},
        ),
        may_not(
            "sns:Publish",
            arn("sns", "notifications"),
            "not for another account",
            {"aws:SourceAccount": "999988887777", "aws:SourceArn": BUDGET},
        ),
    ],
    "s3.amazonaws.com": [
        may_not(
            "kms:Decrypt",
            PLATFORM_KEY,
            "has no business with the platform's key",
            {"aws:SourceAccount": ACCOUNT},
        ),
    ],
}


def _with_either_key(request: Request) -> Iterator[Request]:
    """Yield a request, and its variant with the deprecated keys that SageMaker may send."""
    yield request
    if request.action in (CREATE, TRAINING, CONFIGURE):
        yield replace(request, why=f"{request.why}, by the deprecated keys", old_keys=True)


REQUESTS = [
    either
    for role, requests in _BY_ROLE.items()
    for each in requests
    for either in _with_either_key(replace(each, role=role))
]

# The engine and this project disagree on these requests. The source settles each of them.
SETTLED = [
    (
        Request(
            "FlowLogRole",
            "logs:DescribeLogStreams",
            arn("logs", "log-group:flowlogs"),
            True,
            "finds the streams of the flow logs",
        ),
        'The policy names the group with ":*" behind it. CloudWatch Logs demands that for all but '
        "the actions on tags (user guide, Overview of managing access permissions).",
    ),
    (
        Request(
            "CreateRole",
            CREATE,
            NOTEBOOK,
            True,
            "by the deprecated key itself",
            {**without(CREATED, "sagemaker:VolumeKmsKeyArn"), "sagemaker:VolumeKmsKey": KEY},
        ),
        "The engine drops a key that the reference does not list with the action. No page says "
        "whether SageMaker sends it. With swapped names of the keys the engine allows the request.",
    ),
    (
        Request(
            "LaunchRole",
            "kms:DescribeKey",
            arn("kms", "alias/notebook-vending/SC-1"),
            True,
            "finds whether the alias exists",
        ),
        "The reference has only keys for DescribeKey. The handler of AWS::KMS::Alias describes an "
        "alias that does not exist yet (aws-cloudformation-resource-providers-kms).",
    ),
    (
        Request(
            "ExecutionRole",
            "sagemaker:CreateModelPackage",
            sagemaker("model-package-group"),
            True,
            "registers a model in its group",
        ),
        "The reference has only model packages for the action. Earlier editions had the group too.",
    ),
]
