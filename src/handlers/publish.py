"""Publishes the product's versions: their templates, and which of them are to be launched no more.

Behind two custom resources of the platform's own. `Custom::ProductTemplates` (property: Bucket)
puts every template where Service Catalog loads it from, under its content's digest, so that one in
use is never overwritten. `Custom::ProductVersionGuidance` (properties: ProductId,
DeprecatedVersions) deprecates versions, which CloudFormation cannot.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import buckets, catalog, environment
from shared.request import CustomResourceRequest
from shared.simple_resource import Served, serve

_VERSIONS = Path(__file__).parent.parent / "product" / "versions"


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Publish the templates, or tell Service Catalog which versions are deprecated."""
    serve(event, context, _serve)


def _serve(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    if request.ResourceType == "Custom::ProductVersionGuidance":
        return _deprecate(request)
    return _publish(request, out_of_time)


def _publish(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    bucket = str(request.ResourceProperties["Bucket"])
    if request.RequestType == "Delete":
        buckets.empty(bucket, out_of_time)
        return Served(f"The bucket {bucket} is empty.", bucket)
    region, suffix = environment.text("AWS_REGION"), environment.text("URL_SUFFIX")
    urls = {}
    for path in sorted(_VERSIONS.glob("*.yaml")):
        template = path.read_bytes()
        name = f"notebook/{hashlib.sha256(template).hexdigest()}.yaml"
        buckets.client().put_object(Bucket=bucket, Key=name, Body=template)
        urls[f"Url{path.stem}"] = f"https://{bucket}.s3.{region}.{suffix}/{name}"
    return Served(f"Published {len(urls)} versions.", bucket, urls)


def _deprecate(request: CustomResourceRequest) -> Served:
    product = str(request.ResourceProperties["ProductId"])
    if request.RequestType == "Delete":  # the product goes next
        return Served("The versions are left as they are.")
    deprecated = [name for name in request.ResourceProperties["DeprecatedVersions"] if name]
    catalog.deprecate(product, deprecated)
    return Served(f"Deprecated: {', '.join(deprecated) or 'none'}.")
