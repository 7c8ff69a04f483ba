"""The execution role can do its work, within its VPC and its project, and nothing else.

The example notebook makes its calls, a stand-in for AWS answers them, and the policies of a launch
are evaluated for each call.
"""

import copy
import fnmatch
import io
import json
import re
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import boto3
import botocore.session
import pytest

from embedded_aws.runtime.authorization_reference import resource_kinds
from permissions_proof.iam_requests import CONDITION_KEYS, Call, Question, condition_keys
from tests.unit.authorization import Role
from tests.unit.product_launch import ACCOUNT, BUCKET, PLAIN, WITH_CODE, Launch

EXAMPLE = Path(__file__).parents[2] / "examples" / "train-and-deploy.ipynb"
SAGEMAKER = botocore.session.get_session().get_service_model("sagemaker")

PREFIX = "1f2e3d4c"
PROJECT = "QuickStart007"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/k1"
OTHER_KEY = "arn:aws:kms:eu-west-1:111122223333:key/k2"
IMAGE = "777788889999.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"
VPC = {"Subnets": ["subnet-2"], "SecurityGroupIds": ["sg-1"]}
TAGS = [{"Key": "ProjectID", "Value": PROJECT}]
OTHERS_TAGS = [{"Key": "ProjectID", "Value": "Moon"}]


# SageMaker may send the keys of volumes and outputs under either of two names.
OLD_KEYS = pytest.mark.parametrize("old_keys", [False, True], ids=["new-keys", "old-keys"])
SIBLING = Launch(stack_name="SC-111122223333-pp-def", uuid="9a8b7c6d-0000-4000-8000-123456789abc")


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:{kind}/{name}"


ROLE = Role(
    PLAIN,
    {
        arn("endpoint", f"{PREFIX}-a"): {"ProjectID": PROJECT},
        arn("endpoint", "9a8b7c6d-sibling"): {"ProjectID": PROJECT},
        arn("endpoint-config", f"{PREFIX}-a"): {"ProjectID": PROJECT},
        arn("training-job", f"{PREFIX}-a"): {"ProjectID": PROJECT},
        arn("hyper-parameter-tuning-job", f"{PREFIX}-a"): {"ProjectID": PROJECT},
        arn("transform-job", f"{PREFIX}-a"): {"ProjectID": PROJECT},
        arn("model", f"{PREFIX}-a"): {"ProjectID": PROJECT},
        arn("model-package-group", f"{PREFIX}-a"): {"ProjectID": PROJECT},
        arn("endpoint", "moon"): {"ProjectID": "Moon"},
        arn("endpoint-config", "moon"): {"ProjectID": "Moon"},
        arn("training-job", "moon"): {"ProjectID": "Moon"},
        arn("model", "moon"): {"ProjectID": "Moon"},
        arn("model-package-group", "moon"): {"ProjectID": "Moon"},
        arn("notebook-instance", "my-notebook"): {
            "ProjectID": PROJECT,
            "notebook-vending:stack-id": PLAIN.stack_id,
        },
        arn("notebook-instance", "sibling"): {
            "ProjectID": PROJECT,
            "notebook-vending:stack-id": SIBLING.stack_id,
        },
        f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/ours": {"ProjectID": PROJECT},
        f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/moon": {"ProjectID": "Moon"},
    },
)

