"""A schedule: CloudFormation's requests, and everything that goes wrong meanwhile.

It is plain data, so Hypothesis can shrink a failed schedule to the parts that make it fail. Times
are in seconds.
"""

import operator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args

from hypothesis import strategies as st

T = TypeVar("T")

# The longest time that Lambda queues an invocation of the request function:
# MaximumEventAgeInSeconds in stacks/lifecycle.yaml.
LONGEST_LAG = 600

Change = Literal[
    "type",
    "bigger",
    "smaller",
    "tags",
    "root",
    "subnet",
    "rename",
    "not allowed",
    "nothing",
    "repair",
]
Kind = Literal[
    "throttled",
    "denied",
    "broken",
    "answer lost",
    "killed",
    "killed after",
    "slow",
    "meanwhile",
    "overtaken",
    "aborted",
]
Where = Literal["anywhere", "a change", "an answer"]
Service = Literal[
    "sagemaker",
    "dynamodb",
    "stepfunctions",
    "ec2",
    "cloudformation",
    "bucket",
    "resourcegroupstaggingapi",
    "servicecatalog",
    "cloudtrail",
]
Act = Literal[
    "stop",
    "start",
    "delete",
    "untag",
    "strip",
    "fail",
    "maintain",
    "abort",
    "take the name",
    "retype",
    "grow",
    "replatform",
    "retag",
]
# Manual changes: the parameter, the name of the setting in a report, and a value no request has.
BY_HAND: dict[str, tuple[str, str, Any]] = {
    "retype": ("InstanceType", "NotebookInstanceType", "ml.t2.medium"),
    "grow": ("VolumeSizeInGB", "VolumeSizeInGB", 900),
    "replatform": ("PlatformIdentifier", "PlatformIdentifier", "notebook-al2-v3"),
}
Fate = Literal["in time", "late", "twice", "lost"]


@dataclass(frozen=True)
class Delivery:
    """How a request arrives, and how long CloudFormation waits for its answer.

    Attributes:
        lag: how long it stays in Lambda's queue.
        again: when Lambda delivers it a second time.
        retried: when CloudFormation sends it again, with the same RequestId.
        hears_both: whether it then still accepts the answer to the first one.
        given_up: when CloudFormation continues without an answer, because another step failed.

    """

    lag: int = 0
    again: int | None = None
    retried: int | None = None
    hears_both: bool = False
    given_up: int | None = None


@dataclass(frozen=True)
class Update:
    """An update of the stack: its delay after the last request, its change, and its delivery."""

    after: int = 0
    change: Change = "type"
    delivery: Delivery = Delivery()
    rollback: Delivery = Delivery()


@dataclass(frozen=True)
class StackPlan:
    """A stack's life.

    Attributes:
        begins: when it is launched.
        role_age: how old its execution role is then.
        fallbacks: its fallback instance types.
        takes: whether it requests the name of another stack's notebook, existing or future.
        expires: whether it expires a day after its launch or its last update.
        excepted: whether it is exempt from off-hours.
        deletion: how its Delete arrives, or None for a stack that is not deleted.

    """

    begins: int = 0
    role_age: int = 3600
    takes: bool = False
    expires: bool = False
    excepted: bool = False
    fallbacks: tuple[str, ...] = ()
    create: Delivery = Delivery()
    updates: tuple[Update, ...] = ()
    deleted_after: int = 0
    deletion: Delivery | None = Delivery()


@dataclass(frozen=True)
class Trouble:
    """A fault in calls of the platform's functions, the PUT of an answer included.

    Attributes:
        call: the number of the first call that fails, counted over all functions.
        calls: how many calls fail.
        where: which calls count: those that change a notebook, those that answer, or all.
        seconds: how long a slow call takes.

    "meanwhile" lets other events happen between a function's read and its call. "overtaken" makes
    CloudFormation continue without an answer before the call. In "aborted" an administrator stops
    the execution whose function observes or answers, and the function dies after the call.

    """

    call: int
    calls: int
    kind: Kind
    where: Where = "anywhere"
    seconds: int = 0


@dataclass(frozen=True)
class Outage:
    """A period in which a service denies, throttles or fails every call."""

    service: Service
    kind: Kind
    begins: int
    lasts: int


