"""A state machine as a self-contained SVG picture, which can show an execution's path."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from vending.layout import WIDTH, Layout, Place, lay_out

_LETTER, _DIGIT = 7.9, 6.2  # pixels: about the widths of a name's and a number's characters
_NUMBERS = 5  # shown at most per state

# Lines are legible on a light page and on a dark one, whichever the reader's system prefers: the
# theme of a page, such as GitHub's, does not reach into a picture.
_STYLE = """
.states{--line:#6b7685;--fault:#8b95a3;--box:#fff;--edge:#8b95a3;--text:#1f2937;--still:#5d6775;
--went:#0b62b0;--wash:#e6f1fc;font:600 13px system-ui,-apple-system,"Segoe UI",sans-serif}
@media(prefers-color-scheme:dark){.states{--line:#8b95a3;--fault:#6b7685;--box:#1a212d;
--edge:#6b7685;--text:#e6e9ee;--still:#a0aab8;--went:#74b9ff;--wash:#14304c}}
.states .way{fill:none;stroke:var(--line);stroke-width:1.4}
.states .fault{stroke:var(--fault);stroke-dasharray:4 3}
.states .went{stroke:var(--went);stroke-width:2.5}
.states .tip-next{fill:var(--line)}.states .tip-fault{fill:var(--fault)}
.states .tip-went{fill:var(--went)}
.states .box{fill:var(--box);stroke:var(--edge);stroke-width:1.3}
.states text{fill:var(--still);text-anchor:middle}
.states .on text{fill:var(--text)}.states .on .numbers{font-size:11px;fill:var(--went)}
.states .on .box{fill:var(--wash);stroke:var(--went);stroke-width:2}
.states a:hover .box{stroke-width:3.5}
.states a:focus{outline:none}.states a:focus-visible .box{stroke-width:5}
"""


def draw(
    definition: Mapping[str, Any],
    path: Sequence[str] = (),
    name: str = "lifecycle",
    anchor: str = "",
) -> str:
    """Return a picture of a state machine, as an `svg` element.

    Args:
        definition: in the Amazon States Language, without Parallel and Map.
        path: the states that an execution entered, in order. The picture highlights them with
            their step numbers, from 1, and the transitions between them.
        name: the prefix of the IDs in the picture, unique on its page.
        anchor: if given, a state on the path is a link to `#<anchor><number of its first step>`.

    """
    states = definition["States"]
    steps = {each: [n for n, state in enumerate(path, 1) if state == each] for each in states}
    layout = lay_out(definition, {each: _width(each, steps[each]) for each in states})
    title = f"The path taken: {', '.join(path)}." if path else "Its states and their transitions."
    drawn = [
        *_lines(layout, set(pairwise(path)), name),
        *_beginning(layout.places[definition["StartAt"]], "went" if path else "next", name),
        *(_state(each, states[each], layout.places[each], steps[each], anchor) for each in states),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="states" '
        f'viewBox="0 0 {WIDTH:g} {layout.height:g}" role="{"group" if anchor else "img"}" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">The state machine of the lifecycle</title>'
        f'<desc id="{name}-desc">{escape(title)}</desc><style>{_STYLE}</style>'
        f"<defs>{''.join(_tips(name))}</defs>{''.join(drawn)}</svg>"
    )


def _tips(name: str) -> Iterator[str]:
    """Yield the tips of the arrows."""
    for kind in ("next", "fault", "went"):
        yield (
            f'<marker id="{name}-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            f'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
            f'<path class="tip-{kind}" d="M0 .5L8 4L0 7.5z"/></marker>'
        )


def _lines(layout: Layout, went: set[tuple[str, str]], name: str) -> Iterator[str]:
    """Yield the transitions, with those taken last, on top."""
    kinds = {**layout.kinds, **dict.fromkeys(went, "went")}
    for way in sorted(
        layout.courses, key=lambda each: ["fault", "next", "went"].index(kinds[each])
    ):
        yield _line(layout.courses[way], kinds[way], name)


def _line(course: str, kind: str, name: str) -> str:
    return f'<path class="way {kind}" marker-end="url(#{name}-{kind})" d="{course}"/>'


def _beginning(first: Place, kind: str, name: str) -> Iterator[str]:
    yield f'<circle class="tip-{kind}" cx="{first.x:g}" cy="7" r="5"/>'
    yield _line(f"M{first.x:g} 12V{first.top:g}", kind, name)


def _width(state: str, steps: Sequence[int]) -> float:
    return max(len(state) * _LETTER, len(_numbers(steps)) * _DIGIT) + 20


def _numbers(steps: Sequence[int]) -> str:
    """Return the numbers of a state's steps; of many, only the first ones and the last."""
    if len(steps) > _NUMBERS:
        return f"{' · '.join(map(str, steps[: _NUMBERS - 1]))} … {steps[-1]}"
    return " · ".join(map(str, steps))


def _state(
    name: str, state: Mapping[str, Any], place: Place, steps: Sequence[int], anchor: str
) -> str:
    text = f'<text x="{place.x:.1f}" y="{place.y + (-2 if steps else 4.5):g}">{escape(name)}</text>'
    if not steps:
        return f"<g>{_box(state, place)}{text}</g>"
    text += f'<text class="numbers" x="{place.x:.1f}" y="{place.y + 13:g}">{_numbers(steps)}</text>'
    title = f"{name}: {'steps' if len(steps) > 1 else 'step'} {', '.join(map(str, steps))}"
    group = f'<g class="on"><title>{escape(title)}</title>{_box(state, place)}{text}</g>'
    if not anchor:
        return group
    return f'<a href="#{anchor}{steps[0]}">{group}</a>'


def _box(state: Mapping[str, Any], place: Place) -> str:
    """Return a state's outline: a choice has points, a wait is round."""
    left, right = place.x - place.width / 2, place.x + place.width / 2
    if state["Type"] == "Choice":
        return (
            f'<path class="box" d="M{left - 10:.1f} {place.y:g}L{left:.1f} {place.top:g}'
            f'H{right:.1f}L{right + 10:.1f} {place.y:g}L{right:.1f} {place.bottom:g}H{left:.1f}z"/>'
        )
    waits = state["Type"] == "Wait" or ".waitForTaskToken" in state.get("Resource", "")
    return (
        f'<rect class="box" x="{left:.1f}" y="{place.top:g}" width="{place.width:.1f}" '
        f'height="{place.bottom - place.top:g}" rx="{21 if waits else 8}"/>'
    )
