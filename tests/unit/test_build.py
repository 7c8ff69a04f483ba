"""`sam build` compiles the sources and reduces botocore's data to the called operations."""

import importlib.util
import json
import marshal
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import boto3
import botocore
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

from notebook_vending.aws import clients, sagemaker
from tests.project import ROOT
from tests.unit.sent_calls import calls, model
from tests.unit.stack_template import platform_resources, rooms

MAKE = shutil.which("make") or "make"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


# Bytecode


def make(artifacts: Path, path: Path, runtime: str) -> str:
    """Build a function as SAM does, with Python from one folder; return the output."""
    artifacts.mkdir()
    done = subprocess.run(
        [MAKE, "--directory", "src", "build-ObserveFunction", f"RUNTIME={runtime}"],
        cwd=ROOT,
        env={"PATH": f"{path}:/usr/bin:/bin", "ARTIFACTS_DIR": str(artifacts)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder with this Python under the name of its version."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / f"python{VERSION}"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program.parent


def compiled(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.pyc"))


def test_every_module_has_bytecode_for_the_runtime_from_its_own_source(
    tmp_path: Path, programs: Path
) -> None:
    make(tmp_path / "built", programs, VERSION)

    modules = {
        Path(importlib.util.cache_from_source(str(each))): each
        for each in (tmp_path / "built").rglob("*.py")
    }
    assert len(modules) > 50
    assert modules.keys() == {*compiled(tmp_path / "built")}
    for each, source in modules.items():
        magic, flags, digest = (each.read_bytes()[n : n + m] for n, m in ((0, 4), (4, 4), (8, 8)))
        assert magic == importlib.util.MAGIC_NUMBER
        assert flags == b"\3\0\0\0"  # has the source's hash, which is checked (PEP 552)
        assert digest == importlib.util.source_hash(source.read_bytes())


def test_bytecode_is_the_same_in_every_build_folder(tmp_path: Path, programs: Path) -> None:
    for name in ("one", "another"):
        make(tmp_path / name, programs, VERSION)

    one, another = compiled(tmp_path / "one"), compiled(tmp_path / "another")
    assert [each.read_bytes() for each in one] == [each.read_bytes() for each in another]
    code: CodeType = marshal.loads(one[0].read_bytes()[16:])  # noqa: S302 - made just now
    assert code.co_filename.startswith("/var/task/")


@pytest.mark.parametrize("at_hand", [False, True])
def test_build_with_another_python_version_leaves_no_bytecode(
    tmp_path: Path, programs: Path, at_hand: bool
) -> None:
    if at_hand:  # only its name is that of another version
        (programs / f"python{VERSION}").rename(programs / "python3.99")

    make(tmp_path / "built", programs, "3.99")

    assert (tmp_path / "built" / "handlers" / "observe.py").exists()
    assert compiled(tmp_path / "built") == []


def test_bytecode_has_the_python_version_of_the_functions() -> None:
    recipe = (ROOT / "src" / "Makefile").read_text()
    runtimes = {room["Globals"]["Function"]["Runtime"] for room in [*rooms().values()][1:]}
    layer = platform_resources()["Dependencies"]["Properties"]["CompatibleRuntimes"]

    assert {f"python{recipe.partition('RUNTIME := ')[2].split()[0]}"} == runtimes == {*layer}


# botocore's data


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with botocore as the build reduces it."""
    folder = tmp_path_factory.mktemp("layer")
    shutil.copytree(Path(botocore.__file__).parent, folder / "botocore")
    script = ROOT / "requirements" / "botocore_data.py"
    subprocess.run([sys.executable, "-B", script, folder, ROOT / "src"], check=True)
    return folder


def in_layer(layer: Path, script: str) -> Any:
    """Run a script with the layer's botocore; return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {str(layer)!r})\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_layer_keeps_every_called_operation_unchanged(layer: Path) -> None:
    data = layer / "botocore" / "data"
    loader = Loader([str(data)], include_default_search_paths=False)

    called: dict[str, set[str]] = {}
    for call in calls():
        called.setdefault(call.service, set()).add(call.operation)
    assert {path.name for path in data.iterdir() if path.is_dir()} == called.keys()
    for service, operations in called.items():
        whole = model(service)
        cut = ServiceModel(loader.load_service_model(service, "service-2"), service)
        for each in operations:
            assert as_called(cut, each) == as_called(whole, each), each


def as_called(service: ServiceModel, operation: str) -> Any:
    """Return all data that botocore uses to call an operation."""
    found = service.operation_model(operation)
    errors = sorted(each.name for each in found.error_shapes)
    shapes = map(inside, (found.input_shape, found.output_shape))
    settings = service.client_context_parameters  # read with the first call
    return [dict(service.metadata), settings, found.http, errors, *shapes]


def inside(shape: Any, above: tuple[str, ...] = ()) -> Any:
    """Return a shape without its documentation, down to recursive shapes."""
    if shape is None or shape.name in above:
        return shape and shape.name
    parts = {
        kind: getattr(shape, kind) for kind in ("member", "key", "value") if hasattr(shape, kind)
    }
    parts |= getattr(shape, "members", {})
    below = {name: inside(each, (*above, shape.name)) for name, each in parts.items()}
    return [shape.name, shape.type_name, shape.serialization, shape.metadata, below]


def test_layer_has_less_than_a_megabyte_of_botocore_data(layer: Path) -> None:
    size = sum(each.stat().st_size for each in (layer / "botocore" / "data").rglob("*"))

    assert size < 1_000_000  # of 25 million


# Calls each operation with its required parameters, and prints the requests.
REQUESTS = """
import json, botocore.session

class Sent(Exception):
    pass

def least(shape):
    match shape.type_name:
        case "structure":
            named = {*shape.required_members}
            named |= {n for n, each in shape.members.items() if "idempotencyToken" in each.metadata}
            return {name: least(shape.members[name]) for name in sorted(named)}
        case "list":
            return [least(shape.member)]
        case "map":
            return {"key": least(shape.value)}
        case "integer" | "long":
            return 7
        case "double":
            return 7.5
        case "boolean":
            return True
        case "blob":
            return b"blob"
    return (shape.enum or ["text"])[0].ljust(shape.metadata.get("min", 1), "x")

def keep(request, **_):
    varying = ("authorization", "x-amz-date", "amz-sdk-invocation-id", "user-agent")
    kept = {k: str(v) for k, v in request.headers.items() if k.lower() not in varying}
    body = request.body
    text = str(body) if isinstance(body, (str, bytes, bytearray)) else type(body).__name__
    sent.append([request.method, request.url, kept, text])
    raise Sent

sent = []
session = botocore.session.Session()
session.set_credentials("testing", "testing")
for service, operations in %r.items():
    for region in %r:
        client = session.create_client(service, region)
        client.meta.events.register("before-send", keep)
        for each in operations:
            name = client.meta.method_to_api_mapping[each]
            parameters = least(client.meta.service_model.operation_model(name).input_shape)
            try:
                getattr(client, each)(**parameters)
            except Sent:
                pass
print(json.dumps(sent))
"""


def test_layer_sends_the_same_requests_as_botocore_in_every_partition(layer: Path) -> None:
    called: dict[str, list[str]] = {}
    for call in calls():
        called.setdefault(call.service, []).append(xform_name(call.operation))
    regions = ["us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"]
    script = REQUESTS % (called, regions)

    sent = in_layer(layer, script)
    assert len(sent) > 100
    assert sent == in_layer(Path(botocore.__file__).parents[1], script)


def test_layer_keeps_the_data_that_every_client_reads(layer: Path) -> None:
    whole = Path(botocore.__file__).parent / "data"
    for path in whole.glob("*.json"):
        if path.name != "endpoints.json":
            assert (layer / "botocore" / "data" / path.name).read_bytes() == path.read_bytes()


# Clients

# The services of policies that have another name in boto3.
SERVICES = {"states": "stepfunctions", "tag": "resourcegroupstaggingapi"}
# SageMaker receives a role, and Lambda sends failed events to a queue or another function.
OF_OTHERS = {"iam", "sqs"}
# The services that a key policy grants instead of a role.
BY_KEYS = {"erase_data": {"kms"}}
# The services that a function calls only for some events, or that SageMaker or Lambda calls for it.
# Their clients are created for the first call, or never.
LATER = {
    "delete": {"cloudformation", "ec2"},
    "delete_orphans": {"dynamodb", "servicecatalog", "stepfunctions"},
    "expire_launches": {"sns"},
    "guard_notebooks": {"resourcegroupstaggingapi", "sagemaker"},
    "observe": {"cloudformation", "ec2"},
    "receive_request": {"lambda"},
    "start": {"ec2"},
    "start_on_hours": {"ec2"},
    "stop": {"cloudformation"},
    "stop_idle": {"dynamodb"},
    "watch_budget": {"servicecatalog"},
}
FUNCTIONS = {
    each["Properties"]["Handler"].split(".")[1]: each["Properties"]["Role"]["Fn::GetAtt"][0]
    for each in platform_resources().values()
    if each["Type"] == "AWS::Serverless::Function"
}


def granted(role: str) -> set[str]:
    """Return the services that a role may call, by their boto3 names.

    Services that another service calls for the role are left out.
    """
    properties = platform_resources()[role]["Properties"]
    policies = [each["PolicyDocument"] for each in properties.get("Policies", ())]
    for managed in properties["ManagedPolicyArns"]:
        if managed["Ref"] != "RunFunctions":  # Lambda's own calls
            policies.append(platform_resources()[managed["Ref"]]["Properties"]["PolicyDocument"])
    found = set()
    for statement in (each for policy in policies for each in policy["Statement"]):
        if "kms:ViaService" not in json.dumps(statement):
            actions = statement["Action"]
            found |= {actions} if isinstance(actions, str) else {*actions}
    services = {action.partition(":")[0] for action in found}
    return {SERVICES.get(each, each) for each in services} - OF_OTHERS


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_function_creates_at_init_the_clients_that_it_always_calls(
    handler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: list[Any] = []
    monkeypatch.setattr(clients, "make_at_init", lambda *made: makers.extend(made))
    monkeypatch.setattr(boto3, "client", lambda service, **_: service)
    monkeypatch.setattr(sagemaker, "_NOT_REPEATED", ())  # a plain name takes no event handler

    runpy.run_path(str(ROOT / "src" / "handlers" / f"{handler}.py"))

    made = [each.__wrapped__() for each in makers if ".aws." in each.__module__]
    of_role = granted(FUNCTIONS[handler]) | BY_KEYS.get(handler, set())
    assert len(made) == len({*made})
    assert {*made} == of_role - LATER.get(handler, set())


def test_clients_are_created_at_init_only_in_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)

    clients.make_at_init(lambda: made.append("elsewhere"))
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "ObserveFunction")
    clients.make_at_init(lambda: made.append("one"), lambda: made.append("another"))

    assert made == ["one", "another"]
