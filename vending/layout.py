"""The positions of a picture's states, and the paths of its transitions.

States stand in layers from top to bottom, each below its predecessors, except for transitions back.
Transitions back run along the left edge. Error transitions that skip layers run along the right.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Way = tuple[str, str]
"""From one state to another."""
Kind = Literal["next", "fault"]

WIDTH = 420.0
_MARGIN = 30.0  # on either side, for the ways that pass by
_HEIGHT = 42.0  # of a state
_GAP = 48.0  # between layers
_TOP = 34.0  # above the first layer, for the start
_PASSING = 10.0  # the width of a way in a layer that it passes through
_APART = 9.0  # ways that begin or end at one side of a state, at most
_LANE = 8.0  # ways along an edge


@dataclass(frozen=True)
class Place:
    """The middle and width of a state, or of a transition that passes through a layer."""

    x: float
    y: float
    width: float

    @property
    def top(self) -> float:
        """Its upper edge."""
        return self.y - _HEIGHT / 2

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + _HEIGHT / 2


@dataclass(frozen=True)
class _Passing:
    """A transition in a layer that it passes through."""

    way: Way
    rank: int


_Item = str | _Passing


@dataclass(frozen=True)
class Layout:
    """A picture's measures; the courses are SVG path data."""

    height: float
    places: Mapping[str, Place]
    courses: Mapping[Way, str]
    kinds: Mapping[Way, Kind]


def lay_out(definition: Mapping[str, Any], widths: Mapping[str, float]) -> Layout:
    """Return the layout of a state machine with these widths of its states.

    `definition` is in the Amazon States Language, without Parallel and Map.
    """
    start, kinds = definition["StartAt"], _ways(definition["States"])
    back = _leading_back(start, kinds)
    ranks = _ranks(start, kinds.keys() - back)
    aside = {
        (source, target)
        for (source, target), kind in kinds.items()
        if kind == "fault" and ranks[target] - ranks[source] > 1
    } - back
    down = [way for way in kinds if way not in back | aside]
    places = _places(_layers(start, ranks, down), widths)
    courses = {way: _course(way, down, places) for way in down}
    courses |= _along(sorted(back, key=lambda way: (-ranks[way[0]], way)), places, _LANE, -1)
    courses |= _along(sorted(aside), places, WIDTH - _LANE, 1)
    return Layout(
        height=max(place.bottom for place in places.values()) + _LANE,
        places={each: place for each, place in places.items() if isinstance(each, str)},
        courses=courses,
        kinds=kinds,
    )


def _ways(states: Mapping[str, Any]) -> dict[Way, Kind]:
    """Return each transition once, error transitions last."""
    kinds: dict[Way, Kind] = {}
    for name, state in states.items():
        for rule in (*state.get("Choices", ()), {"Next": state.get("Default")}, state):
            if rule.get("Next"):
                kinds[name, rule["Next"]] = "next"
    for name, state in states.items():
        for rule in state.get("Catch", ()):
            kinds.setdefault((name, rule["Next"]), "fault")
    return kinds


def _from(state: str, ways: Iterable[Way]) -> list[str]:
    return [target for source, target in ways if source == state]


def _leading_back(start: str, ways: Iterable[Way]) -> set[Way]:
    """Return the transitions that lead back to an earlier state."""
    back: set[Way] = set()
    seen: set[str] = set()

    def visit(state: str, above: tuple[str, ...]) -> None:
        seen.add(state)
        for target in _from(state, ways):
            if target in (*above, state):
                back.add((state, target))
            elif target not in seen:
                visit(target, (*above, state))

    visit(start, ())
    return back


def _ranks(start: str, ways: Iterable[Way]) -> dict[str, int]:
    """Return each state's layer, which is its longest distance from the start."""
    ranks: dict[str, int] = {}

    def reach(state: str, rank: int) -> None:
        if ranks.get(state, -1) < rank:
            ranks[state] = rank
            for target in _from(state, ways):
                reach(target, rank + 1)

    reach(start, 0)
    return ranks


