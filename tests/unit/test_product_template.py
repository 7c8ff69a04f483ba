"""The product template keeps its promises and has none of the faults that it replaces.

docs/failure-modes.md lists those faults and the test for each.
"""

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from ministack.core import iam_evaluator

from embedded_aws.runtime.authorization_reference import resource_kinds
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import STACK_TAG
from notebook_vending.requests.notebook_request import parse_notebook
from tests.unit import stack_template
from tests.unit.product_launch import (
    ACCOUNT,
    BUCKET,
    PARAMETERS,
    PLAIN,
    TEMPLATE,
    TEMPLATE_PATH,
    WITH_CODE,
    Launch,
)

ROOT = Path(__file__).parents[2]
SAGEMAKER = botocore.session.get_session().get_service_model("sagemaker")

ERASING = Launch({"DataRetention": "Delete"})
CHINA = Launch(
    WITH_CODE.parameters, partition="aws-cn", suffix="amazonaws.com.cn", region="cn-north-1"
)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def key_statements(launch: Launch) -> dict[str, dict[str, Any]]:
    document = launch.properties("ProjectKey")["KeyPolicy"]
    return {statement["Sid"]: statement for statement in document["Statement"]}


def actions(statements: Mapping[str, dict[str, Any]]) -> set[str]:
    return {action for each in statements.values() for action in listed(each["Action"])}


def dependencies(logical_id: str) -> set[str]:
    """Return the direct and indirect dependencies of a resource."""
    resource = TEMPLATE["Resources"][logical_id]
    near = set(listed(resource.get("DependsOn", [])))
    text = json.dumps(resource["Properties"])
    near |= {
        name
        for name in TEMPLATE["Resources"]
        if re.search(rf'"Ref": "{name}"|"Fn::GetAtt": \["{name}"|\${{{name}[.}}]', text)
    }
    return near.union(*(dependencies(name) for name in near))


def tags(properties: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties["Tags"]}


# The template and its notebook


def test_the_template_is_small_enough_and_needs_no_transform() -> None:
    # Service Catalog loads it from S3: CloudFormation quotas, "Template body size in an S3 object".
    assert len(TEMPLATE_PATH.read_bytes()) <= 1_000_000
    assert "Transform" not in TEMPLATE


def test_no_lint_rule_is_switched_off() -> None:
    metadata = [TEMPLATE["Metadata"], *(r.get("Metadata") for r in TEMPLATE["Resources"].values())]
    assert "cfn-lint" not in str(metadata)


def test_china_launch_has_no_arn_and_no_host_of_another_partition() -> None:
    # A service principal has the same name in every partition.
    for text in set(stack_template.strings(CHINA.everything())) - {"sagemaker.amazonaws.com"}:
        assert not re.search(r"arn:aws:|\.amazonaws\.com(?!\.cn)", text), text


def test_the_requested_notebook_is_within_the_platforms_limits() -> None:
    limits = Limits(
        instance_types=tuple(PARAMETERS["NotebookInstanceType"]["AllowedValues"]),
        max_volume_size_in_gb=int(PARAMETERS["VolumeSizeInGB"]["MaxValue"]),
        platform_identifiers=tuple(PARAMETERS["PlatformIdentifier"]["AllowedValues"]),
        root_access_allowed=False,
    )
    fallbacks = "ml.t3.large, ml.m5.xlarge"
    launch = Launch({"ProjectID": "P1", "FallbackInstanceTypes": fallbacks})
    notebook = launch.properties("Notebook")

    spec, violations = parse_notebook(_stringified(notebook), limits)

    assert violations == ()
    assert spec is not None
    assert spec.NotebookInstanceName == "my-notebook"
    assert spec.instance_types == ("ml.t3.medium", "ml.t3.large", "ml.m5.xlarge")
    assert spec.VolumeSizeInGB == 20
    assert spec.Tags["ProjectID"] == "P1"
    assert spec.LifecycleConfigName.startswith("notebook-vending-")


