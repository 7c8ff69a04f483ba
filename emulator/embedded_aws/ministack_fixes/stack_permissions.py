"""CloudFormation acts with the permissions of the stack's operator.

MiniStack's CloudFormation creates, updates and deletes resources without authorization. This module
checks the types in its table, so a launch role that lacks a permission fails its launch with AWS's
message. It checks the calls that creating, updating and deleting a resource require, those for its
tags, and those of its read handler after each create and at each Fn::GetAtt. The permissions for
reads and tags come from the registry's schemas (`resource_schemas`). Types outside the table are
not checked. Custom resources are checked in `cloudformation`, and the other calls of simulated
types in `resource_types`.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from ministack.services import iam, sns
from ministack.services.cloudformation import engine, provisioners, stacks

from embedded_aws.ministack_fixes.failed_creates import keep_failed_create
from embedded_aws.runtime import json_service, resource_schemas
from embedded_aws.runtime.authorization_reference import is_action, resource_kinds
from embedded_aws.runtime.resource_calls import ResourceError
from embedded_aws.runtime.service_model import ServiceError

Props = Mapping[str, Any]

_SYSTEM_TAGS = "aws:cloudformation:"
_POLICIES = "ManagedPolicyArns"


@dataclass(frozen=True)
class _Permissions:
    """The permissions of a type's handlers, besides those for reads and tags.

    `arns` returns the ARNs of a call from the physical ID and the properties. `given` has the calls
    for a property that is set or changes, `changed` those only for a change, and `cleared` those
    for a set property at deletion. `refuses` returns the reason if a deletion fails.
    """

    arns: Callable[[str, Props], list[str]]
    name: str = ""
    create: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    changed: Mapping[str, str] = field(default_factory=dict)
    cleared: Mapping[str, str] = field(default_factory=dict)
    refuses: Callable[[str], str] = lambda _physical_id: ""
    lower_case: bool = False
    name_length: int = 128


def install() -> None:
    """Authorize each handler of the types in the table, and each Fn::GetAtt."""
    for resource_type, permissions in _TYPES.items():
        entry = provisioners._RESOURCE_HANDLERS[resource_type]
        for handler, parameters in (("create", 3), ("update", 5), ("delete", 2)):
            taken = len(signature(entry[handler]).parameters)
            # An update function may or may not have the logical ID as a parameter.
            assert taken == parameters or (handler, taken) == ("update", 4), (
                resource_type,
                handler,
            )
        entry["create"] = _around_create(resource_type, permissions, entry["create"])
        entry["update"] = _before_update(resource_type, permissions, entry["update"])
        entry["delete"] = _before_delete(permissions, entry["delete"])
    _ask_at_each_getatt()


def _around_create(
    resource_type: str, permissions: _Permissions, create: Callable[..., Any]
) -> Callable[..., Any]:
    def asking(logical_id: str, props: Props, stack_name: str) -> Any:
        asked = _without_system_tags(props)
        physical_id = props.get(permissions.name) or provisioners._physical_name(
            stack_name,
            logical_id,
            lowercase=permissions.lower_case,
            max_len=permissions.name_length,
        )
        needed = [*permissions.create, *_actions(permissions.given, asked)]
        if _tag_keys(asked):
            needed += _tagging(resource_type)
        _require(needed, permissions.arns(physical_id, asked), asked)
        made: str
        made, attributes = create(logical_id, props, stack_name)
        try:
            _require_read(resource_type, made, props)
        except ResourceError as error:
            # The resource exists and is recorded, so the rollback deletes it.
            keep_failed_create(stack_name, logical_id, resource_type, props, str(error), made)
            raise
        return made, attributes

    return asking


def _before_update(
    resource_type: str, permissions: _Permissions, update: Callable[..., Any]
) -> Callable[..., Any]:
    def asking(physical_id: str, old: Props, new: Props, *more: Any) -> Any:
        before, after = _without_system_tags(old), _without_system_tags(new)
        changes = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        needed = _actions({**permissions.given, **permissions.changed}, changes)
        if "Tags" in changes and _tag_keys(after):
            needed += _tagging(resource_type)
        added, dropped = _policies(after) - _policies(before), _policies(before) - _policies(after)
        asked = {**after, _POLICIES: sorted(added)}
        _require(needed, permissions.arns(physical_id, after), asked)
        if dropped:
            _require(
                _actions(permissions.cleared, [_POLICIES]),
                permissions.arns(physical_id, after),
                {_POLICIES: sorted(dropped)},
            )
        removed = _tag_keys(before) - _tag_keys(after)
        if removed:
            gone = {"aws:TagKeys": sorted(removed)}
            untagging = _tagging(resource_type, removes=True)
            _require(untagging, permissions.arns(physical_id, after), {}, gone)
        return update(physical_id, old, new, *more)

    return asking


def _before_delete(permissions: _Permissions, delete: Callable[..., Any]) -> Callable[..., Any]:
    def asking(physical_id: str, props: Props) -> Any:
        needed = [*_actions(permissions.cleared, props), *permissions.delete]
        # The evaluator uses the resource's current tags, which may differ from the template's.
        asked = {_POLICIES: sorted(_policies(props))}
        _require(needed, permissions.arns(physical_id, props), asked)
        if refusal := permissions.refuses(physical_id):
            raise ResourceError(ServiceError("InvalidParametersException", refusal))
        return delete(physical_id, props)

    return asking


def handler_permissions(resource_type: str, handler: str) -> list[str]:
    """Return the IAM actions that a type's handler may call, without names unknown to IAM."""
    return [*filter(is_action, resource_schemas.permissions(resource_type, handler))]


