"""CloudTrail's event history in the embedded AWS: changes of notebooks, in pages."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.catalog import trust
from aws_testing.waiting import unique
from embedded_aws.emulator import Emulator


@pytest.fixture
def notebook(emulator: Emulator) -> str:
    """Create a notebook and return its ARN."""
    name = unique("history")
    emulator.control("sagemaker", {"role_propagation": 0})
    made = emulator.client("iam").create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(trust({"Service": "sagemaker.amazonaws.com"})),
    )
    return str(
        emulator.client("sagemaker").create_notebook_instance(
            NotebookInstanceName=name,
            InstanceType="ml.t3.medium",
            RoleArn=made["Role"]["Arn"],
        )["NotebookInstanceArn"]
    )


def history(emulator: Emulator, call: str, **more: Any) -> list[dict[str, Any]]:
    """Return the events of an API operation, latest first."""
    pages = (
        emulator.client("cloudtrail")
        .get_paginator("lookup_events")
        .paginate(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": call}], **more)
    )
    return [json.loads(each["CloudTrailEvent"]) for page in pages for each in page["Events"]]


def test_an_event_names_the_role_of_a_session(emulator: Emulator, notebook: str) -> None:
    account, name = notebook.split(":")[4], unique("operator")
    iam = emulator.client("iam")
    document = trust({"AWS": f"arn:aws:iam::{account}:root"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]
    allowed = {"Effect": "Allow", "Action": "sagemaker:AddTags", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName=name, PolicyName="tag", PolicyDocument=policy)
    session = emulator.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="ann")
    emulator.client("sagemaker", session["Credentials"]).add_tags(
        ResourceArn=notebook, Tags=[{"Key": "a", "Value": "1"}]
    )

    event = history(emulator, "AddTags")[0]

    assert event["eventSource"] == "sagemaker.amazonaws.com"
    assert event["requestParameters"]["resourceArn"] == notebook
    identity = event["userIdentity"]
    assert identity["arn"].endswith(f":assumed-role/{name}/ann")
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == role["Arn"]


def test_a_failed_call_is_recorded_with_its_error_and_a_read_is_not_recorded(
    emulator: Emulator, notebook: str
) -> None:
    name = notebook.rpartition("/")[2]
    sagemaker = emulator.client("sagemaker")
    sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    with pytest.raises(ClientError):
        sagemaker.delete_notebook_instance(NotebookInstanceName=name)

    assert history(emulator, "DescribeNotebookInstance") == []
    event = history(emulator, "DeleteNotebookInstance")[0]
    assert event["requestParameters"] == {"notebookInstanceName": name}
    assert event["errorCode"] == "ValidationException"


def test_events_come_in_pages_latest_first(emulator: Emulator, notebook: str) -> None:
    for number in range(60):
        tag = {"Key": "number", "Value": str(number)}
        emulator.client("sagemaker").add_tags(ResourceArn=notebook, Tags=[tag])

    found = history(emulator, "AddTags")

    values = [
        each["requestParameters"]["tags"][0]["value"]
        for each in found
        if each["requestParameters"]["resourceArn"] == notebook
    ]
    assert values == [str(number) for number in reversed(range(60))]
