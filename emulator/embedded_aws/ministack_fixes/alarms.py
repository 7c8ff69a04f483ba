"""CloudWatch alarms: they evaluate their own dimensions and obey the policies of topics.

MiniStack evaluates an alarm at PutMetricData with all values of its metric name, in any dimension,
and publishes to any topic.
"""

import logging
import operator
import time
from inspect import signature
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import cloudwatch, kms, sns

log = logging.getLogger(__name__)

_SERVICE = "cloudwatch.amazonaws.com"
# On the topic's key, if it has one (re:Post, "How do I configure a CloudWatch alarm with an
# encrypted SNS topic?").
_USES_OF_KEY = ("kms:Decrypt", "kms:GenerateDataKey")
_COMPARES = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# The state for missing data; None keeps the current one (user guide, "Configuring how
# CloudWatch alarms treat missing data").
_MISSING = {"notBreaching": False, "breaching": True, "missing": None, "ignore": None}


def install() -> None:
    """Evaluate alarms when values arrive, and check a topic's policy before publishing."""
    assert list(signature(cloudwatch._evaluate_alarm).parameters) == ["alarm"]
    record, dispatch = cloudwatch.record_metric, cloudwatch._dispatch_alarm_actions
    assert list(signature(record).parameters)[:2] == ["namespace", "metric_name"]
    assert list(signature(dispatch).parameters) == ["alarm", "old_state", "new_state", "reason"]

    def record_and_evaluate(namespace: str, metric_name: str, *args: Any, **kwargs: Any) -> None:
        record(namespace, metric_name, *args, **kwargs)
        for alarm in list(cloudwatch._alarms.values()):
            if (alarm["Namespace"], alarm["MetricName"]) == (namespace, metric_name):
                _evaluate(alarm)

    def dispatch_where_allowed(alarm: dict[str, Any], *change: str) -> None:
        actions = ("AlarmActions", "OKActions", "InsufficientDataActions")
        allowed = {
            name: [arn for arn in alarm.get(name) or [] if _may_publish(alarm, arn)]
            for name in actions
        }
        dispatch({**alarm, **allowed}, *change)

    cloudwatch._evaluate_alarm = _evaluate
    cloudwatch.record_metric = record_and_evaluate
    cloudwatch._dispatch_alarm_actions = dispatch_where_allowed


def _evaluate(alarm: dict[str, Any]) -> None:
    """Compare the values of the latest period; only one evaluation period is supported."""
    assert alarm["EvaluationPeriods"] == 1, "the embedded AWS looks at one period"
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm["Dimensions"]))
    points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
    since = time.time() - alarm["Period"]
    recent = [point for point in points if point["Timestamp"] >= since]
    if recent:
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        value = cloudwatch._stat_value(cloudwatch._calc_stats(recent), statistic, recent)
        breaching = _COMPARES[alarm["ComparisonOperator"]](value, alarm["Threshold"])
        reason = f"Threshold Crossed: {statistic} {value} {alarm['ComparisonOperator']}"
    else:
        breaching = _MISSING[alarm["TreatMissingData"]]
        reason = "no datapoints were received"
    if breaching is None:
        return
    old, new = alarm["StateValue"], "ALARM" if breaching else "OK"
    if old == new:
        return
    alarm |= {"StateValue": new, "StateReason": reason, "StateUpdatedTimestamp": int(time.time())}
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)


def _may_publish(alarm: dict[str, Any], action: str) -> bool:
    """Return whether the policies of the topic and its key let the alarm publish."""
    if not cloudwatch._is_sns_action_arn(action):
        return True
    return may_publish(_SERVICE, alarm["AlarmArn"], action, responses.get_account_id())


def may_publish(service: str, source: str, topic_arn: str, account: str) -> bool:
    """Return whether the policies of a topic and its key let a service publish for a resource."""
    if not sns.topic_policy_allows(topic_arn, service, source, account):
        log.error("%s is not authorized to perform: SNS:Publish on: %s", source, topic_arn)
        return False
    topic = sns._topic_by_arn_any_scope(topic_arn)
    key_id = topic["attributes"].get("KmsMasterKeyId")
    if not key_id:
        return True
    key = kms._resolve_key(key_id)
    refused = key is None or any(
        _refuses(service, key, use, source, account) for use in _USES_OF_KEY
    )
    if refused:  # the policy of an AWS managed key does not allow alarms either
        log.error("%s may not use the key of %s", source, topic_arn)
    return not refused


def _refuses(service: str, key: dict[str, Any], use: str, source: str, account: str) -> bool:
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=use,
        resource_arn=key["Arn"],
        region=responses.get_region(),
        service_context={"aws:sourcearn": source, "aws:sourceaccount": account},
    )
    found = iam_evaluator.evaluate_resource_policy(key["Policy"], context, service=service)
    return bool(found.decision != "Allow")
