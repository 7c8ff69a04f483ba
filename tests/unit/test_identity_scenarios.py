"""CloudFormation and the platform identify a resource by stable IDs."""

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


def test_each_launch_keeps_its_own_physical_id_when_another_function_serves_it(
    platform: Platform,
) -> None:
    one, other = launched(platform), launched(platform)
    assert one.physical_id != other.physical_id
    before = one.physical_id

    updated = one.update(ServiceToken=ANOTHER_FUNCTION)

    updated.expect_success()
    assert updated.answer["PhysicalResourceId"] == before
    assert platform.calls("CreateNotebookInstance") == 2


def test_rollback_with_an_invented_physical_id_deletes_the_notebook(
    platform: Platform,
) -> None:
    """CloudFormation invents an ID when it cancels a Create without an answer.

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
def test_delete_keeps_the_physical_id_even_when_it_fails(
    platform: Platform, trouble: Callable[[Platform, Stack], None]
) -> None:
    """Other projects lost it on Delete: aws/aws-cdk#5796, aws/aws-cdk#6061."""
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
def test_failed_update_keeps_the_physical_id(
    platform: Platform, asked: dict[str, str], trouble: Callable[[Platform, Stack], None]
) -> None:
    """A changed ID makes CloudFormation delete the notebook with the old one.

    aws/aws-cdk#13527, aws/aws-cdk#30012
    """
    stack = launched(platform)
    before = stack.physical_id
    trouble(platform, stack)
    platform.clock.advance(1)

    updated = stack.update(**asked)

    updated.expect_failed()
    assert updated.answer["PhysicalResourceId"] == before


def test_delete_of_a_stack_after_a_refused_rename_deletes_its_notebook(
    platform: Platform,
) -> None:
    """The Delete contains the name that the rollback restored, not the refused one."""
    stack = launched(platform)
    old = stack.notebook
    stack.update(NotebookInstanceName="another").expect_failed("Keep the old NotebookInstanceName")
    stack.roll_back().expect_success()
    assert stack.notebook == old

    stack.delete().expect_success()

    platform.expect_nothing_left()
