"""crhelper, as it comes from PyPI: a function that EventBridge invokes every two minutes.

Two quotas of AWS's bear on it, and hold here: an event bus has 300 rules ("Amazon EventBridge
quotas": https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html; more on request),
and a function's resource-based policy 20 KB ("Lambda quotas":
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; never more). crhelper makes
a rule and a statement of that policy for each request that it polls for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import unquote

import boto3

from benchmarks.cloudformation import Deliver
from benchmarks.world import World
from embedded_aws.runtime.service_model import ServiceError
from simulation.account import ACCOUNT, REGION
from simulation.lambda_service import Function

_NAME = "CrhelperFunction"
_RULES = 300
_POLICY_BYTES = 20 * 1024
# More than the two minutes that crhelper sleeps after a deletion, for its log lines to arrive.
_TIMEOUT = 300
_EVERY = 120.0

# Where it is installed, see the Makefile: behind what this process has already.
PACKAGES = str(next(Path(".bench-venv/lib").resolve().glob("python*/site-packages"), ""))

INITS = {
    _NAME: (
        "python",
        f"import sys; sys.path.append({PACKAGES!r})\n"
        "import boto3\nfrom crhelper import CfnResource\nCfnResource()\nboto3.client('sagemaker')",
    )
}


@dataclass
class _Rule:
    arn: str
    made: float
    target: Any = None


class _Rules:
    """EventBridge's rules with a schedule, and who may invoke the function."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rules: dict[str, _Rule] = {}
        self._policy: dict[str, str] = {}

    def put_rule(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """PutRule."""
        assert params["ScheduleExpression"] == "rate(2 minutes)"
        if len(self._rules) == _RULES:
            message = f"The requested resource exceeds the maximum number allowed: {_RULES} rules"
            raise ServiceError("LimitExceededException", message)
        name = params["Name"]
        arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"
        self._rules[name] = _Rule(arn, self._world.timeline.now)
        self._world.timeline.at(_EVERY, lambda: self._tick(name))
        return {"RuleArn": arn}

    def put_targets(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """PutTargets."""
        (target,) = params["Targets"]
        self._rules[params["Rule"]].target = json.loads(target["Input"])
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def remove_targets(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """RemoveTargets."""
        self._rule(params["Rule"]).target = None
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def delete_rule(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteRule."""
        self._rules.pop(params["Name"], None)
        return {}

    def add_permission(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """AddPermission."""
        statement = json.dumps(
            {
                "Sid": params["StatementId"],
                "Effect": "Allow",
                "Principal": {"Service": params["Principal"]},
                "Action": params["Action"],
                "Resource": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{_NAME}",
                "Condition": {"ArnLike": {"AWS:SourceArn": params["SourceArn"]}},
            },
            separators=(",", ":"),
        )
        whole = sum(len(each) + 1 for each in self._policy.values()) + len(statement)
        if whole > _POLICY_BYTES:
            message = f"The final policy size ({whole}) is bigger than the limit ({_POLICY_BYTES})."
            raise ServiceError("PolicyLengthExceededException", message)
        self._policy[params["StatementId"]] = statement
        return {"Statement": statement}

    def remove_permission(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """RemovePermission."""
        sid = unquote(params["url"].partition("?")[0].rpartition("/")[2])
        if self._policy.pop(sid, None) is None:
            raise ServiceError("ResourceNotFoundException", "The resource was not found", 404)
        return {}

    def _rule(self, name: str) -> _Rule:
        if name not in self._rules:
            raise ServiceError("ResourceNotFoundException", f"Rule {name} does not exist.")
        return self._rules[name]

    def _tick(self, name: str) -> None:
        rule = self._rules.get(name)
        if rule is None:
            return
        if rule.target is not None:
            self._world.lambda_.invoke_later(_NAME, rule.target)
        self._world.timeline.at(_EVERY, lambda: self._tick(name))


@contextmanager
def crhelper_polling(world: World) -> Iterator[Deliver]:
    """Serve the launches of a world; raises ImportError where crhelper is not installed."""
    if PACKAGES not in sys.path:
        sys.path.append(PACKAGES)
    import crhelper.resource_helper as library
    import crhelper.utils as library_utils

    from benchmarks.peers.functions import crhelper_function as peer

    class Timer:
        """threading.Timer, on the timeline."""

        def __init__(self, seconds: float, act: Any) -> None:
            self._seconds, self._act, self._off = seconds, act, False

        def start(self) -> None:
            world.timeline.at(self._seconds, lambda: None if self._off else self._act())

        def cancel(self) -> None:
            self._off = True

    class Connection:
        """http.client.HTTPSConnection to CloudFormation's bucket."""

        def __init__(self, host: str, **_more: Any) -> None:
            self._host = host

        def request(self, *, method: str, url: str, body: str, headers: Any) -> None:
            assert (method, headers["content-type"]) == ("PUT", "")
            world.put(f"https://{self._host}{url}", body)

        def getresponse(self) -> Any:
            return SimpleNamespace(reason="OK")

    rules = _Rules(world)
    world.calls.answers |= {
        "events:PutRule": rules.put_rule,
        "events:PutTargets": rules.put_targets,
        "events:RemoveTargets": rules.remove_targets,
        "events:DeleteRule": rules.delete_rule,
        "lambda:AddPermission": rules.add_permission,
        "lambda:RemovePermission": rules.remove_permission,
    }
    world.lambda_.add(Function(_NAME, 128, _TIMEOUT, peer.make))

    def deliver(event: dict[str, Any]) -> None:
        world.lambda_.invoke_later(_NAME, world.with_place(event))

    sleep = world.lambda_.sleep
    with ExitStack() as ending:
        for thing, name, stand_in in (
            # Three clients for each environment are half a second of this machine's, hundreds of
            # times. The init of an environment is measured separately.
            (library, "boto3", SimpleNamespace(client=cache(boto3.client))),
            (library, "threading", SimpleNamespace(Timer=Timer)),
            (library.CfnResource._wait_for_cwlogs, "__defaults__", (sleep,)),
            (library_utils, "HTTPSConnection", Connection),
            (library_utils, "time", SimpleNamespace(sleep=sleep)),
            (library_utils, "ssl", mock.MagicMock()),  # a context is made for each answer
        ):
            ending.enter_context(mock.patch.object(thing, name, stand_in))
        yield deliver