def _layers(start: str, ranks: Mapping[str, int], ways: Sequence[Way]) -> list[list[_Item]]:
    """Return the layers, each in the order of the transitions from the layer above."""
    layers: list[list[_Item]] = [[start]]
    while (rank := len(layers)) <= max(ranks.values()):
        led = (
            (each.way,) if isinstance(each, _Passing) else [w for w in ways if w[0] == each]
            for each in layers[-1]
        )
        items = (
            way[1] if ranks[way[1]] == rank else _Passing(way, rank)
            for group in led
            for way in group
        )
        layers.append(list(dict.fromkeys(items)))
    return layers


def _places(layers: Sequence[Sequence[_Item]], widths: Mapping[str, float]) -> dict[_Item, Place]:
    """Return all positions, with each layer spread evenly over the width."""
    places: dict[_Item, Place] = {}
    for rank, layer in enumerate(layers):
        wide = [_PASSING if isinstance(each, _Passing) else widths[each] for each in layer]
        gap = (WIDTH - 2 * _MARGIN - sum(wide)) / len(layer)
        x = _MARGIN + gap / 2
        for each, width in zip(layer, wide, strict=True):
            y = _TOP + _HEIGHT / 2 + rank * (_HEIGHT + _GAP)
            places[each] = Place(x + width / 2, y, width)
            x += width + gap
    return places


def _course(way: Way, down: Sequence[Way], places: Mapping[_Item, Place]) -> str:
    """Return the course of a transition from layer to layer."""
    source, target = way
    leaving = sorted((w for w in down if w[0] == source), key=lambda w: _stops(w, places)[1].x)
    coming = sorted((w for w in down if w[1] == target), key=lambda w: _stops(w, places)[-2].x)
    begin, *passed, end = _stops(way, places)
    x, y = begin.x + _shift(leaving.index(way), len(leaving), begin.width), begin.bottom
    course = f"M{x:.1f} {y:.1f}"
    for stop in passed:
        course += f"{_bend(x, y, stop.x, stop.top)}V{stop.bottom:.1f}"
        x, y = stop.x, stop.bottom
    to_x = end.x + _shift(coming.index(way), len(coming), end.width)
    return course + _bend(x, y, to_x, end.top)


def _stops(way: Way, places: Mapping[_Item, Place]) -> list[Place]:
    """Return the start of a transition, the layers that it passes, and its end."""
    passed = [p for each, p in places.items() if isinstance(each, _Passing) and each.way == way]
    return [places[way[0]], *passed, places[way[1]]]


def _shift(number: int, count: int, width: float) -> float:
    """Return the distance of a transition's end from the middle of a side."""
    apart = min(_APART, (width - 16) / max(count - 1, 1))
    return (number - (count - 1) / 2) * apart


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return a curve that begins and ends upright."""
    half = (to_y - y) / 2
    return f"C{x:.1f} {y + half:.1f} {to_x:.1f} {to_y - half:.1f} {to_x:.1f} {to_y:.1f}"


def _along(
    ways: Sequence[Way], places: Mapping[_Item, Place], edge: float, side: Literal[-1, 1]
) -> Iterator[tuple[Way, str]]:
    """Yield the courses of transitions along an edge of the picture, the outermost first.

    `side`: -1 for the left edge, 1 for the right one.
    """
    for number, way in enumerate(ways):
        source, target = places[way[0]], places[way[1]]
        begin, end = source.x + side * source.width / 2, target.x + side * target.width / 2
        lane = edge - side * number * _LANE
        into = target.y + _shift(number, len(ways), _HEIGHT)
        turn = 10 if into > source.y else -10
        yield (
            way,
            f"M{begin:.1f} {source.y:.1f}H{lane - side * 10:.1f}"
            f"Q{lane:.1f} {source.y:.1f} {lane:.1f} {source.y + turn:.1f}"
            f"V{into - turn:.1f}Q{lane:.1f} {into:.1f} {lane - side * 10:.1f} {into:.1f}"
            f"H{end:.1f}",
        )