TRAINING: dict[str, Any] = {
    "TrainingJobName": f"{PREFIX}-a",
    "RoleArn": ROLE.arn,
    "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/in"}}}
    ],
    "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out", "KmsKeyId": KEY},
    "ResourceConfig": {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 5,
        "VolumeKmsKeyId": KEY,
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "VpcConfig": VPC,
    "Tags": TAGS,
}
TUNING: dict[str, Any] = {
    "HyperParameterTuningJobName": f"{PREFIX}-a",
    "TrainingJobDefinition": {
        name: value for name, value in TRAINING.items() if name not in ("TrainingJobName", "Tags")
    },
    "Tags": TAGS,
}
MODEL: dict[str, Any] = {
    "ModelName": f"{PREFIX}-a",
    "ExecutionRoleArn": ROLE.arn,
    "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"},
    "VpcConfig": VPC,
    "Tags": TAGS,
}
TRANSFORM: dict[str, Any] = {
    "TransformJobName": f"{PREFIX}-a",
    "ModelName": f"{PREFIX}-a",
    "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/in"}}},
    "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out", "KmsKeyId": KEY},
    "TransformResources": {"InstanceType": "ml.m5.large", "VolumeKmsKeyId": KEY},
    "Tags": TAGS,
}
ENDPOINT_CONFIG: dict[str, Any] = {
    "EndpointConfigName": f"{PREFIX}-a",
    "ProductionVariants": [
        {"VariantName": "all", "ModelName": f"{PREFIX}-a", "InstanceType": "ml.m5.large"}
    ],
    "KmsKeyId": KEY,
    "Tags": TAGS,
}
ENDPOINT: dict[str, Any] = {
    "EndpointName": f"{PREFIX}-a",
    "EndpointConfigName": f"{PREFIX}-a",
    "Tags": TAGS,
}
CREATIONS = {
    "CreateTrainingJob": TRAINING,
    "CreateHyperParameterTuningJob": TUNING,
    "CreateModel": MODEL,
    "CreateTransformJob": TRANSFORM,
    "CreateEndpointConfig": ENDPOINT_CONFIG,
    "CreateEndpoint": ENDPOINT,
    "CreateModelPackageGroup": {"ModelPackageGroupName": f"{PREFIX}-a", "Tags": TAGS},
    "CreateModelPackage": {"ModelPackageGroupName": f"{PREFIX}-a"},
}


def changed(params: dict[str, Any], *path: str, to: Any = None) -> dict[str, Any]:
    """Return the parameters with one of them, deep inside, changed or left out."""
    copied = copy.deepcopy(params)
    inner: Any = copied
    for step in path[:-1]:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner.pop(path[-1]) if to is None else inner.__setitem__(path[-1], to)
    return copied


def sagemaker(operation: str, **params: Any) -> Call:
    return Call("sagemaker", operation, params)


def refused(call: Call, role: Role = ROLE) -> set[str]:
    """Return the actions that a call needs and is denied."""
    return {question.action for question in role.denied(call)}


# The example


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Replace AWS with a stand-in that answers and records all calls of new clients."""
    calls: list[Call] = []
    session = botocore.session.Session()
    session.set_credentials("AKIAEXAMPLE", "secret")

    def record(**event: Any) -> None:
        model = event["model"]
        calls.append(Call(model.service_model.service_name, model.name, copy.copy(event["params"])))

    def answer(**_: Any) -> tuple[Any, dict[str, Any]]:
        return SimpleNamespace(status_code=200), _answer(calls[-1])

    _put_the_sdk(monkeypatch, "sagemaker")
    session.register("before-parameter-build", record)
    # botocore emits it after it has validated the parameters. The stubs declare only handlers that
    # return nothing.
    session.register("before-call", answer)  # type: ignore[arg-type]
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=session))
    return calls


def _put_the_sdk(monkeypatch: pytest.MonkeyPatch, module_of_images: str) -> None:
    """Replace the SageMaker SDK, which every notebook has, with a stand-in."""
    for name in ("sagemaker", "sagemaker.core"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    images = SimpleNamespace(
        retrieve=lambda framework, region, version: (
            f"777788889999.dkr.ecr.{region}.amazonaws.com/sagemaker-{framework}:{version}"
        )
    )
    monkeypatch.setattr(sys.modules[module_of_images], "image_uris", images, raising=False)


def _answer(call: Call) -> dict[str, Any]:
    match call.operation:
        case "DescribeTrainingJob":
            name = call.params["TrainingJobName"]
            file = f"s3://{BUCKET}/{name}/output/{name}/output/model.tar.gz"
            return {
                "TrainingJobStatus": "Completed",
                "ModelArtifacts": {"S3ModelArtifacts": file},
            }
        case "GetObject":
            return {"Body": io.BytesIO(_model_file())}
        case "DescribeEndpoint":
            return {"EndpointStatus": "InService"}
        case "InvokeEndpoint":
            return {"Body": io.BytesIO(b"0.01\n0.99\n")}
    return {}


def _model_file() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("xgboost-model"))
    return buffer.getvalue()


def code_cells() -> list[str]:
    cells = json.loads(EXAMPLE.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_example(folder: Path) -> dict[str, Any]:
    """Run the example's cells as a kernel would, on a notebook of a plain launch."""
    written = re.search(
        r"> /etc/notebook-vending.json <<'END'\n(.*?)\nEND\n", PLAIN.script("OnStart"), re.S
    )
    assert written
    project = folder / "notebook-vending.json"
    project.write_text(written[1].replace("@VPC@", json.dumps(VPC)))
    names: dict[str, Any] = {}
    for cell in code_cells():
        source = cell.replace("/etc/notebook-vending.json", str(project))
        exec(compile(source, EXAMPLE, "exec"), names)  # noqa: S102 - the project's own example
    return names


