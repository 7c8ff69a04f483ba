"""The sample events in `events/`, and their functions."""

import json
import re
from dataclasses import asdict
from typing import Any

from notebook_vending.lifecycle.decision import ExecutionMemory
from tests.project import ROOT
from tests.unit import stack_template

EVENTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}


ENVIRONMENT = EVENTS.pop("env")["Parameters"]


TEMPLATE = stack_template.load(ROOT / "template.yaml")


FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in stack_template.platform_resources().items()
    if resource["Type"] == "AWS::Serverless::Function"
}


def handler_of(event: str) -> str:
    (handler,) = (
        properties["Handler"]
        for properties in FUNCTIONS.values()
        if re.fullmatch(rf"{name_of(properties)}(-create|-update|-delete|-for-[a-z-]+)?", event)
    )
    return str(handler)


def name_of(properties: dict[str, Any]) -> str:
    return str(properties["Handler"]).split(".")[1].replace("_", "-")


def comparable(state: dict[str, Any]) -> Any:
    """Return a state without the resource IDs and the URL that AWS generates.

    Missing parts of an execution's memory get the defaults of the code.
    """
    memory = ExecutionMemory(**{**state["Memory"], "ours": ""})
    known = {**state, "Memory": asdict(memory)}
    text = re.sub(r"\b(eni|subnet|sg)-[0-9a-f]+", r"\1-…", json.dumps(known))
    return json.loads(re.sub(r"https://[\w.-]+", "https://…", text))
