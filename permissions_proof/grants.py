"""The permissions of the deployed roles, from IAM and Lambda, named as in the templates."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embedded_aws.emulator import Emulator
from embedded_aws.runtime.authorization_reference import resource_kinds
from permissions_proof.usage import Grant, Place

EVENTS = "events.amazonaws.com"  # whom functions' own policies admit
_EVENTS_ROLE = "EventBridge"


def deployed(aws: Emulator) -> dict[Place, Grant]:
    """Return every permission of the roles of all stacks there are, nested ones and launches too.

    And what EventBridge is admitted to by the functions' own policies.
    """
    found: dict[Place, Grant] = {}
    resources = list(_resources(aws))
    names = {each["PhysicalResourceId"]: each["LogicalResourceId"] for each in resources}
    for each in resources:
        physical, logical = each["PhysicalResourceId"], each["LogicalResourceId"]
        if each["ResourceType"] == "AWS::IAM::Role":
            for policy, document in _documents(aws.client("iam"), physical):
                found |= _grants(physical, logical, policy, names.get(policy, policy), document)
        elif each["ResourceType"] == "AWS::Lambda::Function":
            arn, document = _own_policy(aws.client("lambda"), physical)
            found |= _grants(EVENTS, _EVENTS_ROLE, arn, logical, document)
    return found


def product_types(aws: Emulator) -> set[str]:
    """Return the resource types of the launches there are."""
    return {
        str(each["ResourceType"]) for each in _resources(aws) if each["StackName"].startswith("SC-")
    }


def worked_on(action: str, resources: Sequence[str]) -> Sequence[str]:
    """Return the resources of a statement that one of its actions applies to; all, if none.

    A statement of several actions names the resources of all of them, so some pairs mean nothing.
    For example, DeleteModel deletes no training job. The beginning of the ARN's resource decides,
    such as `training-job/`.
    """
    kinds = {_kind(form) for forms in resource_kinds(action).values() for form in forms}
    meant = [each for each in resources if _kind(each) is None or _kind(each) in kinds]
    return meant if meant and None not in kinds else resources


def _resources(aws: Emulator) -> Iterator[dict[str, Any]]:
    cloudformation = aws.client("cloudformation")
    for stacks in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in stacks["Stacks"]:
            pages = cloudformation.get_paginator("list_stack_resources").paginate(
                StackName=stack["StackId"]
            )
            for page in pages:
                for each in page["StackResourceSummaries"]:
                    yield {**each, "StackName": stack["StackName"]}


def _documents(iam: Any, role: str) -> Iterator[tuple[str, Any]]:
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        yield name, iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        yield (
            arn,
            iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"],
        )


def _own_policy(lambda_: Any, function: str) -> tuple[str, Any]:
    arn = lambda_.get_function_configuration(FunctionName=function)["FunctionArn"]
    try:
        return arn, json.loads(lambda_.get_policy(FunctionName=function)["Policy"])
    except lambda_.exceptions.ResourceNotFoundException:
        return arn, {"Statement": []}


def _grants(
    role: str, logical_role: str, policy: str, logical_policy: str, document: Mapping[str, Any]
) -> dict[Place, Grant]:
    return {
        Place(role, policy, statement, action, resource): Grant(
            logical_role,
            logical_policy,
            each.get("Sid") or f"#{statement + 1}",
            action,
            number,
            resource,
        )
        for statement, each in enumerate(_listed(document["Statement"]))
        if each["Effect"] == "Allow"
        for action in _listed(each["Action"])
        for number, resource in enumerate(worked_on(action, _listed(each["Resource"])))
    }


def _kind(arn: str) -> str | None:
    found = re.match(r"(?:[^:]*:){5}([a-z-]+)/", arn)
    return found[1] if found else None


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
