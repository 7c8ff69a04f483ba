"""Computes which granted permissions are used, and which calls were denied, from any record."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where a permission stands, in the names of the deployment."""

    role: str
    policy: str
    statement: int
    action: str
    resource: str


# Lambda tries this for a function that ends after its log group is deleted; the role must not.
_TRIED_BY_LAMBDA = ("logs:CreateLogGroup",)


@dataclass(frozen=True, order=True)
class Grant:
    """One permission, in the names of the template: the same one in each launch's role.

    `statement` is the statement's Sid, or its number; `number` counts the statement's resources.
    """

    role: str
    policy: str
    statement: str
    action: str
    number: int
    resource: str = field(compare=False)


@dataclass(frozen=True)
class Call:
    """Calls of one kind with IAM's decision, and the places that allowed them.

    `evaluated`: no call was made, and IAM only evaluated one.
    """

    role: str
    action: str
    resource: str
    allowed: bool
    places: tuple[Place, ...]
    count: int
    evaluated: bool = False


@dataclass(frozen=True)
class Unexercised:
    """Permissions, by role and action, that AWS requires and that no call here can show.

    `statement` names the statement, if the role has the action in several.
    """

    roles: tuple[str, ...]
    actions: tuple[str, ...]
    reason: str
    source: str
    statement: str = ""

    def names(self, grant: Grant) -> bool:
        """Whether it is about this permission."""
        return (
            grant.role in self.roles
            and grant.action in self.actions
            and self.statement in ("", grant.statement)
        )


@dataclass(frozen=True)
class Usage:
    """The use of every permission, and the faults of the list of unexercised permissions."""

    used: Mapping[Grant, int]
    evaluated: frozenset[Grant]  # used by evaluation alone
    apart: Mapping[Grant, Unexercised]
    unused: tuple[Grant, ...]
    denied: tuple[Call, ...]
    mistakes: tuple[str, ...]

    @property
    def proves(self) -> bool:
        """Whether everything granted is needed, and nothing needed was denied."""
        return not (self.unused or self.denied or self.mistakes)

    @property
    def closing(self) -> str:
        """The run's last line but one."""
        return (
            f"granted {len(self.used) + len(self.unused)}, used {len(self.used)}, "
            f"unused {len(self.unused)}, denied {sum(call.count for call in self.denied)}"
        )


def calls_of(recorded: Iterable[Mapping[str, Any]]) -> list[Call]:
    """Read what the control `authorizations` serves."""
    return [
        Call(
            each["role"],
            each["action"],
            each["resource"],
            each["allowed"],
            tuple(Place(each["role"], *place) for place in each["places"]),
            each["count"],
            each["evaluated"],
        )
        for each in recorded
    ]


def usage(
    granted: Mapping[Place, Grant], calls: Iterable[Call], unexercised: Iterable[Unexercised]
) -> Usage:
    """Compare the calls with the grants.

    A call uses every statement that allows it. Denials count only for roles with grants, and other
    users of the account do not count.
    """
    roles = {place.role for place in granted}
    used: Counter[Grant] = Counter()
    called: set[Grant] = set()
    denied = []
    for call in calls:
        if not call.allowed and call.role in roles and call.action not in _TRIED_BY_LAMBDA:
            denied.append(call)
        for place in call.places:
            if place in granted:
                used[granted[place]] += call.count
                if not call.evaluated:
                    called.add(granted[place])
    grants, listed = set(granted.values()), tuple(unexercised)
    apart: dict[Grant, Unexercised] = {}
    for entry in listed:
        apart |= {grant: entry for grant in grants - used.keys() if entry.names(grant)}
    return Usage(
        dict(used),
        frozenset(used.keys() - called),
        apart,
        tuple(sorted(grants - used.keys() - apart.keys())),
        tuple(denied),
        tuple(_mistakes(listed, grants, used.keys() - apart.keys())),
    )


def _mistakes(
    listed: Iterable[Unexercised], grants: Iterable[Grant], used: Iterable[Grant]
) -> Iterable[str]:
    """Yield the entries of the list of unexercised permissions that do not hold."""
    grants, used = tuple(grants), set(used)
    for entry in listed:
        for role in entry.roles:
            for action in entry.actions:
                named = [
                    each
                    for each in grants
                    if entry.names(each) and (each.role, each.action) == (role, action)
                ]
                if not named:
                    yield f"{role} is not granted {action}: take it off the list"
                elif all(each in used for each in named):
                    yield f"{role} uses {action}: take it off the list"
