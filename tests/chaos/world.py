"""The world of one schedule: time, the platform's surroundings, and their faults.

Events happen one after another, on a clock that jumps from one to the next. Other events happen
meanwhile only while a function waits within a call.
"""

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import urllib3
from botocore.exceptions import ClientError, ReadTimeoutError

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.in_process_aws import Listed
from embedded_aws.sagemaker_notebooks.instance import Notebook, Timing
from notebook_vending.housekeeping import suspensions
from notebook_vending.housekeeping.suspensions import Suspension
from notebook_vending.notebooks.notebook import (
    LOGICAL_RESOURCE_TAG,
    OFF_HOURS_TAG,
    PLATFORM_TAG,
    STACK_TAG,
)
from simulation import events
from simulation.broken_calls import KilledError
from simulation.platform import Platform, Work
from simulation.stack import Sent
from simulation.state_machine import Execution, TaskFailedError
from tests.chaos.calendar import FUNCTIONS, CalendarJudge
from tests.chaos.cloudformation import StackLife, Until, Waits, live
from tests.chaos.judge import Judge
from tests.chaos.schedule import BY_HAND, LONGEST_LAG, Act, Hand, Night, Schedule, Trouble, Where

# stacks/lifecycle.yaml: the functions' Timeout, the rate of Overdue.
FUNCTION_TIMEOUT = 60
ATTEMPTS = 3
BEGIN = datetime(2026, 1, 5, 23, tzinfo=UTC).timestamp()  # an hour before midnight
OVERDUE_EVERY = 300
DEADLINE = 3240
ADDRESS_LIVES = 7199

PRODUCT_ID = "prod-ours"
EVENING: tuple[Act, ...] = ("start", "stop")  # by an owner who works at night

_CHANGING = {
    "CreateNotebookInstance",
    "StartNotebookInstance",
    "StopNotebookInstance",
    "UpdateNotebookInstance",
    "DeleteNotebookInstance",
    "AddTags",
    "DeleteTags",
}
_ERRORS = {
    "throttled": ("ThrottlingException", 400),
    "denied": ("AccessDeniedException", 403),
    "broken": ("InternalFailure", 500),
}


