"""The usual calls with either SageMaker SDK, with the files and the policies of a launch."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sdk import table
from tests.sdk.notebook import ROOT, Cell, Judge, Notebook

Runs = Mapping[str, table.Run]


@pytest.fixture(scope="module", params=[2, 3], ids=["sdk2", "sdk3"])
def sdk(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def runs(sdk: int, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return table.run(sdk, tmp_path_factory.mktemp(f"sdk{sdk}"))


@pytest.mark.parametrize("page", table.pages(), ids=lambda page: page.name)
def test_table_matches_the_results_of_a_run(page: Path, sdk: int, runs: Runs) -> None:
    _, found, rest = page.read_text().partition(table.BEGIN)
    assert found
    # The task, and the column of this SDK.
    cells = [line.split("|") for line in rest.partition(table.END)[0].splitlines()]
    said = "".join(f"{'|'.join((*each[:2], each[sdk], each[-1]))}\n" for each in cells)
    assert said == table.table({sdk: runs}, table.pages()[page]), "run `make sdk-table`"


@pytest.mark.parametrize("row", [row for row in table.ROWS if row.cell], ids=lambda row: row.cell)
def test_each_cell_of_the_examples_runs_unchanged(row: table.Row, runs: Runs) -> None:
    example = runs[row.want[0]].example

    assert example
    assert (example.error, example.text) == ("", "")


@pytest.mark.parametrize("name", ["launchers.md", "launchers.zh-CN.md"])
def test_the_launchers_page_has_every_error(name: str, runs: Runs) -> None:
    page = (ROOT / "docs" / name).read_text()
    for each in (run.typed for run in runs.values()):
        action = table.denied(each)
        # A TypeError is a fault of the SDK. The table has it.
        if each.error and action != "TypeError":
            assert (action if ":" in action else each.text[:45]) in page


def test_nothing_leaves_the_network(runs: Runs) -> None:
    """Telemetry would send the account's ID and the text of each exception."""
    for run in runs.values():
        assert [*run.typed.far, *(run.example.far if run.example else [])] == []


