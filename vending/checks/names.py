"""Check whether the names of the platform's roles, exports and stack are free.

IAM names are unique in an account across Regions, so a deployment in another Region may use them.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from vending.checks.findings import Finding, looked, missing, ok
from vending.checks.parameters import Parameters
from vending.platform import client

EXPORTS = "NotebookVending-"  # prefix of every export
# Stacks with these statuses accept no update (user guide, "Update behaviors" and "Stack creation
# failure").
_DEAD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


def findings(parameters: Parameters, region: str) -> Iterator[Finding]:
    """Yield which names are taken, and whether the named resources exist."""
    for name in role_names(parameters, region):
        free = partial(_is_free, name, region, parameters["EndUserRoleName"])
        yield from looked("role", name, free)
    if parameters["CreateEndUserRole"] == "NO":
        name = parameters["EndUserRoleName"]
        yield from looked("role", name, partial(_is_there, name))
    if arn := parameters["PermissionsBoundaryArn"]:
        yield from looked("name", arn, partial(_policy, arn))
    if arn := parameters["AlarmTopicArn"]:
        yield from looked("name", arn, partial(_topic, arn))
    if repository := parameters["CodeArtifactRepository"]:
        yield from looked("name", repository, partial(_repository, repository))
    yield from looked("name", f"exports {EXPORTS}…", _exports)


def role_names(parameters: Parameters, region: str) -> Iterator[str]:
    """Yield the fixed names of the roles that a deployment creates."""
    yield from (f"NotebookVendingLaunchRole-{region}", f"NotebookVendingActions-{region}")
    if parameters["DataAdministratorArns"]:
        yield f"NotebookVendingDataAdministrator-{region}"
    if parameters["CreateEndUserRole"] == "YES":
        yield parameters["EndUserRoleName"]


def stack(name: str) -> Iterator[Finding]:
    """Yield whether a stack of this name allows a deployment."""
    try:
        status = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0][
            "StackStatus"
        ]
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        yield ok("stack", name, "the name is free")
        return
    if status in _DEAD:
        yield missing(
            "stack",
            name,
            f"{status}: an earlier deployment failed",
            f"Find the cause in its events, then delete it: sam delete --stack-name {name}.",
        )
    elif status.endswith("_IN_PROGRESS"):
        yield missing("stack", name, status, "Wait until that has ended.")
    else:
        yield ok("stack", name, f"deployed already ({status}), so a deployment updates it")


def hub_product(product: str) -> Iterator[Finding]:
    """Yield whether people can launch the hub's product from an imported portfolio."""
    catalog = client("servicecatalog")
    for portfolio in _imported_portfolios():
        pages = catalog.get_paginator("search_products_as_admin").paginate(PortfolioId=portfolio)
        details = [each for page in pages for each in page["ProductViewDetails"]]
        if product not in (each["ProductViewSummary"]["ProductId"] for each in details):
            continue
        if catalog.list_principals_for_portfolio(PortfolioId=portfolio)["Principals"]:
            yield ok("name", product, f"in the imported portfolio {portfolio}")
        else:
            yield missing(
                "name",
                product,
                f"the imported portfolio {portfolio} has no principals, so no one can launch",
                "Associate the end users' role with that portfolio.",
            )
        return
    yield missing(
        "name",
        product,
        "no portfolio that this account imported in this Region has the product",
        "Accept the hub's share in the hub's Region, or correct HubProductId.",
    )


def _imported_portfolios() -> Iterator[str]:
    pages = client("servicecatalog").get_paginator("list_accepted_portfolio_shares")
    for kind in ("IMPORTED", "AWS_ORGANIZATIONS"):
        for page in pages.paginate(PortfolioShareType=kind):
            yield from (each["Id"] for each in page["PortfolioDetails"])


def _is_free(name: str, region: str, end_user_role: str) -> Iterator[Finding]:
    role = _role(name)
    if role is None:
        yield ok("role", name, "the name is free")
        return
    used = role.get("RoleLastUsed", {}).get("Region")
    where = f", and last used in {used}" if used and used != region else ""
    yield missing(
        "role",
        name,
        f"taken{where}",
        "If a platform in another Region has it, deploy with "
        f"EndUserRoleName=SCEndUserRole-{region}. Otherwise delete the role."
        if name == end_user_role
        else "Delete the role, or the stack that created it.",
    )


def _is_there(name: str) -> Iterator[Finding]:
    if _role(name):
        yield ok("role", name, "the role exists")
    else:
        yield missing(
            "role",
            name,
            "there is no such role",
            "Create it, or deploy with CreateEndUserRole=YES.",
        )


def _role(name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client("iam").get_role(RoleName=name)["Role"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return None
    return found


def _policy(arn: str) -> Iterator[Finding]:
    try:
        client("iam").get_policy(PolicyArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        yield missing("name", arn, "there is no such policy", "Correct PermissionsBoundaryArn.")
        return
    yield ok("name", arn, "the policy exists")


def _topic(arn: str) -> Iterator[Finding]:
    try:
        client("sns").get_topic_attributes(TopicArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NotFound", "NotFoundException"):
            raise
        yield missing("name", arn, "there is no such topic", "Correct AlarmTopicArn.")
        return
    yield ok("name", arn, "the topic exists")


def _repository(name: str) -> Iterator[Finding]:
    domain, _, repository = name.partition("/")
    try:
        client("codeartifact").describe_repository(domain=domain, repository=repository)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        todo = "Create it, or correct CodeArtifactRepository."
        yield missing("name", name, "there is no such CodeArtifact repository", todo)
        return
    yield ok("name", name, "the CodeArtifact repository exists")


def _exports() -> Iterator[Finding]:
    pages = client("cloudformation").get_paginator("list_exports").paginate()
    taken = {
        each["ExportingStackId"].split("/")[1]
        for page in pages
        for each in page["Exports"]
        if each["Name"].startswith(EXPORTS)
    }
    if not taken:
        yield ok("name", f"exports {EXPORTS}…", "the names are free")
        return
    yield missing(
        "name",
        f"exports {EXPORTS}…",
        f"taken by {', '.join(sorted(taken))}",
        "An account has one platform per Region. Update that stack, with --stack-name.",
    )
