"""`make rehearse` checks the account and asks for agreement before it creates anything.

Moto provides EC2, IAM and STS. The account is that of the tests of `vending check`.
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
    """A shell that is signed in to an account, and its calls to AWS."""

    account: Account
    capsys: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    caller: str = f"arn:aws:iam::{ID}:user/administrator"
    broken: Exception | None = None
    """The error that every call raises."""
    called: list[str] = field(default_factory=list)

    def rehearse(self, *words: str) -> tuple[int, str]:
        """Run the command and return its exit status and output."""
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
    """Return a shell without a terminal, in an account that lacks nothing."""
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


def test_a_rehearsal_without_terminal_and_yes_shows_its_plan_and_creates_nothing(
    shell: Shell,
) -> None:
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
def test_a_rehearsal_without_agreement_creates_nothing(shell: Shell, answer: str) -> None:
    shell.patch.setattr(sys, "stdin", _Terminal(f"{answer}\n"))

    status, said = shell.rehearse()

    assert status == 2
    assert said.endswith("rehearse: nothing was made. You did not agree.\n")


def test_ctrl_c_at_the_question_creates_nothing(shell: Shell) -> None:
    def interrupted(_question: str) -> str:
        raise KeyboardInterrupt

    shell.patch.setattr(sys, "stdin", _Terminal())
    shell.patch.setattr("builtins.input", interrupted)

    status, said = shell.rehearse()

    assert status == 130
    assert said.endswith("rehearse: nothing was made.\n")


@pytest.mark.parametrize("answer", ["y", "Yes"])
def test_a_rehearsal_begins_after_agreement(shell: Shell, answer: str, tmp_path: Path) -> None:
    shell.patch.setattr(sys, "stdin", _Terminal(f"{answer}\n"))
    shell.patch.setattr(command, "_DIRECTORY", tmp_path)
    shell.patch.setattr(Interrupts, "install", lambda _self: None)

    with pytest.raises(AssertionError, match="the story began"):
        shell.rehearse()


def test_an_unexpected_account_is_rejected(shell: Shell) -> None:
    status, said = shell.rehearse("--yes", "--account", "111122223333")

    assert status == 2
    assert f"signed in to account {ID}, not to 111122223333" in said
    assert shell.called == ["GetCallerIdentity", "ListAccountAliases"]


def test_the_root_user_is_rejected(shell: Shell) -> None:
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
def test_a_missing_or_expired_sign_in_is_reported(
    shell: Shell, error: Exception, says: str
) -> None:
    shell.broken = error

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert "rehearse: nothing was made." in said
    assert says in said
    assert "Traceback" not in said


def test_a_region_without_the_services_is_rejected_with_their_names(shell: Shell) -> None:
    shell.account.lacking = ("servicecatalog", "sagemaker")

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert f"AWS does not list servicecatalog in {REGION}" in said
    assert "lacks what a deployment needs (2 findings)" in said.splitlines()[-1]


def test_a_quota_of_zero_is_rejected_with_advice_to_request_an_increase(shell: Shell) -> None:
    shell.account.quotas[f"{INSTANCE_TYPE} for notebook instance usage"] = 0

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert "0 of 0 used" in said
    assert "Request an increase in Service Quotas" in said


def test_an_existing_platform_is_rejected(shell: Shell) -> None:
    shell.account.exports = ("NotebookVending-ServiceToken",)

    status, said = shell.rehearse("--yes")

    assert status == 2
    assert "taken by another" in said


def test_a_check_that_aws_denies_ends_the_rehearsal(shell: Shell) -> None:
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
def test_invalid_parameters_are_named(shell: Shell, parameters: str, says: str) -> None:
    status, said = shell.rehearse("--yes", "--parameters", parameters)

    assert status == 2
    assert says in said
    assert shell.called == []


@pytest.mark.parametrize("run_id", ["notebook-vending", "1A2B3C4D", "1a2b3c4"])
def test_the_cleanup_rejects_an_invalid_run_id(shell: Shell, run_id: str) -> None:
    status, said = shell.rehearse("--yes", "--clean", run_id)

    assert status == 2
    assert f"'{run_id}' is not the ID of a run" in said
    assert shell.called == []


def test_an_invalid_endpoint_is_reported_in_a_sentence(shell: Shell) -> None:
    platform.client.cache_clear()
    shell.patch.setenv("AWS_ENDPOINT_URL", "localhost:4566")

    status, said = shell.rehearse()
    platform.client.cache_clear()

    assert status == 2
    assert said.startswith("rehearse: nothing was made. AWS could not be called. Invalid endpoint")
