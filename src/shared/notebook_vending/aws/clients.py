"""How the functions call AWS."""

import os
from collections.abc import Callable

from botocore.config import Config

# The state machine waits and tries again, at no cost: a function is done with trying within seconds
# (standard mode backs off with jitter, for throttling and for transient faults).
CONFIG = Config(
    connect_timeout=3,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 3},
    # `sam local invoke` tells every function that its account is 123456789012, and botocore would
    # send what is meant for DynamoDB to that account's endpoint. Lambda itself sets no account.
    account_id_endpoint_mode="disabled",
)


def make_at_init(*makers: Callable[[], object]) -> None:
    """Make what a function needs each time, its clients above all, while its environment begins.

    Lambda gives init a whole processor, and an invocation the share that its memory stands for.
    Elsewhere the environment is no function's: a client is made for its first call, with the
    session that there is then.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        for each in makers:
            each()
