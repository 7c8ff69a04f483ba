"""The tags of a launch that expires."""

from datetime import date

from aws_testing.catalog_world import ACCOUNT
from simulation.platform import Platform

UUID = "1f2e3d4c-0000-4000-8000-123456789abc"


def tags_of(provisioned_product_id: str, expires_on: date | str, **more: str) -> dict[str, str]:
    stack = f"SC-{ACCOUNT}-{provisioned_product_id}/{UUID}"
    tags = {
        "platform": "the-platform",
        "stack-id": f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{stack}",
        "provisioned-product": (
            f"arn:aws:servicecatalog:us-east-1:{ACCOUNT}:stack/mine/{provisioned_product_id}"
        ),
        "expires-on": str(expires_on),
        **{key.replace("_", "-"): value for key, value in more.items()},
    }
    return {f"notebook-vending:{key}": value for key, value in tags.items()}


def expires_on(platform: Platform, notebook: str) -> str | None:
    tags: dict[str, str] = platform.notebook(notebook)["tags"]
    return tags.get("notebook-vending:expires-on")
