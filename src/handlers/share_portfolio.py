"""Shares a portfolio with accounts, an organization or units of it.

Behind the platform's own custom resource `Custom::PortfolioShares`; properties: PortfolioId,
ShareWith. CloudFormation's own type shares with a single account only.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, servicecatalog
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.simple_resource import Served, serve

clients.make_at_init(servicecatalog.client)


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Share the portfolio with those named now, and no longer with those named before."""
    serve(event, context, _share)


def _share(request: CustomResourceRequest, _out_of_time: Callable[[], bool]) -> Served:
    portfolio = str(request.ResourceProperties["PortfolioId"])
    named = set(request.ResourceProperties["ShareWith"])
    before = set(request.OldResourceProperties.get("ShareWith", ()))
    if request.RequestType == "Delete":
        named, before = set(), named
    servicecatalog.share(portfolio, named, before - named)
    return Served(f"Shared with {', '.join(sorted(named)) or 'no one'}.")
