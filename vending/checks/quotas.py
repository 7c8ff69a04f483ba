"""Check whether the account's quotas allow the platform and a first launch."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from vending.checks.findings import Finding, looked, missing, ok
from vending.checks.parameters import Parameters, listed
from vending.platform import client

ROLES = 30  # more than the platform creates; a launch needs one more
_ALL_NOTEBOOKS = "L-04CE2E67"
_VPCS = "L-F678F1CE"
_ASK = "Request an increase in Service Quotas"


def findings(parameters: Parameters) -> Iterator[Finding]:
    """Yield the findings about quotas."""
    yield from looked("quota", "SageMaker", partial(_notebooks, parameters))
    yield from looked("quota", "IAM roles", _roles)
    if not parameters["VpcId"]:
        yield from looked("quota", "VPCs", _vpcs)


def _notebooks(parameters: Parameters) -> Iterator[Finding]:
    quotas = _quotas("sagemaker")
    by_name = {each["QuotaName"]: each for each in quotas.values()}
    pages = client("sagemaker").get_paginator("list_notebook_instances").paginate()
    used = Counter(each["InstanceType"] for page in pages for each in page["NotebookInstances"])
    if _ALL_NOTEBOOKS in quotas:
        yield _room("notebooks of all types", quotas[_ALL_NOTEBOOKS], used.total())
    for each in listed(parameters["AllowedInstanceTypes"]):
        quota = by_name.get(f"{each} for notebook instance usage")
        if quota:
            yield _room(f"{each} notebooks", quota, used[each])
            continue
        yield missing(
            "quota",
            f"{each} notebooks",
            "SageMaker has no quota for it here, so it probably does not offer the type",
            "Leave it out of AllowedInstanceTypes.",
        )


def _room(subject: str, quota: Any, used: int) -> Finding:
    value = int(quota["Value"])
    found = f"{used} of {value} used"
    if used < value:
        return ok("quota", subject, found)
    return missing("quota", subject, found, f"{_ASK}: {quota['ServiceCode']} {quota['QuotaCode']}.")


def _quotas(service: str) -> dict[str, Any]:
    """Return a service's quotas by code: the applied value, or else AWS's default.

    Some quotas have no applied value (API reference, ListServiceQuotas).
    """
    quotas = client("service-quotas")
    found: dict[str, Any] = {}
    for operation in ("list_aws_default_service_quotas", "list_service_quotas"):
        pages = quotas.get_paginator(operation).paginate(
            ServiceCode=service, PaginationConfig={"PageSize": 100}
        )
        found |= {each["QuotaCode"]: each for page in pages for each in page["Quotas"]}
    return found


def _roles() -> Iterator[Finding]:
    summary = client("iam").get_account_summary()["SummaryMap"]
    used, quota = summary["Roles"], summary["RolesQuota"]
    found = f"{used} of {quota} used"
    if quota - used >= ROLES:
        yield ok("quota", "IAM roles", found)
    else:
        yield missing("quota", "IAM roles", found, f"{_ASK}: iam L-FE177D64, or delete some.")


def _vpcs() -> Iterator[Finding]:
    pages = client("ec2").get_paginator("describe_vpcs").paginate()
    used = sum(len(page["Vpcs"]) for page in pages)
    yield _room("VPCs", _quotas("vpc")[_VPCS], used)
