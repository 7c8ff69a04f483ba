"""The story of `make launch`: a launch from the deployment to the full removal, or its refusal."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import bystander, deploy, end_user, launch_page
from demo.bystander import Bystander
from demo.deployment import deployed
from demo.end_user import EndUser, Record
from demo.faults import INSTANCE_TYPE, NOTEBOOK, OTHER_INSTANCE_TYPE, Fault, missing_from
from demo.leftovers import leftovers
from demo.progress import Progress
from demo.run import SurpriseError
from demo.watch import Watch
from embedded_aws.emulator import Emulator

PROVISIONED_PRODUCT = "analysis"


@dataclass(frozen=True)
class Platform:
    """The deployed platform, and a data scientist who may launch."""

    aws: Emulator
    outputs: Mapping[str, str]
    vpc_id: str
    user: EndUser
    watch: Watch
    page: Progress

    def wait(self, record_id: str) -> Record:
        """Wait until Service Catalog has done what was asked for, showing what happens."""
        record = self.user.wait(record_id, self.watch.look)
        self.watch.look()
        return record

    def notebook(self) -> dict[str, Any]:
        """Return what the simulator knows of the notebook, its volume's id included."""
        found: list[dict[str, Any]] = self.aws.control("sagemaker")["notebooks"]
        return found[0]


def tell(fault: Fault | None, directory: Path, page: Progress) -> str:
    """Show a launch, or its refusal, on a page; return the last line.

    Writes the story next to `directory`, as a page for a browser. Raises SurpriseError, and the
    errors of the embedded AWS and of the SAM CLI. `directory` then has the logs that may explain
    the error.
    """
    page.say(
        f"How a launch is refused when {fault.what}{', and what helps' * bool(fault.remedy)}."
        if fault
        else "From a launch in Service Catalog to a notebook, and back to nothing."
    )
    page.say("On an AWS embedded in this machine; what takes minutes in AWS takes seconds here.")
    notebooks, parameters = (fault.notebooks, fault.platform) if fault else ({}, {})
    with deployed(directory, page, notebooks, parameters) as deployment:
        aws, outputs = deployment.aws, deployment.outputs
        user = end_user.sign_in(aws, outputs["ProductId"])
        watch = Watch(aws, outputs["StateMachineArn"], page.event, page.wait_for)
        platform = Platform(aws, outputs, outputs["VpcId"], user, watch, page)
        before = launch_page.calls(aws)
        ending = refusal(platform, fault) if fault else success(platform)
        if fault and not fault.reaches_the_platform:
            page.say("\nThe platform was not asked, so there is no page of its requests.")
            return ending
        written = directory.parent / ("launch-refused.html" if fault else "launch.html")
        launch_page.write(written, aws, outputs["LedgerTable"], NOTEBOOK, before)
        page.say(f"\nAll of it as a page, for a browser: {written.relative_to(deploy.ROOT)}")
        return ending


def success(platform: Platform) -> str:
    """Show a launch that succeeds, its update and its end; raises SurpriseError."""
    page, took = platform.page, {"deployed": platform.page.elapsed}

    page.step(_launching(INSTANCE_TYPE))
    begun = page.elapsed
    launched = _launch(platform)
    _expect(launched.succeeded, f"the launch was refused: {launched.reason}")
    took["launched"] = page.elapsed - begun
    page.outcome(f"{NOTEBOOK} is there. What Service Catalog shows the data scientist of it:")
    page.table(("Output", "Value"), sorted(launched.outputs.items()))

    page.step(f"She updates it to {OTHER_INSTANCE_TYPE}.")
    begun = page.elapsed
    _update(platform, launched.provisioned_product_id)
    took["updated"] = page.elapsed - begun

    page.step(
        "She is done with it, and terminates the product. The project's bucket still has a file, "
        "in two versions; she launched with DataRetention=Delete."
    )
    begun = page.elapsed
    bucket = launched.outputs["S3BucketName"]
    for text in (b"first", b"second"):
        platform.aws.client("s3").put_object(Bucket=bucket, Key="results/model.txt", Body=text)
    _terminate(platform, launched.provisioned_product_id)
    _show_that_nothing_is_left(platform)
    took["terminated"] = page.elapsed - begun
    times = ", ".join(f"{what} in {seconds:.0f} s" for what, seconds in took.items())
    return f"SUCCEEDED in {page.elapsed:.0f} s ({times})"


def _launching(instance_type: str) -> str:
    return (
        f"A data scientist signs in and launches the product: a notebook {NOTEBOOK}, on "
        f"{instance_type}."
    )


def _launch(platform: Platform, parameters: Mapping[str, str] | None = None) -> Record:
    return platform.wait(
        platform.user.launch(
            PROVISIONED_PRODUCT,
            {
                "NotebookInstanceName": NOTEBOOK,
                "NotebookInstanceType": INSTANCE_TYPE,
                "DataRetention": "Delete",
                **(parameters or {}),
            },
        )
    )