@dataclass(frozen=True)
class Hand:
    """What a user does to a stack's notebook, or to its execution, in the console."""

    at: int
    stack: int
    act: Act


@dataclass(frozen=True)
class Night:
    """Off-hours, and on-hours some time after them. A suspended day has neither.

    Attributes:
        lasts: how long after off-hours the on-hours begin.
        works: when after off-hours the first stack's owner starts and stops the notebook.

    """

    at: int
    lasts: int
    suspended: bool = False
    works: tuple[int, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """A schedule.

    Attributes:
        events: the fates of EventBridge's events, repeated in a cycle.
        orphan_cleanups: when the scheduled cleanup runs.
        expiries: when the expiry function runs. Launches of the first hour that expire do so at
            90,000 seconds, at midnight.
        comparisons: when notebooks are compared with their requests.
        nights: when off-hours and on-hours begin.
        stacks_behind, search_behind: how outdated the list of all stacks and the search for tags
            are, until the schedule is calm.
        slow_start, slow_stop, slow_delete: how long notebooks take.
        no_capacity: instance types without capacity until the schedule is calm.
        wanting: how SageMaker reports that: no capacity now, or none in the zone, as the reason of
            a failure or as an error of the call.
        failing: whether the first stack's notebook ends in Failed, with a reason or without.
        last_first: whether the last of several simultaneous events happens first.

    """

    stacks: tuple[StackPlan, ...]
    troubles: tuple[Trouble, ...] = ()
    outages: tuple[Outage, ...] = ()
    hands: tuple[Hand, ...] = ()
    events: tuple[Fate, ...] = ("in time",)
    slow_start: int = 240
    slow_stop: int = 60
    no_capacity: tuple[str, ...] = ()
    wanting: Literal["now", "reason", "call"] = "now"
    failing: Literal["no", "with a reason", "without one"] = "no"
    look_every: int = 60
    last_first: bool = False
    slow_delete: int = 30
    orphan_cleanups: tuple[int, ...] = ()
    expiries: tuple[int, ...] = ()
    comparisons: tuple[int, ...] = ()
    stacks_behind: int = 0
    search_behind: int = 0
    nights: tuple[Night, ...] = ()

    @property
    def by_hand(self) -> bool:
        """Whether a user changes a notebook by hand."""
        return bool(self.hands or any(each.works for each in self.nights))


def brief(thing: object) -> str:
    """Return a schedule, or a part of one, as the expression that makes it, without defaults."""
    if isinstance(thing, tuple):
        return f"({''.join(f'{brief(each)}, ' for each in thing)})"
    if not is_dataclass(thing):
        return repr(thing)
    said = [
        f"{each.name}={brief(getattr(thing, each.name))}"
        for each in fields(thing)
        if getattr(thing, each.name) != each.default
    ]
    return f"{type(thing).__name__}({', '.join(said)})"


def _rarely(
    value: st.SearchStrategy[T], otherwise: T | None = None, one_in: int = 5
) -> st.SearchStrategy[T | None]:
    return st.integers(1, one_in).flatmap(lambda n: value if n == one_in else st.just(otherwise))


def _some(of: st.SearchStrategy[T], *numbers: int) -> st.SearchStrategy[tuple[T, ...]]:
    """Return a tuple whose length is one of the numbers, a repeated number being likelier."""
    return st.sampled_from(numbers).flatmap(
        lambda number: st.lists(of, min_size=number, max_size=number).map(tuple)
    )


_deliveries = st.builds(
    Delivery,
    lag=_rarely(st.integers(1, LONGEST_LAG + 100), 0),
    again=_rarely(st.integers(0, 7200)),
    retried=_rarely(st.integers(1, 3599), one_in=8),
    hears_both=st.booleans(),
    given_up=_rarely(st.integers(1, 1000), one_in=8),
)
_updates = st.builds(
    Update,
    after=st.one_of(st.integers(0, 300), st.integers(0, 300), st.integers(88_000, 91_000)),
    change=st.sampled_from((*get_args(Change), "rename", "type")),
    delivery=_deliveries,
    rollback=_deliveries,
)
_stacks = st.builds(
    StackPlan,
    begins=st.integers(0, 120),
    role_age=st.sampled_from((3600, 0, 5)),
    takes=_rarely(st.just(True), False, one_in=10),
    expires=_rarely(st.just(True), False, one_in=4),
    excepted=_rarely(st.just(True), False, one_in=8),
    fallbacks=_rarely(
        st.sampled_from((("ml.t3.large",), ("ml.g5.xlarge", "ml.t3.large"))), (), one_in=3
    ),
    create=_deliveries,
    updates=_some(_updates, 0, 1, 1, 2, 3),
    deleted_after=st.integers(0, 300),
    deletion=st.one_of(_deliveries, _deliveries, st.none()),
)
_kinds = st.sampled_from(get_args(Kind))
_troubles = st.one_of(
    st.builds(
        Trouble,
        call=st.integers(1, 150),
        calls=st.integers(1, 4),
        kind=_kinds,
        seconds=st.integers(1, 70),
    ),
    st.builds(
        Trouble,
        call=st.integers(1, 5),
        calls=st.integers(1, 2),
        kind=st.one_of(_kinds, st.sampled_from(("meanwhile", "overtaken", "aborted"))),
        where=st.sampled_from(("a change", "an answer")),
        seconds=st.integers(1, 70),
    ),
)
_outages = st.builds(
    Outage,
    service=st.sampled_from(get_args(Service)),
    kind=st.sampled_from(("throttled", "denied", "broken")),
    begins=st.integers(0, 2500),
    lasts=st.one_of(st.integers(1, 600), st.integers(1, 7200)),
)
_hands = st.builds(
    Hand,
    at=st.one_of(st.integers(60, 500), st.integers(60, 2500)),
    stack=st.integers(0, 1),
    act=st.sampled_from((*get_args(Act), "stop", "delete", "delete", "abort")),
)

# Late enough that most notebooks are ready and no request is in progress.
_changes_by_hand = st.builds(
    Hand,
    at=st.integers(400, 6000),
    stack=st.just(0),
    act=st.sampled_from((*BY_HAND, "retag", "delete", "delete")),
)
_nights = st.builds(
    Night,
    at=st.one_of(st.integers(240, 700), st.integers(240, 3000), st.integers(86_000, 92_000)),
    lasts=st.one_of(st.integers(100, 4000), st.integers(11_000, 50_000)),
    suspended=_rarely(st.just(True), False),
    works=_rarely(st.tuples(st.integers(60, 300), st.integers(310, 900)), (), one_in=3),
)

schedules: st.SearchStrategy[Schedule] = st.builds(
    Schedule,
    stacks=_some(_stacks, 1, 1, 1, 2),
    troubles=_some(_troubles, 0, 1, 2, 3, 6),
    outages=_some(_outages, 0, 0, 0, 0, 1),
    hands=st.builds(
        operator.add, _some(_hands, 0, 0, 0, 1, 3), _some(_changes_by_hand, 0, 0, 0, 1, 2)
    ),
    events=_some(st.sampled_from(get_args(Fate)), 1, 2, 4),
    slow_start=_rarely(st.sampled_from((900, 5000)), 240, one_in=8),
    slow_stop=_rarely(st.sampled_from((1500, 20_000)), 60, one_in=8),
    no_capacity=_rarely(
        st.sampled_from((("ml.t3.medium",), ("ml.t3.large",), ("ml.t3.medium", "ml.g5.xlarge"))),
        (),
        one_in=6,
    ),
    wanting=st.sampled_from(("now", "reason", "call")),
    failing=_rarely(st.sampled_from(("with a reason", "without one")), "no", one_in=10),
    look_every=st.sampled_from((60, 120, 300)),
    last_first=st.booleans(),
    slow_delete=st.sampled_from((30, 90, 400)),
    orphan_cleanups=_some(st.integers(0, 8000), 0, 1, 3),
    expiries=_some(st.integers(89_000, 98_000), 0, 1, 3),
    # Mostly after the hands, so that a manual change is reported, and reported only once.
    comparisons=_some(st.one_of(st.integers(500, 4000), st.integers(0, 8000)), 0, 1, 3, 5),
    stacks_behind=_rarely(st.sampled_from((60, 900, 5000)), 0, one_in=3),
    nights=_some(_nights, 0, 0, 1, 2),
    search_behind=_rarely(st.sampled_from((60, 900, 10_000)), 0, one_in=3),
)
