"""Helpers that create a catalog in the embedded AWS, launch from it and read its records."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.exceptions
import pytest

from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

TEMPLATE = """
Parameters:
  Name: {Type: String}
  Size: {Type: String, Default: small, AllowedValues: [small, large]}
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: !Sub "${Name}-${Size}"}
  Role:
    Type: AWS::IAM::Role
    Properties:
      Path: /launched/
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement:
          - {Effect: Allow, Principal: {Service: sagemaker.amazonaws.com}, Action: sts:AssumeRole}
Outputs:
  Topic: {Value: !Ref Topic, Description: the topic}
  Size: {Value: !Ref Size}
  Role: {Value: !Ref Role}
"""
STACKS = {
    "Effect": "Allow",
    "Action": [
        "cloudformation:CreateStack",
        "cloudformation:DeleteStack",
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:UpdateStack",
    ],
    "Resource": "arn:aws:cloudformation:*:*:stack/SC-*",
}
SUMMARY = {"Effect": "Allow", "Action": "cloudformation:GetTemplateSummary", "Resource": "*"}
TEMPLATE_COPY = {
    "Effect": "Allow",
    "Action": "s3:GetObject",
    "Resource": "*",
    "Condition": {
        "StringEquals": {"s3:ExistingObjectTag/servicecatalog:provisioning": "true"},
    },
}
ROLES = {
    "Effect": "Allow",
    "Action": ["iam:CreateRole", "iam:DeleteRole", "iam:TagRole", "iam:Get*", "iam:List*"],
    "Resource": "arn:aws:iam::*:role/launched/*",
}
SNS = {"Effect": "Allow", "Action": "sns:*", "Resource": "*"}
LAUNCH = (STACKS, SUMMARY, TEMPLATE_COPY, ROLES)
OWN = {"StringEquals": {"servicecatalog:userLevel": "self"}}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(principal: dict[str, Any]) -> dict[str, Any]:
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        call(**params)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


class Account:
    """The administrator of the embedded AWS, who creates what a test needs."""

    def __init__(self, aws: Emulator) -> None:
        self.aws = aws
        self.id = aws.client("sts").get_caller_identity()["Account"]
        self.cloudformation = aws.client("cloudformation")
        self.catalog = aws.client("servicecatalog")

    def role(self, trusted: dict[str, Any], *statements: dict[str, Any]) -> str:
        """Create a role and return its ARN."""
        name, iam = unique("role"), self.aws.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust(trusted)))
        if statements:
            iam.put_role_policy(
                RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy(*statements))
            )
        return str(made["Role"]["Arn"])

    def person(self, role_arn: str, name: str, service: str = "servicecatalog") -> Any:
        """Return a client for a session of the role."""
        keys = self.aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=name)
        return self.aws.client(service, keys["Credentials"])

    def end_user_role(self, *statements: dict[str, Any]) -> str:
        """Create a role that every principal of the account may assume."""
        return self.role({"AWS": f"arn:aws:iam::{self.id}:root"}, *statements)

    def template(self, body: str) -> str:
        """Upload a template and return its URL."""
        s3, bucket = self.aws.client("s3"), unique("templates")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="some/template.yaml", Body=body.encode())
        return f"https://{bucket}.s3.us-east-1.amazonaws.com/some/template.yaml"

    def stack(self, resources: dict[str, Any], client: Any = None, **outputs: Any) -> str:
        """Start creating a stack and return its name."""
        name = unique("stack")
        (client or self.cloudformation).create_stack(
            StackName=name, TemplateBody=template(resources, **outputs)
        )
        return name

    def stack_of(self, body: dict[str, Any], **parameters: str) -> str:
        """Start creating a stack from a complete template and return its name."""
        name = unique("stack")
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
        self.cloudformation.create_stack(
            StackName=name, TemplateBody=json.dumps(body), Parameters=given
        )
        return name

    def settled(self, stack: str) -> dict[str, Any]:
        """Wait for a stack operation to end and return the stack as DescribeStacks shows it."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any]
            (found,) = self.cloudformation.describe_stacks(StackName=stack)["Stacks"]
            return None if found["StackStatus"].endswith("IN_PROGRESS") else found

        settled = await_that(look)
        assert settled
        return settled

    def outputs(self, stack: str) -> dict[str, str]:
        """Wait for a stack to succeed and return its outputs."""
        found = self.settled(stack)
        assert found["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), self.failures(stack)
        return {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])}

    def failures(self, stack: str) -> dict[str, str]:
        """Return the failure reasons by logical ID."""
        events = self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        return {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
        }

    def change(self, stack: str, resources: dict[str, Any], **outputs: Any) -> dict[str, str]:
        """Update a stack, wait for it to succeed and return its outputs."""
        self.cloudformation.update_stack(
            StackName=stack, TemplateBody=template(resources, **outputs)
        )
        return self.outputs(stack)

    def delete(self, stack: str) -> dict[str, Any]:
        """Delete a stack, wait for the end and return the stack."""
        (found,) = self.cloudformation.describe_stacks(StackName=stack)["Stacks"]
        self.cloudformation.delete_stack(StackName=stack)
        return self.settled(found["StackId"])


