"""The stacks of the catalog: product, portfolio, and who may do what with them."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.catalog.rules import joined
from tests.unit.stack_template import Rendered, load

ROOT = Path(__file__).parents[2]
PLATFORM, CATALOG, PORTFOLIO = (
    load(ROOT / path)
    for path in ("template.yaml", "stacks/catalog.yaml", "stacks/portfolio.yaml")
)
VERSIONS = ROOT / "product" / "versions"
