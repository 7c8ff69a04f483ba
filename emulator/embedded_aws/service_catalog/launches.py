"""What a launch asks of CloudFormation, and what its record tells of the way that takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog import answers as answers
from embedded_aws.service_catalog import rules
from embedded_aws.service_catalog.model import (
    Artifact,
    Caller,
    Launch,
    Params,
    Portfolio,
    Product,
    ProvisionedProduct,
    Record,
    StackRequest,
    StackState,
)
from embedded_aws.service_catalog.store import CatalogStore

log = logging.getLogger(__name__)

# The type of a service action's record; what AWS calls it is not documented.
SERVICE_ACTION = "EXECUTE_PROVISIONED_PRODUCT_SERVICE_ACTION"


class Launches(CatalogStore):
    """How provisioned products come to their stacks, which are watched in the background."""

    def _start(
        self,
        provisioned: ProvisionedProduct,
        record: Record,
        launch: Launch,
        start: Callable[[], bool],
        *,
        ignore_errors: bool = False,
    ) -> None:
        provisioned.status = "UNDER_CHANGE"
        provisioned.status_message = ""

        def work() -> None:
            try:
                self._set_status(record, "IN_PROGRESS")
                state = (
                    self._watch(record, launch, provisioned)
                    if start()
                    else self._untouched(record, launch, provisioned)
                )
            except ServiceError as error:
                state = StackState(error.code, failure=error.message)
            except Exception as error:
                log.exception("%s of %s", record.type, provisioned.id)
                state = StackState("InternalFailure", failure=str(error))
            with self.lock:
                self._finish(provisioned, record, state, ignore_errors=ignore_errors)

        self._run(work)

    def _watch(self, record: Record, launch: Launch, provisioned: ProvisionedProduct) -> StackState:
        while True:
            state = self._stacks.describe(launch, provisioned.stack_id)
            if not state.status.endswith("IN_PROGRESS"):
                return state
            if "ROLLBACK" in state.status:
                self._set_status(record, "IN_PROGRESS_IN_ERROR")
            self._stacks.wait()

    def _untouched(
        self, record: Record, launch: Launch, provisioned: ProvisionedProduct
    ) -> StackState:
        if record.type == "TERMINATE_PROVISIONED_PRODUCT":
            return StackState("DELETE_COMPLETE")
        state = self._stacks.describe(launch, provisioned.stack_id)
        return StackState("UPDATE_COMPLETE", outputs=state.outputs)

    def _finish(
        self,
        provisioned: ProvisionedProduct,
        record: Record,
        state: StackState,
        *,
        ignore_errors: bool,
    ) -> None:
        done = {
            "PROVISION_PRODUCT": "CREATE_COMPLETE",
            "UPDATE_PROVISIONED_PRODUCT": "UPDATE_COMPLETE",
            "TERMINATE_PROVISIONED_PRODUCT": "DELETE_COMPLETE",
        }[record.type]
        terminates = record.type == "TERMINATE_PROVISIONED_PRODUCT"
        succeeded = state.status == done or (terminates and ignore_errors)
        if not succeeded:
            record.errors.append({"Code": state.status, "Description": state.failure})
        if terminates and succeeded:
            del self._provisioned[provisioned.id]
        else:
            self._settle(provisioned, record, state, succeeded=succeeded)
        self._set_status(record, "SUCCEEDED" if succeeded else "FAILED")

    def _settle(
        self,
        provisioned: ProvisionedProduct,
        record: Record,
        state: StackState,
        *,
        succeeded: bool,
    ) -> None:
        stack_output = {
            "OutputKey": "CloudformationStackARN",
            "OutputValue": provisioned.stack_id,
            "Description": "The ARN of the launched Cloudformation Stack",
        }
        if provisioned.stack_id:
            record.outputs = (stack_output, *(state.outputs if succeeded else ()))
        provisioned.status_message = state.failure
        if succeeded:
            provisioned.status = "AVAILABLE"
            provisioned.outputs = record.outputs
            provisioned.artifact_id = record.artifact_id
            provisioned.last_successful_provisioning_record_id = record.id
        elif record.type == "PROVISION_PRODUCT" or state.status.endswith("ROLLBACK_FAILED"):
            provisioned.status = "ERROR"
        else:
            # Stable, and not what was asked for: rolled back, refused, or not wholly deleted.
            provisioned.status = "TAINTED"

    def _set_status(self, record: Record, status: str) -> None:
        record.status = status
        record.updated = self._now()

    def _launch_role(self, portfolio_id: str, product_id: str) -> str | None:
        for parameters in self._constraint_parameters(portfolio_id, product_id, "LAUNCH"):
            return self._role_arn(parameters)
        return None

    def _tag_update_allowed(self, portfolio_id: str, product_id: str) -> bool:
        found = self._constraint_parameters(portfolio_id, product_id, "RESOURCE_UPDATE")
        return any(
            parameters.get("Properties", {}).get("TagUpdateOnProvisionedProduct") == "ALLOWED"
            for parameters in found
        )

    def _replayed(self, token: str, kind: str, caller: Caller) -> Params | None:
        for record in self._records.values():
            if (record.token, record.type, record.user_arn) == (token, kind, caller.arn):
                return {"RecordDetail": self._record_detail(record)}
        return None

    def _launch_tags(
        self, portfolio: Portfolio, product: Product, given: Mapping[str, str]
    ) -> dict[str, str]:
        """Return a launch's tags: the portfolio's, the product's, the chosen tag options.

        A key with one value is applied; of a key with more the launcher must choose one
        (Service Catalog administrator guide, "TagOption library").
        """
        values: dict[str, list[str]] = {}
        for option in self._options_on(portfolio.id, product.id):
            values.setdefault(option.key, []).append(option.value)
        for key, allowed in values.items():
            if len(allowed) > 1 and given.get(key) not in allowed:
                raise answers.invalid(f"Tag {key} must have one of the values {sorted(allowed)}")
        single = {key: allowed[0] for key, allowed in values.items() if len(allowed) == 1}
        return {**portfolio.tags, **product.tags, **given, **single}

    def _stack_request(
        self,
        provisioned: ProvisionedProduct,
        artifact: Artifact,
        parameters: Mapping[str, str | None],
        notification_arns: tuple[str, ...] = (),
    ) -> StackRequest:
        on_launch = (provisioned.portfolio_id, provisioned.product_id)
        constraint_arns = [
            arn
            for found in self._constraint_parameters(*on_launch, "NOTIFICATION")
            for arn in found["NotificationArns"]
        ]
        template_rules = self._constraint_parameters(*on_launch, "TEMPLATE")
        # Service Catalog administrator guide, "AutoTags".
        auto_tags = {
            "aws:servicecatalog:portfolioArn": self.arn_of("portfolio", provisioned.portfolio_id),
            "aws:servicecatalog:productArn": self.arn_of("product", provisioned.product_id),
            "aws:servicecatalog:provisioningPrincipalArn": provisioned.user_arn,
            "aws:servicecatalog:provisionedProductArn": provisioned.arn,
            "aws:servicecatalog:provisioningArtifactIdentifier": artifact.id,
        }
        return StackRequest(
            name=f"SC-{self.account}-{provisioned.id}",
            template_url=artifact.url,
            artifact_id=artifact.id,
            parameters=parameters,
            tags={**provisioned.tags, **auto_tags},
            notification_arns=(*notification_arns, *constraint_arns),
            rules=rules.joined(found["Rules"] for found in template_rules),
        )

    def _record(
        self, provisioned: ProvisionedProduct, kind: str, token: str, caller: Caller
    ) -> Record:
        record = Record(
            id=answers.new_id("rec"),
            type=kind,
            created=self._now(),
            updated=self._now(),
            provisioned_product_id=provisioned.id,
            provisioned_product_name=provisioned.name,
            product_id=provisioned.product_id,
            artifact_id=provisioned.artifact_id,
            path_id=provisioned.path_id,
            launch_role_arn=provisioned.launch.role_arn,
            user_arn=caller.arn,
            token=token,
            tags=dict(provisioned.tags),
        )
        self._records[record.id] = record
        # ProvisionedProductDetail: service actions are no such records.
        if kind in ("PROVISION_PRODUCT", "UPDATE_PROVISIONED_PRODUCT"):
            provisioned.last_provisioning_record_id = record.id
        if kind != SERVICE_ACTION:
            provisioned.last_record_id = record.id
        return record

    def _record_detail(self, record: Record) -> Params:
        detail = {
            "RecordId": record.id,
            "ProvisionedProductName": record.provisioned_product_name,
            "Status": record.status,
            "CreatedTime": record.created,
            "UpdatedTime": record.updated,
            "ProvisionedProductType": "CFN_STACK",
            "RecordType": record.type,
            "ProvisionedProductId": record.provisioned_product_id,
            "ProductId": record.product_id,
            "ProvisioningArtifactId": record.artifact_id,
            "PathId": record.path_id,
            "RecordErrors": list(record.errors),
            "RecordTags": answers.tag_list(record.tags),
        }
        if record.launch_role_arn:
            detail["LaunchRoleArn"] = record.launch_role_arn
        return detail
