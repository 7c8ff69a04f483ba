"""Several projects in one account: members of one reach nothing of another.

`QuickStart007` is the end-user role's own project. A session may have `Churn_42` instead.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from demo import end_user
from demo.end_user import EndUser, Record
from tests.e2e.deployed import Platform, together
from tests.waiting import await_that, unique

OWN_TAGS = (
    "notebook-vending:platform",
    "notebook-vending:stack-id",
    "notebook-vending:logical-resource-id",
    "ProjectID",
)


@dataclass(frozen=True)
class Project:
    """A project with a launch in it, and one of its data scientists."""

    platform: Platform
    id: str
    user: EndUser
    launched: Record

    @property
    def notebook(self) -> str:
        """The notebook's name."""
        return self.launched.outputs["NotebookInstanceName"]

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.launched.outputs["S3BucketName"]

    def as_user(self, service: str) -> Any:
        """Return a client with the rights of the data scientist."""
        return self.platform.aws.client(service, self.user.credentials)

    def as_notebook(self, service: str, *, through_endpoint: bool = True) -> Any:
        """Return a client with the rights of the notebook's role, in the VPC or not."""
        session = self.platform.aws.client("sts").assume_role(
            RoleArn=self.launched.outputs["ExecutionRoleArn"], RoleSessionName=uuid4().hex
        )
        if through_endpoint:
            endpoint = self.platform.outputs["S3EndpointId"]
            arn = session["AssumedRoleUser"]["Arn"]
            self.platform.aws.control("endpoints", {arn: endpoint})
        return self.platform.aws.client(service, session["Credentials"])

    def status(self) -> str:
        """Return the notebook's status."""
        seen = self.platform.notebook(self.notebook)
        assert seen
        return str(seen["NotebookInstanceStatus"])


@pytest.fixture(scope="module")
def projects(platform: Platform) -> Iterator[tuple[Project, Project]]:
    """Launch a notebook in each of two projects, at the same time."""
    product = platform.outputs["ProductId"]

    def launch(project_id: str, user: EndUser) -> Project:
        name = unique(project_id.replace("_", "-"))
        asked = {"NotebookInstanceName": name, "ProjectID": project_id, "DataRetention": "Delete"}
        record = user.wait(user.launch(name, asked))
        assert record.succeeded, record.reason
        return Project(platform, project_id, user, record)

    ours, theirs = together(
        lambda: launch("QuickStart007", end_user.sign_in(platform.aws, product)),
        lambda: launch("Churn_42", end_user.sign_in(platform.aws, product, project_id="Churn_42")),
    )
    yield ours, theirs
    for project in (ours, theirs):
        id_ = project.launched.provisioned_product_id
        assert project.user.wait(project.user.terminate(id_)).succeeded


def is_now(project: Project, status: str) -> bool:
    return project.status() == status


def denied(call: Callable[..., Any], **arguments: Any) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
        call(**arguments)


# Launches


def test_a_launch_for_a_project_outside_the_portfolio_is_refused(platform: Platform) -> None:
    refused = platform.launch(unique("Foreign"), ProjectID="Payroll_1")

    assert not refused.succeeded
    assert "ProjectID: choose one of QuickStart007, Churn_42." in refused.reason
    assert platform.terminate(refused).succeeded


def test_user_cannot_sign_in_for_a_project_outside_the_portfolio(platform: Platform) -> None:
    with pytest.raises(ClientError, match="TagSession"):
        end_user.sign_in(platform.aws, platform.outputs["ProductId"], project_id="Payroll_1")


@pytest.mark.parametrize("parameter", ["ServiceToken", "SageMakerBuildFunctionARN"])
def test_launcher_cannot_choose_another_function_for_the_launch(
    platform: Platform, parameter: str
) -> None:
    forged = "arn:aws:lambda:us-east-1:000000000000:function:forged"

    refused = platform.launch(unique("Forged"), **{parameter: forged})

    assert not refused.succeeded
    assert parameter in refused.reason
    assert platform.terminate(refused).succeeded


# Notebooks


def test_project_opens_stops_and_starts_its_own_notebook(
    projects: tuple[Project, Project],
) -> None:
    for project in projects:
        sagemaker = project.as_user("sagemaker")
        name = {"NotebookInstanceName": project.notebook}

        assert "AuthorizedUrl" in sagemaker.create_presigned_notebook_instance_url(**name)
        sagemaker.stop_notebook_instance(**name)
        await_that(partial(is_now, project, "Stopped"))
        sagemaker.start_notebook_instance(**name)
        await_that(partial(is_now, project, "InService"))


def test_another_projects_notebook_is_out_of_reach(projects: tuple[Project, Project]) -> None:
    for ours, theirs in (projects, projects[::-1]):
        sagemaker = ours.as_user("sagemaker")
        name = {"NotebookInstanceName": theirs.notebook}

        denied(sagemaker.create_presigned_notebook_instance_url, **name)
        denied(sagemaker.describe_notebook_instance, **name)
        denied(sagemaker.stop_notebook_instance, **name)
        denied(sagemaker.start_notebook_instance, **name)
        assert theirs.status() == "InService"


