"""Adapts the sample events to a deployment: the same story, with its names and times."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

SAMPLE_ACCOUNT = "123456789012"


class AdaptedEvents:
    """The sample events, with a deployment's values in place of their own."""

    def __init__(self, events: Mapping[str, Any], account: str) -> None:
        self._events = events
        self._values = {SAMPLE_ACCOUNT: account}

    def learn(self, sample: Any, real: Any) -> None:
        """Pair the values of a sample with the real ones. Both must have the same shape."""
        self._values |= dict(_differences(sample, real))

    def __call__(self, event: str) -> Any:
        """Return an event with all real values learned so far."""
        text = json.dumps(self._events[event])
        # Longer values go first, because they may contain shorter ones.
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(_inside(value), _inside(self._values[value]))
        return json.loads(text)


def _inside(value: str) -> str:
    """Return a text as it is between the quotes of a JSON string."""
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
