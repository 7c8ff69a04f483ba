"""Cold starts: each function's first invoke in a new environment, as Lambda gives it processors.

Each function is run as it is built now and as it was built before (`before.COMMIT`), by the runtime
interface emulator and the runtime client, with its sample event and an AWS that answers at once.
Init has a whole processor, and an invoke the share that the function's memory stands for. There
are two floors: a handler that makes the same boto3 clients in its first invoke and calls one of
them, from the layer of before; and a handler that imports nothing. What Lambda does before the
runtime starts (finding a machine, loading the code) is not in it, and neither is TLS to AWS.
"""

import json
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.progress import Progress

from benchmarks import built, lambda_emulator
from benchmarks.answering_aws import AnsweringAws, Item, answering_aws
from benchmarks.lambda_emulator import ColdStart, EmulatorError, start_cold
from embedded_aws.ministack_fixes import response_bucket
from embedded_aws.ministack_fixes.response_bucket import ResponseBucket
from notebook_vending.notebooks.notebook import (
    EXPIRES_TAG,
    PROVISIONED_PRODUCT_TAG,
    STACK_TAG,
    ownership_tags,
)

# Of the functions that a launch waits for, and of all others.
_REPETITIONS, _FEWER = 5, 3
_ON_THE_WAY = (
    "RequestFunction",
    "ObserveFunction",
    "CreateFunction",
    "WaitFunction",
    "RespondFunction",
)
# What functions and their sample events were called before, where those were other names.
_BEFORE = {
    "RequestFunction": ("RequestFunction", "request-create"),
    "PublishProductFunction": ("PublishFunction", "publish"),
    "SharePortfolioFunction": ("ShareFunction", "share"),
    "EraseDataFunction": ("EmptyBucketFunction", "empty-bucket"),
    "PublishVersionsFunction": ("VersionFunction", "version"),
    "DeleteOrphansFunction": ("CleanFunction", "clean-for-sweep"),
    "ExpireLaunchesFunction": ("ExpireFunction", "expire"),
    "StopIdleFunction": ("RestFunction", "rest"),
    "CountRunningFunction": ("CountFunction", "count"),
    "GuardNotebooksFunction": ("GuardFunction", "guard"),
}
_FLOOR = Path(__file__).parent / "floor_function"
_NOTEBOOK = "arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/analysis-1"
# Which of a function's sample events, where it is not the one of the function's own name.
_EVENTS = {
    "RequestFunction": "receive-request-create",
    "DeleteOrphansFunction": "delete-orphans-for-schedule",
    "WatchBudgetFunction": "watch-budget-for-schedule",
}
_REQUESTS = ("receive-request-create", "receive-request-update", "receive-request-delete")


def measure(progress: Progress) -> list[dict[str, Any]]:
    """Return a row for each function."""
    handlers = built.handlers()
    task = progress.add_task("Cold starts", total=len(handlers))
    rows = []
    with (
        answering_aws() as aws,
        tempfile.TemporaryDirectory() as directory,
    ):
        bucket = response_bucket.start(Path(directory), "us-east-1")
        try:
            bench = _Bench(aws, bucket)
            bench.enter_requests()
            for name in handlers:
                rows.append(bench.row(name))
                progress.advance(task)
        finally:
            bucket.stop()
    return rows


