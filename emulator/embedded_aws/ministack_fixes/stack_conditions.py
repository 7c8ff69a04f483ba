"""Functions on strings in conditions, which MiniStack does not resolve.

Public templates split and join strings in conditions, and cfn-lint 1.58.0 accepts Fn::Join and
Fn::Split in Fn::Equals.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers, stacks

_TEXT = ("Fn::Join", "Fn::Split")

_ministack_evaluate = engine._evaluate_conditions


def install() -> None:
    """Install the wrapper wherever MiniStack evaluates conditions."""
    assert not {*_TEXT} & {*_constants(_ministack_evaluate.__code__)}, "MiniStack splits by itself"
    for module in (engine, changesets, handlers, stacks):
        assert module._evaluate_conditions is _ministack_evaluate, module.__name__
        module._evaluate_conditions = _evaluate


def _evaluate(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    mappings = template.get("Mappings") or {}

    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(each) for each in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1 and next(iter(node)) in _TEXT:
            return engine._resolve_refs(node, {}, parameters, {}, mappings, "", "")
        return {key: resolved(each) for key, each in node.items()}

    conditions = resolved(template.get("Conditions") or {})
    return _ministack_evaluate({**template, "Conditions": conditions}, parameters)


def _constants(code: Any) -> list[Any]:
    """Return the constants of a code object and of its nested ones."""
    inner = [each for each in code.co_consts if hasattr(each, "co_consts")]
    return [*code.co_consts, *(each for code in inner for each in _constants(code))]
