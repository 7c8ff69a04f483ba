"""The price of serving a request: list prices of us-east-1, no free tier.

Sources are copies of these pages from 2025 and 2026, and for Lambda and DynamoDB articles that
quote them:
- Lambda: https://aws.amazon.com/lambda/pricing/ (requests; GB-seconds of x86 and of arm, first
  tier; the init phase is billed since 1 August 2025:
  https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/)
- Step Functions, standard workflows: https://aws.amazon.com/step-functions/pricing/ (a state
  transition is counted each time a step is executed, retries included)
- DynamoDB on-demand: https://aws.amazon.com/dynamodb/pricing/on-demand/ (a write unit is 1 KB, a
  strongly consistent read unit 4 KB)
- EventBridge: https://aws.amazon.com/eventbridge/pricing/ (events of AWS services and of scheduled
  rules on the default bus are free)
"""

from dataclasses import dataclass

from vending.explanation import Explanation


@dataclass(frozen=True)
class Prices:
    """US dollars per unit."""

    lambda_request: float = 0.20 / 1_000_000
    lambda_gb_second_x86: float = 0.0000166667
    lambda_gb_second_arm: float = 0.0000133334
    state_transition: float = 0.025 / 1_000
    dynamodb_write_unit: float = 0.625 / 1_000_000
    dynamodb_read_unit: float = 0.125 / 1_000_000
    eventbridge_event: float = 0.0


PRICES = Prices()
MEMORY_IN_GB = 256 / 1024  # of every function: stacks/lifecycle.yaml, Globals


@dataclass(frozen=True)
class Charge:
    """AWS's charges for an execution, as far as its history shows."""

    transitions: int
    invocations: int
    """Calls of functions: by CloudFormation, by the states, and by the events that woke it."""
    seconds: float
    """The duration of the states' functions in Step Functions, which is more than Lambda bills."""

    @property
    def usd(self) -> float:
        """The total in US dollars, on arm64, which is the default."""
        return sum(self.parts)

    @property
    def parts(self) -> tuple[float, float, float]:
        """Transitions, invocations and the functions' time, each in US dollars."""
        return (
            self.transitions * PRICES.state_transition,
            self.invocations * PRICES.lambda_request,
            self.seconds * MEMORY_IN_GB * PRICES.lambda_gb_second_arm,
        )


def charge(explanation: Explanation) -> Charge:
    """Return what AWS charges for serving a request."""
    steps = explanation.steps
    return Charge(
        transitions=sum(1 + step.retries for step in steps),
        invocations=1 + sum(step.attempts + step.woken for step in steps),
        seconds=sum(step.seconds or 0 for step in steps if step.kind == "worked" and step.attempts),
    )