def test_the_role_may_make_every_call_of_the_example(recorded: list[Call], tmp_path: Path) -> None:
    run_example(tmp_path)

    made = {call.params["Tags"][0]["Value"] for call in recorded if "Tags" in call.params}
    assert made == {PROJECT}
    name = next(c.params["TrainingJobName"] for c in recorded if "TrainingJobName" in c.params)
    kinds = ("training-job", "model", "endpoint-config", "endpoint")
    role = Role(PLAIN, {arn(kind, name): {"ProjectID": PROJECT} for kind in kinds})
    assert [denied for call in recorded for denied in role.denied(call)] == []


def test_the_example_loads_a_model_file_trains_deploys_invokes_and_cleans_up(
    recorded: list[Call], tmp_path: Path
) -> None:
    names = run_example(tmp_path)

    assert names["image"] == IMAGE
    assert names["members"] == ["xgboost-model"]
    assert [call.operation for call in recorded] == [
        "PutObject",
        *("CreateTrainingJob", "DescribeTrainingJob", "DescribeTrainingJob", "GetObject"),
        *("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "DescribeEndpoint"),
        "InvokeEndpoint",
        *("DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"),
    ]
    for call in recorded:
        if call.operation in ("CreateTrainingJob", "CreateModel"):
            assert call.params["VpcConfig"] == VPC


def test_the_example_runs_with_version_3_of_the_sdk_too(
    recorded: list[Call], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_the_sdk(monkeypatch, "sagemaker.core")

    assert run_example(tmp_path)["image"] == IMAGE
    assert recorded


@pytest.mark.parametrize("path", sorted(EXAMPLE.parent.glob("*.ipynb")), ids=lambda path: path.stem)
def test_an_example_needs_nothing_to_be_filled_in_and_keeps_no_output(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    source = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    assert not re.search(r"\b\d{12}\b|arn:aws|subnet-|\bsg-|[a-z]{2}-[a-z]+-\d", source)


# Allowed


@OLD_KEYS
@pytest.mark.parametrize("operation", CREATIONS)
def test_the_role_may_create_everything_that_a_project_needs(
    operation: str, old_keys: bool
) -> None:
    role = replace(ROLE, old_keys=old_keys)
    assert refused(sagemaker(operation, **CREATIONS[operation]), role) == set()


KINDS = {
    "Describe": [
        *("TrainingJob", "HyperParameterTuningJob", "TransformJob", "Model"),
        *("ModelPackageGroup", "EndpointConfig", "Endpoint"),
    ],
    "Stop": ["TrainingJob", "HyperParameterTuningJob", "TransformJob"],
    "Delete": ["Model", "ModelPackageGroup", "EndpointConfig", "Endpoint"],
}


@pytest.mark.parametrize(
    "call",
    [
        *(
            sagemaker(f"{verb}{kind}", **{f"{kind}Name": f"{PREFIX}-a"})
            for verb, kinds in KINDS.items()
            for kind in kinds
        ),
        sagemaker("UpdateEndpoint", EndpointName=f"{PREFIX}-a", EndpointConfigName=f"{PREFIX}-a"),
        sagemaker("ListTags", ResourceArn=arn("endpoint", f"{PREFIX}-a")),
        sagemaker("UpdateEndpointWeightsAndCapacities", EndpointName=f"{PREFIX}-a"),
        *(sagemaker(f"List{kind}s") for kind in KINDS["Describe"]),
        sagemaker(
            "ListTrainingJobsForHyperParameterTuningJob",
            HyperParameterTuningJobName=f"{PREFIX}-a",
        ),
        sagemaker("ListModelPackages", ModelPackageGroupName=f"{PREFIX}-a"),
        sagemaker("DescribeModelPackage", ModelPackageName=f"{PREFIX}-a/1"),
        sagemaker("DeleteModelPackage", ModelPackageName=f"{PREFIX}-a/1"),
        sagemaker("UpdateModelPackage", ModelPackageArn=arn("model-package", f"{PREFIX}-a/1")),
        Call("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": f"{PREFIX}-a"}),
        Call("sagemaker-runtime", "InvokeEndpointAsync", {"EndpointName": f"{PREFIX}-a"}),
        Call(
            "sagemaker-runtime",
            "InvokeEndpointWithResponseStream",
            {"EndpointName": f"{PREFIX}-a"},
        ),
        # Another launch of the same project may be invoked.
        Call("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "9a8b7c6d-sibling"}),
        Call("s3", "PutObject", {"Bucket": BUCKET, "Key": "data"}),
        Call("s3", "GetObject", {"Bucket": BUCKET, "Key": "data"}),
        Call("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "data"}),
        Call("s3", "AbortMultipartUpload", {"Bucket": BUCKET, "Key": "data", "UploadId": "1"}),
        Call("s3", "ListObjectsV2", {"Bucket": BUCKET}),
        Call("ecr", "BatchGetImage", {"registryId": ACCOUNT, "repositoryName": "ours"}),
        Call("ecr", "BatchGetImage", {"registryId": ACCOUNT, "repositoryName": "for-all"}),
    ],
    ids=lambda call: f"{call.operation}-{'-'.join(map(str, call.params.values()))}",
)
def test_the_role_may_use_and_remove_the_resources_of_its_project(call: Call) -> None:
    assert refused(call) == set()


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("CreateTrainingJob", ("ResourceConfig",)),
        ("CreateTransformJob", ("TransformResources",)),
        ("CreateEndpointConfig", ()),
    ],
)
@pytest.mark.parametrize("instance_type", ["ml.g4dn.xlarge", "ml.g5.xlarge", "ml.p4d.24xlarge"])
def test_types_with_disks_of_their_own_need_no_volume_key(
    operation: str, path: tuple[str, ...], instance_type: str
) -> None:
    key = "KmsKeyId" if operation == "CreateEndpointConfig" else "VolumeKmsKeyId"
    variant = path or ("ProductionVariants", "0")
    params = changed(CREATIONS[operation], *path, key)
    assert refused(sagemaker(operation, **params)) == {f"sagemaker:{operation}"}
    params = changed(params, *variant, "InstanceType", to=instance_type)
    assert refused(sagemaker(operation, **params)) == set()


def test_the_types_with_disks_of_their_own_exist_in_sagemaker() -> None:
    known = SAGEMAKER.shape_for("TrainingInstanceType").metadata["enum"]
    deny = PLAIN.statements()["VolumesNeedTheKey"]["Condition"]
    patterns = deny["ForAnyValue:StringNotLike"]["sagemaker:InstanceTypes"]
    for pattern in patterns:
        assert fnmatch.filter(known, pattern), pattern
    for plain in ("ml.m5.large", "ml.c5.xlarge", "ml.p3.2xlarge", "ml.t3.medium"):
        assert not any(fnmatch.fnmatchcase(plain, pattern) for pattern in patterns), plain


# Denied


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("CreateTrainingJob", ("VpcConfig",)),
        ("CreateHyperParameterTuningJob", ("TrainingJobDefinition", "VpcConfig")),
        ("CreateModel", ("VpcConfig",)),
    ],
)
def test_nothing_runs_outside_the_vpc(operation: str, path: tuple[str, ...]) -> None:
    denied = {f"sagemaker:{operation}"}
    params = CREATIONS[operation]
    assert refused(sagemaker(operation, **changed(params, *path))) == denied
    for name in VPC:
        assert refused(sagemaker(operation, **changed(params, *path, name))) >= denied
    for name, other in (("Subnets", "subnet-9"), ("SecurityGroupIds", "sg-9")):
        also = changed(params, *path, name, to=[VPC[name][0], other])
        assert refused(sagemaker(operation, **also)) >= {*denied, "ec2:CreateNetworkInterface"}


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("CreateTransformJob", ("ModelName",)),
        ("CreateEndpointConfig", ("ProductionVariants", "0", "ModelName")),
    ],
)
def test_nothing_runs_with_a_model_of_another_launch_or_without_a_model(
    operation: str, path: tuple[str, ...]
) -> None:
    for other in ("moon", "9a8b7c6d-a", None):
        params = changed(CREATIONS[operation], *path, to=other)
        assert refused(sagemaker(operation, **params)) == {f"sagemaker:{operation}"}


