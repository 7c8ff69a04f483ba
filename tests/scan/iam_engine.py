"""Decide requests by the deployed policies with an IAM engine from outside this project.

The engine is iam-simulate from npm. It gets the policies of all templates as IAM would: those of
the role, and that of the key, the bucket, the queue or the topic.
"""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.scan.templates import ROOT, resources, templates

ACCOUNT = "111122223333"
REGION = "us-east-1"
Context = Mapping[str, str | list[str]]
Document = Mapping[str, Any]

# Policies depend on the names that CloudFormation gives to these.
BUCKET = f"arn:aws:s3:::sc-{ACCOUNT}-pp-1-projectbucket"
_NAMES = {
    "arn:aws:s3:::projectbucket": BUCKET,
    f"{ACCOUNT}:role/executionrole": f"{ACCOUNT}:role/notebook-vending/executionrole",
    **{
        f"role/NotebookVending{name}-{REGION}": f"role/{name.lower()}role"
        for name in ("Actions", "DataAdministrator", "Launch")
    },
}
# What differs in a launch for another project.
_OTHER_LAUNCH = {
    "-projectbucket": "-otherbucket",
    "key/projectkey": "key/otherkey",
    "notebook-vending/executionrole": "notebook-vending/otherrole",
    "QuickStart007": "Moon",
}


@dataclass(frozen=True)
class Request:
    """A principal's request, and whether it is allowed.

    `role` is the logical ID of a role in the templates, or the name of an AWS service. `endpoints`
    are the logical IDs of those that the request goes through. `boundary` takes the place of the
    role's permissions boundary. `further` is one more policy of the role. With `old_keys` SageMaker
    sends the deprecated condition keys of volumes and outputs. With `narrow` the conditions of the
    templates do not hold: there is no root access, no code bucket and no stop of idle notebooks.
    """

    role: str
    action: str
    resource: str
    allowed: bool
    why: str
    context: Context = field(default_factory=dict)
    endpoints: tuple[str, ...] = ()
    boundary: Document | None = None
    further: Document | None = None
    old_keys: bool = False
    narrow: bool = False

    def __str__(self) -> str:
        """Return it as the name of a test."""
        return f"{self.role} {self.action} {self.why}"


@dataclass(frozen=True)
class Decision:
    """What the engine returns for a request.

    `errors` says why it did not evaluate the request. `ignored` are the condition keys that it left
    out, as AWS's reference does not list them with the action and the resource.
    """

    result: str | None
    errors: Mapping[str, Any] | None
    ignored: list[str]


