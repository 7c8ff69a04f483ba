"""A stack's notifications: its events, published to the topics that NotificationARNs names.

The administrator guide's launch role for a product without any topic may do everything in SNS
("Add a launch constraint"), so CloudFormation publishes with the rights of who operates the stack,
as it does everything. An operation whose operator may not publish is refused here; whether AWS
refuses it or drops the notifications is not documented.
"""

import logging
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from inspect import signature
from typing import Any

from ministack.services import sns
from ministack.services.cloudformation import handlers

from local.server import json_service
from local.service_model import ServiceError

log = logging.getLogger(__name__)

_MAXIMUM = 5  # topics of a stack [CreateStack]

_topics: dict[str, tuple[str, ...]] = {}  # by stack id
# Of the operation that is being asked for, until its first event tells the id of its stack.
_asked: ContextVar[list[tuple[str, ...]] | None] = ContextVar("asked_topics", default=None)


def install() -> None:
    """Put the wraps in place; `publish` is for what adds a stack's events."""
    taken = list(signature(sns.publish_internal).parameters)
    assert taken[:3] == ["topic_arn", "message", "subject"], taken
    for action in ("CreateStack", "UpdateStack"):
        _take_topics(action)


def publish(event: Mapping[str, Any]) -> None:
    """Publish a stack event to the stack's topics."""
    asked = _asked.get()
    if asked:
        _topics[event["StackId"]] = asked.pop()
    for arn in _topics.get(event["StackId"], ()):
        try:
            _require_to_publish(arn)
        except ServiceError as refusal:
            log.warning("no notification of %s: %s", event["StackId"], refusal.message)
            continue
        sns.publish_internal(arn, _message(event), "AWS CloudFormation Notification")


def _take_topics(action: str) -> None:
    original = handlers._ACTION_HANDLERS[action]
    assert list(signature(original).parameters) == ["params"], action

    def handle(params: Mapping[str, Any]) -> Any:
        if not any(key.startswith("NotificationARNs") for key in params):
            return original(params)
        arns = tuple(handlers._extract_string_members(params, "NotificationARNs"))
        try:
            _check(arns)
        except ServiceError as refusal:
            return handlers._error(refusal.code, refusal.message, refusal.status)
        token = _asked.set([arns])
        try:
            return original(params)
        finally:
            _asked.reset(token)

    handlers._ACTION_HANDLERS[action] = handle


def _check(arns: Sequence[str]) -> None:
    if len(arns) > _MAXIMUM:
        raise ServiceError("ValidationError", f"A stack has at most {_MAXIMUM} notification ARNs")
    for arn in arns:
        if sns._topic_by_arn_any_scope(arn) is None:
            raise ServiceError("ValidationError", f"Invalid notification ARN: {arn}")
        try:
            _require_to_publish(arn)
        except ServiceError as refusal:
            raise ServiceError("AccessDenied", refusal.message, 403) from refusal


def _require_to_publish(arn: str) -> None:
    """Ask for what a publisher needs; for the topic's key, `keys` asks."""
    json_service.current_caller().require("sns:Publish", arn)


def _message(event: Mapping[str, Any]) -> str:
    """Return the text of a notification: a line for each field, its value in quotes."""
    fields = {
        "StackId": event["StackId"],
        "Timestamp": event["Timestamp"],
        "EventId": event["EventId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Namespace": event["StackId"].split(":")[4],
        "PhysicalResourceId": event["PhysicalResourceId"],
        "ResourceStatus": event["ResourceStatus"],
        "ResourceStatusReason": event["ResourceStatusReason"],
        "ResourceType": event["ResourceType"],
        "StackName": event["StackName"],
        "ClientRequestToken": event.get("ClientRequestToken", "null"),
    }
    return "".join(f"{name}='{value}'\n" for name, value in fields.items())