def test_an_endpoint_cannot_be_created_from_another_projects_configuration() -> None:
    for other in ("moon", "9a8b7c6d-a"):
        params = changed(ENDPOINT, "EndpointConfigName", to=other)
        assert refused(sagemaker("CreateEndpoint", **params)) == {"sagemaker:CreateEndpoint"}
    update = sagemaker("UpdateEndpoint", EndpointName=f"{PREFIX}-a", EndpointConfigName="moon")
    assert refused(update) == {"sagemaker:UpdateEndpoint"}


@OLD_KEYS
@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("CreateTrainingJob", ("OutputDataConfig", "KmsKeyId")),
        ("CreateTrainingJob", ("ResourceConfig", "VolumeKmsKeyId")),
        (
            "CreateHyperParameterTuningJob",
            ("TrainingJobDefinition", "OutputDataConfig", "KmsKeyId"),
        ),
        (
            "CreateHyperParameterTuningJob",
            ("TrainingJobDefinition", "ResourceConfig", "VolumeKmsKeyId"),
        ),
        ("CreateTransformJob", ("TransformOutput", "KmsKeyId")),
        ("CreateTransformJob", ("TransformResources", "VolumeKmsKeyId")),
        ("CreateEndpointConfig", ("KmsKeyId",)),
    ],
)
def test_nothing_is_stored_with_a_foreign_key_or_without_a_key(
    operation: str, path: tuple[str, ...], old_keys: bool
) -> None:
    role, params = replace(ROLE, old_keys=old_keys), CREATIONS[operation]
    none = sagemaker(operation, **changed(params, *path))
    assert refused(none, role) == {f"sagemaker:{operation}"}
    foreign = refused(sagemaker(operation, **changed(params, *path, to=OTHER_KEY)), role)
    assert f"sagemaker:{operation}" in foreign
    assert any(action.startswith("kms:") for action in foreign)


