"""Launches that expire: warnings, terminations, and launches that are left alone.

The simulator provides Service Catalog. This module provides SageMaker's tags, their search and SNS.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_testing.catalog_world import ACCOUNT, Offer, World, an_offer, product
from embedded_aws.service_catalog.model import StackState
from handlers.expire_launches import handler
from notebook_vending.aws import sagemaker, sns, tagging
from notebook_vending.housekeeping.expiry import Due, NotExpiredError, read_launch
from simulation.broken_calls import intercepted
from simulation.lambda_context import context
from simulation.platform import Platform
from tests.unit.catalog_calls import speaking_to
from tests.unit.expiry_tags import UUID, expires_on, tags_of

TODAY = date(2026, 3, 10)
TOMORROW, YESTERDAY = TODAY + timedelta(days=1), TODAY - timedelta(days=1)
OWNERS = f"arn:aws:sns:us-east-1:{ACCOUNT}:NotebookVending-Owner-{UUID}"
PLATFORMS = f"arn:aws:sns:us-east-1:{ACCOUNT}:NotebookVending-platform"


class Account:
    """An account with launches and the messages sent in it.

    Attributes:
        notebooks: the tags of each notebook, by its ARN.
        stale: notebooks that the search still finds, with the tags it knows them by.
        read: the topics that exist, and whether their subscription was confirmed.
        sent: the topic, the subject and the text of each message.
        refused: the operations that AWS refuses.
        page: how many notebooks the search returns at once.

    """

    def __init__(self) -> None:
        self.world = World()
        self.offer: Offer = an_offer(self.world)
        self.notebooks: dict[str, dict[str, str]] = {}
        self.stale: dict[str, dict[str, str]] = {}
        self.read = {OWNERS: True}
        self.sent: list[tuple[str, str, str]] = []
        self.refused: list[str] = []
        self.page = 100

    def launched(self, expires_on: date | str, name: str = "mine", **more: str) -> str:
        """Launch a notebook with an expiry date; return the provisioned product's ID."""
        id_ = self.offer.launched(name)
        self.notebooks[self.arn(name)] = tags_of(id_, expires_on, **more)
        return id_

    def arn(self, name: str = "mine") -> str:
        """Return a notebook's ARN."""
        return f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:notebook-instance/{name}"

    def status(self, provisioned_product_id: str) -> str:
        """Return a provisioned product's status."""
        return str(self.world.provisioned(provisioned_product_id)["Status"])

    def terminated(self) -> list[str]:
        """Return the stacks whose deletion was requested."""
        return [str(detail) for what, _, detail in self.world.stacks.calls if what == "delete"]

    def expire(self) -> None:
        """Run the function for the schedule's event."""
        with intercepted(self._answer), speaking_to(self.world):
            handler({}, context())

    def _answer(self, service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        if operation in self.refused:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        match service, operation:
            case "resourcegroupstaggingapi", "GetResources":
                return self._found(params)
            case "sagemaker", "ListTags":
                tags = self.notebooks.get(params["ResourceArn"])
                if tags is None:
                    error: Any = {"Error": {"Code": "ValidationException", "Message": ""}}
                    error["Error"]["Message"] = "RecordNotFound"
                    raise ClientError(error, operation)
                return {"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
            case "sagemaker", "AddTags":
                new = {each["Key"]: each["Value"] for each in params["Tags"]}
                self.notebooks[params["ResourceArn"]].update(new)
                return {"Tags": []}
            case "sns", "GetTopicAttributes":
                if params["TopicArn"] not in self.read:
                    raise ClientError({"Error": {"Code": "NotFound", "Message": ""}}, operation)
                confirmed = str(int(self.read[params["TopicArn"]]))
                return {"Attributes": {"SubscriptionsConfirmed": confirmed}}
            case "sns", "Publish":
                self.sent.append((params["TopicArn"], params["Subject"], params["Message"]))
                return {"MessageId": "m"}
        return call()

    def _found(self, params: Any) -> Any:
        assert params["ResourceTypeFilters"] == ["sagemaker:notebook-instance"]
        wanted = {each["Key"]: each["Values"] for each in params["TagFilters"]}
        found = [
            {"ResourceARN": arn, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
            for arn, tags in {**self.notebooks, **self.stale}.items()
            if all(key in tags and tags[key] in (v or [tags[key]]) for key, v in wanted.items())
        ]
        start = int(params.get("PaginationToken") or 0)
        end = start + self.page
        return {
            "ResourceTagMappingList": found[start:end],
            "PaginationToken": str(end) if end < len(found) else "",
        }


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    made = Account()
    for name, value in {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PLATFORM": "the-platform",
        "PRODUCT_ID": made.offer.product_id,
        "TOPIC_ARN": PLATFORMS,
    }.items():
        monkeypatch.setenv(name, value)
    six = datetime(TODAY.year, TODAY.month, TODAY.day, 6, tzinfo=UTC)
    monkeypatch.setattr("notebook_vending.clock.now", lambda: six)
    clients = (sagemaker.client, tagging.client, sns.client)
    for each in clients:
        each.cache_clear()
    yield made
    for each in clients:
        each.cache_clear()


# When


@pytest.mark.parametrize(
    ("days_left", "warned_of", "due"),
    [
        (30, None, Due.NOTHING),
        (2, None, Due.NOTHING),
        (1, None, Due.WARNING),
        (1, 1, Due.NOTHING),
        (1, -20, Due.WARNING),  # an update moved the date after an earlier warning
        (0, None, Due.TERMINATION),
        (0, 0, Due.TERMINATION),
        (-1, None, Due.TERMINATION),
        (-300, -300, Due.TERMINATION),
    ],
)
def test_a_launch_is_due_for_a_warning_or_termination_by_its_date(
    days_left: int, warned_of: int | None, due: Due
) -> None:
    tags = tags_of("pp-a", TODAY + timedelta(days=days_left))
    if warned_of is not None:
        tags["notebook-vending:warned-of"] = str(TODAY + timedelta(days=warned_of))

    launch = read_launch("arn:notebook/mine", tags)

    assert launch
    assert launch.due(TODAY) is due


@pytest.mark.parametrize(
    "said", ["", "soon", "20260310", "2026-W11-2", "2026-02-30", "2026-03-10 "]
)
def test_a_date_in_another_format_is_ignored(said: str) -> None:
    assert read_launch("arn:notebook/mine", tags_of("pp-a", said)) is None


# Warning


def test_the_owner_is_warned_the_day_before_and_once(account: Account) -> None:
    id_ = account.launched(TOMORROW)

    account.expire()
    account.expire()

    ((topic, subject, text),) = account.sent
    assert topic == OWNERS
    assert subject == "Notebook mine expires on 2026-03-11"
    assert f"launched in Service Catalog as mine ({id_}), expires on 2026-03-11" in text
    assert "with another value for ExpiresAfterDays" in text
    assert account.status(id_) == "AVAILABLE"
    assert account.terminated() == []


@pytest.mark.parametrize("topics_there", [{}, {OWNERS: False}])
def test_a_warning_goes_to_the_platforms_topic_without_a_confirmed_address(
    account: Account, topics_there: dict[str, bool]
) -> None:
    account.read = topics_there
    account.launched(TOMORROW)

    account.expire()

    assert [topic for topic, _, _ in account.sent] == [PLATFORMS]


def test_a_warning_does_not_wait_for_the_end_of_a_change(account: Account) -> None:
    id_ = account.launched(TOMORROW)
    account.offer.update(id_)

    account.expire()

    assert len(account.sent) == 1


def test_the_longest_name_fits_into_the_subjects(account: Account) -> None:
    name = "n" * 63
    account.launched(TOMORROW, name)
    account.expire()
    account.notebooks[account.arn(name)]["notebook-vending:expires-on"] = str(YESTERDAY)
    account.expire()

    assert len(account.sent) == 2
    assert all(len(subject) < 100 for _, subject, _ in account.sent)


# Termination


@pytest.mark.parametrize("expired_on", [TODAY, YESTERDAY, date(2020, 1, 1)])
def test_an_expired_launch_is_terminated_once(account: Account, expired_on: date) -> None:
    id_ = account.launched(expired_on)

    account.expire()
    account.expire()

    assert account.status(id_) == "UNDER_CHANGE"
    account.world.let_run("DELETE_IN_PROGRESS", "DELETE_COMPLETE")
    account.expire()
    assert len(account.terminated()) == 1


def test_two_runs_at_once_terminate_once(account: Account) -> None:
    """Both see the launch as it was, so both send the same token."""
    id_ = account.launched(TODAY)
    record = account.world.provisioned(id_)["LastRecordId"]
    tokens: list[str] = []

    def both(service: str, operation: str, params: Any, call: Callable[[], Any]) -> Any:
        if (service, operation) == ("servicecatalog", "TerminateProvisionedProduct"):
            tokens.append(params["TerminateToken"])
            first = call()
            assert call()["RecordDetail"]["RecordId"] == first["RecordDetail"]["RecordId"]
            return first
        return call()

    with intercepted(account._answer), speaking_to(account.world), intercepted(both):
        handler({}, context())

    assert tokens == [f"expired-{id_}-2026-03-10-{record}"]
    assert len(account.world.background) == 1


def test_a_launch_that_is_being_changed_is_left_until_tomorrow(account: Account) -> None:
    id_ = account.launched(TODAY)
    account.offer.update(id_)

    account.expire()

    assert account.terminated() == []
    account.world.let_run("UPDATE_COMPLETE")
    account.expire()
    account.world.let_run("DELETE_COMPLETE")
    assert len(account.terminated()) == 1


def test_a_failed_termination_is_retried_and_reported(account: Account) -> None:
    id_ = account.launched(YESTERDAY)
    account.offer.terminate(id_)
    account.world.let_run(StackState("DELETE_FAILED", failure="the bucket is not empty"))
    assert account.status(id_) == "TAINTED"

    for _ in range(2):
        account.expire()
        account.world.let_run(StackState("DELETE_FAILED", failure="the bucket is not empty"))

    assert len(account.terminated()) == 3
    assert [topic for topic, _, _ in account.sent] == [PLATFORMS] * 2
    assert "Its status is TAINTED. the bucket is not empty" in account.sent[-1][2]


# What is left alone


def test_a_launch_that_never_expires_is_left_alone(account: Account) -> None:
    account.launched(TODAY)
    del account.notebooks[account.arn()]["notebook-vending:expires-on"]

    account.expire()

    assert (account.terminated(), account.sent) == ([], [])


@pytest.mark.parametrize(
    "changed",
    [
        {"platform": "another"},
        {"stack-id": f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/SC-{ACCOUNT}-pp-b/{UUID}"},
        {"stack-id": "forged"},
        {"provisioned-product": ""},
        {"expires-on": "soon"},
    ],
)
def test_a_notebook_whose_tags_disagree_terminates_nothing(
    account: Account, changed: dict[str, str]
) -> None:
    id_ = account.launched(YESTERDAY)
    tags = account.notebooks[account.arn()]
    tags.update({f"notebook-vending:{key}": value for key, value in changed.items()})

    account.expire()

    assert account.status(id_) == "AVAILABLE"
    assert (account.terminated(), account.sent) == ([], [])


def test_a_launch_of_another_product_is_left_alone(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = account.launched(YESTERDAY)
    another, _ = product(account.world, "Another")
    monkeypatch.setenv("PRODUCT_ID", another)

    account.expire()

    assert account.status(id_) == "AVAILABLE"
    assert (account.terminated(), account.sent) == ([], [])


def test_a_launch_of_the_hubs_product_expires_too(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = account.launched(YESTERDAY)
    own, _ = product(account.world, "Another")
    monkeypatch.setenv("PRODUCT_ID", own)
    monkeypatch.setenv("HUB_PRODUCT_ID", account.offer.product_id)

    account.expire()

    assert account.status(id_) == "UNDER_CHANGE"


def test_the_tags_of_a_search_result_are_read_again(account: Account) -> None:
    """The search still shows a date that an update moved and a notebook that is gone."""
    id_ = account.launched(TODAY + timedelta(days=30))
    account.stale = {
        account.arn(): tags_of(id_, YESTERDAY),
        account.arn("gone"): tags_of("pp-gone", YESTERDAY),
    }

    account.expire()

    assert account.status(id_) == "AVAILABLE"


def test_a_launch_whose_date_was_removed_since_the_search_is_not_terminated(
    account: Account,
) -> None:
    id_ = account.launched(YESTERDAY)
    account.stale = {account.arn(): account.notebooks[account.arn()].copy()}
    del account.notebooks[account.arn()]["notebook-vending:expires-on"]

    account.expire()

    assert account.status(id_) == "AVAILABLE"
    assert (account.terminated(), account.sent) == ([], [])


@pytest.mark.parametrize("operation", ["GetTopicAttributes", "DescribeProvisionedProduct"])
def test_a_denied_read_terminates_nothing_and_fails_the_run(
    account: Account, operation: str
) -> None:
    id_ = account.launched(TOMORROW if operation == "GetTopicAttributes" else YESTERDAY)
    account.refused = [operation]

    with (
        speaking_to(account.world),
        intercepted(account._answer),
        pytest.raises(NotExpiredError),
    ):
        handler({}, context())

    assert account.status(id_) == "AVAILABLE"
    assert (account.terminated(), account.sent) == ([], [])


@pytest.mark.parametrize(
    ("expires_on", "tags"),
    [(TODAY + timedelta(days=2), {}), (TOMORROW, {"warned-of": str(TOMORROW)})],
)
def test_a_launch_that_the_search_shows_as_not_due_is_not_read(
    account: Account, expires_on: date, tags: dict[str, str]
) -> None:
    account.launched(expires_on, **tags)
    account.refused = ["ListTags"]

    account.expire()

    assert (account.terminated(), account.sent) == ([], [])


def test_a_launch_that_the_search_shows_with_an_invalid_date_is_read(account: Account) -> None:
    account.launched("soon")
    account.refused = ["ListTags"]

    with pytest.raises(NotExpiredError):
        account.expire()


def test_a_launch_expires_once_the_search_shows_its_date(
    account: Account,
) -> None:
    id_ = account.launched(YESTERDAY)
    account.stale = {account.arn(): tags_of(id_, TODAY + timedelta(days=30))}
    account.expire()
    assert account.status(id_) == "AVAILABLE"

    account.stale = {}
    account.expire()

    assert account.status(id_) == "UNDER_CHANGE"


def test_a_launch_that_is_already_gone_is_reported_with_the_stack_to_delete(
    account: Account,
) -> None:
    account.notebooks[account.arn()] = tags_of("pp-gone", YESTERDAY)

    account.expire()

    assert account.terminated() == []
    ((topic, subject, text),) = account.sent
    assert (topic, subject) == (PLATFORMS, "Its launch is gone: notebook mine")
    assert f"Delete the stack SC-{ACCOUNT}-pp-gone in CloudFormation" in text
    assert "`vending end mine`" in text


def test_a_launch_that_is_already_gone_is_not_reported_before_its_date(account: Account) -> None:
    account.notebooks[account.arn()] = tags_of("pp-gone", TOMORROW + timedelta(days=1))

    account.expire()

    assert account.sent == []


# Many


def test_all_pages_of_the_search_are_processed(account: Account) -> None:
    account.page = 2
    for number in range(5):
        account.launched(TODAY, f"n{number}")

    account.expire()

    assert len(account.world.background) == 5


def test_a_launch_that_fails_does_not_stop_the_others_and_is_retried(
    account: Account,
) -> None:
    account.launched(TOMORROW, "warned")
    expired = account.launched(TODAY, "expired")
    account.refused = ["Publish"]

    with pytest.raises(NotExpiredError, match="1 launches could not be warned of or terminated"):
        account.expire()

    assert account.status(expired) == "UNDER_CHANGE"
    account.refused = []
    account.expire()
    assert len(account.sent) == 1


def test_a_run_that_is_out_of_time_fails_and_terminates_nothing(account: Account) -> None:
    account.launched(TODAY)

    with (
        intercepted(account._answer),
        speaking_to(account.world),
        pytest.raises(NotExpiredError, match="Ran out of time"),
    ):
        handler({}, context(left=1000))

    assert account.terminated() == []


# The date


def test_the_days_count_from_the_launch_and_again_from_an_update(platform: Platform) -> None:
    stack = platform.stack()
    stack.create(ExpiresAfterDays="2").expect_success()
    # Launched on 5 January at 8:00: the two days are over on the 7th, at 8:00.
    assert expires_on(platform, stack.notebook) == "2026-01-08"

    platform.clock.advance(86_400)
    stack.update(ExpiresAfterDays="3").expect_success()

    assert expires_on(platform, stack.notebook) == "2026-01-10"
    assert platform.calls("StopNotebookInstance") == 0


def test_an_update_to_never_removes_the_date(platform: Platform) -> None:
    stack = platform.stack()
    stack.create(ExpiresAfterDays="2").expect_success()

    stack.update(ExpiresAfterDays="0").expect_success()

    assert expires_on(platform, stack.notebook) is None


def test_a_launch_without_expiry_days_has_no_date(platform: Platform) -> None:
    stack = platform.stack()
    stack.create().expect_success()

    assert expires_on(platform, stack.notebook) is None


@pytest.mark.parametrize("days", ["-1", "366", "soon"])
def test_an_invalid_number_of_days_is_refused(platform: Platform, days: str) -> None:
    stack = platform.stack()

    stack.create(ExpiresAfterDays=days).expect_failed("ExpiresAfterDays")
