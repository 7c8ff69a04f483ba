"""What people type with either SageMaker SDK, on the files and the policies of a launch."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sdk import table
from tests.sdk.notebook import ROOT, Cell, Judge, Notebook

pytestmark = pytest.mark.xdist_group("sdk")  # each SDK runs once for all of it
SDKS = (2, 3)
Runs = Mapping[int, Mapping[str, table.Run]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return {sdk: table.run(sdk, tmp_path_factory.mktemp(f"sdk{sdk}")) for sdk in SDKS}


@pytest.mark.parametrize("page", table.pages(), ids=lambda page: page.name)
def test_the_table_says_what_a_run_finds(page: Path, runs: Runs) -> None:
    _, found, rest = page.read_text().partition(table.BEGIN)
    assert found
    assert rest.partition(table.END)[0] == table.table(runs, table.pages()[page]), "run `make sdk`"


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("row", [row for row in table.ROWS if row.cell], ids=lambda row: row.cell)
def test_each_cell_of_the_examples_runs_as_it_stands(sdk: int, row: table.Row, runs: Runs) -> None:
    example = runs[sdk][row.want[0]].example

    assert example
    assert (example.error, example.text) == ("", "")


@pytest.mark.parametrize("name", ["launchers.md", "launchers.zh-CN.md"])
def test_the_launchers_page_has_every_error(name: str, runs: Runs) -> None:
    page = (ROOT / "docs" / name).read_text()
    for each in (run.typed for found in runs.values() for run in found.values()):
        action = table.denied(each)
        # A TypeError is a fault of the SDK, which the table tells.
        if each.error and action != "TypeError":
            assert (action if ":" in action else each.text[:45]) in page


@pytest.mark.parametrize("sdk", SDKS)
def test_nothing_leaves_the_network(sdk: int, runs: Runs) -> None:
    """Telemetry would, with the account's id and the text of each exception."""
    for run in runs[sdk].values():
        assert [*run.typed.far, *(run.example.far if run.example else [])] == []


FIRST_STEPS = {
    2: [
        Cell("import", table.code_cells(2)[0].source.partition("session =")[0]),
        Cell("session", "session = sagemaker.Session()\nrole = sagemaker.get_execution_role()"),
        Cell(
            "made",
            "from sagemaker.estimator import Estimator\n"
            "image = sagemaker.image_uris.retrieve('xgboost', 'eu-west-1', version='1.7-1')\n"
            "estimator = Estimator(image, role, instance_count=1, instance_type='ml.m5.large',\n"
            "    volume_kms_key=key, base_job_name=name)",
        ),
        Cell("train", "estimator.fit(f's3://{project[\"Bucket\"]}/data', wait=False)"),
    ],
    3: [
        Cell("import", table.code_cells(3)[0].source.partition("session =")[0]),
        Cell(
            "session",
            "from sagemaker.train import ModelTrainer\n"
            "from sagemaker.train.configs import Compute, OutputDataConfig, SourceCode\n"
            "session = Session()\n",
        ),
        Cell(
            "made",
            "Path('code').mkdir()\nPath('code/train.py').write_text('')\n"
            "image = image_uris.retrieve('xgboost', 'eu-west-1', version='1.7-1')\n"
            "trainer = ModelTrainer(training_image=image, tags=tags, base_job_name=name,\n"
            "    compute=Compute(instance_type='ml.m5.large', volume_kms_key_id=key),\n"
            "    output_data_config=OutputDataConfig(kms_key_id=key),\n"
            "    source_code=SourceCode(source_dir='code', entry_script='train.py'))",
        ),
        Cell("train", "trainer.train(wait=False)"),
    ],
}


@pytest.mark.parametrize("silent", [(), ("sts",)], ids=["every-endpoint", "no-sts"])
@pytest.mark.parametrize("sdk", SDKS)
def test_nobody_waits_for_a_network_that_is_not_there(
    sdk: int, silent: tuple[str, ...], tmp_path: Path
) -> None:
    outcomes = Notebook(tmp_path, sdk).run(
        FIRST_STEPS[sdk], Judge(), seconds=120, pauses=True, silent=silent
    )

    assert {name: each.text for name, each in outcomes.items() if each.error} == {}
    # Without what the start script sets, minutes.
    assert {name: each.seconds for name, each in outcomes.items() if each.seconds > 45} == {}
