"""`vending repair`: have CloudFormation bring a notebook back to what its launch asked for.

An update of the launch changes only the parameter Repair, so CloudFormation requests the same
notebook from the platform again. The launch role does the work.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import uuid4

from botocore.exceptions import ClientError

from notebook_vending import clock
from notebook_vending.aws import sagemaker
from notebook_vending.housekeeping import drift_record
from notebook_vending.housekeeping.drift_record import TAGS, Difference, Kind, Record
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import (
    EXPIRES_TAG,
    LOGICAL_RESOURCE_TAG,
    PLATFORM_TAG,
    STACK_TAG,
    TAG_PREFIX,
    expiry_date,
)
from notebook_vending.requests.stack_ids import provisioned_product_of
from vending import drift, launches, screen
from vending.errors import OperatorError
from vending.platform import Platform, client

_PARAMETER = "Repair"  # of the product
# Without these the functions' roles, or the platform itself, leave a notebook alone.
_OWNING = (PLATFORM_TAG, STACK_TAG, LOGICAL_RESOURCE_TAG)
# UpdateNotebookInstance changes them while the notebook is stopped.
_NEED_A_STOP = (
    "NotebookInstanceType",
    "RoleArn",
    "RootAccess",
    "PlatformIdentifier",
    "VolumeSizeInGB",
    "LifecycleConfigName",
    "MinimumInstanceMetadataServiceVersion",
)

Effect = Literal["restored", "restored with a stop", "created again", "kept"]


@dataclass(frozen=True)
class Setting:
    """A difference, and what the repair does to it."""

    setting: str
    found: str
    asked: str
    effect: Effect
    why: str
    """Why the repair keeps it, and what changes it instead; empty if it restores it."""

    @property
    def said(self) -> str:
        """A sentence about it."""
        found, asked = self.found or "not set", self.asked or "none"
        match self.effect:
            case "kept":
                instead = f" instead of {asked}" if found != asked else ""
                return f"Kept: {self.setting}, {found}{instead}. {self.why}"
            case "created again":
                return f"Created again: the notebook, with an empty volume. {self.why}"
        return f"Restored: {self.setting}, from {found} to {asked}."


@dataclass(frozen=True)
class Repaired:
    """The result of `vending repair`, and before it its plan."""

    notebook: str
    provisioned_product: str
    name: str
    """The launch's name in Service Catalog."""
    stack_id: str
    settings: tuple[Setting, ...]
    stops: bool
    """Whether the notebook stops and starts again."""
    message: str = ""
    """The platform's answer; empty before the repair."""
    left: tuple[str, ...] = ()
    """The differences that remain after the repair, a sentence each."""

    @property
    def restores(self) -> bool:
        """Whether there is anything that the repair changes."""
        return any(each.effect != "kept" for each in self.settings)


def plan(of: Platform, target: str) -> Repaired:
    """Return what a repair of a notebook's launch would do, by a check of now.

    Raises OperatorError if Service Catalog would refuse the repair, ClientError, BotoCoreError.
    """
    drift.detect(of)
    record = _record(target)
    notebook, product_id = record.name, provisioned_product_of(record.asked[0].stack_id)
    if not product_id:
        raise OperatorError(
            f"{notebook} does not belong to a Service Catalog launch. Update its stack with "
            f"another value for {_PARAMETER}."
        )
    settings = tuple(_setting(each, record, of.limits) for each in record.differences)
    running = sagemaker.status(notebook) in ("InService", "Pending")
    stops = running and any(each.effect == "restored with a stop" for each in settings)
    launch = launches.settled(notebook, product_id)
    if launch is None:
        raise OperatorError(
            f"The launch of {notebook} is gone from Service Catalog, so nothing can update it. "
            f"`vending end {notebook}` deletes its stack."
        )
    return Repaired(notebook, product_id, launch.name, record.asked[0].stack_id, settings, stops)


def show(plan: Repaired) -> None:
    """Print what a repair would do to each setting."""
    for each in plan.settings:
        screen.note(each.said)
    if plan.stops:
        screen.note(
            f"{plan.notebook} stops and starts again. Its files stay, and what runs on it ends."
        )


