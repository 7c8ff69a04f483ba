"""State-change events and settings of the notebook simulator."""

import json
from typing import Any

import pytest

from aws_testing.notebook_world import ARN, ROLE, World, refused
from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.service import NotebookService


@pytest.fixture
def world() -> World:
    return World()


def test_each_change_sends_one_event_in_order_with_its_time(world: World) -> None:
    world.create()
    world.clock.advance(1000)
    world.service.advance()
    world.on("Stop")
    world.clock.advance(1000)
    world.service.advance()
    world.service.advance()

    assert [
        (event["time"], event["detail"]["NotebookInstanceStatus"]) for event in world.events
    ] == [
        ("2001-09-09T01:46:40Z", "Pending"),
        ("2001-09-09T01:50:40Z", "InService"),
        ("2001-09-09T02:03:20Z", "Stopping"),
        ("2001-09-09T02:04:20Z", "Stopped"),
    ]


def test_a_rejected_call_does_not_lose_a_due_event(world: World) -> None:
    world.create()
    world.clock.advance(240)

    refused(world.create)

    statuses = [event["detail"]["NotebookInstanceStatus"] for event in world.events]
    assert statuses == ["Pending", "InService"]


def test_events_of_several_notebooks_come_in_order_of_time(world: World) -> None:
    world.create("late")
    world.service.configure({"timing": {"pending": 5}})
    world.create("early")
    world.events.clear()

    world.clock.advance(1000)
    world.service.advance()

    names = [event["detail"]["NotebookInstanceName"] for event in world.events]
    assert names == ["early", "late"]


def test_an_event_has_the_fields_of_a_sagemaker_event(world: World) -> None:
    world.create(SubnetId="subnet-1", SecurityGroupIds=["sg-1"], Tags=[{"Key": "a", "Value": "b"}])

    (event,) = world.events

    assert event["source"] == "aws.sagemaker"
    assert event["detail-type"] == "SageMaker Notebook Instance State Change"
    assert event["resources"] == [ARN]
    assert event["region"] == "us-east-1"
    assert event["account"] == "123456789012"
    detail = event["detail"]
    assert detail["NotebookInstanceArn"] == ARN
    assert detail["InstanceType"] == "ml.t3.medium"
    assert detail["SecurityGroups"] == ["sg-1"]
    assert detail["CreationTime"] == detail["LastModifiedTime"] == 1_000_000_000_000
    assert detail["Tags"] == {"a": "b"}
    json.dumps(event)


def test_an_event_handler_can_call_the_simulator(world: World) -> None:
    answers = []
    service = NotebookService(
        Surroundings(world.clock),
        emit=lambda event: answers.append(
            service.call("ListTags", {"ResourceArn": event["resources"][0]})
        ),
    )

    service.call(
        "CreateNotebookInstance",
        {"NotebookInstanceName": "mine", "InstanceType": "ml.t3.medium", "RoleArn": ROLE},
    )

    assert answers == [{"Tags": []}]


def test_the_state_is_json_and_shows_more_than_describe(world: World) -> None:
    world.create(Tags=[{"Key": "a", "Value": "b"}], SubnetId="subnet-1")
    refused(world.create)

    state = json.loads(json.dumps(world.service.state()))

    (notebook,) = state["notebooks"]
    assert notebook["volume_id"].startswith("vol-")
    assert notebook["tags"] == {"a": "b"}
    assert notebook["network_interface_id"] == world.describe()["NetworkInterfaceId"]
    assert notebook["next"] == {
        "status": "InService",
        "due": world.clock.now + 240,
        "failure_reason": None,
    }
    assert state["calls"] == {"CreateNotebookInstance": 2}


def test_the_state_shows_the_settings_and_can_be_applied_again(world: World) -> None:
    settings = {
        "timing": {"pending": 1},
        "role_propagation": 3,
        "volume_key_condition": "sagemaker:VolumeKmsKey",
        "quotas": {"ml.t3.medium": 0},
        "no_capacity": ["ml.t3.large"],
        "not_in_zone": {"ml.t3.medium": "call"},
        "updates_failed_notebooks": True,
        "failing_lifecycle_configs": ["c"],
        "failing_notebooks": {"x": None},
        "calls_per_second": 5,
        "page_size": 2,
        "call_faults": [{"operation": "*", "calls": 3}],
    }
    world.service.configure(settings)
    shown = world.service.state()

    other = World()
    other.service.configure({name: shown[name] for name in settings})

    assert {name: other.service.state()[name] for name in settings} == {
        name: shown[name] for name in settings
    }
    assert shown["timing"]["pending"] == 1
    assert shown["timing"]["stopping"] == 60


def test_reset_removes_the_faults_and_keeps_the_notebooks(world: World) -> None:
    world.create()
    world.service.configure(
        {
            "quotas": {"ml.t3.medium": 1},
            "page_size": 1,
            "volume_key_condition": "sagemaker:VolumeKmsKey",
        }
    )

    world.service.configure({"reset": True, "page_size": 5})

    state = world.service.state()
    assert (state["quotas"], state["page_size"], state["calls"]) == ({}, 5, {})
    assert state["volume_key_condition"] == "sagemaker:VolumeKmsKeyArn"
    assert len(state["notebooks"]) == 1
    world.create("another")


def test_a_status_can_be_forced(world: World) -> None:
    world.create("one")
    world.create("two")

    world.service.configure(
        {
            "statuses": {
                "one": "InMaintenance",
                "two": {
                    "status": "Failed",
                    "failure_reason": "disk",
                    "then": "Stopped",
                    "after": 60,
                },
            }
        }
    )

    assert world.status("one") == "InMaintenance"
    assert world.events[-1]["detail"]["FailureReason"] == "disk"
    world.clock.advance(60)
    assert world.status("two") == "Stopped"


@pytest.mark.parametrize(
    "settings",
    [
        {"quota": {}},
        {"timing": {"waiting": 1}},
        {"volume_key_condition": "sagemaker:KmsKey"},
        {"call_faults": [{"code": "X"}]},
        {"statuses": {"mine": {"reason": "?"}}},
    ],
)
def test_an_unknown_setting_is_rejected(world: World, settings: dict[str, Any]) -> None:
    world.create()

    with pytest.raises(ValueError, match=r"."):
        world.service.configure(settings)
