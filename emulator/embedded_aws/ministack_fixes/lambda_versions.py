"""Published versions of functions, where MiniStack differs from AWS.

Lambda publishes no version if code and configuration equal those of the last version, even after
changes in between (Lambda developer guide, "Manage Lambda function versions"). MiniStack counts the
changes instead.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import lambda_svc

_ministack_publish = lambda_svc._publish_version

# Fields of a function's configuration that do not affect how it runs.
_OF_ITSELF = {"Description", "FunctionArn", "LastModified", "RevisionId", "Version"}
_OF_ITS_STATE = ("LastUpdateStatus", "State")  # and their reasons


def install() -> None:
    """Install the wrapper."""
    names = _ministack_publish.__code__.co_varnames[: _ministack_publish.__code__.co_argcount]
    assert names == ("name", "data"), f"MiniStack's _publish_version takes {names} now"
    lambda_svc._publish_version = _publish


def _publish(name: str, data: dict[str, Any]) -> Any:
    function = lambda_svc._functions.get(name) or {}
    versions = function.get("versions") or {}
    latest = versions.get(max(versions, key=int, default=None))
    if latest and _runs(latest["config"]) == _runs(function["config"]):
        latest["function_revision"] = function["config"]["RevisionId"]
    return _ministack_publish(name, data)


def _runs(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in config.items()
        if name not in _OF_ITSELF and not name.startswith(_OF_ITS_STATE)
    }