def _update(platform: Platform, provisioned_product_id: str) -> None:
    before, counted = platform.notebook(), platform.aws.control("sagemaker")["calls"]
    change = {"NotebookInstanceType": OTHER_INSTANCE_TYPE}
    updated = platform.wait(platform.user.update(provisioned_product_id, change))
    _expect(updated.succeeded, f"the update was refused: {updated.reason}")

    after, calls = platform.notebook(), platform.aws.control("sagemaker")["calls"]
    restart = ("StopNotebookInstance", "UpdateNotebookInstance", "StartNotebookInstance")
    done = {each: calls.get(each, 0) - counted.get(each, 0) for each in restart}
    _expect(set(done.values()) == {1}, f"the update did not stop, change and start once: {done}")
    _expect(
        (after["instance_type"], after["status"]) == (OTHER_INSTANCE_TYPE, "InService"),
        f"after the update the notebook is {after['status']} on {after['instance_type']}",
    )
    _expect(
        after["volume_id"] == before["volume_id"],
        f"the update changed the data volume {before['volume_id']} to {after['volume_id']}",
    )
    platform.page.outcome(
        "It was stopped, changed and started again. Its data volume is the same one:"
    )
    platform.page.table(
        ("", "Instance type", "Data volume", "Status"),
        [
            (when, each["instance_type"], each["volume_id"], each["status"])
            for when, each in (("before", before), ("after", after))
        ],
    )


def refusal(platform: Platform, fault: Fault) -> str:
    """Show a launch that is refused as expected; raises SurpriseError if it is not."""
    page = platform.page
    somebody, before = None, {}
    if fault.name_taken:
        page.step(f"Somebody else makes a notebook named {NOTEBOOK}, without the platform.")
        somebody = bystander.make_notebook(platform.aws, NOTEBOOK, INSTANCE_TYPE)
        before = somebody.wait_until("InService", platform.watch.look)
        page.outcome("It is InService, and carries no tag of the platform.")

    asked = fault.launch.get("NotebookInstanceType", INSTANCE_TYPE)
    page.step(f"{_launching(asked)} This time {fault.what}.")
    refused = _launch(platform, fault.launch)
    _expect(not refused.succeeded, f"the launch succeeded although {fault.what}")
    missing = missing_from(refused.reason, fault)
    _expect(not missing, f"the Reason does not say {missing}: {refused.reason}")
    page.outcome(f"The launch is refused. What Service Catalog tells her: {refused.reason}")

    page.step("She terminates the product that could not be launched.")
    _terminate(platform, refused.provisioned_product_id)
    if somebody:
        _take_away(somebody, before, platform)
    _show_that_nothing_is_left(platform)
    if fault.remedy:
        return _second_launch(platform, fault.remedy)
    return f"REFUSED as expected: {' '.join(refused.reason.split())}"


def _second_launch(platform: Platform, remedy: Mapping[str, str]) -> str:
    page = platform.page
    given = ", ".join(f"{name}={value}" for name, value in remedy.items())
    page.step(f"She launches the product once more, now with {given}.")
    launched = _launch(platform, remedy)
    _expect(launched.succeeded, f"the launch was refused in spite of {given}: {launched.reason}")
    message = launched.outputs["Message"]
    page.outcome(message)

    page.step("She is done with it, and terminates the product.")
    _terminate(platform, launched.provisioned_product_id)
    _show_that_nothing_is_left(platform)
    return f"REFUSED as expected, then SUCCEEDED with {given}: {message}"


def _take_away(somebody: Bystander, before: Mapping[str, Any], platform: Platform) -> None:
    after = somebody.look()
    changed = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
    _expect(not changed, f"somebody else's notebook was touched: {changed}")
    platform.page.outcome(
        f"Somebody else's {NOTEBOOK} lives on untouched, {after['NotebookInstanceStatus']}."
    )
    platform.page.step("Somebody else removes it.")
    somebody.remove(platform.watch.look)
    platform.watch.look()


def _terminate(platform: Platform, provisioned_product_id: str) -> None:
    terminated = platform.wait(platform.user.terminate(provisioned_product_id))
    _expect(terminated.succeeded, f"the termination failed: {terminated.reason}")


def _show_that_nothing_is_left(platform: Platform) -> None:
    left = leftovers(
        platform.aws, platform.user, platform.vpc_id, platform.outputs["StateMachineArn"]
    )
    found = {kind: ids for kind, ids in left.items() if ids}
    platform.page.outcome("Something is left:" if found else "Nothing is left of the launch:")
    platform.page.table(
        ("What is left", "Count"), [(kind, str(len(ids))) for kind, ids in left.items()]
    )
    _expect(not found, f"something is left: {found}")


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise SurpriseError(otherwise)
