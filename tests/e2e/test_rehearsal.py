"""`make rehearse` on the embedded AWS: the same program, with AWS's address in its environment."""

import os
import re
import shutil
import signal

import pytest

from embedded_aws.emulator import Emulator
from rehearsal import report, story
from rehearsal.plan import TAG, Plan
from tests.e2e.rehearsing import (
    QUICK,
    being_created,
    directory_of,
    rehearsed,
    rehearsing,
    report_of,
    until_it_says,
    what_is_there,
)

pytestmark = pytest.mark.usefixtures("everything_of_the_others_stays")


@pytest.mark.usefixtures("nothing_is_left")
def test_rehearsal_succeeds_and_leaves_nothing(
    empty_account: Emulator, shell: dict[str, str]
) -> None:
    status, said = rehearsed(shell, "--yes", "--parameters", QUICK)

    assert status == 0, said
    lines = said.splitlines()
    assert lines[-1].startswith("rehearse: SUCCEEDED in "), said
    assert lines[-1].endswith("Nothing is left that you would have to remove.")
    (run_id,) = re.findall(rf"{TAG}=(\w+):", said)
    data, page = report_of(run_id)
    assert [each["name"] for each in data["steps"]] == [
        *(each.name for each in story.steps()),
        "cleanup",
    ]
    assert {each["ended"] for each in data["steps"]} == {"SUCCEEDED"}
    assert {each["kind"] for each in data["left"]} == {"KMS key"}
    assert data["troubles"] == []
    # The report compares with the embedded AWS, which is what runs here. It has no CloudTrail.
    assert {each["row"]: each["verdict"] for each in data["rows"]} == {
        row: "not seen" if row.endswith("-callers") else "as on the embedded AWS"
        for row in report.rows_of_the_page()
    }
    account_id = empty_account.client("sts").get_caller_identity()["Account"]
    assert account_id in said
    for text in (page, (directory_of(run_id) / "report.json").read_text()):
        assert account_id not in text
        assert not re.search(r"\b\d{12}\b|https?:|X-Amz|\d+\.\d+\.\d+\.\d+|AKIA|ASIA", text)
    shutil.rmtree(directory_of(run_id))


@pytest.mark.usefixtures("nothing_is_left")
@pytest.mark.parametrize(
    ("changed", "words", "says"),
    [
        ({}, ("--account", "111122223333"), "not to 111122223333"),
        ({"AWS_SECRET_ACCESS_KEY": "expired"}, (), "AWS rejected these credentials"),
        ({"AWS_REGION": "mx-central-1"}, (), "lacks what a deployment needs"),
        ({}, ("--parameters", "AvailabilityZones=a,b"), "lacks what a deployment needs"),
    ],
)
def test_refused_rehearsal_creates_nothing(
    shell: dict[str, str], changed: dict[str, str], words: tuple[str, ...], says: str
) -> None:
    status, said = rehearsed({**shell, **changed}, "--yes", *words)

    assert status == 2, said
    assert says in said.splitlines()[-1]
    assert said.splitlines()[-1].startswith("rehearse: nothing was made. ")


@pytest.mark.usefixtures("nothing_is_left")
def test_ctrl_c_while_the_platform_is_deployed_leaves_nothing(
    empty_account: Emulator, shell: dict[str, str]
) -> None:
    with rehearsing(shell, "--yes", "--parameters", QUICK) as process:
        run_id = until_it_says(process, "They deploy the platform.")
        being_created(empty_account, Plan(run_id).stack)
        process.send_signal(signal.SIGINT)
        until_it_says(process, "The administrator deletes all that the run made.")
        process.send_signal(signal.SIGINT)  # from an impatient user
        assert process.stdout
        rest = process.stdout.read()

    assert process.returncode == 130, rest
    assert "The cleanup goes on." in rest
    assert rest.splitlines()[-1].startswith("rehearse: INTERRUPTED in ")
    assert rest.splitlines()[-1].endswith("Nothing is left that you would have to remove.")
    data, _ = report_of(run_id)
    assert (data["ending"], data["step"]) == ("INTERRUPTED", "deploy")
    shutil.rmtree(directory_of(run_id))


@pytest.mark.usefixtures("nothing_is_left")
def test_a_run_that_was_killed_is_cleaned_up_later(
    empty_account: Emulator, shell: dict[str, str]
) -> None:
    with rehearsing(shell, "--yes", "--parameters", QUICK) as process:
        run_id = until_it_says(process, "They launch the product.")
        until_it_says(process, " is Pending")
        os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(directory_of(run_id))  # as on another machine
    assert Plan(run_id).stack in what_is_there(empty_account)["stacks"]

    status, said = rehearsed(shell, "--clean", run_id)
    assert status == 2
    assert "Set YES=1" in said.splitlines()[-1]
    assert Plan(run_id).stack in what_is_there(empty_account)["stacks"]

    status, said = rehearsed(shell, "--clean", run_id, "--yes")
    assert status == 0, said
    assert said.splitlines()[-1].endswith("Nothing is left that you would have to remove.")


@pytest.mark.usefixtures("nothing_is_left")
def test_closing_the_terminal_ends_the_run_and_leaves_nothing(shell: dict[str, str]) -> None:
    with rehearsing(shell, "--yes", "--parameters", QUICK) as process:
        run_id = until_it_says(process, "The administrator builds the platform with SAM.")
        assert process.stdout
        process.stdout.close()
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=120) == 130

    data, _ = report_of(run_id)
    assert (data["ending"], data["step"], data["left"]) == ("INTERRUPTED", "build", [])
    shutil.rmtree(directory_of(run_id))
