"""What notebooks are made in: the account, the time, and the services they lean on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from embedded_aws.sagemaker_notebooks.instance import Timing
from embedded_aws.sagemaker_notebooks.permissions import VOLUME_KEYS, Context
from embedded_aws.sagemaker_notebooks.resources import Keys, Network


def allow_all(_caller: Any, _action: str, _resource: str, _context: Context) -> None:
    """Stand in for IAM where it plays no part."""


@dataclass
class Surroundings:
    """What notebooks are made in: the account, the time, and the services they lean on.

    Attributes:
        clock: the time in epoch seconds.
        region, account, partition: what ARNs are made of.
        timing: how long transitions take.
        network: where network interfaces are made; without one their ids are made up and no
            subnet is looked up.
        keys: where keys are looked up and granted; without one every key is taken as it is.
        require: told of every permission a caller needs besides the operation's own (caller,
            action, resource, condition context); raises ServiceError where the caller lacks it.
        role_created: when a role (ARN) was made, in epoch seconds; None where there is no such
            role or SageMaker may not assume it. Without it every role is an old one.
        role_propagation: for how many seconds a young role cannot be assumed yet.
        volume_key_condition: the condition key under which a volume's key is sent, one of
            VOLUME_KEYS.

    """

    clock: Callable[[], float]
    region: str = "us-east-1"
    account: str = "123456789012"
    partition: str = "aws"
    timing: Timing = field(default_factory=Timing)
    network: Network | None = None
    keys: Keys | None = None
    require: Callable[[Any, str, str, Context], None] = allow_all
    role_created: Callable[[str], float | None] | None = None
    role_propagation: float = 10.0
    volume_key_condition: str = VOLUME_KEYS[0]

    @property
    def zone(self) -> str:
        """The zone of every subnet."""
        return f"{self.region}a"

    def network_arn(self, kind: str, resource_id: str) -> str:
        """Return the ARN of a subnet or a security group: it has the account of its owner."""
        owner = (self.network and self.network.owner(resource_id)) or self.account
        return f"arn:{self.partition}:ec2:{self.region}:{owner}:{kind}/{resource_id}"

    def arn(self, kind: str, name: str) -> str:
        """Return a resource's ARN; the service writes names in lower case there."""
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"