@pytest.mark.parametrize("operation", [each for each in CREATIONS if "Tags" in CREATIONS[each]])
def test_nothing_is_created_for_another_project_or_without_a_project(operation: str) -> None:
    params = CREATIONS[operation]
    for tags in (OTHERS_TAGS, [{"Key": "Owner", "Value": "me"}], None):
        call = sagemaker(operation, **changed(params, "Tags", to=tags))
        assert f"sagemaker:{operation}" in refused(call)


@pytest.mark.parametrize("operation", CREATIONS)
def test_nothing_is_created_under_the_name_of_another_launch(operation: str) -> None:
    params = CREATIONS[operation]
    ((name, _), *_) = [item for item in params.items() if item[0].endswith("Name")]
    for other in ("a", "9a8b7c6d-a", f"x{PREFIX}-a"):
        call = sagemaker(operation, **changed(params, name, to=other))
        assert f"sagemaker:{operation}" in refused(call)


def test_the_role_may_not_set_a_tag_of_the_platform() -> None:
    tags = [*TAGS, {"Key": "notebook-vending:stack-id", "Value": "x"}]
    call = sagemaker("CreateModel", **changed(MODEL, "Tags", to=tags))
    assert refused(call) == {"sagemaker:AddTags"}


def test_a_file_system_cannot_be_mounted() -> None:
    source = {"FileSystemDataSource": {"FileSystemId": "fs-1"}}
    params = changed(TRAINING, "InputDataConfig", "0", "DataSource", to=source)
    assert refused(sagemaker("CreateTrainingJob", **params)) == {"sagemaker:CreateTrainingJob"}


