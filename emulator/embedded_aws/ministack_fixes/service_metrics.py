"""Metrics that Step Functions and SQS send to CloudWatch; MiniStack has only Lambda's.

For executions, the module counts starts and ends (developer guide, "Monitoring Step Functions
metrics using CloudWatch"). For a queue, it sends the number of visible messages each second instead
of each minute, while there are any.
"""

import contextvars
import threading
import time
from typing import Any

from ministack.services import cloudwatch, sqs

from embedded_aws.ministack_fixes import stepfunctions

_OF_STATUS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}
_LOOK = 1.0  # seconds
_LAST_LOOKS = 65  # after a queue is empty, so that an alarm with a period of a minute sees it


def install() -> None:
    """Count executions when their status changes, and poll queues; install after both services."""
    emit = stepfunctions._ministack_emit

    def emit_and_count(execution: dict[str, Any]) -> None:
        machine = {"StateMachineArn": execution["stateMachineArn"]}
        metric = _OF_STATUS[execution["status"]]
        cloudwatch.record_metric("AWS/States", metric, 1, "Count", machine)
        emit(execution)

    stepfunctions._ministack_emit = emit_and_count
    look = contextvars.copy_context().run
    threading.Thread(target=look, args=(_look_at_queues,), name="queues", daemon=True).start()


def _look_at_queues() -> None:
    looks: dict[str, int] = {}
    while True:
        for queue in list(sqs._queues.values()):
            sqs._refresh_counts(queue)
            name, count = queue["name"], int(queue["attributes"]["ApproximateNumberOfMessages"])
            looks[name] = _LAST_LOOKS if count else looks.get(name, 0) - 1
            if looks[name] >= 0:
                cloudwatch.record_metric(
                    "AWS/SQS",
                    "ApproximateNumberOfMessagesVisible",
                    count,
                    "Count",
                    {"QueueName": name},
                )
        time.sleep(_LOOK)
