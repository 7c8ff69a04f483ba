"""The end user's steps: launches, an update, actions, refusals, terminations."""

from collections.abc import Callable, Mapping

from botocore.exceptions import ClientError

from demo.end_user import Record
from rehearsal import owned
from rehearsal.plan import INSTANCE_TYPE, OTHER_INSTANCE_TYPE, TAG, VOLUME_IN_GB
from rehearsal.run import Run, expect
from vending.platform import client


def launch_one(run: Run) -> None:
    """Launch a notebook."""
    record = _launched(run, run.plan.notebook, {})
    expect(record.succeeded, f"The launch was refused. {record.reason}")
    run.launched = record
    run.seen.launched = True
    run.page.outcome(record.outputs.get("Message", f"{run.plan.notebook} is there."))


def _launched(run: Run, name: str, parameters: Mapping[str, str]) -> Record:
    """Launch the product and wait for the end."""
    asked = {
        "NotebookInstanceName": name,
        "NotebookInstanceType": INSTANCE_TYPE,
        "VolumeSizeInGB": str(VOLUME_IN_GB),
        "ProjectID": run.plan.project,
        "DataRetention": "Delete",
        **parameters,
    }
    return run.wait(run.end_user().launch(name, asked, {TAG: run.plan.run_id}))


def update(run: Run) -> None:
    """Change the notebook's instance type."""
    change = {"NotebookInstanceType": OTHER_INSTANCE_TYPE}
    record = run.wait(run.end_user().update(run.notebook().provisioned_product_id, change))
    expect(record.succeeded, f"The update was refused. {record.reason}")
    found = client("sagemaker").describe_notebook_instance(NotebookInstanceName=run.plan.notebook)
    now = (found["InstanceType"], found["NotebookInstanceStatus"])
    expect(
        now == (OTHER_INSTANCE_TYPE, "InService"),
        f"After the update the notebook is {now[1]} on {now[0]}",
    )
    run.page.outcome(f"{run.plan.notebook} is InService on {now[0]}.")


def act(action: str, status: str) -> Callable[[Run], None]:
    """Return a step that runs an action of the product, and expects a status after it."""

    def do(run: Run) -> None:
        record = run.wait(run.end_user().act(run.notebook().provisioned_product_id, action))
        expect(record.succeeded, f"The action {action} failed. {record.reason}")
        now = run.watching.notebook()
        expect(now == status, f"After the action {action} the notebook is {now}")
        run.page.outcome(f"{run.plan.notebook} is {now}.")

    return do


def refused(
    what: str, parameters: Mapping[str, str], says: str, *, same_notebook: bool = False
) -> Callable[[Run], None]:
    """Return a step whose launch must be refused, with this part of a reason."""

    def do(run: Run) -> None:
        name = f"{run.plan.notebook}-{what}"
        given = dict(parameters)
        if same_notebook:
            given["NotebookInstanceName"] = run.plan.notebook
        try:
            record = _launched(run, name, given)
        except ClientError as error:  # ProvisionProduct may refuse it at once
            if error.response["Error"]["Code"] != "InvalidParametersException":
                raise
            reason = error.response["Error"]["Message"]
        else:
            reason = record.reason
            expect(not record.succeeded, f"The launch {name} succeeded, and must be refused.")
        run.seen.refusals[what] = reason
        expect(says in reason, f"The reason of {name} does not say '{says}'. {reason}")
        run.page.outcome(f"Refused: {' '.join(reason.split())}")

    return do


def terminate(run: Run) -> None:
    """Terminate all launches."""
    # The notebook goes first: a refused launch has nothing that could keep a name from another.
    for each in sorted(owned.products(run.plan), key=lambda product: product.name):
        record = run.wait(run.end_user().terminate(each.id))
        expect(record.succeeded, f"The termination of {each.name} failed. {record.reason}")
    expect(not run.watching.notebook(), f"{run.plan.notebook} is still there")
    run.page.outcome("All launches are terminated.")