def update(plan: Repaired) -> dict[str, Any]:
    """Return the update to ask Service Catalog for.

    Raises OperatorError if Service Catalog or the platform would refuse it, ClientError.
    """
    _require_ours(plan)
    catalog = client("servicecatalog")
    detail = catalog.describe_provisioned_product(Id=plan.provisioned_product)[
        "ProvisionedProductDetail"
    ]
    version, product = detail["ProvisioningArtifactId"], detail["ProductId"]
    path = _path(plan, detail)
    _require_active(plan, product, version)
    stack = launches.stack_of(plan.stack_id)
    names = [each["ParameterKey"] for each in stack.get("Parameters", [])]
    if _PARAMETER not in names:
        raise OperatorError(
            f"The launch {plan.name} has a version of the product without the parameter "
            f"{_PARAMETER}. Update the launch to the newest version with any value for "
            f"{_PARAMETER}, which restores the notebook too."
        )
    kept = [{"Key": each, "UsePreviousValue": True} for each in names if each != _PARAMETER]
    value = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    return {
        "ProvisionedProductId": plan.provisioned_product,
        "ProductId": product,
        "ProvisioningArtifactId": version,
        "PathId": path,
        "ProvisioningParameters": [{"Key": _PARAMETER, "Value": value}, *kept],
        "UpdateToken": str(uuid4()),
    }


def repair(
    of: Platform, plan: Repaired, request: Mapping[str, Any], report: Callable[[str], None]
) -> Repaired:
    """Update the launch, wait for the result and check the notebook again.

    Raises OperatorError if the update fails, takes too long or is interrupted, ClientError,
    BotoCoreError.
    """
    catalog = client("servicecatalog")
    record_id = catalog.update_provisioned_product(**request)["RecordDetail"]["RecordId"]
    try:
        message = _wait(plan, record_id, report)
    except KeyboardInterrupt:
        raise OperatorError(
            f"Stopped waiting. The update of {plan.name} goes on in Service Catalog. "
            f"`vending explain {plan.notebook}` shows its progress."
        ) from None
    drift.detect(of)
    left = tuple(each.said for each in drift.drifts([_record(plan.provisioned_product)]))
    return replace(plan, message=message, left=left)


def render(done: Repaired) -> None:
    """Print the result of a repair, or that nothing needs one."""
    if done.message:
        screen.say(done.message)
    for each in done.left:
        screen.say(f"Still different: {each}.")
    if not done.left:
        screen.say(f"{done.notebook} is as requested.")


def _record(target: str) -> Record:
    """Return the check's record of a notebook, by its name or by its launch's name or ID."""
    records = drift_record.read_all().by_arn.values()
    wanted = {target.lower()}
    if not target.startswith("pp-") and target.lower() not in {e.name.lower() for e in records}:
        wanted |= _launch_named(target)
    for each in records:
        if wanted & {each.name.lower(), provisioned_product_of(each.asked[0].stack_id)}:
            return each
    raise OperatorError(
        f"The platform's check has no notebook or launch {target}. `vending list` shows all "
        "notebooks. The check leaves out a notebook whose launch has not succeeded."
    )


