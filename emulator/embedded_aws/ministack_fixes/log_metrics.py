"""Metrics in log lines, which MiniStack does not send to CloudWatch."""

from inspect import signature
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs

from embedded_aws.ministack_fixes import embedded_metrics


def install() -> None:
    """Extract the metrics of every log line."""
    append = cloudwatch_logs._append_log_events
    assert list(signature(append).parameters) == ["stream", "events"]
    assert "_aws" not in str(append.__code__.co_consts), "MiniStack reads embedded metrics now"

    def append_and_look(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        append(stream, events)
        for event in events:
            try:
                data = embedded_metrics.read(event["message"])
            except embedded_metrics.MalformedError:
                continue  # as CloudWatch does
            for each in data:
                cloudwatch.record_metric(
                    each.namespace, each.name, each.value, each.unit, dict(each.dimensions)
                )

    cloudwatch_logs._append_log_events = append_and_look
