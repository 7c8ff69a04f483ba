"""Template constraints are added to a template's own rules and never replace them."""

from embedded_aws.service_catalog.rules import constrained, joined

FIRST, SECOND, OWN = ({"Assertions": [{"Assert": {"Fn::Equals": [n, n]}}]} for n in "abc")


def test_rules_of_the_same_name_all_apply() -> None:
    assert joined([{"Rule1": FIRST}, {"Rule1": SECOND, "Rule2": OWN}]) == {
        "Rule1": FIRST,
        "Rule12": SECOND,
        "Rule2": OWN,
    }
    assert joined([{"A": FIRST, "A2": SECOND}, {"A": OWN}])["A3"] == OWN


def test_a_constrained_template_keeps_its_own_rules_and_resources() -> None:
    template = {"Rules": {"A": OWN}, "Resources": {}}

    assert constrained(template, {"A": FIRST}) == {
        "Rules": {"A": OWN, "A2": FIRST},
        "Resources": {},
    }
    assert template == {"Rules": {"A": OWN}, "Resources": {}}


def test_a_template_without_constraints_is_unchanged() -> None:
    assert constrained({"Resources": {}}, {}) == {"Resources": {}}
