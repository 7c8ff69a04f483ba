"""Write the table of examples/README.md: SDK calls and their results on a notebook.

A run decides each cell of the table. First the call runs as people type it. If that fails, the
example's cell runs, with the arguments that the table names.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.sdk.notebook import ROOT, Cell, Judge, Notebook, Outcome

EXAMPLES = ROOT / "examples"
BEGIN, END = "<!-- written by make sdk-table -->\n", "<!-- end -->\n"


class Row(NamedTuple):
    """A task, the usual call for it with either SDK, and the arguments that it needs here.

    `cell` is the ID of a cell in the examples. Without one, the task is impossible. `typed` is
    empty if the usual call is that of the cell.
    """

    want: tuple[str, str]
    cell: str
    typed: tuple[str, str]
    needs: tuple[tuple[str, str], tuple[str, str]] = (("", ""), ("", ""))
    instead: tuple[str, str] = ("", "")


_V3_KEYS = "`base_job_name`, `volume_kms_key_id`, `kms_key_id`, `tags`"
_DEPLOY = "`model_name`, `endpoint_name`, `kms_key`"
_TRANSFORM = "`output_kms_key`, `volume_kms_key`, `base_transform_job_name`"
ROWS = [
    Row(
        ("Find an image, upload data", "查找镜像、上传数据"),
        "data",
        ('session.upload_data("batch.csv")', 'session.upload_data("batch.csv")'),
    ),
    Row(
        (
            "Train: `Estimator.fit`, `ModelTrainer.train`",
            "训练：`Estimator.fit`、`ModelTrainer.train`",
        ),
        "train",
        (
            "from sagemaker.estimator import Estimator\n"
            'Estimator(image, role, 1, "ml.m5.large").fit(data)',
            "from sagemaker.train import ModelTrainer\n"
            "from sagemaker.train.configs import InputData\n"
            "ModelTrainer(training_image=image).train(\n"
            '    [InputData(channel_name="train", data_source=data)])',
        ),
        (("`base_job_name`, `volume_kms_key`",) * 2, (_V3_KEYS,) * 2),
    ),
    Row(
        ("Train with your own code", "用自己的代码训练"),
        "script",
        (
            "from sagemaker.sklearn import SKLearn\n"
            'Path("typed.py").write_text("")\n'
            'SKLearn("typed.py", framework_version="1.2-1", role=role, instance_count=1,\n'
            '    instance_type="ml.m5.large").fit(data)',
            "from sagemaker.train.configs import SourceCode\n"
            'Path("typed").mkdir()\nPath("typed/train.py").write_text("")\n'
            "ModelTrainer(training_image=image, source_code=SourceCode(\n"
            '    source_dir="typed", entry_script="train.py")).train(channels)',
        ),
        (
            (
                "`base_job_name`, `volume_kms_key`; for its model also `model_kms_key`",
                "`base_job_name`、`volume_kms_key`；由它得到的模型还要 `model_kms_key`",
            ),
            (
                f"{_V3_KEYS}; for its model also the builder's `model_kms_key`",
                f"{_V3_KEYS}；由它得到的模型还要构建器的 `model_kms_key`",
            ),
        ),
    ),
    Row(
        ("Tune: `HyperparameterTuner`", "调优：`HyperparameterTuner`"),
        "tune",
        (
            "from sagemaker.tuner import HyperparameterTuner, IntegerParameter\n"
            'HyperparameterTuner(estimator, "a", {"b": IntegerParameter(1, 2)},\n'
            '    metric_definitions=[{"Name": "a", "Regex": "a"}]).fit(channels)',
            "from sagemaker.core.parameter import IntegerParameter\n"
            "from sagemaker.train.tuner import HyperparameterTuner\n"
            'HyperparameterTuner(trainer, "a", {"b": IntegerParameter(1, 2)},\n'
            '    metric_definitions=[{"Name": "a", "Regex": "a"}]).tune(channels)',
        ),
        (
            ("`base_tuning_job_name`",) * 2,
            (
                "`base_tuning_job_name`, `tags`, and the cell that adds the volume's key",
                "`base_tuning_job_name`、`tags`，以及添加卷密钥的那个单元格",
            ),
        ),
    ),
    Row(
        ("Deploy: `deploy`", "部署：`deploy`"),
        "deploy",
        (
            'estimator.deploy(1, "ml.m5.large")',
            "from sagemaker.serve import ModelBuilder\n"
            "typed = ModelBuilder(model=trainer, image_uri=image)\ntyped.build()\n"
            'typed.deploy(instance_type="ml.m5.large")',
        ),
        ((_DEPLOY,) * 2, (f"`role_arn`, {_DEPLOY}",) * 2),
    ),
    Row(
        ("Invoke: `predict`, `invoke`", "调用：`predict`、`invoke`"),
        "invoke",
        ('predictor.predict("1,2")', 'endpoint.invoke(body="1,2", content_type="text/csv")'),
    ),
    Row(
        ("Deploy again: `update_endpoint`", "再次部署：`update_endpoint`"),
        "again",
        (
            'predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large")',
            "builder.deploy(endpoint_name=name, initial_instance_count=2,\n"
            '    instance_type="ml.m5.large", update_endpoint=True)',
        ),
        (
            ("", ""),
            (
                "`EndpointConfig.create` and `endpoint.update`, because the SDK's "
                "`update_endpoint=True` fails with a TypeError",
                "`EndpointConfig.create` 和 `endpoint.update`，因为 SDK 的 `update_endpoint=True` "
                "会以 TypeError 失败",
            ),
        ),
    ),
    Row(
        ("Transform: `Transformer.transform`", "批量转换：`Transformer.transform`"),
        "transform",
        (
            'estimator.transformer(1, "ml.m5.large").transform(batch, content_type="text/csv")',
            "from sagemaker.core.transformer import Transformer\n"
            'Transformer(model_name=name, instance_count=1, instance_type="ml.m5.large")'
            '.transform(batch, content_type="text/csv")',
        ),
        ((f"`model_name`, {_TRANSFORM}",) * 2, (_TRANSFORM,) * 2),
    ),
    Row(
        ("Register and approve: `register`", "注册并批准：`register`"),
        "register",
        (
            'estimator.register(["text/csv"], ["text/csv"], ["ml.m5.large"], ["ml.m5.large"],\n'
            '    model_package_group_name="typed")',
            'builder.register(model_package_group_name="typed",\n'
            '    content_types=["text/csv"], response_types=["text/csv"])',
        ),
        (
            (
                "a group that you create first, and `create_model().register` instead of "
                "`estimator.register`",
                "事先建好的组，并用 `create_model().register` 代替 `estimator.register`",
            ),
            ("a group that you create first", "事先建好的组"),
        ),
    ),
    Row(("Delete", "删除"), "delete", ("", "")),
    Row(
        (
            "Processing jobs: `Processor.run`, Clarify, Model Monitor",
            "处理作业：`Processor.run`、Clarify、Model Monitor",
        ),
        "",
        (
            "from sagemaker.processing import Processor\n"
            'Processor(role, image, 1, "ml.m5.large").run()',
            "from sagemaker.core.processing import Processor\n"
            "Processor(role=project['RoleArn'], image_uri=image, instance_count=1,\n"
            "    instance_type='ml.m5.large').run()",
        ),
        instead=(
            "use a training job or a cell of the notebook",
            "改用训练作业，或在笔记本的单元格里做",
        ),
    ),
    Row(
        ("Experiments: `Run`", "实验：`Run`"),
        "",
        (
            "from sagemaker.experiments import Run\n"
            "with Run(experiment_name=name, run_name='one'): pass",
            "from sagemaker.core.experiments.run import Run\n"
            "with Run(experiment_name=name, run_name='one'): pass",
        ),
        instead=(
            "write your measurements into the project's bucket",
            "把测得的数值写入项目的存储桶",
        ),
    ),
    Row(
        ("Pipelines: `Pipeline.upsert`", "管道：`Pipeline.upsert`"),
        "",
        (
            "from sagemaker.workflow.pipeline import Pipeline\n"
            "Pipeline(name=name, steps=[], sagemaker_session=session).upsert(role)",
            "from sagemaker.mlops.workflow import Pipeline\n"
            "Pipeline(name=name, steps=[], sagemaker_session=session).upsert(project['RoleArn'])",
        ),
        instead=(
            "run the steps one after the other, in cells or in a script",
            "在单元格或脚本里依次运行各个步骤",
        ),
    ),
    Row(
        ("Feature Store: `FeatureGroup.create`", "特征存储：`FeatureGroup.create`"),
        "",
        (
            "from sagemaker.feature_store.feature_group import FeatureDefinition\n"
            "from sagemaker.feature_store.feature_group import FeatureGroup, FeatureTypeEnum\n"
            "FeatureGroup(name, session, [FeatureDefinition('id', FeatureTypeEnum.STRING)])"
            ".create(False, 'id', 't', role, True)",
            "from sagemaker.core.resources import FeatureGroup\n"
            "from sagemaker.core.shapes import FeatureDefinition\n"
            "FeatureGroup.create(name, 'id', 't', [FeatureDefinition(\n"
            "    feature_name='id', feature_type='String')], role_arn=project['RoleArn'])",
        ),
        instead=(
            "put files of features into the project's bucket",
            "把特征存成文件，放进项目的存储桶",
        ),
    ),
    Row(
        (
            "AWS's sample data, other buckets: `S3Downloader.download`",
            "AWS 的示例数据、其他存储桶：`S3Downloader.download`",
        ),
        "",
        (
            "from sagemaker.s3 import S3Downloader\n"
            "S3Downloader.download('s3://sagemaker-sample-files/datasets', '.')",
            "from sagemaker.core.s3 import S3Downloader\n"
            "S3Downloader.download('s3://sagemaker-sample-files/datasets', '.')",
        ),
        instead=(
            "upload the files in JupyterLab or put them into the code bucket",
            "在 JupyterLab 里上传文件，或把它们放进代码存储桶",
        ),
    ),
    Row(
        ("JumpStart's models", "JumpStart 的模型"),
        "",
        (
            "from sagemaker.jumpstart.model import JumpStartModel\n"
            "JumpStartModel(model_id='huggingface-text2text-flan-t5-base')",
            "ModelBuilder(model='huggingface-text2text-flan-t5-base',\n"
            "    role_arn=project['RoleArn']).build()",
        ),
        instead=(
            "ask your administrator to set `JumpStartModels`",
            "请管理员设置 `JumpStartModels`",
        ),
    ),
]


class Run(NamedTuple):
    """The outcomes of a row: of the usual call, and of the example's."""

    typed: Outcome
    example: Outcome | None


