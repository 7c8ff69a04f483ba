"""Nested stacks, which their parent creates, updates and deletes as complete stacks.

MiniStack creates the resources of a nested stack in a loop of its own, without rules, exports,
deletion policies and rollback, and always reports it as deleted. Here the parent calls CreateStack,
UpdateStack and DeleteStack, and waits. GetTemplate returns templates with real S3 URLs.
"""

import asyncio
import random
import re
import string
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import get_region
from ministack.services import cloudformation
from ministack.services.cloudformation import handlers, provisioners

Props = Mapping[str, Any]
Provisioned = tuple[str, dict[str, str]]
Request = dict[str, list[str]]

_STACK = "AWS::CloudFormation::Stack"
# In XML, a quotation mark of JSON is &quot;.
_ENDPOINT = re.compile(rb"(TemplateURL\S*\s+(?:&quot;)?)http://[^/\s]+/")

_ministack_get_template = handlers._ACTION_HANDLERS["GetTemplate"]


def install() -> None:
    """Replace the nested stacks of MiniStack's CloudFormation."""
    entry = provisioners._RESOURCE_HANDLERS[_STACK]
    assert entry["create"] is provisioners._cfn_nested_stack_create
    assert entry["update"] is provisioners._cfn_nested_stack_update
    assert entry["delete"] is provisioners._cfn_nested_stack_delete
    entry |= {"create": _create, "update": _update, "delete": _delete}
    assert _ministack_get_template is handlers._get_template
    handlers._ACTION_HANDLERS["GetTemplate"] = _get_template


def _get_template(params: Mapping[str, Any]) -> Any:
    # `sam deploy` writes its S3 endpoint into TemplateURL, and `sam delete` reads S3's URLs only.
    status, headers, body = _ministack_get_template(params)
    s3 = f"https://s3.{get_region()}.amazonaws.com/".encode()
    return status, headers, _ENDPOINT.sub(rb"\1" + s3, body)


def _create(logical_id: str, props: Props, parent: str) -> Provisioned:
    suffix = "".join(random.choices(string.ascii_uppercase + string.digits, k=12))  # noqa: S311 - a name
    name = f"{parent[:90]}-{logical_id[:24]}-{suffix}"  # 128 characters at most
    _perform(handlers._create_stack, _request(name, props, parent))
    child = cloudformation._stacks[name]
    if child["StackStatus"] != "CREATE_COMPLETE":
        reason = _failed(child, "CREATE_FAILED")
        _perform(handlers._delete_stack, {"StackName": [child["StackId"]]})
        raise ValueError(
            f"Embedded stack {child['StackId']} was not successfully created: "
            f"The following resource(s) failed to create: {reason}."
        )
    return child["StackId"], _outputs(child)


def _update(stack_id: str, _old: Props, new: Props, parent: str) -> Provisioned:
    child = _of_id(stack_id)
    try:
        _perform(handlers._update_stack, _request(stack_id, new, parent))
    except ValueError as error:
        if "No updates are to be performed" not in str(error):
            raise
        return stack_id, _outputs(child)
    if child["StackStatus"] != "UPDATE_COMPLETE":
        raise ValueError(
            f"Embedded stack {stack_id} was not successfully updated. Currently in "
            f"{child['StackStatus']} with reason: The following resource(s) failed to update: "
            f"{_failed(child, 'UPDATE_FAILED', 'CREATE_FAILED')}."
        )
    return stack_id, _outputs(child)


def _delete(stack_id: str, _props: Props) -> None:
    _perform(handlers._delete_stack, {"StackName": [stack_id]})
    child = _of_id(stack_id)
    if child["StackStatus"] != "DELETE_COMPLETE":
        reason = child["StackStatusReason"]
        raise ValueError(f"Embedded stack {stack_id} was not successfully deleted: {reason}")


def _perform(operation: Callable[[Request], Any], request: Request) -> None:
    """Perform an operation on a stack, wait for its end and raise its error.

    Each nested stack has its own thread and event loop. Its tasks inherit the context, so they have
    the caller's permissions.
    """

    async def until_it_ends() -> None:
        status, _, body = operation(request)
        if status >= 400:
            message = re.search(r"<Message>(.*?)</Message>", body.decode(), re.DOTALL)
            raise ValueError(message[1] if message else body.decode())
        while under_way := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*under_way)

    asyncio.run(until_it_ends())


def _request(name: str, props: Props, parent: str) -> Request:
    parameters = props.get("Parameters", {})
    if any(isinstance(value, list) for value in parameters.values()):
        raise ValueError(
            "Value of property Parameters must be an object with String (or simple type) properties"
        )
    tags = {
        tag["Key"]: tag["Value"]
        for tag in props.get("Tags", [])
        if not tag["Key"].startswith("aws:")  # those of the parent, which the child sets again
    }
    request = {"StackName": [name], "TemplateURL": [props["TemplateURL"]]}
    for number, (key, value) in enumerate(parameters.items(), start=1):
        request[f"Parameters.member.{number}.ParameterKey"] = [key]
        request[f"Parameters.member.{number}.ParameterValue"] = [_text(value)]
    for number, (key, value) in enumerate(tags.items(), start=1):
        request[f"Tags.member.{number}.Key"] = [key]
        request[f"Tags.member.{number}.Value"] = [str(value)]
    acknowledged = cloudformation._stacks[parent].get("Capabilities", [])
    for number, capability in enumerate(acknowledged, start=1):
        request[f"Capabilities.member.{number}"] = [capability]
    return request


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_id(stack_id: str) -> dict[str, Any]:
    stack: dict[str, Any] = handlers._resolve_stack(stack_id)
    return stack


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {f"Outputs.{each['OutputKey']}": each["OutputValue"] for each in stack["Outputs"]}


def _failed(stack: Mapping[str, Any], *statuses: str) -> str:
    """Name the resources that failed in the latest operation, as CloudFormation lists them."""
    names: list[str] = []
    for event in cloudformation._stack_events[stack["StackId"]]:
        name, status = event["LogicalResourceId"], event["ResourceStatus"]
        if name == stack["StackName"] and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            names.clear()
        elif name != stack["StackName"] and status in statuses:
            names.append(name)
    return f"[{', '.join(names)}]"
