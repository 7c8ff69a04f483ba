"""Template constraints: rules that a portfolio adds to the template of its product.

"Rules are added to the CloudFormation template used by the product" (Service Catalog administrator
guide, "Adding constraints"), and CloudFormation evaluates them with the template's own before it
creates or updates the stack ("Template constraint rules").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Rules = Mapping[str, Any]


def joined(constraints: Iterable[Rules]) -> dict[str, Any]:
    """Return the rules of all template constraints that hold for a launch."""
    rules: dict[str, Any] = {}
    for constraint in constraints:
        for name, rule in constraint.items():
            rules[_free(name, rules)] = rule
    return rules


def constrained(template: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """Return the template with the rules added to its own, of which none is replaced."""
    if not rules:
        return template
    return {**template, "Rules": joined([template.get("Rules", {}), rules])}


def _free(name: str, taken: Rules) -> str:
    number = 2
    free = name
    while free in taken:
        free = f"{name}{number}"
        number += 1
    return free
