"""`make rehearse`: the story of `make launch` on the AWS account that the shell is signed in to.

make rehearse                       shows what it creates and the maximum cost, and asks
make rehearse YES=1                 does not ask
make rehearse ACCOUNT=111122223333  refuses every other account
make rehearse PARAMETERS='…'        deploys with further parameters of template.yaml
make rehearse CLEAN=1a2b3c4d        removes what a run left behind

The exit status is 0 if every step ended as expected and nothing is left, and otherwise 1. It is 2
if nothing was created, and 130 after an interrupt.
"""

import argparse
import os
import sys

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from demo import progress
from demo.progress import Progress
from rehearsal import command
from rehearsal.terminal import Terminal
from vending.errors import OperatorError, worded


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--account", default="", help="the account that is expected")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--parameters", default="", help="Name=Value Name=Value")
    parser.add_argument("--clean", default="", metavar="RUN", help="the ID of an earlier run")
    asked = parser.parse_args()
    # The AWS CLI and SAM read AWS_REGION; boto3 reads AWS_DEFAULT_REGION alone.
    if region := os.environ.get("AWS_REGION"):
        os.environ["AWS_DEFAULT_REGION"] = region
    page = Progress(progress.console())
    try:
        if asked.clean:
            return command.clean(asked.clean, asked.account, page, yes=asked.yes)
        return command.rehearse(asked.parameters, asked.account, page, yes=asked.yes)
    except OperatorError as error:
        page.say(f"rehearse: nothing was made. {error}")
    except (ClientError, BotoCoreError) as error:
        page.say(f"rehearse: nothing was made. {_worded(error)}")
    except KeyboardInterrupt:
        page.say("\nrehearse: nothing was made.")
        return 130
    return 2


def _worded(error: ClientError | BotoCoreError) -> str:
    """Return what an error means for the person: the program has no options of `vending`."""
    match error:
        case NoCredentialsError():
            return "There are no AWS credentials. Sign in, or set AWS_PROFILE."
        case NoRegionError():
            return "No Region is set. Set AWS_REGION."
        case ProfileNotFound():
            return f"{error}. Set AWS_PROFILE to a profile of your AWS configuration."
        case _:
            return worded(error)


if __name__ == "__main__":
    sys.stdout, sys.stderr = Terminal(sys.stdout), Terminal(sys.stderr)
    sys.exit(main())
