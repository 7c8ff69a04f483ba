"""The report of a run, as HTML and as JSON: without account IDs, addresses and secrets."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from demo.deploy import ROOT
from rehearsal.account import Account, masked
from rehearsal.cost import Line, total
from rehearsal.plan import Plan
from rehearsal.rehearse import Outcome

PAGE = ROOT / "docs" / "local-aws.md"
_ROW = re.compile(r"^- `([a-z-]+)`: (.+)$", re.M)


def rows_of_the_page() -> dict[str, str]:
    """Return the text of each named row of docs/local-aws.md, by its name."""
    return dict(_ROW.findall(PAGE.read_text().partition("## What it cannot show")[2]))


def document(
    plan: Plan,
    account: Account,
    outcome: Outcome,
    cost: list[Line],
    begun: datetime,
    seconds: float,
) -> dict[str, Any]:
    """Return the report as data that JSON can hold, masked throughout."""
    says = rows_of_the_page()
    found = {
        "run": plan.run_id,
        "begun": begun.isoformat(timespec="seconds"),
        "seconds": round(seconds),
        "region": account.region,
        "partition": account.partition,
        "parameters": dict(plan.given),
        "ending": outcome.ending,
        "step": outcome.step,
        "why": outcome.why,
        "steps": [{**asdict(each), "seconds": round(each.seconds, 1)} for each in outcome.steps],
        "rows": [
            {"row": row, "page": says.get(row, ""), **_plain(asdict(each))}
            for row, each in outcome.rows.items()
        ],
        "left": None if outcome.left is None else [asdict(each) for each in outcome.left],
        "troubles": outcome.troubles,
        "cost": {
            "usd_at_most": total(cost),
            "lines": [{"what": each.what, "usd": round(each.usd, 4)} for each in cost],
        },
    }
    return {name: _masked(value) for name, value in found.items()}


def _plain(data: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in data.items()}


def _masked(value: Any) -> Any:
    match value:
        case str():
            return masked(value)
        case list():
            return [_masked(each) for each in value]
        case dict():
            return {name: _masked(each) for name, each in value.items()}
        case _:
            return value


def write(directory: Path, data: Mapping[str, Any]) -> Path:
    """Write both files; return the HTML file."""
    (directory / "report.json").write_text(json.dumps(data, indent=2) + "\n")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = directory / "report.html"
    page.write_text(environment.get_template("report.html.j2").render(**data))
    return page
