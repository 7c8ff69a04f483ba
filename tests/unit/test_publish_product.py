"""The product's versions are published under their digests, and some are deprecated."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from aws_testing.catalog_world import NEWER_URL, World, product
from handlers import publish_product
from notebook_vending.aws import s3 as aws_s3
from notebook_vending.requests import answer
from simulation.broken_calls import denied_at_first
from simulation.lambda_context import context
from tests.unit.catalog_calls import guidance, speaking_to
from tests.unit.reply_address import URL

TEMPLATE = Path(__file__).parents[2] / "product" / "versions" / "1.yaml"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Return the function's S3 client, with its versioned bucket."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("URL_SUFFIX", "amazonaws.com")
    # In the artifact, product/ is next to the code. Here it is next to src/.
    (tmp_path / "released").mkdir()
    (tmp_path / "released" / "1.yaml").write_bytes(TEMPLATE.read_bytes())
    monkeypatch.setattr(publish_product, "_VERSIONS", tmp_path / "released")
    aws_s3.client.cache_clear()
    with mock_aws():
        client = aws_s3.client()
        client.create_bucket(Bucket="templates")
        client.put_bucket_versioning(
            Bucket="templates", VersioningConfiguration={"Status": "Enabled"}
        )
        yield client
        client.close()
    aws_s3.client.cache_clear()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect the answers to CloudFormation."""
    taken: list[dict[str, Any]] = []
    monkeypatch.setattr(answer, "put", lambda _url, body: taken.append(json.loads(body)))
    return taken


def event(kind: str, **properties: str) -> dict[str, Any]:
    """Return a request for the platform's own resource."""
    return {
        "RequestType": kind,
        "RequestId": "r-1",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/platform/s",
        "LogicalResourceId": "PublishedTemplates",
        "ResponseURL": URL,
        "ResourceProperties": {"Bucket": "templates", **properties},
        **({} if kind == "Create" else {"PhysicalResourceId": "templates"}),
    }


def keys(s3: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket="templates").get("Contents", [])]


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_template_is_published_under_its_digest(
    s3: Any, answers: list[dict[str, Any]], kind: str
) -> None:
    publish_product.handler(event(kind), context())

    key = f"notebook/{hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()}.yaml"
    assert keys(s3) == [key]
    assert s3.get_object(Bucket="templates", Key=key)["Body"].read() == TEMPLATE.read_bytes()
    assert answers[0]["Status"] == "SUCCESS"
    assert answers[0]["PhysicalResourceId"] == "templates"
    assert answers[0]["Data"] == {"Url1": f"https://templates.s3.us-east-1.amazonaws.com/{key}"}


@pytest.mark.parametrize("project", ["Churn42", "007", "NO"])
def test_the_default_project_is_the_one_of_the_first_deployment(
    s3: Any, answers: list[dict[str, Any]], project: str
) -> None:
    publish_product.handler(event("Create", DefaultProjectID=project), context())
    publish_product.handler(event("Update", DefaultProjectID="Another"), context())

    (key,) = keys(s3)
    text = s3.get_object(Bucket="templates", Key=key)["Body"].read().decode()
    published, released = yaml_parse(text), yaml_parse(TEMPLATE.read_text())
    assert published["Parameters"]["ProjectID"].pop("Default") == project
    assert released["Parameters"]["ProjectID"].pop("Default") == "QuickStart007"
    assert published == released
    # A new URL would take the version away from its launches.
    assert key == f"notebook/{hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()}.yaml"
    assert answers[0]["Data"] == answers[1]["Data"]


@pytest.mark.usefixtures("s3")
def test_publishing_fails_if_the_template_has_no_default_project_to_replace(
    answers: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "released" / "2.yaml").write_text("Parameters: {}")

    publish_product.handler(event("Create", DefaultProjectID="Churn42"), context())

    assert answers[0]["Status"] == "FAILED"
    assert "0 defaults of ProjectID" in answers[0]["Reason"]


