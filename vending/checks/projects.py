"""Check whether a changed ProjectIDs locks owners out of their notebooks."""

from collections.abc import Iterator, Sequence

from notebook_vending.housekeeping import projects
from vending.checks.findings import Finding, missing, ok
from vending.checks.parameters import Parameters, listed
from vending.platform import client


def findings(parameters: Parameters, stack_name: str) -> Iterator[Finding]:
    """Yield which projects of the deployed portfolio a deployment must keep."""
    stack = client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    was = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    before, now = listed(was.get("ProjectIDs", "")), listed(parameters["ProjectIDs"])
    role_made = parameters["CreateEndUserRole"] == was.get("CreateEndUserRole", "YES") == "YES"
    for project in before:
        why, todo = _fault(project, before, now, role_made=role_made)
        live = projects.notebooks(stack_name, project, outputs["PortfolioId"]) if why else ()
        if found := ", ".join(live):
            yield missing(
                "project",
                project,
                f"{why}, so owners could not open their notebooks: {found}",
                todo,
            )
        else:
            yield ok("project", project, f"{why}, and has no notebooks" if why else "stays")


def _fault(
    project: str, before: Sequence[str], now: Sequence[str], *, role_made: bool
) -> tuple[str, str]:
    """Return what a change does to a project and what to do; empty if it does nothing.

    The end users' role of the portfolio is a member of the first project.
    """
    if project not in now:
        return "dropped", f"Keep {project} in ProjectIDs until their launches are terminated."
    if role_made and project == before[0] != now[0]:
        return (
            "no longer the first, to which the end users' role belongs",
            f"Keep {project} first in ProjectIDs, and append others.",
        )
    return "", ""
