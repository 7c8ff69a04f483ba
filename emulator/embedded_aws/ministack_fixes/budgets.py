"""AWS Budgets: their IAM actions, costs set by a control, and notifications to topics.

MiniStack has no costs, so it never sends a notification. It authorizes each operation under the
operation's name, but IAM has only two actions for budgets and their notifications.
"""

import json
import logging
from collections.abc import Mapping
from decimal import Decimal
from inspect import signature
from typing import Any

from ministack.core import iam_actions, responses
from ministack.services import budgets, sns

from embedded_aws.ministack_fixes import alarms
from embedded_aws.runtime import control

log = logging.getLogger(__name__)

_SERVICE = "budgets.amazonaws.com"
_READS = ("Describe", "List")
# The amount spent this month in USD, by budget name.
_spent: dict[str, str] = {}


def install() -> None:
    """Make budgets show the amount set by the control, and authorize their operations as AWS."""
    action_of, arn_of = iam_actions.extract_iam_action, iam_actions.extract_resource_arn
    assert next(iter(signature(action_of).parameters)) == "service"
    assert next(iter(signature(arn_of).parameters)) == "service"
    spend = budgets._calculated_spend
    assert spend({"BudgetName": "b"})["ActualSpend"]["Amount"] == "0", "MiniStack has a bill now"

    def action(service: str, *args: Any) -> str | None:
        """Return an operation's IAM action (service authorization reference, AWS Budgets)."""
        named: str | None = action_of(service, *args)
        if service != "budgets" or named is None:
            return named
        return f"budgets:{'View' if named.partition(':')[2].startswith(_READS) else 'Modify'}Budget"

    def arn(service: str, *args: Any) -> str:
        if service != "budgets":
            return str(arn_of(service, *args))
        told = json.loads(args[3] or b"{}")
        name = told.get("BudgetName") or (told.get("Budget") or told.get("NewBudget") or {}).get(
            "BudgetName", "*"
        )
        return str(budgets._budget_arn(name))

    def spent(budget: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = spend(budget)
        shown["ActualSpend"]["Amount"] = _spent.get(budget["BudgetName"], "0")
        return shown

    iam_actions.extract_iam_action, iam_actions.extract_resource_arn = action, arn
    budgets._calculated_spend = spent
    control.register("budgets", _spend)


def _spend(_method: str, body: Any, _query: Mapping[str, Any]) -> dict[str, str]:
    """Set the amounts spent, by budget name, and return all amounts."""
    for name, amount in (body or {}).items():
        _spent[name] = str(amount)
        budget = budgets._budgets.get(name)
        if budget is None:
            raise ValueError(f"there is no budget {name}")
        budget["CalculatedSpend"] = budgets._calculated_spend(budget)
        for each in budgets._notification_store.get(name, []):
            _notify(budget, each)
    return _spent


def _notify(budget: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
    """Publish a notification to its topics once the amount spent exceeds its threshold."""
    notification, limit = entry["notification"], Decimal(budget["BudgetLimit"]["Amount"])
    threshold = Decimal(str(notification["Threshold"]))
    if notification["ThresholdType"] == "PERCENTAGE":
        threshold = limit * threshold / 100
    if notification["NotificationType"] != "ACTUAL":  # forecasts are not simulated
        return
    is_over = Decimal(_spent[budget["BudgetName"]]) > threshold
    was_over = notification["NotificationState"] == "ALARM"
    notification["NotificationState"] = "ALARM" if is_over else "OK"
    if was_over or not is_over:
        return
    source = budgets._budget_arn(budget["BudgetName"])
    for each in entry["subscribers"]:
        topic = each["Address"]
        if each["SubscriptionType"] != "SNS":
            continue
        if alarms.may_publish(_SERVICE, source, topic, responses.get_account_id()):
            text = (
                f"AWS Budget Notification: the ACTUAL Cost of your {budget['BudgetName']} budget "
                f"is greater than ${threshold:.2f} for the current month."
            )
            sns.publish_internal(topic, text, "AWS Budgets")
        else:
            log.error("%s may not publish to %s", source, topic)
