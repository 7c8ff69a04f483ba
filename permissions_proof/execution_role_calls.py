"""The calls under a launch's execution role: by the notebook, by its owner, by SageMaker.

The emulator serves the calls to S3, Logs and the notebook itself. It has no ECR, no CloudWatch and
no other part of SageMaker. botocore checks such calls, the emulator's IAM decides on everything
that AWS would check for them, and this module answers them.
"""

import base64
import io
import json
import re
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from demo.deploy import ROOT
from demo.end_user import Record
from embedded_aws.emulator import REGION, Emulator
from permissions_proof.iam_requests import Call, Where, questions

_EXAMPLE = ROOT / "examples" / "train-and-deploy.ipynb"
_SERVED = ("DescribeNotebookInstance", "StopNotebookInstance")
_LOG_GROUP = "/aws/sagemaker/NotebookInstances"
_IMAGE_ACCOUNT = "683313688378"  # XGBoost's in us-east-1 (SageMaker, "Docker Registry Paths")


@dataclass
class Notebook:
    """A launched notebook, and the calls as its role, in its VPC."""

    aws: Emulator
    launched: Record
    credentials: Mapping[str, str]
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The notebook's name."""
        return self.launched.outputs["NotebookInstanceName"]

    @property
    def bucket(self) -> str:
        """The bucket of its data."""
        return self.launched.outputs["S3BucketName"]

    def client(self, service: str) -> Any:
        """Return a client with the rights of the role."""
        client = self.aws.client(service, self.credentials)
        if service.startswith("sagemaker"):
            # By these names once, however often a client is asked for.
            client.meta.events.register("before-parameter-build", _keep, "keep")
            client.meta.events.register("before-call", self._stand_in, "stand-in")
        return client

    def settings(self) -> dict[str, Any]:
        """Return the content that its start script writes to /etc/notebook-vending.json."""
        sagemaker = self.client("sagemaker")
        seen = sagemaker.describe_notebook_instance(NotebookInstanceName=self.name)
        config = self.aws.client("sagemaker").describe_notebook_instance_lifecycle_config(
            NotebookInstanceLifecycleConfigName=seen["NotebookInstanceLifecycleConfigName"]
        )
        script = base64.b64decode(config["OnStart"][0]["Content"]).decode()
        written = re.search(r"/etc/notebook-vending.json <<'END'\n(.*?)\nEND\n", script, re.DOTALL)
        assert written, "the start script writes no settings"
        vpc = {"Subnets": [seen["SubnetId"]], "SecurityGroupIds": seen["SecurityGroups"]}
        settings: dict[str, Any] = json.loads(written[1].replace("@VPC@", json.dumps(vpc)))
        return settings

    def _stand_in(self, model: Any, context: Mapping[str, Any], **_: Any) -> Any:
        """Take SageMaker's place for a call that the emulator does not serve."""
        if model.name in _SERVED:
            return None
        call = Call(model.service_model.service_name, model.name, context["params_as_given"])
        self.ask(call)
        return SimpleNamespace(status_code=200), self._answer(call)

    def ask(self, call: Call) -> None:
        """Send a call to IAM, with the present tags of the resources that it names."""
        key = self.launched.outputs["SagemakerKMSKey"]
        where = Where(key.split(":")[4], REGION, key)
        asked = list(questions(call, where))
        self.aws.control(
            "authorizations",
            {
                "access_key": self.credentials["AccessKeyId"],
                "questions": [
                    {"action": action, "resource": arn, "keys": {**keys, **self.tags.get(arn, {})}}
                    for action, arn, keys in asked
                ],
            },
        )
        for action, arn, keys in asked:
            if action == call.action and "Tags" in call.params:
                self.tags[arn] = {
                    name.replace("Request", "Resource"): str(value)
                    for name, value in keys.items()
                    if name.startswith("aws:RequestTag/")
                }

    def _answer(self, call: Call) -> dict[str, Any]:
        match call.operation:
            case "CreateTrainingJob":  # SageMaker writes the model's file as the role
                key = self._model_file(call.params["TrainingJobName"])
                self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=_model())
            case "DescribeTrainingJob":
                uri = f"s3://{self.bucket}/{self._model_file(call.params['TrainingJobName'])}"
                artifacts = {"S3ModelArtifacts": uri}
                return {"TrainingJobStatus": "Completed", "ModelArtifacts": artifacts}
            case "DescribeEndpoint":
                return {"EndpointStatus": "InService"}
            case "InvokeEndpoint":
                return {"Body": io.BytesIO(b"0.01\n0.99\n")}
        return {}

    def _model_file(self, job: str) -> str:
        return f"{job}/output/{job}/output/model.tar.gz"