def _tagging(resource_type: str, *, removes: bool = False) -> list[str]:
    """Return the actions to remove tags of a type, or those to add and change them."""
    listed = handler_permissions(resource_type, "tagging")
    return [action for action in listed if (":Untag" in action or ":Delete" in action) == removes]


def _require_read(resource_type: str, physical_id: str, props: Props) -> None:
    arns = _TYPES[resource_type].arns(physical_id, props)
    _require(handler_permissions(resource_type, "read"), arns, {})


# --- Fn::GetAtt ---------------------------------------------------------------------------------


def _ask_at_each_getatt() -> None:
    """Authorize the read of every attribute that a stack operation resolves.

    CloudFormation serves Fn::GetAtt by the type's read handler (AWS Knowledge Center,
    "cloudformation-attribute-key-error"; aws-cloudformation/aws-cloudformation-resource-providers-
    sns#49). An update reads all of them again, so it fails if a resource was deleted outside
    CloudFormation.
    """
    resolve = engine._resolve_refs
    assert stacks._resolve_refs is resolve
    assert list(signature(resolve).parameters)[:2] == ["value", "resources"]
    code = resolve.__code__
    assert "Attributes" in code.co_consts, "MiniStack keeps attributes elsewhere now"
    assert "_resolve_refs" in code.co_names, "MiniStack resolves what is nested elsewhere now"

    def asking(value: Any, resources: Mapping[str, Any], *more: Any) -> Any:
        return resolve(value, _Resources(resources), *more)

    stacks._resolve_refs = asking


class _Resources(dict[str, Any]):
    """A stack's resources, which require the read permission for each attribute."""

    def __init__(self, resources: Mapping[str, Any]) -> None:
        super().__init__(
            {
                name: {**record, "Attributes": _Attributes(record)}
                if record.get("ResourceType") in _TYPES
                else record
                for name, record in resources.items()
            }
        )


class _Attributes(dict[str, Any]):
    def __init__(self, record: Mapping[str, Any]) -> None:
        super().__init__(record["Attributes"])
        self._record = record

    def __getitem__(self, name: str) -> Any:
        record = self._record
        resource_type = record["ResourceType"]
        try:
            _require_read(resource_type, record["PhysicalResourceId"], record["Properties"])
        except ResourceError as error:
            # As in reports of it, such as "Unable to retrieve Arn attribute for
            # AWS::Logs::LogGroup, with error message Access denied for operation ...".
            raise ValueError(
                f"Unable to retrieve {name} attribute for {resource_type}, with error message "
                f"{error.refusal.message}"
            ) from error
        return super().__getitem__(name)


# --- Permissions --------------------------------------------------------------------------------


