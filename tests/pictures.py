"""Reads the text of a picture on the pages."""

from pathlib import Path
from xml.etree import ElementTree


def text_of(picture: Path) -> str:
    """Return the text of an SVG from top to bottom, without spaces, because its lines wrap."""
    root = ElementTree.parse(picture).getroot()  # noqa: S314 - our own file
    words = ("".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text"))
    return "".join("".join(words).split())
