"""The platform on an embedded AWS, its functions under `sam local invoke`, and CloudFormation."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aws_testing.functions import function, role
from demo import deploy
from tests.e2e.deployed import Platform
from tests.unit.sample_events import FUNCTIONS, handler_of
from tests.waiting import await_that

# A function that only records its events, so its callers keep waiting.
_SILENT = """
import json, pathlib
def handler(event, context):
    path = pathlib.Path({!r}) / context.aws_request_id
    path.with_suffix(".part").write_text(json.dumps(event))
    path.with_suffix(".part").rename(path.with_suffix(".json"))
"""


@dataclass
class Deployed:
    """The platform, with the test in the role of CloudFormation and Step Functions."""

    platform: Platform
    sam_parameters: Path
    directory: Path
    logged: list[dict[str, Any]] = field(init=False, default_factory=list)
    """The lines that the last invocation logged."""
    _silent: str = field(init=False)

    def __post_init__(self) -> None:
        """Create the function that never answers."""
        self.directory.mkdir()
        made = function(self.platform.aws, _SILENT.format(str(self.directory)))
        self._silent = str(made["FunctionArn"])

    def invoke(self, event: str, content: Any) -> Any:
        """Run a sample event under `sam local invoke`; return the function's result.

        The function has the rights of its own role.
        """
        (name,) = (n for n, f in FUNCTIONS.items() if f["Handler"] == handler_of(event))
        session = self.platform.session_of(name)
        done = subprocess.run(
            [
                *(str(deploy.ROOT / ".sam-venv" / "bin" / "sam"), "local", "invoke", name),
                *("--event", "-", "--config-file", str(self.sam_parameters)),
            ],
            env={
                **self.platform.aws.child_environment,
                "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
                "AWS_SESSION_TOKEN": session["SessionToken"],
                "SAM_CLI_TELEMETRY": "0",
            },
            cwd=deploy.ROOT,
            input=json.dumps(content),
            capture_output=True,
            text=True,
            check=False,
        )
        # It exits with 0 even if the function fails.
        assert done.returncode == 0, done.stderr
        assert "REPORT RequestId" in done.stderr, done.stderr
        self.logged = [json.loads(line) for line in done.stderr.splitlines() if line[:1] == "{"]
        result = json.loads(done.stdout)
        assert not (isinstance(result, dict) and "errorType" in result), done.stdout + done.stderr
        return result

    def invoke_directly(self, logical_id: str, content: Any) -> Any:
        """Invoke the deployed function with an event that is not a sample."""
        answer = self.platform.aws.client("lambda").invoke(
            FunctionName=self.platform.physical_id(logical_id), Payload=json.dumps(content)
        )
        result = json.load(answer["Payload"])
        assert "FunctionError" not in answer, result
        return result

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Disable rules and executions within the block, so that only the test acts."""
        aws, machine = self.platform.aws, self.platform.outputs["StateMachineArn"]
        events, stepfunctions = aws.client("events"), aws.client("stepfunctions")
        rules = [r["Name"] for r in events.list_rules()["Rules"] if r["State"] == "ENABLED"]
        before = stepfunctions.describe_state_machine(stateMachineArn=machine)
        waits = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {
                "FunctionName": self._silent,
                "Payload": {"Token.$": "$$.Task.Token", "State.$": "$"},
            },
            "End": True,
        }
        may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": self._silent}
        stepfunctions.update_state_machine(
            stateMachineArn=machine,
            definition=json.dumps({"StartAt": "Wait", "States": {"Wait": waits}}),
            roleArn=role(aws, "states", may),
        )
        for rule in rules:
            events.disable_rule(Name=rule)
        try:
            yield
        finally:
            for rule in rules:
                events.enable_rule(Name=rule)
            stepfunctions.update_state_machine(
                stateMachineArn=machine,
                definition=before["definition"],
                roleArn=before["roleArn"],
            )

    def received(self, **of: str) -> Any:
        """Wait for an event of the silent function that has these values; return it."""

        def found() -> Any:
            asked = (json.loads(path.read_text()) for path in self.directory.glob("*.json"))
            return next((each for each in asked if of.items() <= each.items()), None)

        return await_that(found)

    def execution(self, request_id: str) -> Any:
        """Return the only execution of a request, as DescribeExecution shows it."""
        (found,) = self.platform.executions(request_id)
        return self.platform.aws.client("stepfunctions").describe_execution(
            executionArn=found["executionArn"]
        )


@dataclass
class Stack:
    """A stack of one custom resource, whose requests the test answers."""

    deployed: Deployed
    name: str
    stack_id: str = ""

    def create(self, sample: Mapping[str, Any], properties: Mapping[str, Any]) -> Any:
        """Create it with the properties of a sample event; return CloudFormation's request."""
        made = self._client.create_stack(
            StackName=self.name, OnFailure="DO_NOTHING", TemplateBody=self._of(sample, properties)
        )
        self.stack_id = made["StackId"]
        return self._request("Create")

    def update(self, sample: Mapping[str, Any], properties: Mapping[str, Any]) -> Any:
        """Update it to the properties of a sample event; return CloudFormation's request."""
        self._client.update_stack(
            StackName=self.stack_id, TemplateBody=self._of(sample, properties)
        )
        return self._request("Update")

    def delete(self) -> Any:
        """Delete it; return CloudFormation's request."""
        self._client.delete_stack(StackName=self.stack_id)
        return self._request("Delete")

    def ended(self) -> str:
        """Wait for the end of CloudFormation's operation; return the status."""
        return await_that(lambda: self._status() if "PROGRESS" not in self._status() else "")

    def reason(self) -> str:
        """Return why the resource failed."""
        events = self._client.describe_stack_events(StackName=self.stack_id)["StackEvents"]
        return next(
            str(each["ResourceStatusReason"])
            for each in events
            if each["ResourceStatus"].endswith("_FAILED")
            and each["PhysicalResourceId"] != self.stack_id
            and each.get("ResourceStatusReason")
        )

    def _request(self, request_type: str) -> Any:
        return self.deployed.received(StackId=self.stack_id, RequestType=request_type)

    def _status(self) -> str:
        described = self._client.describe_stacks(StackName=self.stack_id)["Stacks"]
        return str(described[0]["StackStatus"])

    def _of(self, sample: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
        token = {"ServiceToken": self.deployed._silent}
        resource = {
            "Type": sample["ResourceType"],
            "Properties": {**sample["ResourceProperties"], **properties, **token},
        }
        return json.dumps({"Resources": {sample["LogicalResourceId"]: resource}})

    @property
    def _client(self) -> Any:
        return self.deployed.platform.aws.client("cloudformation")