def _without_system_tags(props: Props) -> Props:
    """Remove the tags that CloudFormation adds, which need no permission."""
    tags = [tag for tag in props.get("Tags", []) if not tag["Key"].startswith(_SYSTEM_TAGS)]
    others = {key: value for key, value in props.items() if key != "Tags"}
    return {**others, "Tags": tags} if tags else others


def _tag_keys(props: Props) -> set[str]:
    return {tag["Key"] for tag in props.get("Tags", [])}


def _policies(props: Props) -> set[str]:
    return set(props.get(_POLICIES, []))


def _actions(by_property: Mapping[str, str], properties: Container[str]) -> list[str]:
    return [action for key, action in by_property.items() if key in properties]


def _require(
    actions: list[str], arns: list[str], props: Props, more: Mapping[str, list[str]] | None = None
) -> None:
    caller = json_service.current_caller()
    context = {**dict(_context(props)), **(more or {})}
    for action in actions:
        for arn in arns if resource_kinds(action) else ["*"]:
            for policy in _each_policy(action, props):
                try:
                    caller.require(action, arn, {**_boundary(action, arn), **context, **policy})
                except ServiceError as error:
                    raise ResourceError(error) from error


def _each_policy(action: str, props: Props) -> list[dict[str, list[str]]]:
    """Return the condition keys of the calls for a role's managed policies, one per policy."""
    if action not in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
        return [{}]
    return [{"iam:PolicyARN": [arn]} for arn in props[_POLICIES]]


def _boundary(action: str, arn: str) -> dict[str, list[str]]:
    """Return iam:PermissionsBoundary of the role in a call.

    It is a condition key of every action that changes a role's policies [authorization reference].
    """
    if not (
        action.startswith("iam:") and action.endswith(("RolePolicy", "RolePermissionsBoundary"))
    ):
        return {}
    bounded = (iam._roles.get(arn.rpartition("/")[2]) or {}).get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": [bounded]} if bounded else {}


def _context(props: Props) -> Iterator[tuple[str, list[str]]]:
    tags = {tag["Key"]: str(tag["Value"]) for tag in props.get("Tags", [])}
    if tags:
        yield "aws:TagKeys", list(tags)
    for key, value in tags.items():
        yield f"aws:RequestTag/{key}", [value]
    if props.get("PermissionsBoundary"):
        yield "iam:PermissionsBoundary", [props["PermissionsBoundary"]]


def _arn(service: str, resource: str) -> str:
    caller = json_service.current_caller()
    partition = caller.arn.split(":")[1]
    where = {"iam": f":{caller.account}", "s3": ":"}.get(
        service, f"{caller.region}:{caller.account}"
    )
    return f"arn:{partition}:{service}:{where}:{resource}"


def _role(physical_id: str, props: Props) -> list[str]:
    known = iam._roles.get(physical_id)
    return [known["Arn"] if known else _arn("iam", f"role{props.get('Path', '/')}{physical_id}")]


def _roles_of_policy(_physical_id: str, props: Props) -> list[str]:
    return [arn for name in props.get("Roles", []) for arn in _role(name, {})]


def _key(physical_id: str, _props: Props) -> list[str]:
    return [_arn("kms", f"key/{physical_id}")]


def _alias_and_key(physical_id: str, props: Props) -> list[str]:
    target = str(props.get("TargetKeyId", ""))
    key = target if target.startswith("arn:") else _arn("kms", f"key/{target}")
    return [_arn("kms", physical_id), *([key] if target else [])]


def _bucket(physical_id: str, _props: Props) -> list[str]:
    return [_arn("s3", physical_id)]


def _bucket_of_policy(_physical_id: str, props: Props) -> list[str]:
    return [_arn("s3", str(props["Bucket"]))]


def _topic(physical_id: str, _props: Props) -> list[str]:
    return [physical_id if physical_id.startswith("arn:") else _arn("sns", physical_id)]


def _topic_of_subscription(_physical_id: str, props: Props) -> list[str]:
    return [str(props["TopicArn"])]


def _config(physical_id: str, _props: Props) -> list[str]:
    if physical_id.startswith("arn:"):
        return [physical_id]
    return [_arn("sagemaker", f"notebook-instance-lifecycle-config/{physical_id.lower()}")]


