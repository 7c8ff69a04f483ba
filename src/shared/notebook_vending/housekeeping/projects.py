"""The notebooks that still need a project in their portfolio."""

from collections.abc import Iterator

from notebook_vending.aws import cloudformation, sagemaker, tagging
from notebook_vending.notebooks.notebook import (
    LAUNCHED_BY_TAG,
    PLATFORM_TAG,
    PROJECT_TAG,
    STACK_TAG,
)

_PORTFOLIO = "aws:servicecatalog:portfolioArn"  # a stack's tag, of Service Catalog


def notebooks(platform: str, project: str, portfolio_id: str) -> Iterator[str]:
    """Yield the notebooks of a project that were launched from a portfolio, each with its launcher.

    Those from another account's portfolio count as well, because this account's roles open them.
    Notebooks without a stack are left out. Raises ClientError, BotoCoreError.
    """
    for each in tagging.notebooks({PLATFORM_TAG: platform, PROJECT_TAG: project}):
        launch = cloudformation.tags(each.tags[STACK_TAG]) if STACK_TAG in each.tags else {}
        arn = launch.get(_PORTFOLIO, "")
        imported = arn and arn.split(":")[4] != each.arn.split(":")[4]
        if not imported and arn.rpartition("/")[2] != portfolio_id:
            continue
        if sagemaker.status(each.name) is not None:  # the search may be out of date
            owner = each.tags.get(LAUNCHED_BY_TAG, "").rpartition("/")[2]
            yield f"{each.name} ({owner or 'no owner'})"
