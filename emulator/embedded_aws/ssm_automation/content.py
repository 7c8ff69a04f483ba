"""What an Automation document says: read from its text, and refused where Systems Manager does.

Simulated are documents of schema 0.3 with the actions in `ACTIONS` ("Systems Manager Automation
actions reference"); everything else that a document may say is refused as not simulated, so that
nothing in it is silently without effect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.ssm_automation.references import names_in

EXECUTE_API = "aws:executeAwsApi"
WAIT_FOR_PROPERTY = "aws:waitForAwsResourceProperty"
ASSERT_PROPERTY = "aws:assertAwsResourceProperty"
ACTIONS = (EXECUTE_API, WAIT_FOR_PROPERTY, ASSERT_PROPERTY)
OUTPUT_TYPES: Mapping[str, type] = {
    "String": str,
    "StringList": list,
    "Integer": int,
    "Boolean": bool,
    "StringMap": dict,
    "MapList": list,
}
WAIT_SECONDS = 3600  # the default timeout of aws:waitForAwsResourceProperty
_PARAMETER_TYPES = ("String", "StringList")
_DOCUMENT_KEYS = ("schemaVersion", "description", "assumeRole", "parameters", "mainSteps")
_STEP_KEYS = (
    *("name", "action", "description", "inputs", "outputs", "maxAttempts", "timeoutSeconds"),
    *("onFailure", "isEnd", "nextStep"),
)
_SYSTEM_NAMES = (
    *("global:ACCOUNT_ID", "global:REGION", "global:AWS_PARTITION", "automation:EXECUTION_ID"),
)
# As far as simulated: the members of a response and the items of its lists.
_SELECTOR = re.compile(r"\$(\.\w+|\[\d+\])+")


@dataclass(frozen=True)
class Step:
    """A step of a runbook, as written, and where it leads."""

    name: str
    action: str
    inputs: Mapping[str, Any]
    outputs: tuple[Mapping[str, str], ...]
    max_attempts: int
    timeout_seconds: int
    on_failure: str
    is_end: bool
    next_step: str | None


@dataclass(frozen=True)
class Runbook:
    """The content of a document."""

    description: str
    assume_role: str
    parameters: Mapping[str, Mapping[str, Any]]
    steps: tuple[Step, ...]


def parse(text: str, document_format: str) -> Runbook:
    """Read a document; raises ServiceError(InvalidDocumentContent)."""
    try:
        content = json.loads(text) if document_format == "JSON" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise invalid(f"The document is not {document_format}: {error}") from error
    if not isinstance(content, dict):
        raise invalid("The document is not a map")
    for fault in _document_faults(content):
        raise invalid(fault)
    steps = tuple(_step(step) for step in content["mainSteps"])
    runbook = Runbook(
        description=content.get("description", ""),
        assume_role=content.get("assumeRole", ""),
        parameters=content.get("parameters", {}),
        steps=steps,
    )
    for fault in _reference_faults(runbook):
        raise invalid(fault)
    return runbook


def invalid(message: str) -> ServiceError:
    """Return the error for content that is no Automation document."""
    return ServiceError("InvalidDocumentContent", message)


def _document_faults(content: Mapping[str, Any]) -> Iterator[str]:
    if content.get("schemaVersion") != "0.3":
        yield "schemaVersion of an Automation document must be '0.3'"
    yield from _unknown("The document", content, _DOCUMENT_KEYS)
    for name, declared in content.get("parameters", {}).items():
        if declared.get("type") not in _PARAMETER_TYPES:
            yield f"Parameter {name}: only the types {_PARAMETER_TYPES} are simulated"
    steps = content.get("mainSteps")
    if not isinstance(steps, list) or not steps:
        yield "mainSteps must be a list of steps"
        return
    names = [step.get("name") for step in steps]
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_]+", name):
            yield f"{name!r} is no name of a step"
        if names.count(name) > 1:
            yield f"There is more than one step {name}"
    for step in steps:
        yield from _step_faults(step, names)


def _step_faults(step: Mapping[str, Any], names: list[Any]) -> Iterator[str]:
    told = f"Step {step['name']}"
    yield from _unknown(told, step, _STEP_KEYS)
    if step.get("action") not in ACTIONS:
        yield f"{told}: action {step.get('action')} is not simulated, only {ACTIONS}"
    yield from _input_faults(told, step)
    if not re.fullmatch(r"Abort|Continue|step:\w+", step.get("onFailure", "Abort")):
        yield f"{told}: onFailure must be Abort, Continue or step:<name>"
    for target in (step.get("nextStep"), step.get("onFailure", "").partition("step:")[2]):
        if target and target not in names:
            yield f"{told} leads to {target}, which is no step"


def _input_faults(told: str, step: Mapping[str, Any]) -> Iterator[str]:
    inputs = step.get("inputs", {})
    property_keys = (
        () if step.get("action") == EXECUTE_API else ("PropertySelector", "DesiredValues")
    )
    for key in ("Service", "Api", *property_keys):
        if not inputs.get(key):
            yield f"{told}: input {key} is required"
    selectors = [inputs[key] for key in property_keys[:1] if key in inputs]
    for output in step.get("outputs", []):
        if set(output) != {"Name", "Selector", "Type"} or output["Type"] not in OUTPUT_TYPES:
            yield f"{told}: an output has a Name, a Selector and a Type"
        selectors.append(output.get("Selector", ""))
    for selector in selectors:
        if not _SELECTOR.fullmatch(selector):
            yield f"{told}: a selector like {selector} is not simulated"


def _unknown(told: str, given: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in given:
        if key not in known:
            yield f"{told}: {key} is not simulated"


def _step(step: Mapping[str, Any]) -> Step:
    return Step(
        name=step["name"],
        action=step["action"],
        inputs=step["inputs"],
        outputs=tuple(step.get("outputs", ())),
        max_attempts=int(step.get("maxAttempts", 1)),
        timeout_seconds=int(step.get("timeoutSeconds", WAIT_SECONDS)),
        on_failure=step.get("onFailure", "Abort"),
        is_end=str(step.get("isEnd", False)).lower() == "true",
        next_step=step.get("nextStep"),
    )


def _reference_faults(runbook: Runbook) -> Iterator[str]:
    """Yield the references to what is nowhere, which is refused when a document is made."""
    known = {*runbook.parameters, *_SYSTEM_NAMES}
    for name in names_in(runbook.assume_role):
        if name not in runbook.parameters and name not in _SYSTEM_NAMES:
            yield f"assumeRole refers to {name}, which is no parameter"
    for step in runbook.steps:
        for name in names_in(step.inputs):
            if name not in known:
                yield f"Step {step.name} refers to {name}, which is nowhere before it"
        known |= {f"{step.name}.{output['Name']}" for output in step.outputs}
