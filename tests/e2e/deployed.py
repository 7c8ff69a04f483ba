"""The platform deployed on the embedded AWS, and how the tests use and inspect it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from demo import deploy, end_user
from demo.end_user import EndUser, Record
from embedded_aws.emulator import Emulator
from tests.e2e.deploying import deploy_package
from tests.waiting import await_that

T = TypeVar("T")

# Real seconds: long enough to be seen in each status, short enough to wait for.
NOTEBOOKS: Mapping[str, Any] = {
    "timing": {
        "pending": 1,
        "starting": 0.5,
        "stopping": 0.5,
        "updating": 0.5,
        "deleting": 0.5,
        "network_interface_lingers": 0.5,
    },
    "role_propagation": 1,
}
# Makes a function's process start. It has a response URL, so that no log reports a missing one.
_NO_REQUEST = '{"ResponseURL": "none"}'
WAIT_SCALE = 0.25  # a state machine's second takes 250 ms
QUICK: Mapping[str, str | int] = {
    "FirstWaitSeconds": 1,
    "WaitSeconds": 1,
    "Architecture": "x86_64",
    "ProjectIDs": "QuickStart007,Churn_42",
    # Less than the product offers, so that the platform has something to refuse.
    "MaxVolumeSizeInGB": 512,
    # The schedule exists, and never runs during the tests.
    "OffHoursCron": "cron(0 0 1 1 ? 2099)",
    "OnHoursCron": "cron(0 0 1 1 ? 2099)",
}


def together(*calls: Callable[[], T]) -> list[T]:
    """Run the calls concurrently; return their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


