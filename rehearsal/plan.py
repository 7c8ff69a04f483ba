"""The plan of a rehearsal: its resources, their names, and the time limits."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vending.checks.parameters import Parameters, parse
from vending.errors import OperatorError

TAG = "notebook-vending:rehearsal"
"""The key of the tag that everything of a rehearsal carries. Its value is the run's ID."""

STORY_MINUTES = 60
CLEANUP_MINUTES = 30
"""The cleanup has time of its own, so that a story that runs out of time is cleaned up too."""

INSTANCE_TYPE = "ml.t3.medium"
OTHER_INSTANCE_TYPE = "ml.t3.large"
VOLUME_IN_GB = 5
LARGEST_VOLUME_IN_GB = 10
DEADLINE = 900
"""Seconds until the platform answers every request, so that no step waits for an hour."""
LAUNCHES = 4
"""One that succeeds, and three that are refused."""

# Parameters that the rehearsal sets itself: its names, and the limits behind its refusals.
_OWN = (
    "EndUserRoleName",
    "CreateEndUserRole",
    "PortfolioName",
    "ProviderName",
    "ProductName",
    "ProjectIDs",
    "AllowedInstanceTypes",
    "MaxVolumeSizeInGB",
    "DeadlineSeconds",
    "AllowRootAccess",
    "DataAdministratorArns",
    "ShareWith",
)


@dataclass(frozen=True)
class Plan:
    """One run. Every name that it makes has the run's ID in it."""

    run_id: str
    given: Mapping[str, str] = field(default_factory=dict)
    """Further parameters of the platform's template, such as PermissionsBoundaryArn."""

    @property
    def stack(self) -> str:
        """The name of the platform's stack."""
        return f"notebook-vending-rehearsal-{self.run_id}"

    @property
    def bucket(self) -> str:
        """The bucket that SAM uploads to."""
        return self.stack

    @property
    def listener(self) -> str:
        """The queue and the EventBridge rule that record what AWS reports."""
        return f"{self.stack}-listener"

    @property
    def role(self) -> str:
        """The role of the end user."""
        return f"SCEndUserRole-rehearsal-{self.run_id}"

    @property
    def notebook(self) -> str:
        """The notebook that is launched. The names of the others begin with it."""
        return f"rehearsal-{self.run_id}"

    @property
    def project(self) -> str:
        """The project that is launched for."""
        return "Rehearsal"

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that differ from the template's defaults."""
        return {
            **self.given,
            "EndUserRoleName": self.role,
            "PortfolioName": f"Notebook Vending rehearsal {self.run_id}",
            "ProviderName": "Notebook Vending rehearsal",
            "ProductName": f"Notebook Vending rehearsal {self.run_id}",
            "ProjectIDs": self.project,
            "AllowedInstanceTypes": f"{INSTANCE_TYPE},{OTHER_INSTANCE_TYPE}",
            "MaxVolumeSizeInGB": str(LARGEST_VOLUME_IN_GB),
            "DeadlineSeconds": str(DEADLINE),
        }

    @property
    def checked(self) -> Parameters:
        """The same, with the template's defaults, as `vending check` takes it."""
        return parse([f"{name}={value}" for name, value in self.parameters.items()])


def make(given: str) -> Plan:
    """Return the plan of a new run, with further parameters as `Name=Value Name=Value`.

    Raises OperatorError for parameters that the template does not have, or that a rehearsal sets.
    """
    words = given.split()
    parse(words)
    pairs = {name: value for name, _, value in (each.partition("=") for each in words)}
    if taken := sorted(pairs.keys() & set(_OWN)):
        raise OperatorError(
            f"A rehearsal sets {', '.join(taken)} itself. Leave that out of PARAMETERS."
        )
    return Plan(secrets.token_hex(4), pairs)


def made(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the resources of a run and their names, to show them before the question."""
    yield "the platform, one CloudFormation stack with eight nested ones", plan.stack
    yield "a role for the end user", plan.role
    yield "a bucket for what SAM uploads", plan.bucket
    yield "a queue and an EventBridge rule that record events", plan.listener
    yield f"{LAUNCHES} launches, one of which gets a notebook", f"{plan.notebook}…"