def _stringified(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties as CloudFormation sends them, with every scalar a string."""
    return {
        key: value if isinstance(value, list) else str(value) for key, value in properties.items()
    }


@pytest.mark.parametrize(
    ("logical_id", "token", "seconds"),
    [
        ("Notebook", "NotebookVending-ServiceToken", 3600),
        ("BucketContents", "NotebookVending-EraseDataServiceToken", 900),
    ],
)
def test_the_template_imports_the_function_that_serves_a_launch(
    logical_id: str, token: str, seconds: int
) -> None:
    properties = PLAIN.properties(logical_id)
    assert properties["ServiceToken"] == f"<import {token}>"
    assert properties["ServiceTimeout"] == seconds
    assert "SageMakerBuildFunctionARN" not in PARAMETERS


# Code push


def test_the_role_may_list_and_read_the_code_bucket_of_this_account_and_nothing_more() -> None:
    statements = WITH_CODE.statements()
    of_this_account = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}

    bucket, code = statements["CodeBucket"], statements["Code"]

    assert (bucket["Action"], bucket["Resource"]) == ("s3:ListBucket", "arn:aws:s3:::our-code")
    assert (code["Action"], code["Resource"]) == ("s3:GetObject", "arn:aws:s3:::our-code/*")
    assert bucket["Condition"] == code["Condition"] == of_this_account


def test_launch_without_code_push_has_no_permission_and_no_script_for_it() -> None:
    assert not {"CodeBucket", "Code"} & set(PLAIN.statements())
    assert "OnCreate" not in PLAIN.properties("LifecycleConfig")


def test_the_notebook_is_created_last_and_deleted_first() -> None:
    # The owner's topic and subscription are conditional, and the notebook needs neither.
    apart = {"Notebook", "OwnerTopic", "Owner"}
    assert dependencies("Notebook") == set(TEMPLATE["Resources"]) - apart


def test_code_push_needs_a_bucket_that_the_launcher_names() -> None:
    assert PARAMETERS["CodeBucketName"]["Default"] == ""
    assert not Launch({"S3CodePusher": "YES"}).passes_the_rules()
    assert WITH_CODE.passes_the_rules()
    assert PLAIN.passes_the_rules()


# Names


def test_two_launches_have_no_name_in_common() -> None:
    one = Launch()
    other = Launch(stack_name="SC-111122223333-pp-def", uuid="2f2e3d4c-0000-4000-8000-123456789abc")
    named = [
        ("KeyAlias", "AliasName"),
        ("LifecycleConfig", "NotebookInstanceLifecycleConfigName"),
    ]
    for logical_id, name in named:
        assert one.properties(logical_id)[name] != other.properties(logical_id)[name]
    for logical_id, name in [("ProjectBucket", "BucketName"), ("ExecutionRole", "RoleName")]:
        assert name not in one.properties(logical_id)


def test_names_fit_the_limits_for_the_longest_stack_name() -> None:
    longest = Launch(stack_name="S" * 128)  # CreateStack, StackName
    name = longest.properties("LifecycleConfig")["NotebookInstanceLifecycleConfigName"]
    allowed = SAGEMAKER.shape_for("NotebookInstanceLifecycleConfigName").metadata
    assert len(name) <= allowed["max"]
    assert re.fullmatch(allowed["pattern"], name)
    assert len(longest.properties("KeyAlias")["AliasName"]) <= 256  # CreateAlias, AliasName


# Permissions


ROLES = f"arn:aws:iam::{ACCOUNT}:role"
EXECUTION_ROLE = PLAIN.properties("Notebook")["RoleArn"]
CREATES, STARTS, EMPTIES, ACTIONS, DATA_ADMINISTRATOR = (
    f"<import NotebookVending-{each}RoleArn>"
    for each in ("Create", "Start", "EraseData", "Actions", "DataAdministrator")
)
ANOTHER_ROLE = f"{ROLES}/Somebody"


def says(
    policy: dict[str, Any], principal: str, action: str, resource: str, keys: Mapping[str, str]
) -> str:
    """Return the decision of a resource policy: Allow, Deny or ImplicitDeny."""
    context = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        secure_transport=keys.get("aws:SecureTransport") == "true",
        service_context={key.lower(): value for key, value in keys.items()},
    )
    # The account's root stands for all its roles, but the imported roles here have no account.
    named = json.loads(json.dumps(policy).replace(f"arn:aws:iam::{ACCOUNT}:root", "*"))
    return str(iam_evaluator.evaluate_resource_policy(named, context).decision)


def may_use_the_key(principal: str, action: str, **keys: str) -> bool:
    """Return whether the key policy allows an action, through a service or with a tag."""
    named = {
        "via": "kms:ViaService",
        "project": "aws:PrincipalTag/ProjectID",
    }
    given = {named[name]: value for name, value in keys.items()}
    if "via" in keys:
        given["kms:ViaService"] += ".eu-west-1.amazonaws.com"
    policy = PLAIN.properties("ProjectKey")["KeyPolicy"]
    return says(policy, principal, action, "arn:aws:kms:eu-west-1:1:key/k1", given) == "Allow"


def test_only_the_account_administers_the_key_and_the_execution_role_uses_it() -> None:
    statements = key_statements(PLAIN)
    use_actions = {"kms:Decrypt", "kms:GenerateDataKey"}

    for action in use_actions:
        assert may_use_the_key(EXECUTION_ROLE, action, via="s3")
        assert not may_use_the_key(EXECUTION_ROLE, action)
        assert not may_use_the_key(EXECUTION_ROLE, action, via="sagemaker")
        for other in (ANOTHER_ROLE, CREATES, STARTS, EMPTIES, ACTIONS):
            assert not may_use_the_key(other, action, via="s3", project="QuickStart007")
    assert not use_actions & set(statements["TheAccountAdministersThroughIam"]["Action"])
    principals = {sid: each["Principal"]["AWS"] for sid, each in statements.items()}
    assert principals.pop("LaunchesAdministerTheirKey") == "<import NotebookVending-LaunchRoleArn>"
    assert principals.pop("TheKeyGoesWithItsData") == EMPTIES
    assert set(principals.values()) == {f"arn:aws:iam::{ACCOUNT}:root"}


def test_the_key_policy_lets_its_launch_change_and_delete_the_key() -> None:
    """An IAM condition on a new key's tags takes up to five minutes, and a launch fails sooner."""
    statements = key_statements(PLAIN)
    harmful = {
        "kms:DeleteAlias",
        "kms:PutKeyPolicy",
        "kms:ScheduleKeyDeletion",
        "kms:TagResource",
        "kms:UntagResource",
        "kms:UpdateKeyDescription",
    }
    assert set(statements["LaunchesAdministerTheirKey"]["Action"]) == harmful
    assert set(statements["TheKeyGoesWithItsData"]["Action"]) == {
        "kms:ListResourceTags",
        "kms:ScheduleKeyDeletion",
    }
    for sid in ("LaunchesAdministerTheirKey", "TheKeyGoesWithItsData"):
        assert "Condition" not in statements[sid]


def test_data_administrators_can_only_decrypt_and_only_through_s3() -> None:
    assert may_use_the_key(DATA_ADMINISTRATOR, "kms:Decrypt", via="s3")
    assert not may_use_the_key(DATA_ADMINISTRATOR, "kms:Decrypt")
    assert not may_use_the_key(DATA_ADMINISTRATOR, "kms:Decrypt", via="sagemaker")
    for action in ("kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"):
        for via in ("s3", "sagemaker"):
            assert not may_use_the_key(DATA_ADMINISTRATOR, action, via=via)


@pytest.mark.parametrize(
    ("principal", "project"),
    [(CREATES, ""), (STARTS, ""), (ACTIONS, ""), (ANOTHER_ROLE, "QuickStart007")],
    ids=["create function", "start function", "service actions", "member of the project"],
)
def test_grants_on_the_key_are_made_through_sagemaker_only(principal: str, project: str) -> None:
    def may_grant(**keys: str) -> bool:
        return may_use_the_key(principal, "kms:CreateGrant", project=project, **keys)

    assert may_grant(via="sagemaker")
    assert not may_grant(via="s3")
    assert not may_grant()


@pytest.mark.parametrize("principal", [ANOTHER_ROLE, EMPTIES, DATA_ADMINISTRATOR])
def test_other_principals_cannot_create_a_grant_on_the_key(principal: str) -> None:
    for project in ("", "Moon"):
        assert not may_use_the_key(principal, "kms:CreateGrant", via="sagemaker", project=project)


def test_the_execution_role_makes_grants_through_sagemaker_only() -> None:
    assert may_use_the_key(EXECUTION_ROLE, "kms:CreateGrant", via="sagemaker")
    assert not may_use_the_key(EXECUTION_ROLE, "kms:CreateGrant", via="s3")
    assert not may_use_the_key(EXECUTION_ROLE, "kms:CreateGrant")


def test_the_key_rotates() -> None:
    assert PLAIN.properties("ProjectKey")["EnableKeyRotation"] is True


@pytest.mark.parametrize("sid", WITH_CODE.statements())
def test_every_action_of_the_role_has_a_resource_it_works_on(sid: str) -> None:
    statement = WITH_CODE.statements()[sid]
    useful = {
        (action, resource)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if resource == "*" or _works_on(action, resource)
    }
    assert {action for action, _ in useful} == set(listed(statement["Action"]))
    assert {resource for _, resource in useful} == set(listed(statement["Resource"]))


def _works_on(action: str, resource: str) -> bool:
    """Return whether an action works on an ARN that the resource's pattern matches."""
    _, partition, service, region, account, name = resource.split(":", 5)
    place = [partition.replace("*", "aws"), service, region.replace("*", "eu-west-1")]
    owner = account.replace("*", ACCOUNT)
    examples = [
        ":".join(["arn", *place, owner, name.replace("*", "x")]) for kind in resource_kinds(action)
    ]
    formats = _resource_formats(action)
    return any(re.fullmatch(each, example) for each in formats for example in examples)


def test_every_action_of_the_key_policy_works_on_a_key() -> None:
    for action in actions(key_statements(PLAIN)):
        assert re.compile(r"arn:aws:kms:eu-west-1:\d+:key/.*") in map(
            re.compile, _resource_formats(action)
        ), action


def _resource_formats(action: str) -> list[str]:
    """Return patterns of the ARNs an action works on, from IAM's service authorization data."""
    formats = []
    for kind, arns in resource_kinds(action).items():
        for arn in arns:
            # The data distinguishes buckets from objects only by their kind.
            exact = {"bucket": "[^/]+", "object": "[^/]+/.+"}.get(kind, ".*")
            pattern = arn.replace(".*", exact).replace("${Partition}", "aws")
            formats.append(pattern.replace("${Region}", "eu-west-1").replace("${Account}", r"\d+"))
    return formats


def test_no_permission_is_broader_than_the_launch() -> None:
    """A condition on the project, account or subnet narrows every broad resource."""
    own = [BUCKET, "key/k1", "our-code", "stack-role-1", "subnet-", "sg-1"]
    own += [f"/aws/sagemaker/{group}" for group in ("NotebookInstances", "T")]
    own += [f"/{prefix}-" for prefix in ("1f2e3d4c", "${aws:PrincipalTag/NamePrefix}")]
    narrowing = {"aws:RequestTag/ProjectID", "aws:ResourceTag/ProjectID", "aws:ResourceAccount"}
    narrowing |= {"ec2:Subnet", "aws:ResourceTag/notebook-vending:stack-id"}
    for sid, statement in WITH_CODE.statements().items():
        assert not any("*" in action for action in listed(statement["Action"]))
        conditions = {key for test in statement.get("Condition", {}).values() for key in test}
        for resource in listed(statement["Resource"]):
            # A new network interface has no ID yet, so its subnet narrows the permission.
            new = (sid, resource.rpartition(":")[2]) == ("NetworkInterface", "network-interface/*")
            named = new or any(name in resource for name in own)
            # test_execution_role.py covers the actions without a resource.
            assert resource == "*" or named or narrowing & conditions, (sid, resource)


def test_the_notebook_may_write_its_own_logs() -> None:
    group = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/sagemaker/NotebookInstances"
    statements = PLAIN.statements()
    assert "logs:CreateLogGroup" in statements["LogGroups"]["Action"]
    assert f"{group}*" in statements["LogGroups"]["Resource"]
    assert {"logs:CreateLogStream", "logs:PutLogEvents"} < set(statements["LogStreams"]["Action"])
    assert f"{group}:log-stream:my-notebook/*" in statements["LogStreams"]["Resource"]


def test_the_role_uses_only_the_services_it_needs_and_changes_no_image_and_no_role() -> None:
    used = actions(WITH_CODE.statements())
    services = {action.split(":")[0] for action in used}
    assert services == {"cloudwatch", "ec2", "ecr", "iam", "kms", "logs", "s3", "sagemaker"}
    assert {action for action in used if action.startswith("iam:")} == {"iam:PassRole"}
    images = {action.split(":")[1] for action in used if action.startswith("ecr:")}
    assert all(action.startswith(("BatchCheck", "BatchGet", "Get")) for action in images)


def test_sagemaker_can_assume_the_role_for_this_account_only() -> None:
    (statement,) = PLAIN.properties("ExecutionRole")["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert statement["Condition"] == {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}}


# The bucket


OBJECT = f"arn:aws:s3:::{BUCKET}/data"
SOUND = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
THROUGH_THE_ENDPOINT = SOUND | {"aws:SourceVpce": "<import NotebookVending-S3EndpointId>"}


def bucket_policy_says(
    action: str, resource: str, keys: Mapping[str, str], principal: str = EXECUTION_ROLE
) -> str:
    policy = PLAIN.properties("BucketPolicy")["PolicyDocument"]
    return says(policy, principal, action, resource, keys)


def test_the_bucket_policy_only_denies() -> None:
    policy = PLAIN.properties("BucketPolicy")["PolicyDocument"]["Statement"]
    assert {(each["Effect"], each["Principal"]) for each in policy} == {("Deny", "*")}


@pytest.mark.parametrize(
    "keys",
    [{"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}],
    ids=["no TLS", "old TLS"],
)
def test_the_bucket_policy_denies_requests_below_tls_1_2(keys: dict[str, str]) -> None:
    bucket = OBJECT.partition("/")[0]
    for action, resource in (("s3:GetObject", OBJECT), ("s3:ListBucket", bucket)):
        assert bucket_policy_says(action, resource, THROUGH_THE_ENDPOINT) == "ImplicitDeny"
        assert bucket_policy_says(action, resource, THROUGH_THE_ENDPOINT | keys) == "Deny"


@pytest.mark.parametrize(
    "action",
    [
        *("GetObject", "GetObjectVersion", "PutObject", "PutObjectAcl", "RestoreObject"),
        *("DeleteObject", "DeleteObjectVersion", "AbortMultipartUpload"),
    ],
)
def test_objects_are_reached_through_the_endpoint_only(action: str) -> None:
    another = SOUND | {"aws:SourceVpce": "vpce-another"}
    for principal in (EXECUTION_ROLE, ANOTHER_ROLE, CREATES):
        for keys in (SOUND, another):
            assert bucket_policy_says(f"s3:{action}", OBJECT, keys, principal) == "Deny"
    assert bucket_policy_says(f"s3:{action}", OBJECT, THROUGH_THE_ENDPOINT) == "ImplicitDeny"


def test_aws_services_and_the_roles_that_clean_up_need_no_endpoint() -> None:
    for key in ("aws:ViaAWSService", "aws:PrincipalIsAWSService"):
        # AWS gives both keys with every request (IAM user guide, "Global condition keys").
        keys = SOUND | {"aws:ViaAWSService": "false", "aws:PrincipalIsAWSService": "false"}
        assert bucket_policy_says("s3:GetObject", OBJECT, keys) == "Deny"
        assert bucket_policy_says("s3:GetObject", OBJECT, keys | {key: "true"}) == "ImplicitDeny"
    for principal in (EMPTIES, DATA_ADMINISTRATOR):
        assert bucket_policy_says("s3:DeleteObject", OBJECT, SOUND, principal) == "ImplicitDeny"


def test_the_bucket_policy_does_not_deny_listing_outside_the_endpoint() -> None:
    """SageMaker checks a job's paths from outside the VPC when the job is created."""
    bucket = OBJECT.partition("/")[0]
    assert bucket_policy_says("s3:ListBucket", bucket, SOUND) == "ImplicitDeny"


def test_the_bucket_is_private_versioned_and_encrypted_with_the_launchs_own_key() -> None:
    bucket = PLAIN.properties("ProjectBucket")
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": PLAIN.properties("Notebook")["KmsKeyId"],
    }
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}


def test_the_bucket_and_its_key_are_retained_unless_the_launcher_chooses_deletion() -> None:
    """Only the function behind BucketContents erases them, because a DeletionPolicy is literal.

    AWS's pages disagree on Fn::If there and do not mention RetainExceptOnCreate within it.
    """
    assert PARAMETERS["DataRetention"]["Default"] == "Retain"
    for logical_id in ("ProjectBucket", "ProjectKey", "BucketPolicy"):
        assert TEMPLATE["Resources"][logical_id]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert TEMPLATE["Resources"][logical_id]["UpdateReplacePolicy"] == "Retain"
    assert "Transform" not in TEMPLATE


def test_cloudformation_retains_the_owners_subscription_at_termination() -> None:
    """Its handler cannot delete an unconfirmed subscription (resource-providers-sns)."""
    assert TEMPLATE["Resources"]["Owner"]["DeletionPolicy"] == "Retain"
    assert TEMPLATE["Resources"]["OwnerTopic"].get("DeletionPolicy", "Delete") == "Delete"


def test_the_bucket_is_erased_after_all_its_writers_are_deleted() -> None:
    """CloudFormation deletes the dependents of BucketContents before it."""
    assert {"Notebook", "ExecutionRolePolicy"} <= {
        name for name in TEMPLATE["Resources"] if "BucketContents" in dependencies(name)
    }
    assert {"ProjectBucket", "ProjectKey"} <= dependencies("BucketContents")
    assert ERASING.properties("BucketContents")["DataRetention"] == "Delete"
    assert ERASING.properties("BucketContents")["BucketName"] == BUCKET
    assert TEMPLATE["Resources"]["BucketContents"]["Properties"]["KmsKeyId"] == {
        "Ref": "ProjectKey"
    }
    assert tags(ERASING.properties("ProjectKey"))[STACK_TAG] == ERASING.stack_id
    assert tags(ERASING.properties("ProjectBucket"))[STACK_TAG] == ERASING.stack_id


# Parameters, outputs, tags


def test_the_template_has_the_parameters_that_launchers_know() -> None:
    assert set(PARAMETERS) == {
        "SubnetName",
        "SecurityGroupName",
        "NotebookInstanceName",
        "NotebookInstanceType",
        "FallbackInstanceTypes",
        "ENVName",
        "ProjectName",
        "RootAccess",
        "VolumeSizeInGB",
        "DirectInternetAccess",
        "ProjectID",
        "S3CodePusher",
        "CodeBucketName",
        "AllowReplacement",
        "IdleMinutes",
        "PlatformIdentifier",
        "DataRetention",
        "ExpiresAfterDays",
        "OffHours",
        "OwnerEmail",
        "Repair",
    }


@pytest.mark.parametrize("address", ["a@example.com", "first.last+x@sub.example.cn"])
def test_an_owner_with_an_address_gets_a_topic_for_this_launch_only(address: str) -> None:
    launch = Launch({"OwnerEmail": address})

    assert re.fullmatch(PARAMETERS["OwnerEmail"]["AllowedPattern"], address)
    topic = launch.properties("OwnerTopic")
    assert topic["TopicName"] == f"NotebookVending-Owner-{launch.uuid}"
    assert topic["KmsMasterKeyId"] == "<import NotebookVending-KeyArn>"
    owner = launch.properties("Owner")
    assert (owner["Protocol"], owner["Endpoint"]) == ("email", address)
    for name in ("OwnerTopic", "Owner"):
        assert TEMPLATE["Resources"][name]["Condition"] == "WarnOwner"


@pytest.mark.parametrize("address", ["somebody", "a@b c", "a@b@c", "@"])
def test_the_form_rejects_an_invalid_owner_address(address: str) -> None:
    assert not re.fullmatch(PARAMETERS["OwnerEmail"]["AllowedPattern"], address)


def test_every_parameter_is_explained_labelled_and_in_one_group() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(PARAMETERS)
    assert set(interface["ParameterLabels"]) == set(PARAMETERS)
    assert all(parameter["Description"] for parameter in PARAMETERS.values())


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("CodeBucketName", "in this account and in the notebook's Region"),
        ("DirectInternetAccess", "Upload packages as files"),
        ("S3CodePusher", "Packages and data"),
        ("VolumeSizeInGB", "which only the notebook and its jobs reach"),
        ("IdleMinutes", "the action Start"),
    ],
)
def test_the_form_answers_the_next_questions_of_a_launcher(parameter: str, says: str) -> None:
    assert says in PARAMETERS[parameter]["Description"]


