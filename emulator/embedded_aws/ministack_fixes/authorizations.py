"""Record IAM's decisions about roles, to compare them with the permissions that roles have.

Every decision of MiniStack's evaluator is recorded: on requests, and on calls that a service of
this process makes as a role (`roles`, `stack_permissions`, `json_service`). For each kind of call,
the record holds the statements of the role's policies that allow it, or the denial. The evaluator's
own functions find these statements at the time of the call.

A control evaluates calls as a session that the emulator does not implement. These decisions are
recorded as evaluated.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from inspect import signature
from typing import Any, NamedTuple

from ministack.core import iam_evaluator, responses
from ministack.services import iam

from embedded_aws.ministack_fixes import policy_variables
from embedded_aws.runtime import control

# Decisions of resource policies about an AWS service are recorded under the service's name.
EVENTS = "events.amazonaws.com"


class Place(NamedTuple):
    """A statement of a policy, by its number, with the matching action and resource."""

    policy: str
    statement: int
    action: str
    resource: str


class Decision(NamedTuple):
    """A kind of call: role, action, resource, decision and the statements that allow it."""

    role: str
    action: str
    resource: str
    allowed: bool
    places: tuple[Place, ...]
    evaluated: bool = False  # evaluated by the control, without a call


_decisions: Counter[Decision] = Counter()
_lock = threading.Lock()
# The context of the current evaluation: `enforce` creates it and passes it to `evaluate` first.
_asked: ContextVar[list[Any] | None] = ContextVar("authorization", default=None)
_by_control: ContextVar[bool] = ContextVar("asked_by_control", default=False)


def install() -> None:
    """Record the evaluator's decisions, and serve `/_local/authorizations`."""
    enforce, evaluate = iam_evaluator.enforce, iam_evaluator.evaluate
    assert list(signature(evaluate).parameters) == ["ctx", "policies", "limits"]
    assert "evaluate" in enforce.__code__.co_names, "MiniStack evaluates elsewhere now"

    def recording(*args: Any, **kwargs: Any) -> Any:
        asked: list[Any] = []
        token = _asked.set(asked)
        try:
            denied = enforce(*args, **kwargs)
        finally:
            _asked.reset(token)
        if asked and asked[0].principal_type == "AssumedRole":
            role = iam_evaluator._role_name_from_assumed_arn(asked[0].principal_arn)
            record(role, asked[0], _documents(role), allowed=denied is None)
        return denied

    def noting(context: Any, *args: Any) -> Any:
        asked = _asked.get()
        if asked is not None and not asked:
            asked.append(context)
        return evaluate(context, *args)

    iam_evaluator.enforce, iam_evaluator.evaluate = recording, noting
    control.register("authorizations", _serve)


def record(role: str, context: Any, documents: Mapping[str, Any], *, allowed: bool) -> None:
    """Record a decision on `context` (EvalContext) and the allowing statements of `documents`."""
    places = tuple(_allowing(context, documents)) if allowed else ()
    decision = Decision(
        role, context.action, context.resource_arn, allowed, places, _by_control.get()
    )
    with _lock:
        _decisions[decision] += 1


def statements(document: Any) -> Sequence[Mapping[str, Any]]:
    """Return the statements of a policy (text or object) as a list, even for a single one."""
    found = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    return found if isinstance(found, list) else [found]


def _documents(role: str) -> dict[str, Any]:
    """Return a role's policies: the inline ones by name, the managed ones by ARN."""
    known = iam._roles.get(role)
    if known is None:  # the role is deleted, but its session is still valid
        return {}
    account = known["Arn"].split(":")[4]
    resolve: Callable[[str, str], Any] = iam_evaluator._resolve_managed_policy_document
    managed = {arn: resolve(arn, account) for arn in known.get("AttachedPolicies", [])}
    return {**known.get("InlinePolicies", {}), **managed}


def _allowing(context: Any, documents: Mapping[str, Any]) -> Iterator[Place]:
    for policy, document in documents.items():
        for number, statement in enumerate(statements(document)):
            (parsed,) = iam_evaluator.parse_policy_document({"Statement": [statement]})
            if parsed.effect != "Allow":
                continue
            read = policy_variables.filled(parsed, context)
            if not iam_evaluator._conditions_met(read.conditions, context):
                continue
            for action in parsed.actions:
                for resource, meant in zip(parsed.resources, read.resources, strict=True):
                    if iam_evaluator.fnmatch_iam(
                        context.action, action
                    ) and iam_evaluator.fnmatch_iam_cs(context.resource_arn, meant):
                        yield Place(policy, number, action, resource)


def _serve(_method: str, body: Any, _query: Mapping[str, list[str]]) -> Any:
    """Return all decisions, or evaluate the questions of a PUT and return the denied ones."""
    if body is not None:
        return [each for each in body["questions"] if not _may(body["access_key"], **each)]
    with _lock:
        return [{**each._asdict(), "count": count} for each, count in _decisions.items()]


def _may(access_key: str, action: str, resource: str, keys: Mapping[str, Any]) -> bool:
    """Return whether the session of an access key may make a call with these condition keys.

    The decision uses the same policies as for a real call: those of the role, its boundary, the
    session and the resource.
    """
    token = _by_control.set(True)
    try:
        denied = iam_evaluator.enforce(
            access_key, action, action.partition(":")[0], responses.get_region(), resource, {**keys}
        )
    finally:
        _by_control.reset(token)
    if isinstance(denied, iam_evaluator.AuthError):
        raise ValueError(denied.message)
    return denied is None
