"""A provider of CDK's framework: aws-cdk-lib's `custom_resources.Provider`, synthesized by npm.

The framework's code runs in Node as it was synthesized. Its calls are answered where the framework
itself keeps them apart from the rest (`outbound.js`): StartExecution, Invoke, and the PUT to
CloudFormation. Its waiter is the state machine of the synthesized template. The AWS SDK that its
functions load in Lambda is not loaded, so their init is measured shorter than it is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchmarks.aws_calls import CALL_SECONDS
from benchmarks.cloudformation import Deliver
from benchmarks.peers.functions import cdk_functions as peer
from benchmarks.state_machine import StateMachine
from benchmarks.world import World
from simulation.lambda_service import Function, FunctionError, Handler

APP = Path(__file__).parents[1] / "peers" / "cdk"
OUT = Path(".local/bench/cdk.out")
_USERS = {"cdk_functions.on_event": peer.on_event, "cdk_functions.is_complete": peer.is_complete}
_DEFAULT_MEMORY_MB = 128  # AWS::Lambda::Function, MemorySize


def synthesize() -> None:
    """Write the templates and assets of the app; raises CalledProcessError, OSError."""
    node = _node()
    if not (APP / "node_modules").is_dir():
        raise FileNotFoundError(f"{APP}/node_modules is not there: run `make bench`")
    environment = {**os.environ, "CDK_OUTDIR": str(OUT.resolve()), "CDK_DISABLE_VERSION_CHECK": "1"}
    subprocess.run([node, "app.js"], cwd=APP, env=environment, check=True, capture_output=True)


def inits() -> dict[str, tuple[str, str]]:
    """Return what each function's environment does before its first event."""
    functions = _functions(_template("Default"))
    user = ("python", "import boto3; boto3.client('sagemaker')")
    stub = (
        "const M = require('node:module'), load = M._load;"
        "M._load = (r, ...m) => r.startsWith('@aws-sdk/') ? {} : load(r, ...m);"
    )
    asset = json.dumps(str(_asset("Default") / "framework.js"))
    framework = ("node", f"{stub} require({asset})")
    return {
        name: user if each["Handler"] in _USERS else framework for name, each in functions.items()
    }


class _Framework:
    """The process of Node that runs the framework's functions."""

    def __init__(self, world: World, asset: Path, environment: Mapping[str, str]) -> None:
        self._world = world
        self._numbers = 0
        self.process = subprocess.Popen(
            [_node(), str(APP / "host.js"), str(asset)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin
        assert self.process.stdout
        self._in: IO[str] = self.process.stdin
        self._out: IO[str] = self.process.stdout
        assert json.loads(self._out.readline()) == {"ready": True}
        self.outbound: dict[str, Any] = {}

    def run(self, handler: str, event: Any, _context: Any) -> Any:
        """Run a handler; its calls take place one after another, and each waits for its answer."""
        self._numbers += 1
        number = self._numbers
        said = self._exchange({"id": number, "handler": handler, "event": event})
        while "call" in said:
            assert said["id"] == number
            answer: dict[str, Any] = {"call": said["call"]}
            try:
                answer["result"] = self.outbound[said["name"]](*said["params"])
            except FunctionError as error:
                answer["error"] = str(error)
            said = self._exchange(answer)
        assert said["id"] == number
        if "error" in said:
            failed = said["error"]
            raise FunctionError(failed["errorType"], failed["errorMessage"], failed["trace"])
        return said["result"]

    def _exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self._in.write(json.dumps(message) + "\n")
        self._in.flush()
        answer: dict[str, Any] = json.loads(self._out.readline())
        return answer

    def end(self) -> None:
        """End the process."""
        self._in.close()
        self.process.wait()
        self._out.close()


@contextmanager
def cdk_provider(world: World, stack: str = "Default") -> Iterator[Deliver]:
    """Serve the launches of a world with one of the app's stacks."""
    template = _template(stack)
    functions = _functions(template)
    environment: dict[str, str] = {}
    for properties in functions.values():
        for name, value in properties.get("Environment", {}).get("Variables", {}).items():
            environment[name] = _reference(value)
    framework = _Framework(world, _asset(stack), environment)
    handlers: dict[str, str] = {}
    for logical_id, properties in functions.items():
        handler = properties["Handler"]
        handlers[handler] = logical_id
        run = _USERS.get(handler) or partial(framework.run, handler.partition(".")[2])
        memory = properties.get("MemorySize", _DEFAULT_MEMORY_MB)
        world.lambda_.add(Function(logical_id, memory, properties["Timeout"], partial(_same, run)))
    (waiter,) = _of_type(template, "AWS::StepFunctions::StateMachine").values()
    definition = json.loads("".join(_reference(each) for each in _parts(waiter)))
    machine = StateMachine(world.timeline, world.lambda_, definition)
    world.machines.append(machine)

    def start(params: Mapping[str, Any]) -> dict[str, Any]:
        world.lambda_.sleep(CALL_SECONDS)
        machine.start(str(uuid.uuid4()), json.loads(params["input"]))  # AWS names it so, too
        return {}

    def invoke(params: Mapping[str, Any]) -> dict[str, Any]:
        world.lambda_.sleep(CALL_SECONDS)
        try:
            returned = world.lambda_.invoke(params["FunctionName"], json.loads(params["Payload"]))
        except FunctionError as error:
            return {"FunctionError": "Unhandled", "Payload": json.dumps(error.payload)}
        return {"StatusCode": 200, "Payload": json.dumps(returned)}

    def request(options: Mapping[str, Any], body: str) -> None:
        assert (options["method"], options["headers"]["content-type"]) == ("PUT", "")
        world.put(f"https://{options['hostname']}{options['path']}", body)

    framework.outbound = {"startExecution": start, "invokeFunction": invoke, "httpRequest": request}

    def deliver(event: dict[str, Any]) -> None:
        world.lambda_.invoke_later(handlers["framework.onEvent"], world.with_place(event))

    try:
        yield deliver
    finally:
        framework.end()


def _same(handler: Handler) -> Handler:
    return handler


def _node() -> str:
    found = shutil.which("node")
    if not found:
        raise FileNotFoundError("node is not installed")
    return found


def _template(stack: str) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((OUT / f"{stack}.template.json").read_text())
    return template


def _asset(stack: str) -> Path:
    """Return the folder with the framework's code, as the template refers to it."""
    (properties, *_) = (
        each for each in _functions(_template(stack)).values() if "framework." in each["Handler"]
    )
    return OUT.resolve() / f"asset.{properties['Code']['S3Key'].removesuffix('.zip')}"


def _functions(template: Mapping[str, Any]) -> dict[str, Any]:
    return _of_type(template, "AWS::Lambda::Function")


def _of_type(template: Mapping[str, Any], type_: str) -> dict[str, Any]:
    return {
        logical_id: each["Properties"]
        for logical_id, each in template["Resources"].items()
        if each["Type"] == type_
    }


def _parts(waiter: Mapping[str, Any]) -> list[Any]:
    separator, parts = waiter["DefinitionString"]["Fn::Join"]
    assert separator == ""
    joined: list[Any] = parts
    return joined


def _reference(value: Any) -> str:
    """Return a text of the template, and the logical id for what refers to a resource."""
    match value:
        case str():
            return value
        case {"Fn::GetAtt": [logical_id, "Arn"]} | {"Ref": logical_id}:
            return str(logical_id)
    raise ValueError(f"{value} is no reference")
