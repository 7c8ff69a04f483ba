"""Constraints and tag options: what an administrator asks of launches."""

from __future__ import annotations

import json

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog import answers as answers
from embedded_aws.service_catalog.model import Caller, Constraint, Params, TagOption
from embedded_aws.service_catalog.store import CatalogStore


class Constraints(CatalogStore):
    """The operations on constraints and on tag options."""

    def create_constraint(self, params: Params, caller: Caller) -> Params:
        """CreateConstraint: LAUNCH, TEMPLATE, NOTIFICATION or RESOURCE_UPDATE."""
        portfolio = self._portfolio(params["PortfolioId"])
        if params["ProductId"] not in portfolio.product_ids:
            raise answers.not_found(f"Product {params['ProductId']} is not in {portfolio.id}")
        self._check_constraint(params["Type"], params["Parameters"], caller)
        constraint_id = self._id("cons", "CreateConstraint", params["IdempotencyToken"])
        if constraint_id not in self._constraints:
            same = self._constraints_on(portfolio.id, params["ProductId"])
            if params["Type"] in {c.type for c in same} & {"LAUNCH", "RESOURCE_UPDATE"}:
                raise ServiceError(
                    "DuplicateResourceException",
                    f"Only one {params['Type']} constraint is allowed for a product in a portfolio",
                )
            self._constraints[constraint_id] = Constraint(
                id=constraint_id,
                type=params["Type"],
                description=params.get("Description", ""),
                portfolio_id=portfolio.id,
                product_id=params["ProductId"],
                parameters=params["Parameters"],
            )
        return self._constraint_answer(self._constraints[constraint_id])

    def update_constraint(self, params: Params, caller: Caller) -> Params:
        """UpdateConstraint: description and parameters."""
        constraint = self._constraint(params["Id"])
        if "Parameters" in params:
            self._check_constraint(constraint.type, params["Parameters"], caller)
            constraint.parameters = params["Parameters"]
        constraint.description = params.get("Description", constraint.description)
        return self._constraint_answer(constraint)

    def delete_constraint(self, params: Params, _caller: Caller) -> Params:
        """DeleteConstraint."""
        del self._constraints[self._constraint(params["Id"]).id]
        return {}

    def describe_constraint(self, params: Params, _caller: Caller) -> Params:
        """DescribeConstraint."""
        return self._constraint_answer(self._constraint(params["Id"]))

    def list_constraints_for_portfolio(self, params: Params, _caller: Caller) -> Params:
        """ListConstraintsForPortfolio, also of an imported one."""
        portfolio = self._portfolio_here(params["PortfolioId"])
        found = self._constraints_on(portfolio.id, params.get("ProductId"))
        return answers.page(
            "ConstraintDetails", [self._constraint_detail(c) for c in found], params
        )

    def _check_constraint(self, kind: str, parameters: str, caller: Caller) -> None:
        try:
            given = json.loads(parameters)
        except ValueError as error:
            raise answers.invalid(f"Constraint parameters are not JSON: {error}") from error
        if kind == "LAUNCH":
            if len({"RoleArn", "LocalRoleName"} & set(given)) != 1:
                raise answers.invalid("A launch constraint names either RoleArn or LocalRoleName")
            # [AWS managed policy AWSServiceCatalogAdminFullAccess grants exactly this.]
            caller.require(
                "iam:PassRole",
                self._role_arn(given),
                {"iam:PassedToService": ["servicecatalog.amazonaws.com"]},
            )
        elif kind == "TEMPLATE":
            if not isinstance(given.get("Rules"), dict):
                raise answers.invalid("A template constraint holds Rules")
        elif kind == "NOTIFICATION":
            if not isinstance(given.get("NotificationArns"), list):
                raise answers.invalid("A notification constraint holds NotificationArns")
        elif kind != "RESOURCE_UPDATE":
            raise answers.invalid(f"Constraints of type {kind} are not simulated")

    def create_tag_option(self, params: Params, _caller: Caller) -> Params:
        """CreateTagOption."""
        self._refuse_duplicate(params["Key"], params["Value"])
        option = TagOption(answers.new_id("tag"), params["Key"], params["Value"])
        self._tag_options[option.id] = option
        return {"TagOptionDetail": self._tag_option_detail(option)}

    def update_tag_option(self, params: Params, _caller: Caller) -> Params:
        """UpdateTagOption."""
        option = self._tag_option(params["Id"])
        value = params.get("Value", option.value)
        if value != option.value:
            self._refuse_duplicate(option.key, value)
        option.value = value
        option.active = params.get("Active", option.active)
        return {"TagOptionDetail": self._tag_option_detail(option)}

    def delete_tag_option(self, params: Params, _caller: Caller) -> Params:
        """DeleteTagOption: refused while associated."""
        option = self._tag_option(params["Id"])
        if option.resource_ids:
            raise ServiceError(
                "ResourceInUseException", f"TagOption {option.id} is still associated"
            )
        del self._tag_options[option.id]
        return {}

    def describe_tag_option(self, params: Params, _caller: Caller) -> Params:
        """DescribeTagOption."""
        return {"TagOptionDetail": self._tag_option_detail(self._tag_option(params["Id"]))}

    def list_tag_options(self, params: Params, _caller: Caller) -> Params:
        """ListTagOptions, with its filters."""
        details = [self._tag_option_detail(option) for option in self._tag_options.values()]
        wanted = params.get("Filters", {}).items()
        found = [d for d in details if all(d[key] == value for key, value in wanted)]
        return {"TagOptionDetails": found}

    def associate_tag_option_with_resource(self, params: Params, _caller: Caller) -> Params:
        """AssociateTagOptionWithResource: a portfolio or a product."""
        option, resource_id = self._tag_option(params["TagOptionId"]), params["ResourceId"]
        if resource_id not in self._portfolios and resource_id not in self._products:
            raise answers.not_found(f"Resource {resource_id} not found")
        if resource_id in option.resource_ids:
            raise ServiceError(
                "DuplicateResourceException",
                f"TagOption {option.id} is already associated with {resource_id}",
            )
        option.resource_ids.append(resource_id)
        return {}

    def disassociate_tag_option_from_resource(self, params: Params, _caller: Caller) -> Params:
        """DisassociateTagOptionFromResource."""
        option, resource_id = self._tag_option(params["TagOptionId"]), params["ResourceId"]
        if resource_id not in option.resource_ids:
            raise answers.not_found(f"TagOption {option.id} is not associated with {resource_id}")
        option.resource_ids.remove(resource_id)
        return {}

    def _refuse_duplicate(self, key: str, value: str) -> None:
        pair = (key, value)
        if pair in {(option.key, option.value) for option in self._tag_options.values()}:
            raise ServiceError("DuplicateResourceException", f"TagOption {pair} already exists")

    def _constraint(self, constraint_id: str) -> Constraint:
        if constraint_id not in self._constraints:
            raise answers.not_found(f"Constraint {constraint_id} not found.")
        return self._constraints[constraint_id]

    def _tag_option(self, option_id: str) -> TagOption:
        if option_id not in self._tag_options:
            raise answers.not_found(f"TagOption {option_id} not found.")
        return self._tag_options[option_id]

    def _constraint_detail(self, constraint: Constraint) -> Params:
        return {
            "ConstraintId": constraint.id,
            "Type": constraint.type,
            "Description": constraint.description,
            "Owner": self._owner(constraint.portfolio_id).account,
            "ProductId": constraint.product_id,
            "PortfolioId": constraint.portfolio_id,
        }

    def _constraint_answer(self, constraint: Constraint) -> Params:
        return {
            "ConstraintDetail": self._constraint_detail(constraint),
            "ConstraintParameters": constraint.parameters,
            "Status": "AVAILABLE",
        }
