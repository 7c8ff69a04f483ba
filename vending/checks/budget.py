"""Check whether AWS can count the costs of a project, which a budget compares."""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from notebook_vending.notebooks.notebook import PROJECT_TAG
from vending.checks.findings import Finding, missing, ok, unknown
from vending.platform import client

_HOW = (
    f"In the account that pays, open Billing, Cost allocation tags, and activate {PROJECT_TAG}. "
    "AWS lists it within a day of its first use, and counts costs by it within another."
)


def findings(partition: str) -> Iterator[Finding]:
    """Yield whether a budget is possible, and whether its tag is a cost allocation tag.

    The call costs 0.01 USD. AWS answers it in the account that pays.
    """
    if partition != "aws":
        yield missing(
            "budget",
            "MonthlyBudgetUSD",
            f"there is no budget in the partition {partition}",
            "Deploy with MonthlyBudgetUSD=0.",
        )
        return
    try:
        found = client("ce").list_cost_allocation_tags(TagKeys=[PROJECT_TAG])
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"]["Code"]:
            raise
        why = "AWS shows cost allocation tags only in the account that pays"
        yield unknown("budget", PROJECT_TAG, why, _HOW)
        return
    if any(each["Status"] == "Active" for each in found["CostAllocationTags"]):
        yield ok("budget", PROJECT_TAG, "the tag is an active cost allocation tag")
    else:
        why = "the tag is no active cost allocation tag, so a budget counts no costs"
        yield missing("budget", PROJECT_TAG, why, _HOW)
