"""The functions' environment variables, as the templates in stacks/ set them."""

import os

from notebook_vending import digits


def text(name: str) -> str:
    """Return a variable's value; raises LookupError, with what to do, when it is not set."""
    value = os.environ.get(name)
    if not value:
        raise LookupError(f"{name} is not set: add it to the function's Environment")
    return value


def optional(name: str) -> str:
    """Return a variable's value, '' if it is not set."""
    return os.environ.get(name, "")


def number(name: str) -> int:
    """Return a variable's value as a whole number; raises LookupError or ValueError, naming it."""
    try:
        return digits.number(text(name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