@pytest.mark.parametrize("who", ["user", "notebook"])
def test_ownership_tags_of_a_notebook_cannot_be_changed(
    projects: tuple[Project, Project], who: str
) -> None:
    ours, theirs = projects
    sagemaker = ours.as_user("sagemaker") if who == "user" else ours.as_notebook("sagemaker")
    for project in (ours, theirs):
        seen = project.platform.notebook(project.notebook)
        assert seen
        arn = {"ResourceArn": seen["NotebookInstanceArn"]}
        for key in OWN_TAGS:
            denied(sagemaker.add_tags, **arn, Tags=[{"Key": key, "Value": ours.id}])
            denied(sagemaker.delete_tags, **arn, TagKeys=[key])


def test_data_scientist_cannot_create_or_delete_a_notebook_outside_the_catalog(
    projects: tuple[Project, Project],
) -> None:
    ours, _ = projects
    sagemaker = ours.as_user("sagemaker")

    denied(
        sagemaker.create_notebook_instance,
        NotebookInstanceName=unique("past"),
        InstanceType="ml.t3.medium",
        RoleArn=ours.launched.outputs["ExecutionRoleArn"],
    )
    denied(sagemaker.delete_notebook_instance, NotebookInstanceName=ours.notebook)
    denied(sagemaker.list_notebook_instances)


# Data


def test_a_notebook_works_with_its_own_bucket_through_the_endpoint(
    projects: tuple[Project, Project],
) -> None:
    for project in projects:
        s3 = project.as_notebook("s3")

        s3.put_object(Bucket=project.bucket, Key="model.bin", Body=b"weights")

        assert s3.get_object(Bucket=project.bucket, Key="model.bin")["Body"].read() == b"weights"


def test_objects_are_out_of_reach_from_outside_the_vpc_even_for_the_notebooks_role(
    projects: tuple[Project, Project],
) -> None:
    ours, _ = projects
    s3 = ours.as_notebook("s3", through_endpoint=False)

    denied(s3.get_object, Bucket=ours.bucket, Key="model.bin")
    denied(s3.put_object, Bucket=ours.bucket, Key="model.bin", Body=b"")
    denied(s3.delete_object, Bucket=ours.bucket, Key="model.bin")
    # SageMaker checks a job's paths from outside the VPC.
    assert "Contents" in s3.list_objects_v2(Bucket=ours.bucket)


def test_another_projects_bucket_and_key_are_out_of_reach(
    projects: tuple[Project, Project],
) -> None:
    for ours, theirs in (projects, projects[::-1]):
        s3, kms = ours.as_notebook("s3"), ours.as_notebook("kms")

        denied(s3.list_objects_v2, Bucket=theirs.bucket)
        denied(s3.get_object, Bucket=theirs.bucket, Key="model.bin")
        denied(s3.put_object, Bucket=theirs.bucket, Key="model.bin", Body=b"")
        key = theirs.launched.outputs["SagemakerKMSKey"]
        denied(kms.generate_data_key, KeyId=key, KeySpec="AES_256")
        denied(kms.describe_key, KeyId=key)
        denied(kms.schedule_key_deletion, KeyId=key)


# Actions


def act(project: Project, name: str, user: EndUser | None = None) -> Record:
    """Run a service action on a launch and wait for its end."""
    acting = user or project.user
    return acting.wait(acting.act(project.launched.provisioned_product_id, name))


def test_service_actions_stop_and_start_a_launch(
    projects: tuple[Project, Project],
) -> None:
    ours, theirs = projects

    stopped = act(ours, "Stop")
    assert stopped.succeeded, stopped.reason
    assert (ours.status(), theirs.status()) == ("Stopped", "InService")

    started = act(ours, "Start")
    assert started.succeeded, started.reason
    assert (ours.status(), theirs.status()) == ("InService", "InService")


def test_user_cannot_run_an_action_on_another_projects_launch(
    projects: tuple[Project, Project],
) -> None:
    ours, theirs = projects

    with pytest.raises(ClientError, match="AccessDenied"):
        act(theirs, "Stop", ours.user)

    assert theirs.status() == "InService"


def test_action_rejects_another_target(projects: tuple[Project, Project]) -> None:
    ours, theirs = projects
    catalog = ours.user.catalog
    actions = catalog.list_service_actions_for_provisioning_artifact(
        ProductId=ours.user.product_id, ProvisioningArtifactId=ours.user.newest_artifact()
    )["ServiceActionSummaries"]
    (stop,) = (each["Id"] for each in actions if each["Name"] == "Stop")

    record = catalog.execute_provisioned_product_service_action(
        ProvisionedProductId=ours.launched.provisioned_product_id,
        ServiceActionId=stop,
        ExecuteToken=uuid4().hex,
        Parameters={"BucketName": [theirs.bucket]},
    )["RecordDetail"]["RecordId"]

    failed = await_that(
        lambda: catalog.describe_record(Id=record)["RecordDetail"]["Status"] == "FAILED"
    )
    assert failed
    assert theirs.status() == "InService"
