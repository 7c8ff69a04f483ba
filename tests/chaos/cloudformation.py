"""Simulate what CloudFormation does with a stack that holds one notebook.

A life is a generator: it yields what it waits for, and continues when that happens or its time is
up. CloudFormation waits for an answer for the ServiceTimeout. It rolls a failed Create back with a
Delete, and a failed Update with an Update to the old properties. It deletes the old resource of a
replacement in up to three attempts (user guide, "Update behaviors of stack resources" and "Custom
resources").
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulation.stack import SERVICE_TIMEOUT, Sent, Stack
from tests.chaos.schedule import Change, Delivery, StackPlan, Update

if TYPE_CHECKING:
    from tests.chaos.world import World

Answer = dict[str, Any]


@dataclass(frozen=True)
class Until:
    """What a life waits for, and until when at most, in epoch seconds.

    `answer_to` is the request whose answer it waits for, if any.
    """

    condition: Callable[[], bool]
    time: float
    answer_to: Sent | None = None


Waits = Generator[Until, None, None]


@dataclass
class StackLife:
    """A stack and its progress.

    Attributes:
        status: CloudFormation's status of the stack.
        asked: the properties of the last request that succeeded.
        asked_at: when that request was issued, or the Create if none succeeded.
        issued_at: when the last request was issued.
        operations: the number of operations, since Service Catalog has a record for each.
        terminated: whether Service Catalog is terminating it.

    """

    stack: Stack
    status: str = "CREATE_IN_PROGRESS"
    asked: dict[str, Any] | None = None
    asked_at: float = 0
    issued_at: float = 0
    operations: int = 0
    terminated: bool = False

    @property
    def provisioned_product_id(self) -> str:
        """The launch's provisioned product ID, in which the stack's name ends."""
        return self.stack.id.split("/")[1].split("-", 2)[2]

    @property
    def alive(self) -> bool:
        """Whether its notebook must exist."""
        return self.asked is not None

    def begin(self, status: str) -> None:
        """Begin an operation."""
        self.status, self.operations = status, self.operations + 1


def live(world: "World", life: StackLife, plan: StackPlan) -> Waits:
    """Live a stack's life as planned, then let a person repair what failed."""
    yield world.pause(plan.begins)
    yield from _create(world, life, plan.create)
    for update in plan.updates:
        if life.alive and life.status != "UPDATE_ROLLBACK_FAILED":
            yield world.pause(update.after, lambda: life.terminated)
            if not life.terminated:
                yield from _update(world, life, update)

    def ends() -> bool:
        stuck = life.status in ("DELETE_FAILED", "UPDATE_ROLLBACK_FAILED")
        return life.terminated or (stuck and world.calm)

    if life.alive:
        lasts = plan.deleted_after if plan.deletion else float("inf")
        yield world.pause(lasts, ends)
        yield from _delete(world, life, plan.deletion or Delivery())
    by_people = 0
    while life.status == "DELETE_FAILED" and by_people < 2:  # the first may come too early
        yield Until(ends, float("inf"))
        by_people += world.calm
        yield from _delete(world, life, Delivery())


def _create(world: "World", life: StackLife, delivery: Delivery) -> Waits:
    stack = life.stack
    life.begin("CREATE_IN_PROGRESS")
    life.asked_at = world.platform.clock.now
    answer = yield from _ask(world, life, "Create", delivery)
    if answer and answer["Status"] == "SUCCESS":
        stack.physical_id, life.asked = answer["PhysicalResourceId"], stack.properties
        world.judge.accepted(stack.notebook)
        world.at_rest(life, "CREATE_COMPLETE")
        return
    # CloudFormation invents an ID for a resource without an answer.
    invented = f"{stack.id.split('/')[1]}-Notebook-1A2B3C4D5E6F7"
    stack.physical_id = answer["PhysicalResourceId"] if answer else invented
    yield from _delete(world, life, Delivery())


