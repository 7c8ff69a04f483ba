"""Numbers as people give them: in a template, in a function's environment, in an address.

`int` takes more than digits: "20 ", "2_0", "+20" and the digits of other scripts. Others, who read
the same text, take it for something else or refuse it.
"""

import re

_DIGITS = re.compile(r"[0-9]+")


def number(given: object) -> int:
    """Return the whole number that digits alone give; raises ValueError."""
    if isinstance(given, str) and _DIGITS.fullmatch(given):
        return int(given)
    raise ValueError(f"{given!r:.80} is not a whole number: give digits only")