def _launch_named(name: str) -> set[str]:
    try:
        found = client("servicecatalog").describe_provisioned_product(Name=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return set()
    return {found["ProvisionedProductDetail"]["Id"]}


def _setting(difference: Difference, record: Record, limits: Limits) -> Setting:
    effect, why = _effect(difference, record, limits)
    return Setting(difference.setting, difference.found, difference.asked, effect, why)


def _effect(difference: Difference, record: Record, limits: Limits) -> tuple[Effect, str]:
    setting = difference.setting
    if difference.kind is Kind.GONE:
        return "created again", "Today's limits apply to it, and its days count from now."
    if difference.kind is Kind.NARROWER_NOW:
        return "kept", (
            f"It was allowed when it was requested. An update of the launch to an allowed value "
            f"changes it: {difference.allowed}."
        )
    if setting.startswith(TAGS):
        return _effect_on_tag(setting.removeprefix(TAGS), record)
    if setting not in _NEED_A_STOP:
        return "kept", (
            "SageMaker changes it on no notebook. Only an update of the launch with a new "
            "NotebookInstanceName and AllowReplacement=YES does, which loses the files."
        )
    if setting == "VolumeSizeInGB" and int(difference.found) > int(difference.asked):
        return "kept", "SageMaker only grows a volume. Ask the launcher to update to this size."
    if not _allowed(setting, record, limits):
        return "kept", (
            "Today's limits do not allow what was requested. Ask the launcher to update to an "
            "allowed value."
        )
    return "restored with a stop", ""


def _effect_on_tag(key: str, record: Record) -> tuple[Effect, str]:
    if key == EXPIRES_TAG:
        if expiry_date(record.notebook.tags) is None:
            return "restored", ""
        return "kept", f"A repair keeps the expiry date. `vending extend {record.name}` moves it."
    if key.startswith(TAG_PREFIX):
        return "kept", "The platform sets it only at the creation. Set it with SageMaker's AddTags."
    return "restored", ""


def _allowed(setting: str, record: Record, limits: Limits) -> bool:
    """Return whether today's limits allow the requested value, as an update needs."""
    spec = record.asked[0].spec
    if spec is None:
        return True
    match setting:
        case "NotebookInstanceType":
            return any(each in limits.instance_types for each in spec.instance_types)
        case "PlatformIdentifier":
            return spec.PlatformIdentifier in limits.platform_identifiers
        case "RootAccess":
            return spec.RootAccess != "Enabled" or limits.root_access_allowed
    return True


def _require_ours(of: Repaired) -> None:
    """Raise OperatorError if the platform would not recognise the notebook as the launch's own."""
    lost = [each for each in of.settings if each.setting.removeprefix(TAGS) in _OWNING]
    if not lost:
        return
    seen = client("sagemaker").describe_notebook_instance(NotebookInstanceName=of.notebook)
    tags = " ".join(f"Key={each.setting.removeprefix(TAGS)},Value={each.asked}" for each in lost)
    raise OperatorError(
        f"The platform changes only notebooks with its own tags, and {of.notebook} has lost some. "
        f"Restore them, then repair it: aws sagemaker add-tags --resource-arn "
        f"{seen['NotebookInstanceArn']} --tags {tags}"
    )


def _require_active(plan: Repaired, product: str, version: str) -> None:
    """Raise OperatorError if the launch's version is not active.

    "Inactive provisioning artifacts are invisible to end users. End users cannot launch or update a
    provisioned product from an inactive provisioning artifact." (UpdateProvisioningArtifact)
    """
    found = client("servicecatalog").describe_product(Id=product)["ProvisioningArtifacts"]
    if any(each["Id"] == version for each in found):
        return
    raise OperatorError(
        f"The launch {plan.name} has a version of the product that is not active any more, so "
        "Service Catalog refuses an update to it. Update the launch to an active version with "
        f"another value for {_PARAMETER}, which restores the notebook too."
    )


def _path(plan: Repaired, detail: Mapping[str, Any]) -> str:
    """Return the launch path of the launch; raises OperatorError if the operator lacks it.

    The path is the launch's own. Its ID may have changed since the launch
    (terraform-provider-aws#31705), so an only path serves too.
    """
    catalog = client("servicecatalog")
    record = catalog.describe_record(Id=detail["LastSuccessfulProvisioningRecordId"])
    own = record["RecordDetail"]["PathId"]
    try:
        pages = catalog.get_paginator("list_launch_paths").paginate(ProductId=detail["ProductId"])
        paths = [each["Id"] for page in pages for each in page["LaunchPathSummaries"]]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        paths = []
    if own in paths:
        return str(own)
    if len(paths) == 1:
        return str(paths[0])
    raise OperatorError(
        f"Your role may not update {plan.name}, because it is no principal of the portfolio that "
        "the launch came from. An administrator adds it: aws servicecatalog "
        "associate-principal-with-portfolio --portfolio-id PORTFOLIO --principal-arn ROLE "
        "--principal-type IAM"
    )


def _wait(plan: Repaired, record_id: str, report: Callable[[str], None]) -> str:
    """Wait for the update; return the platform's message."""
    catalog = client("servicecatalog")

    def message() -> str | None:
        found = catalog.describe_record(Id=record_id)
        record = found["RecordDetail"]
        if record["Status"] == "FAILED":
            said = "; ".join(each["Description"] for each in record.get("RecordErrors", []))
            raise OperatorError(
                f"The update of {plan.name} failed, and CloudFormation rolled it back: "
                f"{said or 'no reason is given'}. Run `vending explain {plan.notebook}`, remove "
                "the cause, then repair it again."
            )
        outputs = {e["OutputKey"]: e["OutputValue"] for e in found.get("RecordOutputs", [])}
        return str(outputs.get("Message", "")) if record["Status"] == "SUCCEEDED" else None

    answered = launches.wait_for(message, plan.notebook, "there is no notebook yet", report)
    if answered is not None:
        return answered
    raise OperatorError(
        f"{plan.name} is still being updated after {launches.PATIENCE.seconds // 60} minutes. See "
        f"record {record_id} in Service Catalog."
    )
