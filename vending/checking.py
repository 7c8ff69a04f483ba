"""`vending check`: what an account lacks for a deployment."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

from vending import screen
from vending.checks import budget, names, network, projects, quotas, region
from vending.checks.findings import Finding, Verdict, looked
from vending.checks.parameters import Parameters
from vending.platform import client
from vending.screen import text_of


@dataclass(frozen=True)
class Checked:
    """All of `vending check`."""

    account: str
    region: str
    findings: list[Finding]

    def having(self, verdict: Verdict) -> list[Finding]:
        """Return the findings of one verdict."""
        return [each for each in self.findings if each.verdict is verdict]


def check(
    parameters: Parameters,
    stack_name: str,
    report: Callable[[str], None],
    changed: Collection[str] = (),
) -> Checked:
    """Check everything that a deployment needs, and report the progress.

    For an existing deployment, check only what can change. Its names and network are its own, and
    its projects stay unless `changed` names them. If CloudFormation cannot create the platform in
    the Region, check nothing else. Raises ClientError, BotoCoreError if even the account ID cannot
    be read.
    """
    sts = client("sts")
    caller = sts.get_caller_identity()
    here, partition = sts.meta.region_name, caller["Arn"].split(":")[1]
    found = [region.resource_types(here, partition)]
    if found[0].verdict is Verdict.MISSING:
        return Checked(caller["Account"], here, found)
    report("the stack")
    found += looked("stack", stack_name, partial(names.stack, stack_name))
    deployed = any("deployed already" in each.found for each in found)
    looks: dict[str, Iterator[Finding]] = {
        "services and instance types": region.findings(
            parameters, here, partition, deployed=deployed
        ),
        "quotas": quotas.findings(parameters),
    }
    if parameters["MonthlyBudgetUSD"] != "0":
        looks["the budget"] = looked("budget", "ProjectID", partial(budget.findings, partition))
    if deployed and "ProjectIDs" in changed:
        of_projects = partial(projects.findings, parameters, stack_name)
        looks["the projects"] = looked("project", "ProjectIDs", of_projects)
    if not deployed:
        looks |= {
            "names": names.findings(parameters, here),
            "the network": network.findings(parameters, here, partition),
        }
    if product := parameters["HubProductId"]:
        of_hub = partial(names.hub_product, product)
        looks["the hub's product"] = looked("name", product, of_hub)
    for what, findings in looks.items():
        report(what)
        found += findings
    return Checked(caller["Account"], here, found)


def render(checked: Checked) -> None:
    """Print what is missing or unknown, and the number of each verdict."""
    wrong = [each for each in checked.findings if each.verdict is not Verdict.OK]
    if wrong:
        screen.table(
            ("", "About", "What", "Found", "What to do"),
            [
                (str(each.verdict), each.about, each.subject, each.found, text_of(each.todo))
                for each in wrong
            ],
        )
    counts = ", ".join(f"{len(checked.having(each))} {each}" for each in Verdict)
    screen.say(f"Account {checked.account}, {checked.region}: {counts}.")
