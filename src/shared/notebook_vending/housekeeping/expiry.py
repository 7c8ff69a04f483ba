"""Expiry of launches: warn the owner a day before, then terminate the provisioned product.

Service Catalog terminates the provisioned product and so removes the whole launch. IAM cannot limit
that permission to one product (service authorization reference: the action takes no resource).
Therefore this module checks three things first. The notebook has the platform's tag, its stack
belongs to the provisioned product, and Service Catalog lists that under the platform's product or
the hub's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum, auto

from botocore.exceptions import BotoCoreError, ClientError

from notebook_vending import clock, environment
from notebook_vending.aws import sagemaker, servicecatalog, sns, tagging
from notebook_vending.aws.tagging import Candidate
from notebook_vending.log import logger
from notebook_vending.notebooks.notebook import (
    EXPIRES_TAG,
    PLATFORM_TAG,
    PROVISIONED_PRODUCT_TAG,
    STACK_TAG,
    WARNED_TAG,
    expiry_date,
)
from notebook_vending.requests.stack_ids import launch_stack

# The stable values of ProvisionedProductDetail's Status. A failed termination leaves TAINTED.
_STABLE = ("AVAILABLE", "TAINTED", "ERROR")


class Due(StrEnum):
    """The step that is due for a launch."""

    NOTHING = auto()
    WARNING = auto()
    TERMINATION = auto()


class NotExpiredError(Exception):
    """Some warnings or terminations failed. The log shows which and why."""


@dataclass(frozen=True)
class Launch:
    """A launch with an expiry date, read from its notebook's tags."""

    notebook_arn: str
    provisioned_product_id: str
    owner_topic_arn: str
    expires_on: date
    warned: bool

    @property
    def notebook_name(self) -> str:
        """The notebook's name in lower case, as SageMaker's ARNs have it."""
        return self.notebook_arn.rpartition("/")[2]

    def due(self, today: date) -> Due:
        """Return the step that is due today."""
        days = (self.expires_on - today).days
        if days <= 0:
            return Due.TERMINATION
        return Due.WARNING if days == 1 and not self.warned else Due.NOTHING


def read_launch(notebook_arn: str, tags: Mapping[str, str]) -> Launch | None:
    """Return a notebook's launch, or None if its tags are incomplete or contradictory."""
    stack = launch_stack(tags.get(STACK_TAG, ""))
    product_id = tags.get(PROVISIONED_PRODUCT_TAG, "").rpartition("/")[2]
    if stack is None or product_id != stack.product:
        return None
    if (expires_on := expiry_date(tags)) is None:
        return None
    home = f"{stack.partition}:sns:{stack.region}:{stack.account}"
    return Launch(
        notebook_arn,
        product_id,
        # The product's template creates it if the launcher entered an OwnerEmail.
        f"arn:{home}:NotebookVending-Owner-{stack.uuid}",
        expires_on,
        warned=tags.get(WARNED_TAG) == tags[EXPIRES_TAG],
    )


def expire(out_of_time: Callable[[], bool]) -> None:
    """Warn of launches that expire tomorrow and terminate the expired ones.

    A failure does not stop the others. Raises NotExpiredError after a failure or when time ran out,
    so that Lambda runs it again. A repeated run does not repeat finished steps.
    """
    today, undone = clock.now().date(), 0
    expiring = {PLATFORM_TAG: environment.text("PLATFORM"), EXPIRES_TAG: ""}
    found = [each for each in tagging.notebooks(expiring) if _may_be_due(each, today)]
    # The earliest dates first, so that launches without a turn are the ones that expire last.
    for each in sorted(found, key=_by_the_search):
        if out_of_time():
            raise NotExpiredError("Ran out of time before all launches were checked.")
        try:
            _serve(each.arn, today)
        except (ClientError, BotoCoreError):
            logger.exception("Neither warned of nor terminated", extra={"notebook": each.arn})
            undone += 1
    if undone:
        raise NotExpiredError(f"{undone} launches could not be warned of or terminated.")


def _may_be_due(candidate: Candidate, today: date) -> bool:
    """Return False if the search shows that a launch needs nothing today.

    The search may be behind. The function confirms what is shown as due. A launch that is shown
    with a later date has its turn the next day. An update sets a date at least two days ahead. The
    search has at least five hours to show it before the warning.
    """
    launch = read_launch(candidate.arn, candidate.tags)
    return launch is None or launch.due(today) is not Due.NOTHING


