"""What the benchmarks of the functions count, read and pack; and what the functions import."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from io import BytesIO
from pathlib import Path

import boto3
import pytest

from benchmarks import (
    artifacts,
    built,
    cold_starts,
    housekeeping,
    imports,
    lambda_emulator,
    processor_share,
)
from benchmarks.answering_aws import AnsweringAws, answering_aws, read_call
from benchmarks.floor_function import floor
from benchmarks.lambda_emulator import ColdStart, EmulatorError
from handlers import delete_orphans, expire_launches, stop_idle
from notebook_vending.log import logger

ROOT = Path(__file__).parents[2]

# --- what the functions import --------------------------------------------------------------------

# What boto3 and Powertools come with. Whoever adds to these adds to every function's cold start.
OF_ALL = {
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "s3transfer",
    "six",
    "typing_extensions",
    "urllib3",
}
# What parses a request, or a record of many fields, in the functions that do.
PARSES = {"attr", "attrs", "cattrs"}
# botocore takes it where it is installed, as here; no function has it.
NOT_DEPLOYED = {"certifi"}
PARSERS = {
    *("receive_request", "publish_product", "share_portfolio"),
    *("erase_data", "guard_notebooks", "publish_versions", "report_drift", "watch_budget"),
}
HANDLERS = sorted(handler.split(".")[1] for handler in built.handlers().values())


def test_every_handler_is_a_functions() -> None:
    files = {path.stem for path in (ROOT / "src" / "handlers").glob("*.py")} - {"__init__"}

    assert set(HANDLERS) == files


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_function_imports_no_package_but_those_named_here(handler: str) -> None:
    script = (
        "import json, sys; before = set(sys.modules);"
        f"import handlers.{handler};"
        "names = {each.partition('.')[0] for each in set(sys.modules) - before};"
        "print(json.dumps(sorted(names - set(sys.stdlib_module_names))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}/src/shared"},
        capture_output=True,
        text=True,
        check=True,
    )

    parses = PARSES if handler in PARSERS else set()
    found = {name for name in json.loads(done.stdout) if not name.startswith("__")}
    assert found - NOT_DEPLOYED == {"handlers", "notebook_vending"} | OF_ALL | parses


PRINTED = """import time: self [us] | cumulative | imported package
import time:       700 |        700 |     notebook_vending.aws.clients
import time:      2500 |       3200 |   notebook_vending.requests.ledger
import time:       100 |       3300 | handlers.observe
"""


def test_the_cost_of_imports_is_read_as_python_prints_it() -> None:
    took = imports.parse(PRINTED)

    assert took == {"the platform's own": pytest.approx(3.3)}


def test_the_imports_of_a_new_process_are_those_of_the_path_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import its.part, json, notebook_vending")
    (tmp_path / "notebook_vending.py").write_text("")
    (tmp_path / "its").mkdir()
    (tmp_path / "its" / "part.py").write_text("")

    found = imports.importing("mine", [tmp_path])

    assert {"its", "mine", "Python's own", "the platform's own"} == set(found)
    with pytest.raises(subprocess.CalledProcessError):
        imports.importing("boto3", [tmp_path])


def test_of_several_runs_the_medians_count_and_the_dearest_comes_first() -> None:
    runs = [{"cheap": 0.5, "dear": took} for took in (9.0, 1.0, 2.0)]

    assert list(imports.medians(runs).items()) == [("dear", 2.0), ("cheap", 0.5)]


# --- cold starts ----------------------------------------------------------------------------------

RAPID = (
    "START RequestId: 3a60 Version: $LATEST\n"
    "22 Nov 2026 19:30:37,833 [INFO] (rapid) INIT REPORT(durationMs: 400.500000)\n"
    "END RequestId: 3a60\n"
    "REPORT RequestId: 3a60\tInit Duration: 0.36 ms\tDuration: 500.75 ms\tBilled Duration: 501 ms"
    "\tMemory Size: 256 MB\tMax Memory Used: 256 MB\t\n"
)
WARM = "REPORT RequestId: ed58\tDuration: 3.25 ms\tBilled Duration: 4 ms\tMemory Size: 256 MB\t\n"


def test_the_init_is_that_of_the_function_and_not_of_the_emulator() -> None:
    assert lambda_emulator.durations(RAPID + WARM) == (400.5, [100.25, 3.25])


def test_where_nothing_limits_the_processor_its_time_counts() -> None:
    printed = "PROCESSOR 0.25\n" + RAPID + "PROCESSOR 0.265\n" + WARM + "PROCESSOR 0.2725\n"

    init, first, warm = lambda_emulator.processor_times(printed)

    assert (init, first, warm) == pytest.approx((250, 15, 7.5))
    assert processor_share.share(256) == pytest.approx(256 / 1769)
    assert processor_share.share(10_240) == 1


def test_a_group_has_its_quota_when_init_is_over_and_is_removed() -> None:
    """Where this process may make one; the page says which."""
    with processor_share.limiting(1769 / 4) as group:
        if not processor_share.can_limit():
            assert group == processor_share.Group()
            return
        script = f"cat {group.variables['PROCESSOR_LIMIT']} && cat /proc/self/cgroup"
        done = subprocess.run(
            [*group.command, "/bin/sh", "-c", script], capture_output=True, text=True, check=True
        )
        limit = Path(group.variables["PROCESSOR_LIMIT"])
        assert limit.parent.name in done.stdout
        limit.write_text(group.variables["PROCESSOR_QUOTA"])
        assert "5000" in limit.read_text()

    assert not limit.parent.exists()


@pytest.mark.parametrize("printed", ["", WARM, RAPID + RAPID, RAPID.partition("END")[0]])
def test_without_one_init_and_an_invoke_there_is_nothing_to_report(printed: str) -> None:
    with pytest.raises(EmulatorError):
        lambda_emulator.durations(printed)


def test_a_ratio_is_of_what_the_first_caller_waits_for_in_each_pair() -> None:
    starts = [ColdStart(init, 50, 1, 60, b"") for init in (150, 550, 50)]
    floors = [ColdStart(init, 50, 1, 60, b"") for init in (150, 350, 150)]

    assert cold_starts.of_each(starts, floors) == pytest.approx([1.0, 1.5, 0.5])
    assert cold_starts.spread([1.0, 1.5, 0.5]) == {"median": 1.0, "least": 0.5, "most": 1.5}


def test_every_function_has_a_sample_event_to_be_measured_with() -> None:
    for name, handler in built.handlers().items():
        assert built.event(cold_starts.event_of(name, handler))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringAws]:
    """Let boto3 speak to the AWS that answers at once."""
    with answering_aws() as aws:
        aws.notebook = {"NotebookInstanceArn": "arn:nb", "Tags": [{"Key": "k", "Value": "v"}]}
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        yield aws


def test_the_floor_makes_and_calls_the_clients_it_is_told_to(
    aws: AnsweringAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in floor.CALLS:
        aws.asked.clear()
        monkeypatch.setenv("FLOOR_CLIENTS", f"{name},dynamodb")

        floor.handler({}, None)

        assert aws.services() == (name,)


def test_every_protocol_of_aws_is_answered_in_its_own(aws: AnsweringAws) -> None:
    region = "us-east-1"
    stacks = boto3.client("cloudformation", region).describe_stacks(StackName="s")["Stacks"]
    subnets = boto3.client("ec2", region).describe_subnets()["Subnets"]
    tags = boto3.client("sagemaker", region).list_tags(ResourceArn="arn:nb")["Tags"]
    boto3.client("s3", region).put_object(Bucket="b", Key="k", Body=b"1")

    assert [each["StackStatus"] for each in stacks] == ["CREATE_COMPLETE"]
    assert [each["SubnetId"] for each in subnets] == ["subnet-1"]
    assert tags == aws.notebook["Tags"]
    assert aws.services() == ("cloudformation", "ec2", "sagemaker", "s3")


def test_the_ledger_is_remembered(aws: AnsweringAws) -> None:
    client, key = boto3.client("dynamodb", "us-east-1"), {"Resource": {"S": "r"}}

    client.put_item(TableName="t", Item={**key, "Entry": {"S": "e"}})

    assert client.get_item(TableName="t", Key=key)["Item"]["Entry"] == {"S": "e"}
    assert "Item" not in client.get_item(TableName="t", Key={"Resource": {"S": "another"}})
    assert len(aws.ledger) == 1


def test_a_call_is_known_by_what_it_is_signed_for() -> None:
    headers = Message()
    headers["Authorization"] = (
        "AWS4-HMAC-SHA256 Credential=testing/20261122/us-east-1/states/aws4_request, Signed=x"
    )
    headers["X-Amz-Target"] = "AWSStepFunctions.StartExecution"

    assert read_call(headers, b'{"name": "n"}') == (
        "stepfunctions",
        "StartExecution",
        {"name": "n"},
    )


# --- artifacts ------------------------------------------------------------------------------------


def test_the_same_files_make_the_same_zip_whenever_they_were_written(tmp_path: Path) -> None:
    for name, names in (("one", ("a", "b")), ("two", ("b", "a"))):
        (tmp_path / name / "in").mkdir(parents=True)
        for each in names:
            (tmp_path / name / "in" / each).write_text(each * 1000)
    (tmp_path / "two" / "in" / "a").touch()

    zips = [artifacts.zipped(tmp_path / name) for name in ("one", "two")]

    assert zips[0] == zips[1]
    assert zipfile.ZipFile(BytesIO(zips[0])).namelist() == ["in/a", "in/b"]
    (tmp_path / "two" / "in" / "a").write_text("another")
    assert artifacts.zipped(tmp_path / "two") != zips[0]


# --- scheduled looks ------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logger, "info", lambda *_, **__: None)


def test_where_nothing_is_due_the_calls_are_those_of_lists() -> None:
    orphans = housekeeping.runs_of(delete_orphans, 201, 0)
    expired = housekeeping.runs_of(expire_launches, 201, 0)

    lists = {"GetResources": 3, "ListNotebookInstances": 1, "DescribeStacks": 3}
    assert (orphans["calls"], expired["calls"]) == (lists, {"GetResources": 3})
    assert (orphans["runs"], orphans["left"]) == (1, 0)


def test_more_orphans_than_one_cleanup_begins_with_take_several() -> None:
    found = housekeeping.runs_of(delete_orphans, 60, 60)

    assert found["calls"]["StartExecution"] == 25
    assert (found["runs"], found["left"]) == (3, 0)


def test_what_expires_is_terminated_in_the_end_though_there_is_no_time_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "_CALL_MS", 20_000)

    found = housekeeping.runs_of(expire_launches, 100, 30)

    assert 0 < found["calls"]["TerminateProvisionedProduct"] < 30
    assert not found["finished"]
    assert found["left"] == 0


def test_idle_notebooks_are_stopped_in_the_end_though_there_is_no_time_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "_CALL_MS", 10_000)

    found = housekeeping.runs_of(stop_idle, 100, 2)

    assert not found["finished"]
    assert found["runs"] > 1
    assert found["left"] == 0


def test_one_look_at_a_notebook_that_is_not_idle_is_one_call() -> None:
    found = housekeeping.runs_of(stop_idle, 150, 0)

    assert found["calls"] == {"ListNotebookInstances": 2, "GetLogEvents": 150}
