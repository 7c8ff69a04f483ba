"""Ends a launch as the administrator, even if the platform can no longer end it."""

from collections.abc import Callable
from uuid import uuid4

from botocore.exceptions import ClientError

from rehearsal import owned, stacks
from rehearsal.errors import RehearsalError
from rehearsal.owned import Product
from rehearsal.plan import Plan
from rehearsal.time_limit import TimeLimit
from vending.platform import client

_UNSETTLED = ("UNDER_CHANGE", "PLAN_IN_PROGRESS")


def end(launch: Product, plan: Plan, time: TimeLimit, tell: Callable[[str], None]) -> None:
    """Terminate a launch and wait until it is gone.

    Raises RehearsalError when it stays, OutOfTimeError, ClientError, BotoCoreError.
    """
    _settle(launch, plan, time)  # Service Catalog does one thing at a time to it
    if _terminate(launch, plan, time, ignore_errors=False):
        return
    tell(f"Service Catalog could not terminate {launch.name}. Removing its parts one by one")
    for each in owned.notebooks(plan):
        delete_notebook(each, time)
    if launch.stack_id in owned.stacks(plan):
        delete_stack(launch.stack_id, time)
    if not _terminate(launch, plan, time, ignore_errors=True):
        raise RehearsalError(f"Service Catalog could not terminate the launch {launch.name}")


def _terminate(launch: Product, plan: Plan, time: TimeLimit, *, ignore_errors: bool) -> bool:
    """Return whether the launch is gone."""
    if _now(launch, plan) is None:
        return True
    client("servicecatalog").terminate_provisioned_product(
        ProvisionedProductId=launch.id, TerminateToken=str(uuid4()), IgnoreErrors=ignore_errors
    )
    return _settle(launch, plan, time) is None


def _settle(launch: Product, plan: Plan, time: TimeLimit) -> Product | None:
    """Wait until nothing is done to a launch; return it as it is then, None when it is gone."""

    def settled() -> list[Product | None]:
        found = _now(launch, plan)
        return [] if found and found.status in _UNSETTLED else [found]

    return time.until(settled)[0]


def _now(launch: Product, plan: Plan) -> Product | None:
    return next((each for each in owned.products(plan) if each.id == launch.id), None)


def delete_stack(stack_id: str, time: TimeLimit) -> None:
    """Delete the stack of a launch without the parts whose deletion has failed.

    Raises RehearsalError when it stays.
    """
    failed = [
        each["LogicalResourceId"]
        for each in owned.resources(stack_id)
        if each["ResourceStatus"] == "DELETE_FAILED"
    ]
    if why := stacks.delete(stack_id, time, failed):
        raise RehearsalError(f"CloudFormation could not delete the stack of a launch. {why}")


def delete_notebook(name: str, time: TimeLimit) -> None:
    """Stop and delete a notebook, and wait until it is gone."""
    sagemaker = client("sagemaker")

    def status() -> str:
        try:
            found = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
        except ClientError as error:
            if "RecordNotFound" not in str(error):
                raise
            return "gone"
        return str(found["NotebookInstanceStatus"])

    def at_rest() -> str | None:
        now = status()
        return None if now in ("Pending", "Stopping", "Updating", "Deleting") else now

    if time.until(at_rest) == "InService":
        sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    if time.until(at_rest) in ("Stopped", "Failed"):
        sagemaker.delete_notebook_instance(NotebookInstanceName=name)
    time.until(lambda: status() == "gone")
