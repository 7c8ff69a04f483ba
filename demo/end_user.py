"""A data scientist in Service Catalog: launches, updates and terminates the product."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded_aws.emulator import Emulator

_POLL = 0.25  # seconds


@dataclass(frozen=True)
class Record:
    """How a launch, an update or a termination ended."""

    status: str
    provisioned_product_id: str
    outputs: dict[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether Service Catalog reports success."""
        return self.status == "SUCCEEDED"


@dataclass(frozen=True)
class EndUser:
    """Someone who has the end-user role, and nothing else."""

    catalog: Any
    product_id: str
    credentials: Mapping[str, str] = field(default_factory=dict)

    def launch(
        self, name: str, parameters: Mapping[str, str], tags: Mapping[str, str] | None = None
    ) -> str:
        """Launch the product, with tags for all it makes; return the record's id."""
        artifact = self.newest_artifact()
        return str(
            self.catalog.provision_product(
                ProductId=self.product_id,
                ProvisioningArtifactId=artifact,
                ProvisionedProductName=name,
                ProvisioningParameters=_parameters(parameters),
                ProvisionToken=str(uuid.uuid4()),
                Tags=_parameters(tags or {}),
            )["RecordDetail"]["RecordId"]
        )

    def update(self, provisioned_product_id: str, parameters: Mapping[str, str]) -> str:
        """Change some parameters and keep the others; return the record's id."""
        artifact = self.newest_artifact()
        # CloudFormation refuses to keep what the launch's own version lacks.
        launched = self.catalog.describe_provisioned_product(Id=provisioned_product_id)
        known = self.catalog.describe_provisioning_parameters(
            ProductId=self.product_id,
            ProvisioningArtifactId=launched["ProvisionedProductDetail"]["ProvisioningArtifactId"],
        )["ProvisioningArtifactParameters"]
        kept = [
            {"Key": each["ParameterKey"], "UsePreviousValue": True}
            for each in known
            if each["ParameterKey"] not in parameters
        ]
        return str(
            self.catalog.update_provisioned_product(
                ProvisionedProductId=provisioned_product_id,
                ProductId=self.product_id,
                ProvisioningArtifactId=artifact,
                ProvisioningParameters=[*_parameters(parameters), *kept],
                UpdateToken=str(uuid.uuid4()),
            )["RecordDetail"]["RecordId"]
        )

    def terminate(self, provisioned_product_id: str) -> str:
        """Terminate a launch; return the record's id."""
        return str(
            self.catalog.terminate_provisioned_product(
                ProvisionedProductId=provisioned_product_id, TerminateToken=str(uuid.uuid4())
            )["RecordDetail"]["RecordId"]
        )

    def act(self, provisioned_product_id: str, name: str) -> str:
        """Begin an action of the product on a launch, Start or Stop; return the record's id."""
        offered = self.catalog.list_service_actions_for_provisioning_artifact(
            ProductId=self.product_id, ProvisioningArtifactId=self.newest_artifact()
        )["ServiceActionSummaries"]
        (action,) = (each["Id"] for each in offered if each["Name"] == name)
        return str(
            self.catalog.execute_provisioned_product_service_action(
                ProvisionedProductId=provisioned_product_id,
                ServiceActionId=action,
                ExecuteToken=str(uuid.uuid4()),
            )["RecordDetail"]["RecordId"]
        )

    def wait(
        self,
        record_id: str,
        look: Callable[[], None] = lambda: None,
        timeout: float = 180,  # seconds
    ) -> Record:
        """Wait until a record is closed, looking around meanwhile; raises TimeoutError."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            look()
            if closed := self.closed(record_id):
                return closed
            time.sleep(_POLL)
        raise TimeoutError(f"record {record_id} is not closed after {timeout:.0f} s")

    def closed(self, record_id: str) -> Record | None:
        """Return how a record ended; None while it is open."""
        seen = self.catalog.describe_record(Id=record_id)
        detail = seen["RecordDetail"]
        if detail["Status"] not in ("SUCCEEDED", "FAILED"):
            return None
        errors = detail.get("RecordErrors", [])
        return Record(
            detail["Status"],
            detail["ProvisionedProductId"],
            {o["OutputKey"]: o["OutputValue"] for o in seen.get("RecordOutputs", [])},
            " ".join(each["Description"] for each in errors),
        )

    def newest_artifact(self) -> str:
        """Return the id of the product's newest version."""
        view = self.catalog.describe_product(Id=self.product_id)
        newest = max(view["ProvisioningArtifacts"], key=lambda each: each["CreatedTime"])
        return str(newest["Id"])


def sign_in(
    aws: Emulator, product_id: str, role_name: str = "SCEndUserRole", project_id: str = ""
) -> EndUser:
    """Become an end user: an IAM user who may assume the end-user role, and assumes it.

    With a `project_id` the session is tagged with it, in place of the role's own.
    """
    iam = aws.client("iam")
    role = iam.get_role(RoleName=role_name)["Role"]["Arn"]
    user = f"data-scientist-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    actions = ["sts:AssumeRole", "sts:TagSession"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": role}
    iam.put_user_policy(
        UserName=user,
        PolicyName="sign-in",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    key = iam.create_access_key(UserName=user)["AccessKey"]
    tags = [{"Key": "ProjectID", "Value": project_id}] if project_id else []
    session = aws.client("sts", key).assume_role(RoleArn=role, RoleSessionName=user, Tags=tags)
    credentials = session["Credentials"]
    return EndUser(aws.client("servicecatalog", credentials), product_id, credentials)


def _parameters(parameters: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in parameters.items()]
