"""Policy variables, as in the IAM user guide ("Variables and tags")."""

from typing import Any

import pytest
from ministack.core import iam_evaluator

from embedded_aws.ministack_fixes import policy_variables

BUCKET = "arn:aws:s3:::bucket"


def decided(statement: dict[str, Any], resource: str = f"{BUCKET}/red/a", **tags: str) -> str:
    """Return the decision of a statement on s3:GetObject by a principal with these tags."""
    context = iam_evaluator.EvalContext(
        principal_arn="arn:aws:iam::111122223333:role/r",
        principal_type="AssumedRole",
        principal_account="111122223333",
        action="s3:GetObject",
        resource_arn=resource,
        region="eu-west-1",
        service_context={"s3:existingobjecttag/team": "red", "s3:prefix": "red"},
        principal_keys={f"aws:principaltag/{key.lower()}": value for key, value in tags.items()},
    )
    document = {"Statement": {"Effect": "Allow", "Action": "s3:GetObject", **statement}}
    (parsed,) = iam_evaluator.parse_policy_document(document)
    return str(
        iam_evaluator.evaluate(context, [[policy_variables.filled(parsed, context)]]).decision
    )


@pytest.mark.parametrize("variable", ["${aws:PrincipalTag/Team}", "${aws:principaltag/team}"])
def test_a_resource_can_contain_a_principal_tag(variable: str) -> None:
    statement = {"Resource": f"{BUCKET}/{variable}/*"}
    assert decided(statement, Team="red") == "Allow"
    assert decided(statement, Team="blue") == "ImplicitDeny"


def test_a_resource_with_an_undefined_variable_matches_nothing() -> None:
    statement = {"Resource": f"{BUCKET}/${{aws:PrincipalTag/Team}}*"}
    assert decided(statement) == "ImplicitDeny"
    assert decided(statement, resource=f"{BUCKET}/${{aws:PrincipalTag/Team}}") == "ImplicitDeny"
    assert decided({"Resource": [*statement.values(), f"{BUCKET}/*"]}) == "Allow"
    assert decided({"NotResource": statement["Resource"]}) == "Allow"


@pytest.mark.parametrize(
    ("operator", "red", "blue", "none"),
    [
        ("StringEquals", "Allow", "ImplicitDeny", "ImplicitDeny"),
        ("StringLike", "Allow", "ImplicitDeny", "ImplicitDeny"),
        ("ForAllValues:StringEquals", "Allow", "ImplicitDeny", "ImplicitDeny"),
        ("StringNotEquals", "ImplicitDeny", "Allow", "Allow"),
        ("StringNotLike", "ImplicitDeny", "Allow", "Allow"),
    ],
)
def test_string_conditions_compare_with_the_value_of_a_variable(
    operator: str, red: str, blue: str, none: str
) -> None:
    statement = {
        "Resource": "*",
        "Condition": {operator: {"s3:ExistingObjectTag/Team": "${aws:PrincipalTag/Team}"}},
    }
    assert decided(statement, Team="red") == red
    assert decided(statement, Team="blue") == blue
    assert decided(statement) == none


def test_other_operators_do_not_replace_variables() -> None:
    condition = {"Null": {"s3:ExistingObjectTag/Team": "${aws:PrincipalTag/Team}"}}
    assert decided({"Resource": "*", "Condition": condition}, Team="true") == "Allow"


@pytest.mark.parametrize("variable", ["${*}", "${aws:PrincipalTag/Team, 'red'}"])
def test_an_unsupported_variable_is_rejected(variable: str) -> None:
    with pytest.raises(ValueError, match="without a default"):
        decided({"Resource": f"{BUCKET}/{variable}"}, Team="red")
