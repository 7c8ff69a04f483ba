"""Runs `make rehearse` in an account in which other people have resources."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import bystander
from demo.deploy import ROOT
from embedded_aws.emulator import Emulator
from rehearsal.plan import TAG
from tests.waiting import await_that, unique

# As the e2e tests deploy: the emulator's notebooks take seconds.
QUICK = "FirstWaitSeconds=1 WaitSeconds=1 Architecture=x86_64"
_SECONDS = 240  # on a busy machine; an idle one needs a minute


def environment(aws: Emulator) -> dict[str, str]:
    """Return an administrator's shell environment, with the key of an IAM user.

    The embedded AWS accepts only an IAM user as an administrator.
    """
    iam, user = aws.client("iam"), unique("administrator")
    iam.create_user(UserName=user)
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_user_policy(
        UserName=user,
        PolicyName="everything",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": everything}),
    )
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {
        **aws.environment,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


@dataclass(frozen=True)
class Others:
    """Other people's resources in the account, some of them similar to the run's."""

    aws: Emulator
    notebook: bystander.Bystander

    def look(self) -> dict[str, Any]:
        """Return their present state."""
        client = self.aws.client
        return {
            "notebook": self.notebook.look(),
            "stack": client("cloudformation").describe_stacks(StackName="others")["Stacks"][0][
                "StackStatus"
            ],
            "object": client("s3").get_object(Bucket="others", Key="kept")["Body"].read(),
            "queue": client("sqs").get_queue_url(QueueName="others")["QueueUrl"],
            "layer": client("lambda").get_layer_version(LayerName="Dependencies", VersionNumber=1)[
                "LayerVersionArn"
            ],
            "log group": client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/other")[
                "logGroups"
            ][0]["logGroupName"],
        }


def others(aws: Emulator) -> Others:
    """Create other people's resources: those of another rehearsal, and some without a tag."""
    client = aws.client
    other = [{"Key": TAG, "Value": "0therrun"}]
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    client("cloudformation").create_stack(
        StackName="others", TemplateBody=json.dumps(template), Tags=other
    )
    client("s3").create_bucket(Bucket="others")
    client("s3").put_bucket_tagging(Bucket="others", Tagging={"TagSet": other})
    client("s3").put_object(Bucket="others", Key="kept", Body=b"kept")
    client("sqs").create_queue(QueueName="others", tags={TAG: "0therrun"})
    # The run's layer has the same name.
    client("lambda").publish_layer_version(
        LayerName="Dependencies", Content={"ZipFile": b"PK\x05\x06" + b"\0" * 18}
    )
    client("logs").create_log_group(logGroupName="/aws/lambda/others")
    notebook = bystander.make_notebook(aws, "rehearsal-of-others", "ml.t3.medium")
    notebook.wait_until("InService", lambda: None)
    return Others(aws, notebook)


def what_is_there(aws: Emulator) -> dict[str, list[str]]:
    """Return the resources that a run creates, by kind, without keys that await deletion."""
    client = aws.client
    kms = client("kms")
    keys = [each["KeyId"] for each in kms.list_keys()["Keys"]]
    layers = client("lambda").list_layers()["Layers"]
    groups = client("logs").describe_log_groups()["logGroups"]
    notebooks = client("sagemaker").list_notebook_instances()["NotebookInstances"]
    portfolios = client("servicecatalog").list_portfolios()["PortfolioDetails"]
    return {
        "stacks": [
            each["StackName"] for each in client("cloudformation").describe_stacks()["Stacks"]
        ],
        "buckets": [each["Name"] for each in client("s3").list_buckets()["Buckets"]],
        "functions": [
            each["FunctionName"] for each in client("lambda").list_functions()["Functions"]
        ],
        "keys": [
            each
            for each in keys
            if kms.describe_key(KeyId=each)["KeyMetadata"]["KeyState"] != "PendingDeletion"
        ],
        "layers": [each["LatestMatchingVersion"]["LayerVersionArn"] for each in layers],
        "log groups": [each["logGroupName"] for each in groups],
        "notebooks": [each["NotebookInstanceName"] for each in notebooks],
        "portfolios": [each["DisplayName"] for each in portfolios],
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "roles": [each["RoleName"] for each in client("iam").list_roles()["Roles"]],
        "rules": [each["Name"] for each in client("events").list_rules()["Rules"]],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "topics": [each["TopicArn"] for each in client("sns").list_topics()["Topics"]],
    }


@contextmanager
def rehearsing(shell: Mapping[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start the program of `make rehearse`, and kill it if it still runs at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with subprocess.Popen(
        [sys.executable, "-m", "rehearsal", *words],
        cwd=ROOT,
        env={**kept, **shell, "PYTHONPATH": "src:src/shared:emulator:."},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def rehearsed(shell: Mapping[str, str], *words: str) -> tuple[int, str]:
    """Run the program to its end; return the exit status and the output."""
    with rehearsing(shell, *words) as process:
        said, _ = process.communicate(timeout=_SECONDS)
        return process.returncode, said


def until_it_says(process: subprocess.Popen[str], words: str) -> str:
    """Read the output until a line has these words; return the run's ID."""
    assert process.stdout
    run_id = ""
    for line in process.stdout:
        if f"{TAG}=" in line:
            run_id = line.partition(f"{TAG}=")[2].strip(" :\n")
        if words in line:
            return run_id
    raise AssertionError(f"it ended and never said: {words}")


def being_created(aws: Emulator, stack: str) -> None:
    """Wait until CloudFormation creates a stack."""

    def status() -> str:
        found = aws.client("cloudformation").describe_stacks()["Stacks"]
        return next((e["StackStatus"] for e in found if e["StackName"] == stack), "")

    await_that(lambda: status() == "CREATE_IN_PROGRESS")


def report_of(run_id: str) -> tuple[dict[str, Any], str]:
    """Return the report of a run, as data and as a page."""
    directory = ROOT / ".local" / "rehearsal" / run_id
    data: dict[str, Any] = json.loads((directory / "report.json").read_text())
    return data, (directory / "report.html").read_text()


def directory_of(run_id: str) -> Path:
    """Return the directory of a run's report."""
    return ROOT / ".local" / "rehearsal" / run_id
