"""A simulator of SageMaker's notebook instances.

All state depends on an injected clock. Each call, and `NotebookService.advance`, first makes the
transitions that are due. Nothing runs in the background and nothing waits, so a test can advance
its clock by hours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from embedded_aws.runtime import service_model
from embedded_aws.sagemaker_notebooks import control as notebook_control
from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.faults import Faults, error_of
from embedded_aws.sagemaker_notebooks.instance import Notebook, Transition
from embedded_aws.sagemaker_notebooks.lifecycle_configs import LifecycleConfigs
from embedded_aws.sagemaker_notebooks.operations import NotebookOperations
from embedded_aws.sagemaker_notebooks.permissions import Context, request_context, tagging_context
from embedded_aws.sagemaker_notebooks.tags import TagOperations, Tags, checked_tags

Answer = dict[str, Any]
Params = Mapping[str, Any]
Operation = Callable[[Params, Any], Answer]
Event = dict[str, Any]

# Default page sizes of lists; ListTags has no smaller pages.
_PAGE_SIZES = {"ListTags": 50}
_PAGE_SIZE = 10


class NotebookService:
    """SageMaker's notebook instances of one account and Region.

    Calls may come from several threads. `emit` gets each state-change event, those of one call in
    order. The lock is free during `emit`, so it may call the simulator.
    """

    def __init__(self, around: Surroundings, emit: Callable[[Event], None] | None = None) -> None:
        self.around = around
        self.faults = Faults()
        self._emit = emit
        self._events: list[Event] = []
        self._lock = threading.RLock()
        self._at_work = False
        self._config_tags: dict[str, Tags] = {}
        self.configs = LifecycleConfigs(
            lambda name: around.arn("notebook-instance-lifecycle-config", name), around.clock
        )
        self.notebooks = NotebookOperations(around, self.faults, self.configs, self._entered)
        self._tags = TagOperations(self._tags_of)
        self.operations: dict[str, Operation] = self._operation_table()

    def call(self, operation: str, params: Params, caller: Any = None) -> Answer:
        """Answer a call with JSON-decoded parameters; times in the answer are datetimes.

        `caller` is passed to `Surroundings.require`.
        Raises ServiceError with the service's error.
        """
        with self._working():
            late_fault = self.faults.arrive(operation, self.around.clock())
            service_model.validate("sagemaker", operation, params)
            answer = self.operations[operation](params, caller)
            if late_fault:
                raise error_of(late_fault)
            service_model.check_output("sagemaker", operation, answer)
            return answer

    def advance(self) -> None:
        """Catch up with the clock: make due transitions and emit their events."""
        with self._working():
            pass

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Catch up with the clock, hold the lock, and emit events after releasing it."""
        events: list[Event] = []
        try:
            with self._lock:
                if self._at_work:
                    # The simulator's own call to EC2 or KMS led back to this function.
                    yield
                    return
                self._at_work = True
                try:
                    self.notebooks.advance(self.around.clock())
                    yield
                finally:
                    self._at_work = False
                    events, self._events = self._events, []
        finally:
            for event in events:
                if self._emit:
                    self._emit(event)

    def _entered(self, notebook: Notebook) -> None:
        self._events.append(notebook.state_change_event())

    def force_status(
        self,
        name: str,
        status: str,
        *,
        failure_reason: str | None = None,
        then: str | None = None,
        after: float = 0.0,
    ) -> None:
        """Set a notebook's status to any value, even an invented one.

        The status stays, or becomes `then` after `after` seconds.
        Raises ServiceError(ValidationException) if the notebook does not exist.
        """
        with self._working():
            notebook = self.notebooks.find(name)
            now = self.around.clock()
            notebook.become(status, now, Transition(then, now + after) if then else None)
            notebook.failure_reason = failure_reason
            self._entered(notebook)

    def state(self) -> dict[str, Any]:
        """Return the state, including internal attributes such as the data volume's ID."""
        with self._working():
            shown = notebook_control.state(self.around, self.faults, self.notebooks)
            return {**shown, "lifecycle_configs": self.configs.names()}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change timing and faults (see `control.configure`)."""
        with self._working():
            notebook_control.configure(self.around, self.faults, self.force_status, settings)

    def condition_context(self, operation: str, params: Params) -> tuple[str, Context]:
        """Return the resource ARN ("*" if the operation has none) and the condition keys of a call.

        Use it to check the operation's own permission before the call. It neither waits for a
        running call nor catches up with the clock.
        """
        arn = self._resource_arn(params)
        tags = dict(self._tags_of(arn) or {})
        context = request_context(operation, params, tags, self.around.volume_key_condition)
        if config := params.get("LifecycleConfigName"):
            key = "sagemaker:NotebookInstanceLifecycleConfigArns"
            context = {**context, key: [self.configs.arn(config)]}
        return arn, context

    def _resource_arn(self, params: Params) -> str:
        for member, kind in (
            ("NotebookInstanceName", "notebook-instance"),
            ("NotebookInstanceLifecycleConfigName", "notebook-instance-lifecycle-config"),
        ):
            if params.get(member):
                return self.around.arn(kind, params[member])
        return params.get("ResourceArn") or "*"

    def _tags_of(self, arn: str) -> Tags | None:
        notebook = self.notebooks.by_arn.get(arn)
        return notebook.tags if notebook else self._config_tags.get(arn)

    def _create_config(self, params: Params, caller: Any) -> Answer:
        tags = checked_tags(params, {})
        if tags:  # as for the tags of a new notebook
            arn = self.configs.arn(params["NotebookInstanceLifecycleConfigName"])
            context = tagging_context("CreateNotebookInstanceLifecycleConfig", params)
            self.around.require(caller, "sagemaker:AddTags", arn, context)
        answer = self.configs.create(params)
        self._config_tags[answer["NotebookInstanceLifecycleConfigArn"]] = tags
        return answer

    def _delete_config(self, params: Params) -> Answer:
        answer = self.configs.delete(params)
        del self._config_tags[self.configs.arn(params["NotebookInstanceLifecycleConfigName"])]
        return answer

    def _page_size(self, operation: str, params: Params) -> int:
        asked: int = params.get("MaxResults") or _PAGE_SIZES.get(operation, _PAGE_SIZE)
        return min(asked, self.faults.page_size or asked)

    def _operation_table(self) -> dict[str, Operation]:
        notebooks, configs, tags = self.notebooks, self.configs, self._tags

        def describe(params: Params, _caller: Any) -> Answer:
            return notebooks.find(params["NotebookInstanceName"]).describe()

        def without_caller(operation: Callable[[Params], Answer]) -> Operation:
            return lambda params, _caller: operation(params)

        def listing(name: str, operation: Callable[[Params, int], Answer]) -> Operation:
            return lambda params, _caller: operation(params, self._page_size(name, params))

        table: dict[str, Operation] = {
            "CreateNotebookInstance": notebooks.create,
            "DescribeNotebookInstance": describe,
            "UpdateNotebookInstance": notebooks.update,
            "StartNotebookInstance": notebooks.start,
            "StopNotebookInstance": notebooks.stop,
            "CreatePresignedNotebookInstanceUrl": without_caller(notebooks.presign),
            "DeleteNotebookInstance": notebooks.delete,
            "AddTags": without_caller(tags.add),
            "DeleteTags": without_caller(tags.delete),
            "CreateNotebookInstanceLifecycleConfig": self._create_config,
            "DescribeNotebookInstanceLifecycleConfig": without_caller(configs.describe),
            "UpdateNotebookInstanceLifecycleConfig": without_caller(configs.update),
            "DeleteNotebookInstanceLifecycleConfig": without_caller(self._delete_config),
        }
        lists: dict[str, Callable[[Params, int], Answer]] = {
            "ListNotebookInstances": notebooks.list,
            "ListNotebookInstanceLifecycleConfigs": configs.list,
            "ListTags": tags.list,
        }
        return table | {name: listing(name, operation) for name, operation in lists.items()}