def _unless_confirmed(physical_id: str) -> str:
    """Return the reason if a subscription cannot be deleted: it is not confirmed.

    E-mail addresses are never confirmed here, as if the owner did not open the link
    (aws-cloudformation-resource-providers-sns, DeleteHandler of subscriptions).
    """
    topic = sns._topics.get(sns._sub_arn_to_topic.get(physical_id, ""), {"subscriptions": []})
    for each in topic["subscriptions"]:
        pending = not each["confirmed"] or each["protocol"].startswith("email")
        if each["arn"] == physical_id and pending:
            return f"subscription {physical_id} cannot be deleted if pending confirmation"
    return ""


# The IAM actions of the API operations for each property [registry schemas,
# handlers.permissions].
_TYPES = {
    "AWS::IAM::Role": _Permissions(
        arns=_role,
        name="RoleName",
        name_length=64,
        create=("iam:CreateRole",),
        delete=("iam:DeleteRole",),
        given={
            "Policies": "iam:PutRolePolicy",
            _POLICIES: "iam:AttachRolePolicy",
        },
        changed={
            "AssumeRolePolicyDocument": "iam:UpdateAssumeRolePolicy",
            "Description": "iam:UpdateRole",
            "MaxSessionDuration": "iam:UpdateRole",
            "PermissionsBoundary": "iam:PutRolePermissionsBoundary",
        },
        cleared={
            "Policies": "iam:DeleteRolePolicy",
            _POLICIES: "iam:DetachRolePolicy",
        },
    ),
    "AWS::IAM::Policy": _Permissions(
        arns=_roles_of_policy,
        create=("iam:PutRolePolicy",),
        delete=("iam:DeleteRolePolicy",),
        changed={"PolicyDocument": "iam:PutRolePolicy", "Roles": "iam:PutRolePolicy"},
    ),
    "AWS::KMS::Key": _Permissions(
        arns=_key,
        create=("kms:CreateKey",),
        delete=("kms:ScheduleKeyDeletion",),
        given={"EnableKeyRotation": "kms:EnableKeyRotation"},
        changed={"KeyPolicy": "kms:PutKeyPolicy", "Description": "kms:UpdateKeyDescription"},
    ),
    "AWS::KMS::Alias": _Permissions(
        arns=_alias_and_key,
        name="AliasName",
        create=("kms:CreateAlias",),
        delete=("kms:DeleteAlias",),
        changed={"TargetKeyId": "kms:UpdateAlias"},
    ),
    "AWS::S3::Bucket": _Permissions(
        arns=_bucket,
        name="BucketName",
        name_length=63,
        lower_case=True,
        create=("s3:CreateBucket",),
        delete=("s3:DeleteBucket",),
        given={
            "BucketEncryption": "s3:PutEncryptionConfiguration",
            "LifecycleConfiguration": "s3:PutLifecycleConfiguration",
            "LoggingConfiguration": "s3:PutBucketLogging",
            "OwnershipControls": "s3:PutBucketOwnershipControls",
            "PublicAccessBlockConfiguration": "s3:PutBucketPublicAccessBlock",
            "VersioningConfiguration": "s3:PutBucketVersioning",
        },
    ),
    "AWS::S3::BucketPolicy": _Permissions(
        arns=_bucket_of_policy,
        create=("s3:PutBucketPolicy",),
        delete=("s3:DeleteBucketPolicy",),
        changed={"PolicyDocument": "s3:PutBucketPolicy"},
    ),
    "AWS::SNS::Topic": _Permissions(
        arns=_topic,
        name="TopicName",
        name_length=256,
        create=("sns:CreateTopic",),
        delete=("sns:DeleteTopic",),
        changed={
            "DisplayName": "sns:SetTopicAttributes",
            "KmsMasterKeyId": "sns:SetTopicAttributes",
        },
    ),
    "AWS::SNS::Subscription": _Permissions(
        arns=_topic_of_subscription,
        create=("sns:Subscribe",),
        delete=("sns:GetSubscriptionAttributes", "sns:Unsubscribe"),
        changed={"Endpoint": "sns:Subscribe"},
        refuses=_unless_confirmed,
    ),
    # Its operations are authorized by their own service.
    "AWS::SageMaker::NotebookInstanceLifecycleConfig": _Permissions(
        arns=_config, name="NotebookInstanceLifecycleConfigName", name_length=63, lower_case=True
    ),
}
