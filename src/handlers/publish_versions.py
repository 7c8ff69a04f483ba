"""Publishes versions of functions, so that what was begun with one ends with it.

Behind the platform's own custom resource `Custom::FunctionVersions`. Its property Functions gives
functions by the names that their versions' ARNs are answered under; the others are there to change
whenever a function does, as CloudFormation asks again only then. An older version is never removed:
an execution may run with it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending.aws import lambda_
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.simple_resource import Served, serve


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Publish what has changed, and answer with the version of each function."""
    serve(event, context, _publish)


def _publish(request: CustomResourceRequest, _out_of_time: Callable[[], bool]) -> Served:
    if request.RequestType == "Delete":
        return Served("The versions go with their functions.")
    named = request.ResourceProperties["Functions"]
    versions = {name: lambda_.publish_version(function) for name, function in named.items()}
    numbers = (f"{name} {arn.rpartition(':')[2]}" for name, arn in versions.items())
    return Served(f"Published: {', '.join(numbers)}.", data=versions)
