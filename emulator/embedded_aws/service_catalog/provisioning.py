"""Provisioned products and their records, as their owners handle them."""

from __future__ import annotations

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog import answers as answers
from embedded_aws.service_catalog.access import at_level, same_role
from embedded_aws.service_catalog.launches import Launches
from embedded_aws.service_catalog.model import Caller, Launch, Params, ProvisionedProduct


class Provisioning(Launches):
    """The operations on provisioned products and records."""

    def access_levels(self, params: Params, caller_arn: str) -> dict[str, list[str]]:
        """Return the condition keys servicecatalog:{account,role,user}Level that the call meets.

        For calls on a provisioned product or a record: whether the caller's account, role or
        session made it.
        """
        owner = self._owner_of(params)
        levels = {"servicecatalog:accountLevel": ["self"]}
        if owner is not None and same_role(owner, caller_arn):
            levels["servicecatalog:roleLevel"] = ["self"]
        if owner == caller_arn:
            levels["servicecatalog:userLevel"] = ["self"]
        return levels

    def _owner_of(self, params: Params) -> str | None:
        if str(params.get("Id", "")).startswith("rec-"):
            record = self._records.get(params["Id"])
            return record.user_arn if record else None
        keys = ("Id", "Name") if {"Id", "Name"} & params.keys() else ()
        try:
            return self._provisioned_product(params, *keys).user_arn
        except ServiceError:
            return None

    def provision_product(self, params: Params, caller: Caller) -> Params:
        """ProvisionProduct: starts the stack in the background; the record tells how it goes."""
        replayed = self._replayed(params["ProvisionToken"], "PROVISION_PRODUCT", caller)
        if replayed:
            return replayed
        product = self._visible_product(params, caller, "ProductId", "ProductName")
        artifact = answers.active_artifact(product, params)
        answers.refuse_deprecated(artifact)
        path_id, portfolio = self._path(product.id, params, caller)
        name = params["ProvisionedProductName"]
        if any(existing.name == name for existing in self._provisioned.values()):
            raise answers.invalid(f"A stack named {name} already exists.")
        tags = self._launch_tags(portfolio, product, answers.tag_map(params.get("Tags")))
        given = answers.parameter_map(params.get("ProvisioningParameters"))
        identifier = answers.new_id("pp")
        provisioned = ProvisionedProduct(
            id=identifier,
            name=name,
            arn=(
                f"arn:{self.partition}:servicecatalog:{self.region}:{self.account}"
                f":stack/{name}/{identifier}"
            ),
            created=self._now(),
            product_id=product.id,
            artifact_id=artifact.id,
            path_id=path_id,
            portfolio_id=portfolio.id,
            user_arn=caller.arn,
            token=params["ProvisionToken"],
            tags=tags,
            launch=Launch(caller, self._launch_role(portfolio.id, product.id)),
        )
        self._provisioned[identifier] = provisioned
        record = self._record(provisioned, "PROVISION_PRODUCT", params["ProvisionToken"], caller)
        request = self._stack_request(
            provisioned, artifact, given, tuple(params.get("NotificationArns", ()))
        )
        launch = provisioned.launch

        def start() -> bool:
            provisioned.stack_id = self._stacks.create(launch, request)
            return True

        self._start(provisioned, record, launch, start)
        return {"RecordDetail": self._record_detail(record)}

    def update_provisioned_product(self, params: Params, caller: Caller) -> Params:
        """UpdateProvisionedProduct: another artifact, other parameters, or both."""
        replayed = self._replayed(params["UpdateToken"], "UPDATE_PROVISIONED_PRODUCT", caller)
        if replayed:
            return replayed
        provisioned = self._provisioned_product(params)
        self._require_settled(provisioned)
        if {"ProductId", "ProductName"} & set(params):
            product = self._visible_product(params, caller, "ProductId", "ProductName")
        else:
            product = self._visible_product({"Id": provisioned.product_id}, caller, "Id", "Name")
        if product.id != provisioned.product_id:
            raise answers.invalid("Updating to another product is not simulated")
        named = answers.chosen(params, "ProvisioningArtifactId", "ProvisioningArtifactName")
        same = {"ProvisioningArtifactId": provisioned.artifact_id}
        artifact = answers.active_artifact(product, named or same)
        if artifact.id != provisioned.artifact_id:
            answers.refuse_deprecated(artifact)
        path_id, portfolio = self._path(product.id, params, caller)
        if params.get("Tags") and not self._tag_update_allowed(portfolio.id, product.id):
            raise answers.invalid(
                "Tags of a provisioned product cannot be updated: no constraint allows"
            )
        tags = answers.tag_map(params.get("Tags"))
        given = answers.parameter_map(params.get("ProvisioningParameters"))
        provisioned.path_id, provisioned.portfolio_id = path_id, portfolio.id
        provisioned.tags |= tags
        launch = Launch(caller, self._launch_role(provisioned.portfolio_id, product.id))
        provisioned.launch = launch
        record = self._record(
            provisioned, "UPDATE_PROVISIONED_PRODUCT", params["UpdateToken"], caller
        )
        record.artifact_id = artifact.id
        request = self._stack_request(provisioned, artifact, given)
        self._start(
            provisioned,
            record,
            launch,
            lambda: self._stacks.update(launch, provisioned.stack_id, request),
        )
        return {"RecordDetail": self._record_detail(record)}

    def terminate_provisioned_product(self, params: Params, caller: Caller) -> Params:
        """TerminateProvisionedProduct.

        With IgnoreErrors the product goes even if its stack stays; with RetainPhysicalResources
        the stack is left alone.
        """
        token = params["TerminateToken"]
        replayed = self._replayed(token, "TERMINATE_PROVISIONED_PRODUCT", caller)
        if replayed and replayed["RecordDetail"]["ProvisionedProductId"] in self._provisioned:
            return replayed
        provisioned = self._provisioned_product(params)
        self._require_settled(provisioned)
        record = self._record(provisioned, "TERMINATE_PROVISIONED_PRODUCT", token, caller)
        role_arn = provisioned.launch.role_arn
        launch = Launch(caller, role_arn)

        def start() -> bool:
            if not provisioned.stack_id or params.get("RetainPhysicalResources"):
                return False
            self._stacks.delete(launch, provisioned.stack_id)
            return True

        self._start(
            provisioned, record, launch, start, ignore_errors=params.get("IgnoreErrors", False)
        )
        return {"RecordDetail": self._record_detail(record)}

    def describe_provisioned_product(self, params: Params, _caller: Caller) -> Params:
        """DescribeProvisionedProduct, by id or name."""
        provisioned = self._provisioned_product(params, "Id", "Name")
        detail = answers.provisioned_detail(provisioned)
        if provisioned.launch.role_arn:
            detail["LaunchRoleArn"] = provisioned.launch.role_arn
        return {"ProvisionedProductDetail": detail}

    def search_provisioned_products(self, params: Params, caller: Caller) -> Params:
        """SearchProvisionedProducts at an access level; the caller's own when none is given."""
        found = [
            self._provisioned_attributes(provisioned)
            for provisioned in self._provisioned.values()
            if at_level(params, provisioned.user_arn, caller.arn)
        ]
        queries = params.get("Filters", {}).get("SearchQuery", [])
        found = [
            item for item in found if all(answers.query_found(query, item) for query in queries)
        ]
        return {
            **answers.page("ProvisionedProducts", found, params),
            "TotalResultsCount": len(found),
        }

    def scan_provisioned_products(self, params: Params, caller: Caller) -> Params:
        """ScanProvisionedProducts at an access level; the caller's own when none is given."""
        found = [
            answers.provisioned_detail(provisioned)
            for provisioned in self._provisioned.values()
            if at_level(params, provisioned.user_arn, caller.arn)
        ]
        return answers.page("ProvisionedProducts", found, params)

    def get_provisioned_product_outputs(self, params: Params, _caller: Caller) -> Params:
        """GetProvisionedProductOutputs of the last successful record."""
        provisioned = self._provisioned_product(params)
        keys = params.get("OutputKeys")
        outputs = [o for o in provisioned.outputs if keys is None or o["OutputKey"] in keys]
        missing = set(keys or ()) - {output["OutputKey"] for output in outputs}
        if missing:
            raise answers.invalid(f"Invalid output keys: {sorted(missing)}")
        return answers.page("Outputs", outputs, params)

    def describe_record(self, params: Params, _caller: Caller) -> Params:
        """DescribeRecord, with the stack's outputs once it has succeeded."""
        record = self._records.get(params["Id"])
        if record is None:
            raise answers.not_found(f"Record {params['Id']} not found.")
        return {
            "RecordDetail": self._record_detail(record),
            "RecordOutputs": list(record.outputs),
        }

    def list_record_history(self, params: Params, caller: Caller) -> Params:
        """ListRecordHistory, newest first, at an access level."""
        wanted = params.get("SearchFilter", {})
        keys = {"product": "ProductId", "provisionedproduct": "ProvisionedProductId"}
        details = [
            self._record_detail(record)
            for record in reversed(self._records.values())
            if at_level(params, record.user_arn, caller.arn)
        ]
        if wanted:
            key = keys.get(wanted.get("Key", ""))
            if key is None:
                raise answers.invalid(f"SearchFilter key must be one of {sorted(keys)}")
            details = [detail for detail in details if detail[key] == wanted.get("Value")]
        return answers.page("RecordDetails", details, params)

    def _provisioned_product(
        self,
        params: Params,
        id_key: str = "ProvisionedProductId",
        name_key: str = "ProvisionedProductName",
    ) -> ProvisionedProduct:
        if (id_key in params) == (name_key in params):
            raise answers.invalid(f"Specify either {id_key} or {name_key}, and not both")
        for provisioned in self._provisioned.values():
            if params.get(id_key) == provisioned.id or params.get(name_key) in (
                provisioned.name,
                provisioned.arn,
            ):
                return provisioned
        wanted = params.get(id_key) or params[name_key]
        raise answers.not_found(f"Provisioned product not found: {wanted}")

    def _require_settled(self, provisioned: ProvisionedProduct) -> None:
        if provisioned.status == "UNDER_CHANGE":
            raise answers.invalid(f"Provisioned product {provisioned.id} is UNDER_CHANGE")

    def _provisioned_attributes(self, provisioned: ProvisionedProduct) -> Params:
        attributes = answers.provisioned_detail(provisioned)
        product = self._products_here().get(provisioned.product_id)
        artifact = product.artifacts.get(provisioned.artifact_id) if product else None
        return {
            **attributes,
            "Tags": answers.tag_list(provisioned.tags),
            "PhysicalId": provisioned.stack_id,
            "ProductName": product.detail["Name"] if product else "",
            "ProvisioningArtifactName": artifact.name if artifact else "",
            "UserArn": provisioned.user_arn,
            "UserArnSession": provisioned.user_arn,
        }
