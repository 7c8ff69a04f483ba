"""The platform as `sam build` builds it, now and at the former commit, once for each run."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from benchmarks import before as former
from demo import deploy

FUNCTION, LAYER = "AWS::Serverless::Function", "AWS::Serverless::LayerVersion"


@cache
def template() -> Path:
    """Build everything again as the project does; return the built template."""
    return deploy.build(deploy.ROOT / ".local" / "benchmarks")


@cache
def before() -> Path:
    """Build what was deployed before; return the built template.

    Raises CalledProcessError where the clone has no such commit: a shallow one.
    """
    source = former.tree()
    return deploy.build(source / ".local", source=source)


def event_before(name: str) -> Any:
    """Return a sample event as it was before."""
    return json.loads((former.tree() / "events" / f"{name}.json").read_text())


def handler_before(function: str) -> str | None:
    """Return the handler that a function had before, by its name of then; None if it is new."""
    resources = yaml_parse(before().read_text())["Resources"]
    return str(resources[function]["Properties"]["Handler"]) if function in resources else None


def directory(name: str, of: Path | None = None) -> Path:
    """Return where a function or layer was built: in its stack's folder."""
    (found,) = (each for each in (of or template()).parent.rglob(name) if each.is_dir())
    return found


@cache
def _templates() -> list[dict[str, Any]]:
    paths = [deploy.ROOT / "template.yaml", *(deploy.ROOT / "stacks").glob("*.yaml")]
    return [yaml_parse(path.read_text()) for path in paths]


def resources() -> dict[str, Any]:
    """Return the platform's functions and layers by their names."""
    found = {
        name: each for template in _templates() for name, each in template["Resources"].items()
    }
    return {name: each for name, each in found.items() if each["Type"] in (FUNCTION, LAYER)}


def settings(function: str) -> dict[str, Any]:
    """Return a function's properties, those of all functions of its template included."""
    (template,) = (each for each in _templates() if function in each["Resources"])
    of_all: dict[str, Any] = template["Globals"]["Function"]
    own: dict[str, Any] = template["Resources"][function]["Properties"]
    return of_all | own


def handlers() -> dict[str, str]:
    """Return each function's handler by the function's name."""
    return {
        name: each["Properties"]["Handler"]
        for name, each in resources().items()
        if each["Type"] == FUNCTION
    }


def environment() -> dict[str, str]:
    """Return the values of the templates' variables, which are those of the sample events."""
    found: dict[str, str] = json.loads(_event("env"))["Parameters"]
    return found


def event(name: str) -> Any:
    """Return a sample event."""
    return json.loads(_event(name))


def _event(name: str) -> str:
    return (deploy.ROOT / "events" / f"{name}.json").read_text()
