"""The platform in this process: its real functions, driven by its real state machine definition.

Notebooks are the simulator's. DynamoDB, EC2, KMS and Step Functions' names are the account's. Time
is a clock that only tests move. `stack` has CloudFormation's requests.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from embedded_aws.sagemaker_notebooks.faults import CallFault
from embedded_aws.sagemaker_notebooks.in_process_aws import Listed, notebook_service
from embedded_aws.sagemaker_notebooks.service import NotebookService
from notebook_vending import clock
from notebook_vending.lifecycle import steps
from notebook_vending.lifecycle.waiting import WAKING
from notebook_vending.log import logger
from notebook_vending.requests import answer
from simulation import events
from simulation.account import Account, role_of
from simulation.broken_calls import KilledError
from simulation.clock import Clock
from simulation.functions import HANDLERS
from simulation.lambda_context import context
from simulation.services import serving
from simulation.stack import Sent, Stack
from simulation.state_machine import Execution, Machine, TaskFailedError, load
from simulation.timeline import BEGIN

SECRET = "d9f1c0ffee5ec3e7"  # in the signature of every reply address
# The tags that Service Catalog gives a launch's stack, and those that a launcher may add.
LAUNCHER = "arn:aws:sts::123456789012:assumed-role/SCEndUserRole/data,scientist@example.com"
PROVISIONED_PRODUCT = "arn:aws:servicecatalog:us-east-1:123456789012:stack/analysis/pp-a1b2c3"
STACK_TAGS = {
    "aws:servicecatalog:provisioningPrincipalArn": LAUNCHER,
    "aws:servicecatalog:provisionedProductArn": PROVISIONED_PRODUCT,
    "aws:servicecatalog:portfolioArn": "arn:aws:catalog:us-east-1:123456789012:portfolio/port-1",
    "CostCenter": "4711",
    "project": "of-the-stack",
    "notebook-vending:stack-id": "another's",
    "Notebook-Vending:Platform": "another",
}


class _Lines(logging.Handler):
    """Everything that is logged, once, as it is written; a logger hands its records on to root."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._latest: logging.LogRecord | None = None
        self.setFormatter(logger.registered_formatter)

    def emit(self, record: logging.LogRecord) -> None:
        if record is not self._latest:
            self.lines.append(self.format(record))
        self._latest = record


@dataclass(frozen=True)
class Work:
    """A function at work: what it was given, and since when, in epoch seconds."""

    function: str
    given: Any
    began: float


class _Recorded(NotebookService):
    """Notebooks whose calls CloudTrail records: those of a function with its role."""

    def __init__(self, platform: "Platform") -> None:
        around = platform.account.surroundings(platform.roles.get)
        super().__init__(around, emit=platform._changed)
        self._platform = platform

    def call(self, operation: str, params: Mapping[str, Any], caller: Any = None) -> dict[str, Any]:
        answer = super().call(operation, params, caller)
        at_work = self._platform.at_work
        role = role_of(at_work[-1].function) if at_work else ""
        self._platform.account.trail.record(operation, params, role)
        return answer