@dataclass(frozen=True)
class Platform:
    """A deployment and an end user of it."""

    aws: Emulator
    template: Path
    outputs: Mapping[str, str]
    user: EndUser

    @property
    def subnet_id(self) -> str:
        """The subnet of the product's default, which is the first one."""
        return self.outputs["SubnetIds"].split(",")[0]

    # --- what an end user does --------------------------------------------------------------

    def launch(self, notebook: str, **parameters: str) -> Record:
        """Launch the product and wait for the end. DataRetention is Delete unless given."""
        return self.user.wait(self.begin(notebook, **parameters))

    def begin(self, notebook: str, **parameters: str) -> str:
        """Launch the product; return the record ID."""
        asked = {"NotebookInstanceName": notebook, "DataRetention": "Delete", **parameters}
        return self.user.launch(notebook, asked)

    def update(self, launched: Record, **parameters: str) -> Record:
        """Update a launch and wait for the end.

        Begins in a new second: the time in a response URL has a resolution of a second, and on AWS
        no two operations on a stack fit into one.
        """
        now = int(time.time())
        await_that(lambda: int(time.time()) > now)
        return self.user.wait(self.user.update(launched.provisioned_product_id, parameters))

    def terminate(self, launched: Record) -> Record:
        """Terminate a launch and wait for the end."""
        return self.user.wait(self.user.terminate(launched.provisioned_product_id))

    # --- what an administrator sees ---------------------------------------------------------

    def stack(self, provisioned_product_id: str) -> dict[str, Any]:
        """Return the stack of a provisioned product, even a deleted one."""
        cloudformation = self.aws.client("cloudformation")
        pages = cloudformation.get_paginator("list_stacks").paginate()
        found = [
            each
            for page in pages
            for each in page["StackSummaries"]
            if each["StackName"].endswith(f"-{provisioned_product_id}")
        ]
        assert len(found) == 1, found
        described: dict[str, Any] = cloudformation.describe_stacks(StackName=found[0]["StackId"])[
            "Stacks"
        ][0]
        return described

    def stack_id_of(self, notebook: str) -> str:
        """Return the ID of the stack that requests a notebook, or "" before it exists."""
        given = {"ParameterKey": "NotebookInstanceName", "ParameterValue": notebook}
        for each in self.aws.client("cloudformation").describe_stacks()["Stacks"]:
            if given in each.get("Parameters", []):
                return str(each["StackId"])
        return ""

    def ledger(self, stack_id: str, request_id: str) -> dict[str, Any]:
        """Return a request's item in the ledger, the response URL included."""
        items = self.aws.client("dynamodb").query(
            TableName=self.outputs["LedgerTable"],
            KeyConditionExpression="#resource = :resource",
            ExpressionAttributeNames={"#resource": "Resource"},
            ExpressionAttributeValues={":resource": {"S": f"{stack_id}|Notebook"}},
        )["Items"]
        return next(dict(each) for each in items if each["Request"]["S"].endswith(request_id))

    def notebook(self, name: str) -> dict[str, Any] | None:
        """Return the result of DescribeNotebookInstance, or None."""
        try:
            seen: dict[str, Any] = self.aws.client("sagemaker").describe_notebook_instance(
                NotebookInstanceName=name
            )
        except ClientError as error:
            if "RecordNotFound" not in str(error):
                raise
            return None
        return seen

    def simulated(self, name: str) -> dict[str, Any]:
        """Return the simulator's internal state of a notebook, such as its volume."""
        notebooks = self.aws.control("sagemaker")["notebooks"]
        return next(dict(each) for each in notebooks if each["name"] == name)

    def calls(self, operation: str) -> int:
        """Return the number of calls of a notebook operation so far."""
        return int(self.aws.control("sagemaker")["calls"].get(operation, 0))

    def requests(self, stack_id: str, logical_id: str = "Notebook") -> list[dict[str, Any]]:
        """Return CloudFormation's requests for a resource, oldest first, with their answers."""
        return [
            each
            for each in self.aws.control("cloudformation")["requests"]
            if (each["StackId"], each["LogicalResourceId"]) == (stack_id, logical_id)
        ]

    def executions(self, request_id: str) -> list[dict[str, Any]]:
        """Return the executions that serve a request."""
        client = self.aws.client("stepfunctions")
        pages = client.get_paginator("list_executions").paginate(
            stateMachineArn=self.outputs["StateMachineArn"]
        )
        return [each for page in pages for each in page["executions"] if request_id in each["name"]]

    def history(self, request_id: str) -> list[dict[str, Any]]:
        """Return the events of a request's only execution; none before it starts."""
        found = self.executions(request_id)
        if not found:
            return []
        assert len(found) == 1, found
        client = self.aws.client("stepfunctions")
        pages = client.get_paginator("get_execution_history").paginate(
            executionArn=found[0]["executionArn"]
        )
        return [event for page in pages for event in page["events"]]

    def leftovers(self, stack: Mapping[str, Any]) -> list[str]:
        """Return the kinds of a launch's remaining resources."""
        return [kind for kind, there in self._what_is_there(stack).items() if there]

    def _what_is_there(self, stack: Mapping[str, Any]) -> dict[str, Any]:
        client, name, stack_id = self.aws.client, stack["StackName"], stack["StackId"]
        given = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
        of_notebook = given["NotebookInstanceName"]
        simulated = self.aws.control("sagemaker")["notebooks"]
        roles = client("iam").list_roles(PathPrefix="/notebook-vending/")["Roles"]
        buckets = client("s3").list_buckets()["Buckets"]
        aliases = client("kms").list_aliases()["Aliases"]
        interfaces = client("ec2").describe_network_interfaces()["NetworkInterfaces"]
        configs = client("sagemaker").list_notebook_instance_lifecycle_configs(
            NameContains=stack_id.rpartition("/")[2]
        )["NotebookInstanceLifecycleConfigs"]
        status = client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"][0]
        keys = self._keys(stack_id)
        return {
            "stack": status["StackStatus"] != "DELETE_COMPLETE",
            "notebook": [
                each
                for each in simulated
                if each["tags"].get("notebook-vending:stack-id") == stack_id
            ],
            "network interface": [i for i in interfaces if of_notebook in i["Description"]],
            "grant": [
                grant
                for key in keys
                for grant in client("kms").list_grants(KeyId=key["KeyId"])["Grants"]
            ],
            "key": [key for key in keys if key["KeyState"] == "Enabled"],
            "alias": [a for a in aliases if a["AliasName"].endswith(f"/{name}")],
            "role": [role for role in roles if role["RoleName"].startswith(name)],
            "bucket": [b for b in buckets if b["Name"].startswith(name.lower())],
            "lifecycle configuration": configs,
        }

    def _keys(self, stack_id: str) -> list[dict[str, Any]]:
        kms, found = self.aws.client("kms"), []
        for page in kms.get_paginator("list_keys").paginate():
            for key in page["Keys"]:
                described = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
                tags = kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]
                ours = {"TagKey": "notebook-vending:stack-id", "TagValue": stack_id}
                if ours in tags:
                    found.append(described)
        return found

    # --- the platform's own parts -----------------------------------------------------------

    def physical_id(self, logical_id: str) -> str:
        """Return the physical ID of a resource of the platform."""
        return deploy.physical_id(self.aws, logical_id)

    def version(self, logical_id: str) -> str:
        """Return the version of a function that new launches use: the latest one, if any."""
        found = self.aws.client("lambda").list_versions_by_function(
            FunctionName=self.physical_id(logical_id)
        )["Versions"]
        return str(found[-1]["Version"])

    def as_function(self, logical_id: str, service: str) -> Any:
        """Return a client of `service` with the rights of a function's role."""
        return self.aws.client(service, self.session_of(logical_id))

    def session_of(self, logical_id: str) -> Mapping[str, str]:
        """Return credentials of a function's role.

        On AWS only Lambda may assume the role. The embedded AWS lets its administrator, too.
        """
        configuration = self.aws.client("lambda").get_function_configuration(
            FunctionName=self.physical_id(logical_id)
        )
        session: dict[str, Any] = self.aws.client("sts").assume_role(
            RoleArn=configuration["Role"], RoleSessionName="test"
        )
        return dict(session["Credentials"])

    def workers(self, logical_id: str = "") -> list[int]:
        """Return the process IDs of a function, or of all functions."""
        name = f"{self.physical_id(logical_id)}-" if logical_id else ""
        return [
            pid
            for pid, command in _processes(self.aws.pid)
            if f"/ministack-lambda-{name}" in command
        ]

    @contextmanager
    def frozen(self, logical_id: str) -> Iterator[list[int]]:
        """Hold a function's next invocation before its first instruction, within the block.

        Yields the process IDs held, one of which gets the invocation.
        """
        self.aws.client("lambda").invoke(
            FunctionName=self.physical_id(logical_id),
            Qualifier=self.version(logical_id),
            Payload=_NO_REQUEST,
        )
        held = self.workers(logical_id)
        assert held, f"{logical_id} has no process to hold"
        for pid in held:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield held
        finally:
            for pid in held:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @contextmanager
    def denied(self, function: str, action: str) -> Iterator[None]:
        """Deny a function's role an action within the block."""
        configuration = self.aws.client("lambda").get_function_configuration(
            FunctionName=self.physical_id(function)
        )
        role = configuration["Role"].rpartition("/")[2]
        statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
        iam = self.aws.client("iam")
        iam.put_role_policy(
            RoleName=role,
            PolicyName="Denied",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}),
        )
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=role, PolicyName="Denied")

    @contextmanager
    def faults(self, **settings: Any) -> Iterator[None]:
        """Change the simulator's settings through its control API, within the block."""
        self.aws.control("sagemaker", settings)
        try:
            yield
        finally:
            self.aws.control("sagemaker", {"reset": True, **NOTEBOOKS})


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment a process was started with."""
    text = Path(f"/proc/{pid}/environ").read_text()
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def _processes(group: int) -> Iterable[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.getpgid(int(entry.name)) == group:
                yield int(entry.name), (entry / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended


def deploy_platform(aws: Emulator, template: Path, **parameters: str | int) -> Platform:
    """Deploy the built template, as an administrator does, and sign in an end user."""
    outputs = deploy_package(aws, template, {**QUICK, **parameters})
    role = str(parameters.get("EndUserRoleName", "SCEndUserRole"))
    user = end_user.sign_in(aws, outputs["ProductId"], role)
    return Platform(aws, template, outputs, user)