def test_the_texts_of_the_form_are_within_cloudformations_limits() -> None:
    # User guide, "Parameters" and "Outputs"; CloudFormation quotas, template description.
    assert len(TEMPLATE["Description"].encode()) <= 1024
    for parameter in PARAMETERS.values():
        assert len(parameter["Description"]) <= 4000
    for output in TEMPLATE["Outputs"].values():
        assert len(output["Description"].encode()) <= 1024


def test_every_parameter_is_bounded() -> None:
    for name, parameter in PARAMETERS.items():
        closed = "AllowedValues" in parameter
        written = {"AllowedPattern", "ConstraintDescription"} <= set(parameter)
        # A length bounds String only (CloudFormation user guide, "Parameters").
        written &= "MaxLength" in parameter or parameter["Type"] == "CommaDelimitedList"
        counted = {"MinValue", "MaxValue", "ConstraintDescription"} <= set(parameter)
        assert closed or written or counted, name


def test_idle_minutes_are_digits_that_the_script_accepts() -> None:
    """CloudFormation's Number also accepts a float, and the script counts whole checks."""
    assert PARAMETERS["IdleMinutes"]["Type"] == "String"
    pattern = re.compile(PARAMETERS["IdleMinutes"]["AllowedPattern"])
    within = {str(number) for number in range(10081)}
    odd = {"00", "01", "1.5", "60.0", "6e1", "+60", "-0", " 60", "60 ", "\u0666\u0660", "10_0", ""}

    assert {each for each in within if pattern.search(each)} == within
    assert not [each for each in {*odd, "10081", "10090", "99999"} if pattern.search(each)]


