"""The functions' calls to Service Catalog, answered by the simulator in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from aws_testing.catalog_world import World
from embedded_aws.runtime.service_model import ServiceError
from notebook_vending.aws import servicecatalog
from simulation.broken_calls import intercepted


@contextmanager
def speaking_to(world: World) -> Iterator[list[str]]:
    """Send the calls to Service Catalog to this world; yield the called operations."""
    operations: list[str] = []

    def answer(service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        if service != "servicecatalog":
            return call()
        operations.append(operation)
        try:
            return world.admin(operation, **params)
        except ServiceError as error:
            response: Any = {"Error": {"Code": error.code, "Message": error.message}}
            raise ClientError(response, operation) from error

    servicecatalog.client.cache_clear()
    with intercepted(answer):
        yield operations
    servicecatalog.client.cache_clear()


def guidance(world: World, product_id: str) -> dict[str, str]:
    """Return the guidance of a product's versions, by their ids."""
    found = world.admin("ListProvisioningArtifacts", ProductId=product_id)
    return {each["Id"]: each["Guidance"] for each in found["ProvisioningArtifactDetails"]}


def shared_with(world: World, portfolio_id: str) -> set[str]:
    """Return the accounts and organizations that a portfolio is shared with."""
    kinds = ("ACCOUNT", "ORGANIZATION", "ORGANIZATIONAL_UNIT")
    return {
        each["PrincipalId"]
        for kind in kinds
        for each in world.admin("DescribePortfolioShares", PortfolioId=portfolio_id, Type=kind)[
            "PortfolioShareDetails"
        ]
    }