def code_cells(sdk: int) -> list[Cell]:
    """Return the unchanged code cells of an SDK's example."""
    cells = json.loads((EXAMPLES / f"sdk-{sdk}.ipynb").read_text())["cells"]
    return [
        Cell(each["id"], "".join(each["source"])) for each in cells if each["cell_type"] == "code"
    ]


def run(sdk: int, folder: Path) -> Mapping[str, Run]:
    """Run all rows with an SDK; return their outcomes by task."""
    typed = {
        row.cell: Cell(f"typed {row.cell}", row.typed[sdk - 2])
        for row in ROWS
        if row.cell and row.typed[sdk - 2]
    }
    cells: list[Cell] = []
    for cell in code_cells(sdk):
        # The usual call of a row comes after the cells that it needs, and deletion comes last.
        before = [typed[cell.name]] if cell.name in typed and cell.name != "data" else []
        cells += [*before, cell, *([typed["data"]] if cell.name == "data" else [])]
        if cell.name == "register":
            hopeless = [row for row in ROWS if not row.cell]
            cells += [Cell(f"typed {row.want[0]}", row.typed[sdk - 2]) for row in hopeless]
    outcomes = Notebook(folder, sdk).run(cells, Judge())
    return {
        row.want[0]: Run(
            outcomes.get(f"typed {row.cell or row.want[0]}") or outcomes[row.cell],
            outcomes.get(row.cell),
        )
        for row in ROWS
    }


