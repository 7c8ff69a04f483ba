"""CloudTrail's event history: the calls to SageMaker that change something, and who made them.

An event has the members that the platform reads, as the CloudTrail user guide has them ("CloudTrail
record contents"). The names of parameters begin in lower case there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from simulation.services import NotSimulatedError

PERSON = "arn:aws:sts::123456789012:assumed-role/Administrator/ann"
_READ = ("Describe", "List")


class CloudTrail:
    """The event history.

    Attributes:
        late: the seconds until a call is shown.
        page: the most events of a page.
        lookups: how often it was searched.
        refuses: the code of the error that every search gets, if any.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: list[tuple[float, dict[str, Any]]] = []
        self.late = 0.0
        self.page = 50
        self.lookups = 0
        self.refuses = ""

    def record(
        self,
        call: str,
        params: Mapping[str, Any],
        role: str,
        error: str = "",
        source: str = "sagemaker.amazonaws.com",
    ) -> None:
        """Record a call by a role of a function, or by a person if there is none."""
        if call.startswith(_READ):
            return
        now = self._clock()
        session = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
        event = {
            "EventId": f"event-{len(self._events)}",
            "EventName": call,
            "EventTime": datetime.fromtimestamp(now, UTC),
            "CloudTrailEvent": json.dumps(
                {
                    "eventSource": source,
                    "eventName": call,
                    "userIdentity": {
                        "arn": f"{session}/function" if role else PERSON,
                        "sessionContext": {
                            "sessionIssuer": {
                                "arn": role or "arn:aws:iam::123456789012:role/Administrator"
                            }
                        },
                    },
                    "requestParameters": {k[0].lower() + k[1:]: v for k, v in params.items()},
                    **({"errorCode": error} if error else {}),
                },
                default=str,
            ),
        }
        self._events.append((now, event))

    def lookup_events(
        self,
        lookup_attributes: Sequence[Mapping[str, str]],
        start_time: datetime,
        end_time: datetime,
        next_token: str = "",
    ) -> dict[str, Any]:
        """Return a page of the events of a name, the latest first."""
        (by,) = lookup_attributes
        if by["AttributeKey"] != "EventName":
            raise NotSimulatedError(f"a lookup by {by['AttributeKey']}")
        self.lookups += 1
        if self.refuses:
            raise ServiceError(self.refuses, "not authorized")
        shown = self._clock() - self.late
        found = [
            event
            for at, event in reversed(self._events)
            if event["EventName"] == by["AttributeValue"]
            and at <= shown
            and start_time.timestamp() <= at <= end_time.timestamp()
        ]
        begin = int(next_token or 0)
        end = begin + self.page
        more = {"NextToken": str(end)} if end < len(found) else {}
        return {"Events": found[begin:end], **more}