def test_the_notebook_name_follows_the_apis_pattern() -> None:
    api = SAGEMAKER.shape_for("NotebookInstanceName").metadata
    ours = PARAMETERS["NotebookInstanceName"]
    assert ours["AllowedPattern"] == f"^{api['pattern']}$"
    assert ours["MaxLength"] == api["max"]
    assert "Default" not in ours


def test_sagemaker_has_every_allowed_instance_type() -> None:
    known = set(SAGEMAKER.shape_for("InstanceType").metadata["enum"])
    assert set(PARAMETERS["NotebookInstanceType"]["AllowedValues"]) < known


def test_every_platform_of_amazon_linux_2023_is_offered() -> None:
    """The SAM CLI's botocore has the newest of the locked models, ahead of the functions' own.

    Amazon Linux 1 and 2 are out of support.
    """
    (path,) = ROOT.glob(".sam-venv/lib/*/site-packages/botocore/data/sagemaker/*/service-2.json.gz")
    model = json.loads(gzip.decompress(path.read_bytes()))
    known = set(re.findall(r"[\w-]+", model["shapes"]["PlatformIdentifier"]["pattern"]))
    supported = sorted(each for each in known if "al2023" in each)

    assert supported[:2] == ["notebook-al2023-v1", "notebook-al2023-v2"]
    assert PARAMETERS["PlatformIdentifier"]["AllowedValues"] == supported
    limit = stack_template.load(ROOT / "template.yaml")["Parameters"]["AllowedPlatformIdentifiers"]
    assert limit["Default"].split(",") == supported


