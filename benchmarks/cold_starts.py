"""Cold starts: each function's first invoke in a new environment, beside the least there can be.

Each function is run as it was built, by the runtime interface emulator and the runtime client, with
its sample event and an AWS that answers at once. The floor is a handler that makes the same boto3
clients as the function made in its first invoke and calls one of them, from the same layer. What
Lambda does before the runtime starts (finding a machine, loading the code) is not in it, and no
processor is shared out by memory: only the ratio says something about Lambda.
"""

import json
import platform
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.progress import Progress

from benchmarks import built
from benchmarks.answering_aws import AnsweringAws, Item, answering_aws
from benchmarks.lambda_emulator import ColdStart, EmulatorError, start_cold
from embedded_aws.ministack_fixes import response_bucket
from embedded_aws.ministack_fixes.response_bucket import ResponseBucket
from notebook_vending.notebooks.notebook import EXPIRES_TAG, PROVISIONED_PRODUCT_TAG, ownership_tags

_REPETITIONS = 9
_MACHINE = (
    f"on Python {platform.python_version()} and {platform.machine()}, unlike the deployed functions"
)
_FLOOR = Path(__file__).parent / "floor_function"
_NOTEBOOK = "arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/analysis-1"
# Which of a function's sample events, where it is not the one of the function's own name.
_EVENTS = {
    "RequestFunction": "receive-request-create",
    "DeleteOrphansFunction": "delete-orphans-for-schedule",
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
        """Measure one function and its floor in turns, so that what else runs here hits both."""
        event = event_of(function, built.handlers()[function])
        self.aws.asked.clear()
        answered = self._run(function, event).answered
        clients = self.aws.services()
        starts, floors = [], []
        for _ in range(_REPETITIONS):
            starts.append(self._run(function, event))
            floors.append(self._floor(function, clients))
        return {
            "function": function,
            "floor": ", ".join(clients),
            **_medians(starts, floors),
            "warm_ms": _median(each.warm_ms for each in starts),
            "max_memory_mb": _median(each.max_memory_mb for each in starts),
            "repetitions": _REPETITIONS,
            "event": event,
            "remarks": [_MACHINE, *_faults(answered)],
        }

    def _run(self, function: str, event: str) -> ColdStart:
        handed, self.aws.ledger = self._event(event)
        return start_cold(
            built.handlers()[function],
            built.directory(function),
            built.directory("Dependencies"),
            self._environment(function) | built.environment(),
            json.dumps(handed).encode(),
        )

    def _floor(self, function: str, clients: tuple[str, ...]) -> ColdStart:
        found = start_cold(
            "floor.handler",
            _FLOOR,
            built.directory("Dependencies"),
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

    def _event(self, name: str) -> tuple[Any, list[Item]]:
        """Return a sample event that is of this moment, and the ledger as it is for it."""
        event = built.event(name)
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


def _medians(starts: Sequence[ColdStart], floors: Sequence[ColdStart]) -> dict[str, Any]:
    return {
        "init_ms": _median(each.init_ms for each in starts),
        "first_invoke_ms": _median(each.first_invoke_ms for each in starts),
        "floor_init_ms": _median(each.init_ms for each in floors),
        "floor_first_invoke_ms": _median(each.first_invoke_ms for each in floors),
        "ratio": round(ratio(starts, floors), 3),
    }


def ratio(starts: Sequence[ColdStart], floors: Sequence[ColdStart]) -> float:
    """Return how much longer a function's first caller waits than the floor's.

    Of each pair that ran one after the other, then the median: what else the machine does comes and
    goes, for minutes at a time.
    """
    return statistics.median(
        start.total_ms / least.total_ms for start, least in zip(starts, floors, strict=True)
    )


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 1)


def _faults(answered: bytes) -> list[str]:
    """Return what a function failed with: its sample event meets no real AWS here."""
    match json.loads(answered or b"null"):
        case {"errorType": str(kind), "errorMessage": str(message)}:
            return [f"the invoke ended with {kind}: {message:.200}"]
    return []
