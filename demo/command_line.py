"""An operator at the command line: `vending`, run as a person runs it."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from demo import deploy
from embedded_aws.emulator import Emulator

_POLL = 0.25  # seconds


class CommandError(Exception):
    """A command did not end with status 0. The message has what it printed."""


@dataclass(frozen=True)
class Operator:
    """Someone who has the variables of a shell, with an access key."""

    environment: Mapping[str, str]

    def run(self, *words: str, look: Callable[[], None] = lambda: None) -> list[str]:
        """Run a command, looking around meanwhile; return the lines that it printed.

        Raises CommandError.
        """
        with subprocess.Popen(
            [sys.executable, "-m", "vending", *words],
            cwd=deploy.ROOT,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            # It prints less than a pipe holds.
            while process.poll() is None:
                look()
                time.sleep(_POLL)
            printed = process.stdout.read() if process.stdout else ""
        if process.returncode:
            raise CommandError(f"vending {' '.join(words)}: {printed.strip()}")
        return printed.splitlines()


def sign_in(aws: Emulator, portfolio_id: str) -> Operator:
    """Become an operator: an IAM user of the account who may use the portfolio, too."""
    iam, user = aws.client("iam"), f"operator-{uuid.uuid4().hex[:8]}"
    arn = iam.create_user(UserName=user)["User"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=user, PolicyName="operate", PolicyDocument=policy)
    aws.client("servicecatalog").associate_principal_with_portfolio(
        PortfolioId=portfolio_id, PrincipalARN=arn, PrincipalType="IAM"
    )
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return Operator(
        {
            **aws.child_environment,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "PYTHONPATH": f"{deploy.ROOT}/src/shared:{deploy.ROOT}",
        }
    )
