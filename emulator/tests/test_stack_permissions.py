"""CloudFormation of the embedded AWS acts with the permissions of the stack's operator."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator
from embedded_aws.ministack_fixes.stack_permissions import handler_permissions

BUCKET: dict[str, Any] = {"Type": "AWS::S3::Bucket"}
TOPIC: dict[str, Any] = {"Type": "AWS::SNS::Topic"}


@dataclass
class Operator:
    """A user who may do everything except the denied actions, and one stack of this user."""

    aws: Emulator
    client: Any
    deny: Callable[..., None]
    name: str

    def create(self, **request: Any) -> str:
        """Create the stack; return the status it ends in."""
        self.client.create_stack(StackName=self.name, **_body(request))
        return self.ended()

    def update(self, **request: Any) -> str:
        """Update the stack; return the status it ends in."""
        self.client.update_stack(StackName=self.name, **_body(request))
        return self.ended()

    def delete(self) -> str:
        """Delete the stack; return the status it ends in."""
        stack_id = self._described(self.name)["StackId"]
        self.client.delete_stack(StackName=self.name)
        return self.ended(stack_id)

    def ended(self, stack: str = "") -> str:
        """Wait for the running operation; return the stack's status."""

        def status() -> str:
            found = str(self._described(stack or self.name)["StackStatus"])
            return "" if found.endswith("IN_PROGRESS") else found

        return await_that(status)

    def _described(self, stack: str) -> Any:
        described = self.aws.client("cloudformation").describe_stacks(StackName=stack)
        return described["Stacks"][0]

    def reasons(self) -> dict[str, str]:
        """Return the last failure reasons, by logical ID."""
        events = self.aws.client("cloudformation").describe_stack_events(StackName=self.name)
        return {
            each["LogicalResourceId"]: each["ResourceStatusReason"]
            for each in reversed(events["StackEvents"])
            if each["ResourceStatus"].endswith("_FAILED")
        }


def _body(request: dict[str, Any]) -> dict[str, Any]:
    resources, outputs = request.pop("resources"), request.pop("outputs", {})
    body = json.dumps({"Resources": resources, "Outputs": outputs})
    return {"TemplateBody": body, "Capabilities": ["CAPABILITY_IAM"], **request}


@pytest.fixture
def operator(emulator: Emulator) -> Operator:
    """Return a user with all permissions until the test denies some."""
    iam, user = emulator.client("iam"), unique("operator")
    iam.create_user(UserName=user)

    def deny(*actions: str, unless: Mapping[str, Any] | None = None) -> None:
        others = {"NotAction": list(actions)} if actions else {"Action": "*"}
        statements: list[dict[str, Any]] = [{"Effect": "Allow", **others, "Resource": "*"}]
        if unless:
            allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            statements.append({**allowed, "Condition": unless})
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)

    deny()
    keys = iam.create_access_key(UserName=user)["AccessKey"]
    return Operator(emulator, emulator.client("cloudformation", keys), deny, unique("stack"))


def tagged(resource: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    tags = [{"Key": key, "Value": "v"} for key in keys]
    return {**resource, "Properties": {**resource.get("Properties", {}), "Tags": tags}}


def buckets(aws: Emulator) -> set[str]:
    return {each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]}


# --- reads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["s3:GetBucketCORS", "s3:ListTagsForResource"])
def test_a_resource_that_the_operator_cannot_read_is_not_created(
    operator: Operator, action: str
) -> None:
    before = buckets(operator.aws)
    operator.deny(action)

    assert operator.create(resources={"Data": BUCKET}) == "ROLLBACK_COMPLETE"

    reason = operator.reasons()["Data"]
    assert f"is not authorized to perform: {action} on resource: " in reason
    assert "HandlerErrorCode: AccessDenied" in reason
    assert buckets(operator.aws) == before  # the rollback deletes the bucket


@pytest.mark.parametrize(
    "read",
    [{"Fn::GetAtt": ["Data", "Arn"]}, {"Fn::Sub": "${Data.Arn}/*"}],
    ids=["GetAtt", "Sub"],
)
def test_an_attribute_is_read_with_the_operators_permissions(
    operator: Operator, read: dict[str, Any]
) -> None:
    assert operator.create(resources={"Data": BUCKET}) == "CREATE_COMPLETE"
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": read}}
    operator.deny("s3:GetBucketCORS")

    failed = operator.update(resources={"Data": BUCKET, "Topic": topic})

    assert failed == "UPDATE_ROLLBACK_COMPLETE"
    reason = operator.reasons()["Topic"]  # the resource that uses the attribute
    assert reason.startswith(
        "Unable to retrieve Arn attribute for AWS::S3::Bucket, with error message User: "
    )
    assert "is not authorized to perform: s3:GetBucketCORS on resource: arn:aws:s3:::" in reason
    operator.deny()
    assert operator.update(resources={"Data": BUCKET, "Topic": topic}) == "UPDATE_COMPLETE"


