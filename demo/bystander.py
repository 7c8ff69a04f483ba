"""A user of the account without a role in the platform, who makes or changes a notebook by hand."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from demo.faults import COLLEAGUE
from embedded_aws.emulator import Emulator

_POLL = 0.1  # seconds
_PATIENCE = 30.0  # seconds


@dataclass(frozen=True)
class Bystander:
    """A notebook's owner, with permissions of their own."""

    sagemaker: Any
    notebook: str

    def look(self) -> dict[str, Any]:
        """Return everything SageMaker shows of the notebook."""
        shown: dict[str, Any] = self.sagemaker.describe_notebook_instance(
            NotebookInstanceName=self.notebook
        )
        arn = shown["NotebookInstanceArn"]
        tags = self.sagemaker.list_tags(ResourceArn=arn)["Tags"]
        return {**shown, "Tags": tags, "ResponseMetadata": None}

    def wait_until(self, status: str, look: Callable[[], None]) -> dict[str, Any]:
        """Wait for a status, looking around meanwhile; return what SageMaker shows then.

        Raises TimeoutError.
        """
        end = time.monotonic() + _PATIENCE
        while True:
            shown = self.look()
            look()
            if shown["NotebookInstanceStatus"] == status:
                return shown
            if time.monotonic() > end:
                raise TimeoutError(f"{self.notebook} is not {status} after {_PATIENCE:.0f} s")
            time.sleep(_POLL)

    def change(
        self, settings: Mapping[str, str], tags: Mapping[str, str], look: Callable[[], None]
    ) -> None:
        """Stop the notebook, change it, start it and set tags. Raises TimeoutError."""
        self.sagemaker.stop_notebook_instance(NotebookInstanceName=self.notebook)
        self.wait_until("Stopped", look)
        self.sagemaker.update_notebook_instance(NotebookInstanceName=self.notebook, **settings)
        self.wait_until("Stopped", look)
        self.sagemaker.start_notebook_instance(NotebookInstanceName=self.notebook)
        shown = self.wait_until("InService", look)
        self.sagemaker.add_tags(
            ResourceArn=shown["NotebookInstanceArn"],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )

    def remove(self, look: Callable[[], None]) -> None:
        """Stop and delete the notebook, and wait until it is gone. Raises TimeoutError."""
        self.sagemaker.stop_notebook_instance(NotebookInstanceName=self.notebook)
        self.wait_until("Stopped", look)
        self.sagemaker.delete_notebook_instance(NotebookInstanceName=self.notebook)
        try:
            self.wait_until("deleted", look)
        except ClientError as error:
            if "RecordNotFound" not in str(error):
                raise


def make_notebook(aws: Emulator, name: str, instance_type: str) -> Bystander:
    """Create a user, a role and their notebook without a tag, which may not run yet."""
    iam = aws.client("iam")
    suffix = uuid.uuid4().hex[:8]
    role = iam.create_role(
        RoleName=f"another-users-{suffix}",
        AssumeRolePolicyDocument=_policy(
            {"Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ),
    )["Role"]["Arn"]
    pass_role = {"Action": "iam:PassRole", "Resource": role}
    other = _sign_in(aws, f"another-user-{suffix}", name, {}, pass_role)
    _create_once_the_role_is_known(other, role, instance_type)
    return other


def colleague(aws: Emulator, notebook: str, project_id: str, role: str) -> Bystander:
    """Return a user of a notebook's project, who may start notebooks with its role."""
    statements = (
        {"Action": "iam:PassRole", "Resource": role},
        {"Action": ["ec2:*", "kms:*"], "Resource": "*"},  # which a start needs of its caller
    )
    return _sign_in(aws, COLLEAGUE, notebook, {"ProjectID": project_id}, *statements)


def _sign_in(
    aws: Emulator,
    user: str,
    notebook: str,
    tags: Mapping[str, str],
    *statements: dict[str, Any],
) -> Bystander:
    iam = aws.client("iam")
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    iam.create_user(UserName=user, Tags=listed)
    sagemaker = {"Action": "sagemaker:*", "Resource": "*"}
    policy = _policy(sagemaker, *statements)
    iam.put_user_policy(UserName=user, PolicyName="notebooks", PolicyDocument=policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return Bystander(aws.client("sagemaker", key), notebook)


def _create_once_the_role_is_known(other: Bystander, role: str, instance_type: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            other.sagemaker.create_notebook_instance(
                NotebookInstanceName=other.notebook, InstanceType=instance_type, RoleArn=role
            )
        except ClientError as error:
            if "Could not assume role" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_POLL)
        else:
            return


def _policy(*statements: dict[str, Any]) -> str:
    allowed = [{"Effect": "Allow", **each} for each in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})
