"""The requests that IAM must decide on for a call to AWS.

The resources of an action come from IAM's service authorization data in cfn-lint. The data lacks
the condition keys of SageMaker's creating actions, so this module lists them. It also lists the
further permissions that a call needs. Sources: SageMaker developer guide, "API permissions
reference" and "SageMaker roles"; Service Authorization Reference, "Amazon SageMaker" and "Amazon
EC2".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from embedded_aws.runtime import authorization_reference
from embedded_aws.runtime.authorization_reference import resource_kinds

Keys = Mapping[str, str | list[str]]

_JOB = frozenset(
    {"FileSystemId", "InstanceTypes", "OutputKmsKeyArn", "VolumeKmsKeyArn"}
    | {"VpcSecurityGroupIds", "VpcSubnets"}
)
# The names that the keys of outputs and volumes had until the reference of 2026. AWS does not
# document whether SageMaker still sends them, so a policy must be correct for both names.
OLD_KEYS = {"OutputKmsKeyArn": "OutputKmsKey", "VolumeKmsKeyArn": "VolumeKmsKey"}
# Of each action that makes something, the condition keys that policies here use. All of them know
# aws:RequestTag and aws:TagKeys too, except of a model package, which takes tags only outside a
# group.
CONDITION_KEYS: dict[str, frozenset[str]] = {
    "sagemaker:CreateEndpoint": frozenset(),
    "sagemaker:CreateEndpointConfig": frozenset(
        {"InstanceTypes", "ModelArn", "VolumeKmsKeyArn", "VpcSecurityGroupIds", "VpcSubnets"}
    ),
    "sagemaker:CreateHyperParameterTuningJob": _JOB,
    "sagemaker:CreateModel": frozenset({"VpcSecurityGroupIds", "VpcSubnets"}),
    "sagemaker:CreateModelPackage": frozenset(),
    "sagemaker:CreateModelPackageGroup": frozenset(),
    "sagemaker:CreateTrainingJob": _JOB,
    "sagemaker:CreateTransformJob": frozenset(
        {"InstanceTypes", "ModelArn", "OutputKmsKeyArn", "VolumeKmsKeyArn"}
    ),
}
# Keys of other actions that policies here use, in addition to the resource's and the global keys.
_OTHER_KEYS = {
    "sagemaker:AddTags": {"aws:RequestTag", "aws:TagKeys", "sagemaker:TaggingAction"},
    "iam:PassRole": {"iam:PassedToService"},
    "cloudwatch:PutMetricData": {"cloudwatch:namespace"},
    "kms:CreateGrant": {"kms:ViaService"},
    "kms:Decrypt": {"kms:ViaService"},
    "kms:DescribeKey": {"kms:ViaService"},
    "kms:Encrypt": {"kms:ViaService"},
    "kms:GenerateDataKey": {"kms:ViaService"},
}
_OF_ENCRYPTED_OBJECTS = {
    "GetObject": "kms:Decrypt",
    "HeadObject": "kms:Decrypt",
    "PutObject": "kms:GenerateDataKey",
}
_ENCRYPTION = {
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
}
# Another account, whose subnets and security groups may be shared with this one by AWS RAM.
_SHARING = "999988887777"
_OPERATIONS_OF_OTHER_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "UploadPart": "PutObject",
}


class Call(NamedTuple):
    """One call to AWS: the service and the operation as botocore names them."""

    service: str
    operation: str
    params: Mapping[str, Any]

    @property
    def action(self) -> str:
        """The IAM action of the same meaning."""
        service = self.service.removesuffix("-runtime")
        return f"{service}:{_OPERATIONS_OF_OTHER_ACTIONS.get(self.operation, self.operation)}"


class Question(NamedTuple):
    """A request to IAM: an action on a resource, under these conditions."""

    action: str
    resource: str
    keys: Keys


@dataclass(frozen=True)
class Where:
    """The context of a call: the account, and the key that encrypts a project's data.

    With `old_keys` SageMaker sends the condition keys by their former names, see OLD_KEYS.
    """

    account: str
    region: str
    key: str
    partition: str = "aws"
    suffix: str = "amazonaws.com"
    old_keys: bool = False


def questions(call: Call, where: Where) -> Iterator[Question]:
    """Yield all requests to IAM for a call: for itself, and for the calls that follow from it."""
    keys = dict(_request_keys(call, where))
    arns = list(_arns(call, where))
    for arn in arns:
        yield Question(call.action, arn, keys)
    if call.operation.startswith("Create") and call.params.get("Tags"):
        tagged = keys | {"sagemaker:TaggingAction": call.operation}
        yield Question("sagemaker:AddTags", arns[0], tagged)
    for role in _all(call.params, "RoleArn", "ExecutionRoleArn"):
        yield Question("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"})
    if call.operation.startswith("Create"):
        yield from _of_keys(call, where)
        yield from _of_the_network(call, where)
        yield from _of_the_container(call, where)
    if by_key := _OF_ENCRYPTED_OBJECTS.get(call.operation):
        yield Question(by_key, where.key, _via(where, "s3"))


def _of_keys(call: Call, where: Where) -> Iterator[Question]:
    for key in _volume_keys(call):
        for action in ("kms:CreateGrant", "kms:DescribeKey"):
            yield Question(action, key, _via(where, "sagemaker"))
    for key in _output_keys(call):
        yield Question("kms:Encrypt", key, {})
        yield Question("kms:GenerateDataKey", key, _via(where, "s3"))


def _of_the_network(call: Call, where: Where) -> Iterator[Question]:
    interface = _ec2(where, "network-interface", "eni-1")
    # Of this account, or shared with it: then their ARNs have the owner's account.
    owners = (where, replace(where, account=_SHARING))
    subnets = [_ec2(o, "subnet", each) for o in owners for each in _all(call.params, "Subnets")]
    groups = [
        _ec2(owner, "security-group", each)
        for owner in owners
        for each in _all(call.params, "SecurityGroupIds")
    ]
    if not subnets:
        return
    for touched in (interface, *subnets, *groups):
        yield Question("ec2:CreateNetworkInterface", touched, {})
    for action in (
        "CreateNetworkInterfacePermission",
        "DeleteNetworkInterface",
        "DeleteNetworkInterfacePermission",
    ):
        for subnet in subnets:
            yield Question(f"ec2:{action}", interface, {"ec2:Subnet": subnet})
    for kind in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs"):
        yield Question(f"ec2:Describe{kind}", "*", {})


def _of_the_container(call: Call, where: Where) -> Iterator[Question]:
    """Yield the requests of a job or an endpoint as the role: pull, read, write, log."""
    for image in _all(call.params, "Image", "TrainingImage"):
        registry, _, repository = image.partition("/")
        account, name = registry.split(".")[0], repository.split(":")[0]
        arn = f"arn:{where.partition}:ecr:{where.region}:{account}:repository/{name}"
        yield Question("ecr:GetAuthorizationToken", "*", {})
        for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
            yield Question(f"ecr:{action}", arn, {})
    for uri in _all(call.params, "S3Uri", "ModelDataUrl"):
        yield Question("s3:GetObject", _object(where, uri), {})
        yield Question("s3:ListBucket", _object(where, uri).partition("/")[0], {})
    for uri in _all(call.params, "S3OutputPath"):
        yield Question("s3:PutObject", _object(where, uri), {})
    yield from _of_logs(call, where)


def _of_logs(call: Call, where: Where) -> Iterator[Question]:
    logs = f"arn:{where.partition}:logs:{where.region}:{where.account}:log-group:/aws/sagemaker/"
    match call.operation:
        case "CreateTrainingJob":
            kind, stream = "TrainingJobs", f"{call.params['TrainingJobName']}/algo-1-1"
        case "CreateHyperParameterTuningJob":
            name = call.params["HyperParameterTuningJobName"]
            kind, stream = "TrainingJobs", f"{name}-001-abc/algo-1-1"
        case "CreateTransformJob":
            kind, stream = "TransformJobs", f"{call.params['TransformJobName']}/i-1"
        case "CreateEndpoint":
            kind, stream = f"Endpoints/{call.params['EndpointName']}", "all/i-1"
        case _:
            return
    for action in ("CreateLogGroup", "DescribeLogStreams"):
        for arn in (f"{logs}{kind}", f"{logs}{kind}:log-stream:"):
            yield Question(f"logs:{action}", arn, {})
    for action in ("CreateLogStream", "PutLogEvents", "GetLogEvents"):
        yield Question(f"logs:{action}", f"{logs}{kind}:log-stream:{stream}", {})
    namespace = f"/aws/sagemaker/{kind.partition('/')[0]}"
    yield Question("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": namespace})


# What a call is about


def _arns(call: Call, where: Where) -> Iterator[str]:
    """Yield the ARNs of the resources that a call names, including those of other services."""
    kinds = resource_kinds(call.action)
    if not kinds:
        yield "*"
    elif "ResourceArn" in call.params:
        yield call.params["ResourceArn"]
    else:
        for kind, formats in kinds.items():
            name = _name(call, kind)
            if name and name.startswith("arn:"):
                yield name
            elif name and formats:
                yield _filled(formats[0], name, where, call.params.get("registryId", where.account))


def _name(call: Call, kind: str) -> str | None:
    params = call.params
    match kind:
        case "bucket":
            return params.get("Bucket")
        case "object":
            return f"{params['Bucket']}/{params['Key']}"
        case "repository":
            return params.get("repositoryName")
        case "model-package" if "ModelPackageGroupName" in params:
            return f"{params['ModelPackageGroupName']}/1"
        case "log-group":
            return params.get("logGroupName")
        case "log-stream" if "logStreamName" in params:
            return f"{params['logGroupName']}:log-stream:{params['logStreamName']}"
        case "key":
            return str(params["KeyId"]).rpartition("/")[2]
    # In a parameter, the capitals are SageMaker's own: automl-job is AutoMLJobName.
    names = {name.lower(): value for name, value in params.items()}
    plain = kind.replace("-", "")
    named: str | None = names.get(f"{plain}name", names.get(f"{plain}arn"))
    return named


def _filled(arn: str, name: str, where: Where, account: str) -> str:
    values = {"Partition": where.partition, "Region": where.region, "Account": account}
    known = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], arn)
    return known.replace(".*", name, 1)


def condition_keys(action: str) -> set[str]:
    """Return the condition keys that an action supports, tags without their names."""
    of_resources = authorization_reference.resource_condition_keys(action)
    known_by = CONDITION_KEYS.get(action, frozenset())
    former = {old for new, old in OLD_KEYS.items() if new in known_by}
    of_request = {f"sagemaker:{key}" for key in {*known_by, *former}}
    if action in CONDITION_KEYS:
        of_request |= {"aws:RequestTag", "aws:TagKeys"}
    return of_resources | of_request | _OTHER_KEYS.get(action, set()) | {"aws:ResourceAccount"}


# Condition keys of a request


def _request_keys(call: Call, where: Where) -> Iterator[tuple[str, str | list[str]]]:
    for tag in call.params.get("Tags", []):
        yield f"aws:RequestTag/{tag['Key']}", tag["Value"]
    if given := [tag["Key"] for tag in call.params.get("Tags", [])]:
        yield "aws:TagKeys", given
    if call.action == "s3:PutObject":
        for parameter, key in _ENCRYPTION.items():
            if wanted := call.params.get(parameter):
                yield key, wanted
    if removed := call.params.get("TagKeys"):
        yield "aws:TagKeys", removed
    lists = {
        "InstanceTypes": _all(call.params, "InstanceType"),
        "ModelArn": [
            _filled(resource_kinds("sagemaker:CreateModel")["model"][0], name, where, where.account)
            for name in _all(call.params, "ModelName")
        ],
        "VpcSecurityGroupIds": _all(call.params, "SecurityGroupIds"),
        "VpcSubnets": _all(call.params, "Subnets"),
    }
    single = {
        "FileSystemId": _all(call.params, "FileSystemId"),
        "OutputKmsKeyArn": _output_keys(call),
        "VolumeKmsKeyArn": _volume_keys(call),
    }
    for key in CONDITION_KEYS.get(call.action, ()):
        if values := lists.get(key):
            yield f"sagemaker:{key}", values
        if values := single.get(key):
            sent = OLD_KEYS.get(key, key) if where.old_keys else key
            yield f"sagemaker:{sent}", values[0]


def _volume_keys(call: Call) -> list[str]:
    if call.operation == "CreateEndpointConfig":
        return _all({"": call.params.get("KmsKeyId")}, "")
    return _all(call.params, "VolumeKmsKeyId")


def _output_keys(call: Call) -> list[str]:
    outputs = [call.params.get("OutputDataConfig"), call.params.get("TransformOutput")]
    outputs.append(call.params.get("TrainingJobDefinition", {}).get("OutputDataConfig"))
    return _all({"outputs": [each for each in outputs if each]}, "KmsKeyId")


def _all(node: Any, *names: str) -> list[str]:
    """Return all texts under these names, at any depth."""
    found: list[str] = []
    if isinstance(node, list):
        for each in node:
            found += _all(each, *names)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            texts: Iterable[Any] = value if isinstance(value, list) else [value]
            if key in names:
                found += [text for text in texts if isinstance(text, str)]
            found += _all(value, *names)
    return found


def _via(where: Where, service: str) -> Keys:
    return {"kms:ViaService": f"{service}.{where.region}.{where.suffix}"}


def _ec2(where: Where, kind: str, name: str) -> str:
    return f"arn:{where.partition}:ec2:{where.region}:{where.account}:{kind}/{name}"


def _object(where: Where, uri: str) -> str:
    # Below a folder or a bucket is an object.
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    below = "object" if not key or key.endswith("/") else ""
    return f"arn:{where.partition}:s3:::{bucket}/{key}{below}"
