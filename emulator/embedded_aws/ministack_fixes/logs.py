"""Authorization of CloudWatch Logs.

AWS authorizes calls on a stream on the stream's ARN. MiniStack uses the log group's ARN, which a
policy for streams does not match. On AWS, a function creates a missing log group only if its role
may. MiniStack always creates it, even for a function that ends after the deletion of its log group.
"""

import json
from inspect import signature
from typing import Any

from ministack.core import iam_actions
from ministack.core.responses import get_region
from ministack.services import cloudwatch_logs, lambda_svc

from embedded_aws.runtime import roles

# Service authorization reference, "Actions defined by Amazon CloudWatch Logs": log-stream.
_ON_STREAMS = ("CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents")


def install() -> None:
    """Use the stream in the authorized ARN; install after the simulated services."""
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
    _let_functions_create_no_log_group_that_their_roles_may_not()


def _let_functions_create_no_log_group_that_their_roles_may_not() -> None:
    """Require CreateLogGroup (Lambda developer guide, "Sending … logs to CloudWatch Logs")."""
    emit = lambda_svc._emit_lambda_logs
    assert next(iter(signature(emit).parameters)) == "func"

    def emit_if_allowed(func: dict[str, Any], *args: Any, **named: Any) -> None:
        config = func.get("config") or func
        name, given = config["FunctionName"], config.get("LoggingConfig") or {}
        group = given.get("LogGroup") or f"/aws/lambda/{name}"
        if group not in cloudwatch_logs._log_groups:
            arn = cloudwatch_logs._make_group_arn(group)
            if roles.denial(config["Role"], name, "logs:CreateLogGroup", arn, get_region()):
                return
        emit(func, *args, **named)

    lambda_svc._emit_lambda_logs = emit_if_allowed