class World:
    """The events of one schedule.

    Attributes:
        calm: whether all faults are over, so that people can repair what failed.
        causes: why a request may fail.
        undisturbed: whether no call and no execution has failed so far.
        failed_answers: when the answering function failed to give a late answer.

    """

    def __init__(self, platform: Platform, schedule: Schedule) -> None:
        self.platform, self.schedule = platform, schedule
        platform.clock.now = BEGIN
        self.calm = False
        self.causes: set[str] = set()
        self.failed_answers: list[float] = []
        self.undisturbed = True
        self.story: list[str] = []
        self.lives: list[StackLife] = []
        self.judge = Judge(self)
        self.calendar = CalendarJudge(self)
        self._waits: dict[int, tuple[Waits, Until]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._busy: list[Execution] = []
        self._calls: Counter[Where] = Counter()
        self._within_call = False
        self._last_attempt = False
        self._last_overdue = 0.0
        self._disruptions = 0
        self._turns = 0
        self._checked: set[str] = set()
        self._tokens: set[str] = set()
        self._events = itertools.cycle(schedule.events)
        # What lists and searches showed, and since when. The first entry covers all earlier times.
        self._shown: list[tuple[float, Listed]] = [(0, ({}, []))]
        platform.watch = self._returned
        platform.on_event = self._event
        platform.on_notebook_event = self._notebook_event
        platform.listed = self._listed
        self._prepare()

    def tell(self, text: str) -> None:
        """Add a line to the story that a failed schedule prints."""
        self.story.append(f"{self.platform.clock.now - BEGIN:7.0f} s  {text}")

    def pause(self, seconds: float, condition: Callable[[], bool] = lambda: False) -> Until:
        """Return a wait for so many seconds, or until the condition holds."""
        return Until(condition, self.platform.clock.now + seconds)

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Run an action after so many seconds."""
        due = self.platform.clock.now + delay
        heapq.heappush(self._timers, (due, next(self._numbers), action))

    def run(self) -> None:
        """Run all events until the world is calm and none is left."""
        while self.turn():
            assert not self.judge.found, self.judge.found
            self._turns += 1
            assert self._turns < 20_000, "it never ends"

    def at_rest(self, life: StackLife, status: str) -> None:
        """End an operation of CloudFormation, and send EventBridge's event for it."""
        life.status = status
        event = events.stack_at_rest(life.stack.id, status)
        self._send(f"the stack of {life.stack.notebook} is {status}", partial(self._clean, event))

    def issue(self, life: StackLife, kind: str, **event: Any) -> Sent:
        """Issue a request of CloudFormation."""
        sent = life.stack.issue(kind, **event)
        self.tell(f"{sent.event['RequestType']} of {life.stack.notebook} is issued")
        self.judge.issued(sent)
        return sent

    def deliver(self, sent: Sent, lag: float, again: float | None) -> None:
        """Deliver a request through Lambda, once or twice."""
        if lag > LONGEST_LAG:
            expired = events.record_of_failure(sent.event, {"errorType": ""}, "EventAgeExceeded")
            self.causes.add("a request lay in the queue for too long")
            self.at(LONGEST_LAG, lambda: self._respond(expired))
        else:
            self.at(lag, lambda: self._take_in(sent))
        if again is not None:
            self.at(again, lambda: self._take_in(sent))

    def turn(self, latest: float = float("inf")) -> bool:
        """Run the next event, if it is due by `latest`; return whether there was one."""
        coming = list(self._coming())
        time = min((when for when, _ in coming), default=float("inf"))
        if time == float("inf"):
            return latest == time and self._calm_down()
        if time > latest:
            return False
        self.platform.clock.now = max(self.platform.clock.now, time)
        together = [happen for when, happen in coming if when == time]
        together[-1 if self.schedule.last_first else 0]()
        self.platform.tell_of_notebooks()
        self._show()
        return True

    def through(self, service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        """Make a call to AWS, unless a fault hits it."""
        if self._within_call or not self.platform.in_function:
            return call()
        self._calls["anywhere"] += 1
        self._calls["a change"] += operation in _CHANGING
        self._calls["an answer"] += service == "bucket"
        began = self.platform.at_work[-1].began
        if trouble := self._what_goes_wrong(service, operation):
            self.tell(f"{operation} of {self._at_work()}: {trouble.kind}")
        self._before(trouble, service, operation)
        self._check_time(began)
        if operation == "Query" and self._at_work() in FUNCTIONS:
            self.calendar.looked_at_requests()
        if operation == "ListStackResources":
            self.judge.looked_at_a_stack(self.platform.at_work[-1])
        result = self._make(operation, params, call)
        self._after(trouble, service)
        self._check_time(began)
        return result

    def put(self, method: str, url: str, **more: Any) -> Any:
        """Accept an answer as CloudFormation's bucket does, unless a fault hits it."""
        return self.through("bucket", "PUT", {}, partial(self.platform.put, method, url, **more))

    def notebooks(self) -> list[Notebook]:
        """Return the existing notebooks."""
        self.platform.notebooks.advance()
        return list(self.platform.notebooks.notebooks.by_arn.values())

    def notebook(self, name: str) -> Notebook | None:
        """Return a notebook by name, or None."""
        return next((each for each in self.notebooks() if each.name.lower() == name.lower()), None)

    def _prepare(self) -> None:
        schedule, platform = self.schedule, self.platform
        platform.notebooks.around.timing = Timing(
            pending=schedule.slow_start,
            starting=schedule.slow_start,
            stopping=schedule.slow_stop,
            deleting=schedule.slow_delete,
        )
        faults = platform.notebooks.faults
        for index, plan in enumerate(schedule.stacks):
            stack = platform.stack()
            platform.roles[stack.role] = BEGIN + plan.begins - plan.role_age
            stack.properties = stack.properties | {
                "FallbackInstanceTypes": [*plan.fallbacks],
                **({"ExpiresAfterDays": "1"} if plan.expires else {}),
                **({"OffHours": "Disabled"} if plan.excepted else {}),
                **({"NotebookInstanceName": "Somebodys"} if plan.takes else {}),
            }
            life = StackLife(stack)
            self.lives.append(life)
            self._go_on(index, live(self, life, plan))
        first = self.lives[0].stack
        if schedule.failing != "no":
            reason = "InternalServerError" if schedule.failing == "with a reason" else None
            faults.failing_notebooks[first.notebook] = reason
        for cause, there in (
            ("slow notebooks", schedule.slow_start > 240 or schedule.slow_stop > 60),
            ("no capacity", schedule.no_capacity),
            ("a notebook that fails", schedule.failing != "no"),
            ("a manual change", schedule.by_hand),
            ("a name that is taken", any(each.takes for each in schedule.stacks)),
            ("an outage", schedule.outages),
            ("a denied call", any(each.kind == "denied" for each in schedule.troubles)),
        ):
            if there:
                self.causes.add(cause)
        self._plan_what_comes()
        others = {PLATFORM_TAG: "notebook-vending", OFF_HOURS_TAG: "Disabled"}
        self._make_foreign("Somebodys", {**others, STACK_TAG: "another"})
        # It looks like a notebook of the first stack that lost a tag, but it never was one.
        self._make_foreign("Bystander", {**others, STACK_TAG: first.id})
        now = schedule.wanting == "now"
        wanting: dict[str, Any] = dict.fromkeys(schedule.no_capacity, schedule.wanting)
        faults.no_capacity, faults.not_in_zone = (set(wanting), {}) if now else (set(), wanting)

    def _make_foreign(self, name: str, tags: dict[str, str]) -> None:
        role = "arn:aws:iam::123456789012:role/somebody"
        self.platform.roles[role] = 0
        self.platform.notebooks.call(
            "CreateNotebookInstance",
            {
                "NotebookInstanceName": name,
                "InstanceType": "ml.t2.medium",  # it has capacity in every schedule
                "RoleArn": role,
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            },
        )
        made = self.notebook(name)
        assert made
        made.next = None
        made.status = "InService"
        self.judge.foreign(made)

    def _coming(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Yield every future event with its time."""
        now = self.platform.clock.now
        for each in self.platform.executions:
            if each.running and not any(each is busy for busy in self._busy):
                yield max(now, each.due), partial(self._step, each)
        if self._timers:
            yield self._timers[0][0], self._ring
        for index, (life, until) in self._waits.items():
            yield now if until.condition() else until.time, partial(self._go_on, index, life)
        if change := self.platform.notebooks.notebooks.next_change():
            yield max(now, change), self.platform.notebooks.advance
        yield self._next_overdue(), self._answer_overdue

    def _show(self) -> None:
        """Update what lists and searches show, by as much as they are behind."""
        notebooks = [{"arn": each.arn, "tags": {**each.tags}} for each in self.notebooks()]
        now = dict(self.platform.stacks), notebooks
        if now != self._shown[-1][1]:
            self._shown.append((self.platform.clock.now, now))

    def _listed(self) -> Listed:
        self._show()
        stacks, search = self.schedule.stacks_behind, self.schedule.search_behind
        return self._shown_before(stacks)[0], self._shown_before(search)[1]

    def _shown_before(self, seconds: int) -> Listed:
        latest = self.platform.clock.now - (0 if self.calm else seconds)
        return next(shown for since, shown in reversed(self._shown) if since <= latest)

    def _step(self, execution: Execution) -> None:
        self._busy.append(execution)
        try:
            self.platform.step(execution)
        finally:
            self._busy.remove(execution)

    def _ring(self) -> None:
        _, _, action = heapq.heappop(self._timers)
        action()

    def _go_on(self, index: int, life: Waits) -> None:
        self._waits.pop(index, None)
        until = next(life, None)
        if until:
            self._waits[index] = (life, until)
        for each in self.lives:
            launch = f"arn:aws:servicecatalog:us-east-1:1:stack/x/{each.provisioned_product_id}"
            self.platform.stacks[each.stack.id] = {
                "status": each.status,
                "physical_ids": [each.stack.physical_id] if each.stack.physical_id else [],
                "outputs": {"NotebookInstanceName": each.asked["NotebookInstanceName"]}
                if each.asked
                else {},
                "tags": {"aws:servicecatalog:provisionedProductArn": launch},
            }

    def _calm_down(self) -> bool:
        """End all faults and let notebooks settle; return False if the world was calm already."""
        if self.calm:
            return False
        self.calm = True
        self.platform.notebooks.around.timing = Timing()
        self.platform.notebooks.faults.no_capacity = set()
        self.platform.notebooks.faults.not_in_zone = {}
        self.platform.notebooks.faults.failing_notebooks = {}
        at_rest = [each.next.due for each in self.notebooks() if each.next]
        self.platform.clock.now = max([self.platform.clock.now, *at_rest])
        self.tell("it is calm, and people put things right")
        for notebook in self.notebooks():
            if notebook.arn in self.judge.stripped:
                notebook.tags.update(self.judge.stripped[notebook.arn])
        for hours in (0, 2, 4):  # before, during and after the repairs
            self.at(hours * 3600, partial(self._clean, events.SCHEDULED))
        self.at(72 * 3600, self._expire)
        for hours in (0, 5, 73):
            self.at(hours * 3600, self._compare)
        return True

    def _take_in(self, sent: Sent) -> None:
        """Run the request function. Every failed attempt is a disruption."""

        def failed(failure: TaskFailedError, attempt: int) -> None:
            self._disrupted()
            if attempt == ATTEMPTS:
                record = events.record_of_failure(sent.event, failure.payload)
                self.causes.add("the request function failed")
                self.at(0, lambda: self._respond(record))

        self._run("RequestFunction", sent.event, failed)

    def _clean(self, event: dict[str, Any]) -> None:
        self._run("DeleteOrphansFunction", event)

    def _expire(self) -> None:
        self._run("ExpireLaunchesFunction", {})

    def _compare(self) -> None:
        """Compare notebooks with their requests. Only an undisturbed run is judged.

        The reports of a repeated run are judged with the next one.
        """
        alone = all(each.function != "ReportDriftFunction" for each in self.platform.at_work)
        before, fails = self.judge.about_to_compare(), 0

        def failed(_failure: TaskFailedError, _attempt: int) -> None:
            nonlocal fails
            fails += 1
            self.judge.disturbed_comparisons += 1

        self._run("ReportDriftFunction", {}, failed)
        if alone and not fails:
            self.judge.compared(before)
        self.judge.disturbed_comparisons += not alone

    def _plan_what_comes(self) -> None:
        for times, action in (
            (self.schedule.orphan_cleanups, partial(self._clean, events.SCHEDULED)),
            (self.schedule.expiries, self._expire),
            (self.schedule.comparisons, self._compare),
        ):
            for time in times:
                self.at(time, action)
        for hand in self.schedule.hands:
            self.at(hand.at, partial(self._lay_hand_on, hand))
        for night in self.schedule.nights:
            self._plan_night(night)

    def _plan_night(self, night: Night) -> None:
        self.at(night.at, self._off_hours)
        self.at(night.at + night.lasts, self._on_hours)
        for after, act in zip(night.works, EVENING, strict=False):
            self.at(night.at + after, partial(self._lay_hand_on, Hand(0, 0, act)))
        if night.suspended:
            day = (BEGIN + night.at - 1, BEGIN + night.at + night.lasts + 1)
            self.calendar.suspended.append(day)
            suspensions.add(Suspension(*(datetime.fromtimestamp(each, UTC) for each in day)))

    def _off_hours(self) -> None:
        event = {"reason": "off-hours", "time": self._now()}
        self._run("StopIdleFunction", event, done=self.calendar.off_hours_ended)

    def _on_hours(self) -> None:
        event = {"reason": "on-hours", "time": self._now()}
        work = Work("StartOnHoursFunction", event, self.platform.clock.now)
        self.calendar.on_hours_begin()
        self._run(work.function, event, done=lambda _: self.calendar.on_hours_ended(work))

    def _now(self) -> str:
        return datetime.fromtimestamp(self.platform.clock.now, UTC).isoformat()

    def _wake(self, event: dict[str, Any]) -> None:
        self._run("WaitFunction", event)
        failed = event["detail"]["NotebookInstanceStatus"] == "Failed"
        if failed and self.schedule.nights:
            self._run("StartOnHoursFunction", event)

    def _respond(self, event: dict[str, Any]) -> None:
        """Run the answering function. No fault hits the third attempt.

        If it failed, the event would go to the queue of failed answers and set off an alarm.
        """

        def failed(_failure: TaskFailedError, attempt: int) -> None:
            self.failed_answers.append(self.platform.clock.now)
            assert attempt < ATTEMPTS, "the third attempt failed by itself"

        self._run("RespondFunction", event, failed)

    def _run(
        self,
        function: str,
        event: dict[str, Any],
        failed: Callable[[TaskFailedError, int], None] = lambda _failure, _attempt: None,
        attempt: int = 1,
        done: Callable[[Any], None] = lambda _result: None,
    ) -> None:
        """Run a function, and retry it after one and two more minutes, as Lambda does."""
        before = self._last_attempt
        if function == "RespondFunction":
            self._last_attempt = attempt == ATTEMPTS
        try:
            done(self.platform.invoke(function, event))
        except TaskFailedError as failure:
            failed(failure, attempt)
            if attempt < ATTEMPTS:
                again = partial(self._run, function, event, failed, attempt + 1, done)
                self.at(60 * attempt, again)
        finally:
            self._last_attempt = before
        self.platform.pick_up_executions()

    def _event(self, event: dict[str, Any]) -> None:
        self.causes.add("an execution did not end well")
        self.undisturbed = False
        self._send(f"an execution is {event['detail']['status']}", lambda: self._respond(event))

    def _notebook_event(self, event: dict[str, Any]) -> None:
        detail = event["detail"]
        what = f"{detail['NotebookInstanceName']} is {detail['NotebookInstanceStatus']}"
        self._send(what, lambda: self._wake(event))

    def _send(self, what: str, deliver: Callable[[], None]) -> None:
        """Deliver an event through EventBridge: in time, late, twice or never."""
        fate = next(self._events)
        self.tell(f"{what}; its event comes {fate}")
        if fate != "lost":
            self.at(900 if fate == "late" else 0, deliver)
        if fate == "twice":
            self.at(30, deliver)

    def _next_overdue(self) -> float:
        """Return when the next check finds an overdue request. Earlier checks do nothing."""
        now = self.platform.clock.now
        due = [
            each.issued_at + DEADLINE
            for each in self.judge.requests
            if each.event["ResponseURL"] not in self._checked
        ]
        if not due:
            return float("inf")
        first = max(now, min(due)) - BEGIN
        # Another event at the same moment must not replace the check.
        coming = BEGIN + math.ceil(first / OVERDUE_EVERY) * OVERDUE_EVERY
        return coming if coming > self._last_overdue else coming + OVERDUE_EVERY

    def _answer_overdue(self) -> None:
        now = self._last_overdue = self.platform.clock.now
        late = [each for each in self.judge.requests if now > each.issued_at + DEADLINE + 5]
        if self.undisturbed:
            self.judge.about_to_answer_overdue(late)
        self._respond(events.SCHEDULED)
        for each in late:
            if each.answers or now >= each.issued_at + ADDRESS_LIVES:
                self._checked.add(each.event["ResponseURL"])

    def _returned(self, function: str, given: Any, returned: Any) -> None:
        if function == "ObserveFunction" and returned["Decision"]["Action"] == "Succeed":
            self.judge.decided_success(given, returned)

    def _what_goes_wrong(self, service: str, operation: str) -> Trouble | None:
        if self.calm:
            return None
        now = self.platform.clock.now - BEGIN
        counted = {"anywhere": True, "a change": operation in _CHANGING}
        counted["an answer"] = service == "bucket"
        troubles = [
            each
            for each in self.schedule.troubles
            if counted[each.where] and each.call <= self._calls[each.where] < each.call + each.calls
        ]
        troubles += [
            Trouble(0, 1, each.kind)
            for each in self.schedule.outages
            if each.service == service and each.begins <= now < each.begins + each.lasts
        ]
        if not troubles:
            return None
        self.undisturbed = False
        if troubles[0].kind not in ("meanwhile", "overtaken"):
            if self._last_attempt:
                return None
            if troubles[0].kind != "slow":
                self._disrupted()
        return troubles[0]

    def _before(self, trouble: Trouble | None, service: str, operation: str) -> None:
        match trouble:
            case Trouble(kind="slow", seconds=seconds):
                self.platform.clock.advance(seconds)
            case Trouble(kind="meanwhile" | "overtaken" as kind):
                if kind == "overtaken":
                    self._give_up_waiting()
                latest = self.platform.clock.now + FUNCTION_TIMEOUT - 10
                for _ in range(16):
                    self.turn(latest)
            case Trouble(kind="aborted"):
                # Not one that changes a notebook: a cleanup handles what it does after the answer.
                if self._busy and self._at_work() in ("ObserveFunction", "RespondFunction"):
                    self.platform.abort(self._busy[-1])
            case Trouble(kind="killed"):
                raise KilledError
            case Trouble(kind=kind) if kind in _ERRORS:
                if service == "bucket":
                    raise urllib3.exceptions.ProtocolError("the connection broke")
                raise client_error(operation, *_ERRORS[kind])

    def _give_up_waiting(self) -> None:
        """Make CloudFormation continue without an answer from the running execution."""
        for index, (life, until) in list(self._waits.items()):
            name = until.answer_to.event["RequestId"] if until.answer_to else "no request's"
            if any(name in execution.name for execution in self._busy[-1:]):
                self.causes.add("CloudFormation went on without an answer")
                self.platform.clock.advance(1)  # no two of its requests share a second
                self._go_on(index, life)

    def _after(self, trouble: Trouble | None, service: str) -> None:
        match trouble:
            case Trouble(kind="killed after" | "aborted"):
                raise KilledError
            case Trouble(kind="answer lost") if service == "bucket":
                raise urllib3.exceptions.ProtocolError("no answer came")
            case Trouble(kind="answer lost"):
                raise ReadTimeoutError(endpoint_url=f"https://{service}")

    def _make(self, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        self._within_call = True
        try:
            if operation == "CreateNotebookInstance":
                result = call()
                self.judge.created(self.platform.at_work[-1].given, params["NotebookInstanceName"])
                return result
            if operation in _CHANGING:
                return self._change(operation, params, call)
            if operation in ("DescribeProvisionedProduct", "TerminateProvisionedProduct"):
                return self._of_launch(operation, params)
            if operation == "GetTopicAttributes":
                raise client_error(operation, "NotFound", 404)
            return {} if operation == "Publish" else call()
        finally:
            self._within_call = False

    def _change(self, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        """Change a notebook, if IAM allows it to the platform's roles (stacks/lifecycle.yaml).

        A missing notebook has no tags, so the call returns AccessDenied for it, too.
        """
        if "ResourceArn" in params:
            found = self.platform.notebooks.notebooks.by_arn.get(params["ResourceArn"])
        else:
            found = self.notebook(params["NotebookInstanceName"])
        if found is None or found.tags.get(PLATFORM_TAG) != "notebook-vending":
            raise client_error(operation, "AccessDeniedException", 400)
        before, status = dict(found.tags), found.status
        if self._at_work() == "ReportDriftFunction":
            self.judge.changed_by_comparison(operation, found)
        result = call()
        self.tell(f"{operation} of {found.name}, which was {status}")
        if self._at_work() in FUNCTIONS:
            self.calendar.acted(operation, found, before)
            return result
        self.calendar.touched(operation, found)
        self.judge.changed(self.platform.at_work[-1].given, operation, found, before)
        return result

    def _of_launch(self, operation: str, params: Any) -> Any:
        """Answer for Service Catalog, as the embedded Service Catalog does."""
        wanted = params.get("Id") or params["ProvisionedProductId"]
        (life,) = [each for each in self.lives if each.provisioned_product_id == wanted]
        if life.status == "DELETE_COMPLETE":
            raise client_error(operation, "ResourceNotFoundException", 400)
        changing = life.status.endswith("IN_PROGRESS")
        if operation == "DescribeProvisionedProduct":
            self.judge.looked_at_a_launch(self.platform.at_work[-1], life)
            found = {
                "ProductId": PRODUCT_ID,
                "Name": life.stack.notebook,
                "Status": "UNDER_CHANGE" if changing else "AVAILABLE",
                "LastRecordId": f"rec-{life.operations}",
            }
            return {"ProvisionedProductDetail": found}
        if params["TerminateToken"] in self._tokens:
            return {}
        if changing:
            raise client_error(operation, "ValidationException", 400)
        self._tokens.add(params["TerminateToken"])
        self.tell(f"Service Catalog terminates the launch of {life.stack.notebook}")
        self.judge.terminated(self.platform.at_work[-1], life)
        life.status, life.terminated = "DELETE_IN_PROGRESS", True
        return {}

    def _lay_hand_on(self, hand: Hand) -> None:  # noqa: C901 - one act after another
        stack = self.lives[hand.stack % len(self.lives)].stack
        notebook = self.notebook(stack.notebook)
        if self.calm:
            return
        if hand.act == "abort":
            for each in self.platform.executions:
                busy = any(each is other for other in self._busy)
                if each.running and not busy and stack.id in each.carried[0]:
                    self.tell(f"an administrator stops the execution {each.name[:20]}")
                    self.platform.abort(each)
                    return
            return
        if hand.act == "take the name" and notebook is None:
            self.tell(f"a user makes a notebook {stack.notebook}")
            self._make_foreign(stack.notebook, {})
            return
        if notebook is None or self.judge.is_foreign(notebook):
            return
        self.tell(f"a manual change: {hand.act} {notebook.name}, which is {notebook.status}")
        self.judge.changed_by_hand(notebook)
        match hand.act, notebook.status:
            case "stop", "InService":
                self._by_hand("StopNotebookInstance", notebook)
                self.judge.stopped.add(notebook.arn)
            case "start", "Stopped" | "Failed":
                try:
                    self._by_hand("StartNotebookInstance", notebook)
                except ServiceError as error:  # its type has no capacity
                    self.tell(f"the start is refused: {error}")
                else:
                    self.judge.stopped.discard(notebook.arn)
            case "delete", "Stopped" | "Failed":
                self._delete_by_hand(notebook)
            case "delete", "InService":
                self.platform.notebooks.force_status(notebook.name, "Stopped")
                self._delete_by_hand(notebook)
            case "retype" | "grow" | "replatform", "InService" | "Stopped":
                self._change_by_hand(hand.act, notebook)
            case "retag", _:
                notebook.tags["project"] = "by hand"
                self.judge.made_by_hand(notebook, "Tags: project", "by hand")
            case "untag", _:
                self.judge.strip(notebook, [LOGICAL_RESOURCE_TAG])
            case "strip", _:
                self.judge.strip(notebook, list(notebook.tags))
            case "fail", "InService":
                self.calendar.touched(hand.act, notebook)
                self.platform.notebooks.force_status(notebook.name, "Failed")
            case "maintain", "InService":
                self.calendar.touched(hand.act, notebook)
                self.platform.notebooks.force_status(
                    notebook.name, "InMaintenance", then="InService", after=900
                )

    def _delete_by_hand(self, notebook: Notebook) -> None:
        self._by_hand("DeleteNotebookInstance", notebook)
        self.judge.deleted_by_hand.add(notebook.volume_id)
        self.judge.made_by_hand(notebook, "Notebook", "deleted")

    def _change_by_hand(self, act: str, notebook: Notebook) -> None:
        """Give a notebook a value that no request has, and leave it stopped."""
        parameter, setting, value = BY_HAND[act]
        if notebook.status == "InService":
            self.platform.notebooks.force_status(notebook.name, "Stopped")
            self.judge.stopped.add(notebook.arn)
        self._by_hand("UpdateNotebookInstance", notebook, **{parameter: value})
        self.judge.made_by_hand(notebook, setting, str(value))

    def _by_hand(self, operation: str, notebook: Notebook, **more: Any) -> None:
        self.platform.notebooks.call(operation, {"NotebookInstanceName": notebook.name, **more})
        self.calendar.touched(operation, notebook)

    def _check_time(self, began: float) -> None:
        if self.platform.clock.now > began + FUNCTION_TIMEOUT:
            self._disrupted()
            self.tell(f"{self._at_work()} ran out of time")
            raise KilledError

    def _disrupted(self) -> None:
        self._disruptions += 1
        if self._disruptions >= 3:
            self.causes.add("many failed calls")

    def _at_work(self) -> str:
        return self.platform.at_work[-1].function


def client_error(operation: str, code: str, status: int) -> ClientError:
    """Return an error as botocore raises it."""
    response: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)
