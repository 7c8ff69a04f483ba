"""The project as a whole: its folder, its template, and the packages of its layer."""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.unit import stack_template

ROOT = Path(__file__).parents[1]


PLATFORM = stack_template.load(ROOT / "template.yaml")


LAMBDA_LOCK = (ROOT / "requirements" / "lambda.txt").read_text()


def locked() -> Mapping[str, str]:
    """Return the version of each package in the Lambda layer."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", LAMBDA_LOCK, re.MULTILINE))