def test_the_fallback_pattern_accepts_every_instance_type_and_an_empty_value() -> None:
    pattern = PARAMETERS["FallbackInstanceTypes"]["AllowedPattern"]
    for known in ["", *SAGEMAKER.shape_for("InstanceType").metadata["enum"]]:
        assert re.fullmatch(pattern, known)
    for other in ("t3.medium", "ml.t3.medium ml.t3.large", "ml.t3"):
        assert not re.fullmatch(pattern, other)


def test_a_launch_that_names_no_fallback_has_none() -> None:
    limits = Limits(("ml.t3.medium",), 1024, ("notebook-al2023-v1",), False)

    spec, violations = parse_notebook(_stringified(PLAIN.properties("Notebook")), limits)

    assert violations == ()
    assert spec is not None
    assert spec.instance_types == ("ml.t3.medium",)


def test_the_volume_bounds_are_within_sagemakers_limits() -> None:
    api = SAGEMAKER.shape_for("NotebookInstanceVolumeSizeInGB").metadata
    size = PARAMETERS["VolumeSizeInGB"]
    assert api["min"] <= size["MinValue"] <= size["Default"] <= size["MaxValue"] < api["max"]


def test_root_access_internet_access_and_replacement_are_off_by_default() -> None:
    assert PARAMETERS["RootAccess"]["Default"] == "Disabled"
    assert PARAMETERS["DirectInternetAccess"]["AllowedValues"] == ["Disabled"]
    assert PARAMETERS["AllowReplacement"]["Default"] == "NO"


