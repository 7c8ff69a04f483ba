"""The proof of least privilege fails for each kind of error that it must find."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo import deploy
from demo.progress import Progress
from demo.run import SurpriseError
from permissions_proof import grants, report, scenario
from permissions_proof.__main__ import main
from permissions_proof.cannot_be_shown import UNEXERCISED
from permissions_proof.usage import Call, Grant, Place, Unexercised, Usage, calls_of, usage
from tests.pages import table
from tests.project import ROOT
from tests.unit import stack_template
from tests.unit.product_launch import TEMPLATE

LOOK = Place("stack-Role-1", "Policy", 0, "s3:GetObject", "arn:aws:s3:::data/*")
SEND = Place("stack-Role-1", "Policy", 1, "sqs:SendMessage", "arn:aws:sqs:::queue")
GRANTED = {
    LOOK: Grant("Role", "Policy", "Look", "s3:GetObject", 0, LOOK.resource),
    SEND: Grant("Role", "Policy", "#2", "sqs:SendMessage", 0, SEND.resource),
}
NEVER_SENT = Unexercised(("Role",), ("sqs:SendMessage",), "nothing fails here", "a guide")


def allowed(*places: Place, count: int = 1) -> Call:
    place = places[0]
    return Call(place.role, place.action, place.resource, True, places, count)


def judged(calls: Iterable[Call], *listed: Unexercised) -> Usage:
    return usage(GRANTED, calls, listed)


# --- granted and used permissions -----------------------------------------------------------------


def test_proof_succeeds_when_every_permission_is_used() -> None:
    found = judged([allowed(LOOK, count=3), allowed(SEND)])

    assert found.proves
    assert found.closing == "granted 2, used 2, unused 0, denied 0"
    assert found.used[GRANTED[LOOK]] == 3


def test_permission_that_no_call_uses_is_reported() -> None:
    found = judged([allowed(LOOK)])

    assert not found.proves
    assert found.unused == (GRANTED[SEND],)
    assert found.closing == "granted 2, used 1, unused 1, denied 0"


def test_denial_is_reported() -> None:
    refused = Call("stack-Role-1", "s3:PutObject", "arn:aws:s3:::data/new", False, (), 2)

    found = judged([allowed(LOOK), allowed(SEND), refused])

    assert not found.proves
    assert found.denied == (refused,)
    assert found.closing == "granted 2, used 2, unused 0, denied 2"


def test_denials_of_other_roles_in_the_account_do_not_count() -> None:
    other = Call("somebody", "s3:PutObject", "arn:aws:s3:::data/new", False, (), 1)

    assert judged([allowed(LOOK), allowed(SEND), other]).proves


def test_one_permission_in_the_roles_of_many_launches_counts_once() -> None:
    again = LOOK._replace(role="stack-Role-2", resource="arn:aws:s3:::other/*")
    granted = {**GRANTED, again: replace(GRANTED[LOOK], resource=again.resource)}

    found = usage(granted, [allowed(again), allowed(SEND)], [])

    assert found.closing == "granted 2, used 2, unused 0, denied 0"


def test_permission_that_was_only_evaluated_is_listed_apart_and_counts_as_used() -> None:
    found = judged([replace(allowed(LOOK), evaluated=True), allowed(SEND)])

    assert found.proves
    assert found.evaluated == {GRANTED[LOOK]}


def test_permission_that_was_evaluated_and_called_counts_as_called() -> None:
    found = judged([replace(allowed(LOOK), evaluated=True), allowed(LOOK), allowed(SEND)])

    assert found.evaluated == frozenset()
    assert found.used[GRANTED[LOOK]] == 2


def test_denial_by_an_evaluation_is_reported() -> None:
    refused = Call("stack-Role-1", "s3:PutObject", "arn:aws:s3:::d/a", False, (), 1, True)

    assert not judged([allowed(LOOK), allowed(SEND), refused]).proves


def test_call_that_two_statements_allow_uses_both() -> None:
    wider = Place("stack-Role-1", "Policy", 2, "s3:GetObject", "*")
    granted = {LOOK: GRANTED[LOOK], wider: Grant("Role", "Policy", "#3", "s3:GetObject", 0, "*")}

    assert usage(granted, [allowed(LOOK, wider)], []).proves


def test_calls_are_read_from_the_recorders_json() -> None:
    served = {
        "role": "stack-Role-1",
        "action": "s3:GetObject",
        "resource": "arn:aws:s3:::data/a",
        "allowed": True,
        "places": [list(LOOK[1:])],
        "evaluated": True,
        "count": 4,
    }

    (call,) = calls_of(json.loads(json.dumps([served])))

    found = judged([call], NEVER_SENT)
    assert found.used == {GRANTED[LOOK]: 4}
    assert found.evaluated == {GRANTED[LOOK]}


SAGEMAKER = "arn:aws:sagemaker:us-east-1:111122223333"


@pytest.mark.parametrize(
    ("action", "resources", "left"),
    [
        (
            "sagemaker:DeleteModel",
            [f"{SAGEMAKER}:model/a-*", f"{SAGEMAKER}:endpoint/*"],
            [f"{SAGEMAKER}:model/a-*"],
        ),
        (
            "sagemaker:CreateEndpoint",
            [f"{SAGEMAKER}:endpoint/*", f"{SAGEMAKER}:endpoint-config/*"],
            [f"{SAGEMAKER}:endpoint/*", f"{SAGEMAKER}:endpoint-config/*"],
        ),
        ("sagemaker:DeleteModel", [f"{SAGEMAKER}:endpoint/*"], [f"{SAGEMAKER}:endpoint/*"]),
        ("sagemaker:ListModels", [f"{SAGEMAKER}:model/*"], [f"{SAGEMAKER}:model/*"]),
        (
            "s3:GetObject",
            ["arn:aws:s3:::a/*", "arn:aws:s3:::b"],
            ["arn:aws:s3:::a/*", "arn:aws:s3:::b"],
        ),
    ],
    ids=["another kind", "two kinds", "only another kind", "no resource at all", "without kinds"],
)
def test_only_resources_that_an_action_supports_are_permissions(
    action: str, resources: list[str], left: list[str]
) -> None:
    """If the action supports none of the resources, they stay and count as unused."""
    assert list(grants.worked_on(action, resources)) == left


# --- the list of permissions that cannot be exercised ---------------------------------------------


def test_permission_that_cannot_be_exercised_is_counted_apart() -> None:
    found = judged([allowed(LOOK)], NEVER_SENT)

    assert found.proves
    assert found.apart == {GRANTED[SEND]: NEVER_SENT}
    assert found.closing == "granted 1, used 1, unused 0, denied 0"


def test_list_entry_whose_permission_is_used_is_a_mistake() -> None:
    found = judged([allowed(LOOK), allowed(SEND)], NEVER_SENT)

    assert found.mistakes == ("Role uses sqs:SendMessage: take it off the list",)
    assert not found.proves


@pytest.mark.parametrize(
    "entry",
    [
        replace(NEVER_SENT, actions=("sqs:SendMessage", "sqs:DeleteQueue")),
        replace(NEVER_SENT, roles=("Role", "OtherRole")),
        replace(NEVER_SENT, statement="#7"),
    ],
    ids=["action", "role", "statement"],
)
def test_list_entry_for_a_permission_that_is_not_granted_is_a_mistake(entry: Unexercised) -> None:
    found = judged([allowed(LOOK), allowed(SEND)], entry)

    assert any("is not granted" in mistake for mistake in found.mistakes)
    assert not found.proves


def test_list_entry_for_one_statement_excuses_no_other() -> None:
    other = replace(NEVER_SENT, actions=("s3:GetObject",), statement="#2")

    assert judged([allowed(SEND)], other).unused == (GRANTED[LOOK],)


def test_every_list_entry_has_a_reason_and_a_source() -> None:
    for entry in UNEXERCISED:
        assert len(entry.reason) > 20, entry
        assert "https://" in entry.source or "#" in entry.source or ".py" in entry.source, entry
        for path in (word for word in entry.source.split() if word.startswith("emulator/")):
            assert (ROOT / path.rstrip(";,")).exists(), path


# --- the report -----------------------------------------------------------------------------------


def test_report_names_unused_permissions_denials_and_mistakes() -> None:
    refused = Call("stack-Role-1", "s3:PutObject", "arn:aws:s3:::data/new", False, (), 1)
    printed = StringIO()
    console = Console(file=printed, width=200)

    report.show(judged([refused], replace(NEVER_SENT, roles=("NoRole",))), Progress(console))

    for line in (
        "Role: granted 2, used 0, unused 2, apart 0",
        "UNUSED: Role may s3:GetObject on arn:aws:s3:::data/* (Look)",
        "DENIED: stack-Role-1 may not s3:PutObject on arn:aws:s3:::data/new",
        "MISTAKE: NoRole is not granted sqs:SendMessage",
    ):
        assert line in printed.getvalue()


# --- the end of a run -----------------------------------------------------------------------------


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a run write to a temporary directory, and return the parent of its directories."""
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    return tmp_path / ".local"


