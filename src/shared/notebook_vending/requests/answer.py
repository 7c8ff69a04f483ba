"""The answer to CloudFormation: built within its limits, recorded, then PUT.

Source: CloudFormation user guide, "Custom resource response objects": 4,096 bytes in all, a Reason
on FAILED, a PhysicalResourceId always.
"""

import json
import logging
import re
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import urllib3

from notebook_vending import clock, environment, metrics
from notebook_vending.failure_causes import Cause
from notebook_vending.log import logger
from notebook_vending.requests import ledger
from notebook_vending.requests.entry import Entry

Status = Literal["SUCCESS", "FAILED"]

_LIMIT = 4096  # bytes
# The DNS suffixes of the partitions by how their Regions' names begin: botocore's partitions.json,
# where all others have amazonaws.com.
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}

# It logs the address of a request that it tries again, and the reply address is a credential.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_http = urllib3.PoolManager(
    timeout=urllib3.Timeout(connect=3, read=10),
    retries=urllib3.Retry(
        total=4,
        redirect=0,
        backoff_factor=0.5,  # seconds, doubled each time
        backoff_jitter=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,
    ),
)


class UndeliverableError(RuntimeError):
    """CloudFormation did not take the answer; the message never holds the reply address."""


def give(
    entry: Entry,
    status: Status,
    reason: str,
    data: Mapping[str, str] | None = None,
    *,
    cause: Cause | None = None,
    waited: Mapping[str, float] | None = None,
    launched_by: str = "",
    passed_over: Sequence[str] = (),
) -> str:
    """Answer a request that is in the ledger, and return the status that was sent.

    The answer is recorded before it is sent, and the recorded answer is sent: a second answer
    repeats the first one. Its delivery is recorded last. Only the first answer is logged and
    counted: a FAILED with its `cause`, with the seconds that each phase `waited`, who launched it,
    and the instance types that made way for another one.
    Raises UndeliverableError, ClientError, BotoCoreError.
    """
    physical_id, name = entry.physical_resource_id, entry.notebook_name
    if status == "SUCCESS" and entry.replaces and physical_id.lower() != name.lower():
        physical_id = name  # CloudFormation deletes the old one after this
    said = body(
        status=status,
        reason=reason,
        physical_resource_id=physical_id,
        stack_id=entry.stack_id,
        request_id=entry.request_id,
        logical_resource_id=entry.logical_resource_id,
        data=data or {},
    )
    recorded = ledger.record_answer(entry.key, said, status)
    if recorded.first:
        _report(entry, json.loads(said), cause, waited or {}, launched_by, passed_over)
    if recorded.url:  # a cleanup has none
        put(recorded.url, recorded.answer)
        ledger.record_delivery(entry.key, clock.now())
    return str(json.loads(recorded.answer)["Status"])


def _report(
    entry: Entry,
    said: Mapping[str, Any],
    cause: Cause | None,
    waited: Mapping[str, float],
    launched_by: str,
    passed_over: Sequence[str],
) -> None:
    """Write the line that an audit goes by, and count the answer."""
    seconds = (clock.now() - entry.issued_at).total_seconds()
    spec = entry.spec
    outcome, data = said["Status"], said["Data"]
    counted_as = "" if outcome == "SUCCESS" else cause or Cause.PLATFORM_FAILED
    kind = "OrphanCleanup" if entry.cleans_up else entry.request_type
    logger.info(
        "Answered",
        extra={
            **entry.log_fields,
            "request_type": kind,
            "outcome": outcome,
            "cause": counted_as,
            "reason": said["Reason"],
            "seconds": seconds,
            "waited": waited,
            "launched_by": launched_by,
            "project": spec.ProjectID if spec else "",
            "instance_type": data.get("NotebookInstanceType", ""),
            "passed_over": passed_over,
            "settings": asdict(spec) if spec else {},
        },
    )
    metrics.answered(
        kind,
        outcome,
        cause=counted_as,
        seconds=seconds,
        in_service=data.get("NotebookInstanceStatus") == "InService",
        waited=waited,
        passed_over=passed_over,
    )


