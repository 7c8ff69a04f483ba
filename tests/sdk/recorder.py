"""Runs cells with an SDK, on a network in which only the platform's endpoints answer.

The Python of that SDK runs it, and it needs only botocore. It sends each AWS call to its parent
process, which answers whether the call is denied. A stub answers the allowed calls. It remembers
what they create, and its answers have the shapes of botocore's models. No other connection gets an
answer.
"""

import builtins
import datetime
import io
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
import types
from typing import Any

import botocore
from botocore.response import StreamingBody

# The services that have an endpoint in the platform's network.
SERVICES = {"ecr", "kms", "logs", "s3", "sagemaker", "sagemaker-runtime", "sts"}
ACCOUNT = "111122223333"
_DONE = ("Completed", "InService", "Enabled", "Succeeded")

_requests = os.fdopen(int(sys.argv[1]), "w")
_verdicts = os.fdopen(int(sys.argv[2]))
_lock = threading.Lock()
_asked = threading.local()
_made: dict[tuple[str, str], dict[str, Any]] = {}
_objects: dict[tuple[str, str], bytes] = {}
_silent: set[str] = set()  # services whose endpoint this network does not have
_far: list[str] = []  # hosts outside the network that a cell tried to reach


def _send(**what: Any) -> None:
    _requests.write(json.dumps(what, default=str) + "\n")
    _requests.flush()


def _receive() -> Any:
    return json.loads(_verdicts.readline())


