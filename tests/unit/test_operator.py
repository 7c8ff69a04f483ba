"""The operator's command line: what each command shows, does, refuses and asks before."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.catalog.model import StackState
from shared import prices
from tests.unit.operator_world import Operator, an_operator
from tests.unit.platform_in_process import Platform


@pytest.fixture
def operator(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """Operate the platform in this process."""
    with an_operator(platform, monkeypatch) as operator:
        yield operator


def wait(operator: Operator, **time: float) -> None:
    operator.platform.clock.advance(timedelta(**time).total_seconds())


# list


def test_a_notebook_is_listed_with_its_owner_its_type_and_its_expiry(operator: Operator) -> None:
    stack = operator.launched(ExpiresAfterDays="2", Tags=[{"Key": "ProjectID", "Value": "GEN42"}])

    (listed,) = operator.run("list", "--json").json["notebooks"]

    assert listed["notebook"] == stack.notebook
    assert listed["status"] == "InService"
    assert listed["instance_type"] == "ml.t3.medium"
    assert listed["owner"] == "data_scientist@example.com"  # a tag holds no comma
    assert listed["project"] == "GEN42"
    assert listed["expires_on"] == "2026-01-08"
    assert listed["stack_id"] == stack.id
    assert f"-{listed['provisioned_product']}/" in stack.id


def test_a_notebook_that_ran_on_has_cost_what_its_type_costs_an_hour(operator: Operator) -> None:
    stack = operator.launched()
    wait(operator, hours=10)

    (listed,) = operator.run("list", "--json").json["notebooks"]

    hourly = prices.hourly("ml.t3.medium")
    assert hourly is not None
    assert listed["cost_usd"]["at_least"] == pytest.approx(10 * hourly, abs=0.02)
    assert listed["cost_usd"]["at_most"] == pytest.approx(10 * hourly, abs=0.02)
    assert stack.notebook in operator.run("list").out


def test_what_a_stopped_notebook_has_cost_is_known_within_bounds(operator: Operator) -> None:
    stack = operator.launched()
    wait(operator, hours=10)
    operator.platform.notebooks.call(
        "StopNotebookInstance", {"NotebookInstanceName": stack.notebook}
    )
    wait(operator, hours=100)

    ran = operator.run("list")
    (listed,) = operator.run("list", "--json").json["notebooks"]

    assert listed["status"] == "Stopped"
    assert listed["cost_usd"]["at_least"] == 0
    assert listed["cost_usd"]["at_most"] == pytest.approx(0.51, abs=0.02)
    assert "0.00 to 0.5" in ran.out


def test_a_type_without_a_known_price_has_no_cost(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.launched()
    monkeypatch.setattr(prices, "hourly", lambda _type: None)

    (listed,) = operator.run("list", "--json").json["notebooks"]

    assert listed["cost_usd"] is None


def test_a_notebook_of_somebody_else_is_not_listed(operator: Operator) -> None:
    operator.platform.notebooks.call(
        "CreateNotebookInstance",
        {
            "NotebookInstanceName": "theirs",
            "InstanceType": "ml.t3.medium",
            "RoleArn": operator.platform.stack().role,
        },
    )

    assert operator.run("list", "--json").json == {"notebooks": [], "requests": []}
    assert operator.run("list").out == "There are no notebooks.\n"


def test_a_request_that_is_not_answered_is_listed_until_it_is(operator: Operator) -> None:
    stack = operator.launching()
    stack.send_create()

    (request,) = operator.run("list", "--json").json["requests"]

    assert (request["notebook"], request["request_type"]) == (stack.notebook, "Create")
    assert request["stack_id"] == stack.id
    assert request["recorded"] == ""
    assert "in 54 min" in operator.run("list").out
    operator.platform.run()
    assert operator.run("list", "--json").json["requests"] == []


def test_a_request_past_its_deadline_says_so(operator: Operator) -> None:
    operator.launching().send_create()
    wait(operator, minutes=60)

    assert "6 min ago" in operator.run("list").out


# extend


def test_an_extended_launch_expires_so_many_days_later(operator: Operator) -> None:
    stack = operator.launched(ExpiresAfterDays="2")

    ran = operator.run("extend", stack.notebook, "--days", "14")

    assert ran.status == 0
    assert ran.out == f"{stack.notebook} expires on 2026-01-22 (UTC), no more on 2026-01-08.\n"
    (listed,) = operator.run("list", "--json").json["notebooks"]
    assert listed["expires_on"] == "2026-01-22"


def test_a_launch_that_has_expired_is_extended_from_today_on(operator: Operator) -> None:
    stack = operator.launched(ExpiresAfterDays="2")
    wait(operator, days=10)

    done = operator.run("extend", stack.notebook, "--days", "1", "--json").json

    assert done == {
        "notebook": stack.notebook,
        "expired_on": "2026-01-08",
        "expires_on": "2026-01-16",
    }


def test_what_never_expires_is_not_extended(operator: Operator) -> None:
    stack = operator.launched()

    ran = operator.run("extend", stack.notebook, "--days", "14")

    assert (ran.status, ran.out) == (1, "")
    assert "does not expire" in ran.err


@pytest.mark.parametrize("days", ["0", "366", "soon"])
def test_days_that_are_none_are_typed_wrong(operator: Operator, days: str) -> None:
    assert operator.run("extend", "any", "--days", days).status == 2


# end


def test_a_launch_is_ended_through_service_catalog_once_that_is_confirmed(
    operator: Operator,
) -> None:
    stack = operator.launched()

    ran = operator.run("end", stack.notebook, answer="y\n")

    assert ran.status == 0
    assert f"End the launch {stack.notebook}" in ran.err
    assert "goes with its volume" in ran.err
    assert "is terminated" in ran.out
    assert [what for what, _, _ in operator.world.stacks.calls][-1] == "delete"


def test_nothing_is_ended_that_is_not_confirmed(operator: Operator) -> None:
    stack = operator.launched()

    ran = operator.run("end", stack.notebook, answer="n\n")

    assert ran.status == 1
    assert [what for what, _, _ in operator.world.stacks.calls] == ["create"]


def test_a_termination_that_fails_says_why(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = operator.launched()
    monkeypatch.setattr(
        "vending.launches.time.sleep",
        lambda _: operator.world.let_run(
            StackState("DELETE_FAILED", failure="the bucket is not empty")
        ),
    )

    ran = operator.run("end", stack.notebook, "--yes")

    assert (ran.status, ran.out) == (1, "")
    assert "the bucket is not empty" in ran.err


@pytest.mark.parametrize("command", [("end", "--yes"), ("extend", "--days", "1")])
def test_a_launch_that_is_being_changed_is_left_alone(
    operator: Operator, command: tuple[str, ...]
) -> None:
    stack = operator.launched(ExpiresAfterDays="2")
    operator.offer.update(stack.id.split("/")[1].removeprefix("SC-123456789012-"))

    ran = operator.run(*command, stack.notebook)

    assert ran.status == 1
    assert "is being changed" in ran.err


def test_a_notebook_without_a_launch_is_not_ended(operator: Operator) -> None:
    stack = operator.platform.stack()
    stack.create().expect_success()

    ran = operator.run("end", stack.notebook, "--yes")

    assert ran.status == 1
    assert "vending sweep" in ran.err


# What goes wrong


def test_a_notebook_that_is_not_there_is_named(operator: Operator) -> None:
    ran = operator.run("end", "nobodys", "--yes")

    assert ran.status == 1
    assert ran.err == "There is no notebook nobodys: `vending list` shows those that there are.\n"


def test_a_stack_that_is_not_there_is_named_with_its_region(operator: Operator) -> None:
    ran = operator.run("list", "--stack-name", "other")

    assert ran.status == 1
    assert "There is no stack other in us-east-1" in ran.err


def test_a_missing_permission_is_named_and_is_no_traceback(operator: Operator) -> None:
    operator.refused["ListNotebookInstances"] = "AccessDeniedException"

    ran = operator.run("list")

    assert (ran.status, ran.out) == (3, "")
    assert ran.err.startswith("You lack the permission sagemaker:ListNotebookInstances: ")


def test_every_command_has_an_example_and_says_what_it_does(operator: Operator) -> None:
    commands = operator.run("--help").out
    for name in ("list", "extend", "end"):
        assert f"│ {name} " in commands
        told = operator.run(name, "--help")
        assert told.status == 0
        assert f"vending {name}" in told.out
