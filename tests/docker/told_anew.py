"""The sample events told anew: the same story, with the names and times of a deployment."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

SAMPLE_ACCOUNT = "123456789012"


class ToldAnew:
    """What stands in a deployment for each of the sample events' values."""

    def __init__(self, events: Mapping[str, Any], account: str) -> None:
        self._events = events
        self._values = {SAMPLE_ACCOUNT: account}

    def learn(self, sample: Any, real: Any) -> None:
        """Hold what a sample says against what is so, value by value; their shape is the same."""
        self._values |= dict(_differences(sample, real))

    def __call__(self, event: str) -> Any:
        """Return an event with all that was learned."""
        text = json.dumps(self._events[event])
        # What holds another value goes first.
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(_inside(value), _inside(self._values[value]))
        return json.loads(text)


def _inside(value: str) -> str:
    """Return a text as JSON has it between its quotes."""
    return json.dumps(value)[1:-1]


def _differences(sample: Any, real: Any) -> Iterator[tuple[str, str]]:
    if isinstance(sample, dict):
        assert sample.keys() == real.keys()
        for name in sample:
            yield from _differences(sample[name], real[name])
    elif isinstance(sample, list):
        for ours, theirs in zip(sample, real, strict=True):
            yield from _differences(ours, theirs)
    elif sample != real:
        yield str(sample), str(real)