def _silence() -> tuple[str, int]:
    """Return the address of a listener whose queue is full, so that it never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    full = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        full.append(one)
    _silence.kept = (listener, full)  # type: ignore[attr-defined]
    name: tuple[str, int] = listener.getsockname()
    return name


def _cut_off() -> None:
    """Let each name resolve, as in a VPC, and connect outside addresses to the silent listener."""
    silent, connect, resolve = _silence(), socket.socket.connect, socket.getaddrinfo

    def connect_nearby(self: socket.socket, address: Any) -> None:
        is_far = self.family == socket.AF_INET and not str(address[0]).startswith("127.")
        connect(self, silent if is_far else address)

    def resolve_all(host: Any, port: Any, *args: Any, **named: Any) -> Any:
        is_name = isinstance(host, str) and not re.fullmatch(r"[\d.]+|localhost", host)
        if is_name:
            _far.append(host)
        return resolve("192.0.2.1" if is_name else host, port, *args, **named)

    socket.socket.connect = connect_nearby  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = resolve_all


def _hook(session: Any) -> None:
    for service in SERVICES - _silent:
        session.register(f"before-parameter-build.{service}", _remember)
        session.register(f"before-call.{service}", _answer)


def _remember(params: Any, **_: Any) -> None:
    _asked.params = dict(params)


def _answer(model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
    service, params = model.service_model.service_name, _asked.params
    with _lock:
        shown = {name: value for name, value in params.items() if name != "Body"}
        _send(call=[service, model.name, shown])
        denied = _receive()
        status, parsed = (403, _denial(model.name, *denied)) if denied else _do(model, params)
    headers = {"x-amzn-requestid": "1"}
    parsed["ResponseMetadata"] = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return types.SimpleNamespace(status_code=status, headers=headers), parsed


def _denial(operation: str, code: str, message: str) -> dict[str, Any]:
    # The answer to a HEAD has no body, so botocore has only its status.
    return _error("403", "Forbidden") if operation.startswith("Head") else _error(code, message)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": message}}


def _do(model: Any, params: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    if model.service_model.service_name == "s3":
        return _s3(model.name, params)
    match model.name:
        case "GetCallerIdentity":
            arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/stack-role-1/SageMaker"
            return 200, {"Account": ACCOUNT, "Arn": arn, "UserId": "1"}
        case "InvokeEndpoint":
            body = StreamingBody(io.BytesIO(b"0.5"), 3)
            return 200, {"Body": body, "ContentType": "text/csv"}
        case "DescribeNotebookInstance":
            role = f"arn:aws:iam::{ACCOUNT}:role/notebook-vending/stack-role-1"
            return 200, {"RoleArn": role}
        case "ListModelPackageGroups":
            made = [name for kind, name in _made if kind == "ModelPackageGroup"]
            groups = [{"ModelPackageGroupName": name} for name in made]
            return 200, {"ModelPackageGroupSummaryList": groups}
    return _of_sagemaker(model, params)


def _of_sagemaker(model: Any, params: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    operation = model.name
    verb, kind = re.fullmatch(r"([A-Z][a-z]+)(\w*)", operation).groups()  # type: ignore[union-attr]
    name = params.get(f"{kind}Name") or params.get("ModelPackageGroupName", "")
    name = name.partition(":model-package/")[2] or name
    output = model.output_shape.members if model.output_shape else {}
    if verb == "Create":
        _made[kind, name] = params
        if kind == "ModelPackage":
            name = f"{name}/1"
            _made[kind, name] = params
        return 200, {each: _arn(kind, name) for each in output if each.endswith("Arn")}
    if verb == "Describe" and model.service_model.service_name == "sagemaker":
        if (kind, name) not in _made:
            return 400, _error("ValidationException", f'Could not find {kind} "{name}".')
        return 200, _described(kind, name, output)
    if verb in ("Update", "Stop") and output:
        return 200, {each: _arn(kind, name) for each in output if each.endswith("Arn")}
    if verb == "Delete":
        _made.pop((kind, name), None)
        return 200, {}
    return 200, {each: [] for each, shape in output.items() if shape.type_name == "list"}


def _arn(kind: str, name: str) -> str:
    hyphenated = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()
    return f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:{hyphenated}/{name}"


def _described(kind: str, name: str, output: dict[str, Any]) -> dict[str, Any]:
    made = _made[kind, name]
    found = {each: made[each] for each in output if each in made}
    for each, shape in output.items():
        if each == f"{kind}Arn":
            found[each] = _arn(kind, name)
        elif shape.type_name == "timestamp":
            found[each] = datetime.datetime.now(datetime.UTC)
        elif each.endswith("Status") and getattr(shape, "enum", None):
            found[each] = next((word for word in _DONE if word in shape.enum), shape.enum[0])
    if kind == "TrainingJob":
        path = made["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        found["ModelArtifacts"] = {"S3ModelArtifacts": f"{path}/{name}/output/model.tar.gz"}
        found["SecondaryStatusTransitions"] = []
    if kind == "HyperParameterTuningJob":
        zeros = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
        found["TrainingJobStatusCounters"] = dict.fromkeys(zeros, 0)
        found["ObjectiveStatusCounters"] = {"Succeeded": 1, "Pending": 0, "Failed": 0}
    if kind == "Endpoint":
        found["ProductionVariants"] = [{"VariantName": "AllTraffic"}]
    return found


def _s3(operation: str, params: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    place = params.get("Bucket", ""), params.get("Key", "")
    if operation == "PutObject":
        body = params.get("Body", b"")
        body = body.read() if hasattr(body, "read") else body
        _objects[place] = body.encode() if isinstance(body, str) else bytes(body)
        return 200, {"ETag": '"1"'}
    if operation in ("GetObject", "HeadObject"):
        held = _objects.get(place, _model_file())
        found = {"ContentLength": len(held), "ETag": '"1"'}
        body = {"Body": StreamingBody(io.BytesIO(held), len(held))}
        return 200, found | (body if operation == "GetObject" else {})
    if operation in ("ListObjectsV2", "ListObjects"):
        return 200, {"Contents": [], "KeyCount": 0, "IsTruncated": False}
    return 200, {}


def _model_file() -> bytes:
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("xgboost-model"))
    return buffer.getvalue()


class WaitsError(BaseException):
    """A cell takes too long. No `except Exception` of an SDK swallows it."""


def _too_long(*_: Any) -> None:
    raise WaitsError("the cell waits for a network that does not answer")


def _put_metadata(folder: str) -> None:
    """Redirect SageMaker's metadata file of a notebook to one in the folder."""
    there, here = "/opt/ml/metadata/resource-metadata.json", f"{folder}/metadata.json"
    opened, exists = builtins.open, os.path.exists
    builtins.open = lambda file, *a, **k: opened(here if file == there else file, *a, **k)  # type: ignore[assignment]
    os.path.exists = lambda path: exists(here if path == there else path)


def main() -> None:
    """Run the cells of the task in one namespace, in order; send the outcome of each."""
    task = _receive()
    _silent.update(task["silent"])
    _cut_off()
    _put_metadata(task["folder"])
    if not task["pauses"]:
        time.sleep = lambda _: None
    botocore.register_initializer(_hook)
    signal.signal(signal.SIGALRM, _too_long)
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in task["cells"]:
        begin, error, text = time.monotonic(), "", ""
        signal.alarm(task["seconds"])
        try:
            exec(compile(cell["source"], cell["name"], "exec"), names)  # noqa: S102
        except BaseException as failed:
            error, text = type(failed).__name__, str(failed)
            traceback.print_exc()
        finally:
            signal.alarm(0)
        seconds = time.monotonic() - begin
        _send(cell=cell["name"], seconds=seconds, error=error, text=text, far=_far)
        _far.clear()


if __name__ == "__main__":
    main()
