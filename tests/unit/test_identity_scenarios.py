"""Which resource is which: the ids that CloudFormation and the platform know it by."""

from collections.abc import Callable

import pytest

from simulation.platform import Platform
from simulation.stack import Stack

ANOTHER_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:moved"


def launched(platform: Platform) -> Stack:
    """Return a stack whose notebook is InService."""
    stack = platform.stack()
    stack.create().expect_success()
    return stack


def test_each_launch_has_its_own_physical_id_whatever_function_serves_it(
    platform: Platform,
) -> None:
    one, other = launched(platform), launched(platform)
    assert one.physical_id != other.physical_id
    before = one.physical_id

    updated = one.update(ServiceToken=ANOTHER_FUNCTION)

    updated.expect_success()
    assert updated.answer["PhysicalResourceId"] == before
    assert platform.calls("CreateNotebookInstance") == 2


def test_a_rollback_with_an_invented_physical_id_deletes_what_was_made(
    platform: Platform,
) -> None:
    """CloudFormation invents one when it cancels a Create that was not answered.

    aws/aws-cdk#36951, binxio/cfn-certificate-provider#31
    """
    stack = platform.stack()
    created = stack.send_create()
    platform.step_until(created.execution, "Wait")
    assert platform.status(stack.notebook) == "Pending"
    platform.clock.advance(1)

    deleted = stack.delete_of("SC-1-Notebook-1A2B3C4D5E6F")

    deleted.expect_success()
    assert deleted.answer["PhysicalResourceId"] == "SC-1-Notebook-1A2B3C4D5E6F"
    created.expect_failed("A newer request")
    platform.expect_nothing_left()


def deny(platform: Platform, _stack: Stack) -> None:
    platform.fail_calls("DescribeNotebookInstance", "AccessDeniedException", "no")


def lose_the_tags(platform: Platform, stack: Stack) -> None:
    platform.notebooks.notebooks.find(stack.notebook).tags.clear()


def get_stuck(platform: Platform, _stack: Stack) -> None:
    platform.notebooks.configure({"timing": {"stopping": 10_000, "pending": 10_000}})


def break_down(platform: Platform, _stack: Stack) -> None:
    for _ in range(5):
        platform.kill("ObserveFunction", after=False)


def take_away(platform: Platform, stack: Stack) -> None:
    platform.take_away(stack.notebook)


def die_early(platform: Platform, _stack: Stack) -> None:
    for _ in range(3):
        platform.kill("RequestFunction", after=False)


ANY_REQUEST_FAILS = [deny, get_stuck, break_down, die_early]


@pytest.mark.parametrize("trouble", [*ANY_REQUEST_FAILS, lose_the_tags, take_away])
def test_a_delete_never_changes_the_physical_id_however_it_ends(
    platform: Platform, trouble: Callable[[Platform, Stack], None]
) -> None:
    """Peers lost it on Delete: aws/aws-cdk#5796, aws/aws-cdk#6061."""
    stack = launched(platform)
    trouble(platform, stack)
    platform.clock.advance(1)

    deleted = stack.delete_of("SC-1-Notebook-INVENTED")

    assert deleted.answer["PhysicalResourceId"] == "SC-1-Notebook-INVENTED"


@pytest.mark.parametrize("trouble", ANY_REQUEST_FAILS)
@pytest.mark.parametrize(
    "asked",
    [
        {"NotebookInstanceType": "ml.t3.large"},
        {"NotebookInstanceName": "another", "AllowReplacement": "YES"},
    ],
)
def test_an_update_that_fails_keeps_the_physical_id(
    platform: Platform, asked: dict[str, str], trouble: Callable[[Platform, Stack], None]
) -> None:
    """Another one would have CloudFormation delete the notebook that has it.

    aws/aws-cdk#13527, aws/aws-cdk#30012
    """
    stack = launched(platform)
    before = stack.physical_id
    trouble(platform, stack)
    platform.clock.advance(1)

    updated = stack.update(**asked)

    updated.expect_failed()
    assert updated.answer["PhysicalResourceId"] == before


def test_a_stack_that_is_deleted_after_a_refused_rename_deletes_the_notebook_it_has(
    platform: Platform,
) -> None:
    """The Delete names what the rollback went back to, not what was asked for in between."""
    stack = launched(platform)
    old = stack.notebook
    stack.update(NotebookInstanceName="another").expect_failed("Keep the old NotebookInstanceName")
    stack.roll_back().expect_success()
    assert stack.notebook == old

    stack.delete().expect_success()

    platform.expect_nothing_left()
