"""`make permissions`: every permission of every role, and the calls that use it.

The exit status is 0 if every permission is used and no call was denied, 1 if not, 130 after an
interrupt. Its files are in `.local/permissions-<process id>`, which stays only after a failure.
"""

import sys
from dataclasses import replace
from pathlib import Path

from demo import progress
from demo.progress import Progress
from demo.run import SurpriseError, run
from permissions_proof import handlers, report, scenario
from permissions_proof.cannot_be_shown import UNEXERCISED
from permissions_proof.usage import Usage, usage


def main() -> int:
    """Run the story, and compare its grants with its calls."""
    return run("permissions", _prove, Progress(progress.console()))


def _prove(directory: Path, page: Progress) -> str:
    found = judge(scenario.tell(directory, page))
    page.step("What every role is granted, and how many calls used it.")
    report.show(found, page)
    page.say(f"\n{found.closing}")
    page.say(f"evaluated {len(found.evaluated)} of these: IAM was asked, the call not made")
    page.say(f"apart {len(found.apart)}: asked for by AWS, not to be shown here; reasons above")
    if not found.proves:
        raise SurpriseError("see UNUSED, DENIED and MISTAKE above")
    return "SUCCEEDED"


def judge(told: scenario.Told) -> Usage:
    """Compare the grants with the calls, and the launch role with CloudFormation's handlers."""
    found = usage(told.granted, told.calls, UNEXERCISED)
    of_launches = {
        (each.action, each.resource) for each in told.granted.values() if each.role == "LaunchRole"
    }
    wrong = handlers.mistakes(told.product_types, of_launches)
    return replace(found, mistakes=(*found.mistakes, *wrong))


if __name__ == "__main__":
    sys.exit(main())