class Policies:
    """The policies of all templates, with all conditions or with none."""

    def __init__(self, *, conditions_hold: bool) -> None:
        """Render them."""
        self.documents: dict[str, Document] = {}
        self.of_roles: dict[str, list[str]] = {}
        self.tags_of_roles: dict[str, Context] = {}
        self._boundaries: dict[str, str] = {}
        self.of_resources: dict[str, str] = {}  # policy names by resource ARN
        for path in templates():
            text = json.dumps(resources(path, conditions_hold))
            for logical_id, resource in json.loads(_replaced(text, _NAMES)).items():
                self._take(logical_id, resource["Type"], resource.get("Properties", {}))
        launch = {
            arn: self.documents[policy]
            for arn, policy in self.of_resources.items()
            if arn == BUCKET or arn.endswith("/projectkey")
        }
        for arn, document in json.loads(_replaced(json.dumps(launch), _OTHER_LAUNCH)).items():
            self._of_resource(arn, document)

    def _take(self, logical_id: str, kind: str, properties: Mapping[str, Any]) -> None:
        match kind:
            case "AWS::IAM::Role":
                for each in properties.get("Policies", ()):
                    self._of_role(logical_id, each)
                self.of_roles.setdefault(logical_id.lower(), []).extend(
                    properties.get("ManagedPolicyArns", ())
                )
                self._boundaries[logical_id.lower()] = properties.get("PermissionsBoundary", "")
                self.tags_of_roles[logical_id.lower()] = {
                    f"aws:PrincipalTag/{tag['Key']}": tag["Value"]
                    for tag in properties.get("Tags", ())
                }
            case "AWS::IAM::Policy":
                for role in properties["Roles"]:
                    self._of_role(role, properties)
            case "AWS::IAM::ManagedPolicy":
                arn = f"arn:aws:iam::{ACCOUNT}:policy/{logical_id.lower()}"
                self.documents[arn] = properties["PolicyDocument"]
            case "AWS::EC2::VPCEndpoint":
                self.documents[logical_id] = properties["PolicyDocument"]
            case "AWS::KMS::Key":
                arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{logical_id.lower()}"
                self._of_resource(arn, properties["KeyPolicy"])
            case "AWS::S3::BucketPolicy" | "AWS::SQS::QueuePolicy" | "AWS::SNS::TopicPolicy":
                # Each statement applies to the resource that has the policy.
                named = properties["PolicyDocument"]["Statement"][0]["Resource"]
                arn = named if isinstance(named, str) else named[0]
                self._of_resource(arn, properties["PolicyDocument"])

    def _of_role(self, role: str, policy: Mapping[str, Any]) -> None:
        name = f"{role.lower()}/{policy['PolicyName']}"
        self.documents[name] = policy["PolicyDocument"]
        self.of_roles.setdefault(role.lower(), []).append(name)

    def _of_resource(self, arn: str, document: Document) -> None:
        self.documents[f"policy of {arn}"] = document
        self.of_resources[arn] = f"policy of {arn}"

    def but(self, documents: Mapping[str, Document]) -> "Policies":
        """Return the same policies with some replaced."""
        changed = copy.copy(self)
        changed.documents = {**self.documents, **documents}
        return changed

    def question(self, request: Request) -> dict[str, Any]:
        """Return a request in the engine's form, with the names of its policies."""
        is_service = "." in request.role
        role = request.role.lower()
        path = "notebook-vending/" if role == "executionrole" else ""
        common: Context = {
            "aws:PrincipalIsAWSService": str(is_service).lower(),
            "aws:RequestedRegion": REGION,
            "aws:ResourceAccount": ACCOUNT,
            "aws:SecureTransport": "true",
            "aws:ViaAWSService": "false",
        }
        if not is_service:
            common = {
                **common,
                "aws:PrincipalAccount": ACCOUNT,
                "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/{path}{role}",
                **self.tags_of_roles[role],
            }
        if request.action.startswith("s3:"):
            common = {**common, "s3:TlsVersion": "1.3"}
        # An organization's boundary is not among the templates.
        boundary = self._boundaries.get(role, "")
        # A bucket's policy applies to its objects too.
        owner = request.resource.split("/")[0] if ":s3:::" in request.resource else request.resource
        return {
            "principal": request.role
            if is_service
            else f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session",
            "action": request.action,
            "resource": request.resource,
            "account": ACCOUNT,
            "context": {**common, **request.context},
            "identity": [] if is_service else self.of_roles[role],
            "resourcePolicy": self.of_resources.get(owner),
            "boundaries": [boundary] if boundary in self.documents else [],
            "endpoints": request.endpoints,
        }


def _replaced(text: str, names: Mapping[str, str]) -> str:
    for name, other in names.items():
        text = text.replace(name, other)
    return text


def _with_swapped_keys(document: Document) -> Document:
    """Return a policy in which SageMaker's former and new key names are swapped.

    The engine drops a key that the reference does not list with an action, such as a former one.
    A request with a new key against the swapped policy is decided like one with the former key.
    """
    swapped: Document = json.loads(
        re.sub(
            r"(sagemaker:\w+KmsKey)(Arn)?\b",
            lambda found: found[1] if found[2] else f"{found[1]}Arn",
            json.dumps(document),
        )
    )
    return swapped


def decide(requests: Iterable[Request], policies: Policies) -> list[Decision]:
    """Return the engine's decision on each request."""
    documents, questions = dict(policies.documents), []
    for number, request in enumerate(requests):
        question = policies.question(request)
        if request.boundary:
            documents[f"boundary {number}"] = request.boundary
            question["boundaries"] = [f"boundary {number}"]
        if request.further:
            documents[f"further {number}"] = request.further
            question["identity"] = [*question["identity"], f"further {number}"]
        if request.old_keys:
            for name in question["identity"]:
                documents[f"{name} swapped"] = _with_swapped_keys(documents[name])
            question["identity"] = [f"{name} swapped" for name in question["identity"]]
        questions.append(question)
    return simulate(documents, questions)


Documents = Mapping[str, Document]
Questions = Iterable[Mapping[str, Any]]
Ask = Callable[[Documents, Questions], list[Decision]]


def simulate(documents: Documents, questions: Questions) -> list[Decision]:
    """Return the engine's decision on each question, which names its policies."""
    with engine() as ask:
        return ask(documents, questions)


@contextmanager
def engine() -> Iterator[Ask]:
    """Start the engine; yield a function that sends questions to it."""
    with subprocess.Popen(
        [Path(sys.executable).parent / "node", ROOT / "tools" / "iam_simulate.mjs"],
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        asked, decided = running.stdin, running.stdout
        assert asked
        assert decided

        def ask(documents: Documents, questions: Questions) -> list[Decision]:
            sent = {"policies": documents, "requests": list(questions)}
            print(json.dumps(sent), file=asked, flush=True)
            line = decided.readline()
            assert line, "the engine has ended; its error output says why"
            return [Decision(**each) for each in json.loads(line)]

        yield ask
