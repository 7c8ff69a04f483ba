"""How the functions call AWS."""

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
