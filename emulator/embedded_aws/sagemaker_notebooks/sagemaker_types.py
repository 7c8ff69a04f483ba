"""AWS::SageMaker: the resource type of lifecycle configurations, which MiniStack lacks."""

from typing import Any

from ministack.services.cloudformation import provisioners

from embedded_aws.runtime.resource_calls import Props, Provisioned, call, delete, only, tag_changes


def _create_lifecycle_config(logical_id: str, props: Props, stack_name: str) -> Provisioned:
    # In lower case: a deletion has only the ARN, in which SageMaker writes names in lower case.
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
    """Return the tags without those of AWS services, which callers cannot set."""
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
    """Return the values for Ref and Fn::GetAtt: the registry's type has only the ARN."""
    return arn, {"NotebookInstanceLifecycleConfigArn": arn}


TYPES: dict[str, dict[str, Any]] = {
    "AWS::SageMaker::NotebookInstanceLifecycleConfig": {
        "create": _create_lifecycle_config,
        "update": _update_lifecycle_config,
        "delete": _delete_lifecycle_config,
        "create_only": ("NotebookInstanceLifecycleConfigName",),
    },
}
