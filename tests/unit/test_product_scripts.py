"""The product's scripts for notebooks run for real, with stand-ins for AWS."""

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from tests.unit.product_launch import ACCOUNT, BUCKET, PLAIN, WITH_CODE, Launch
from tests.unit.stack_template import Stack, load

ROOT = Path(__file__).parents[2]
SECONDS = 30  # for steps that take no time


@pytest.mark.parametrize(("launch", "hook"), [(PLAIN, "OnStart"), (WITH_CODE, "OnCreate")])
def test_scripts_have_valid_syntax_and_fit_the_limit(
    launch: Launch, hook: str, tmp_path: Path
) -> None:
    (content,) = launch.properties("LifecycleConfig")[hook]
    sagemaker = botocore.session.get_session().get_service_model("sagemaker")
    limit = sagemaker.shape_for("NotebookInstanceLifecycleConfigContent").metadata["max"]
    assert len(content["Content"]) <= limit

    path = tmp_path / "script"
    path.write_text(launch.script(hook))
    checked = subprocess.run([_bash(), "-n", path], check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_start_script_with_the_longest_names_fits_the_limit() -> None:
    longest = {"IdleMinutes": "10080", "ProjectID": "p" * 64}
    script = Launch(longest, partition="aws-us-gov", region="ap-southeast-1").script("OnStart")
    names = {
        BUCKET: "b" * 63,
        "key/k1": f"key/{'k' * 36}",
        "role/n/stack-role-1": f"role/notebook-vending/{'r' * 64}",
    }
    for name, long in names.items():
        assert name in script
        script = script.replace(name, long)
    sagemaker = botocore.session.get_session().get_service_model("sagemaker")
    limit = sagemaker.shape_for("NotebookInstanceLifecycleConfigContent").metadata["max"]

    assert len(base64.b64encode(script.encode())) <= limit


@dataclass
class Machine:
    """A notebook's machine has its user's home, and stand-ins for missing programs.

    Every process of a script holds the writing end of a pipe. The reading end shows when the last
    process has ended.
    """

    folder: Path
    reading_end: int = -1
    packages: int = 1
    """The port in place of CodeArtifact's endpoint. Port 1 has no listener."""

    @property
    def home(self) -> Path:
        """The home of the notebook's user."""
        return self.folder / "home"

    @property
    def etc(self) -> Path:
        """The directory in place of /etc."""
        return self.folder / "etc"

    @property
    def metadata(self) -> Path:
        """The file in which SageMaker puts the name of a notebook."""
        return self.folder / "resource-metadata.json"

    @property
    def log(self) -> str:
        """The log that the copy wrote for the user."""
        return (self.home / "SageMaker" / "code-push.log").read_text()

    @property
    def calls(self) -> list[str]:
        """The calls of the stand-ins, in order."""
        return (self.folder / "calls").read_text().splitlines()

    def stand_in(self, name: str, body: str) -> None:
        """Replace a missing program by one that records its calls."""
        path = self.folder / "bin" / name
        path.write_text(
            f'#!/bin/bash\ncall="{name} $*"\n'
            f"echo \"${{call%%$'\\n'*}}\" >> {self.folder}/calls\n{body}\n"
        )
        path.chmod(0o755)

    def started(self) -> dict[str, Any]:
        """Run the start script twice, and return the files that it wrote under /etc."""
        for _ in range(2):
            self.run(PLAIN.script("OnStart"))
            os.close(self.reading_end)
        self.reading_end = -1
        return {
            "notebook-vending.json": json.loads((self.etc / "notebook-vending.json").read_text()),
            "sagemaker/config.yaml": yaml.safe_load(
                (self.etc / "xdg" / "sagemaker" / "config.yaml").read_text()
            ),
        }

    def run(self, text: str) -> int:
        """Run a script to its end, and return its process group. Its children can keep running."""
        here = {
            "/home/ec2-user": self.home,
            "/etc/": f"{self.etc}/",
            "/opt/ml/metadata/resource-metadata.json": self.metadata,
            "/var/log/": f"{self.folder}/",
            "codeartifact.eu-west-1.amazonaws.com/443": f"127.0.0.1/{self.packages}",
        }
        for there, place in here.items():
            text = text.replace(there, str(place))
        self.reading_end, writing_end = os.pipe()
        try:
            script = subprocess.Popen(
                [_bash(), "-c", text],
                env={"PATH": f"{self.folder}/bin:/usr/bin:/bin", "HOME": "/root"},
                pass_fds=[writing_end],
                process_group=0,
            )
            assert script.wait(SECONDS) == 0
            return script.pid
        finally:
            os.close(writing_end)

    def ends_within(self, seconds: float) -> bool:
        """Return whether every process of the script ends within the time."""
        ready, _, _ = select.select([self.reading_end], [], [], seconds)
        return bool(ready)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    here = Machine(tmp_path)
    (tmp_path / "bin").mkdir()
    here.home.mkdir()
    here.etc.mkdir()
    # SageMaker developer guide, "Get Notebook Instance Metadata"
    arn = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:notebook-instance/its-name"
    here.metadata.write_text(json.dumps({"ResourceArn": arn, "ResourceName": "its-name"}))
    here.stand_in("timeout", 'shift 3; exec "$@"')
    here.stand_in("runuser", 'shift 3; exec "$@"')
    here.stand_in("sleep", "")
    here.stand_in("aws", "")
    yield here
    if here.reading_end >= 0:
        os.close(here.reading_end)


VPC = {"Subnets": ["subnet-2"], "SecurityGroupIds": ["sg-1", "sg-2"]}
SHOW_THE_VPC = f"echo '{json.dumps(VPC, indent=4)}'"


def test_start_script_configures_the_sagemaker_sdk_for_jobs(machine: Machine) -> None:
    machine.stand_in("aws", SHOW_THE_VPC)

    sdk = machine.started()["sagemaker/config.yaml"]["SageMaker"]

    assert sdk["PythonSDK"]["Modules"]["Session"] == {"DefaultS3Bucket": BUCKET}
    notebook = PLAIN.properties("Notebook")
    assert sdk["TrainingJob"]["VpcConfig"] == sdk["Model"]["VpcConfig"] == VPC
    assert sdk["TrainingJob"]["RoleArn"] == notebook["RoleArn"]
    assert sdk["Model"]["ExecutionRoleArn"] == notebook["RoleArn"]
    assert sdk["TrainingJob"]["OutputDataConfig"] == {"KmsKeyId": notebook["KmsKeyId"]}
    assert "TransformOutput" not in sdk["TransformJob"]  # version 3 fails on it
    modules = sdk["PythonSDK"]["Modules"]
    assert modules["TelemetryOptOut"] is True
    snake = {"subnets": VPC["Subnets"], "security_group_ids": VPC["SecurityGroupIds"]}
    assert modules["ModelTrainer"] == {"networking": snake}
    for made in ("TrainingJob", "Model", "TransformJob", "EndpointConfig", "Endpoint"):
        assert sdk[made]["Tags"] == [{"Key": "ProjectID", "Value": "QuickStart007"}]


def test_start_script_keeps_terminals_from_calling_iam(machine: Machine) -> None:
    machine.started()

    profile = machine.etc / "profile.d" / "notebook-vending.sh"
    printed = subprocess.run(
        [_bash(), "-c", f". {profile}; env"], env={}, check=True, capture_output=True, text=True
    )
    assert {
        "SAGEMAKER_VALIDATE_ROLE=false",
        "AWS_ENDPOINT_URL_IAM=http://127.0.0.1:9",
    } <= set(printed.stdout.splitlines())


def test_start_script_writes_the_settings_of_the_launch_for_code(machine: Machine) -> None:
    machine.stand_in("aws", SHOW_THE_VPC)

    settings = machine.started()["notebook-vending.json"]

    assert settings == _settings_without_vpc() | {"VpcConfig": VPC}


def _settings_without_vpc() -> dict[str, object]:
    notebook = PLAIN.properties("Notebook")
    return {
        "Region": "eu-west-1",
        "ProjectID": "QuickStart007",
        "NamePrefix": "1f2e3d4c",
        "Bucket": BUCKET,
        "KmsKeyId": notebook["KmsKeyId"],
        "RoleArn": notebook["RoleArn"],
    }


def test_start_script_requests_the_network_of_its_notebook_with_a_time_limit(
    machine: Machine,
) -> None:
    machine.started()

    asked = [call for call in machine.calls if call.startswith("aws")]
    assert len(asked) == 2
    for call in asked:
        assert call.startswith(
            "aws sagemaker describe-notebook-instance --region eu-west-1 "
            "--notebook-instance-name its-name --output json "
        )
    limits = [call for call in machine.calls if call.startswith("timeout") and " aws " in call]
    assert [call.split()[:5] for call in limits] == [["timeout", "-k", "5", "20", "aws"]] * 2


@pytest.mark.parametrize(
    "answer",
    [
        "exit 254",
        "exit 124",
        'echo \'{"Subnets": [null], "SecurityGroupIds": null}\'',
        "echo Unable to locate credentials",
        "",
    ],
    ids=["refused", "too slow", "no VPC", "no answer", "empty"],
)
def test_notebook_that_cannot_read_its_network_starts_with_the_other_settings(
    machine: Machine, answer: str
) -> None:
    machine.stand_in("aws", answer)

    written = machine.started()

    assert written["notebook-vending.json"] == _settings_without_vpc()
    sdk = written["sagemaker/config.yaml"]["SageMaker"]
    assert "VpcConfig" not in {*sdk["TrainingJob"], *sdk["Model"]}
    assert "ModelTrainer" not in sdk["PythonSDK"]["Modules"]
    assert sdk["Model"]["ExecutionRoleArn"] == PLAIN.properties("Notebook")["RoleArn"]


def test_notebook_starts_without_the_file_with_its_name(machine: Machine) -> None:
    machine.metadata.unlink()

    assert machine.started()["notebook-vending.json"] == _settings_without_vpc()


def test_notebook_starts_even_when_the_script_can_write_nothing(machine: Machine) -> None:
    machine.etc.rmdir()
    machine.etc.touch()

    machine.run(PLAIN.script("OnStart"))  # and succeeds


TOKEN = "not-to-be-logged"
CONFIG = "AWS::SageMaker::NotebookInstanceLifecycleConfig"
ANSWERS = f"""
case "$1 $2" in
  "sagemaker describe-notebook-instance-lifecycle-config")
    [[ "$*" != *" --notebook-instance-lifecycle-config-name {{name}} "* ]] ||
    base64 -w0 {{folder}}/packages ;;
  "codeartifact get-authorization-token") echo {TOKEN}; exit $(cat {{folder}}/exit) ;;
  "codeartifact get-repository-endpoint")
    echo https://packages-1.d.codeartifact.eu-west-1.amazonaws.com/pypi/python/ ;;
esac
"""


@pytest.fixture
def with_packages(machine: Machine) -> Iterator[Machine]:
    """Return a machine that reaches CodeArtifact, with a platform that names a repository."""
    named = {"CodeArtifactRepository": "packages/python"}
    (config,) = Stack(load(ROOT / "template.yaml"), named).resources(CONFIG).values()
    (content,) = config["Properties"]["OnStart"]
    script = base64.b64decode(content["Content"]).decode()
    (machine.folder / "packages").write_text(script.replace("/etc/", f"{machine.etc}/"))
    (machine.folder / "exit").write_text("0")
    name = config["Properties"]["NotebookInstanceLifecycleConfigName"]
    machine.stand_in("aws", ANSWERS.format(folder=machine.folder, name=name))
    machine.stand_in("chown", "")
    with socket.create_server(("127.0.0.1", 0)) as server:
        machine.packages = server.getsockname()[1]
        yield machine


def _packages_log(machine: Machine) -> str:
    assert machine.ends_within(SECONDS)
    return (machine.folder / "notebook-vending-packages.log").read_text()


def test_pip_reads_the_repository_of_the_platform_with_a_token_that_is_renewed(
    with_packages: Machine,
) -> None:
    machine = with_packages
    # The second pause ends the script.
    machine.stand_in("sleep", f"[ $(grep -c ^sleep {machine.folder}/calls) -lt 2 ] || kill $PPID")

    machine.run(PLAIN.script("OnStart"))

    log = _packages_log(machine)
    assert log.count("SUCCEEDED: pip reads packages/python") == 2
    assert TOKEN not in log
    assert TOKEN not in "".join(machine.calls)
    path = machine.etc / "pip.conf"
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"chown ec2-user {path}.new" in machine.calls
    assert [call for call in machine.calls if call.startswith("sleep")] == ["sleep 21600"] * 2
    asked = [call for call in machine.calls if "get-authorization-token" in call]
    assert asked[0].endswith(
        "get-authorization-token --duration-seconds 43200 --query authorizationToken "
        f"--region eu-west-1 --domain packages --domain-owner {ACCOUNT} --output text"
    )
    pip = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    environment = {**os.environ, "PIP_CONFIG_FILE": str(path)}
    read = subprocess.run(pip, env=environment, check=True, capture_output=True, text=True)
    host = "packages-1.d.codeartifact.eu-west-1.amazonaws.com"
    assert read.stdout.strip() == f"https://aws:{TOKEN}@{host}/pypi/python/simple/"


def test_missing_token_of_a_repository_is_logged_and_requested_again(
    with_packages: Machine,
) -> None:
    machine = with_packages
    (machine.folder / "exit").write_text("254")
    machine.stand_in("sleep", "kill $PPID")

    machine.run(PLAIN.script("OnStart"))

    assert "FAILED: does packages/python exist in eu-west-1" in _packages_log(machine)
    assert "sleep 300" in machine.calls
    assert not (machine.etc / "pip.conf").exists()


def test_notebook_that_cannot_reach_codeartifact_requests_no_packages(machine: Machine) -> None:
    machine.run(PLAIN.script("OnStart"))

    assert machine.ends_within(SECONDS)
    assert not [call for call in machine.calls if "lifecycle-config" in call]


def test_code_push_checks_the_owner_of_the_bucket_and_copies_as_the_user(
    machine: Machine,
) -> None:
    machine.run(WITH_CODE.script("OnCreate"))

    assert machine.ends_within(SECONDS)
    user, check, copy = machine.calls
    assert user.startswith("runuser -u ec2-user -- env ")
    assert check == (
        "aws s3api head-bucket --region eu-west-1 --bucket our-code "
        f"--expected-bucket-owner {ACCOUNT}"
    )
    assert copy == (
        f"aws s3 sync --region eu-west-1 --no-progress s3://our-code {machine.home}/SageMaker/code"
    )
    assert (machine.home / "SageMaker" / "code").is_dir()
    assert "SUCCEEDED: our-code is in SageMaker/code" in machine.log


def test_code_push_copies_nothing_from_a_bucket_of_another_account(machine: Machine) -> None:
    machine.stand_in("aws", '[ "$1" != s3api ]')

    machine.run(WITH_CODE.script("OnCreate"))

    assert machine.ends_within(SECONDS)
    assert not [call for call in machine.calls if call.startswith("aws s3 ")]
    asked = f"does our-code exist, does it belong to {ACCOUNT}, is it in eu-west-1, do its policy"
    assert f"FAILED: {asked}" in machine.log


def test_code_push_tries_again_and_logs_its_success(machine: Machine) -> None:
    machine.stand_in("aws", f"[ $(grep -c ^aws {machine.folder}/calls) -gt 2 ]")

    machine.run(WITH_CODE.script("OnCreate"))

    assert machine.ends_within(SECONDS)
    assert [call for call in machine.calls if call.startswith("sleep")] == ["sleep 10", "sleep 20"]
    assert "SUCCEEDED" in machine.log
    assert "FAILED" not in machine.log


def test_notebook_does_not_wait_for_a_long_copy(machine: Machine) -> None:
    with (
        opened_fifo(machine.folder / "reached") as reached,
        opened_fifo(machine.folder / "gate") as gate,
    ):
        machine.stand_in("aws", f"cd {machine.folder}; echo >> reached; read -r < gate")

        group = machine.run(WITH_CODE.script("OnCreate"))  # returns

        assert select.select([reached], [], [], SECONDS)[0]
        with contextlib.suppress(ProcessLookupError):  # nothing is left in the group
            os.killpg(group, signal.SIGKILL)
        assert not machine.ends_within(0)
        os.write(gate, b"go\n" * 2)
        assert machine.ends_within(SECONDS)
    assert "SUCCEEDED" in machine.log


@contextlib.contextmanager
def opened_fifo(path: Path) -> Iterator[int]:
    """Make a named pipe and hold both its ends, so that no process waits to open it."""
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _bash() -> str:
    found = shutil.which("bash")
    assert found, "bash is needed"
    return found
