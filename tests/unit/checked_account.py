"""An account for `vending check`."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from typer.testing import CliRunner

from simulation.account import REGION
from simulation.broken_calls import intercepted
from tests.unit.operator_world import refusal
from vending.checks import parameters, zones
from vending.cli import app

ALLOWED = parameters.defaults()["AllowedInstanceTypes"].split(",")


@dataclass
class Account:
    """An account that meets all requirements until a test changes it."""

    quotas: dict[str, float] = field(
        default_factory=lambda: {f"{each} for notebook instance usage": 2.0 for each in ALLOWED}
    )
    notebooks: list[str] = field(default_factory=list)
    """The types of the existing notebooks."""
    vpcs: float = 100
    vpc_owner: str = "123456789012"
    roles_left: int = 900
    stack: str = ""
    """The platform's status, if it is deployed, and its ProjectIDs."""
    projects: str = "QuickStart007"
    role_made: str = "YES"
    exports: tuple[str, ...] = ()
    cost_tags: str = "Active"
    """The status of cost allocation tags; empty if there are none."""
    repositories: tuple[str, ...] = ()
    imported: dict[str, list[str]] = field(default_factory=dict)
    """The principals of imported portfolios, which have the product prod-hub."""
    services: dict[str, list[str]] = field(
        default_factory=lambda: {
            each.format(region=REGION, **zones.PREFIXES["aws"]): [f"{REGION}a", f"{REGION}b"]
            for each in zones.SERVICES.values()
        }
    )
    zones: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The kind and the state of zones, where they are not moto's."""
    lacking: tuple[str, ...] = ()
    """Services that the Region does not have."""
    refused: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The operations that were called."""

    def offer_in(self, letters: str) -> None:
        """Offer all services in these zones."""
        self.services = {name: [f"{REGION}{each}" for each in letters] for name in self.services}

    def check(self, *words: str) -> tuple[int, list[dict[str, str]]]:
        """Run `vending check`; return its exit status and its findings."""
        with intercepted(self._answer):
            result = CliRunner().invoke(app, ["check", "--json", *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.stdout, result.stderr
        return result.exit_code, json.loads(result.stdout)["findings"]

    def lacks(self, *words: str) -> dict[str, tuple[str, str]]:
        """Return the missing findings by subject: the result and what to do."""
        status, found = self.check(*words)
        assert status == (1 if any(each["verdict"] == "missing" for each in found) else 0)
        return {
            each["subject"]: (each["found"], each["todo"])
            for each in found
            if each["verdict"] == "missing"
        }

    def _answer(self, service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        self.asked.append(operation)
        if code := self.refused.get(operation):
            raise refusal(operation, code, f"not authorized to perform: {service}:{operation}")
        match service, operation:
            case "service-quotas", _:
                applied = operation == "ListServiceQuotas"
                return {"Quotas": list(self._quotas(params["ServiceCode"], applied))}
            case "sagemaker", "ListNotebookInstances":
                return {"NotebookInstances": [{"InstanceType": each} for each in self.notebooks]}
            case "ce", "ListCostAllocationTags":
                tags = [{"TagKey": each, "Status": self.cost_tags} for each in params["TagKeys"]]
                return {"CostAllocationTags": tags if self.cost_tags else []}
            case "iam", "GetAccountSummary":
                return {"SummaryMap": {"Roles": 1000 - self.roles_left, "RolesQuota": 1000}}
            case "cloudformation", "DescribeStacks":
                if self.stack:
                    return {"Stacks": [self._deployed()]}
                raise refusal(operation, "ValidationError", "Stack with id x does not exist")
            case "cloudformation", "ListExports":
                stack = f"arn:aws:cloudformation:{REGION}:123456789012:stack/another/1"
                return {
                    "Exports": [{"Name": each, "ExportingStackId": stack} for each in self.exports]
                }
        return self._answer_of_the_region(service, operation, params, call)

    def _deployed(self) -> dict[str, Any]:
        return {
            "StackStatus": self.stack,
            "Parameters": [
                {"ParameterKey": "ProjectIDs", "ParameterValue": self.projects},
                {"ParameterKey": "CreateEndUserRole", "ParameterValue": self.role_made},
            ],
            "Outputs": [{"OutputKey": "PortfolioId", "OutputValue": "port-1"}],
        }

    def _answer_of_the_region(
        self, service: str, operation: str, params: Any, call: Callable[[], Any]
    ) -> Any:
        match service, operation:
            case "ssm", "GetParameters":
                found = [(each, each.rpartition("/")[2]) for each in params["Names"]]
                return {
                    "Parameters": [
                        {"Name": name, "Value": value}
                        for name, value in found
                        if value not in self.lacking
                    ]
                }
            case "ec2", "DescribeAvailabilityZones":
                assert params == {"AllAvailabilityZones": True}
                described = {
                    each["ZoneName"]: (each["ZoneType"], each["State"])
                    for each in call()["AvailabilityZones"]
                }
                return {
                    "AvailabilityZones": [
                        {"ZoneName": name, "ZoneType": kind, "State": state}
                        for name, (kind, state) in (described | self.zones).items()
                    ]
                }
            case "codeartifact", "DescribeRepository":
                if f"{params['domain']}/{params['repository']}" in self.repositories:
                    return {"repository": {}}
                raise refusal(operation, "ResourceNotFoundException", "Repository not found.")
            case "servicecatalog", "ListAcceptedPortfolioShares":
                within = params["PortfolioShareType"] == "AWS_ORGANIZATIONS"
                return {"PortfolioDetails": [{"Id": each} for each in self.imported if within]}
            case "servicecatalog", "SearchProductsAsAdmin":
                return {"ProductViewDetails": [{"ProductViewSummary": {"ProductId": "prod-hub"}}]}
            case "servicecatalog", "ListPrincipalsForPortfolio":
                arns = self.imported[params["PortfolioId"]]
                return {"Principals": [{"PrincipalARN": each} for each in arns]}
            case "ec2", "DescribeVpcs":
                vpcs = call()["Vpcs"]
                return {"Vpcs": [each | {"OwnerId": self.vpc_owner} for each in vpcs]}
            case "ec2", "DescribeVpcEndpointServices":
                (asked,) = params["Filters"]
                return {
                    "ServiceDetails": [
                        {"ServiceName": name, "AvailabilityZones": zones}
                        for name, zones in self.services.items()
                        if name in asked["Values"]
                    ]
                }
        return call()

    def _quotas(self, service: str, applied: bool) -> Iterator[Mapping[str, Any]]:
        if service == "vpc":
            values = {("L-F678F1CE", "VPCs per Region"): self.vpcs}
        else:
            values = {("L-04CE2E67", "Total notebooks"): 8.0}
            values |= {(f"L-{name}", name): value for name, value in self.quotas.items()}
        for (code, name), value in values.items():
            # Most quotas have no applied value, so their default counts.
            if not applied or value:
                yield {"ServiceCode": service, "QuotaCode": code, "QuotaName": name, "Value": value}
