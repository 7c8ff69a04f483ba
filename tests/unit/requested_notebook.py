"""CloudFormation's request for a notebook, with changes."""

from typing import Any
from urllib.parse import urlencode

from notebook_vending.requests.cfn_request import CustomResourceRequest, parse_request

ADDRESS = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/key"

PROPERTIES: dict[str, Any] = {
    "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:request",
    "ServiceTimeout": "3600",
    "NotebookInstanceName": "analysis",
    "NotebookInstanceType": "ml.t3.medium",
    "RoleArn": "arn:aws:iam::123456789012:role/path/execution",
    "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/1234",
    "Subnet": "research",
    "SecurityGroupName": "notebooks",
}

EVENT: dict[str, Any] = {
    "RequestType": "Create",
    "RequestId": "8d5a3c1e-2b47-4f60-9e13-a1b2c3d4e5f6",
    "ServiceToken": PROPERTIES["ServiceToken"],
    "ResponseURL": f"{ADDRESS}?{urlencode({'X-Amz-Date': '20260105T075930Z'})}",
    "ResourceType": "Custom::SageMakerNotebook",
    "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/SC-1/s",
    "LogicalResourceId": "Notebook",
    "ResourceProperties": PROPERTIES,
}


def request(**changes: Any) -> CustomResourceRequest:
    """Return a plain Create request with these changes."""
    return parse_request({**EVENT, **changes})
