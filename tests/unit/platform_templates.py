"""The platform's templates, the catalog's and the portfolio's."""

from tests.project import ROOT
from tests.unit.stack_template import load

VERSIONS = sorted((ROOT / "product" / "versions").glob("*.yaml"), key=lambda path: int(path.stem))


PLATFORM, CATALOG, LIFECYCLE, PORTFOLIO = (
    load(ROOT / path)
    for path in (
        "template.yaml",
        *(f"stacks/{name}.yaml" for name in ("catalog", "lifecycle", "portfolio")),
    )
)