def denied(outcome: Outcome) -> str:
    """Return the action that a failed call was denied, or the name of its error."""
    found = re.search(r"not authorized to perform: (\S+)", outcome.text)
    return found[1] if found else outcome.error


def verdict(row: Row, run: Run, sdk: int, language: int) -> str:
    """Return a cell of the table."""
    if not run.typed.error:
        return ("unchanged", "直接可用")[language]
    if run.example and not run.example.error:
        needs = row.needs[sdk - 2][language]
        if language:
            gap = " " if needs.startswith("`") else ""
            needs = gap + needs.replace("`, `", "`、`")
        return (f"with {needs}", f"需要{needs}")[language]
    action = denied(run.typed)
    return (f"**no**: IAM denies `{action}`", f"**不行**：`{action}` 被拒绝")[language]


def table(runs: Mapping[int, Mapping[str, Run]], language: int) -> str:
    """Return the table in English (0) or in Chinese (1), with a column for each SDK."""
    return "\n".join(_lines(runs, language)) + "\n"


def _lines(runs: Mapping[int, Mapping[str, Run]], language: int) -> Iterator[str]:
    want = ("You want to", "您要做的事")[language]
    yield f"| {' | '.join([want, *(f'SDK {sdk}' for sdk in runs)])} |"
    yield "|---" * (1 + len(runs)) + "|"
    for row in ROWS:
        cells = [verdict(row, runs[sdk][row.want[0]], sdk, language) for sdk in runs]
        want = row.want[language]
        if row.instead[language]:
            want += (f" (instead, {row.instead[0]})", f"（替代办法：{row.instead[1]}）")[language]
        yield f"| {' | '.join([want, *cells])} |"


def pages() -> dict[Path, int]:
    """Return the pages with the table, each with its language."""
    return {EXAMPLES / "README.md": 0, EXAMPLES / "README.zh-CN.md": 1}