@pytest.mark.parametrize(
    "call",
    [
        *(
            sagemaker(f"{verb}{kind}", **{f"{kind}Name": "moon"})
            for verb, kind in [
                ("Describe", "Endpoint"),
                ("Describe", "Model"),
                ("Describe", "TrainingJob"),
                ("Stop", "TrainingJob"),
                ("Delete", "Endpoint"),
                ("Delete", "EndpointConfig"),
                ("Delete", "Model"),
                ("Delete", "ModelPackageGroup"),
            ]
        ),
        sagemaker("CreateModelPackage", ModelPackageGroupName="moon"),
        sagemaker("ListModelPackages", ModelPackageGroupName="moon"),
        sagemaker("UpdateModelPackage", ModelPackageArn=arn("model-package", "moon/1")),
        sagemaker("ListTags", ResourceArn=arn("endpoint", "moon")),
        Call("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "moon"}),
        Call("sagemaker-runtime", "InvokeEndpointAsync", {"EndpointName": "moon"}),
        Call("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "untagged"}),
        Call("s3", "GetObject", {"Bucket": "moons-bucket", "Key": "data"}),
        Call("s3", "PutObject", {"Bucket": "moons-bucket", "Key": "data"}),
        Call("s3", "ListObjectsV2", {"Bucket": "moons-bucket"}),
        Call("ecr", "BatchGetImage", {"registryId": ACCOUNT, "repositoryName": "moon"}),
        Call("ecr", "BatchGetImage", {"registryId": "999900001111", "repositoryName": "any"}),
        sagemaker("Search", Resource="Endpoint"),
    ],
    ids=lambda call: f"{call.operation}-{'-'.join(map(str, call.params.values()))}",
)
def test_the_role_may_not_use_the_resources_of_another_project(call: Call) -> None:
    assert call.action in refused(call)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("endpoint", "moon"), ("endpoint", f"{PREFIX}-a"), ("notebook-instance", "my-notebook")],
)
def test_nothing_is_tagged_after_its_creation(kind: str, name: str) -> None:
    """Nothing can be moved into a project, and a notebook's platform tags cannot change."""
    platform = [{"Key": "notebook-vending:stack-id", "Value": "x"}]
    for tags in (TAGS, OTHERS_TAGS, platform):
        add = sagemaker("AddTags", ResourceArn=arn(kind, name), Tags=tags)
        assert refused(add) == {"sagemaker:AddTags"}
    for key in ("ProjectID", "notebook-vending:stack-id"):
        remove = sagemaker("DeleteTags", ResourceArn=arn(kind, name), TagKeys=[key])
        assert refused(remove) == {"sagemaker:DeleteTags"}


@pytest.mark.parametrize(
    "operation",
    [
        "CreateNotebookInstance",
        "CreatePresignedNotebookInstanceUrl",
        "DeleteNotebookInstance",
        "StartNotebookInstance",
        "StopNotebookInstance",
        "UpdateNotebookInstance",
    ],
)
def test_the_role_may_not_manage_notebooks(operation: str) -> None:
    call = sagemaker(operation, NotebookInstanceName="my-notebook")
    assert refused(call) == {f"sagemaker:{operation}"}


def test_the_role_may_describe_only_its_own_notebook() -> None:
    """The notebook reads its network settings this way at each start."""
    own = sagemaker("DescribeNotebookInstance", NotebookInstanceName="my-notebook")
    assert refused(own) == set()
    for name in ("sibling", "moon", "untagged"):
        other = sagemaker("DescribeNotebookInstance", NotebookInstanceName=name)
        assert refused(other) == {"sagemaker:DescribeNotebookInstance"}


def test_the_role_may_stop_only_its_own_notebook_if_idle_notebooks_stop() -> None:
    role = Role(Launch({"IdleMinutes": "60"}), ROLE.tags)
    for name in ("my-notebook", "sibling", "moon", "untagged"):
        denied = role.denied(sagemaker("StopNotebookInstance", NotebookInstanceName=name))
        assert [question.action for question in denied] == (
            [] if name == "my-notebook" else ["sagemaker:StopNotebookInstance"]
        )


def test_the_role_may_pass_only_itself_and_only_to_sagemaker() -> None:
    to_sagemaker = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    assert ROLE.may(Question("iam:PassRole", ROLE.arn, to_sagemaker))
    for service in ("lambda.amazonaws.com", "ec2.amazonaws.com"):
        to_another = {"iam:PassedToService": service}
        assert not ROLE.may(Question("iam:PassRole", ROLE.arn, to_another))
    assert not ROLE.may(Question("iam:PassRole", ROLE.arn, {}))
    admin = f"arn:aws:iam::{ACCOUNT}:role/Admin"
    assert not ROLE.may(Question("iam:PassRole", admin, to_sagemaker))
    with_another = changed(TRAINING, "RoleArn", to=admin)
    assert refused(sagemaker("CreateTrainingJob", **with_another)) == {"iam:PassRole"}


@pytest.mark.parametrize(
    "action",
    [
        "kms:DisableKey",
        "kms:PutKeyPolicy",
        "kms:ReEncryptFrom",
        "kms:RevokeGrant",
        "kms:ScheduleKeyDeletion",
        "kms:UntagResource",
    ],
)
def test_the_role_may_not_administer_the_key(action: str) -> None:
    assert not ROLE.may(Question(action, KEY, {}))
    assert not ROLE.may(Question(action, KEY, {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}))


