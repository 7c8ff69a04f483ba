"""The decisions of a launch's policies on calls to AWS."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_evaluator

from embedded_aws.ministack_fixes import policy_variables
from permissions_proof.iam_requests import Call, Question, Where, questions
from tests.unit.product_launch import ACCOUNT, Launch


@dataclass
class Role:
    """The execution role of a launch, in an account whose resources have these tags.

    With `old_keys`, SageMaker sends the condition keys of volumes and outputs by their old names.
    """

    launch: Launch
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    old_keys: bool = False

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return str(self.launch.properties("Notebook")["RoleArn"])

    def denied(self, call: Call) -> list[Question]:
        """Return the permissions for a call that the role lacks."""
        return [question for question in questions(call, self._where) if not self.may(question)]

    @functools.cached_property
    def _where(self) -> Where:
        launch, key = self.launch, self.launch.properties("Notebook")["KmsKeyId"]
        account = (ACCOUNT, launch.region, key, launch.partition, launch.suffix)
        return Where(*account, old_keys=self.old_keys)

    @functools.cached_property
    def principal_tags(self) -> dict[str, str]:
        """The role's own tags."""
        return {tag["Key"]: tag["Value"] for tag in self.launch.properties("ExecutionRole")["Tags"]}

    @functools.cached_property
    def _statements(self) -> list[Any]:
        text = json.dumps({"Statement": list(self.launch.statements().values())})
        return list(iam_evaluator.parse_policy_document(text))

    def may(self, question: Question) -> bool:
        """Return whether the role's policies, and for its key the key's policy too, allow it."""
        context = self._context(question)
        statements = [policy_variables.filled(each, context) for each in self._statements]
        decision = iam_evaluator.evaluate(context, [statements]).decision
        if decision == "Allow" and question.action.startswith("kms:"):
            key_policy = self.launch.properties("ProjectKey")["KeyPolicy"]
            # In a key policy, "*" is this key. Another key has another policy.
            if question.resource != self.launch.properties("Notebook")["KmsKeyId"]:
                return False
            decision = iam_evaluator.evaluate_resource_policy(key_policy, context).decision
        return bool(decision == "Allow")

    def _context(self, question: Question) -> Any:
        keys = dict(question.keys)
        for key, value in self.tags.get(question.resource, {}).items():
            keys[f"aws:ResourceTag/{key}"] = value
        keys.setdefault("aws:TagKeys", [])
        named = {key.lower(): value for key, value in keys.items()}
        if not named["aws:tagkeys"]:
            named["aws:tagkeys"] = None  # type: ignore[assignment] # the evaluator's form of absent
        return iam_evaluator.EvalContext(
            principal_arn=self.arn,
            principal_type="AssumedRole",
            principal_account=ACCOUNT,
            action=question.action,
            resource_arn=question.resource,
            region=self.launch.region,
            service_context=named,
            principal_keys={
                f"aws:principaltag/{key.lower()}": value
                for key, value in self.principal_tags.items()
            },
        )
