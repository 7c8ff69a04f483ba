"""A launch's notebook that runs cells with a SageMaker SDK, and the policies for their calls.

The product's start script writes the files and the environment. The policies are the launch's own
(those of the role, its boundary, the key and the bucket) and those of the endpoints.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from permissions_proof.iam_requests import Call, Question, Where, questions
from tests.scan import iam_engine
from tests.unit.product_launch import ACCOUNT, BUCKET, PLACED_IN, POLICIES, Launch
from tests.unit.stack_template import Stack, load

ROOT = Path(__file__).parents[2]
PLAIN = Launch()
VPC = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
S3_ENDPOINT = "<import NotebookVending-S3EndpointId>"
# The boundary allows roles with this path, which the product gives to every role.
_SAMPLE = str(PLAIN.properties("Notebook")["RoleArn"])
ROLE = _SAMPLE.replace(":role/n/", ":role/notebook-vending/")
KEY = str(PLAIN.properties("Notebook")["KmsKeyId"])
_ENDPOINTS = {
    "ecr": "EcrApiInterfaceEndpoint",
    "kms": "KmsInterfaceEndpoint",
    "logs": "LogsInterfaceEndpoint",
    "s3": "S3GatewayEndpoint",
    "sagemaker": "SageMakerApiInterfaceEndpoint",
    "sts": "StsInterfaceEndpoint",
}
# The engine's decisions that differ from AWS's. SETTLED in tests/scan/iam_requests.py has a request
# and the source for each.
_SETTLED = {("sagemaker:CreateModelPackage", "model-package-group")}


class Cell(NamedTuple):
    """Code to run, with a name for its outcome."""

    name: str
    source: str


@dataclass
class Outcome:
    """The outcome of a cell: its duration, its calls, the denied ones, and its error.

    `far` are the hosts outside the network that it tried to reach.
    """

    seconds: float = 0
    calls: list[Call] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    far: list[str] = field(default_factory=list)
    error: str = ""
    text: str = ""


class Judge:
    """Decides calls by the policies of a launch, with the engine."""

    def __init__(self, launch: Launch = PLAIN) -> None:
        """Render the policies."""
        self.ask: iam_engine.Ask = iam_engine.simulate
        network = Stack(load(ROOT / "stacks" / "network.yaml"))
        images = {"ImageAccounts": network.outputs()["ImageAccounts"]}
        platform = Stack(POLICIES, PLACED_IN | images)
        identity = [launch.properties("ExecutionRolePolicy")["PolicyDocument"]]
        made = platform.resources("AWS::IAM::ManagedPolicy")
        for name in ("JobsPolicy", "ProjectPolicy"):
            identity.append(made[name]["Properties"]["PolicyDocument"])
        documents: dict[str, Any] = {f"identity {n}": each for n, each in enumerate(identity)}
        documents["boundary"] = made["ExecutionRoleBoundary"]["Properties"]["PolicyDocument"]
        documents["key"] = launch.properties("ProjectKey")["KeyPolicy"]
        documents["bucket"] = launch.properties("BucketPolicy")["PolicyDocument"]
        for name, endpoint in network.resources("AWS::EC2::VPCEndpoint").items():
            documents[name] = endpoint["Properties"]["PolicyDocument"]
        text = json.dumps(documents).replace(_SAMPLE, ROLE)
        role = rf"arn:aws:iam::{ACCOUNT}:role/\1"
        self.documents = json.loads(re.sub(r"<import NotebookVending-(\w+)Arn>", role, text))
        self.where = Where(ACCOUNT, launch.region, KEY)
        notebook = f"arn:aws:sagemaker:{launch.region}:{ACCOUNT}:notebook-instance/its-name"
        self.tags: dict[str, Mapping[str, str]] = {
            notebook: {"notebook-vending:stack-id": launch.stack_id}
        }
        self._role_tags = {
            f"aws:PrincipalTag/{tag['Key']}": tag["Value"]
            for tag in launch.properties("ExecutionRole")["Tags"]
        }

    def denied(self, call: Call) -> list[str]:
        """Return what a call is denied, in AWS's words; remember the tags of what it creates."""
        asked = [each for each in questions(call, self.where) if not _is_settled(each)]
        known = call.action in {each.action for each in asked}
        assert known, f"nothing is known of what {call.operation} asks IAM"
        decisions = self.ask(self.documents, map(self._question, asked))
        for question, decision in zip(asked, decisions, strict=True):
            assert decision.errors is None, (question, decision.errors)
        refused = [
            question
            for question, decision in zip(asked, decisions, strict=True)
            if decision.result != "Allowed"
        ]
        if not refused and call.operation.startswith("Create") and call.params.get("Tags"):
            tags = {tag["Key"]: tag["Value"] for tag in call.params["Tags"]}
            self.tags[asked[0].resource] = tags
        return list(dict.fromkeys(f"{each.action} on {each.resource}" for each in refused))

    def _question(self, question: Question) -> dict[str, Any]:
        service = question.action.partition(":")[0]
        via = "kms:ViaService" in question.keys
        # The account is the fifth part of an ARN. A bucket has none, and belongs to this account.
        parts = question.resource.split(":")
        owner = parts[4] if len(parts) > 4 and parts[4] else ACCOUNT
        if service == "s3" and question.resource.partition("/")[0] != f"arn:aws:s3:::{BUCKET}":
            owner = "999999999999"
        context: dict[str, Any] = {
            "aws:PrincipalAccount": ACCOUNT,
            "aws:PrincipalArn": ROLE,
            "aws:PrincipalIsAWSService": "false",
            "aws:ResourceAccount": owner,
            "aws:SecureTransport": "true",
            "aws:ViaAWSService": str(via).lower(),
            **self._role_tags,
            **question.keys,
        }
        for key, value in self.tags.get(question.resource, {}).items():
            context[f"aws:ResourceTag/{key}"] = value
        if service == "s3":
            context |= {"s3:TlsVersion": "1.3", "aws:SourceVpce": S3_ENDPOINT}
        endpoint = None if via else _ENDPOINTS.get(service)
        if question.action.startswith("sagemaker:InvokeEndpoint"):
            endpoint = "SageMakerRuntimeInterfaceEndpoint"
        if question.action in ("sagemaker:AddTags", "kms:Encrypt"):
            endpoint = None  # SageMaker calls, not the notebook
        owned = {KEY: "key", f"arn:aws:s3:::{BUCKET}": "bucket"}
        return {
            "principal": f"arn:aws:sts::{ACCOUNT}:assumed-role/stack-role-1/SageMaker",
            "action": question.action,
            "resource": question.resource,
            "account": ACCOUNT,
            "context": context,
            "identity": [name for name in self.documents if name.startswith("identity ")],
            # A bucket's policy applies to its objects too.
            "resourcePolicy": owned.get(
                question.resource.partition("/")[0] if service == "s3" else question.resource
            ),
            "boundaries": ["boundary"],
            "endpoints": [endpoint] if endpoint else [],
        }


