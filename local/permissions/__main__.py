"""`make permissions`: every permission of every role, and who uses it.

The status is 0 when all that is granted is used and nothing was denied, else 1; 130 when
interrupted. Everything it writes lies in `.local/permissions-<process id>`, which stays only when
something went wrong.
"""

import os
import shutil
import sys
import traceback
from dataclasses import replace

from local import deploy, progress
from local.permissions import handlers, report, story
from local.permissions.unexercised import UNEXERCISED
from local.permissions.usage import Usage, usage
from local.progress import Progress


def main() -> int:
    """Live the story through, and hold what was granted against what was called."""
    page = Progress(progress.console())
    directory = deploy.ROOT / ".local" / f"permissions-{os.getpid()}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        with page:
            told = story.tell(directory, page)
    except KeyboardInterrupt:
        shutil.rmtree(directory, ignore_errors=True)
        page.say("permissions: interrupted, nothing is left running")
        return 130
    except Exception as error:
        (directory / "traceback.log").write_text("".join(traceback.format_exception(error)))
        page.say(f"What may explain it is in {directory.relative_to(deploy.ROOT)}.")
        page.say(f"permissions: FAILED: {error}")
        return 1
    shutil.rmtree(directory)
    found = judge(told)
    page.step("What every role is granted, and how many calls used it.")
    report.show(found, page)
    page.say(f"\n{found.closing}")
    page.say(f"evaluated {len(found.evaluated)} of these: IAM was asked, the call not made")
    page.say(f"apart {len(found.apart)}: asked for by AWS, not to be shown here; reasons above")
    return 0 if found.proves else 1


def judge(told: story.Told) -> Usage:
    """Hold the grants against the calls, and the launch role against CloudFormation's handlers."""
    found = usage(told.granted, told.calls, UNEXERCISED)
    of_launches = {each.action for each in told.granted.values() if each.role == "LaunchRole"}
    wrong = handlers.mistakes(told.product_types, of_launches)
    return replace(found, mistakes=(*found.mistakes, *wrong))


if __name__ == "__main__":
    sys.exit(main())
