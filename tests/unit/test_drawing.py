"""The picture of a state machine: its states, its transitions and the path taken."""

import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest

from simulation.state_machine import load
from vending.drawing import draw
from vending.layout import WIDTH, Layout, lay_out

LIFECYCLE = load()
PATH = ["Observe", "Decide", "Create", "Wait", "Observe", "Decide", "Respond"]
SVG = "{http://www.w3.org/2000/svg}"
# A way crosses two layers, a state leads to itself, and a fault goes around other states.
ANOTHER: dict[str, Any] = {
    "StartAt": "A",
    "States": {
        "A": {"Type": "Choice", "Choices": [{"Next": "B"}, {"Next": "E"}], "Default": "B"},
        "B": {"Type": "Task", "Next": "C", "Catch": [{"Next": "E"}]},
        "C": {"Type": "Task", "Next": "D", "Catch": [{"Next": "C"}]},
        "D": {"Type": "Pass", "Next": "E"},
        "E": {"Type": "Succeed"},
    },
}


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def laid_out(definition: dict[str, Any]) -> Layout:
    return lay_out(definition, dict.fromkeys(definition["States"], 60.0))


def ways(svg: str, kind: str) -> list[str]:
    return re.findall(rf'<path class="way {kind}" [^>]*d="([^"]*)"', svg)


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in parsed(svg).iter(f"{SVG}text")]


def test_every_state_is_in_the_picture_once() -> None:
    assert sorted(texts(draw(LIFECYCLE))) == sorted(LIFECYCLE["States"])


def test_every_transition_is_in_the_picture_once_and_faults_are_marked() -> None:
    layout = laid_out(LIFECYCLE)

    assert layout.kinds["Observe", "Decide"] == "next"
    assert layout.kinds["Decide", "Respond"] == "next"
    assert layout.kinds["Wait", "Observe"] == "next"  # a fault leads there as well
    assert layout.kinds["Observe", "Respond"] == "fault"
    assert layout.courses.keys() == layout.kinds.keys()
    svg = draw(LIFECYCLE)
    assert len(ways(svg, "next")) == 1 + list(layout.kinds.values()).count("next")
    assert len(ways(svg, "fault")) == list(layout.kinds.values()).count("fault")
    assert ways(svg, "went") == []


@pytest.mark.parametrize("definition", [LIFECYCLE, ANOTHER])
def test_states_stay_inside_the_picture_and_do_not_overlap(definition: dict[str, Any]) -> None:
    layout = laid_out(definition)

    for place in layout.places.values():
        assert place.width / 2 < place.x < WIDTH - place.width / 2
        assert place.top > 0
        assert place.bottom < layout.height
    for one, other in combinations(layout.places.values(), 2):
        assert one.y != other.y or abs(one.x - other.x) >= (one.width + other.width) / 2


@pytest.mark.parametrize("definition", [LIFECYCLE, ANOTHER])
def test_a_way_begins_at_its_state_and_ends_at_the_next(definition: dict[str, Any]) -> None:
    layout = laid_out(definition)

    for (source, target), course in layout.courses.items():
        begin, end = layout.places[source], layout.places[target]
        x, y = map(float, re.findall(r"^M(\S+) ([\d.]+)", course)[0])
        assert abs(x - begin.x) <= begin.width / 2 + 0.1
        assert begin.top <= y <= begin.bottom
        if course.endswith(f"{end.top:.1f}"):
            last = float(course.split()[-2])
        else:  # along an edge
            last = float(course.rpartition("H")[2])
        assert abs(last - end.x) <= end.width / 2 + 0.1


def test_a_transition_back_does_not_put_a_state_below_itself() -> None:
    layout = laid_out(LIFECYCLE)
    heights = {name: place.y for name, place in layout.places.items()}

    assert heights["Observe"] < heights["Decide"] < heights["Create"] < heights["Wait"]
    assert heights["Create"] == heights["Update"] == heights["Delete"]
    assert heights["Wait"] == heights["Respond"] < heights["Unanswered"]


def test_the_path_stands_out_with_its_numbers() -> None:
    svg = draw(LIFECYCLE, PATH)

    assert {"1 · 5", "2 · 6", "3", "4", "7"} <= set(texts(svg))
    assert len(ways(svg, "went")) == 1 + 5  # the start, and each way once
    desc = parsed(svg).find(f"{SVG}desc")
    assert desc is not None
    assert desc.text == f"The path taken: {', '.join(PATH)}."


def test_many_steps_are_shortened_to_the_first_and_the_last() -> None:
    svg = draw(LIFECYCLE, ["Observe", "Decide", "Wait"] * 9)

    assert "1 · 4 · 7 · 10 … 25" in texts(svg)
    assert "<title>Observe: steps 1, 4, 7, 10, 13, 16, 19, 22, 25</title>" in svg


def test_states_on_the_path_link_to_their_first_steps_when_asked() -> None:
    assert "<a " not in draw(LIFECYCLE, PATH)

    links = parsed(draw(LIFECYCLE, PATH, anchor="create-")).iter(f"{SVG}a")

    assert {each.get("href"): each.findtext(f"{SVG}g/{SVG}title") for each in links} == {
        "#create-1": "Observe: steps 1, 5",
        "#create-2": "Decide: steps 2, 6",
        "#create-3": "Create: step 3",
        "#create-4": "Wait: step 4",
        "#create-7": "Respond: step 7",
    }


def test_pictures_of_one_page_share_no_id() -> None:
    ids = [
        each.get("id")
        for name in ("one", "two")
        for each in parsed(draw(LIFECYCLE, name=name)).iter()
        if each.get("id")
    ]

    assert len(ids) == len(set(ids)) == 10


def test_a_path_through_a_removed_state_is_drawn_without_that_state() -> None:
    svg = draw(LIFECYCLE, ["Observe", "Ponder", "Decide"])

    assert {"1", "3"} <= set(texts(svg))
