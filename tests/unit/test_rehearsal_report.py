"""The report of a run shows its outcome, but no account, address or secret."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rehearsal import cost, report
from rehearsal.account import Account, masked
from rehearsal.observations import Observation, Verdict
from rehearsal.plan import Plan, make
from rehearsal.rehearse import FAILED, Outcome, Took
from rehearsal.remains import Remain
from tests.project import ROOT

ID = "111122223333"
SECRETS = {
    "an account": ID,
    "an ARN": f"arn:aws:iam::{ID}:role/SC-{ID}-pp-x",
    "a bucket": f"sc-{ID}-pp-4vk2dq7xmzr3e-projectbucket",
    "a signed address": "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=abc&X-Amz-Expires=7200",
    "an email": "first.last+aws@example.com",
    "an address": "10.0.3.17",
    "a host": "ip-10-0-3-17.ec2.internal",
    "an IPv6 address": "2600:1f18:4a3:6902:9df1:2d68:68f3:3333",
    "a key": "ASIAIOSFODNN7EXAMPLE",
}
ACCOUNT = Account(ID, "alias-of-mine", "eu-west-1", "aws", f"arn:aws:iam::{ID}:user/x")
EVERYTHING = " and ".join(SECRETS.values())


@pytest.mark.parametrize("what", SECRETS)
def test_text_that_identifies_an_account_is_masked(what: str) -> None:
    text = masked(f"before {SECRETS[what]} after")

    assert text.startswith("before ")
    assert text.endswith(" after")
    assert not re.search(r"\d{12}|Signature|@|10.0.3.17|10-0-3-17|2600:|ASIA", text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-28T06:24:57+00:00",
        "notebook-vending-rehearsal-1a2b3c4d",
        "Pending 214 s, 1795846966758 ms",
        "python:3.13.v64",
        "7ef9ad8d-f1ea-4c24-8df1-51a15826ddcc",
        "rule RootAccess failed: RootAccess: choose Disabled.",
        "AWS::CloudFormation::Stack",
    ],
)
def test_other_text_is_kept(text: str) -> None:
    assert masked(text) == text


def an_outcome() -> Outcome:
    """Return an outcome with every secret in each of its texts."""
    return Outcome(
        ending=FAILED,
        step="launch",
        why=f"why: {EVERYTHING}",
        steps=[Took("launch", f"says: {EVERYTHING}", 12.34, FAILED)],
        left=[Remain("bucket", f"name: {EVERYTHING}", f"todo: {EVERYTHING}")],
        troubles=[f"trouble: {EVERYTHING}"],
        rows={"form": Observation(Verdict.OTHERWISE, f"how: {EVERYTHING}")},
    )


def written(directory: Path, outcome: Outcome, plan: Plan) -> tuple[dict[str, Any], str]:
    data = report.document(
        plan, ACCOUNT, outcome, cost.bound(plan.checked), datetime(2026, 11, 28, tzinfo=UTC), 61.2
    )
    page = report.write(directory, data)
    return json.loads((directory / "report.json").read_text()), page.read_text()


def test_neither_file_has_an_account_an_address_or_a_secret(tmp_path: Path) -> None:
    plan = make(
        f"PermissionsBoundaryArn=arn:aws:iam::{ID}:policy/B NotificationEmail=a@example.com"
    )

    written(tmp_path, an_outcome(), plan)

    for file in ("report.json", "report.html"):
        text = (tmp_path / file).read_text()
        assert not re.search(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])", text)
        assert not re.search(r"https?:|X-Amz|A[KS]IA|10[.-]0[.-]3|2600:|\S@\S|alias-of-mine", text)
        for part in ("why", "says", "name", "todo", "trouble", "how"):
            assert f"{part}: (account)" in text


def test_the_report_shows_the_ending_the_rows_and_the_cost(tmp_path: Path) -> None:
    data, page = written(tmp_path, an_outcome(), Plan("1a2b3c4d"))

    assert (data["ending"], data["step"], data["run"]) == ("FAILED", "launch", "1a2b3c4d")
    assert data["rows"][0]["page"].startswith("The console's forms do not exist")
    assert data["rows"][0]["verdict"] == "otherwise"
    assert data["cost"]["usd_at_most"] > 1
    assert "Rehearsal 1a2b3c4d" in page
    assert "At the step launch" in page


@pytest.mark.parametrize(
    ("left", "says"),
    [(None, "make rehearse CLEAN=1a2b3c4d"), ([], "Nothing."), ([Remain("x", "y", "z")], "<td>y")],
)
def test_the_page_distinguishes_no_remains_from_unknown_remains(
    tmp_path: Path, left: list[Remain] | None, says: str
) -> None:
    _, page = written(tmp_path, Outcome(left=left), Plan("1a2b3c4d"))

    assert says in page


def test_the_page_loads_no_other_file(tmp_path: Path) -> None:
    _, page = written(tmp_path, an_outcome(), Plan("1a2b3c4d"))

    assert "default-src 'none'" in page
    assert not re.search(r"<script|<img|<link|src=", page)


def test_the_page_escapes_html_in_error_messages(tmp_path: Path) -> None:
    _, page = written(tmp_path, Outcome(why="<b>x</b>", left=[]), Plan("1a2b3c4d"))

    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_git_ignores_reports() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()

    assert "/.local/" in ignored