def test_the_role_may_decrypt_only_through_s3_and_grant_only_through_sagemaker() -> None:
    for action, service in (
        ("kms:Decrypt", "s3"),
        ("kms:GenerateDataKey", "s3"),
        ("kms:CreateGrant", "sagemaker"),
    ):
        for via in ("s3", "sagemaker", "lambda"):
            keys = {"kms:ViaService": f"{via}.eu-west-1.amazonaws.com"}
            assert ROLE.may(Question(action, KEY, keys)) == (via == service)
        assert not ROLE.may(Question(action, KEY, {}))
    # The key's own policy has the same limits. Each of the two suffices alone.
    for sid, service in (("ProjectKey", "s3"), ("ProjectKeyForVolumes", "sagemaker")):
        via_service = {"kms:ViaService": f"{service}.eu-west-1.amazonaws.com"}
        assert PLAIN.statements()[sid]["Condition"] == {"StringEquals": via_service}


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_another_role_may_not_use_the_key(key: str) -> None:
    class Stranger(Role):
        principal_tags: ClassVar[dict[str, str]] = {"ProjectID": "Moon"}

        @property
        def arn(self) -> str:
            return f"arn:aws:iam::{ACCOUNT}:role/n/stack-role-2"

    for action in ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"):
        for via in ("s3", "sagemaker"):
            keys = {"kms:ViaService": f"{via}.eu-west-1.amazonaws.com"}
            assert not Stranger(PLAIN).may(Question(action, key, keys))


def test_network_interfaces_are_created_and_deleted_only_in_the_platforms_subnets() -> None:
    ec2 = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:"
    for action in ("CreateNetworkInterfacePermission", "DeleteNetworkInterface"):
        for subnet, allowed in (("subnet-1", True), ("subnet-9", False), ("subnet-11", False)):
            keys = {"ec2:Subnet": f"{ec2}subnet/{subnet}"}
            question = Question(f"ec2:{action}", f"{ec2}network-interface/eni-1", keys)
            assert ROLE.may(question) == allowed
    for touched in ("subnet/subnet-11", "security-group/sg-2"):
        assert not ROLE.may(Question("ec2:CreateNetworkInterface", f"{ec2}{touched}", {}))


def test_the_role_may_write_and_read_the_notebooks_own_log() -> None:
    group = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/sagemaker/NotebookInstances"
    for arn_of_group in (group, f"{group}:log-stream:"):
        assert ROLE.may(Question("logs:CreateLogGroup", arn_of_group, {}))
    for action in ("CreateLogStream", "PutLogEvents", "GetLogEvents"):
        stream = f"{group}:log-stream:my-notebook/LifecycleConfigOnStart"
        assert ROLE.may(Question(f"logs:{action}", stream, {}))


@pytest.mark.parametrize("action", ["CreateLogStream", "PutLogEvents", "GetLogEvents"])
def test_the_role_may_not_write_or_read_any_other_log(action: str) -> None:
    groups = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/sagemaker/"
    for stream in (
        "NotebookInstances:log-stream:other/LifecycleConfigOnStart",
        "NotebookInstances:log-stream:my-notebook-2/LifecycleConfigOnStart",
        "TrainingJobs:log-stream:moon/algo-1-1",
        "TrainingJobs:log-stream:9a8b7c6d-a/algo-1-1",
        "TransformJobs:log-stream:moon/i-1",
        "Endpoints/moon:log-stream:all/i-1",
        "Studio:log-stream:x",
    ):
        assert not ROLE.may(Question(f"logs:{action}", f"{groups}{stream}", {}))


def test_metrics_outside_sagemakers_namespaces_are_denied() -> None:
    keys = {"cloudwatch:namespace": "Finance"}
    assert not ROLE.may(Question("cloudwatch:PutMetricData", "*", keys))
    assert not ROLE.may(Question("cloudwatch:PutMetricData", "*", {}))


# The policies themselves