def _is_settled(question: Question) -> bool:
    return any(
        question.action == action and f":{kind}/" in question.resource for action, kind in _SETTLED
    )


@dataclass
class Notebook:
    """The machine of a launch's notebook, in a folder."""

    folder: Path
    sdk: int

    def __post_init__(self) -> None:
        """Run the start script, as SageMaker does."""
        (self.folder / "bin").mkdir()
        (self.folder / "etc").mkdir()
        (self.folder / "home").mkdir()
        (self.folder / "metadata.json").write_text('{"ResourceName": "its-name"}')
        aws = self.folder / "bin" / "aws"
        aws.write_text(f"#!/bin/bash\necho '{json.dumps(VPC)}'\n")
        aws.chmod(0o755)
        text = PLAIN.script("OnStart")
        for there, here in {
            _SAMPLE: ROLE,
            "/opt/ml/metadata/resource-metadata.json": f"{self.folder}/metadata.json",
            "/home/ec2-user": f"{self.folder}/home",
            "/etc/": f"{self.folder}/etc/",
            "/var/log/": f"{self.folder}/",
        }.items():
            text = text.replace(there, here)
        path = {"PATH": f"{self.folder}/bin:/usr/bin:/bin"}
        subprocess.run(["/bin/bash", "-c", text], env=path, check=True, timeout=30)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program in a terminal, with the variables of the start script."""
        given = {
            "HOME": str(self.folder / "home"),
            "XDG_CONFIG_DIRS": str(self.folder / "etc" / "xdg"),
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "PATH": os.environ["PATH"],
        }
        profile = (
            f"for each in {self.folder}/etc/profile.d/*.sh; do [ ! -e $each ] || . $each; done"
        )
        printed = subprocess.run(
            ["/bin/bash", "-c", f"{profile}; env -0"],
            env=given,
            check=True,
            capture_output=True,
            text=True,
        )
        return dict(each.split("=", 1) for each in printed.stdout.split("\0") if each)

    def run(
        self,
        cells: Sequence[Cell],
        judge: Judge,
        seconds: int = 60,
        *,
        pauses: bool = False,
        silent: Sequence[str] = (),
    ) -> dict[str, Outcome]:
        """Run cells in order; return their outcomes by name.

        `seconds` is the limit of each cell. Without pauses, a sleep, such as that between two polls
        of a job, takes no time. The network has no endpoint for the services in `silent`.
        """
        ours = [os.pipe() for _ in range(2)]
        (from_it, its_requests), (its_verdicts, to_it) = ours
        python = ROOT / f".sdk{self.sdk}-venv" / "bin" / "python"
        (self.folder / "work").mkdir(exist_ok=True)
        with (self.folder / "output").open("a") as output:
            started = subprocess.Popen(
                [python, ROOT / "tests/sdk/recorder.py", str(its_requests), str(its_verdicts)],
                env=self.environment,
                cwd=self.folder / "work",
                pass_fds=[its_requests, its_verdicts],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        os.close(its_requests)
        os.close(its_verdicts)
        with (
            os.fdopen(from_it) as received,
            os.fdopen(to_it, "w") as sent_to,
            iam_engine.engine() as judge.ask,
        ):
            sent = [
                {"name": name, "source": source.replace("/etc/", f"{self.folder}/etc/")}
                for name, source in cells
            ]
            task = {
                "cells": sent,
                "folder": str(self.folder),
                "pauses": pauses,
                "seconds": seconds,
                "silent": silent,
            }
            print(json.dumps(task), file=sent_to, flush=True)
            outcomes = dict(self._outcomes(received, sent_to, judge))
        assert started.wait(30) == 0, (self.folder / "output").read_text()
        return outcomes

    def _outcomes(self, received: Any, sent_to: Any, judge: Judge) -> Iterator[tuple[str, Outcome]]:
        now = Outcome()
        for line in received:
            said = json.loads(line)
            if "call" in said:
                call = Call(*said["call"])
                now.calls.append(call)
                denied = judge.denied(call)
                now.denied += denied
                print(json.dumps(_worded(denied[0]) if denied else None), file=sent_to, flush=True)
            else:
                now.seconds, now.error, now.text = said["seconds"], said["error"], said["text"]
                now.far = said["far"]
                yield said["cell"], now
                now = Outcome()


def _worded(denied: str) -> tuple[str, str]:
    action, _, resource = denied.partition(" on ")
    code = "AccessDenied" if action.startswith("s3:") else "AccessDeniedException"
    caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/stack-role-1/SageMaker"
    return code, f"User: {caller} is not authorized to perform: {action} on resource: {resource}"