def template(resources: dict[str, Any], **outputs: Any) -> str:
    return json.dumps(
        {"Resources": resources, "Outputs": {k: {"Value": v} for k, v in outputs.items()}}
    )


def portfolio(name: str = "Notebooks") -> dict[str, Any]:
    properties = {"DisplayName": name, "ProviderName": "CQ"}
    return {"Type": "AWS::ServiceCatalog::Portfolio", "Properties": properties}


def product(*versions: tuple[str, str], **more: Any) -> dict[str, Any]:
    properties = {
        "Name": "Notebook",
        "Owner": "CQ",
        "ProvisioningArtifactParameters": [
            {"Name": name, "Info": {"LoadTemplateFromURL": url}} for name, url in versions
        ],
        **more,
    }
    return {"Type": "AWS::ServiceCatalog::CloudFormationProduct", "Properties": properties}


def catalog_of(template_url: str, launch_role: str, end_users: str) -> dict[str, Any]:
    pair = {"PortfolioId": {"Ref": "Portfolio"}, "ProductId": {"Ref": "Product"}}
    return {
        "Portfolio": portfolio(),
        "Product": product(("1", template_url)),
        "ProductInPortfolio": {
            "Type": "AWS::ServiceCatalog::PortfolioProductAssociation",
            "Properties": pair,
        },
        "LaunchConstraint": {
            "Type": "AWS::ServiceCatalog::LaunchRoleConstraint",
            "DependsOn": "ProductInPortfolio",
            "Properties": {**pair, "RoleArn": launch_role},
        },
        "EndUsers": {
            "Type": "AWS::ServiceCatalog::PortfolioPrincipalAssociation",
            "Properties": {
                "PortfolioId": {"Ref": "Portfolio"},
                "PrincipalARN": end_users,
                "PrincipalType": "IAM",
            },
        },
    }


@dataclass
class Offer:
    """A product in the catalog and a role that may launch it."""

    account: Account
    end_users: str
    product_id: str
    artifact_id: str

    def person(self, name: str) -> Any:
        """Return a Service Catalog client for an end user."""
        return self.account.person(self.end_users, name)

    def launch(self, person: Any, name: str | None = None, **more: Any) -> dict[str, Any]:
        """Launch, wait for the end and return the record."""
        answer = person.provision_product(
            **{
                "ProductId": self.product_id,
                "ProvisioningArtifactId": self.artifact_id,
                "ProvisionedProductName": name or unique("mine"),
                "ProvisioningParameters": [{"Key": "Name", "Value": "n"}],
                **more,
            }
        )
        return ended(person, answer)

    def launched(self, person: Any, **more: Any) -> dict[str, Any]:
        """Launch, assert that it succeeded and return the record."""
        record = self.launch(person, **more)
        assert record["RecordDetail"]["RecordErrors"] == []
        assert record["RecordDetail"]["Status"] == "SUCCEEDED"
        return record

    def stack_of(self, record: dict[str, Any]) -> str:
        """Return the name of a record's stack."""
        return f"SC-{self.account.id}-{record['RecordDetail']['ProvisionedProductId']}"


def ended(person: Any, answer: dict[str, Any]) -> dict[str, Any]:
    record_id = answer["RecordDetail"]["RecordId"]

    def look() -> dict[str, Any] | None:
        record: dict[str, Any] = person.describe_record(Id=record_id)
        done = record["RecordDetail"]["Status"] in ("SUCCEEDED", "FAILED")
        return record if done else None

    record = await_that(look)
    assert record
    return record


def outputs_of(record: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in record["RecordOutputs"]}


def description(record: dict[str, Any]) -> str:
    assert record["RecordDetail"]["Status"] == "FAILED"
    (error,) = record["RecordDetail"]["RecordErrors"]
    return str(error["Description"])


def offer_of(
    account: Account,
    launch_role: str,
    *may: dict[str, Any],
    body: str = TEMPLATE,
    resources: dict[str, Any] | None = None,
) -> tuple[Offer, str]:
    """Offer a product to a role of end users and return the offer with its stack's name.

    `may` are additional statements of the end users' policy.
    """
    end_users = account.end_user_role(
        {
            "Effect": "Allow",
            "Action": [
                "servicecatalog:DescribeProduct",
                "servicecatalog:DescribeProvisioningParameters",
                "servicecatalog:ListLaunchPaths",
                "servicecatalog:ProvisionProduct",
                "servicecatalog:SearchProducts",
            ],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": [
                "servicecatalog:DescribeProvisionedProduct",
                "servicecatalog:DescribeRecord",
                "servicecatalog:GetProvisionedProductOutputs",
                "servicecatalog:SearchProvisionedProducts",
                "servicecatalog:TerminateProvisionedProduct",
                "servicecatalog:UpdateProvisionedProduct",
            ],
            "Resource": "*",
            "Condition": OWN,
        },
        *may,
    )
    stack = account.stack(
        {**catalog_of(account.template(body), launch_role, end_users), **(resources or {})},
        Product={"Ref": "Product"},
        Artifacts={"Fn::GetAtt": ["Product", "ProvisioningArtifactIds"]},
    )
    outputs = account.outputs(stack)
    return Offer(account, end_users, outputs["Product"], outputs["Artifacts"]), stack
