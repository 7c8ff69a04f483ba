"""CloudFormation resource types that MiniStack lacks, put where it looks for its own."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from ministack.services.cloudformation import provisioners, stacks

from embedded_aws.ministack_fixes import query_definitions, stack_permissions
from embedded_aws.sagemaker_notebooks import sagemaker_types
from embedded_aws.service_catalog import catalog_types
from embedded_aws.ssm_automation import document_types

_TYPES: dict[str, dict[str, Any]] = {
    **catalog_types.TYPES,
    **document_types.TYPES,
    **query_definitions.TYPES,
    **sagemaker_types.TYPES,
}


def install() -> None:
    """Teach MiniStack's CloudFormation the types, and to ask IAM about those it knows."""
    handlers = provisioners._RESOURCE_HANDLERS
    assert _parameters(provisioners._provision_resource) == (
        "resource_type logical_id props stack_name"
    )
    assert _parameters(provisioners._update_resource) == (
        "resource_type physical_id old_props new_props stack_name logical_id old_attrs"
    )
    assert _parameters(stacks._runs_on_worker_thread) == "resource_type"
    for name, entry in _TYPES.items():
        assert name not in handlers, f"MiniStack has {name} of its own now"
        handlers[name] = {key: value for key, value in entry.items() if key != "create_only"}
        provisioners._REPLACING_PROPERTIES[name] = entry["create_only"]
    # A stack's tags reach these, too [registry schemas, tagging.taggable].
    for name in ("AWS::S3::Bucket", "AWS::SageMaker::NotebookInstanceLifecycleConfig"):
        assert name not in provisioners._STACK_TAG_PROPERTY, f"MiniStack tags {name} now"
        provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "list")
    stack_permissions.install()
    # The operations block on their service's lock, so the event loop must not run them.
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in _TYPES or blocks(name)


def _parameters(function: Callable[..., Any]) -> str:
    return " ".join(signature(function).parameters)
