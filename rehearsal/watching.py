"""Shows what happens while the program waits, and records it."""

from typing import Any

from botocore.exceptions import ClientError

from demo.progress import Progress
from demo.watch import Path, entered_states, event_lines
from notebook_vending import clock
from rehearsal import owned
from rehearsal.plan import Plan
from rehearsal.seen import Seen, StackEvent, Status
from vending.platform import client


class Watching:
    """Looks at the run's launches, its notebook and the executions of its platform."""

    def __init__(self, plan: Plan, seen: Seen, page: Progress) -> None:
        self._plan = plan
        self._seen = seen
        self._page = page
        self._events: set[str] = set()
        self._paths: dict[str, Path] = {}
        self._status = ""

    def launch(self, stack_id: str) -> None:
        """Report and record what is new of a launch's stack."""
        new = self.stack(stack_id)
        for line in event_lines(new):
            self._page.event("stack", line)

    def stack(self, stack_id: str) -> list[dict[str, Any]]:
        """Record what is new of a stack; return it, the oldest event first."""
        try:
            pages = (
                client("cloudformation")
                .get_paginator("describe_stack_events")
                .paginate(StackName=stack_id)
            )
            events = [each for page in pages for each in page["StackEvents"]]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            return []
        new = [each for each in reversed(events) if each["EventId"] not in self._events]
        self._events |= {each["EventId"] for each in new}
        self._seen.stack_events += [
            StackEvent(
                each["StackName"],
                each["LogicalResourceId"],
                each["ResourceType"],
                each["ResourceStatus"],
                each.get("ResourceStatusReason", ""),
            )
            for each in new
        ]
        return new

    def executions(self, state_machine_arn: str) -> None:
        """Report the way that requests take through the lifecycle."""
        stepfunctions = client("stepfunctions")
        listed = stepfunctions.list_executions(stateMachineArn=state_machine_arn)["executions"]
        for each in reversed(listed):
            path = self._paths.setdefault(each["executionArn"], Path())
            if path.ended:
                continue
            request = each["name"].partition("-")[0]
            pages = stepfunctions.get_paginator("get_execution_history").paginate(
                executionArn=each["executionArn"]
            )
            history = [event for page in pages for event in page["events"]]
            for line in path.walked(entered_states(history)):
                self._page.event("lifecycle", f"{request} request: {line}")

    def notebook(self) -> str:
        """Report and record the notebook's status; return it, '' when there is none."""
        try:
            status = str(
                client("sagemaker").describe_notebook_instance(
                    NotebookInstanceName=self._plan.notebook
                )["NotebookInstanceStatus"]
            )
        except ClientError as error:
            if "RecordNotFound" not in str(error):
                raise
            status = ""
        if status != self._status:
            self._status = status
            self._seen.statuses.append(Status(status or "gone", clock.now()))
            self._page.event("notebook", f"{self._plan.notebook} is {status or 'gone'}")
        return status

    def look(self, state_machine_arn: str) -> None:
        """Look at everything once."""
        for product in owned.products(self._plan):
            if product.stack_id:
                self.launch(product.stack_id)
        self.executions(state_machine_arn)
        self._page.wait_for(f"{self._plan.notebook} is {self.notebook() or 'not there'}")