def start(aws: Emulator, launched: Record, endpoint: str) -> Notebook:
    """Assume the role as SageMaker does for the notebook, whose requests use the endpoint."""
    session = aws.client("sts").assume_role(
        RoleArn=launched.outputs["ExecutionRoleArn"], RoleSessionName="SageMaker"
    )
    aws.control("endpoints", {session["AssumedRoleUser"]["Arn"]: endpoint})
    return Notebook(aws, launched, session["Credentials"])


# --- its scripts and its owner --------------------------------------------------------------------


def copy_code(notebook: Notebook, code: str) -> None:
    """Make the calls of the script for a code bucket: aws s3api head-bucket, aws s3 sync."""
    s3 = notebook.client("s3")
    s3.head_bucket(Bucket=code)
    for each in s3.list_objects_v2(Bucket=code)["Contents"]:
        s3.get_object(Bucket=code, Key=each["Key"])


def use_the_bucket(notebook: Notebook) -> None:
    """Write, read and delete; leave an old version and an unfinished upload behind."""
    s3, bucket = notebook.client("s3"), notebook.bucket
    for text in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="results/model.txt", Body=text)
    s3.list_objects_v2(Bucket=bucket)
    s3.get_object(Bucket=bucket, Key="results/model.txt")
    s3.delete_object(Bucket=bucket, Key="results/model.txt")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="large")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="large", UploadId=upload)
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")


def log_what_scripts_print(notebook: Notebook) -> None:
    """Make SageMaker's calls as the role with the output of the scripts."""
    logs, stream = notebook.client("logs"), f"{notebook.name}/LifecycleConfigOnCreate"
    logs.create_log_group(logGroupName=_LOG_GROUP)
    logs.describe_log_streams(logGroupName=_LOG_GROUP)
    logs.create_log_stream(logGroupName=_LOG_GROUP, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": "copied"}
    logs.put_log_events(logGroupName=_LOG_GROUP, logStreamName=stream, logEvents=[event])
    logs.get_log_events(logGroupName=_LOG_GROUP, logStreamName=stream)


def say_that_it_is_idle(notebook: Notebook) -> None:
    """Make the calls of the script that could not stop its notebook."""
    logs, stream = notebook.client("logs"), f"{notebook.name}/IdleStop"
    logs.create_log_stream(logGroupName=_LOG_GROUP, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": "IDLE and could not stop itself"}
    logs.put_log_events(logGroupName=_LOG_GROUP, logStreamName=stream, logEvents=[event])


# --- training and deploying -----------------------------------------------------------------------


def run_the_example(notebook: Notebook, directory: Path) -> None:
    """Run the cells of the example as a kernel on the notebook would."""
    written = directory / "notebook-vending.json"
    written.write_text(json.dumps(notebook.settings()))
    cells = json.loads(_EXAMPLE.read_text())["cells"]
    names: dict[str, Any] = {}
    with _modules_of_a_notebook(notebook):
        for cell in cells:
            if cell["cell_type"] == "code":
                source = "".join(cell["source"])
                source = source.replace("/etc/notebook-vending.json", str(written))
                exec(compile(source, _EXAMPLE, "exec"), names)  # noqa: S102 - the project's own


def do_what_the_example_does_not(notebook: Notebook, subnets: list[str]) -> None:
    """Tune, transform, register, list, change and stop: the rest of what a project may do.

    In all subnets of the platform: the example uses the notebook's own.
    """
    given = notebook.settings()
    client, runtime = notebook.client("sagemaker"), notebook.client("sagemaker-runtime")
    name, tags = f"{given['NamePrefix']}-more", [{"Key": "ProjectID", "Value": given["ProjectID"]}]
    data = f"s3://{notebook.bucket}/data/"
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}}
    output = {"S3OutputPath": data, "KmsKeyId": given["KmsKeyId"]}
    computer = {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeKmsKeyId": given["KmsKeyId"],
    }
    vpc = {**given["VpcConfig"], "Subnets": subnets}
    client.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        },
        TrainingJobDefinition={
            "AlgorithmSpecification": {"TrainingImage": _image(), "TrainingInputMode": "File"},
            "InputDataConfig": [{"ChannelName": "train", "DataSource": source}],
            "OutputDataConfig": output,
            "ResourceConfig": {**computer, "VolumeSizeInGB": 5},
            "RoleArn": given["RoleArn"],
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "VpcConfig": vpc,
        },
        Tags=tags,
    )
    client.create_transform_job(
        TransformJobName=name,
        ModelName=name,
        TransformInput={"DataSource": source},
        TransformOutput=output,
        TransformResources=computer,
        Tags=tags,
    )
    client.create_model(
        ModelName=name,
        ExecutionRoleArn=given["RoleArn"],
        PrimaryContainer={"Image": _image(), "ModelDataUrl": f"{data}model.tar.gz"},
        VpcConfig=vpc,
        Tags=tags,
    )
    client.create_model_package_group(ModelPackageGroupName=name, Tags=tags)
    client.create_model_package(ModelPackageGroupName=name)
    account = given["KmsKeyId"].split(":")[4]
    client.update_model_package(
        ModelPackageArn=f"arn:aws:sagemaker:{REGION}:{account}:model-package/{name}/1",
        ModelApprovalStatus="Approved",
    )
    client.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large"}
        ],
        KmsKeyId=given["KmsKeyId"],
        Tags=tags,
    )
    client.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    client.update_endpoint(EndpointName=name, EndpointConfigName=name)
    client.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "all"}]
    )
    runtime.invoke_endpoint_async(EndpointName=name, InputLocation=f"{data}rows.csv")
    runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=b"1,2")
    _look_around(notebook, name)
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    client.stop_training_job(TrainingJobName=_training_job_of_the_example(notebook))
    client.stop_transform_job(TransformJobName=name)
    client.delete_model_package(ModelPackageName=f"{name}/1")
    client.delete_model_package_group(ModelPackageGroupName=name)