class Platform:
    """The platform, its surroundings, and the means to break them.

    Attributes:
        roles: when each execution role was made, in epoch seconds.
        bucket_answers: what the response bucket answers to the next PUTs, 200 once they are used
            up; an exception is raised in place of an answer, after the bucket took the PUT.
        logged: every line that was logged.
        raised: every exception of a function, as a text with its traceback.
        stacks: the stacks as CloudFormation describes them, by ID: see `notebook_service`.
        listed: what lists and searches show, which may be behind: see `notebook_service`.
        tried: the instance type of each start of a notebook, in order.
        at_work: the functions that run at the moment, the innermost last.
        watch: gets the name, the input and the result of every function of an execution that
            returned.
        events_arrive: whether EventBridge delivers, which AWS does not guarantee.
        on_event: what EventBridge does with an execution's event.
        on_notebook_event: what it does with one of SageMaker's.

    """

    def __init__(self) -> None:
        self.clock = Clock(BEGIN)
        self.roles: dict[str, float] = {}
        self.executions: list[Execution] = []
        self.bucket_answers: list[int | Exception] = []
        self.logged: list[str] = []
        self.raised: list[str] = []
        self.stacks: dict[str, dict[str, Any]] = {}
        self.listed: Callable[[], Listed] = lambda: (self.stacks, self._all_notebooks())
        self._sent: dict[str, Sent] = {}
        self._stacks = 0
        self._kills: dict[str, list[bool]] = {}
        self.tried: list[str] = []
        self.at_work: list[Work] = []
        self.watch: Callable[[str, Any, Any], None] = lambda _name, _given, _returned: None
        self.events_arrive = True
        self.notebook_events_arrive = True
        self._notebook_events: list[dict[str, Any]] = []
        self.on_event: Callable[[dict[str, Any]], object] = self.respond_to
        self.on_notebook_event: Callable[[dict[str, Any]], object] = self.tell_of_notebook
        self._machine = Machine(load(), {name: self._task(name) for name in HANDLERS})
        self.account = Account(self.clock)
        self.account.states.wake = self._wake
        self.notebooks = _Recorded(self)

    @property
    def in_function(self) -> bool:
        """Whether a function runs at the moment."""
        return bool(self.at_work)

    def stack(self) -> Stack:
        """Return a new stack."""
        self._stacks += 1
        return Stack(self, self._stacks)

    def issue(self, event: dict[str, Any]) -> Sent:
        """Give a request its reply address; it is not delivered yet."""
        url = events.reply_address(event, self.clock.now, f"{SECRET}{uuid4().hex}")
        event = {**event, "ResponseURL": url}
        sent = self._sent[event["ResponseURL"]] = Sent(event, self.clock.now, self.executions)
        return sent

    def deliver(self, sent: Sent) -> None:
        """Deliver a request: run the request function, twice more if it fails, as Lambda does.

        After the last failure, its destination gets the request.
        """
        failed = self._asynchronously("RequestFunction", sent.event)
        self.pick_up_executions()
        if failed:
            self.tell_destination(sent, failed)

    def tell_destination(self, sent: Sent, failed: TaskFailedError) -> None:
        """Send a request that the request function failed to record to its destination."""
        self.respond_to(events.record_of_failure(sent.event, failed.payload))

    def answer_overdue(self) -> None:
        """Invoke the answering function with its schedule's event, at any time."""
        self.respond_to(events.SCHEDULED)

    def clean(self, event: Any) -> TaskFailedError | None:
        """Invoke the function that cleans up asynchronously, and take over what it started."""
        failed = self._asynchronously("DeleteOrphansFunction", event)
        self.pick_up_executions()
        return failed

    def respond_to(self, event: Any) -> TaskFailedError | None:
        """Invoke the answering function asynchronously; return what ends in its queue."""
        return self._asynchronously("RespondFunction", event)

    def abort(self, execution: Execution) -> None:
        """Stop an execution, as an operator may."""
        execution.status = "ABORTED"
        self._ended(execution)

    def run(
        self, until: Callable[[], bool] = lambda: False, first: Execution | None = None
    ) -> None:
        """Let time pass until the condition holds or nothing runs any more.

        If several executions are due at the same time, `first` goes first.
        """
        while not until() and (running := [e for e in self.executions if e.running]):
            self.step(min(running, key=lambda each: (each.due, each is not first)))

    def step(self, execution: Execution) -> None:
        """Let one execution enter its next state, when it is due or woken."""
        self._let_notebooks_change(execution)
        self.clock.now = max(self.clock.now, execution.due)
        self._machine.step(execution, self.clock.now)
        if execution.status not in ("RUNNING", "ABORTED"):
            self._ended(execution)

    def step_until(self, execution: Execution, state: str) -> None:
        """Let one execution go on alone until it is about to enter a state."""
        while execution.at != state:
            assert execution.running, f"it ended before {state}"
            self.step(execution)

    def take_away(self, name: str) -> None:
        """Delete a notebook behind the platform's back, and let it be gone."""
        self.notebooks.force_status(name, "Stopped")
        self.notebooks.call("DeleteNotebookInstance", {"NotebookInstanceName": name})
        self.clock.advance(100)
        assert self.status(name) is None

    def fail_calls(self, operation: str, code: str, message: str = "", **more: Any) -> None:
        """Have the next call (or `calls` of them) of a SageMaker operation ("*": any) fail."""
        self.notebooks.faults.call_faults.append(
            CallFault(operation, code, message or code, **more)
        )

    def kill(self, function: str, *, after: bool) -> None:
        """Have a function's process die the next time, before or after it did its work."""
        self._kills.setdefault(function, []).append(after)

    def status(self, name: str) -> str | None:
        """Return a notebook's status in SageMaker, None when there is none."""
        found = [each for each in self._all_notebooks() if each["name"] == name]
        return found[0]["status"] if found else None

    def notebook(self, name: str) -> dict[str, Any]:
        """Return everything the simulator knows of a notebook."""
        (found,) = [each for each in self._all_notebooks() if each["name"] == name]
        return found

    def describe(self, name: str) -> dict[str, Any]:
        """Describe a notebook as SageMaker does."""
        return self.notebooks.call("DescribeNotebookInstance", {"NotebookInstanceName": name})

    def calls(self, operation: str) -> int:
        """Return how often an operation of SageMaker was called."""
        return self.notebooks.faults.calls[operation]

    def expect_nothing_left(self) -> None:
        """Check that no notebook, network interface or grant on the key is there."""
        assert self._all_notebooks() == []
        assert self.account.network.describe_network_interfaces()["NetworkInterfaces"] == []
        assert self.account.keys.list_grants(self.account.key_arn)["Grants"] == []

    def expect_no_address_anywhere(self) -> None:
        """Check that no execution, log line or exception contains a response URL."""
        for execution in self.executions:
            assert all(SECRET not in each for each in execution.carried)
        assert all(SECRET not in each for each in self.logged)
        assert all(SECRET not in each for each in self.raised)

    def put(self, method: str, url: str, *, body: bytes, headers: dict[str, str]) -> Any:
        """Take an answer, as CloudFormation's bucket does."""
        assert (method, headers) == ("PUT", {"Content-Type": ""})
        assert len(body) <= 4096
        status = self.bucket_answers.pop(0) if self.bucket_answers else 200
        if not isinstance(status, int) or status == 200:
            self._sent[url].take(body, self.clock.now)
        if isinstance(status, Exception):
            raise status
        return SimpleNamespace(status=status)

    def _changed(self, event: dict[str, Any]) -> None:
        if event["detail"]["NotebookInstanceStatus"] == "Pending":
            self.tried.append(event["detail"]["InstanceType"])
        self._notebook_events.append(event)

    def _let_notebooks_change(self, execution: Execution) -> None:
        """Let pass what happens before an execution is due, which may make it due earlier."""
        self.tell_of_notebooks()
        while (change := self.notebooks.notebooks.next_change()) and change <= execution.due:
            self.clock.now = max(self.clock.now, change)
            self.notebooks.advance()
            self.tell_of_notebooks()

    def tell_of_notebooks(self) -> None:
        """Send EventBridge the events that SageMaker has reported since the last call."""
        told, self._notebook_events = self._notebook_events, []
        for event in told:
            if self.notebook_events_arrive and event["detail"]["NotebookInstanceStatus"] in WAKING:
                self.on_notebook_event(event)

    def tell_of_notebook(self, event: Any) -> None:
        """Let SageMaker's event come."""
        self._asynchronously("WaitFunction", event)

    def _wake(self, token: str) -> bool:
        for each in self.executions:
            if each.running and each.token == token:
                self._machine.wake(each, self.clock.now)
                return True
        return False

    def _all_notebooks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.notebooks.state()["notebooks"]
        return found

    def _task(self, name: str) -> Callable[[Any], Any]:
        def task(data: Any) -> Any:
            returned = self.invoke(name, data)
            self.watch(name, data, returned)
            return returned

        return task

    def invoke(self, name: str, given: Any) -> Any:
        """Run a function once; raises TaskFailedError when it fails, or dies."""
        kills = self._kills.get(name, [])
        kill_after = kills.pop(0) if kills else None
        died = TaskFailedError("Runtime.ExitError", '{"errorMessage": "exit status 137"}')
        if kill_after is False:
            raise died
        self.at_work.append(Work(name, given, self.clock.now))
        try:
            result = HANDLERS[name](given, context())
        except KilledError:
            raise died from None
        except Exception as error:
            failed = TaskFailedError.of(error)
            self.raised.append(str(failed))
            raise failed from None
        finally:
            self.at_work.pop()
        if kill_after:
            raise died
        return result

    def _asynchronously(self, name: str, given: Any) -> TaskFailedError | None:
        """Invoke up to three times, as Lambda does; return the last failure if all failed."""
        failed = None
        for _ in range(3):
            try:
                self.invoke(name, given)
            except TaskFailedError as error:
                failed = error
            else:
                return None
        return failed

    def _ended(self, execution: Execution) -> None:
        arn = self.account.states.arn(execution.name)
        self.account.states.started[execution.name].running = False
        if not self.events_arrive or execution.status == "SUCCEEDED":
            return
        self.on_event(events.execution_ended(arn, execution.status, execution.carried[0]))

    def pick_up_executions(self) -> None:
        """Take over the executions that were started since, to be driven from now on."""
        known = {each.name for each in self.executions}
        for each in self.account.states.started.values():
            if each.name not in known:
                self.executions.append(
                    self._machine.start(each.name, json.loads(each.input), self.clock.now)
                )


@contextmanager
def running_platform(patch: pytest.MonkeyPatch, **environment: str) -> Iterator[Platform]:
    """Run a platform; at its end, check that it leaked no response URL.

    `environment` holds the variables of the functions that must differ.
    """
    # A refused call is retried after a random pause, which is the same in each run here.
    patch.setattr(steps, "random", Random(1))  # noqa: S311 - no secret
    with ExitStack() as ending:
        platform = Platform()
        ending.enter_context(
            notebook_service(
                platform.notebooks, STACK_TAGS, platform.stacks, lambda: platform.listed()
            )
        )
        ending.enter_context(serving(platform.account.services))
        for name, value in {**platform.account.environment, **environment}.items():
            patch.setenv(name, value)
        patch.setattr(clock, "now", lambda: datetime.fromtimestamp(platform.clock.now, UTC))
        patch.setattr(answer, "_http", SimpleNamespace(request=platform.put))
        lines = _Lines()
        platform.logged = lines.lines
        for each in (logging.getLogger(logger.service), logging.getLogger()):
            each.addHandler(lines)
            ending.callback(each.removeHandler, lines)
        yield platform
        platform.expect_no_address_anywhere()
