"""The answer to CloudFormation: built within its limits, recorded, then PUT.

Source: CloudFormation user guide, "Custom resource response objects". An answer has 4,096 bytes at
most, a Reason if it is FAILED, and always a PhysicalResourceId.
"""

import json
import logging
import os
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
# The DNS suffixes of the partitions, by the prefix of their Regions' names. All other partitions
# have amazonaws.com. Source: botocore's partitions.json.
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}

# urllib3 logs the URL of a request that it retries, and the response URL is a credential.
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
    """CloudFormation did not accept the answer. The message never contains the response URL."""


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

    A FAILED ends with the link to the help about its cause. The data of a SUCCESS get the page's
    address.

    It records the answer, sends the recorded answer, and then records the delivery. So a second
    answer repeats the first one. Only the first one is logged and counted: with its `cause` if it
    is FAILED, and with the seconds that each phase `waited`. `passed_over` are the instance types
    without capacity that another type replaced.
    Raises UndeliverableError, ClientError, BotoCoreError.
    """
    if status == "FAILED":
        cause = cause or Cause.PLATFORM_FAILED
    elif data:
        data = {**data, "Help": environment.text("HELP_URL")}
    physical_id, name = entry.physical_resource_id, entry.notebook_name
    if status == "SUCCESS" and entry.replaces and physical_id.lower() != name.lower():
        physical_id = name  # CloudFormation deletes the old one next
    said = body(
        status=status,
        reason=reason,
        physical_resource_id=physical_id,
        stack_id=entry.stack_id,
        request_id=entry.request_id,
        logical_resource_id=entry.logical_resource_id,
        data=data or {},
        cause=cause,
    )
    recorded = ledger.record_answer(entry.key, said, status)
    if recorded.first:
        _report(entry, json.loads(said), cause, waited or {}, launched_by, passed_over)
    if recorded.url:  # a cleanup has no URL
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
    """Log the line that an audit reads, and count the answer."""
    seconds = (clock.now() - entry.issued_at).total_seconds()
    spec = entry.spec
    outcome, data = said["Status"], said["Data"]
    counted_as = cause or ""
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
    """Answer FAILED to an event that is not a valid request, if an answer is possible.

    It is not possible without IDs or a response URL, or with IDs too long for an answer. The ledger
    cannot hold such a request. So no other answer is sent unrecorded, and this one is the same each
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
                cause=Cause.INVALID,
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
    cause: Cause | None = None,
) -> bytes:
    """Return the answer in CloudFormation's format: JSON, 4,096 bytes at most.

    The Reason ends with the link to the help about the `cause`. A text that does not fit is cut off
    before the link. Only IDs can make the answer longer, and then it has no link.
    """
    answer = {
        "Status": status,
        "PhysicalResourceId": physical_resource_id,
        "StackId": stack_id,
        "RequestId": request_id,
        "LogicalResourceId": logical_resource_id,
        "Data": dict(data),
    }

    def encoded(reason: str, link: str) -> bytes:
        return json.dumps({**answer, "Reason": f"{reason}{link}"}).encode()

    link = _link(cause)
    if len(encoded("…", link)) > _LIMIT:
        link = ""
    if link and not reason.endswith((".", "…")):
        reason += "."
    if len(encoded(reason, link)) > _LIMIT:
        lengths = range(1, len(reason))
        fitting = bisect(lengths, _LIMIT, key=lambda n: len(encoded(f"{reason[:n]}…", link)))
        return encoded(f"{reason[:fitting]}…", link)
    return encoded(reason, link)


def _link(cause: Cause | None) -> str:
    """Return the end of a Reason, or '' in a function that answers no launches.

    Deployers read runbooks, so only the functions that answer launches have HELP_URL.
    """
    page = os.environ.get("HELP_URL")
    return f" More: {page}#{cause.anchor}" if page and cause else ""


def put(url: str, answer: bytes) -> None:
    """PUT the answer to CloudFormation's response URL. Raises UndeliverableError.

    The content type is empty, as in AWS's own clients. The signature of a URL that is signed with
    Signature Version 2 matches no other content type.
    """
    if not is_reply_address(url):
        raise UndeliverableError("The response URL is not CloudFormation's in this Region.")
    try:
        response = _http.request("PUT", url, body=answer, headers={"Content-Type": ""})
    except urllib3.exceptions.HTTPError as error:
        # `from None`: the error's own text contains the URL.
        raise UndeliverableError(f"The answer was not sent: {type(error).__name__}.") from None
    if response.status >= 300:
        raise UndeliverableError(f"CloudFormation's answer was HTTP {response.status}.")


def is_reply_address(url: str) -> bool:
    """Return whether this is a URL in CloudFormation's response bucket of this Region.

    The partition must match too. A bucket's name is unique within a partition, so in another one
    any customer may have it (S3 user guide, "Namespaces for general purpose buckets"). No setting
    of a function widens this check. Otherwise a sender of requests could make the platform call
    another host.
    """
    region = environment.text("AWS_REGION")
    bucket = f"cloudformation-custom-resource-response-{region.replace('-', '')}"
    others = (suffix for begin, suffix in _SUFFIXES.items() if region.startswith(begin))
    # GovCloud has the DNS suffix of the partition aws, which has the hosts without a Region.
    optional = "" if region.startswith("us-gov-") else "?"
    host = rf"{bucket}\.s3([.-]{region}){optional}\.{re.escape(next(others, 'amazonaws.com'))}"
    # The pattern matches the text itself, because parsers disagree on malformed URLs. A signed URL
    # has printable ASCII only. S3 takes keys of 1,024 bytes.
    return re.fullmatch(rf"https://{host}/[!-~]{{,8192}}", url) is not None