def test_a_new_version_does_not_change_the_version_in_use(
    s3: Any, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish_product.handler(event("Create"), context())
    (tmp_path / "1.yaml").write_bytes(TEMPLATE.read_bytes())
    (tmp_path / "2.yaml").write_text("the next version")
    monkeypatch.setattr(publish_product, "_VERSIONS", tmp_path)

    publish_product.handler(event("Update"), context())

    assert len(keys(s3)) == 2
    first, second = (each["Data"] for each in answers)
    assert second["Url1"] == first["Url1"] != second["Url2"]
    assert answers[0]["PhysicalResourceId"] == answers[1]["PhysicalResourceId"]


def test_the_bucket_is_emptied_when_the_platform_is_deleted(
    s3: Any, answers: list[dict[str, Any]]
) -> None:
    publish_product.handler(event("Create"), context())
    publish_product.handler(event("Update"), context())

    publish_product.handler(event("Delete"), context())

    s3.delete_bucket(Bucket="templates")  # which CloudFormation does next
    assert answers[-1]["Status"] == "SUCCESS"


def test_the_function_retries_until_it_can_write_to_the_bucket(
    s3: Any, answers: list[dict[str, Any]], pauses: list[float]
) -> None:
    with denied_at_first("PutObject", times=3):
        publish_product.handler(event("Create"), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]
    assert len(keys(s3)) == 1
    assert len(pauses) == 3


@pytest.mark.usefixtures("s3")
def test_a_missing_bucket_fails_the_deployment_with_the_reason(
    answers: list[dict[str, Any]],
) -> None:
    publish_product.handler(event("Create", Bucket="missing"), context())

    assert answers[0]["Status"] == "FAILED"
    assert "NoSuchBucket" in answers[0]["Reason"]


@pytest.mark.usefixtures("s3")
def test_a_request_without_a_bucket_is_answered(answers: list[dict[str, Any]]) -> None:
    publish_product.handler({**event("Create"), "ResourceProperties": {}}, context())

    assert answers[0]["Status"] == "FAILED"
    assert answers[0]["PhysicalResourceId"] == "PublishedTemplates"


# Deprecated versions


def deprecation(kind: str, product_id: str, *names: str) -> dict[str, Any]:
    """Return a request for the guidance of a product's versions."""
    return {
        **event(kind),
        "ResourceType": "Custom::ProductVersionGuidance",
        "ResourceProperties": {"ProductId": product_id, "DeprecatedVersions": list(names) or [""]},
        **({} if kind == "Create" else {"PhysicalResourceId": "PublishedTemplates"}),
    }


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> tuple[World, str, dict[str, str]]:
    """Return a catalog, a product with the versions 1 and 2 in it, and their ids by name."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    world = World()
    product_id, first = product(world)
    second = world.admin(
        "CreateProvisioningArtifact",
        ProductId=product_id,
        Parameters={
            "Name": "2",
            "Info": {"LoadTemplateFromURL": NEWER_URL},
            "Type": "CLOUD_FORMATION_TEMPLATE",
        },
        IdempotencyToken="2",
    )["ProvisioningArtifactDetail"]["Id"]
    return world, product_id, {"1": first, "2": second}


def test_exactly_the_named_versions_are_deprecated(
    offered: tuple[World, str, dict[str, str]], answers: list[dict[str, Any]]
) -> None:
    world, product_id, ids = offered
    with speaking_to(world) as operations:
        publish_product.handler(deprecation("Create", product_id, "1"), context())
        assert guidance(world, product_id) == {ids["1"]: "DEPRECATED", ids["2"]: "DEFAULT"}

        publish_product.handler(deprecation("Update", product_id, "2"), context())
        assert guidance(world, product_id) == {ids["1"]: "DEFAULT", ids["2"]: "DEPRECATED"}

        publish_product.handler(deprecation("Update", product_id), context())
        assert set(guidance(world, product_id).values()) == {"DEFAULT"}

        publish_product.handler(deprecation("Delete", product_id), context())

    assert operations.count("UpdateProvisioningArtifact") == 4  # unchanged versions get no call
    assert [each["Status"] for each in answers] == ["SUCCESS"] * 4
    assert {each["PhysicalResourceId"] for each in answers} == {"PublishedTemplates"}


def test_the_function_retries_until_it_can_deprecate_versions(
    offered: tuple[World, str, dict[str, str]],
    answers: list[dict[str, Any]],
    pauses: list[float],
) -> None:
    world, product_id, ids = offered

    with (
        speaking_to(world),
        denied_at_first("UpdateProvisioningArtifact", times=1),
        denied_at_first("ListProvisioningArtifacts", times=1),
    ):
        publish_product.handler(deprecation("Create", product_id, "1"), context())

    assert [said["Status"] for said in answers] == ["SUCCESS"]
    assert guidance(world, product_id) == {ids["1"]: "DEPRECATED", ids["2"]: "DEFAULT"}
    assert len(pauses) == 2


def test_deprecating_an_unknown_version_fails_and_lists_the_known_versions(
    offered: tuple[World, str, dict[str, str]], answers: list[dict[str, Any]]
) -> None:
    world, product_id, _ = offered

    with speaking_to(world):
        publish_product.handler(deprecation("Create", product_id, "1", "7"), context())

    assert answers[0]["Status"] == "FAILED"
    assert "no version 7: name versions that it has, which are 1, 2." in answers[0]["Reason"]
    assert set(guidance(world, product_id).values()) == {"DEFAULT"}