class _Bench:
    def __init__(self, aws: AnsweringAws, bucket: ResponseBucket) -> None:
        self.aws, self.bucket = aws, bucket
        self.requests: list[Item] = []
        stack_id = built.event("receive-request-create")["StackId"]
        product_id = stack_id.split("/")[1].removeprefix("SC-123456789012-")
        tags = {
            **ownership_tags(built.environment()["PLATFORM"], stack_id, "Notebook"),
            EXPIRES_TAG: "2026-01-01",
            PROVISIONED_PRODUCT_TAG: (
                f"arn:aws:servicecatalog:us-east-1:123456789012:stack/mine/{product_id}"
            ),
        }
        aws.notebook = {
            "NotebookInstanceName": "Analysis-1",
            "NotebookInstanceArn": _NOTEBOOK,
            "NotebookInstanceStatus": "InService",
            "InstanceType": "ml.t3.medium",
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        aws.launch = {
            "Name": "mine",
            "ProductId": built.environment()["PRODUCT_ID"],
            "Status": "AVAILABLE",
        }

    def enter_requests(self) -> None:
        """Have the ledger hold what the sample events of executions are about."""
        for name in _REQUESTS:
            self._run("RequestFunction", name)
            self.requests.append(self.aws.ledger[0])

    def row(self, function: str) -> dict[str, Any]:
        """Measure one function, before and now, and its floors in turns.

        So what else runs here hits all of them.
        """
        event = event_of(function, built.handlers()[function])
        self.aws.asked.clear()
        answered = self._run(function, event).answered
        clients = self.aws.services()
        repetitions = _REPETITIONS if function in _ON_THE_WAY else _FEWER
        starts, before, floors, nothing = [], [], [], []
        for _ in range(repetitions):
            starts.append(self._run(function, event))
            if former := self._run_before(function, event):
                before.append(former)
            floors.append(self._floor(function, "floor.handler", clients))
            nothing.append(self._floor(function, "nothing.handler", clients))
        return {
            "function": function,
            "on_the_way": function in _ON_THE_WAY,
            "memory_mb": built.settings(function)["MemorySize"],
            "now": _figures(starts),
            "before": _figures(before) if before else None,
            "floor": _figures(floors),
            "nothing": _figures(nothing),
            "of_before": spread(of_each(starts, before)) if before else None,
            "of_floor": spread(of_each(starts, floors)),
            "floor_makes": ", ".join(clients),
            "repetitions": repetitions,
            "event": event,
            "remarks": [
                lambda_emulator.described(),
                *_faults(answered),
                *(f"before: {each}" for start in before[:1] for each in _faults(start.answered)),
            ],
        }

    def _run(self, function: str, event: str) -> ColdStart:
        handed, self.aws.ledger = self._event(built.event(event))
        return start_cold(
            built.handlers()[function],
            built.directory(function),
            built.directory("Dependencies"),
            self._environment(function) | built.environment(),
            json.dumps(handed).encode(),
        )

    def _run_before(self, function: str, event: str) -> ColdStart | None:
        """Run a function as it was built before; return None if it is new."""
        name, of_then = _BEFORE.get(function, (function, event))
        handler = built.handler_before(name)
        if handler is None:
            return None
        # A state of today is none to the functions of then.
        handed, self.aws.ledger = self._event(built.event_before(of_then))
        return start_cold(
            handler,
            built.directory(name, built.before()),
            built.directory("Dependencies", built.before()),
            self._environment(function) | built.environment(),
            json.dumps(handed).encode(),
        )

    def _floor(self, function: str, handler: str, clients: tuple[str, ...]) -> ColdStart:
        found = start_cold(
            handler,
            _FLOOR,
            built.directory("Dependencies", built.before()),
            self._environment(function) | {"FLOOR_CLIENTS": ",".join(clients)},
            b"{}",
        )
        if faults := _faults(found.answered):
            raise EmulatorError(f"The floor failed: {faults}")
        return found

    def _environment(self, function: str) -> dict[str, str]:
        settings = built.settings(function)
        return {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(settings["Timeout"]),
            "RESPONSE_BUCKET": f"{self.bucket.host}:{self.bucket.port}",
            "SSL_CERT_FILE": str(self.bucket.certificate_authority),
        }

    def _event(self, event: Any) -> tuple[Any, list[Item]]:
        """Return a sample event as of this moment, and the ledger as it is for it."""
        self.aws.bucket_tags = {STACK_TAG: event.get("StackId", "")}
        if "ResponseURL" in event:
            key = f"{event['StackId']}|{event['LogicalResourceId']}|{event['RequestId']}"
            # Another one each time: signing one anew would withdraw what the ledger holds.
            key = f"{key}|{uuid4()}"
            event["ResponseURL"] = self.bucket.address(key, lambda _: None)
            return event, []
        state = event.get("State", event)
        if "Request" not in state:
            return event, []
        return event, self._until(state)

    def _until(self, state: dict[str, Any]) -> list[Item]:
        """Name an execution's request as it was entered; return it and those before it."""
        id_ = state["Request"].rpartition("#")[2]
        names = [item["Request"]["S"] for item in self.requests]
        (position,) = (n for n, name in enumerate(names) if name.endswith(id_))
        state["Request"] = names[position]
        before = [{**item, "Outcome": {"S": "SUCCESS"}} for item in self.requests[:position]]
        return [*before, self.requests[position]]


def event_of(function: str, handler: str) -> str:
    """Return the name of the sample event that a function is measured with."""
    return _EVENTS.get(function) or handler.split(".")[1].replace("_", "-")


def _figures(starts: Sequence[ColdStart]) -> dict[str, Any]:
    return {
        "init_ms": spread(each.init_ms for each in starts),
        "first_invoke_ms": spread(each.first_invoke_ms for each in starts),
        "total_ms": spread(each.total_ms for each in starts),
        "warm_ms": spread(each.warm_ms for each in starts),
        "max_memory_mb": spread(each.max_memory_mb for each in starts),
    }


def of_each(starts: Sequence[ColdStart], others: Sequence[ColdStart]) -> list[float]:
    """Return how much of the others' time a function's first caller waits.

    Of each pair that ran one after the other: what else the machine does comes and goes, for
    minutes at a time.
    """
    return [start.total_ms / other.total_ms for start, other in zip(starts, others, strict=True)]


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return the median, the least and the most."""
    found = sorted(values)
    figures = {"median": statistics.median(found), "least": found[0], "most": found[-1]}
    return {name: round(each, 3) for name, each in figures.items()}


def _faults(answered: bytes) -> list[str]:
    """Return what a function failed with: its sample event meets no real AWS here."""
    match json.loads(answered or b"null"):
        case {"errorType": str(kind), "errorMessage": str(message)}:
            return [f"the invoke ended with {kind}: {message:.200}"]
    return []