def test_the_platforms_policies_allow_nothing_to_a_role_without_tags() -> None:
    """Exceptions are allowed to all launches: list names, pull images, describe the network."""

    class Untagged(Role):
        principal_tags = {}  # noqa: RUF012 - read only

    role = Untagged(PLAIN, ROLE.tags)
    for operation, params in CREATIONS.items():
        denied = {question.action for question in role.denied(sagemaker(operation, **params))}
        assert f"sagemaker:{operation}" in denied
    for call in (
        sagemaker("DescribeEndpoint", EndpointName=f"{PREFIX}-a"),
        sagemaker("DescribeEndpoint", EndpointName="untagged"),
        sagemaker("CreateModelPackage", ModelPackageGroupName="-a"),
    ):
        assert role.denied(call)


def test_every_value_of_a_policy_that_varies_by_launch_is_a_tag_of_the_role() -> None:
    _, *platforms = PLAIN.policies()
    variables = set(re.findall(r"\$\{([^}]*)\}", json.dumps(platforms)))
    assert variables == {"aws:PrincipalTag/ProjectID", "aws:PrincipalTag/NamePrefix"}
    assert {key.partition("/")[2] for key in variables} <= set(ROLE.principal_tags)
    # A variable follows the fifth colon of an ARN (IAM user guide, "Variables and tags").
    for policy in platforms:
        for statement in policy["Statement"]:
            for resource in _listed(statement["Resource"]):
                assert "$" not in "".join(resource.split(":")[:5])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("sid", WITH_CODE.statements())
def test_every_condition_key_is_one_that_its_actions_support(sid: str) -> None:
    statement = WITH_CODE.statements()[sid]
    actions = _listed(statement["Action"])
    for key in {
        key.partition("/")[0] for test in statement.get("Condition", {}).values() for key in test
    }:
        knowing = [action for action in actions if key in condition_keys(action)]
        # Models have no file systems, so the key is always absent there.
        exempt = ["sagemaker:CreateModel"] if key == "sagemaker:FileSystemId" else []
        assert sorted([*knowing, *exempt]) == sorted(actions), key


def test_a_condition_that_holds_without_its_key_comes_with_one_that_does_not() -> None:
    for sid, statement in WITH_CODE.statements().items():
        tests = statement.get("Condition", {})
        present = {key for key, absent in tests.get("Null", {}).items() if absent == "false"}
        for operator, keys in tests.items():
            if statement["Effect"] == "Allow" and operator.startswith("ForAllValues:"):
                # A call without tags has no wrong tags.
                assert set(keys) - {"aws:TagKeys"} <= present, sid
            if operator.endswith("IfExists"):
                assert (sid, set(keys)) == ("Images", {"aws:ResourceTag/ProjectID"})
        # The role's own tag proves nothing as a condition key. The key must be the request's.
        assert not any("aws:PrincipalTag" in key for keys in tests.values() for key in keys)


def test_only_actions_without_a_resource_are_allowed_everywhere() -> None:
    everywhere = [
        action
        for statement in WITH_CODE.statements().values()
        if statement["Resource"] == "*" and statement["Effect"] == "Allow"
        for action in _listed(statement["Action"])
    ]
    # Metrics have a data set only if the call names one. Their namespace is the limit.
    assert [action for action in everywhere if resource_kinds(action)] == [
        "cloudwatch:PutMetricData"
    ]


def test_the_inline_policy_fits_its_quota_with_the_longest_names() -> None:
    """IAM quotas: 10,240 characters for all inline policies of a role, white space aside."""
    longest = Launch(
        {
            "NotebookInstanceName": "n" * 63,
            "ProjectID": "p" * 64,
            "S3CodePusher": "YES",
            "CodeBucketName": "b" * 63,
        },
        partition="aws-us-gov",
        region="ap-southeast-1",
        suffix="amazonaws.com.cn",
    )
    document = longest.properties("ExecutionRolePolicy")["PolicyDocument"]
    text = json.dumps(document, separators=(",", ":"))
    # CloudFormation's names are longer than the sample's: up to 63, 64 and 36 characters.
    for sample, characters in ((BUCKET, 63), ("n/stack-role-1", 17 + 64), ("key/k1", 40)):
        text = text.replace(sample, "x" * characters)
    assert len(text) <= 10_240


def test_every_action_with_condition_keys_is_an_operation_of_sagemaker() -> None:
    for action in CONDITION_KEYS:
        assert action.partition(":")[2] in SAGEMAKER.operation_names


def test_names_have_room_after_the_prefix() -> None:
    """A tuning job's name has the lowest limit."""
    longest = SAGEMAKER.shape_for("HyperParameterTuningJobName").metadata["max"]
    assert longest - len(f"{PREFIX}-") >= 20
