"""The part of AWS Budgets that the budget function calls."""

from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from simulation.account import ACCOUNT


class Budgets:
    """The part of AWS Budgets that the function calls."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.warnings: dict[str, list[dict[str, Any]]] = {}
        self.spent = "0"

    def create_budget(
        self, account_id: str, budget: dict[str, Any], notifications_with_subscribers: Any
    ) -> dict[str, Any]:
        """CreateBudget."""
        assert account_id == ACCOUNT
        name = budget["BudgetName"]
        if name in self.kept:
            raise ServiceError("DuplicateRecordException", f"the budget {name} already exists.")
        self.kept[name], self.warnings[name] = budget, [*notifications_with_subscribers]
        return {}

    def update_budget(self, account_id: str, new_budget: dict[str, Any]) -> dict[str, Any]:
        """UpdateBudget, which leaves the notifications as they are."""
        assert account_id == ACCOUNT
        self.kept[self._known(new_budget["BudgetName"])] = new_budget
        return {}

    def delete_budget(self, account_id: str, budget_name: str) -> dict[str, Any]:
        """DeleteBudget."""
        assert account_id == ACCOUNT
        del self.kept[self._known(budget_name)], self.warnings[budget_name]
        return {}

    def describe_budget(self, account_id: str, budget_name: str) -> dict[str, Any]:
        """DescribeBudget."""
        assert account_id == ACCOUNT
        costs = {"ActualSpend": {"Amount": self.spent, "Unit": "USD"}}
        calculated = {"CalculatedSpend": costs} if self.spent else {}
        return {"Budget": {**self.kept[self._known(budget_name)], **calculated}}

    def describe_notifications_for_budget(
        self, account_id: str, budget_name: str
    ) -> dict[str, Any]:
        """DescribeNotificationsForBudget."""
        assert account_id == ACCOUNT
        found = [each["Notification"] for each in self.warnings[self._known(budget_name)]]
        return {"Notifications": [{**each, "NotificationState": "ALARM"} for each in found]}

    def delete_notification(
        self, account_id: str, budget_name: str, notification: Any
    ) -> dict[str, Any]:
        """DeleteNotification."""
        assert account_id == ACCOUNT
        kept = self.warnings[budget_name]
        (one,) = (each for each in kept if each["Notification"] == notification)
        kept.remove(one)
        return {}

    def create_notification(
        self, account_id: str, budget_name: str, notification: Any, subscribers: Any
    ) -> dict[str, Any]:
        """CreateNotification, which rejects a second equal one."""
        assert account_id == ACCOUNT
        kept = self.warnings[budget_name]
        assert notification not in [each["Notification"] for each in kept]
        kept.append({"Notification": notification, "Subscribers": subscribers})
        return {}

    def _known(self, name: str) -> str:
        if name not in self.kept:
            raise ServiceError("NotFoundException", f"the budget {name} doesn't exist.")
        return name
