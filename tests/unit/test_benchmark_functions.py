"""The benchmarks measure the functions correctly, and the functions import few packages."""

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

# --- imports --------------------------------------------------------------------------------------

# The dependencies of boto3 and Powertools. Each addition slows down every cold start.
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
# The parsers of requests and of records with many fields.
PARSES = {"attr", "attrs", "cattrs"}
# botocore imports it if it is installed, as here. No function has it.
NOT_DEPLOYED = {"certifi"}
PARSERS = {
    *("receive_request", "publish_product", "share_portfolio"),
    *("erase_data", "guard_notebooks", "publish_versions", "report_drift", "watch_budget"),
}
HANDLERS = sorted(handler.split(".")[1] for handler in built.handlers().values())


def test_every_handler_belongs_to_a_function() -> None:
    files = {path.stem for path in (ROOT / "src" / "handlers").glob("*.py")} - {"__init__"}

    assert set(HANDLERS) == files


@pytest.mark.parametrize("handler", HANDLERS)
def test_function_imports_only_the_packages_listed_here(handler: str) -> None:
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


def test_import_times_are_parsed_from_the_output_of_python() -> None:
    took = imports.parse(PRINTED)

    assert took == {"the platform's own": pytest.approx(3.3)}


def test_new_process_imports_only_from_the_given_path(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import its.part, json, notebook_vending")
    (tmp_path / "notebook_vending.py").write_text("")
    (tmp_path / "its").mkdir()
    (tmp_path / "its" / "part.py").write_text("")

    found = imports.importing("mine", [tmp_path])

    assert {"its", "mine", "Python's own", "the platform's own"} == set(found)
    with pytest.raises(subprocess.CalledProcessError):
        imports.importing("boto3", [tmp_path])


def test_medians_of_several_runs_begin_with_the_slowest() -> None:
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


def test_init_time_is_that_of_the_function_and_not_of_the_emulator() -> None:
    assert lambda_emulator.durations(RAPID + WARM) == (400.5, [100.25, 3.25])


def test_processor_time_is_measured_without_a_processor_limit() -> None:
    printed = "PROCESSOR 0.25\n" + RAPID + "PROCESSOR 0.265\n" + WARM + "PROCESSOR 0.2725\n"

    init, first, warm = lambda_emulator.processor_times(printed)

    assert (init, first, warm) == pytest.approx((250, 15, 7.5))
    assert processor_share.share(256) == pytest.approx(256 / 1769)
    assert processor_share.share(10_240) == 1


def test_control_group_has_its_quota_after_init_and_is_removed() -> None:
    """Without the right to create a control group, no limit applies."""
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
def test_output_without_exactly_one_init_and_an_invocation_is_an_error(printed: str) -> None:
    with pytest.raises(EmulatorError):
        lambda_emulator.durations(printed)


def test_ratio_compares_the_wait_of_the_first_caller_in_each_pair() -> None:
    starts = [ColdStart(init, 50, 1, 60, b"") for init in (150, 550, 50)]
    floors = [ColdStart(init, 50, 1, 60, b"") for init in (150, 350, 150)]

    assert cold_starts.of_each(starts, floors) == pytest.approx([1.0, 1.5, 0.5])
    assert cold_starts.spread([1.0, 1.5, 0.5]) == {"median": 1.0, "least": 0.5, "most": 1.5}


def test_every_function_has_a_sample_event_for_its_measurement() -> None:
    for name, handler in built.handlers().items():
        assert built.event(cold_starts.event_of(name, handler))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringAws]:
    """Point boto3 to an AWS that answers immediately."""
    with answering_aws() as aws:
        aws.notebook = {"NotebookInstanceArn": "arn:nb", "Tags": [{"Key": "k", "Value": "v"}]}
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        yield aws


def test_floor_function_calls_the_first_of_the_named_clients(
    aws: AnsweringAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in floor.CALLS:
        aws.asked.clear()
        monkeypatch.setenv("FLOOR_CLIENTS", f"{name},dynamodb")

        floor.handler({}, None)

        assert aws.services() == (name,)


def test_every_aws_protocol_gets_an_answer_in_its_own_format(aws: AnsweringAws) -> None:
    region = "us-east-1"
    stacks = boto3.client("cloudformation", region).describe_stacks(StackName="s")["Stacks"]
    subnets = boto3.client("ec2", region).describe_subnets()["Subnets"]
    tags = boto3.client("sagemaker", region).list_tags(ResourceArn="arn:nb")["Tags"]
    boto3.client("s3", region).put_object(Bucket="b", Key="k", Body=b"1")

    assert [each["StackStatus"] for each in stacks] == ["CREATE_COMPLETE"]
    assert [each["SubnetId"] for each in subnets] == ["subnet-1"]
    assert tags == aws.notebook["Tags"]
    assert aws.services() == ("cloudformation", "ec2", "sagemaker", "s3")


def test_answering_aws_stores_the_ledger(aws: AnsweringAws) -> None:
    client, key = boto3.client("dynamodb", "us-east-1"), {"Resource": {"S": "r"}}

    client.put_item(TableName="t", Item={**key, "Entry": {"S": "e"}})

    assert client.get_item(TableName="t", Key=key)["Item"]["Entry"] == {"S": "e"}
    assert "Item" not in client.get_item(TableName="t", Key={"Resource": {"S": "another"}})
    assert len(aws.ledger) == 1


def test_call_is_identified_by_the_service_in_its_signature() -> None:
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


def test_same_files_make_the_same_zip_at_any_time(tmp_path: Path) -> None:
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


# --- scheduled runs -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logger, "info", lambda *_, **__: None)


def test_run_with_nothing_due_makes_only_list_calls() -> None:
    orphans = housekeeping.runs_of(delete_orphans, 201, 0)
    expired = housekeeping.runs_of(expire_launches, 201, 0)

    lists = {"GetResources": 3, "ListNotebookInstances": 1, "DescribeStacks": 3}
    assert (orphans["calls"], expired["calls"]) == (lists, {"GetResources": 3})
    assert (orphans["runs"], orphans["left"]) == (1, 0)


def test_more_orphans_than_one_cleanup_starts_take_several_runs() -> None:
    found = housekeeping.runs_of(delete_orphans, 60, 60)

    assert found["calls"]["StartExecution"] == 25
    assert (found["runs"], found["left"]) == (3, 0)


def test_expired_launches_are_all_terminated_when_one_run_is_too_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "_CALL_MS", 20_000)

    found = housekeeping.runs_of(expire_launches, 100, 30)

    assert 0 < found["calls"]["TerminateProvisionedProduct"] < 30
    assert not found["finished"]
    assert found["left"] == 0


def test_idle_notebooks_are_all_stopped_when_one_run_is_too_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "_CALL_MS", 10_000)

    found = housekeeping.runs_of(stop_idle, 100, 2)

    assert not found["finished"]
    assert found["runs"] > 1
    assert found["left"] == 0


def test_check_of_a_notebook_in_use_takes_one_call() -> None:
    found = housekeeping.runs_of(stop_idle, 150, 0)

    assert found["calls"] == {"ListNotebookInstances": 2, "GetLogEvents": 150}
