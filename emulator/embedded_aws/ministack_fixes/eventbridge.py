"""Resource policies of EventBridge targets, which MiniStack does not check.

A function's policy is evaluated with the rule and its account. A topic's policy is evaluated
without them: EventBridge supports no conditions there (user guide, "Using resource-based
policies"). AWS does not document which condition keys EventBridge sends to KMS for a topic's key.
"""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from inspect import signature
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, kms, lambda_svc, sns

from embedded_aws.ministack_fixes import authorizations, keys

_log = logging.getLogger(__name__)

# Schedules of EventBridge Scheduler come here, too. They are not rules and act with a role.
_rule: ContextVar[str] = ContextVar("rule_arn", default="")


def install() -> None:
    """Check the policy of a rule's target (function or topic); install after Lambda's wrappers."""
    invoke_target, deliver = eventbridge._invoke_target, eventbridge._dispatch_to_lambda
    publish = eventbridge._dispatch_to_sns
    assert list(signature(publish).parameters) == ["arn", "payload"]
    assert list(signature(invoke_target).parameters) == ["target", "event", "rule", "view"]
    assert list(signature(deliver).parameters) == ["arn", "payload"]

    def invoke(target: Any, event: Any, rule: Any, view: Any = None) -> None:
        token = _rule.set(rule["Arn"] if rule["Arn"].split(":")[2] == "events" else "")
        try:
            invoke_target(target, event, rule, view)
        finally:
            _rule.reset(token)

    def deliver_if_allowed(arn: str, payload: str) -> None:
        rule = _rule.get()
        if rule and not _may_invoke(rule, arn):
            _log.error("EventBridge: the policy of %s does not admit %s", arn, rule)
            return
        deliver(arn, payload)

    def publish_if_allowed(arn: str, payload: str) -> None:
        if _rule.get() and not _may_publish(arn):
            _log.error("EventBridge: the policies of %s and its key do not admit it", arn)
            return
        publish(arn, payload)

    eventbridge._invoke_target = invoke
    eventbridge._dispatch_to_lambda = deliver_if_allowed
    eventbridge._dispatch_to_sns = publish_if_allowed


def _may_invoke(rule: str, function: str) -> bool:
    source = {"aws:sourcearn": rule, "aws:sourceaccount": get_account_id()}
    found = lambda_svc.function_policy_for_arn(function)
    return _admits(found, "lambda:InvokeFunction", function, source)


def _may_publish(topic: str) -> bool:
    if not _admits(sns.topic_policy_for_arn(topic), "sns:Publish", topic, {}):
        return False
    return all(
        _admits(kms.key_policy_for_arn(key), action, key, {})
        for key in keys.of("sns", topic)
        for action in ("kms:GenerateDataKey", "kms:Decrypt")  # SNS guide, "Key management"
    )


def _admits(
    found: tuple[Any, str] | None, action: str, resource: str, source: Mapping[str, str]
) -> bool:
    """Return whether a policy (with its owner, or None) allows EventBridge; record the decision."""
    document = found[0] if found else {"Statement": []}
    context = iam_evaluator.EvalContext(
        principal_arn=authorizations.EVENTS,
        principal_type="Service",
        principal_account=get_account_id(),
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context={**source},
    )
    decided = iam_evaluator.evaluate_resource_policy(
        document, context, service=authorizations.EVENTS
    )
    allowed = bool(decided.decision == "Allow")
    authorizations.record(authorizations.EVENTS, context, {resource: document}, allowed=allowed)
    return allowed