# Further calls after the example has trained. With an empty text the call works. Otherwise its
# error and the launchers' pages have the text.
_CODE = (
    "Path('own').mkdir()\n"
    "Path('own/inference.py').write_text('')\nPath('own/requirements.txt').write_text('a')\n"
)
MORE: dict[int, list[tuple[str, str]]] = {
    2: [
        (
            "spot = Estimator(image, role, 1, 'ml.m5.large', volume_kms_key=key,\n"
            "    base_job_name=name, use_spot_instances=True, max_run=60, max_wait=60,\n"
            "    checkpoint_s3_uri=f's3://{project[\"Bucket\"]}/checkpoints')\n"
            "spot.fit(data)\nEstimator.attach(spot.latest_training_job.name)",
            "",
        ),
        ("Estimator(image, role, 1, 'ml.g4dn.xlarge', base_job_name=name).fit(data)", ""),
        (
            "from sagemaker.model import Model\n"
            "Model(image, estimator.model_data, role, name=f'{name}-own').deploy(\n"
            "    1, 'ml.m5.large', endpoint_name=f'{name}-own', kms_key=key)",
            "",
        ),
        (
            f"{_CODE}from sagemaker.pytorch import PyTorchModel\n"
            "PyTorchModel(estimator.model_data, role, 'inference.py', source_dir='own',\n"
            "    framework_version='2.1', py_version='py310', name=f'{name}-torch',\n"
            "    model_kms_key=key).deploy(1, 'ml.m5.large', endpoint_name=name, kms_key=key)",
            "",
        ),
        (
            "packed = PyTorchModel(estimator.model_data, role, 'inference.py', source_dir='own',\n"
            "    framework_version='2.1', py_version='py310')\npacked.deploy(1, 'ml.m5.large')",
            "s3:PutObject",
        ),
        ("sagemaker.predictor.Predictor('gone').delete_endpoint()", "sagemaker:Describe"),
        ("sagemaker.Session(default_bucket='mine').upload_data('data.csv')", "(403) when calling"),
        (
            "from sagemaker.automl.automl import AutoML\n"
            "AutoML(role, 'label', base_job_name=prefix).fit(data)",
            "sagemaker:CreateAutoMLJob",
        ),
    ],
    3: [
        (
            "from sagemaker.train.configs import CheckpointConfig, StoppingCondition\n"
            "ModelTrainer(training_image=image, base_job_name=name, tags=tags,\n"
            "    compute=Compute(instance_type='ml.m5.large', volume_kms_key_id=key,\n"
            "        enable_managed_spot_training=True),\n"
            "    stopping_condition=StoppingCondition(max_wait_time_in_seconds=90000),\n"
            "    checkpoint_config=CheckpointConfig(s3_uri=f's3://{project[\"Bucket\"]}/points'),\n"
            "    output_data_config=OutputDataConfig(kms_key_id=key)).train(channels)",
            "",
        ),
        (
            "ModelTrainer(training_image=image, base_job_name=name, tags=tags,\n"
            "    compute=Compute(instance_type='ml.g4dn.xlarge'),\n"
            "    output_data_config=OutputDataConfig(kms_key_id=key)).train(channels)",
            "",
        ),
        (
            "from sagemaker.serve import ModelBuilder\n"
            "own = ModelBuilder(s3_model_data_url=f's3://{project[\"Bucket\"]}/model.tar.gz',\n"
            "    image_uri=image, role_arn=project['RoleArn'])\n"
            "own.build(model_name=name)\n"
            "own.deploy(endpoint_name=name, instance_type='ml.m5.large', kms_key=key)",
            "",
        ),
        (
            f"{_CODE}from sagemaker.train.configs import SourceCode\n"
            "ModelBuilder(s3_model_data_url=f's3://{project[\"Bucket\"]}/model.tar.gz',\n"
            "    source_code=SourceCode(source_dir='own', entry_script='inference.py'),\n"
            "    image_uri=image, role_arn=project['RoleArn']).build(model_name=name)",
            "s3:PutObject",
        ),
        (
            "from sagemaker.core.resources import Endpoint\nEndpoint.get('gone')",
            "sagemaker:Describe",
        ),
        ("Session(default_bucket='mine').upload_data('data.csv')", "(403) when calling"),
        ("import sagemaker\nsagemaker.Session()", "module 'sagemaker' has no attribute 'Session'"),
        ("import sagemaker.estimator", "sagemaker.estimator` was removed in the SageMaker"),
    ],
}


def test_further_calls_end_as_the_pages_say(sdk: int, tmp_path: Path) -> None:
    before = [each for each in table.code_cells(sdk) if each.name in ("setup", "data", "train")]
    more = [Cell(source, source) for source, _ in MORE[sdk]]
    outcomes = Notebook(tmp_path, sdk).run([*before, *more], Judge())
    pages = [
        (ROOT / "docs" / name).read_text().replace("`", "")
        for name in ("launchers.md", "launchers.zh-CN.md")
    ]

    for source, text in MORE[sdk]:
        assert bool(outcomes[source].error) == bool(text), (source, outcomes[source].text)
        assert text in outcomes[source].text
        assert all(text.replace("`", "") in page for page in pages)


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
def test_no_cell_waits_for_an_unreachable_network(
    sdk: int, silent: tuple[str, ...], tmp_path: Path
) -> None:
    outcomes = Notebook(tmp_path, sdk).run(
        FIRST_STEPS[sdk], Judge(), seconds=120, pauses=True, silent=silent
    )

    assert {name: each.text for name, each in outcomes.items() if each.error} == {}
    # Without the variables of the start script they would take minutes.
    assert {name: each.seconds for name, each in outcomes.items() if each.seconds > 45} == {}
