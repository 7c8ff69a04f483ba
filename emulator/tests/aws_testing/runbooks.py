"""A runbook like those of service actions: it finds a bucket's stack and changes a resource."""

from typing import Any

# Finds the notebook of the launch that a bucket belongs to.
FIND: dict[str, Any] = {
    "name": "Find",
    "action": "aws:executeAwsApi",
    "inputs": {
        "Service": "cloudformation",
        "Api": "DescribeStackResources",
        "PhysicalResourceId": "{{ BucketName }}",
        "LogicalResourceId": "Notebook",
    },
    "outputs": [
        {
            "Name": "Notebook",
            "Selector": "$.StackResources[0].PhysicalResourceId",
            "Type": "String",
        }
    ],
}
PARTS = {
    "Bucket": {"Type": "AWS::S3::Bucket"},
    # Stands for a notebook: a resource with a state that a call changes.
    "Notebook": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 1}},
}
LOGS = {"Service": "logs", "logGroupName": "{{ Find.Notebook }}"}
RUNBOOK: dict[str, Any] = {
    "schemaVersion": "0.3",
    "description": "keeps the logs a week",
    "parameters": {
        "BucketName": {"type": "String"},
        "AutomationAssumeRole": {"type": "String", "default": ""},
    },
    "assumeRole": "{{ AutomationAssumeRole }}",
    "mainSteps": [
        FIND,
        {
            "name": "Keep",
            "action": "aws:executeAwsApi",
            "onFailure": "Abort",
            "inputs": {**LOGS, "Api": "PutRetentionPolicy", "retentionInDays": 7},
        },
        {
            "name": "Await",
            "action": "aws:waitForAwsResourceProperty",
            "timeoutSeconds": 60,
            "isEnd": True,
            "inputs": {
                "Service": "logs",
                "Api": "DescribeLogGroups",
                "logGroupNamePrefix": "{{ Find.Notebook }}",
                "PropertySelector": "$.logGroups[0].retentionInDays",
                "DesiredValues": [7],
            },
        },
    ],
}


def allow(*actions: str, resource: str | list[str] = "*") -> dict[str, Any]:
    """Return a statement that allows the actions."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


STEPS = allow(
    "cloudformation:DescribeStackResources", "logs:PutRetentionPolicy", "logs:DescribeLogGroups"
)
