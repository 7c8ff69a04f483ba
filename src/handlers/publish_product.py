"""Publishes the product's templates, and deprecates versions of the product.

The function is behind two custom resources of the platform.

`Custom::ProductTemplates` (properties: Bucket, DefaultProjectID) puts every template where Service
Catalog loads it from. The key is the digest of the released template. The content has the default
project of the deployment that published it first. It never overwrites an object, because Service
Catalog keeps a version as it was made.

`Custom::ProductVersionGuidance` (properties: ProductId, DeprecatedVersions) deprecates versions,
which CloudFormation cannot do.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from notebook_vending import environment
from notebook_vending.aws import clients, s3, servicecatalog
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.simple_resource import Served, serve

clients.make_at_init(s3.client, servicecatalog.client)

_VERSIONS = Path(__file__).parent.parent / "product" / "versions"
_DEFAULT_PROJECT = re.compile(rb"(?m)^(  ProjectID:\n    Type: String\n    Default: ).*$")


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Publish the templates, or deprecate versions in Service Catalog."""
    serve(event, context, _serve)


def _serve(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    if request.ResourceType == "Custom::ProductVersionGuidance":
        return _deprecate(request)
    return _publish(request, out_of_time)


def _publish(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    properties = request.ResourceProperties
    bucket = str(properties["Bucket"])
    if request.RequestType == "Delete":
        s3.empty(bucket, out_of_time)
        return Served(f"The bucket {bucket} is empty.", bucket)
    region, suffix = environment.text("AWS_REGION"), environment.text("URL_SUFFIX")
    urls = {}
    for path in sorted(_VERSIONS.glob("*.yaml")):
        template = path.read_bytes()
        name = f"notebook/{hashlib.sha256(template).hexdigest()}.yaml"
        _put(bucket, name, _with_default(template, str(properties.get("DefaultProjectID", ""))))
        urls[f"Url{path.stem}"] = f"https://{bucket}.s3.{region}.{suffix}/{name}"
    return Served(f"Published {len(urls)} versions.", bucket, urls)


def _put(bucket: str, key: str, body: bytes) -> None:
    """Put an object unless it exists. Raises ClientError, BotoCoreError."""
    try:
        s3.client().put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise


def _with_default(template: bytes, project: str) -> bytes:
    """Return a template with this default of ProjectID, or unchanged if `project` is empty."""
    if not project:
        return template
    changed, count = _DEFAULT_PROJECT.subn(rf"\g<1>'{project}'".encode(), template)
    if count != 1:
        raise ValueError(f"the template has {count} defaults of ProjectID, not one")
    return changed


def _deprecate(request: CustomResourceRequest) -> Served:
    product = str(request.ResourceProperties["ProductId"])
    if request.RequestType == "Delete":  # the product goes next
        return Served("The versions are left as they are.")
    deprecated = [name for name in request.ResourceProperties["DeprecatedVersions"] if name]
    servicecatalog.deprecate(product, deprecated)
    return Served(f"Deprecated: {', '.join(deprecated) or 'none'}.")
