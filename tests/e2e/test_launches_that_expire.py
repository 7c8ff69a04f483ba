"""Launches that expire: one warning, then termination through Service Catalog."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.end_user import Record
from tests.e2e.deployed import Platform
from tests.e2e.mailbox import Mailbox
from tests.waiting import await_that, unique

EVENT = (Path(__file__).parents[2] / "events" / "expire-launches.json").read_text()
EXPIRES, WARNED = "notebook-vending:expires-on", "notebook-vending:warned-of"
LONG_AGO = "2020-01-01"


@pytest.fixture(scope="module")
def name() -> str:
    """Return the name of the notebook that does not expire during the tests."""
    return unique("Expires")


@pytest.fixture(scope="module")
def living(platform: Platform, name: str) -> Iterator[Record]:
    """Launch a notebook that expires in a month; terminate it at the end."""
    record = platform.launch(name, ExpiresAfterDays="30", OwnerEmail="owner@example.com")
    assert record.succeeded, record.reason
    yield record
    assert platform.terminate(record).succeeded


def expire(platform: Platform) -> None:
    """Invoke the expiry function with the schedule's event."""
    answer = platform.aws.client("lambda").invoke(
        FunctionName=platform.physical_id("ExpireLaunchesFunction"), Payload=EVENT
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def tags(platform: Platform, notebook: str) -> dict[str, str]:
    return dict(platform.simulated(notebook)["tags"])


def tag(platform: Platform, notebook: str, changed: dict[str, str]) -> None:
    """Change tags as an administrator."""
    platform.aws.client("sagemaker").add_tags(
        ResourceArn=platform.simulated(notebook)["arn"],
        Tags=[{"Key": f"notebook-vending:{k}", "Value": v} for k, v in changed.items()],
    )


def is_there(platform: Platform, launched: Record) -> bool:
    found = platform.aws.client("servicecatalog").search_provisioned_products(
        AccessLevelFilter={"Key": "Account", "Value": "self"}
    )["ProvisionedProducts"]
    return launched.provisioned_product_id in [each["Id"] for each in found]


@pytest.mark.seam
def test_expired_launch_is_terminated_and_leaves_nothing(platform: Platform) -> None:
    notebook = unique("Expired")
    launched = platform.launch(notebook, ExpiresAfterDays="1", OwnerEmail="owner@example.com")
    assert launched.succeeded, launched.reason
    stack = platform.stack(launched.provisioned_product_id)
    tag(platform, notebook, {"expires-on": LONG_AGO})

    expire(platform)
    expire(platform)

    await_that(lambda: not is_there(platform, launched))
    assert platform.leftovers(stack) == []
    uuid = stack["StackId"].rpartition("/")[2]
    topics = platform.aws.client("sns").list_topics()["Topics"]
    assert [each for each in topics if uuid in each["TopicArn"]] == []


def test_owner_is_warned_once_and_an_update_extends_the_launch(
    platform: Platform, living: Record, name: str
) -> None:
    stack_id = platform.stack(living.provisioned_product_id)["StackId"]
    region, account = stack_id.split(":")[3:5]
    uuid = stack_id.rpartition("/")[2]
    mailbox = Mailbox(platform, f"arn:aws:sns:{region}:{account}:NotebookVending-Owner-{uuid}")
    before = tags(platform, name)[EXPIRES]
    tomorrow = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
    tag(platform, name, {"expires-on": tomorrow})

    expire(platform)
    expire(platform)

    (text,) = mailbox.texts()
    assert f"{name.lower()}, launched in Service Catalog as {name}" in text
    assert f"expires on {tomorrow}" in text
    assert tags(platform, name)[WARNED] == tomorrow

    record = platform.update(living, ExpiresAfterDays="31")

    assert record.succeeded, record.reason
    assert tags(platform, name)[EXPIRES] > before
    expire(platform)
    assert mailbox.texts() == []
    assert is_there(platform, living)


def test_notebook_claiming_to_belong_to_another_launch_terminates_nothing(
    platform: Platform, living: Record, name: str
) -> None:
    claimed = tags(platform, name)["notebook-vending:provisioned-product"]
    seen = platform.notebook(name)
    assert seen
    stranger = unique("Stranger")
    sagemaker = platform.aws.client("sagemaker")
    sagemaker.create_notebook_instance(
        NotebookInstanceName=stranger, InstanceType="ml.t3.medium", RoleArn=seen["RoleArn"]
    )
    platform_name = tags(platform, name)["notebook-vending:platform"]
    tag(
        platform,
        stranger,
        {"platform": platform_name, "expires-on": LONG_AGO, "provisioned-product": claimed},
    )

    expire(platform)

    detail = platform.aws.client("servicecatalog").describe_provisioned_product(
        Id=living.provisioned_product_id
    )["ProvisionedProductDetail"]
    assert detail["Status"] == "AVAILABLE"
    assert platform.notebook(stranger)
    await_that(lambda: platform.simulated(stranger)["status"] == "InService")
    sagemaker.stop_notebook_instance(NotebookInstanceName=stranger)
    await_that(lambda: platform.simulated(stranger)["status"] == "Stopped")
    sagemaker.delete_notebook_instance(NotebookInstanceName=stranger)
    await_that(lambda: platform.notebook(stranger) is None)
