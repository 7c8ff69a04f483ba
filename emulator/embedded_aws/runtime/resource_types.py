"""CloudFormation resource types that MiniStack lacks, put where it looks for its own."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from ministack.services.cloudformation import provisioners, stacks


def install(types: Mapping[str, Mapping[str, Any]]) -> None:
    """Teach MiniStack's CloudFormation these types, by their names.

    A type has the functions `create`, `update` and `delete`, and in `create_only` the properties
    whose change replaces the resource.
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
    # A stack's tags reach these, too [registry schemas, tagging.taggable].
    for name in ("AWS::S3::Bucket", "AWS::SageMaker::NotebookInstanceLifecycleConfig"):
        assert name not in provisioners._STACK_TAG_PROPERTY, f"MiniStack tags {name} now"
        provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "list")
    # The operations block on their service's lock, so the event loop must not run them.
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in types or blocks(name)


def _parameters(function: Callable[..., Any]) -> str:
    return " ".join(signature(function).parameters)
