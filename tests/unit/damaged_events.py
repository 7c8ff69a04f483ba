"""Events that no AWS service sends, such as damaged ones or ones with the URL of another host."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

from simulation.account import REGION
from simulation.platform import SECRET

BUCKET = f"cloudformation-custom-resource-response-{REGION.replace('-', '')}"
HOST = f"{BUCKET}.s3.amazonaws.com"
SIGNED = f"X-Amz-Date=20261122T100000Z&X-Amz-Expires=7199&X-Amz-Signature={SECRET}"
ADDRESS = f"https://{HOST}/key?{SIGNED}"

# JSON strings can contain any character, and a lone surrogate as an escape.
_ANY_CHARACTER = st.characters(exclude_categories=())
_ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\n",
    "\x1b[31m",
    "\x7f",
    "\u202eegnahcxe",
    "\u200b",
    "\ud83d",
    "\udc00x",
    "\ufffe",
    "\U0010ffff",
    "😀",
    "😀" * 400,
    "é" * 300,
    "\x01" * 1024,
    '"' * 1024,
    "\\" * 600,
    "x" * 64,
    "x" * 1025,
    "x" * 5000,
    "x" * 300_000,
    "😀" * 30_000,
    "[" * 100_000,
    "9" * 4000,
    "9" * 5000,
    "-1",
    "1e999",
    "NaN",
    "Infinity",
    "null",
    "true",
    "undefined",
    "{}",
    "../..",
    "${AWS::Region}",
    "arn:aws:cloudformation:us-east-1:123456789012:stack/other/s",
)
_texts = st.sampled_from(_ODD_TEXTS) | st.text(_ANY_CHARACTER, max_size=80)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((10**3000, -(10**18), 0, 1.5, float("inf"), float("nan")))
    | _texts
)
_nested = st.builds(lambda depth: json.loads("[" * depth + "]" * depth), st.integers(2, 100))

anything = st.recursive(
    _scalars | _nested,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=8,
)
"""Any JSON."""


@st.composite
def damaged(draw: st.DrawFn, event: Any) -> Any:
    """Return the event with up to three places missing, added or replaced, at any depth."""
    event = copy.deepcopy(event)
    for _ in range(draw(st.integers(1, 3))):
        place, key = _place(draw, event)
        match draw(st.sampled_from(("drop", "text", "anything", "wrap", "extra", "emptied"))):
            case "drop":
                del place[key]
            case "text":
                place[key] = draw(_texts)
            case "anything":
                place[key] = draw(anything)
            case "wrap":
                place[key] = draw(st.sampled_from(([place[key]], {"Value": place[key]})))
            case "extra" if isinstance(place, dict):
                place[draw(_texts)] = draw(anything)
            case _:
                place[key] = type(place[key])()
        if not event:
            break
    return _as_json(event)


def _place(draw: st.DrawFn, event: Any) -> tuple[Any, Any]:
    """Return a place in the event: a dictionary or list in it, and a key of that."""
    place = event
    while True:
        key = draw(st.sampled_from(range(len(place)) if isinstance(place, list) else list(place)))
        inner = place[key]
        if not (isinstance(inner, dict | list) and inner and draw(st.booleans())):
            return place, key
        place = inner


def _as_json(event: Any) -> Any:
    """Return the event as Lambda's runtime parses it from JSON."""
    return json.loads(json.dumps(event))


# Response URLs

