"""Measure how the calls of the scheduled functions grow with notebooks.

The real handlers run in this process. An account in memory answers them, in pages as large as
AWS's. Time is virtual: each call takes the same number of milliseconds, and a run has the timeout
that the templates give the function. The measurement leaves out throttling by AWS.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import patch

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore import xform_name
from botocore.exceptions import ClientError
from rich.progress import Progress

from benchmarks import before, built
from handlers import delete_orphans, expire_launches, report_drift, stop_idle
from notebook_vending.notebooks.notebook import (
    EXPIRES_TAG,
    LOGICAL_RESOURCE_TAG,
    PLATFORM_TAG,
    PROVISIONED_PRODUCT_TAG,
    STACK_TAG,
)
from simulation.broken_calls import intercepted

SIZES = (100, 1_000, 10_000)
_PAGE_OF_A_TABLE = 1_000_000  # bytes (DynamoDB developer guide, Scan)
_CALL_MS = 50  # assumed of every call
_STACKS_A_PAGE = 100  # as notebook_vending/aws/cloudformation.py says
_MOST_RUNS = 100
# No call leaves this process: what clients are made with.
_AWS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
_HOME = "us-east-1:123456789012"
_NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
_EVENTS = {
    delete_orphans: "delete-orphans-for-schedule",
    expire_launches: "expire-launches",
    stop_idle: "stop-idle",
    report_drift: "report-drift",
}
_FUNCTIONS = {
    delete_orphans: "DeleteOrphansFunction",
    expire_launches: "ExpireLaunchesFunction",
    stop_idle: "StopIdleFunction",
    report_drift: "ReportDriftFunction",
}


@dataclass
class Account:
    """Notebooks, all running, each of its own launch; some of them are `due`.

    Due means, by function, that the stack is deleted, the date has passed, it reports idle, or it
    was changed by hand since the last comparison.

    Attributes:
        notebooks: the names of the existing notebooks.
        due: the names of the notebooks that the function must process.
        calls: how often each operation was called.
        spent_ms: what these calls took.
        table: the records of the comparison, by notebook.

    """

    notebooks: list[str]
    due: set[str]
    calls: Counter[str] = field(default_factory=Counter)
    spent_ms: int = 0
    table: dict[str, Any] = field(default_factory=dict)

    def answer(self, _service: str, operation: str, asked: Any, _call: Callable[[], Any]) -> Any:
        """Answer a call, and count it."""
        self.calls[operation] += 1
        self.spent_ms += _CALL_MS
        return getattr(self, f"_{xform_name(operation)}")(asked)

    def _get_resources(self, asked: Any) -> Any:
        names, token = _page(
            self.notebooks, asked["ResourcesPerPage"], asked.get("PaginationToken")
        )
        found = [{"ResourceARN": _arn(name), "Tags": _pairs(self._tags(name))} for name in names]
        return {"ResourceTagMappingList": found, "PaginationToken": token}

    def _list_notebook_instances(self, asked: Any) -> Any:
        # All are in service; asked without a status, it lists all, too.
        named = [] if asked.get("StatusEquals") == "Failed" else self.notebooks
        # Ten by default, by the API reference.
        names, token = _page(named, asked.get("MaxResults", 10), asked.get("NextToken"))
        found = [
            {
                "NotebookInstanceName": name,
                "NotebookInstanceArn": _arn(name),
                "InstanceType": "ml.t3.medium",
                "CreationTime": _NOW - timedelta(days=40),
                "LastModifiedTime": _NOW - timedelta(days=1 if name in self.due else 2),
            }
            for name in names
        ]
        return {"NotebookInstances": found, **({"NextToken": token} if token else {})}

    def _describe_notebook_instance(self, asked: Any) -> Any:
        name = asked["NotebookInstanceName"]
        return {
            "NotebookInstanceName": name,
            "NotebookInstanceArn": _arn(name),
            "NotebookInstanceStatus": "InService",
            "InstanceType": "ml.t3.medium",
            "PlatformIdentifier": "notebook-al2023-v1",
            "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
            "CreationTime": _NOW - timedelta(days=40),
            "RootAccess": "Enabled" if name in self.due else "Disabled",
        }

    def _list_tags(self, asked: Any) -> Any:
        return {"Tags": _pairs(self._tags(_name_in(asked["ResourceArn"])))}

    def _describe_stacks(self, asked: Any) -> Any:
        if "StackName" not in asked:
            there = [name for name in self.notebooks if name not in self.due]
            names, token = _page(there, _STACKS_A_PAGE, asked.get("NextToken"))
            found = [self._stack(name) for name in names]
            return {"Stacks": found, **({"NextToken": token} if token else {})}
        return {"Stacks": [self._stack(_name_in(asked["StackName"]))]}

    def _list_stack_resources(self, asked: Any) -> Any:
        name = _name_in(asked["StackName"])
        found = {"LogicalResourceId": "Notebook", "PhysicalResourceId": name}
        return {"StackResourceSummaries": [found]}

    def _get_log_events(self, asked: Any) -> Any:
        if asked["logStreamName"].split("/")[0] not in self.due:
            return {"events": []}
        ingested = int(_NOW.timestamp() * 1000)
        return {"events": [{"message": "IDLE", "ingestionTime": ingested}]}

    def _describe_provisioned_product(self, _: Any) -> Any:
        product_id = built.environment()["PRODUCT_ID"]
        return {
            "ProvisionedProductDetail": {
                "Name": "a launch",
                "ProductId": product_id,
                "Status": "AVAILABLE",
            }
        }

    def _terminate_provisioned_product(self, asked: Any) -> Any:
        self._done(f"n{asked['ProvisionedProductId'].removeprefix('pp-')}")

    def _start_execution(self, asked: Any) -> Any:
        self._done(json.loads(asked["input"])["Resource"].rpartition("|")[2])

    def _stop_notebook_instance(self, asked: Any) -> Any:
        self._done(asked["NotebookInstanceName"])

    def _query(self, _: Any) -> Any:
        return {"Items": []}

    def _put_item(self, asked: Any) -> Any:
        if asked["TableName"] == built.environment()["DRIFT_TABLE"]:
            key = asked["Item"]["Notebook"]["S"]
            self.table[key] = asked["Item"]
            self.due.discard(_name_in(key))
        return {}

    def _scan(self, asked: Any) -> Any:
        keys = list(self.table)
        size = _PAGE_OF_A_TABLE // max([len(json.dumps(e)) for e in self.table.values()] or [1])
        names, token = _page(keys, size, asked.get("ExclusiveStartKey", {}).get("Next"))
        more = {"LastEvaluatedKey": {"Next": token}} if token else {}
        return {"Items": [self.table[name] for name in names], **more}

    def _lookup_events(self, _: Any) -> Any:
        return {"Events": []}

    def _done(self, name: str) -> None:
        """Take away what was served: it is gone, or stopped, long before the next run."""
        self.due.remove(name)
        self.notebooks.remove(name)

    def _stack(self, name: str) -> dict[str, Any]:
        return {
            "StackId": _stack_id(name),
            "StackStatus": "DELETE_COMPLETE" if name in self.due else "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": "NotebookInstanceName", "OutputValue": name}],
        }

    def _tags(self, name: str) -> dict[str, str]:
        day = _NOW if name in self.due else _NOW + timedelta(days=90)
        return {
            PLATFORM_TAG: built.environment()["PLATFORM"],
            STACK_TAG: _stack_id(name),
            LOGICAL_RESOURCE_TAG: "Notebook",
            PROVISIONED_PRODUCT_TAG: f"arn:aws:servicecatalog:{_HOME}:stack/a/pp-{name[1:]}",
            EXPIRES_TAG: day.date().isoformat(),
        }


def measure(progress: Progress) -> list[dict[str, Any]]:
    """Return a row for each function, number of notebooks and share of them that is due.

    `before` has the calls of the former state, where these functions had nothing to do.
    """
    former = before.housekeeping()
    cases = [(m, size, due) for m in _EVENTS for size in SIZES for due in (0, size // 100)]
    task = progress.add_task("Housekeeping", total=len(cases))
    rows = []
    for module, size, due in cases:
        calls = None if due else former.get((_FUNCTIONS[module], size))
        rows.append({**runs_of(module, size, due), "before": calls})
        progress.advance(task)
    return rows


def runs_of(module: Any, size: int, due: int) -> dict[str, Any]:
    """Let a scheduled function run until nothing is due any more, or it gets nowhere."""
    names = [f"n{number:05}" for number in range(size)]
    # The last ones, so that a function that always begins with the same ones is noticed.
    account = Account(names, set(names[size - due :]))
    with (
        intercepted(account.answer),
        patch.dict(os.environ, built.environment() | _AWS),
        patch("notebook_vending.clock.now", lambda: _NOW),
        patch("notebook_vending.housekeeping.orphan_cleanup.random", random.Random(1)),  # noqa: S311 - chance that repeats itself
        patch("notebook_vending.housekeeping.turns.random", random.Random(1)),  # noqa: S311 - the same
        patch("notebook_vending.drift.check.random", random.Random(1)),  # noqa: S311 - the same
    ):
        if module is report_drift:
            _compare_for_the_first_time(account)
        finished = _run(module, account)
        calls, spent = dict(account.calls), account.spent_ms
        runs = 1
        while account.due and runs < _MOST_RUNS:
            _run(module, account)
            runs += 1
    return {
        "function": _FUNCTIONS[module],
        "notebooks": size,
        "orphans": due,
        "calls": calls,
        "seconds": spent / 1000,
        "finished": finished,
        "runs": runs,
        "left": len(account.due),
        "remarks": [
            "calls and seconds are those of the first run, finished says whether it ended without "
            f"an error; runs: until nothing was due any more, {_MOST_RUNS} at most; left: what was "
            f"still due then; {_CALL_MS} ms a call assumed"
        ],
    }


def _compare_for_the_first_time(account: Account) -> None:
    """Have all notebooks compared before the run that is measured, in as many runs as it takes."""
    due, account.due = account.due, set()
    while not _run(report_drift, account):
        pass
    account.due, account.spent_ms = due, 0
    account.calls.clear()


def _run(module: Any, account: Account) -> bool:
    """Run a function once; return whether it processed everything that was due."""
    began = account.spent_ms
    timeout: int = built.settings(_FUNCTIONS[module])["Timeout"] * 1000

    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return timeout - (account.spent_ms - began)

    try:
        module.handler(built.event(_EVENTS[module]), cast("LambdaContext", Context()))
    except ClientError:
        raise
    except Exception as error:
        if type(error).__name__ not in ("UnfinishedError", "NotExpiredError"):
            raise
        return False
    return True


def _page(names: list[str], size: int, token: str | None) -> tuple[list[str], str]:
    start = int(token or 0)
    more = str(start + size) if start + size < len(names) else ""
    return names[start : start + size], more


def _arn(name: str) -> str:
    return f"arn:aws:sagemaker:{_HOME}:notebook-instance/{name}"


def _stack_id(name: str) -> str:
    uuid = f"00000000-0000-4000-8000-0000000{name[1:]}"
    return f"arn:aws:cloudformation:{_HOME}:stack/SC-123456789012-pp-{name[1:]}/{uuid}"


def _name_in(arn: str) -> str:
    """Return the notebook that an ARN of it, or of its stack, is about."""
    last = arn.rpartition("/")[2]
    return last if last.startswith("n") else f"n{last[-5:]}"


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
