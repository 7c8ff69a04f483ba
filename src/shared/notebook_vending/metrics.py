"""What the platform counts: lines of the log in CloudWatch's embedded metric format, no call.

CloudWatch bills each combination of a metric's name and its dimensions' values as a metric of its
own ("CloudWatch pricing"), so that every dimension has few values: an enumeration's, the allowed
instance types, or the busiest ones and `OTHERS`. A request's id, a notebook and a person are no
dimensions: the line "Answered" tells of them.
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
    """Count an answer, its refusal's cause, how long it took and what it waited for.

    Once a request. `seconds` since CloudFormation issued it; `waited` in seconds by phase;
    `passed_over` are the instance types that made way for another one, for want of capacity.
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
    """Count a refusal, which is what the alarms on the platform's causes go by."""
    _put("Refusals", MetricUnit.Count, 1, Cause=cause)


def orphan(action: str) -> None:
    """Count a notebook that its stack left behind: Deleted, or only Reported."""
    _put("OrphansFound", MetricUnit.Count, 1, Action=action)


def running(
    by_project: Mapping[str, int], by_type: Mapping[str, int], usd_by_project: Mapping[str, float]
) -> None:
    """Tell how many notebooks run now, by project and by type, and what an hour of them costs."""
    for project, number in _bounded(by_project).items():
        _put("RunningNotebooks", MetricUnit.Count, number, ProjectID=project)
    for type_, number in _bounded(by_type).items():
        _put("RunningNotebooks", MetricUnit.Count, number, InstanceType=type_)
    for project, usd in _bounded(usd_by_project).items():
        _put("EstimatedHourlyCost", MetricUnit.NoUnit, usd, ProjectID=project)


def _bounded(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return the largest amounts, and the sum of the others, which is there though it be 0.

    So the sum of all is there to see when nothing runs. What CloudWatch takes for no dimension's
    value, being no printable ASCII, is among the others.
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
