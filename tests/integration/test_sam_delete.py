"""`sam delete` of a stack with a nested one, on the embedded AWS."""

import json
import subprocess
from pathlib import Path

from aws_testing.nested_stacks import S3, VPC, Nest
from aws_testing.waiting import await_that, unique
from demo.deploy import ROOT
from embedded_aws.emulator import Emulator

SAM = ROOT / ".sam-venv" / "bin" / "sam"


def test_sam_delete_removes_its_uploads_before_the_stack(
    emulator: Emulator, tmp_path: Path
) -> None:
    nest, user = Nest(emulator), unique("user")
    export = {"Name": {"Fn::Sub": "${AWS::StackName}-id"}}
    output = {"Value": {"Ref": "Child"}, "Export": export}
    template = json.loads(nest.parent({"Resources": {"Vpc": VPC}})) | {"Outputs": {"Id": output}}
    # `sam deploy` writes the address of its S3 endpoint.
    nested = template["Resources"]["Child"]["Properties"]
    endpoint = emulator.environment["AWS_ENDPOINT_URL"]
    nested["TemplateURL"] = nested["TemplateURL"].replace(S3, endpoint)
    cloudformation = nest.cloudformation
    made = cloudformation.create_stack(StackName=nest.name, TemplateBody=json.dumps(template))
    nest.stack_id = made["StackId"]
    assert nest.ended() == "CREATE_COMPLETE"
    imported = {"Value": {"Fn::ImportValue": f"{nest.name}-id"}}
    using = {"Resources": {"Vpc": VPC}, "Outputs": {"Id": imported}}
    cloudformation.create_stack(StackName=user, TemplateBody=json.dumps(using))
    await_that(lambda: nest.described(user)["StackStatus"] == "CREATE_COMPLETE")

    refused = _sam_delete(emulator, nest.name, tmp_path)

    assert refused.returncode != 0
    assert f"Export {nest.name}-id" in refused.stderr
    assert nest.described(nest.stack_id)["StackStatus"] == "CREATE_COMPLETE"
    assert emulator.client("s3").list_objects_v2(Bucket=nest.bucket)["KeyCount"] == 0

    cloudformation.delete_stack(StackName=user)
    deleted = _sam_delete(emulator, nest.name, tmp_path)

    assert deleted.returncode == 0, deleted.stderr
    assert nest.ended() == "DELETE_COMPLETE"


def _sam_delete(aws: Emulator, stack: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SAM), "delete", "--no-prompts", "--stack-name", stack, "--region", "us-east-1"],
        cwd=directory,
        env={**aws.child_environment, "SAM_CLI_TELEMETRY": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