_other_regions = ("euwest1", "useast2", "cnnorth1", "usgovwest1", "useast-1", "us-east-1")
OTHER_HOSTS = (
    "example.com",
    "127.0.0.1",
    "[::1]",
    "[::1",
    "[not-an-address]",
    "169.254.169.254",
    "localhost",
    "",
    ".",
    f"{HOST}.example.com",
    f"{HOST}.cn",
    f"{HOST}.",
    f"x{HOST}",
    f"x.{HOST}",
    f"{HOST}:443",
    f"{HOST}:80",
    f"{HOST}:",
    f"{HOST}@example.com",
    f"{HOST}:x@example.com",
    f"user@{HOST}",
    f"user:secret@{HOST}",
    f"example.com\\@{HOST}",
    f"{HOST}\\@example.com",
    f"{HOST}\\.example.com",
    f"{HOST}#@example.com",
    f"{HOST}?@example.com",
    f"{HOST}%2f.example.com",
    f"{HOST}%00.example.com",
    f"{HOST}\x00",
    f"{HOST}\n",
    f"{HOST}\t.example.com",
    f"{HOST[:20]}\t{HOST[20:]}",
    f"{HOST[:20]}\n{HOST[20:]}",
    f"{HOST}\uff0eexample.com",
    f"{HOST}\u3002example.com",
    f"{HOST}\u2100",
    f"{HOST}\ud800",
    HOST.replace(".", "\u3002"),
    HOST.replace(".s3.", "\uff0es3."),
    HOST.replace("a", "\u0430"),
    HOST.upper(),
    HOST.replace("amazonaws", "AmazonAWS"),
    HOST.replace(".s3.", ".s3.dualstack."),
    HOST.replace(".s3.", ".s3-"),
    HOST.replace(".s3.", ".s3-website."),
    HOST.replace(".s3.", ".s3.eu-west-1."),
    HOST.replace(".s3.", "."),
    HOST.replace("amazonaws.com", "amazonaws.com.cn"),
    HOST.replace(".s3.", f".s3.{REGION}.").replace("amazonaws.com", "amazonaws.com.cn"),
    HOST.replace("amazonaws.com", "amazonaws.eu"),
    HOST.replace("amazonaws.com", "c2s.ic.gov"),
    HOST.replace("amazonaws.com", "amazonaws.community"),
    "s3.amazonaws.com",
    *(HOST.replace("useast1", each) for each in _other_regions),
    *(HOST.replace("useast1", "euwest1").replace(".s3.", f".s3{dot}eu-west-1.") for dot in ".-"),
)

foreign_addresses = st.one_of(
    st.builds(
        "{}{}{}{}?{}".format,
        st.sampled_from(("https://", "https:", "https:///", "https:\\\\", "\x00https://", "")),
        st.sampled_from(OTHER_HOSTS),
        st.sampled_from(("", "/", "/key", f"/{HOST}/key", "\\key")),
        st.sampled_from(("", f"@{HOST}/", f"#{HOST}/")),
        st.just(SIGNED),
    ),
    st.builds(
        "{}{}/key?{}".format,
        st.sampled_from(
            ("http://", "HTTPS://", "ftp://", "file://", "//", " https://", "https:\t//", "https:/")
        ),
        st.just(HOST),
        st.just(SIGNED),
    ),
    st.builds("https://{}/key?{}".format, st.text(_ANY_CHARACTER, max_size=40), st.just(SIGNED)),
    st.builds(
        "https://{}{}/?{}".format, st.just(HOST), st.text(min_size=1), st.just(SIGNED)
    ).filter(lambda url: url[len(f"https://{HOST}")] not in "/"),
    # The path is as odd as the host.
    st.builds("https://{}/{}?{}".format, st.just(HOST), _texts, st.just(SIGNED)).filter(
        lambda url: not (url.isascii() and url.isprintable() and " " not in url)
    ),
    _texts,
)
"""URLs that are not in CloudFormation's response bucket of this Region."""

_times = st.sampled_from(
    (
        "",
        "soon",
        "0",
        "-1",
        "1767600000",
        "-62135596800",
        "-99999999999",
        "253402300799",
        "253402307999",
        "99999999999999999999999",
        "9" * 3900,
        "NaN",
        "99991231T235959Z",
        "00010101T000000Z",
        "20260105T080000Z",
        "20260230T080000Z",
        "20260105T080000",
        "%00",
        "%ED%A0%80",
    )
)

dated_addresses = st.builds(
    "https://{}/key?{}{}&{}{}&X-Amz-Signature={}".format,
    st.sampled_from(
        (HOST, HOST.replace(".s3.", f".s3.{REGION}."), HOST.replace(".s3.", f".s3-{REGION}."))
    ),
    st.sampled_from(("X-Amz-Date=", "x=")),
    _times,
    st.sampled_from(("Expires=", "X-Amz-Expires=", "Expires[]=")),
    _times,
    st.just(SECRET),
)
"""URLs in the response bucket with odd signing times, or none."""
