"""Running notebooks by project and by instance type, and their cost per hour."""

from collections import Counter

from notebook_vending import environment, metrics
from notebook_vending.aws import sagemaker, tagging
from notebook_vending.log import logger
from notebook_vending.notebooks import prices
from notebook_vending.notebooks.notebook import PLATFORM_TAG, PROJECT_TAG


def tell() -> None:
    """Write metrics and log lines on the platform's running notebooks.

    The log has a line per project and type, a combination that the metrics lack. Raises
    ClientError, BotoCoreError.
    """
    numbers = _running()
    by_project, by_type = Counter[str](), Counter[str]()
    usd_by_project: dict[str, float] = {}
    for (project, type_), number in sorted(numbers.items()):
        hourly = prices.hourly(type_)
        cost = {"usd_per_hour": round(number * hourly, 4)} if hourly else {}  # else unknown
        about = {"project": project, "instance_type": type_, "notebooks": number, **cost}
        logger.info("Running", extra=about)
        by_project[project] += number
        by_type[type_] += number
        usd_by_project[project] = usd_by_project.get(project, 0) + cost.get("usd_per_hour", 0)
    metrics.running(by_project, by_type, usd_by_project)


def _running() -> Counter[tuple[str, str]]:
    ours = {PLATFORM_TAG: environment.text("PLATFORM")}
    projects = {
        each.arn.lower(): each.tags.get(PROJECT_TAG, "") for each in tagging.notebooks(ours)
    }
    return Counter(
        (projects[each.arn.lower()], each.instance_type)
        for each in sagemaker.listed("InService")
        if each.arn.lower() in projects
    )
