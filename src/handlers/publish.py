"""Publishes the product's template where Service Catalog loads it from.

Behind the platform's own custom resource `Custom::ProductTemplates`; property: Bucket. A template
lies under its content's digest, so that a version in use is never overwritten.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import buckets, environment
from shared.request import CustomResourceRequest
from shared.simple_resource import Served, serve

_PRODUCT = Path(__file__).parent.parent / "product"


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Publish the template, or empty the bucket when the platform is deleted."""
    serve(event, context, _publish)


def _publish(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    bucket = str(request.ResourceProperties["Bucket"])
    if request.RequestType == "Delete":
        buckets.empty(bucket, out_of_time)
        return Served(f"The bucket {bucket} is empty.", bucket)
    template = (_PRODUCT / "notebook.yaml").read_bytes()
    name = f"notebook/{hashlib.sha256(template).hexdigest()}.yaml"
    buckets.client().put_object(Bucket=bucket, Key=name, Body=template)
    region, suffix = environment.text("AWS_REGION"), environment.text("URL_SUFFIX")
    url = f"https://{bucket}.s3.{region}.{suffix}/{name}"
    return Served(f"Published {name}.", bucket, {"NotebookUrl": url})