def test_ref_requires_no_read_permission(operator: Operator) -> None:
    assert operator.create(resources={"Data": BUCKET}) == "CREATE_COMPLETE"
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Data"}}}
    operator.deny("s3:GetBucketCORS")

    assert operator.update(resources={"Data": BUCKET, "Topic": topic}) == "UPDATE_COMPLETE"


def test_an_attribute_in_an_unused_branch_is_not_read(operator: Operator) -> None:
    assert operator.create(resources={"Data": BUCKET}) == "CREATE_COMPLETE"
    name = {"Fn::If": ["Never", {"Fn::GetAtt": ["Data", "Arn"]}, "plain"]}
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": name}}
    body = {
        "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
        "Resources": {"Data": BUCKET, "Topic": topic},
    }
    operator.deny("s3:GetBucketCORS")

    assert operator.update(resources={}, TemplateBody=json.dumps(body)) == "UPDATE_COMPLETE"


def test_an_output_is_read_with_the_operators_permissions(operator: Operator) -> None:
    assert operator.create(resources={"Data": BUCKET}) == "CREATE_COMPLETE"
    operator.deny("s3:GetBucketCORS")

    failed = operator.update(
        resources={"Data": BUCKET}, outputs={"Arn": {"Value": {"Fn::GetAtt": ["Data", "Arn"]}}}
    )

    assert failed == "UPDATE_ROLLBACK_COMPLETE"
    assert operator.reasons()[operator.name].startswith("Unable to retrieve Arn attribute for ")


def test_a_lifecycle_configuration_requires_permission_to_list_its_tags(operator: Operator) -> None:
    config = {"Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig"}
    operator.deny("sagemaker:ListTags")

    assert operator.create(resources={"Config": config}) == "ROLLBACK_COMPLETE"

    assert "is not authorized to perform: sagemaker:ListTags on" in operator.reasons()["Config"]


def test_a_lifecycle_configuration_has_only_its_arn_as_an_attribute(operator: Operator) -> None:
    config = {"Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig"}

    for name, ends in (
        ("NotebookInstanceLifecycleConfigArn", "CREATE_COMPLETE"),
        ("NotebookInstanceLifecycleConfigName", "UPDATE_ROLLBACK_COMPLETE"),
    ):
        outputs = {"Read": {"Value": {"Fn::GetAtt": ["Config", name]}}}
        operation = operator.create if ends.startswith("CREATE") else operator.update
        assert operation(resources={"Config": config}, outputs=outputs) == ends

    assert operator.reasons()[operator.name].startswith(
        "Requested attribute NotebookInstanceLifecycleConfigName does not exist in schema for "
    )


# --- tags -----------------------------------------------------------------------------------------

ROLE: dict[str, Any] = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            },
        }
    },
}
CONFIG: dict[str, Any] = {
    "Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig",
    "Properties": {},
}
GIVES_AND_REMOVES = [
    (BUCKET, "s3:TagResource", "s3:UntagResource"),
    (ROLE, "iam:ListRoleTags", "iam:UntagRole"),
    (TOPIC, "sns:ListTagsForResource", "sns:UntagResource"),
    (CONFIG, "sagemaker:AddTags", "sagemaker:DeleteTags"),
]


@pytest.mark.parametrize(
    ("resource", "gives", "removes"),
    GIVES_AND_REMOVES,
    ids=[str(each[0]["Type"]) for each in GIVES_AND_REMOVES],
)
def test_tag_changes_require_permission_to_tag_and_untag(
    operator: Operator, resource: dict[str, Any], gives: str, removes: str
) -> None:
    both: Sequence[str] = ("a", "b")
    operator.deny(removes)
    assert operator.create(resources={"Thing": tagged(resource, *both)}) == "CREATE_COMPLETE"

    failed = operator.update(resources={"Thing": tagged(resource, "a")})

    assert failed == "UPDATE_ROLLBACK_COMPLETE"
    assert f"is not authorized to perform: {removes} on" in operator.reasons()["Thing"]
    operator.deny(gives)
    failed = operator.update(resources={"Thing": tagged(resource, *both, "c")})
    assert failed == "UPDATE_ROLLBACK_COMPLETE"
    assert f"is not authorized to perform: {gives} on" in operator.reasons()["Thing"]
    operator.deny()
    assert operator.update(resources={"Thing": tagged(resource, "a", "c")}) == "UPDATE_COMPLETE"


