"""Registration of CloudFormation resource types that MiniStack lacks."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from ministack.services.cloudformation import provisioners, stacks


def install(types: Mapping[str, Mapping[str, Any]]) -> None:
    """Add these types, by name, to MiniStack's CloudFormation.

    A type has the functions `create`, `update` and `delete`. A change of a property in
    `create_only` replaces the resource.
    """
    handlers = provisioners._RESOURCE_HANDLERS
    assert _parameters(provisioners._provision_resource) == (
        "resource_type logical_id props stack_name"
    )
    assert _parameters(provisioners._update_resource) == (
        "resource_type physical_id old_props new_props stack_name logical_id old_attrs"
    )
    assert _parameters(stacks._runs_on_worker_thread) == "resource_type"
    for name, entry in types.items():
        assert name not in handlers, f"MiniStack has {name} of its own now"
        handlers[name] = {key: value for key, value in entry.items() if key != "create_only"}
        provisioners._REPLACING_PROPERTIES[name] = entry["create_only"]
    # Stack tags are added to these types, too [registry schemas, tagging.taggable].
    for name in ("AWS::S3::Bucket", "AWS::SageMaker::NotebookInstanceLifecycleConfig"):
        assert name not in provisioners._STACK_TAG_PROPERTY, f"MiniStack tags {name} now"
        provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "list")
    # The operations wait for their service's lock, so they must not run on the event loop.
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in types or blocks(name)


def _parameters(function: Callable[..., Any]) -> str:
    return " ".join(signature(function).parameters)
