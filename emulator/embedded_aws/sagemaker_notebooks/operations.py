"""The operations on notebook instances and the rules of the service for them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.sagemaker_notebooks.environment import Surroundings
from embedded_aws.sagemaker_notebooks.faults import Faults
from embedded_aws.sagemaker_notebooks.instance import DEFAULTS, Notebook, Transition
from embedded_aws.sagemaker_notebooks.lifecycle_configs import LifecycleConfigs
from embedded_aws.sagemaker_notebooks.lists import page, select
from embedded_aws.sagemaker_notebooks.permissions import dependent_permissions
from embedded_aws.sagemaker_notebooks.tags import checked_tags

Answer = dict[str, Any]
Params = Mapping[str, Any]

_DISASSOCIATE = {
    "DisassociateLifecycleConfig": "LifecycleConfigName",
    "DisassociateDefaultCodeRepository": "DefaultCodeRepository",
    "DisassociateAdditionalCodeRepositories": "AdditionalCodeRepositories",
    "DisassociateAcceleratorTypes": "AcceleratorTypes",
}


class NotebookOperations:
    """The notebook instances of one account and Region.

    `entered` is called for every notebook that enters a new status.
    """

    def __init__(
        self,
        around: Surroundings,
        faults: Faults,
        configs: LifecycleConfigs,
        entered: Callable[[Notebook], None],
    ) -> None:
        self._around = around
        self._faults = faults
        self._configs = configs
        self._entered = entered
        self._made = 0
        self._lingering: list[tuple[float, str]] = []
        self.by_arn: dict[str, Notebook] = {}

    def next_change(self) -> float | None:
        """Return the time of the next status change of any notebook, or None."""
        return min((each.next.due for each in self.by_arn.values() if each.next), default=None)

    def advance(self, now: float) -> None:
        """Make all transitions that are due, in order of their time."""
        while due := [
            notebook
            for notebook in self.by_arn.values()
            if notebook.next and notebook.next.due <= now
        ]:
            first = min(due, key=lambda notebook: notebook.next.due if notebook.next else now)
            self._advance_one(first, now)
        for released_at, interface in list(self._lingering):
            if released_at <= now:
                self._lingering.remove((released_at, interface))
                if self._around.network:
                    self._around.network.release(interface)

    def _advance_one(self, notebook: Notebook, now: float) -> None:
        gone_at = notebook.next.due if notebook.next else now
        if notebook.advance(now, self._entered):
            return
        del self.by_arn[notebook.arn]
        if notebook.network_interface_id:
            released_at = gone_at + self._around.timing.network_interface_lingers
            self._lingering.append((released_at, notebook.network_interface_id))
        if self._around.keys and notebook.key_arn and notebook.grant_id:
            self._around.keys.revoke(notebook.key_arn, notebook.grant_id)

    def lingering_interfaces(self) -> list[str]:
        """Return the network interfaces that remain of deleted notebooks."""
        return [interface for _, interface in self._lingering]

    def find(self, name: str) -> Notebook:
        """Return a notebook by name, ignoring case.

        Raises ServiceError(ValidationException) "RecordNotFound", as the service does, if it does
        not exist.
        """
        notebook = self.by_arn.get(self._around.arn("notebook-instance", name))
        if notebook is None:
            raise ServiceError("ValidationException", "RecordNotFound")
        return notebook

    def create(self, params: Params, caller: Any) -> Answer:
        """CreateNotebookInstance."""
        name = params["NotebookInstanceName"]
        arn = self._around.arn("notebook-instance", name)
        settings = DEFAULTS | {
            key: value
            for key, value in params.items()
            if value is not None and key not in ("NotebookInstanceName", "Tags")
        }
        key_arn = self._resolve_key(settings)
        self._require("CreateNotebookInstance", params, caller, arn, settings, key_arn)
        if arn in self.by_arn:
            raise ServiceError(
                "ValidationException", f"Cannot create a duplicate Notebook Instance ({arn})"
            )
        tags = checked_tags(params, {})
        self._check_references(settings)
        self._check_internet_access(settings)
        self._faults.check_total_quota(self.by_arn.values())
        self._faults.check_instance_quota(settings["InstanceType"], self.by_arn.values())
        self._faults.check_zone(settings["InstanceType"], self._around.zone)
        notebook = Notebook(name, arn, settings, tags, self._around.clock(), self._new_volume(name))
        self._attach(notebook)
        if self._around.keys and key_arn:
            notebook.key_arn = key_arn
            notebook.grant_id = self._around.keys.grant(key_arn, arn)
        self.by_arn[arn] = notebook
        self._begin_start(notebook, self._around.timing.pending)
        return {"NotebookInstanceArn": arn}

    def update(self, params: Params, caller: Any) -> Answer:
        """UpdateNotebookInstance."""
        notebook = self.find(params["NotebookInstanceName"])
        self._require_for(notebook, "UpdateNotebookInstance", params, caller)
        if not (notebook.status == "Failed" and self._faults.updates_failed_notebooks):
            notebook.check_transition("Updating")
        settings = _updated(notebook, params)
        self._check_references(
            {key: settings[key] for key in ("RoleArn", "LifecycleConfigName") if params.get(key)}
        )
        self._faults.check_zone(params.get("InstanceType", ""), self._around.zone)
        notebook.settings = settings
        now = self._around.clock()
        self._become(
            notebook, "Updating", Transition("Stopped", now + self._around.timing.updating)
        )
        return {}

    def start(self, params: Params, caller: Any) -> Answer:
        """StartNotebookInstance."""
        notebook = self.find(params["NotebookInstanceName"])
        self._require_for(notebook, "StartNotebookInstance", params, caller)
        notebook.check_transition("Pending")
        self._check_references(notebook.settings)
        self._faults.check_instance_quota(notebook.settings["InstanceType"], self.by_arn.values())
        self._faults.check_zone(notebook.settings["InstanceType"], self._around.zone)
        self._begin_start(notebook, self._around.timing.starting)
        return {}

    def stop(self, params: Params, caller: Any) -> Answer:
        """StopNotebookInstance."""
        notebook = self.find(params["NotebookInstanceName"])
        self._require_for(notebook, "StopNotebookInstance", params, caller)
        notebook.check_transition("Stopping")
        now = self._around.clock()
        self._become(
            notebook, "Stopping", Transition("Stopped", now + self._around.timing.stopping)
        )
        return {}

    def presign(self, params: Params) -> Answer:
        """CreatePresignedNotebookInstanceUrl, only for a notebook that is InService.

        AWS documents this condition, but not the error message.
        """
        notebook = self.find(params["NotebookInstanceName"])
        if notebook.status != "InService":
            raise ServiceError(
                "ValidationException", f"Status ({notebook.status}) not in ([InService])"
            )
        return {"AuthorizedUrl": f"https://{notebook.url}?authToken={secrets.token_urlsafe(16)}"}

    def delete(self, params: Params, caller: Any) -> Answer:
        """DeleteNotebookInstance."""
        notebook = self.find(params["NotebookInstanceName"])
        self._require_for(notebook, "DeleteNotebookInstance", params, caller)
        notebook.check_transition("Deleting")
        now = self._around.clock()
        self._become(notebook, "Deleting", Transition(None, now + self._around.timing.deleting))
        return {}

    def list(self, params: Params, page_size: int) -> Answer:
        """ListNotebookInstances."""
        items = [notebook.summary() for notebook in self.by_arn.values()]
        chosen = select(items, params, "NotebookInstanceName")
        return page(chosen, params, "NotebookInstances", page_size)

    def _begin_start(self, notebook: Notebook, takes: float) -> None:
        config = notebook.settings.get("LifecycleConfigName")
        status, reason = self._faults.start_outcome(
            notebook, self._configs.arn(config) if config else None, self._around.zone
        )
        now = self._around.clock()
        self._become(notebook, "Pending", Transition(status, now + takes, reason))

    def _become(self, notebook: Notebook, status: str, then: Transition) -> None:
        notebook.become(status, self._around.clock(), then)
        self._entered(notebook)

    def _new_volume(self, name: str) -> str:
        # Derived instead of random, so that a run can be repeated; unique for each notebook.
        self._made += 1
        return "vol-" + hashlib.sha256(f"{name}/{self._made}".encode()).hexdigest()[:17]

    def _attach(self, notebook: Notebook) -> None:
        subnet = notebook.settings.get("SubnetId")
        if not subnet:
            return
        groups = notebook.settings.get("SecurityGroupIds") or []
        if self._around.network:
            interface, groups = self._around.network.attach(subnet, groups, notebook.name)
        else:
            interface = notebook.volume_id.replace("vol-", "eni-")
        notebook.network_interface_id = interface
        notebook.settings["SecurityGroupIds"] = groups

    def _resolve_key(self, settings: Params) -> str | None:
        key_id = settings.get("KmsKeyId")
        if key_id and self._around.keys:
            return self._around.keys.resolve(key_id)
        return key_id

    def _require_for(self, notebook: Notebook, operation: str, params: Params, caller: Any) -> None:
        key = notebook.key_arn or notebook.settings.get("KmsKeyId")
        self._require(operation, params, caller, notebook.arn, notebook.settings, key)

    def _require(
        self,
        operation: str,
        params: Params,
        caller: Any,
        arn: str,
        settings: Params,
        key_arn: str | None,
    ) -> None:
        known = {**settings, "KmsKeyId": key_arn}
        for needed in dependent_permissions(
            operation, params, arn, known, self._around.network_arn
        ):
            self._around.require(caller, needed.action, needed.resource, needed.context)

    def _check_references(self, settings: Params) -> None:
        """Reject a role that cannot be assumed and a missing lifecycle configuration."""
        role, config = settings.get("RoleArn"), settings.get("LifecycleConfigName")
        if role and self._around.role_created:
            created = self._around.role_created(role)
            if created is None or self._around.clock() - created < self._around.role_propagation:
                raise ServiceError(
                    "ValidationException",
                    f"Could not assume role {role}. Please ensure that the role exists and allows "
                    "principal 'sagemaker.amazonaws.com' to assume the role.",
                )
        if config and self._configs.find(config) is None:
            raise ServiceError(
                "ValidationException",
                f"Unable to describe Notebook Instance Lifecycle Config "
                f"'{self._configs.arn(config)}'. "
                "(Details: Notebook Instance Lifecycle Config does not exist.)",
            )

    def _check_internet_access(self, settings: Params) -> None:
        if settings["DirectInternetAccess"] == "Disabled" and not settings.get("SubnetId"):
            raise ServiceError(
                "ValidationException",
                "DirectInternetAccess can be Disabled only if a SubnetId is given.",
            )
        if settings.get("SecurityGroupIds") and not settings.get("SubnetId"):
            raise ServiceError(
                "ValidationException", "SecurityGroupIds can be given only with a SubnetId."
            )


def _updated(notebook: Notebook, params: Params) -> dict[str, Any]:
    """Return the notebook's settings after an update.

    Raises ServiceError(ValidationException) for a smaller volume, and for a setting that is both
    given and disassociated.
    """
    size, wanted = notebook.settings["VolumeSizeInGB"], params.get("VolumeSizeInGB")
    if wanted is not None and wanted < size:
        raise ServiceError(
            "ValidationException",
            f"The volume of Notebook Instance ({notebook.arn}) has {size} GB and cannot be "
            f"decreased to {wanted} GB.",
        )
    settings = dict(notebook.settings)
    for flag, name in _DISASSOCIATE.items():
        if params.get(flag):
            if params.get(name):
                raise ServiceError(
                    "ValidationException", f"{name} and {flag} cannot be given together."
                )
            settings.pop(name, None)
    changes = {
        key: value
        for key, value in params.items()
        if value is not None and key != "NotebookInstanceName" and key not in _DISASSOCIATE
    }
    return settings | changes
