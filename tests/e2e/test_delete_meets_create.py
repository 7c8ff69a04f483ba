"""A Delete that arrives while its Create still runs, in either order."""

from tests.e2e.deployed import Platform
from tests.waiting import await_that, unique

SLOW = {"pending": 3}  # seconds, long enough for the Delete to arrive meanwhile


def test_a_stack_deleted_while_its_notebook_is_pending_leaves_nothing(platform: Platform) -> None:
    name = unique("Deleted")
    with platform.faults(timing=SLOW):
        stack_id = _begin(platform, name)
        await_that(lambda: platform.notebook(name))

        platform.aws.client("cloudformation").delete_stack(StackName=stack_id)

    _check_gone(platform, stack_id)
    assert platform.requests(stack_id)[0]["answers"] == ["late"]
    assert platform.requests(stack_id)[1]["PhysicalResourceId"] != name  # CloudFormation's own


def test_a_create_cancelled_while_its_notebook_is_pending_leaves_nothing(
    platform: Platform,
) -> None:
    name = unique("Cancelled")
    with platform.faults(timing=SLOW):
        record_id = platform.begin(name)
        await_that(lambda: platform.notebook(name))

        stack_id = _cancel(platform, name)
    record = platform.user.wait(record_id)

    assert not record.succeeded
    stack = platform.stack(record.provisioned_product_id)
    assert (stack["StackId"], stack["StackStatus"]) == (stack_id, "ROLLBACK_COMPLETE")
    assert platform.leftovers(stack) == ["stack"]
    assert platform.terminate(record).succeeded
    assert platform.leftovers(stack) == []


def test_delete_before_the_create_function_acts_prevents_the_notebook(
    platform: Platform,
) -> None:
    name, made = unique("Overtaken"), platform.calls("CreateNotebookInstance")
    with platform.frozen("CreateFunction"):
        stack_id = _begin(platform, name)
        request = await_that(lambda: platform.requests(stack_id))[0]["RequestId"]
        await_that(lambda: "Create" in _states(platform, request))

        platform.aws.client("cloudformation").delete_stack(StackName=stack_id)
        delete = await_that(lambda: platform.requests(stack_id)[1:])[0]["RequestId"]
        await_that(lambda: "Wait" in _states(platform, delete))

    _check_gone(platform, stack_id)
    assert platform.calls("CreateNotebookInstance") == made


def test_delete_accepted_before_its_create_prevents_the_notebook(platform: Platform) -> None:
    name, made = unique("Outrun"), platform.calls("CreateNotebookInstance")
    with platform.frozen("RequestFunction"):
        stack_id = _begin(platform, name)
        await_that(lambda: platform.requests(stack_id))

        platform.aws.client("cloudformation").delete_stack(StackName=stack_id)
        _check_gone(platform, stack_id)

    create = platform.requests(stack_id)[0]["RequestId"]
    await_that(lambda: platform.requests(stack_id)[0]["answers"] == ["late"])
    await_that(lambda: platform.executions(create)[0]["status"] == "SUCCEEDED")
    assert platform.calls("CreateNotebookInstance") == made


def _begin(platform: Platform, name: str) -> str:
    platform.begin(name)
    return await_that(lambda: platform.stack_id_of(name))


def _cancel(platform: Platform, notebook: str) -> str:
    stack_id = platform.stack_id_of(notebook)
    cancelled = {"StackId": stack_id, "LogicalResourceId": "Notebook"}
    platform.aws.control("cloudformation", {"cancel": cancelled})
    return stack_id


def _states(platform: Platform, request_id: str) -> list[str]:
    return [
        event["stateEnteredEventDetails"]["name"]
        for event in platform.history(request_id)
        if "stateEnteredEventDetails" in event
    ]


def _check_gone(platform: Platform, stack_id: str) -> None:
    client = platform.aws.client("cloudformation")

    def ended() -> str:
        status = str(client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"])
        return status if not status.endswith("_IN_PROGRESS") else ""

    assert await_that(ended) == "DELETE_COMPLETE"
    stack = client.describe_stacks(StackName=stack_id)["Stacks"][0]
    assert platform.leftovers(stack) == []
