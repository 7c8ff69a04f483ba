"""Policy variables, such as ${aws:PrincipalTag/ProjectID}, which MiniStack reads as plain text.

They occur in resources and in comparisons of strings and ARNs. A variable without a value equals
nothing: a resource with it matches nothing, and a negated comparison is true (IAM user guide, "IAM
policy elements: Variables and tags"). Default values and variables for single characters are
rejected, because no policy here uses them.
"""

import re
from dataclasses import replace
from typing import Any

from ministack.core import iam_evaluator

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_COMPARING_TEXTS = re.compile(r"(?:ForA\w+:)?(?:String|Arn)", re.IGNORECASE)
_NO_VALUE = "\0"  # neither equals nor matches any string


def install() -> None:
    """Replace the variables of every statement before its evaluation."""
    first_match = iam_evaluator._first_match
    assert first_match.__code__.co_varnames[:3] == ("ctx", "stmts", "effect")

    def first_match_of_filled(ctx: Any, stmts: list[Any], effect: str) -> Any:
        return first_match(ctx, [filled(each, ctx) for each in stmts], effect)

    iam_evaluator._first_match = first_match_of_filled


def filled(statement: Any, ctx: Any) -> Any:
    """Return a parsed statement with its variables replaced by their values in a request."""
    return replace(
        statement,
        resources=[_filled(each, ctx) for each in statement.resources],
        not_resources=[_filled(each, ctx) for each in statement.not_resources],
        conditions={
            operator: {key: _each_filled(value, ctx) for key, value in tests.items()}
            if _COMPARING_TEXTS.match(operator)
            else tests
            for operator, tests in statement.conditions.items()
        },
    )


def _each_filled(value: Any, ctx: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    return [_filled(str(each), ctx) for each in values]


def _filled(text: str, ctx: Any) -> str:
    values = [_value(key, ctx) for key in _VARIABLE.findall(text)]
    if None in values:
        return _NO_VALUE
    given = iter(values)
    return _VARIABLE.sub(lambda _: str(next(given)), text)


def _value(key: str, ctx: Any) -> str | None:
    if not re.fullmatch(r"\w+:[^,']+", key):
        raise ValueError(f"${{{key}}} in a policy: only variables without a default are simulated")
    value = iam_evaluator._resolve_condition_key(key, ctx)
    # Multivalued keys cannot be variables.
    return None if value is None or isinstance(value, list) else str(value)