@pytest.mark.parametrize("name", ["", "our-code", "a.b-1", "x" * 63])
def test_the_form_accepts_valid_bucket_names(name: str) -> None:
    assert re.search(PARAMETERS["CodeBucketName"]["AllowedPattern"], name)


@pytest.mark.parametrize(
    "name", ["'; id; '", "$(id)", "Upper", "-a-", "ab", "x" * 64, "a b", "a\n"]
)
def test_the_form_rejects_invalid_bucket_names_and_shell_syntax(name: str) -> None:
    pattern = PARAMETERS["CodeBucketName"]["AllowedPattern"]
    assert not re.fullmatch(pattern, name)  # CloudFormation matches the whole value


def test_each_output_has_the_value_that_its_name_promises() -> None:
    role, key = PLAIN.properties("Notebook")["RoleArn"], PLAIN.properties("Notebook")["KmsKeyId"]
    values = {name: PLAIN.output(name) for name in TEMPLATE["Outputs"]}
    assert values == {
        "Message": "<Notebook.Message>",
        "Help": "<Notebook.Help>",
        "SagemakerKMSKey": key,
        "ExecutionRoleArn": role,
        "S3BucketName": BUCKET,
        "NotebookInstanceName": "my-notebook",
        "NotebookInstanceType": "ml.t3.medium",
        "NotebookInstanceUrl": "<Notebook.NotebookInstanceUrl>",
        "NotebookConsoleUrl": "https://eu-west-1.console.aws.amazon.com/sagemaker/home"
        "?region=eu-west-1#/notebook-instances/my-notebook",
        "ProjectName": "QuickStart",
        "ProjectID": "QuickStart007",
    }


def test_the_console_link_uses_the_console_of_the_partition() -> None:
    assert "//cn-north-1.console.amazonaws.cn/" in CHINA.output("NotebookConsoleUrl")


def test_every_taggable_resource_has_the_tags_of_its_project_and_environment() -> None:
    launch = Launch({"ProjectID": "P1", "ProjectName": "Moon", "ENVName": "prod"})
    untaggable = [
        *("AWS::IAM::Policy", "AWS::KMS::Alias", "AWS::S3::BucketPolicy"),
        "AWS::SNS::Subscription",
    ]
    # A lifecycle configuration takes tags only since its type was renewed in September 2026.
    untaggable.append("AWS::SageMaker::NotebookInstanceLifecycleConfig")
    tagged = [
        name
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"].startswith("AWS::") and resource["Type"] not in untaggable
    ]
    assert tagged == ["ExecutionRole", "ProjectKey", "ProjectBucket", "OwnerTopic"]
    assert tags(launch.properties("ExecutionRole"))["NamePrefix"] == "1f2e3d4c"
    for name in [*tagged, "Notebook"]:
        expected = {"ProjectID": "P1", "ProjectName": "Moon", "ENVName": "prod"}
        assert expected.items() <= tags(launch.properties(name)).items()
