"""The request CloudFormation sends for a custom resource, parsed and validated.

Source of the fields: CloudFormation user guide, "Custom resource request objects".
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError

from notebook_vending import digits
from notebook_vending.requests.stack_ids import IDS

RequestType = Literal["Create", "Update", "Delete"]

# AWS's clocks never differ by more. A time years ahead would give a request no deadline at all.
_AHEAD = timedelta(hours=1)
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")


class InvalidRequestError(ValueError):
    """An event is not a request of CloudFormation. `violations` has a sentence for each fault."""

    def __init__(self, violations: Iterable[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(self.violations))


@dataclass(frozen=True)
class CustomResourceRequest:
    """A request with CloudFormation's own field names."""

    RequestType: RequestType
    RequestId: str
    StackId: str
    LogicalResourceId: str
    ResponseURL: str
    ResourceProperties: dict[str, Any]
    PhysicalResourceId: str = ""
    OldResourceProperties: dict[str, Any] = field(default_factory=dict)
    ResourceType: str = ""

    def issued_at(self, now: datetime) -> datetime:
        """Return when CloudFormation issued the request, to the second.

        The asynchronous delivery may lag behind it. The signed response URL has the time as
        X-Amz-Date (Signature Version 4), or a time two hours later as Expires (Version 2). The
        result is `now` if both are missing, or if the time is further ahead than clocks differ.
        """
        query = parse_qs(urlsplit(self.ResponseURL).query)
        try:
            if "Expires" in query:
                expires = digits.number(query["Expires"][0])
                issued = datetime.fromtimestamp(expires - 7200, UTC)
            else:
                stamp = query["X-Amz-Date"][0]
                if not _STAMP.fullmatch(stamp):  # strptime takes less, and digits of any script
                    raise ValueError("is no time")
                issued = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except (KeyError, ValueError, OverflowError, OSError):
            return now.replace(microsecond=0)
        return now.replace(microsecond=0) if issued - now > _AHEAD else issued


def parse_request(event: Any) -> CustomResourceRequest:
    """Parse CloudFormation's request. Raises InvalidRequestError with every fault."""
    if not isinstance(event, Mapping):
        raise InvalidRequestError(["the event is not a JSON object"])
    try:
        request = converter().structure(event, CustomResourceRequest)
    except ClassValidationError as error:
        raise InvalidRequestError(violations_in(error)) from error
    if odd := [name for name, form in IDS.items() if not form.fullmatch(getattr(request, name))]:
        raise InvalidRequestError(f"{name} is not in CloudFormation's format" for name in odd)
    return request


def only_text(value: object, _: type) -> str:
    """Return a value if it is a string: cattrs itself makes a string of any value."""
    if not isinstance(value, str):
        raise TypeError("is not text")  # not quoted: it may be the response URL
    return value


def violations_in(error: ClassValidationError, unchanged: Container[str] = ()) -> list[str]:
    """Return a sentence for each fault that cattrs found, except in the fields `unchanged`."""
    of_fields, of_the_whole = error.group_exceptions()
    found = [f"{note.name} {_sentence(e)}" for e, note in of_fields if note.name not in unchanged]
    return found + [_sentence(each) for each in of_the_whole]


def _sentence(error: Exception) -> str:
    match error:
        case KeyError():
            return "is missing"
        case ForbiddenExtraKeysError(extra_fields=names):
            return f"unknown properties, remove them: {', '.join(sorted(names)):.300}"
        case _:
            return f"{error!s:.5000}"  # the longest one lists a parameter of 4,096 characters


# cattrs writes the code that parses a class at its converter's first use.
@cache
def converter() -> Converter:
    """Return the converter that parses a `CustomResourceRequest`."""
    made = Converter()
    made.register_structure_hook(str, only_text)
    return made
