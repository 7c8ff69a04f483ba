"""An operator who runs the real commands against the platform in this process.

Commands invoke the real functions. The catalog simulator makes the launches.
"""

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from aws_testing.catalog_world import ALICE, Offer, Person, World, an_offer
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog.model import StackState
from handlers import delete_orphans, report_drift, respond
from notebook_vending.requests.stack_ids import provisioned_product_of
from simulation.account import ACCOUNT, REGION
from simulation.broken_calls import intercepted
from simulation.lambda_context import context
from simulation.platform import LAUNCHER, Platform
from simulation.stack import Stack
from tests.unit.catalog_calls import speaking_to
from vending.cli import app

STACK = "notebook-vending"
BUCKET = "nb-123456789012-data"  # of each launch


@dataclass(frozen=True)
class Ran:
    """The output and the exit status of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output as JSON."""
        return json.loads(self.out)


@dataclass
class Operator:
    """An operator who types commands.

    Attributes:
        functions: the platform's functions that a command may invoke, by logical ID.
        refused: the error codes with which AWS rejects operations, by operation.
        called: the operations that were called, as service:Operation.
        deleted: the IDs of the stacks on which DeleteStack was called.
        deletion_ends: the status of such a stack after the call.
        parameters: the parameters of the platform's stack.

    """

    platform: Platform
    world: World
    offer: Offer
    functions: dict[str, Callable[[Any], Any]]
    refused: dict[str, str] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    deletion_ends: str = "DELETE_COMPLETE"
    parameters: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, answer: str = "") -> Ran:
        """Run a command, with an answer for its confirmation."""
        self.world.now = self.platform.clock.now
        with speaking_to(self.world), intercepted(self._answer):
            result = CliRunner().invoke(app, list(words), input=answer)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    def launched(self, **properties: Any) -> Stack:
        """Launch a notebook as a data scientist; return the stack of the running notebook."""
        stack = self.launching(**properties)
        stack.create().expect_success()
        return stack

    def launching(self, retention: str = "Retain", **properties: Any) -> Stack:
        """Begin a launch in Service Catalog, before the platform gets a request."""
        stack = self.platform.stack()
        product_id = self.offer.launched(stack.notebook)
        stack.id = (
            f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/SC-{ACCOUNT}-{product_id}/{uuid4()}"
        )
        stack.properties |= properties
        named = f"stack/{stack.notebook}/{product_id}"
        self.platform.stacks[stack.id] = {
            "status": "CREATE_IN_PROGRESS",
            "physical_ids": (),
            "parameters": {"NotebookInstanceName": stack.notebook, "DataRetention": retention},
            "outputs": {
                "NotebookInstanceName": stack.notebook,
                "S3BucketName": BUCKET,
                "SagemakerKMSKey": self.platform.account.key_arn,
            },
            "tags": {
                "aws:servicecatalog:provisioningPrincipalArn": LAUNCHER,
                "aws:servicecatalog:provisionedProductArn": (
                    f"arn:aws:servicecatalog:{REGION}:{ACCOUNT}:{named}"
                ),
            },
        }
        return stack

    def without_launch(self, status: str = "CREATE_COMPLETE") -> Stack:
        """Return a stack in this status whose launch is gone."""
        stack = self.launched(ExpiresAfterDays="2")
        self.platform.stacks[stack.id] |= {"status": status, "physical_ids": [stack.notebook]}
        self.offer.terminate(provisioned_product_of(stack.id), RetainPhysicalResources=True)
        self.world.let_run()
        return stack

    def refused_launch(self, name: str, reason: str, caller: Person = ALICE) -> str:
        """Launch with a CloudFormation error before there is a stack; return the launch's ID."""
        self.world.now = self.platform.clock.now
        self.world.stacks.refusal = ServiceError("ValidationError", reason)
        launch = self.offer.launch(name, caller)["ProvisionedProductId"]
        self.world.let_run()
        self.world.stacks.refusal = None
        return str(launch)

    def refused_update(self, launch: str, reason: str) -> None:
        """Update a launch with a CloudFormation error before the update begins."""
        self.world.now = self.platform.clock.now
        self.world.stacks.refusal = ServiceError("ValidationError", reason)
        self.offer.update(launch, UpdateToken="refused")
        self.world.let_run()
        self.world.stacks.refusal = None

    def rolled_back_launch(self, name: str, notebook: str, reason: str) -> str:
        """Launch a stack that rolls back because of another resource; return the launch's ID."""
        self.world.now = self.platform.clock.now
        launch = str(self.offer.launch(name)["ProvisionedProductId"])
        self.world.let_run(StackState("ROLLBACK_COMPLETE", failure=reason))
        stack_id = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/SC-{ACCOUNT}-{launch}/1"
        self.platform.stacks[stack_id] = {
            "status": "ROLLBACK_COMPLETE",
            "physical_ids": (),
            "parameters": {"NotebookInstanceName": notebook},
        }
        return launch

    def _answer(self, service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        self.called.append(f"{service}:{operation}")
        if code := self.refused.get(operation):
            raise refusal(
                operation, code, f"alice is not authorized to perform: {service}:{operation}"
            )
        match service, operation:
            case "sts", "GetCallerIdentity":
                return {"Account": ACCOUNT}
            case "cloudformation", "DescribeStacks" if params.get("StackName") == STACK:
                return {"Stacks": [self._stack()]}
            case "cloudformation", "DescribeStacks" if not params.get(
                "StackName", "arn:"
            ).startswith("arn:"):
                raise refusal(operation, "ValidationError", "Stack with id x does not exist")
            case "cloudformation", "DeleteStack":
                self.deleted.append(params["StackName"])
                self.platform.stacks[params["StackName"]]["status"] = self.deletion_ends
                return {}
            case "lambda", "Invoke":
                return self._invoke(params["FunctionName"], json.loads(params["Payload"]))
        return call()

    def _invoke(self, name: str, event: Any) -> Mapping[str, Any]:
        try:
            returned, fault = self.functions[name](event), {}
        except Exception as error:  # Lambda reports any error in this form
            returned = {"errorType": type(error).__name__, "errorMessage": str(error)}
            fault = {"FunctionError": "Unhandled"}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(returned).encode()), **fault}

    def _stack(self) -> dict[str, Any]:
        outputs = {
            "LedgerTable": "ledger",
            "DriftTable": "drift",
            "ProductId": self.offer.product_id,
            "StateMachineArn": self.platform.account.machine_arn,
            "VpcId": self.platform.account.vpc,
            **{name: name for name in self.functions},
        }
        listed = [{"OutputKey": k, "OutputValue": v} for k, v in outputs.items()]
        limits = {
            "AllowedInstanceTypes": os.environ["ALLOWED_INSTANCE_TYPES"],
            "MaxVolumeSizeInGB": os.environ["MAX_VOLUME_SIZE_IN_GB"],
            "AllowedPlatformIdentifiers": os.environ["ALLOWED_PLATFORM_IDENTIFIERS"],
            "AllowRootAccess": os.environ["ROOT_ACCESS_ALLOWED"],
        }
        return {
            "StackName": STACK,
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": listed,
            "Parameters": [
                {"ParameterKey": k, "ParameterValue": v}
                for k, v in {**limits, **self.parameters}.items()
            ],
        }


def refusal(operation: str, code: str, message: str = "no") -> ClientError:
    """Return an error that AWS answers with."""
    response: Any = {"Error": {"Code": code, "Message": message}}
    return ClientError(response, operation)


@contextmanager
def an_operator(platform: Platform, patch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """Yield an operator of a platform."""
    world = World()
    # What a command waits for continues while it sleeps. Other threads use the real time.sleep.
    goes_on = SimpleNamespace(sleep=lambda _seconds: world.let_run("DELETE_COMPLETE"))
    patch.setattr("vending.launches.time", goes_on)
    functions = {
        "DeleteOrphansFunction": lambda event: delete_orphans.handler(event, context()),
        "ReportDriftFunction": lambda event: report_drift.handler(event, context(left=600_000)),
        "RespondFunction": lambda event: respond.handler(event, context()),
    }
    yield Operator(platform, world, an_offer(world), functions)
