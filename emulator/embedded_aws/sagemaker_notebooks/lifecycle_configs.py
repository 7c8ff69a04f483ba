"""Lifecycle configurations, which notebook instances run when they are created or started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.instance import moment
from embedded_aws.sagemaker_notebooks.lists import page, select

_NAME = "NotebookInstanceLifecycleConfigName"
_ARN = "NotebookInstanceLifecycleConfigArn"


class LifecycleConfigs:
    """Lifecycle configurations of one account and Region, by name."""

    def __init__(self, arn_of: Callable[[str], str], clock: Callable[[], float]) -> None:
        self._arn_of = arn_of
        self._clock = clock
        self._configs: dict[str, dict[str, Any]] = {}

    def arn(self, name: str) -> str:
        """Return the ARN for a configuration's name, whether or not it exists."""
        return self._arn_of(name.lower())

    def find(self, name: str) -> dict[str, Any] | None:
        """Return a configuration as in DescribeNotebookInstanceLifecycleConfig, or None."""
        return self._configs.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of all configurations."""
        return tuple(self._configs)

    def create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """CreateNotebookInstanceLifecycleConfig."""
        name = params[_NAME]
        if name in self._configs:
            raise _refusal("create", self.arn(name), "already exists")
        now = moment(self._clock())
        self._configs[name] = {
            _NAME: name,
            _ARN: self.arn(name),
            "OnCreate": params.get("OnCreate") or [],
            "OnStart": params.get("OnStart") or [],
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        return {_ARN: self.arn(name)}

    def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeNotebookInstanceLifecycleConfig."""
        return dict(self._existing("describe", params[_NAME]))

    def update(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateNotebookInstanceLifecycleConfig."""
        config = self._existing("update", params[_NAME])
        config |= {hook: params[hook] for hook in ("OnCreate", "OnStart") if hook in params}
        config["LastModifiedTime"] = moment(self._clock())
        return {}

    def delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteNotebookInstanceLifecycleConfig."""
        self._existing("delete", params[_NAME])
        del self._configs[params[_NAME]]
        return {}

    def list(self, params: Mapping[str, Any], page_size: int) -> dict[str, Any]:
        """ListNotebookInstanceLifecycleConfigs."""
        shown = (_NAME, _ARN, "CreationTime", "LastModifiedTime")
        items = [{key: config[key] for key in shown} for config in self._configs.values()]
        chosen = select(items, params, _NAME)
        return page(chosen, params, "NotebookInstanceLifecycleConfigs", page_size)

    def _existing(self, verb: str, name: str) -> dict[str, Any]:
        config = self._configs.get(name)
        if config is None:
            raise _refusal(verb, f"'{self.arn(name)}'", "does not exist")
        return config


def _refusal(verb: str, arn: str, reason: str) -> ServiceError:
    return ServiceError(
        "ValidationException",
        f"Unable to {verb} Notebook Instance Lifecycle Config {arn}. "
        f"(Details: Notebook Instance Lifecycle Config {reason}.)",
    )