_NAMES = {
    "endpoint": "EndpointName",
    "endpoint_config": "EndpointConfigName",
    "hyper_parameter_tuning_job": "HyperParameterTuningJobName",
    "model": "ModelName",
    "model_package_group": "ModelPackageGroupName",
    "training_job": "TrainingJobName",
    "transform_job": "TransformJobName",
}


def _look_around(notebook: Notebook, name: str) -> None:
    """Describe and list everything, with its tags."""
    client = notebook.client("sagemaker")
    for kind, parameter in _NAMES.items():
        if kind != "training_job":  # the example has described one
            getattr(client, f"describe_{kind}")(**{parameter: name})
        getattr(client, f"list_{kind}s")()
    client.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    client.describe_model_package(ModelPackageName=f"{name}/1")
    client.list_model_packages(ModelPackageGroupName=name)
    for arn in notebook.tags:
        client.list_tags(ResourceArn=arn)


def _training_job_of_the_example(notebook: Notebook) -> str:
    named = (arn.partition(":training-job/")[2] for arn in notebook.tags)
    return next(name for name in named if name)


def _image() -> str:
    return f"{_IMAGE_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-xgboost:1.7-1"


def _model() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("xgboost-model"))
    return buffer.getvalue()


def _keep(params: Any, context: dict[str, Any], **_: Any) -> None:
    context["params_as_given"] = dict(params)


@contextmanager
def _modules_of_a_notebook(notebook: Notebook) -> Iterator[None]:
    """Make boto3 create clients of the role, and add a stand-in for the SageMaker SDK."""
    boto3, sdk = ModuleType("boto3"), ModuleType("sagemaker")
    boto3.__dict__["client"] = lambda service, region_name: notebook.client(service)  # noqa: ARG005
    sdk.__dict__["image_uris"] = SimpleNamespace(retrieve=lambda *_, **__: _image())
    before = {name: sys.modules.get(name) for name in ("boto3", "sagemaker")}
    sys.modules |= {"boto3": boto3, "sagemaker": sdk}
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
