"""A schedule: what CloudFormation asks for, and everything that goes wrong meanwhile.

It is plain data, so that Hypothesis can take things away from one that failed until only those
are left that it fails by. Times are in seconds.
"""

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

# Up to more than an invocation may lie in Lambda's queue.
_LAG = st.one_of(st.just(0), st.integers(0, 900))
_OFTEN_NOT = st.one_of(st.none(), st.none(), st.none(), st.integers(1, 4000))


@dataclass(frozen=True)
class Delivery:
    """How a request comes, and how long CloudFormation listens for its answer.

    Attributes:
        lag: how long it lies in Lambda's queue.
        again: when Lambda delivers it a second time.
        retried: when CloudFormation sends it again, with the same RequestId.
        hears_both: whether it then still takes the answer to the first one.
        given_up: when CloudFormation goes on without an answer, as something else failed.

    """

    lag: int = 0
    again: int | None = None
    retried: int | None = None
    hears_both: bool = False
    given_up: int | None = None


Change = Literal[
    "type", "bigger", "smaller", "tags", "root", "subnet", "rename", "not allowed", "nothing"
]


@dataclass(frozen=True)
class Update:
    """An update of the stack: when after the last request, what, and how its request comes."""

    after: int
    change: Change
    delivery: Delivery
    rollback: Delivery


@dataclass(frozen=True)
class StackPlan:
    """A stack's life.

    Attributes:
        begins: when it is launched.
        role_age: how old its execution role is then.
        takes: whether it asks for the name that another stack's notebook has or is to have.
        deletion: how its end comes; None for a stack that lives on.

    """

    begins: int
    role_age: int
    takes: bool
    create: Delivery
    updates: tuple[Update, ...]
    deleted_after: int
    deletion: Delivery | None


Kind = Literal[
    "throttled", "denied", "broken", "answer lost", "killed", "killed after", "slow", "meanwhile"
]


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with calls of the platform's functions, the PUT of an answer included.

    Attributes:
        call: the so-manyth call, counted over all functions, and so many after it.
        seconds: how long a slow call takes.

    "meanwhile" lets others go first, between what a function has seen and what it does.

    """

    call: int
    calls: int
    kind: Kind
    seconds: int = 0


@dataclass(frozen=True)
class Outage:
    """A service that denies or throttles every call, or cannot be reached, for a while."""

    service: Literal["sagemaker", "dynamodb", "stepfunctions", "ec2", "bucket"]
    kind: Kind
    begins: int
    lasts: int


@dataclass(frozen=True)
class Hand:
    """What somebody does to a stack's notebook, or to its execution, at the console."""

    at: int
    stack: int
    act: Literal[
        "stop", "start", "delete", "untag", "strip", "fail", "maintain", "abort", "take the name"
    ]


@dataclass(frozen=True)
class Schedule:
    """A schedule.

    Attributes:
        events: what becomes of EventBridge's events, in turn, and so again.
        slow_start, slow_stop: how long notebooks take.
        no_capacity: instance types that are not to be had until it is calm.
        failing: whether the first stack's notebook ends in Failed, with a reason or without.
        last_first: of what happens at one time, whether the last comes first.

    """

    stacks: tuple[StackPlan, ...]
    troubles: tuple[Trouble, ...] = ()
    outages: tuple[Outage, ...] = ()
    hands: tuple[Hand, ...] = ()
    events: tuple[Literal["in time", "late", "twice", "lost"], ...] = ("in time",)
    slow_start: int = 240
    slow_stop: int = 60
    no_capacity: tuple[str, ...] = ()
    failing: Literal["no", "with a reason", "without one"] = "no"
    look_every: int = 60
    last_first: bool = False


_deliveries = st.one_of(
    st.just(Delivery()),
    st.builds(
        Delivery,
        lag=_LAG,
        again=st.one_of(st.none(), st.none(), st.integers(0, 7200)),
        retried=_OFTEN_NOT,
        hears_both=st.booleans(),
        given_up=_OFTEN_NOT,
    ),
)
_changes: st.SearchStrategy[Change] = st.sampled_from(
    ("type", "bigger", "smaller", "tags", "root", "subnet", "rename", "not allowed", "nothing")
)
_updates = st.builds(
    Update,
    after=st.integers(0, 1200),
    change=_changes,
    delivery=_deliveries,
    rollback=_deliveries,
)
_stacks = st.builds(
    StackPlan,
    begins=st.integers(0, 1200),
    role_age=st.sampled_from((3600, 0, 5)),
    takes=st.booleans(),
    create=_deliveries,
    updates=st.lists(_updates, max_size=2).map(tuple),
    deleted_after=st.integers(0, 1200),
    deletion=st.one_of(_deliveries, _deliveries, st.none()),
)
_troubles = st.builds(
    Trouble,
    call=st.integers(1, 200),
    calls=st.integers(1, 4),
    kind=st.sampled_from(
        (
            "throttled",
            "denied",
            "broken",
            "answer lost",
            "killed",
            "killed after",
            "slow",
            "meanwhile",
        )
    ),
    seconds=st.integers(1, 70),
)
_outages = st.builds(
    Outage,
    service=st.sampled_from(("sagemaker", "dynamodb", "stepfunctions", "ec2", "bucket")),
    kind=st.sampled_from(("throttled", "denied", "broken")),
    begins=st.integers(0, 4000),
    lasts=st.integers(1, 7200),
)
_hands = st.builds(
    Hand,
    at=st.integers(0, 6000),
    stack=st.integers(0, 1),
    act=st.sampled_from(
        ("stop", "start", "delete", "untag", "strip", "fail", "maintain", "abort", "take the name")
    ),
)

schedules: st.SearchStrategy[Schedule] = st.builds(
    Schedule,
    stacks=st.lists(_stacks, min_size=1, max_size=2).map(tuple),
    troubles=st.lists(_troubles, max_size=6).map(tuple),
    outages=st.lists(_outages, max_size=1).map(tuple),
    hands=st.lists(_hands, max_size=3).map(tuple),
    events=st.lists(
        st.sampled_from(("in time", "late", "twice", "lost")), min_size=1, max_size=4
    ).map(tuple),
    slow_start=st.sampled_from((240, 240, 240, 900, 5000)),
    slow_stop=st.sampled_from((60, 60, 60, 1500, 20_000)),
    no_capacity=st.sampled_from(((), (), (), ("ml.t3.medium",), ("ml.t3.large",))),
    failing=st.sampled_from(("no", "no", "no", "no", "with a reason", "without one")),
    look_every=st.sampled_from((60, 120, 300)),
    last_first=st.booleans(),
)