def refuse(event: Any, reason: str) -> None:
    """Answer FAILED to what is no proper request, if it can be answered at all.

    It cannot if it does not say to what, or where, or so much that the answer does not fit. The
    ledger cannot hold it, so this is the one answer that is not recorded; it is the same each
    time. Raises UndeliverableError.
    """
    match event:
        case {
            "StackId": str(stack_id),
            "RequestId": str(request_id),
            "LogicalResourceId": str(logical_resource_id),
            "ResponseURL": str(url),
        } if stack_id and request_id and logical_resource_id and is_reply_address(url):
            known = event.get("PhysicalResourceId")
            said = body(
                status="FAILED",
                reason=reason,
                physical_resource_id=(isinstance(known, str) and known) or logical_resource_id,
                stack_id=stack_id,
                request_id=request_id,
                logical_resource_id=logical_resource_id,
                data={},
            )
            if len(said) <= _LIMIT:
                put(url, said)


def body(
    *,
    status: Status,
    reason: str,
    physical_resource_id: str,
    stack_id: str,
    request_id: str,
    logical_resource_id: str,
    data: Mapping[str, str],
) -> bytes:
    """Return the answer as CloudFormation takes it: JSON, 4,096 bytes at most.

    What does not fit is cut from the end of the Reason. It is longer only if the ids fill it alone.
    """
    answer = {
        "Status": status,
        "PhysicalResourceId": physical_resource_id,
        "StackId": stack_id,
        "RequestId": request_id,
        "LogicalResourceId": logical_resource_id,
        "Data": dict(data),
    }

    def encoded(reason: str) -> bytes:
        return json.dumps({**answer, "Reason": reason}).encode()

    if len(encoded(reason)) > _LIMIT:
        lengths = range(1, len(reason))
        reason = reason[: bisect(lengths, _LIMIT, key=lambda n: len(encoded(f"{reason[:n]}…")))]
        return encoded(f"{reason}…")
    return encoded(reason)


def put(url: str, answer: bytes) -> None:
    """PUT the answer to CloudFormation's reply address; raises UndeliverableError.

    The content type is empty, as in AWS's own clients: an address signed with Signature Version 2
    would not match any other.
    """
    if not is_reply_address(url):
        raise UndeliverableError("The reply address is not of CloudFormation in this Region.")
    try:
        response = _http.request("PUT", url, body=answer, headers={"Content-Type": ""})
    except urllib3.exceptions.HTTPError as error:
        # `from None`: the error's own text holds the address.
        raise UndeliverableError(f"The answer was not sent: {type(error).__name__}.") from None
    if response.status >= 300:
        raise UndeliverableError(f"CloudFormation's answer was HTTP {response.status}.")


def is_reply_address(url: str) -> bool:
    """Tell whether this is an address in CloudFormation's response bucket of this Region.

    And of this partition: names of buckets are unique within one, so that in another one this name
    may be anybody's (S3 user guide, "Namespaces for general purpose buckets"). Nothing in a
    function's configuration widens this: whoever may send a request must not be able to have the
    platform call another host.
    """
    region = environment.text("AWS_REGION")
    bucket = f"cloudformation-custom-resource-response-{region.replace('-', '')}"
    others = (suffix for begin, suffix in _SUFFIXES.items() if region.startswith(begin))
    # GovCloud has the suffix of aws, where the hosts without a Region are.
    optional = "" if region.startswith("us-gov-") else "?"
    host = rf"{bucket}\.s3([.-]{region}){optional}\.{re.escape(next(others, 'amazonaws.com'))}"
    # The text itself, not what a parser makes of it: no two parsers agree on what is no address.
    # One that is signed holds printable ASCII alone; S3 takes keys of 1,024 bytes.
    return re.fullmatch(rf"https://{host}/[!-~]{{,8192}}", url) is not None
