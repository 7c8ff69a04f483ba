"""The story of `make launch`: a launch to the full removal, its refusal, or its repair."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import bystander, command_line, deploy, end_user, launch_page
from demo.bystander import Bystander
from demo.command_line import Operator
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
    """Show a launch, its refusal or its repair, on a page; return the last line.

    Writes the story next to `directory`, as a page for a browser. Raises SurpriseError, and the
    errors of the embedded AWS and of the SAM CLI. `directory` then has the logs that may explain
    the error.
    """
    page.say(_title(fault))
    page.say("On an AWS embedded in this machine; what takes minutes in AWS takes seconds here.")
    notebooks, parameters = (fault.notebooks, fault.platform) if fault else ({}, {})
    with deployed(directory, page, notebooks, parameters) as deployment:
        aws, outputs = deployment.aws, deployment.outputs
        user = end_user.sign_in(aws, outputs["ProductId"])
        watch = Watch(aws, outputs["StateMachineArn"], page.event, page.wait_for)
        platform = Platform(aws, outputs, outputs["VpcId"], user, watch, page)
        before = launch_page.calls(aws)
        if fault and fault.changes:
            ending = repair(platform, fault)
        else:
            ending = refusal(platform, fault) if fault else success(platform)
        if fault and not fault.reaches_the_platform:
            page.say("\nThe platform was not asked, so there is no page of its requests.")
            return ending
        refused = fault and not fault.changes
        written = directory.parent / ("launch-refused.html" if refused else "launch.html")
        launch_page.write(written, aws, outputs["LedgerTable"], NOTEBOOK, before)
        page.say(f"\nAll of it as a page, for a browser: {written.relative_to(deploy.ROOT)}")
        return ending


def _title(fault: Fault | None) -> str:
    if fault is None:
        return "From a launch in Service Catalog to a notebook, and back to nothing."
    if fault.changes:
        return f"What happens when {fault.what}: the check finds it, and a repair brings it back."
    return f"How a launch is refused when {fault.what}{', and what helps' * bool(fault.remedy)}."


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
    other, before = None, {}
    if fault.name_taken:
        page.step(f"Another user makes a notebook named {NOTEBOOK}, without the platform.")
        other = bystander.make_notebook(platform.aws, NOTEBOOK, INSTANCE_TYPE)
        before = other.wait_until("InService", platform.watch.look)
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
    if other:
        _take_away(other, before, platform)
    _show_that_nothing_is_left(platform)
    if fault.remedy:
        return _second_launch(platform, fault.remedy)
    return f"REFUSED as expected: {' '.join(refused.reason.split())}"


def repair(platform: Platform, fault: Fault) -> str:
    """Show a notebook that is changed by hand, found and repaired; raises SurpriseError."""
    page = platform.page
    operator = command_line.sign_in(platform.aws, platform.outputs["PortfolioId"])
    page.step(_launching(INSTANCE_TYPE))
    launched = _launch(platform)
    _expect(launched.succeeded, f"the launch was refused: {launched.reason}")
    first = _vending(platform, operator, "detect-drift")
    _expect("All notebooks are as requested." in first, f"the check found: {first}")

    given = ", ".join(f"{name}={value}" for name, value in {**fault.changes, **fault.tags}.items())
    page.step(f"A colleague stops the notebook by hand, gives it {given}, and starts it again.")
    outputs, volume = launched.outputs, platform.notebook()["volume_id"]
    other = bystander.colleague(
        platform.aws, NOTEBOOK, outputs["ProjectID"], outputs["ExecutionRoleArn"]
    )
    as_launched = other.look()
    other.change(fault.changes, fault.tags, platform.watch.look)
    page.outcome("Neither CloudFormation nor Service Catalog notices anything.")

    page.step("An operator has the platform compare all notebooks with their requests.")
    report = _vending(platform, operator, "detect-drift")
    missing = missing_from("\n".join(report), fault)
    _expect(not missing, f"the report does not say {missing}: {report}")
    page.outcome("The report names what differs, and who may have changed it.")

    page.step("She repairs the launch: an update in Service Catalog, by the launch role.")
    _vending(platform, operator, "repair", NOTEBOOK, "--yes")
    after = other.look()
    changed = {name for name in after if after[name] != as_launched[name]} - {"LastModifiedTime"}
    _expect(not changed, f"after the repair the notebook has another {changed}: {after}")
    _expect(platform.notebook()["volume_id"] == volume, f"the repair lost the volume {volume}")
    last = _vending(platform, operator, "detect-drift")
    _expect("All notebooks are as requested." in last, f"the check still finds: {last}")
    page.outcome("The notebook is as requested again, on the same data volume.")

    page.step("The data scientist is done with it, and terminates the product.")
    _terminate(platform, launched.provisioned_product_id)
    _show_that_nothing_is_left(platform)
    return f"CHANGED by hand ({given}), FOUND and REPAIRED in {page.elapsed:.0f} s"


def _vending(platform: Platform, operator: Operator, *words: str) -> list[str]:
    """Run a command of the operator's, show what it printed, and return that."""
    platform.page.event("operator", f"$ vending {' '.join(words)}")
    printed = operator.run(*words, look=platform.watch.look)
    for line in printed:
        platform.page.event("", line)
    return printed


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


def _take_away(other: Bystander, before: Mapping[str, Any], platform: Platform) -> None:
    after = other.look()
    changed = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
    _expect(not changed, f"another user's notebook was changed: {changed}")
    platform.page.outcome(
        f"The other user's {NOTEBOOK} is unchanged, {after['NotebookInstanceStatus']}."
    )
    platform.page.step("The other user removes it.")
    other.remove(platform.watch.look)
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