def test_run_with_an_unused_permission_fails_with_a_message(
    monkeypatch: pytest.MonkeyPatch, directories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = scenario.Told(GRANTED, [allowed(LOOK)], set())
    monkeypatch.setattr(scenario, "tell", lambda _directory, _page: outcome)

    assert main() == 1

    said = capsys.readouterr().out
    assert "granted 2, used 1, unused 1, denied 0\nevaluated 0 " in said
    assert "\napart 0: " in said
    assert re.search(r"permissions: FAILED after \d+ s: see UNUSED", said.splitlines()[-1])
    assert len(list(directories.iterdir())) == 1


def test_run_with_an_error_fails_and_keeps_its_directory(
    monkeypatch: pytest.MonkeyPatch, directories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def surprise(_directory: Path, _page: Progress) -> scenario.Told:
        raise SurpriseError("the launch is refused")

    monkeypatch.setattr(scenario, "tell", surprise)

    assert main() == 1

    assert capsys.readouterr().out.rstrip().endswith(": the launch is refused")
    assert len(list(directories.iterdir())) == 1


# --- the permissions of the templates -------------------------------------------------------------


def granted_by_the_templates() -> dict[str, set[str]]:
    """Return the actions of every role and managed policy in all templates."""
    found: dict[str, set[str]] = {}
    platform = [
        stack_template.load(path)
        for path in [ROOT / "template.yaml", *sorted(ROOT.glob("stacks/*.yaml"))]
    ]
    for template in [*platform, TEMPLATE]:
        for name, resource in template["Resources"].items():
            properties = resource.get("Properties", {})
            match resource["Type"]:
                case "AWS::IAM::Role":
                    # The trust policy grants nothing.
                    found.setdefault(name, set()).update(_actions(properties.get("Policies", [])))
                case "AWS::IAM::ManagedPolicy" if name != "ExecutionRoleBoundary":  # grants nothing
                    found.setdefault(name, set()).update(_actions(properties))
                case "AWS::IAM::Policy":
                    for role in properties["Roles"]:
                        found.setdefault(role["Ref"], set()).update(_actions(properties))
    return found


def _actions(part: Any) -> Iterator[str]:
    """Yield the actions of all statements in a part of a template, including conditional ones."""
    match part:
        case {"Effect": "Allow", "Action": str(action)}:
            yield action
        case {"Effect": "Allow", "Action": list(actions)}:
            yield from actions
        case dict():
            for each in part.values():
                yield from _actions(each)
        case list():
            for each in part:
                yield from _actions(each)


def test_permissions_page_lists_every_permission_of_every_role() -> None:
    documented: dict[str, set[str]] = {}
    for role, actions, why in table(ROOT / "docs" / "permissions.md", "Role"):
        documented.setdefault(role.strip("`"), set()).update(re.findall("`([^`]+)`", actions))
        assert why

    assert documented == granted_by_the_templates()
