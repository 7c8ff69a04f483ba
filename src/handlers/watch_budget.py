"""Keeps the monthly budget of a portfolio's projects, and records when they are over it.

Behind the platform's own custom resource `Custom::ProjectBudget`; properties: PortfolioId,
ProjectIDs, MonthlyBudgetUSD, TopicArn, PlatformTopicArn (may be empty). CloudFormation's own type
of a budget is missing in 20 Regions, and it has no type for the association with a portfolio.

A rule of the portfolio also invokes it every hour, as AWS's billing data change.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending import clock, metrics
from notebook_vending.aws import budgets, clients, dynamodb, servicecatalog
from notebook_vending.aws.errors import RefusedError, is_denial
from notebook_vending.failure_causes import Cause
from notebook_vending.log import logger
from notebook_vending.requests import overspending
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.simple_resource import Served, serve

clients.make_at_init(budgets.client, dynamodb.client)

# Others have no budget in USD on their own costs: AWS bills CNY in China, and bills GovCloud to an
# account of this partition.
_PARTITION = "aws"


def handler(event: Any, context: LambdaContext) -> None:
    """Create, change or delete the budget, or look at what was spent."""
    match event:
        case {"budget": str(name), "account": str(account)}:
            _look_again(account, name)
        case _:
            serve(event, context, _serve)


def _serve(request: CustomResourceRequest, _out_of_time: Callable[[], bool]) -> Served:
    properties = request.ResourceProperties
    _, partition, _, _, account, _ = request.StackId.split(":", 5)
    portfolio, projects = str(properties["PortfolioId"]), list(properties["ProjectIDs"])
    name = f"NotebookVending-{portfolio}"
    if request.RequestType == "Delete":
        if partition == _PARTITION:
            servicecatalog.disassociate_budget(portfolio, name)
            budgets.delete(account, name)
            overspending.forget(projects, name)
        return Served("There is no budget.", name)
    if partition != _PARTITION:
        raise RefusedError(
            f"A project can have no budget in the partition {partition}. Deploy with "
            "MonthlyBudgetUSD=0.",
            Cause.INVALID,
        )
    limit = f"{Decimal(str(properties['MonthlyBudgetUSD'])):f}"  # a Number may be 1e3
    topics = str(properties["TopicArn"]), str(properties["PlatformTopicArn"])
    budgets.put(account, name, limit, projects, *topics)
    servicecatalog.associate_budget(portfolio, name)
    former = {*request.OldResourceProperties.get("ProjectIDs", ())}
    overspending.forget(former - {*projects}, name)
    _look(account, name)
    return Served(f"The budget {name} is {limit} USD a month.", name)


def _look_again(account: str, name: str) -> None:
    """Look, and count a failure for the alarms: the next look is an hour away."""
    try:
        _look(account, name)
    except (ClientError, BotoCoreError) as error:
        logger.exception("The budget was not read", extra={"budget": name})
        denied = isinstance(error, ClientError) and is_denial(error)
        metrics.refused(Cause.ACCESS_DENIED if denied else Cause.PLATFORM_FAILED)


def _look(account: str, name: str) -> None:
    """Record whether a budget's projects are over it; raises ClientError, BotoCoreError."""
    budget = budgets.read(account, name)
    logger.info(
        "Budget",
        extra={"budget": name, "spent": float(budget.spent), "limit": float(budget.limit)},
    )
    overspending.record(budget.projects, name, budget.spent, budget.limit, clock.now())