def _update(world: "World", life: StackLife, update: Update) -> Waits:
    stack, before = life.stack, life.stack.properties
    life.begin("UPDATE_IN_PROGRESS")
    stack.properties = before | _change(update.change, stack)
    answer = yield from _ask(world, life, "Update", update.delivery, OldResourceProperties=before)
    if answer and answer["Status"] == "SUCCESS":
        life.status = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
        yield from _settle(world, life, answer, before)
        world.at_rest(life, "UPDATE_COMPLETE")
        return
    life.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    tried, stack.properties = stack.properties, before
    answer = yield from _ask(world, life, "Update", update.rollback, OldResourceProperties=tried)
    if answer and answer["Status"] == "SUCCESS":
        life.status = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
        yield from _settle(world, life, answer, tried)
        world.at_rest(life, "UPDATE_ROLLBACK_COMPLETE")
    else:
        world.at_rest(life, "UPDATE_ROLLBACK_FAILED")


def _settle(world: "World", life: StackLife, answer: Answer, old: dict[str, Any]) -> Waits:
    """Accept an update's success, and delete the notebook that it replaced."""
    stack, before = life.stack, life.stack.physical_id
    life.asked, stack.physical_id = stack.properties, answer["PhysicalResourceId"]
    new = stack.properties
    if {name for name in {*old, *new} if old.get(name) != new.get(name)} != {"Repair"}:
        life.asked_at = life.issued_at  # a repair does not move the expiry date
    world.judge.accepted(stack.notebook)
    for _ in range(3):
        if stack.physical_id == before:
            return
        answered = yield from _ask(
            world,
            life,
            "Delete",
            Delivery(),
            PhysicalResourceId=before,
            ResourceProperties=old,
        )
        if answered and answered["Status"] == "SUCCESS":
            return


def _delete(world: "World", life: StackLife, delivery: Delivery) -> Waits:
    life.begin("DELETE_IN_PROGRESS")
    life.terminated = False
    answer = yield from _ask(world, life, "Delete", delivery)
    if answer and answer["Status"] == "SUCCESS":
        life.asked = None
        world.at_rest(life, "DELETE_COMPLETE")
    else:
        world.at_rest(life, "DELETE_FAILED")


def _ask(
    world: "World", life: StackLife, kind: str, delivery: Delivery, **event: Any
) -> Generator[Until, None, Answer | None]:
    """Send a request and return its answer, or None if CloudFormation continues without one."""
    first = world.issue(life, kind, **event)
    life.issued_at = first.issued_at
    world.deliver(first, delivery.lag, delivery.again)
    heard = [first]

    def answered() -> bool:
        return any(each.answers for each in heard)

    patience = min(SERVICE_TIMEOUT, delivery.given_up or SERVICE_TIMEOUT)
    if delivery.given_up:
        world.causes.add("CloudFormation went on without an answer")
    end = world.platform.clock.now + patience
    if delivery.retried and delivery.retried < patience:
        yield world.pause(delivery.retried, answered)
        if not answered():
            again = world.issue(life, kind, RequestId=first.event["RequestId"], **event)
            world.deliver(again, 0, None)
            world.causes.add("CloudFormation sent a request again")
            heard = [first, again] if delivery.hears_both else [again]
    yield Until(answered, end, answer_to=heard[-1])
    return next((each.answers[0] for each in heard if each.answers), None)


def _change(change: Change, stack: Stack) -> dict[str, Any]:
    now = stack.properties
    match change:
        case "type":
            large = now["NotebookInstanceType"] == "ml.t3.large"
            return {"NotebookInstanceType": "ml.t3.medium" if large else "ml.t3.large"}
        case "bigger":
            return {"VolumeSizeInGB": str(int(now["VolumeSizeInGB"]) + 10)}
        case "smaller":
            return {"VolumeSizeInGB": "10"}
        case "tags":
            return {"Tags": [{"Key": "project", "Value": f"{now['Tags'][0]['Value']}+"}]}
        case "root":
            enabled = now["RootAccess"] == "Enabled"
            return {"RootAccess": "Disabled" if enabled else "Enabled"}
        case "subnet":
            return {"Subnet": "another"}
        case "rename":
            name = f"{now['NotebookInstanceName']}-again"
            return {"NotebookInstanceName": name, "AllowReplacement": "YES"}
        case "not allowed":
            return {"NotebookInstanceType": "ml.p5.48xlarge"}
        case "nothing" | "repair":
            name = "ENVName" if change == "nothing" else "Repair"
            return {name: f"{now.get(name, '')}1"}
