"""IAM's view of a request: the loopback endpoint stands for AWS's own, reached over TLS."""

from typing import Any

from ministack.core import iam_evaluator

_OVER_TLS = {"aws:securetransport": "true", "s3:tlsversion": "1.3"}


def install() -> None:
    """Give every request the condition keys of a request over TLS."""
    resolve = iam_evaluator._resolve_condition_key
    assert resolve.__code__.co_varnames[:2] == ("key", "ctx"), "MiniStack resolves keys differently"

    def resolve_over_tls(key: str, ctx: Any) -> Any:
        return _OVER_TLS.get(key.lower()) or resolve(key, ctx)

    iam_evaluator._resolve_condition_key = resolve_over_tls
