"""Create and invoke small Lambda functions for the tests of the embedded AWS."""

import io
import json
import zipfile
from typing import Any, TypeVar

from aws_testing.waiting import await_that, unique
from embedded_aws.emulator import Emulator

T = TypeVar("T")


def zipped(**files: str) -> bytes:
    """Return an archive of Python modules, given by name without `.py`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for name, text in files.items():
            # ZipInfo has a fixed date, so the same code always gives the same archive.
            writer.writestr(zipfile.ZipInfo(f"{name}.py"), text)
    return archive.getvalue()


def role(aws: Emulator, service: str, *statements: dict[str, Any]) -> str:
    """Create a role that `service` may assume, with these statements, and return its ARN."""
    iam, name = aws.client("iam"), unique("role")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    return str(made["Role"]["Arn"])


def function(
    aws: Emulator, source: str, *statements: dict[str, Any], **settings: Any
) -> dict[str, Any]:
    """Create a function from the source of a module with a `handler`; return its configuration."""
    client, name = aws.client("lambda"), unique("function")
    made: dict[str, Any] = client.create_function(
        **{
            "FunctionName": name,
            "Runtime": "python3.13",
            "Handler": "module.handler",
            "Role": role(aws, "lambda", *statements),
            "Code": {"ZipFile": zipped(module=source)},
            "Timeout": 20,
            **settings,
        }
    )
    await_that(lambda: _state(client, name) == "Active")
    return made


def _state(client: Any, name: str) -> str:
    return str(client.get_function_configuration(FunctionName=name)["State"])


def invoke(aws: Emulator, name: str, event: Any = None) -> tuple[Any, str | None]:
    """Invoke a function and return its payload and FunctionError (None after a success)."""
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return json.load(answer["Payload"]), answer.get("FunctionError")
