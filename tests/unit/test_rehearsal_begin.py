"""`make rehearse` before it makes anything: whose account it is, what it lacks, whether one agrees.

EC2, IAM and STS are moto's; the account is that of `vending check`'s tests.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)
from moto import mock_aws

from rehearsal import __main__ as program
from rehearsal import command
from rehearsal.interrupts import Interrupts
from rehearsal.plan import INSTANCE_TYPE, TAG
from simulation.account import REGION
from simulation.broken_calls import intercepted
from tests.unit.checked_account import Account
from tests.unit.operator_world import refusal
from vending import platform

ID = "123456789012"  # moto's
_READS = ("Describe", "Get", "List", "Search")


@dataclass
class Shell:
    """A shell that is signed in to an account, and what was called from it."""

    account: Account
    capsys: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    caller: str = f"arn:aws:iam::{ID}:user/administrator"
    broken: Exception | None = None
    """What every call raises."""
    called: list[str] = field(default_factory=list)

    def rehearse(self, *words: str) -> tuple[int, str]:
        """Type the command; return the exit status and what it said."""
        self.patch.setattr(sys, "argv", ["rehearsal", *words])
        with intercepted(self._answer):
            status = program.main()
        said = self.capsys.readouterr().out
        assert [each for each in self.called if not each.startswith(_READS)] == []
        return status, said

    def _answer(self, service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        self.called.append(operation)
        if self.broken:
            raise self.broken
        if operation == "GetCallerIdentity":
            return {"Account": ID, "Arn": self.caller, "UserId": "x"}
        return self.account._answer(service, operation, params, call)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Sit down at a shell whose account lacks nothing, without a terminal."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(command, "run_steps", _never)
    assert os.environ["AWS_DEFAULT_REGION"] == REGION
    with mock_aws():
        yield Shell(Account(), capsys, monkeypatch)


def _never(*_: Any) -> Any:
    raise AssertionError("the story began")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_and_without_yes_it_says_all_and_makes_nothing(shell: Shell) -> None:
    status, said = shell.rehearse()

    assert status == 2
    assert f"A rehearsal in account {ID}, Region {REGION}." in said
    assert f"{TAG}=" in said
    assert "USD in all." in said
    assert "The account has what it takes" in said
    assert said.splitlines()[-1] == (
        "rehearse: nothing was made. There is no terminal to ask on. Set YES=1 if you mean it."
    )


@pytest.mark.parametrize("answer", ["", "n", "no", "yess"])
def test_without_agreement_nothing_is_made(shell: Shell, answer: str) -> None:
    shell.patch.setattr(sys, "stdin", _Terminal(f"{answer}\n"))

    status, said = shell.rehearse()

    assert status == 2
    assert said.endswith("rehearse: nothing was made. You did not agree.\n")


def test_ctrl_c_at_the_question_makes_nothing(shell: Shell) -> None:
    def interrupted(_question: str) -> str:
        raise KeyboardInterrupt

    shell.patch.setattr(sys, "stdin", _Terminal())
    shell.patch.setattr("builtins.input", interrupted)

    status, said = shell.rehearse()

    assert status == 130
    assert said.endswith("rehearse: nothing was made.\n")


@pytest.mark.parametrize("answer", ["y", "Yes"])
def test_with_agreement_the_story_begins(shell: Shell, answer: str, tmp_path: Path) -> None:
    shell.patch.setattr(sys, "stdin", _Terminal(f"{answer}\n"))
    shell.patch.setattr(command, "_DIRECTORY", tmp_path)
    shell.patch.setattr(Interrupts, "install", lambda _self: None)

    with pytest.raises(AssertionError, match="the story began"):
        shell.rehearse()


def test_another_account_than_the_one_expected_is_refused(shell: Shell) -> None:
    status, said = shell.rehearse("--yes", "--account", "111122223333")

    assert status == 2
    assert f"signed in to account {ID}, not to 111122223333" in said
    assert shell.called == ["GetCallerIdentity", "ListAccountAliases"]


def test_the_root_user_is_refused(shell: Shell) -> None:
    shell.caller = f"arn:aws:iam::{ID}:root"

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert "root user" in said


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            refusal("GetCallerIdentity", "ExpiredToken", "The security token has expired"),
            "AWS rejected these credentials (ExpiredToken). To sign in, set AWS_ACCESS_KEY_ID",
        ),
        (UnauthorizedSSOTokenError(), "SSO session associated with this profile has expired"),
        (NoCredentialsError(), "Sign in, or set AWS_PROFILE."),
        (NoRegionError(), "Set AWS_REGION."),
        (ProfileNotFound(profile="mine"), "(mine) could not be found. Set AWS_PROFILE"),
    ],
)
def test_a_sign_in_that_is_missing_or_expired_is_told(
    shell: Shell, error: Exception, says: str
) -> None:
    shell.broken = error

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert "rehearse: nothing was made." in said
    assert says in said
    assert "Traceback" not in said


def test_a_region_without_the_services_is_refused_with_what_it_lacks(shell: Shell) -> None:
    shell.account.lacking = ("servicecatalog", "sagemaker")

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert f"AWS does not list servicecatalog in {REGION}" in said
    assert "lacks what a deployment needs (2 findings)" in said.splitlines()[-1]


def test_a_quota_of_zero_is_refused_with_what_to_ask_for(shell: Shell) -> None:
    shell.account.quotas[f"{INSTANCE_TYPE} for notebook instance usage"] = 0

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert "0 of 0 used" in said
    assert "Request an increase in Service Quotas" in said


def test_a_platform_that_is_there_is_refused(shell: Shell) -> None:
    shell.account.exports = ("NotebookVending-ServiceToken",)

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert "taken by another" in said


def test_what_aws_does_not_say_is_no_yes(shell: Shell) -> None:
    shell.account.refused["ListExports"] = "AccessDenied"

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert "cloudformation:ListExports" in said


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("VpcIdd=vpc-0a", "no parameter VpcIdd. Did you mean VpcId?"),
        ("ProductName=x EndUserRoleName=y", "sets EndUserRoleName, ProductName itself"),
    ],
)
def test_parameters_that_cannot_be_given_are_named(
    shell: Shell, parameters: str, says: str
) -> None:
    status, said = shell.rehearse("--yes", "--parameters", parameters)

    assert status == 2
    assert says in said
    assert shell.called == []


@pytest.mark.parametrize("run_id", ["notebook-vending", "1A2B3C4D", "1a2b3c4"])
def test_only_a_run_can_be_cleaned_up(shell: Shell, run_id: str) -> None:
    status, said = shell.rehearse("--yes", "--clean", run_id)

    assert status == 2
    assert f"'{run_id}' is not the ID of a run" in said
    assert shell.called == []


def test_an_endpoint_that_is_no_address_is_a_sentence(shell: Shell) -> None:
    platform.client.cache_clear()
    shell.patch.setenv("AWS_ENDPOINT_URL", "localhost:4566")

    status, said = shell.rehearse()
    platform.client.cache_clear()

    assert status == 2
    assert said.startswith("rehearse: nothing was made. AWS could not be called. Invalid endpoint")
