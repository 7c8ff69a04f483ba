"""Publishes versions of functions, so that an execution ends with the code that it began with.

The function is behind the platform's custom resource `Custom::FunctionVersions`. Its property
Functions has the functions by the attribute names that the answer has for their versions' ARNs. Its
other properties change whenever a function does, because CloudFormation sends an Update only then.
It never removes an older version, as an execution may still run with it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import clients, lambda_
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.simple_resource import Served, serve

clients.make_at_init(lambda_.client)


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Publish functions that have changed, and answer with the version of each function."""
    serve(event, context, _publish)


def _publish(request: CustomResourceRequest, _out_of_time: Callable[[], bool]) -> Served:
    if request.RequestType == "Delete":
        return Served("The versions go with their functions.")
    named = request.ResourceProperties["Functions"]
    versions = {name: lambda_.publish_version(function) for name, function in named.items()}
    numbers = (f"{name} {arn.rpartition(':')[2]}" for name, arn in versions.items())
    return Served(f"Published: {', '.join(numbers)}.", data=versions)
