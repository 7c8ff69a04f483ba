"""What CloudWatch Logs asks IAM about: calls on a stream are judged on the stream.

MiniStack judges them on the log group, which a policy that names streams does not allow.
"""

import json
from inspect import signature
from typing import Any

from ministack.core import iam_actions

# Service authorization reference, "Actions defined by Amazon CloudWatch Logs": log-stream.
_ON_STREAMS = ("CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents")


def install() -> None:
    """Name the stream in the ARN that is judged. Comes after the services of ours."""
    extract = iam_actions.extract_resource_arn
    assert next(iter(signature(extract).parameters)) == "service"

    def extract_with_stream(service: str, *args: Any) -> str:
        arn: str = extract(service, *args)
        _method, _path, headers, body, *_ = args
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if service != "logs" or operation not in _ON_STREAMS:
            return arn
        return f"{arn}:log-stream:{json.loads(body)['logStreamName']}"

    iam_actions.extract_resource_arn = extract_with_stream
