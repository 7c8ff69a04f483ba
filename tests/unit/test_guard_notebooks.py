"""The guard refuses to delete a platform that has notebooks, and names them."""

import json
from typing import Any

import pytest

from handlers import guard_notebooks
from notebook_vending.aws import tagging
from notebook_vending.aws.tagging import Candidate
from notebook_vending.housekeeping import projects
from notebook_vending.notebooks.notebook import STACK_TAG
from notebook_vending.requests import answer
from simulation.lambda_context import context
from simulation.platform import STACK_TAGS, Platform
from tests.unit.reply_address import URL

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/notebook-vending/p"


@pytest.fixture
def answers(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect the answers for the platform's stack, which is being deleted."""
    taken: list[dict[str, Any]] = []
    of_launches = answer.put

    def put(url: str, body: bytes) -> None:
        if url == URL:
            taken.append(json.loads(body))
        else:
            of_launches(url, body)

    monkeypatch.setattr(answer, "put", put)
    platform.stacks[STACK] = {"status": "DELETE_IN_PROGRESS", "physical_ids": ()}
    return taken


def event(kind: str = "Delete") -> dict[str, Any]:
    return {
        "RequestType": kind,
        "RequestId": "r-1",
        "StackId": STACK,
        "LogicalResourceId": "Guard",
        "ResponseURL": URL,
        "ResourceProperties": {},
        **({} if kind == "Create" else {"PhysicalResourceId": "Guard"}),
    }


def make(platform: Platform, *names: str, **tags: str) -> None:
    """Create notebooks with the platform's tag directly in SageMaker."""
    ours = {"notebook-vending:platform": "notebook-vending", **tags}
    for name in names:
        role = f"arn:aws:iam::123456789012:role/{name}"
        platform.roles[role] = 0
        platform.notebooks.call(
            "CreateNotebookInstance",
            {
                "NotebookInstanceName": name,
                "InstanceType": "ml.t3.medium",
                "RoleArn": role,
                "Tags": [{"Key": key, "Value": value} for key, value in ours.items()],
            },
        )


def test_a_platform_without_notebooks_may_be_deleted(
    platform: Platform, answers: list[dict[str, Any]]
) -> None:
    make(platform, "Foreign", **{"notebook-vending:platform": "another"})

    guard_notebooks.handler(event(), context())

    (said,) = answers
    assert (said["Status"], said["PhysicalResourceId"]) == ("SUCCESS", "Guard")


def test_a_launch_blocks_the_deletion_of_the_platform_until_it_is_gone(
    platform: Platform, answers: list[dict[str, Any]]
) -> None:
    stack = platform.stack()
    stack.create(NotebookInstanceName="Analysis-1").expect_success()

    guard_notebooks.handler(event(), context())
    stack.delete().expect_success()
    guard_notebooks.handler(event(), context())

    refused, allowed = answers
    assert refused["Status"] == "FAILED"
    assert "analysis-1 (InService, of SC-123456789012-pp-1)" in refused["Reason"]
    assert "Terminate their launches in Service Catalog" in refused["Reason"]
    assert allowed["Status"] == "SUCCESS"


def test_an_orphan_in_any_status_blocks_the_deletion_of_the_platform(
    platform: Platform, answers: list[dict[str, Any]]
) -> None:
    make(platform, "Orphan", "Stopping")
    platform.notebooks.force_status("Orphan", "Failed")
    platform.notebooks.force_status("Stopping", "Stopping")

    guard_notebooks.handler(event(), context())

    (said,) = answers
    assert said["Status"] == "FAILED"
    assert "orphan (Failed, of no stack), stopping (Stopping, of no stack)." in said["Reason"]


def test_at_most_twenty_notebooks_are_named(
    platform: Platform, answers: list[dict[str, Any]]
) -> None:
    make(platform, *(f"Notebook-{number:02}" for number in range(22)))

    guard_notebooks.handler(event(), context())

    (said,) = answers
    assert said["Reason"].count("(Pending, ") == 20
    assert "notebook-19 (Pending, of no stack), and more." in said["Reason"]


def test_a_notebook_that_is_deleted_during_the_search_does_not_count(
    platform: Platform, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search by tags (Resource Groups Tagging API) lags behind SageMaker."""
    gone = Candidate("arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/gone", {})
    monkeypatch.setattr(tagging, "notebooks", lambda _tags: iter([gone]))

    guard_notebooks.handler(event(), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]
    assert platform.calls("DescribeNotebookInstance") == 1


@pytest.mark.parametrize(
    "status", ["ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE"]
)
def test_a_rollback_of_a_deployment_is_not_blocked(
    platform: Platform, answers: list[dict[str, Any]], status: str
) -> None:
    make(platform, "Living")
    platform.stacks[STACK] = {"status": status, "physical_ids": ()}

    guard_notebooks.handler(event(), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_notebooks_do_not_block_a_deployment_of_the_platform(
    platform: Platform, answers: list[dict[str, Any]], kind: str
) -> None:
    make(platform, "Living")

    guard_notebooks.handler(event(kind), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]


def test_the_platform_stays_when_its_stack_cannot_be_read(
    platform: Platform, answers: list[dict[str, Any]], pauses: list[float]
) -> None:
    platform.stacks[STACK] = {"status": "AccessDenied", "physical_ids": ()}

    guard_notebooks.handler(event(), context())

    (said,) = answers
    assert said["Status"] == "FAILED"
    assert "not authorized" in said["Reason"]
    assert 50 < sum(pauses) <= 60


# The projects of a portfolio

OURS = [{"Key": "ProjectID", "Value": "QuickStart007"}]


def changed(before: str, now: str, portfolio: str = "port-1") -> dict[str, Any]:
    """Return the request for another list of projects."""
    properties = {"PortfolioId": portfolio, "ProjectIDs": now.split(",")}
    return {
        **event("Update"),
        "ResourceType": "Custom::PortfolioProjects",
        "LogicalResourceId": "Projects",
        "ResourceProperties": properties,
        "OldResourceProperties": {**properties, "ProjectIDs": before.split(",")},
    }


def test_a_project_with_notebooks_is_not_removed_and_the_answer_names_their_owners(
    platform: Platform, answers: list[dict[str, Any]]
) -> None:
    stack = platform.stack()
    stack.create(NotebookInstanceName="Analysis-1", Tags=OURS).expect_success()

    guard_notebooks.handler(changed("QuickStart007,Churn42,Other", "Churn42"), context())
    stack.delete().expect_success()
    guard_notebooks.handler(changed("QuickStart007,Churn42", "Churn42"), context())

    refused, allowed = answers
    assert refused["Status"] == "FAILED"
    assert "analysis-1 (data_scientist@example.com) of QuickStart007. Keep" in refused["Reason"]
    assert "in ProjectIDs until the launches are terminated." in refused["Reason"]
    assert allowed["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("before", "now", "portfolio"),
    [
        ("QuickStart007", "QuickStart007,Churn42", "port-1"),
        ("QuickStart007,Churn42", "Churn42,QuickStart007", "port-1"),
        ("QuickStart007,Churn42", "QuickStart007", "port-1"),
        ("QuickStart007", "Churn42", "port-2"),
    ],
    ids=["added", "in-another-order", "one-without-notebooks", "of-another-portfolio"],
)
def test_a_change_that_locks_no_owner_out_is_allowed(
    platform: Platform, answers: list[dict[str, Any]], before: str, now: str, portfolio: str
) -> None:
    platform.stack().create(NotebookInstanceName="Analysis-1", Tags=OURS).expect_success()

    guard_notebooks.handler(changed(before, now, portfolio), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]


def test_a_notebook_of_another_accounts_portfolio_keeps_its_project(
    platform: Platform, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hubs = "arn:aws:catalog:us-east-1:210987654321:portfolio/port-hub"
    monkeypatch.setitem(STACK_TAGS, "aws:servicecatalog:portfolioArn", hubs)
    platform.stack().create(NotebookInstanceName="Analysis-1", Tags=OURS).expect_success()

    guard_notebooks.handler(changed("QuickStart007", "Churn42"), context())

    (said,) = answers
    assert said["Status"] == "FAILED"
    assert "analysis-1 (data_scientist@example.com) of QuickStart007. Keep" in said["Reason"]


@pytest.mark.parametrize(("portfolio", "status"), [("port-1", "FAILED"), ("port-2", "SUCCESS")])
def test_the_platforms_own_projects_belong_to_the_portfolio_in_its_outputs(
    platform: Platform, answers: list[dict[str, Any]], portfolio: str, status: str
) -> None:
    platform.stack().create(NotebookInstanceName="Analysis-1", Tags=OURS).expect_success()
    platform.stacks[STACK] = {
        "status": "UPDATE_IN_PROGRESS",
        "physical_ids": (),
        "outputs": {"LedgerTable": "ledger", "PortfolioId": portfolio},
    }

    guard_notebooks.handler(changed("QuickStart007", "Churn42", ""), context())

    assert [said["Status"] for said in answers] == [status]


def test_a_notebook_without_a_stack_keeps_no_project(
    platform: Platform, answers: list[dict[str, Any]]
) -> None:
    make(platform, "Orphan", ProjectID="QuickStart007")

    guard_notebooks.handler(changed("QuickStart007", "Churn42"), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]


def test_a_deleted_notebook_that_the_search_still_finds_keeps_no_project(
    platform: Platform, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = platform.stack()
    stack.create(NotebookInstanceName="Analysis-1", Tags=OURS).expect_success()
    (found,) = tagging.notebooks({"ProjectID": "QuickStart007"})
    platform.notebooks.call("StopNotebookInstance", {"NotebookInstanceName": "Analysis-1"})
    platform.clock.advance(600)
    platform.notebooks.call("DeleteNotebookInstance", {"NotebookInstanceName": "Analysis-1"})
    platform.clock.advance(600)
    monkeypatch.setattr(tagging, "notebooks", lambda _tags: iter([found]))

    guard_notebooks.handler(changed("QuickStart007", "Churn42"), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]


@pytest.mark.parametrize(
    ("left", "named"), [(800_000, 20), (90_000, 0)], ids=["time-for-all", "no-time"]
)
def test_at_most_twenty_notebooks_of_removed_projects_are_named(
    answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, left: int, named: int
) -> None:
    names = [f"notebook-{number:02}" for number in range(15)]
    monkeypatch.setattr(projects, "notebooks", lambda *_: iter(names))

    guard_notebooks.handler(changed("A,B,C,Churn42", "Churn42"), context(left, step=1))

    (said,) = answers
    assert said["Status"] == "FAILED"
    assert said["Reason"].count("notebook-") == named
    assert said["Reason"].count("and more. Keep A, B, C in ProjectIDs") == 1


@pytest.mark.parametrize(
    ("stack", "status"), [("", "SUCCESS"), ("AccessDenied", "FAILED")], ids=["gone", "denied"]
)
@pytest.mark.usefixtures("pauses")
def test_a_notebook_of_a_stack_that_is_gone_keeps_no_project(
    platform: Platform,
    answers: list[dict[str, Any]],
    stack: str,
    status: str,
) -> None:
    make(platform, "Orphan", **{"ProjectID": "QuickStart007", STACK_TAG: f"{STACK}-of-a-launch"})
    platform.stacks[f"{STACK}-of-a-launch"] = {"status": stack, "physical_ids": ()}

    guard_notebooks.handler(changed("QuickStart007", "Churn42"), context())

    assert [said["Status"] for said in answers] == [status]


@pytest.mark.parametrize("kind", ["Create", "Delete"])
def test_notebooks_do_not_block_the_creation_or_deletion_of_a_portfolio(
    platform: Platform, answers: list[dict[str, Any]], kind: str
) -> None:
    platform.stack().create(NotebookInstanceName="Analysis-1", Tags=OURS).expect_success()

    guard_notebooks.handler({**changed("QuickStart007", "Churn42"), "RequestType": kind}, context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]