def _by_the_search(candidate: Candidate) -> str:
    """Return the expiry date in the search result, which may be out of date, as a sort key."""
    return candidate.tags.get(EXPIRES_TAG, "")


def _serve(arn: str, today: date) -> None:
    tags = sagemaker.tags(arn)
    if tags is None or tags.get(PLATFORM_TAG) != environment.text("PLATFORM"):
        return
    if EXPIRES_TAG not in tags:
        return  # an update has removed it since the search
    launch = read_launch(arn, tags)
    if launch is None:
        logger.error("Its tags do not identify its launch", extra={"notebook": arn})
        return
    due = launch.due(today)
    if due is Due.NOTHING:
        return
    found = servicecatalog.provisioned_product(launch.provisioned_product_id)
    about = {
        "notebook": launch.notebook_name,
        "provisioned_product": launch.provisioned_product_id,
        "reason": f"{due}: it expires on {launch.expires_on}",
    }
    if found is None:
        logger.error("Its launch is gone", extra=about)
        _report_without_launch(launch, tags[STACK_TAG].split("/")[1])
        return
    # A launch from a hub's shared portfolio has the hub's product.
    ours = (environment.text("PRODUCT_ID"), environment.optional("HUB_PRODUCT_ID"))
    if found.get("ProductId") not in ours:
        logger.error("Left alone, as it is not a launch of this product", extra=about)
        return
    if due is Due.WARNING:  # even during a change, as its end may come too late
        _warn(launch, found["Name"])
    elif found["Status"] not in _STABLE:
        logger.info("Left to the next day, as it is being changed", extra=about)
        return
    else:
        if launch.expires_on < today:
            _report(launch, found["Name"], found["Status"], found.get("StatusMessage", ""))
        servicecatalog.terminate(
            launch.provisioned_product_id, _token(launch, found.get("LastRecordId", ""))
        )
    logger.info("Expiring", extra=about)


def _token(launch: Launch, last_record_id: str) -> str:
    """Return the token of a termination, which stays the same until the launch has a new record.

    Two simultaneous runs therefore terminate once. A failed termination adds a record, so the next
    attempt has a new token. With the old one, Service Catalog may return the old result.
    """
    return f"expired-{launch.provisioned_product_id}-{launch.expires_on}-{last_record_id}"[:128]


def _warn(launch: Launch, name: str) -> None:
    platforms = environment.text("TOPIC_ARN")
    read = sns.is_read(launch.owner_topic_arn)
    sns.publish(
        launch.owner_topic_arn if read else platforms,
        f"Notebook {launch.notebook_name} expires on {launch.expires_on}",
        f"The notebook {launch.notebook_name}, launched in Service Catalog as {name} "
        f"({launch.provisioned_product_id}), expires on {launch.expires_on} (UTC).\n\n"
        "On that day the platform terminates the provisioned product. This deletes the notebook, "
        "all files on it, its role and, if the launcher chose so, the project's data.\n\n"
        "To keep it, update the provisioned product before that day with another value for "
        "ExpiresAfterDays. The days then count from the update, and 0 means never. The present "
        "value changes nothing.\n\n"
        "Otherwise save the files that you need to the project's bucket. You can terminate the "
        "provisioned product yourself before that day.\n",
    )
    sagemaker.change_tags(launch.notebook_arn, {WARNED_TAG: launch.expires_on.isoformat()}, [])


def _report_without_launch(launch: Launch, stack: str) -> None:
    sns.publish(
        environment.text("TOPIC_ARN"),
        f"Its launch is gone: notebook {launch.notebook_name}",
        f"The notebook {launch.notebook_name} expires on {launch.expires_on} (UTC), but Service "
        f"Catalog no longer has its launch {launch.provisioned_product_id}. Therefore nothing "
        "terminates it, and it costs money. A termination with RetainPhysicalResources or "
        f"IgnoreErrors leaves the stack.\n\nDelete the stack {stack} in CloudFormation, or with "
        f"`vending end {launch.notebook_name}`. If the stack is gone too, the cleanup deletes the "
        "notebook.\n",
    )


def _report(launch: Launch, name: str, status: str, message: str) -> None:
    sns.publish(
        environment.text("TOPIC_ARN"),
        f"Expired and still there: notebook {launch.notebook_name}",
        f"The notebook {launch.notebook_name}, launched in Service Catalog as {name} "
        f"({launch.provisioned_product_id}), expired on {launch.expires_on} and is still there. "
        f"Its status is {status}. {message}\n\n"
        "The platform terminates it again now. If you get this message again tomorrow, look for "
        "the cause in the events of the provisioned product.\n",
    )
