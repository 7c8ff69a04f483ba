"""The platform's template is one deployment without manual steps."""

import json
import re
from typing import Any

import pytest

from tests.project import PLATFORM, ROOT
from tests.scan import templates
from tests.unit.stack_template import platform_resources, rooms

RESOURCES = platform_resources()
NESTED = {path: room for path, room in rooms().items() if path != "template.yaml"}
GLOBALS = [room["Globals"]["Function"] for room in NESTED.values()]


def of_type(suffix: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type, by their names."""
    return {
        name: resource.get("Properties", {})
        for name, resource in RESOURCES.items()
        if resource["Type"].endswith(f"::{suffix}")
    }


def only(suffix: str) -> dict[str, Any]:
    """Return the properties of the one resource of a type."""
    (properties,) = of_type(suffix).values()
    return properties


def test_every_parameter_has_a_default() -> None:
    assert [n for n, p in PLATFORM["Parameters"].items() if "Default" not in p] == []


# Functions


def test_every_function_has_its_own_role_and_the_tracing_setting() -> None:
    functions = of_type("Function")
    roles = [json.dumps(each["Role"]) for each in functions.values()]

    assert len(set(roles)) == len(roles)
    for shared in GLOBALS:
        assert shared["Tracing"] == {"Fn::If": ["TracesFunctions", "Active", "PassThrough"]}


def test_root_template_has_no_function() -> None:
    """Otherwise its Globals would repeat those of the nested stacks."""
    types = {each["Type"] for each in PLATFORM["Resources"].values()}

    assert "AWS::Serverless::Function" not in types
    assert "Globals" not in PLATFORM


def test_functions_are_traced_except_in_china() -> None:
    in_china = {"Fn::Equals": [{"Ref": "AWS::Partition"}, "aws-cn"]}

    for room in NESTED.values():
        assert room["Conditions"]["TracesFunctions"] == {"Fn::Not": [in_china]}


def test_no_function_reserves_concurrency() -> None:
    """A reservation would limit the function that answers, and some accounts cannot reserve any."""
    for each in (*GLOBALS, *of_type("Function").values()):
        assert "ReservedConcurrentExecutions" not in each


def test_no_environment_variable_holds_a_secret() -> None:
    """They hold names and numbers, which is the reason for CKV_AWS_173 in .checkov.yaml."""
    environments = [*GLOBALS, *of_type("Function").values()]
    held = json.dumps([each.get("Environment", {}) for each in environments])
    secret = re.compile(r"resolve:|secret|password|token|credential|access_key", re.IGNORECASE)

    assert held.count('"Ref"') > 5
    assert not secret.search(held)
    for room in rooms().values():
        assert not any("NoEcho" in parameter for parameter in room["Parameters"].values())


def test_failed_events_have_a_destination_and_every_queue_has_an_alarm() -> None:
    destinations = {
        name: json.dumps(function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"])
        for name, function in of_type("Function").items()
        if "EventInvokeConfig" in function
    }
    of_launches = only("EventInvokeConfig")
    watched = RESOURCES["Operations"]["Properties"]["Parameters"]

    assert "RespondFunction" in json.dumps(of_launches["DestinationConfig"]["OnFailure"])
    assert (of_launches["FunctionName"], of_launches["Qualifier"]) == (
        {"Ref": "RequestFunction"},
        only("Alias")["Name"],
    )
    assert "FailedAnswers" in destinations["RespondFunction"]
    assert "UndeliveredEvents" in destinations["DeleteOrphansFunction"]
    assert watched["UndeliveredEvents"] == {"Fn::GetAtt": ["UndeliveredEvents", "QueueName"]}
    assert watched["FailedAnswers"] == {"Fn::GetAtt": ["Lifecycle", "Outputs.FailedAnswers"]}
    output = rooms()["stacks/lifecycle.yaml"]["Outputs"]["FailedAnswers"]["Value"]
    assert output == {"Fn::GetAtt": ["FailedAnswers", "QueueName"]}


# Versions of functions


LIFECYCLE = rooms()["stacks/lifecycle.yaml"]
VERSIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "Custom::FunctionVersions"
}


def test_executions_run_function_versions_and_cannot_invoke_anything_else() -> None:
    substitutions = only("StateMachine")["DefinitionSubstitutions"]
    functions = {name for name in substitutions if name.endswith("Function")}
    (invokes, *_) = RESOURCES["LifecycleRole"]["Properties"]["Policies"][0]["PolicyDocument"][
        "Statement"
    ]

    assert functions == VERSIONS["LifecycleVersions"]["Functions"].keys()
    for name in functions:
        assert substitutions[name] == {"Fn::GetAtt": ["LifecycleVersions", name]}
        assert VERSIONS["LifecycleVersions"]["Functions"][name] == {"Ref": name}
    assert invokes["Action"] == "lambda:InvokeFunction"
    allowed = {each["Fn::Sub"] for each in invokes["Resource"]}
    assert allowed == {f"${{{name}.Arn}}:*" for name in functions}


def test_launches_call_an_alias_that_changes_after_the_state_machine() -> None:
    alias = only("Alias")
    token = PLATFORM["Outputs"]["ServiceToken"]

    assert token["Value"] == {"Fn::GetAtt": ["Lifecycle", "Outputs.RequestAliasArn"]}
    assert LIFECYCLE["Outputs"]["RequestAliasArn"]["Value"] == {"Ref": "RequestAlias"}
    assert RESOURCES["Catalog"]["Properties"]["Parameters"]["RequestFunctionArn"] == token["Value"]
    published = {"Fn::GetAtt": ["RequestVersion", "RequestFunction"]}
    number_in_arn = {"Fn::Select": [7, {"Fn::Split": [":", published]}]}
    assert (alias["FunctionName"], alias["FunctionVersion"]) == (
        {"Ref": "RequestFunction"},
        number_in_arn,
    )
    variables = of_type("Function")["RequestFunction"]["Environment"]["Variables"]
    assert variables["STATE_MACHINE_ARN"] == {"Ref": "NotebookLifecycle"}


@pytest.mark.parametrize("name", VERSIONS)
def test_every_parameter_of_a_function_makes_a_new_version_of_it(
    name: str,
) -> None:
    """The Release covers changes of the code, and every other change is a parameter.

    CloudFormation requests versions only when a property of their resource has changed.
    """
    known = json.dumps(VERSIONS[name])
    functions = [of_type("Function")[each] for each in VERSIONS[name]["Functions"]]
    defined = json.dumps([LIFECYCLE["Globals"]["Function"], *functions])

    assert VERSIONS[name]["Release"] == {"Ref": "Release"}
    parameters = {each for each in LIFECYCLE["Parameters"] if json.dumps({"Ref": each}) in defined}
    assert len(parameters) >= 4
    # These never change during the platform's life, and the layer is part of the Release.
    parameters -= {"Dependencies", "FunctionLogs", "Ledger", "Platform", "UndeliveredEventsArn"}
    for each in (*parameters, "RolePath"):
        assert json.dumps({"Ref": each}) in known, each


def test_release_contains_everything_that_is_deployed() -> None:
    recipe = (ROOT / "src" / "Makefile").read_text().partition("build-Release:")[2]
    copied = recipe.partition("\n\n")[0]

    assert RESOURCES["Release"]["Properties"]["RetentionPolicy"] == "Delete"
    of_layer = ("requirements/botocore_data.py", "requirements/lambda.txt")
    for each in ("product", *of_layer, "stacks", "statemachine", "template.yaml"):
        assert f"../{each}" in copied
        assert (ROOT / each).exists()
    assert copied.startswith(" build-code")


# Stored data


def test_all_stored_data_is_encrypted_with_the_platforms_key() -> None:
    key = {"Fn::GetAtt": ["Key", "Arn"]}
    tables = of_type("Table")

    for name, its_key in (("Ledger", key), ("DriftTable", {"Ref": "KeyArn"})):
        assert tables[name]["SSESpecification"] == {
            "SSEEnabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": its_key,
        }
        recovery = tables[name]["PointInTimeRecoverySpecification"]
        assert recovery == {"PointInTimeRecoveryEnabled": True}
    assert tables.keys() == {"Ledger", "DriftTable"}
    for name in ("Lifecycle", "Housekeeping"):
        assert PLATFORM["Resources"][name]["Properties"]["Parameters"]["KeyArn"] == key
    assert {name: each["KmsMasterKeyId"] for name, each in of_type("Queue").items()} == {
        "FailedAnswers": {"Ref": "KeyArn"},
        "UndeliveredEvents": key,
    }
    assert [each["KmsKeyId"] for each in of_type("LogGroup").values()] == [key, key]
    assert only("Key")["EnableKeyRotation"] is True


def test_every_log_group_has_the_retention_that_the_administrator_chooses() -> None:
    assert PLATFORM["Parameters"]["LogRetentionInDays"]["Default"] == 365
    for group in of_type("LogGroup").values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionInDays"}


def test_state_machine_logs_and_traces_everything_except_data() -> None:
    machine = only("StateMachine")

    assert machine["Tracing"] == {"Enabled": True}
    assert (machine["Logging"]["Level"], machine["Logging"]["IncludeExecutionData"]) == (
        "ALL",
        False,
    )


def test_every_queue_and_bucket_denies_access_without_tls_and_is_not_public() -> None:
    guarded = 0
    for name, policy in {**of_type("QueuePolicy"), **of_type("BucketPolicy")}.items():
        found = policy["PolicyDocument"]["Statement"]
        without_tls = {"Bool": {"aws:SecureTransport": "false"}}
        assert any(
            each["Effect"] == "Deny" and each.get("Condition") == without_tls for each in found
        ), name
        assert all(each["Effect"] == "Deny" for each in found if each["Principal"] == "*"), name
        guarded += 1
    assert guarded == len(of_type("Queue")) + len(of_type("Bucket"))


def test_every_invoke_permission_names_its_principal_and_its_source() -> None:
    for permission in of_type("Permission").values():
        assert permission["Principal"] != "*"
        assert "SourceArn" in permission


@pytest.mark.parametrize("path", NESTED)
def test_every_rule_retries_and_keeps_undelivered_events(path: str) -> None:
    room = templates.transformed(ROOT / path)
    rules = {n: r for n, r in room["Resources"].items() if r["Type"] == "AWS::Events::Rule"}
    for name, rule in rules.items():
        for target in rule["Properties"]["Targets"]:
            assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0, name
            assert target["DeadLetterConfig"] == {"Arn": {"Ref": "UndeliveredEventsArn"}}
    arns = room["Outputs"]["RuleArns"]["Value"]["Fn::Join"][1] if rules else []
    assert arns == [{"Fn::GetAtt": [name, "Arn"]} for name in sorted(rules)]


def test_queue_accepts_the_events_of_every_rule() -> None:
    policy = json.dumps(RESOURCES["UndeliveredEventsPolicy"]["Properties"]["PolicyDocument"])
    nested = {
        name: each["Properties"]
        for name, each in PLATFORM["Resources"].items()
        if each["Type"] == "AWS::CloudFormation::Stack"
    }
    passed = {name: each["Parameters"].get("UndeliveredEventsArn") for name, each in nested.items()}
    sending = [name for name, queue in passed.items() if queue]

    assert len(sending) == 2
    for name in sending:
        assert json.dumps([name, "Outputs.RuleArns"]) in policy
        assert passed[name] == {"Fn::GetAtt": ["UndeliveredEvents", "Arn"]}


# The end


def test_guard_is_deleted_before_everything_that_a_notebook_can_need() -> None:
    """CloudFormation deletes a resource at once if no other resource depends on it.

    If this fails for a new resource, add it to the DependsOn of the guard. If the resource has a
    condition, add its name to After.
    """
    resources = templates.transformed(ROOT / "template.yaml")["Resources"]
    reached: set[str] = set()
    waiting = ["Guard"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += named_in(resources[name]) & resources.keys()

    assert resources.keys() - reached == set()
    conditional = {name for name, each in resources.items() if "Condition" in each}
    assert not conditional & set(RESOURCES["Guard"]["DependsOn"])


def named_in(resource: dict[str, Any]) -> set[str]:
    """Return the dependencies of a resource (CloudFormation template reference, "DependsOn")."""
    before = resource.get("DependsOn", [])
    text = json.dumps(resource.get("Properties", {}))
    return {
        *([before] if isinstance(before, str) else before),
        *re.findall(r'"Ref": "(\w+)"', text),
        *re.findall(r'"Fn::GetAtt": \["(\w+)"', text),
        *re.findall(r"\$\{(\w+)", text),
    }


def test_guard_can_describe_only_the_platforms_own_stack_and_launches() -> None:
    (policy,) = RESOURCES["GuardNotebooksRole"]["Properties"]["Policies"]
    asked = [
        each["Resource"]
        for each in policy["PolicyDocument"]["Statement"]
        if each["Action"] == "cloudformation:DescribeStacks"
    ]

    launches, own = asked
    assert launches["Fn::Sub"].endswith(":stack/SC-*")
    given = PLATFORM["Resources"]["DeploymentHelpers"]["Properties"]["Parameters"]
    assert own == {"Ref": "PlatformId"}
    assert given["PlatformId"] == {"Ref": "AWS::StackId"}
