"""The platform's metrics: log lines in CloudWatch's embedded metric format, which need no call.

CloudWatch bills each combination of a metric's name and its dimensions' values as a metric of its
own ("CloudWatch pricing"). So every dimension has few values: those of an enumeration, the allowed
instance types, or the busiest ones and `OTHERS`. Request IDs, notebooks and people are no
dimensions. The log line "Answered" has them.
"""

from collections.abc import Mapping, Sequence

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from notebook_vending.log import logger

NAMESPACE = "NotebookVending"
OTHERS = "(others)"
_BUSIEST = 10  # values of a dimension that launchers choose


def answered(
    request_type: str,
    outcome: str,
    *,
    cause: str,
    seconds: float,
    in_service: bool,
    waited: Mapping[str, float],
    passed_over: Sequence[str],
) -> None:
    """Count a request's one answer: its outcome, cause, time and waits.

    `seconds` is the time since CloudFormation issued the request, `waited` the seconds by phase.
    `passed_over` are the instance types without capacity that the launch tried first.
    """
    _put("Answers", MetricUnit.Count, 1, RequestType=request_type, Outcome=outcome)
    if outcome != "SUCCESS":
        refused(cause)
    elif in_service:
        _put("TimeToInService", MetricUnit.Seconds, seconds, RequestType=request_type)
    elif request_type in ("Delete", "OrphanCleanup"):
        _put("TimeToGone", MetricUnit.Seconds, seconds, RequestType=request_type)
    for phase, spent in waited.items():
        _put("Waited", MetricUnit.Seconds, spent, Phase=phase)
    for type_ in passed_over:
        _put("CapacityFallbacks", MetricUnit.Count, 1, InstanceType=type_)


def refused(cause: str) -> None:
    """Count a refusal. The alarms for the platform's causes use this metric."""
    _put("Refusals", MetricUnit.Count, 1, Cause=cause)


def orphan(action: str) -> None:
    """Count an orphan; `action` is Deleted or Reported."""
    _put("OrphansFound", MetricUnit.Count, 1, Action=action)


def drift(kind: str, setting: str) -> None:
    """Count a new difference by its kind, Changed or NarrowerNow, and by its setting.

    All tags are one setting.
    """
    _put("DriftFound", MetricUnit.Count, 1, Kind=kind)
    _put("DriftFound", MetricUnit.Count, 1, Setting=setting.partition(":")[0])


def running(
    by_project: Mapping[str, int], by_type: Mapping[str, int], usd_by_project: Mapping[str, float]
) -> None:
    """Publish how many notebooks run, by project and by type, and their hourly cost."""
    for project, number in _bounded(by_project).items():
        _put("RunningNotebooks", MetricUnit.Count, number, ProjectID=project)
    for type_, number in _bounded(by_type).items():
        _put("RunningNotebooks", MetricUnit.Count, number, InstanceType=type_)
    for project, usd in _bounded(usd_by_project).items():
        _put("EstimatedHourlyCost", MetricUnit.NoUnit, usd, ProjectID=project)


def _bounded(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return the largest amounts, and the sum of the others, even if it is 0.

    So the total is published when nothing runs, too. CloudWatch accepts only printable ASCII as a
    dimension's value, so other names count among the others.
    """
    fit = {name: each for name, each in amounts.items() if name.isascii() and name.isprintable()}
    largest = sorted(fit, key=lambda name: (-fit[name], name))[:_BUSIEST]
    bounded = {name: fit[name] for name in largest if name.strip()}
    return {**bounded, OTHERS: sum(amounts.values()) - sum(bounded.values())}


def _put(name: str, unit: MetricUnit, value: float, **dimensions: str) -> None:
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    metrics.add_metric(name, unit, value)
    for dimension, of in dimensions.items():
        metrics.add_dimension(dimension, of)
    logger.info(name, extra={**metrics.serialize_metric_set()})
