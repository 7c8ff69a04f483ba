"""The environment of notebooks: the account, the time, and the services they use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from embedded_aws.sagemaker_notebooks.instance import Timing
from embedded_aws.sagemaker_notebooks.permissions import VOLUME_KEYS, Context
from embedded_aws.sagemaker_notebooks.resources import Keys, Network


def allow_all(_caller: Any, _action: str, _resource: str, _context: Context) -> None:
    """Allow every action, for simulators without IAM."""


@dataclass
class Surroundings:
    """The environment of notebooks: the account, the time, and the services they use.

    Attributes:
        clock: the time in epoch seconds.
        region, account, partition: the parts of ARNs.
        timing: the durations of transitions.
        network: creates network interfaces; without it, their IDs are invented and subnets are
            not checked.
        keys: resolves keys and creates grants; without it, every key is accepted.
        require: called for each permission besides the operation's own (caller, action,
            resource, condition context); raises ServiceError if the caller lacks it.
        role_created: returns the creation time of a role (ARN) in epoch seconds, or None if the
            role does not exist or SageMaker may not assume it. By default, every role is old.
        role_propagation: the seconds until a new role can be assumed.
        volume_key_condition: the condition key for a volume's key, one of VOLUME_KEYS.

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
        """The Availability Zone of all subnets."""
        return f"{self.region}a"

    def network_arn(self, kind: str, resource_id: str) -> str:
        """Return the ARN of a subnet or security group, with its owner's account."""
        owner = (self.network and self.network.owner(resource_id)) or self.account
        return f"arn:{self.partition}:ec2:{self.region}:{owner}:{kind}/{resource_id}"

    def arn(self, kind: str, name: str) -> str:
        """Return a resource's ARN, with the name in lower case as SageMaker writes it."""
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"
