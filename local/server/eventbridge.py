"""What EventBridge may invoke: on AWS the function's own policy decides, MiniStack asks nobody."""

import logging
from contextvars import ContextVar
from inspect import signature
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, lambda_svc

from local.server import authorizations

_log = logging.getLogger(__name__)

# A schedule of EventBridge Scheduler is delivered here too, and is no rule: it acts under a role.
_rule: ContextVar[str] = ContextVar("rule_arn", default="")


def install() -> None:
    """Ask the policy of a rule's target, where that is a function. Comes after Lambda's wraps."""
    invoke_target, deliver = eventbridge._invoke_target, eventbridge._dispatch_to_lambda
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

    eventbridge._invoke_target = invoke
    eventbridge._dispatch_to_lambda = deliver_if_allowed


def _may_invoke(rule: str, function: str) -> bool:
    found = lambda_svc.function_policy_for_arn(function)
    document = found[0] if found else {"Statement": []}
    context = iam_evaluator.EvalContext(
        principal_arn=authorizations.EVENTS,
        principal_type="Service",
        principal_account=get_account_id(),
        action="lambda:InvokeFunction",
        resource_arn=function,
        region=get_region(),
        service_context={"aws:sourcearn": rule, "aws:sourceaccount": get_account_id()},
    )
    decided = iam_evaluator.evaluate_resource_policy(
        document, context, service=authorizations.EVENTS
    )
    allowed = bool(decided.decision == "Allow")
    authorizations.record(authorizations.EVENTS, context, {function: document}, allowed=allowed)
    return allowed
