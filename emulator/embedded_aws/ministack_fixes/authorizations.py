"""Records what IAM decides about roles, so that what they are granted can be held against it.

Every decision of MiniStack's evaluator passes here: those on requests, and those that a service of
this process asks for in a role's name (`roles`, `stack_permissions`, `json_service`). Kept is, for
each kind of call, which statements of the role's policies allow it, judged by the evaluator's own
functions at the time of the call; or that it was denied.

Calls that nothing here serves can be put to the evaluator by a control, in the name of a session.
They are recorded too, as evaluated.
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

# What a service of AWS is allowed by a resource's policy is recorded under the service's name.
EVENTS = "events.amazonaws.com"


class Place(NamedTuple):
    """Where a policy grants: a statement by its number, with the action and resource it names."""

    policy: str
    statement: int
    action: str
    resource: str


class Decision(NamedTuple):
    """A kind of call: by whom, what, on what, whether allowed, and what in the policies allows."""

    role: str
    action: str
    resource: str
    allowed: bool
    places: tuple[Place, ...]
    evaluated: bool = False  # there was no call: the control asked


_decisions: Counter[Decision] = Counter()
_lock = threading.Lock()
# What the evaluation at hand is about: `enforce` makes it, and passes it to `evaluate` first.
_asked: ContextVar[list[Any] | None] = ContextVar("authorization", default=None)
_by_control: ContextVar[bool] = ContextVar("asked_by_control", default=False)


def install() -> None:
    """Listen to the evaluator, and serve `/_local/authorizations`."""
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
    """Keep a decision on `context` (MiniStack's EvalContext), and what in `documents` allows it."""
    places = tuple(_allowing(context, documents)) if allowed else ()
    decision = Decision(
        role, context.action, context.resource_arn, allowed, places, _by_control.get()
    )
    with _lock:
        _decisions[decision] += 1


def statements(document: Any) -> Sequence[Mapping[str, Any]]:
    """Return the statements of a policy, which may be text, and hold one alone."""
    found = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    return found if isinstance(found, list) else [found]


def _documents(role: str) -> dict[str, Any]:
    """Return a role's policies: the inline ones by name, the managed ones by ARN."""
    known = iam._roles.get(role)
    if known is None:  # deleted, while a session of it lives
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
    """Serve all decisions; or, when put questions, decide these and serve those denied."""
    if body is not None:
        return [each for each in body["questions"] if not _may(body["access_key"], **each)]
    with _lock:
        return [{**each._asdict(), "count": count} for each, count in _decisions.items()]


def _may(access_key: str, action: str, resource: str, keys: Mapping[str, Any]) -> bool:
    """Whether the session of an access key may do it, where these condition keys have values.

    It is judged as a call would be: by the role's policies, its boundary, the session's policies
    and the resource's own.
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
