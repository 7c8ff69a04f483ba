"""Service actions: Automation documents that end users run on what they launched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog import answers as answers
from embedded_aws.service_catalog.launches import SERVICE_ACTION
from embedded_aws.service_catalog.model import (
    Caller,
    Launch,
    Params,
    ProvisionedProduct,
    ServiceAction,
)
from embedded_aws.service_catalog.provisioning import Provisioning

_LAUNCH_ROLE = "LAUNCH_ROLE"

Values = Mapping[str, Sequence[str]]


class ServiceActions(Provisioning):
    """The operations on service actions, and their execution on provisioned products."""

    def create_service_action(self, params: Params, caller: Caller) -> Params:
        """CreateServiceAction."""
        self._check_definition(params["Definition"], caller)
        action_id = self._id("act", "CreateServiceAction", params["IdempotencyToken"])
        if action_id not in self._service_actions:
            self._service_actions[action_id] = ServiceAction(
                id=action_id,
                name=params["Name"],
                description=params.get("Description", ""),
                definition=params["Definition"],
            )
        return {"ServiceActionDetail": _detail(self._service_actions[action_id])}

    def update_service_action(self, params: Params, caller: Caller) -> Params:
        """UpdateServiceAction: a definition that is given replaces the whole one."""
        action = self._service_action(params["Id"])
        if "Definition" in params:
            self._check_definition(params["Definition"], caller)
            action.definition = params["Definition"]
        action.name = params.get("Name", action.name)
        action.description = params.get("Description", action.description)
        return {"ServiceActionDetail": _detail(action)}

    def delete_service_action(self, params: Params, _caller: Caller) -> Params:
        """DeleteServiceAction: refused while it is associated."""
        action = self._service_action(params["Id"])
        if any(True for _ in self._associated(action)):
            raise ServiceError(
                "ResourceInUseException", f"ServiceAction {action.id} is still associated"
            )
        del self._service_actions[action.id]
        return {}

    def describe_service_action(self, params: Params, _caller: Caller) -> Params:
        """DescribeServiceAction."""
        return {"ServiceActionDetail": _detail(self._service_action(params["Id"]))}

    def list_service_actions(self, params: Params, _caller: Caller) -> Params:
        """ListServiceActions."""
        found = [_summary(action) for action in self._service_actions.values()]
        return answers.page("ServiceActionSummaries", found, params)

    def associate_service_action_with_provisioning_artifact(
        self, params: Params, _caller: Caller
    ) -> Params:
        """AssociateServiceActionWithProvisioningArtifact."""
        action, version = self._association(params)
        if version in action.versions:
            raise ServiceError(
                "DuplicateResourceException",
                f"ServiceAction {action.id} is already associated with {version[1]}",
            )
        action.versions.append(version)
        return {}

    def disassociate_service_action_from_provisioning_artifact(
        self, params: Params, _caller: Caller
    ) -> Params:
        """DisassociateServiceActionFromProvisioningArtifact."""
        action, version = self._association(params)
        if version not in action.versions:
            raise answers.not_found(
                f"ServiceAction {action.id} is not associated with {version[1]}"
            )
        action.versions.remove(version)
        return {}

    def list_service_actions_for_provisioning_artifact(
        self, params: Params, _caller: Caller
    ) -> Params:
        """ListServiceActionsForProvisioningArtifact."""
        artifact = answers.artifact_of(self._product_here(params["ProductId"]), params)
        version = (params["ProductId"], artifact.id)
        found = [_summary(a) for a in self._service_actions.values() if version in a.versions]
        return answers.page("ServiceActionSummaries", found, params)

    def describe_service_action_execution_parameters(
        self, params: Params, caller: Caller
    ) -> Params:
        """DescribeServiceActionExecutionParameters: what an execution would take by itself."""
        provisioned = self._provisioned_product(params)
        action = self._service_action_of(provisioned, params["ServiceActionId"])
        as_caller = Launch(caller, None)
        document = self._automations.document(as_caller, *_document(action))
        values = {**document.defaults, **self._resolved(as_caller, action, provisioned, {})}
        return {
            "ServiceActionParameters": [
                {**declared, "DefaultValues": values.get(declared["Name"], [])}
                for declared in _parameters(action.definition)
            ]
        }

    def execute_provisioned_product_service_action(self, params: Params, caller: Caller) -> Params:
        """ExecuteProvisionedProductServiceAction: the record tells how the automation goes.

        Also what is wrong with its parameters or permissions [administrator guide, "Service
        actions", Troubleshooting]; the provisioned product and its last record stay as they are
        [ProvisionedProductDetail, LastRecordId].
        """
        replayed = self._replayed(params["ExecuteToken"], SERVICE_ACTION, caller)
        if replayed:
            return replayed
        provisioned = self._provisioned_product(params)
        action = self._service_action_of(provisioned, params["ServiceActionId"])
        if provisioned.status == "UNDER_CHANGE":
            raise ServiceError(
                "InvalidStateException", f"Provisioned product {provisioned.id} is UNDER_CHANGE"
            )
        record = self._record(provisioned, SERVICE_ACTION, params["ExecuteToken"], caller)
        given: Values = params.get("Parameters", {})
        as_caller, actor = Launch(caller, None), _actor(action, provisioned, caller)

        def work() -> None:
            self._set_status(record, "IN_PROGRESS")
            try:
                # The policies that AWS manages let end users describe documents and list a
                # stack's resources, and those it shows for roles let them do all of it.
                values = self._resolved(as_caller, action, provisioned, given)
                if actor != as_caller:
                    values = self._resolved(actor, action, provisioned, given)
                failure = self._automations.run(actor, *_document(action), values)
            except ServiceError as error:
                failure = error.message
            with self.lock:
                if failure:
                    record.errors.append({"Code": "ServiceActionFailed", "Description": failure})
                self._set_status(record, "FAILED" if failure else "SUCCEEDED")

        self._run(work)
        return {"RecordDetail": self._record_detail(record)}

    def _service_action(self, action_id: str) -> ServiceAction:
        if action_id not in self._service_actions:
            raise answers.not_found(f"ServiceAction {action_id} not found.")
        return self._service_actions[action_id]

    def _service_action_of(self, provisioned: ProvisionedProduct, action_id: str) -> ServiceAction:
        action = self._service_action(action_id)
        if (provisioned.product_id, provisioned.artifact_id) not in action.versions:
            raise answers.not_found(
                f"ServiceAction {action_id} is not associated with {provisioned.artifact_id}"
            )
        return action

    def _association(self, params: Params) -> tuple[ServiceAction, tuple[str, str]]:
        artifact = self._artifact(params["ProductId"], params["ProvisioningArtifactId"])
        return self._service_action(params["ServiceActionId"]), (params["ProductId"], artifact.id)

    def _associated(self, action: ServiceAction) -> Iterator[tuple[str, str]]:
        """Yield the versions it is associated with that still exist."""
        for product_id, artifact_id in action.versions:
            product = self._products.get(product_id)
            if product and artifact_id in product.artifacts:
                yield product_id, artifact_id

    def _check_definition(self, definition: Mapping[str, str], caller: Caller) -> None:
        """Check a definition as far as its administrator can see it.

        The rights are those of the registry schema's handlers: ssm:DescribeDocument, iam:GetRole.
        """
        for key in ("Name", "Version"):
            if key not in definition:
                raise answers.invalid(f"Definition must have a {key}")
        for declared in _parameters(definition):
            if set(declared) != {"Name", "Type"} or declared["Type"] not in _PARAMETER_TYPES:
                raise answers.invalid(
                    f"Definition parameters have a Name and a Type of {_PARAMETER_TYPES}"
                )
        name, version = definition["Name"], definition["Version"]
        self._automations.document(Launch(caller, None), name, version)
        role = definition.get("AssumeRole", _LAUNCH_ROLE)
        if role != _LAUNCH_ROLE:
            caller.require("iam:GetRole", role)

    def _resolved(
        self, actor: Launch, action: ServiceAction, provisioned: ProvisionedProduct, given: Values
    ) -> dict[str, list[str]]:
        """Return the parameters that the automation gets; raises ServiceError.

        The messages are those of the administrator guide, "Service actions", Troubleshooting.
        """
        declared = {each["Name"]: each["Type"] for each in _parameters(action.definition)}
        document = self._automations.document(actor, *_document(action))
        for name in given:
            if name not in declared:
                raise answers.invalid(
                    f"Parameter {name} is not defined in service action definition"
                )
        values = {name: list(given[name]) for name in given}
        for name, kind in declared.items():
            if kind != "TARGET":
                continue
            if not document.target_type:
                raise answers.invalid("TargetType not defined for SSM Automation document")
            resource_type = document.target_type.removeprefix("/")
            found = self._automations.resources(actor, provisioned.stack_id, resource_type)
            if not found:
                raise answers.invalid(
                    f"Cannot find any resources with type {resource_type} in provisioned product"
                )
            values.setdefault(name, found)
            foreign = [value for value in values[name] if value not in found]
            if foreign:
                raise answers.invalid(
                    "The following values for the parameter are not allowed because they are not "
                    f"in the provisioned product: {', '.join(foreign)}"
                )
        return values


_PARAMETER_TYPES = ("TARGET", "TEXT_VALUE")


def _parameters(definition: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        parameters = json.loads(definition.get("Parameters", "[]"))
    except ValueError as error:
        raise answers.invalid(f"Definition parameters are not JSON: {error}") from error
    if not isinstance(parameters, list) or not all(isinstance(each, dict) for each in parameters):
        raise answers.invalid("Definition parameters must be a list of parameters")
    return parameters


def _document(action: ServiceAction) -> tuple[str, str]:
    return action.definition["Name"], action.definition["Version"]


def _actor(action: ServiceAction, provisioned: ProvisionedProduct, caller: Caller) -> Launch:
    role = action.definition.get("AssumeRole")
    return Launch(caller, provisioned.launch.role_arn if role == _LAUNCH_ROLE else role)


def _summary(action: ServiceAction) -> Params:
    return {
        "Id": action.id,
        "Name": action.name,
        "Description": action.description,
        "DefinitionType": "SSM_AUTOMATION",
    }


def _detail(action: ServiceAction) -> Params:
    return {"ServiceActionSummary": _summary(action), "Definition": dict(action.definition)}