@pytest.mark.parametrize(
    ("resource", "action"), [(BUCKET, "s3:TagResource"), (CONFIG, "sagemaker:AddTags")]
)
def test_stack_tags_require_permission_to_tag_the_resources(
    operator: Operator, resource: dict[str, Any], action: str
) -> None:
    operator.deny(action)

    failed = operator.create(resources={"Thing": resource}, Tags=[{"Key": "Team", "Value": "red"}])

    assert failed == "ROLLBACK_COMPLETE"
    assert f"is not authorized to perform: {action} on" in operator.reasons()["Thing"]


def test_cloudformations_own_tags_require_no_permission(operator: Operator) -> None:
    operator.deny("s3:TagResource", "s3:PutBucketTagging", "sagemaker:AddTags")

    made = operator.create(resources={"Data": BUCKET, "Config": CONFIG})

    assert made == "CREATE_COMPLETE"


# --- boundaries -----------------------------------------------------------------------------------


def test_a_condition_on_the_boundary_of_a_role_applies_to_its_policies(operator: Operator) -> None:
    iam = operator.aws.client("iam")
    nothing = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    }
    boundary = iam.create_policy(PolicyName=unique("boundary"), PolicyDocument=json.dumps(nothing))[
        "Policy"
    ]["Arn"]
    bounded = {**ROLE, "Properties": {**ROLE["Properties"], "PermissionsBoundary": boundary}}
    inline: dict[str, Any] = {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyName": "inline",
            "Roles": [{"Ref": "Role"}],
            "PolicyDocument": nothing,
        },
    }
    operator.deny("iam:PutRolePolicy", unless={"ArnEquals": {"iam:PermissionsBoundary": boundary}})

    assert operator.create(resources={"Role": bounded, "Policy": inline}) == "CREATE_COMPLETE", (
        operator.reasons()
    )
    failed = operator.update(
        resources={
            "Role": bounded,
            "Free": ROLE,
            "Policy": {
                **inline,
                "Properties": {**inline["Properties"], "Roles": [{"Ref": "Free"}]},
            },
        }
    )

    assert failed == "UPDATE_ROLLBACK_COMPLETE"
    assert "is not authorized to perform: iam:PutRolePolicy on" in operator.reasons()["Policy"]


# --- subscriptions --------------------------------------------------------------------------------


def subscription(policy: str) -> dict[str, Any]:
    properties = {
        "TopicArn": {"Ref": "Topic"},
        "Protocol": "email",
        "Endpoint": "owner@example.com",
    }
    return {"Type": "AWS::SNS::Subscription", "DeletionPolicy": policy, "Properties": properties}


def test_an_unconfirmed_subscription_cannot_be_deleted(operator: Operator) -> None:
    made = operator.create(resources={"Topic": TOPIC, "Owner": subscription("Delete")})
    assert made == "CREATE_COMPLETE"

    left = operator.update(resources={"Topic": TOPIC})

    assert left == "UPDATE_COMPLETE"  # a failed cleanup does not fail the update
    assert "cannot be deleted if pending confirmation" in operator.reasons()["Owner"]


def test_a_retained_subscription_is_deleted_with_its_topic(operator: Operator) -> None:
    made = operator.create(resources={"Topic": TOPIC, "Owner": subscription("Retain")})
    assert made == "CREATE_COMPLETE"
    operator.deny("sns:GetSubscriptionAttributes", "sns:Unsubscribe")

    assert operator.delete() == "DELETE_COMPLETE"

    listed = operator.aws.client("sns").list_subscriptions()["Subscriptions"]
    assert not [each for each in listed if operator.name in each["TopicArn"]]


def test_deleting_a_subscription_requires_permission_to_read_it(operator: Operator) -> None:
    made = operator.create(resources={"Topic": TOPIC, "Owner": subscription("Delete")})
    assert made == "CREATE_COMPLETE"
    operator.deny("sns:GetSubscriptionAttributes")

    assert operator.delete() == "DELETE_FAILED"

    reason = operator.reasons()["Owner"]
    assert "is not authorized to perform: sns:GetSubscriptionAttributes on" in reason


# --- required permissions -------------------------------------------------------------------------


def test_permissions_that_are_not_iam_actions_are_not_required() -> None:
    assert "s3:GetBucketCORS" in handler_permissions("AWS::S3::Bucket", "read")
    assert handler_permissions("AWS::IAM::Policy", "read") == []
    assert "s3:DeleteBucketTagging" not in handler_permissions("AWS::S3::Bucket", "tagging")


def test_tags_of_a_key_require_permission_to_untag() -> None:
    assert "kms:UntagResource" in handler_permissions("AWS::KMS::Key", "tagging")
