"""Deploys as `sam deploy` does, from a package that SAM makes once for each build.

The SAM CLI packages the same files for each deployment, which takes longer than the deployment. The
tests of `make launch`, `make rehearse` and the pages deploy with the SAM CLI itself.
"""

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from demo import deploy
from embedded_aws.emulator import Emulator
from tests.waiting import await_that, unique

_BUCKET = "samcli-artifacts"
_TEMPLATE = "template.yaml"
_CAPABILITIES = ["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]


def deploy_package(
    aws: Emulator,
    template: Path,
    parameters: Mapping[str, str | int],
    stack: str = deploy.STACK,
    bucket: str = _BUCKET,
) -> dict[str, str]:
    """Deploy a built template; return the stack's outputs. Raises SamError as `deploy` does.

    Another account takes another bucket, because all accounts share the names of buckets.
    """
    client = aws.client("cloudformation")
    aws.client("s3").create_bucket(Bucket=bucket)
    for each in _package(template).iterdir():
        body = each.read_bytes()
        if each.suffix in (".template", ".yaml"):
            body = body.replace(_BUCKET.encode(), bucket.encode())
        aws.client("s3").put_object(Bucket=bucket, Key=each.name, Body=body)
    before = _described(aws, stack)
    known = {each["ParameterKey"] for each in before.get("Parameters", [])} - {*parameters}
    name = unique("change")
    client.create_change_set(
        StackName=stack,
        ChangeSetName=name,
        ChangeSetType="UPDATE" if before else "CREATE",
        TemplateURL=f"https://s3.us-east-1.amazonaws.com/{bucket}/{_TEMPLATE}",
        Parameters=[
            *({"ParameterKey": k, "ParameterValue": str(v)} for k, v in parameters.items()),
            *({"ParameterKey": each, "UsePreviousValue": True} for each in known),
        ],
        Capabilities=_CAPABILITIES,
    )
    change = await_that(lambda: _ended(client.describe_change_set, name, stack))
    if change["Status"] == "CREATE_COMPLETE":
        client.execute_change_set(ChangeSetName=name, StackName=stack)
    elif "changes" not in change["StatusReason"]:
        raise deploy.SamError(change["StatusReason"])
    made = await_that(lambda: _settled(aws, stack), 240)
    if made["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise deploy.SamError(f"{stack} is {made['StackStatus']}")
    return {each["OutputKey"]: each["OutputValue"] for each in made.get("Outputs", [])}


def _package(template: Path) -> Path:
    """Return a folder with the packaged template and its artifacts, named as in the bucket."""
    home = template.parent.parent
    kept = home / "package"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=home) as temporary:
            made = Path(temporary, "package")
            made.mkdir()
            with Emulator(Path(temporary, "aws")) as aws:
                s3 = aws.client("s3")
                s3.create_bucket(Bucket=_BUCKET)
                deploy.package(template, made / _TEMPLATE, _BUCKET, aws.child_environment)
                for each in s3.list_objects_v2(Bucket=_BUCKET)["Contents"]:
                    s3.download_file(_BUCKET, each["Key"], str(made / each["Key"]))
            with contextlib.suppress(OSError):  # another process has just made the same
                made.rename(kept)
    return kept


def _described(aws: Emulator, stack: str) -> dict[str, Any]:
    """Return a stack; {} if there is none."""
    try:
        (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError:
        return {}
    return dict(found)


def _ended(describe: Any, name: str, stack: str) -> dict[str, Any]:
    change: dict[str, Any] = describe(ChangeSetName=name, StackName=stack)
    return change if change["Status"] in ("CREATE_COMPLETE", "FAILED") else {}


def _settled(aws: Emulator, stack: str) -> dict[str, Any]:
    found = _described(aws, stack)
    return {} if found["StackStatus"].endswith("_IN_PROGRESS") else found
