"""AWS::SageMaker: the resource type of lifecycle configurations, which MiniStack lacks."""

from typing import Any

from ministack.services.cloudformation import provisioners

from embedded_aws.runtime.resource_calls import Props, Provisioned, call, delete, only, tag_changes


def _create_lifecycle_config(logical_id: str, props: Props, stack_name: str) -> Provisioned:
    # In lower case, for a deletion has the ARN alone, in which SageMaker lowers the name.
    name = props.get("NotebookInstanceLifecycleConfigName") or provisioners._physical_name(
        stack_name, logical_id, max_len=63, lowercase=True
    )
    answer = call(
        "sagemaker",
        "CreateNotebookInstanceLifecycleConfig",
        NotebookInstanceLifecycleConfigName=name,
        **only(props, "OnCreate", "OnStart"),
        Tags=_tags(props) or None,
    )
    return _lifecycle_config(answer["NotebookInstanceLifecycleConfigArn"])


def _update_lifecycle_config(
    physical_id: str, old: Props, new: Props, _stack_name: str
) -> Provisioned:
    name = _lifecycle_config_name(physical_id, new)
    call(
        "sagemaker",
        "UpdateNotebookInstanceLifecycleConfig",
        NotebookInstanceLifecycleConfigName=name,
        **{
            hook: new.get(hook, [])
            for hook in ("OnCreate", "OnStart")
            if hook in old or hook in new
        },
    )
    changes = tag_changes({"Tags": _tags(old)}, {"Tags": _tags(new)})
    if "AddTags" in changes:
        call("sagemaker", "AddTags", ResourceArn=physical_id, Tags=changes["AddTags"])
    if "RemoveTags" in changes:
        call("sagemaker", "DeleteTags", ResourceArn=physical_id, TagKeys=changes["RemoveTags"])
    return _lifecycle_config(physical_id)


def _tags(props: Props) -> list[dict[str, str]]:
    """Return the tags but those of AWS's own services, which no caller can give."""
    return [tag for tag in props.get("Tags", []) if not tag["Key"].startswith("aws:")]


def _delete_lifecycle_config(physical_id: str, props: Props) -> None:
    delete(
        "sagemaker",
        "DeleteNotebookInstanceLifecycleConfig",
        NotebookInstanceLifecycleConfigName=_lifecycle_config_name(physical_id, props),
    )


def _lifecycle_config_name(arn: str, props: Props) -> str:
    return str(props.get("NotebookInstanceLifecycleConfigName") or arn.rpartition("/")[2])


def _lifecycle_config(arn: str) -> Provisioned:
    """Return what Ref and Fn::GetAtt give: the registry's type has no other attribute."""
    return arn, {"NotebookInstanceLifecycleConfigArn": arn}


TYPES: dict[str, dict[str, Any]] = {
    "AWS::SageMaker::NotebookInstanceLifecycleConfig": {
        "create": _create_lifecycle_config,
        "update": _update_lifecycle_config,
        "delete": _delete_lifecycle_config,
        "create_only": ("NotebookInstanceLifecycleConfigName",),
    },
}
