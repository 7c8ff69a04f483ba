"""The administrator's steps before the launch: build, deploy, record, and admit an end user."""

import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from demo import deploy
from demo.end_user import EndUser
from notebook_vending.aws.clients import CONFIG
from rehearsal import listener, owned
from rehearsal.errors import OutOfTimeError, RehearsalError
from rehearsal.plan import INSTANCE_TYPE, OTHER_INSTANCE_TYPE, TAG
from rehearsal.run import Run, expect
from vending.platform import client


def build(run: Run) -> None:
    """Run `sam build`."""
    with (run.directory / "sam.log").open("a") as log:
        deploy.build(run.directory, lambda line: print(line, file=log), seconds=run.time.left)
    run.page.outcome("The platform is built.")


def make_bucket(run: Run) -> None:
    """Create the bucket for SAM's uploads, so that no bucket of SAM's own is left."""
    s3, region = client("s3"), run.account.region
    # us-east-1 is the default, and S3 refuses it as a constraint (API reference, CreateBucket).
    where: Any = (
        {}
        if region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )
    s3.create_bucket(Bucket=run.plan.bucket, **where)
    s3.put_bucket_tagging(
        Bucket=run.plan.bucket,
        Tagging={"TagSet": [{"Key": TAG, "Value": run.plan.run_id}]},
    )
    run.page.outcome(f"{run.plan.bucket} is there.")


def deploy_platform(run: Run) -> None:
    """Run `sam deploy` with the run's tag, which CloudFormation puts on the stack's resources."""
    options = (
        *("--region", run.account.region, "--s3-bucket", run.plan.bucket),
        *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
        *("--tags", f"{TAG}={run.plan.run_id}", "--no-confirm-changeset"),
    )
    with (run.directory / "sam.log").open("a") as log:

        def report(line: str) -> None:
            print(line, file=log)
            if line.startswith(("CREATE_", "UPDATE_")):
                run.page.wait_for(f"sam deploy: {' '.join(line.split())}")

        try:
            deploy.run_deploy(
                run.directory / "build" / "template.yaml",
                run.plan.stack,
                run.plan.parameters,
                os.environ,
                options,
                report,
                run.time.left,
            )
        except deploy.SamError as error:
            record_stacks(run)
            raise RehearsalError(f"{_shortened(error)} {_failed(run)}".strip()) from error
    record_stacks(run)
    made = owned.platform(run.plan)
    expect(made is not None, f"sam deploy ended, and there is no stack {run.plan.stack}")
    assert made
    run.outputs = {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}
    run.page.outcome(f"The stack {run.plan.stack} is {made['StackStatus']}.")


def _shortened(error: deploy.SamError) -> str:
    """Return the end of SAM's output. The log has the rest."""
    lines = [each.strip() for each in str(error).splitlines() if each.strip()]
    return " ".join(dict.fromkeys([lines[0], lines[-1]]))


def _failed(run: Run) -> str:
    """Return why resources of the platform's stacks failed, the first reason first."""
    return " ".join(
        f"{each.resource}: {each.reason}"
        for each in run.seen.stack_events
        if each.status.endswith("_FAILED") and "cancelled" not in each.reason
    )


def record_stacks(run: Run) -> None:
    """Record the events of the platform's stacks so far."""
    for stack_id, each in owned.stacks(run.plan).items():
        if each["StackName"].startswith(run.plan.stack):
            run.watching.stack(stack_id)


def listen(run: Run) -> None:
    """Make a queue record AWS's reports from now on."""
    (portfolio,) = (
        each["PhysicalResourceId"]
        for each in owned.resources(run.plan.stack)
        if each["LogicalResourceId"] == "Portfolio"
    )
    nested = owned.stack(portfolio)
    expect(nested is not None, "the nested stack of the portfolio is not there")
    assert nested
    outputs = {each["OutputKey"]: each["OutputValue"] for each in nested["Outputs"]}
    listener.listen(
        run.plan,
        run.account,
        outputs["NotificationTopicArn"],
        run.outputs["StateMachineArn"],
    )
    run.page.outcome("A queue records SageMaker's events and the reports of launches.")


def sign_in(run: Run) -> None:
    """Assume the end user's role, and read the launch form."""
    role = client("iam").get_role(RoleName=run.plan.role)["Role"]["Arn"]

    def assumed() -> Mapping[str, str] | None:
        try:
            return dict(
                client("sts").assume_role(RoleArn=role, RoleSessionName=run.plan.notebook)[
                    "Credentials"
                ]
            )
        except ClientError as error:
            # STS sees a new role of IAM a few seconds late.
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return None

    try:
        key = run.time.until(assumed)
    except OutOfTimeError as error:
        raise OutOfTimeError(
            f"{error}: STS denies AssumeRole on {run.plan.role}. Give your role or user the "
            "permission sts:AssumeRole on it."
        ) from None
    make: Any = boto3.client
    catalog = make(
        "servicecatalog",
        region_name=run.account.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"],
        config=CONFIG,
    )
    run.user = EndUser(catalog, run.outputs["ProductId"])
    run.time.until(lambda: _form(run))
    run.page.outcome("They see the product.")


def _form(run: Run) -> bool:
    """Record the launch form's content; return whether the product is visible yet."""
    user = run.end_user()
    try:
        version = user.newest_artifact()
        known = user.catalog.describe_provisioning_parameters(
            ProductId=user.product_id, ProvisioningArtifactId=version
        )["ProvisioningArtifactParameters"]
    except ClientError as error:
        # Users see a new portfolio a few seconds late.
        if error.response["Error"]["Code"] not in (
            "ResourceNotFoundException",
            "AccessDeniedException",
        ):
            raise
        return False
    for each in known:
        if each["ParameterKey"] == "NotebookInstanceType":
            run.seen.form = each.get("ParameterConstraints", {}).get("AllowedValues", [])
    run.seen.allowed = [INSTANCE_TYPE, OTHER_INSTANCE_TYPE]
    return True
