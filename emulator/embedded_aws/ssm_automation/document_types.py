"""AWS::SSM::Document, which MiniStack lacks."""

import json
from typing import Any

import yaml
from ministack.services.cloudformation import provisioners

from embedded_aws.runtime import json_service
from embedded_aws.runtime.resource_calls import Props, Provisioned, ResourceError, call, only
from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.ssm_automation import ssm_service

_TYPE = "AWS::SSM::Document"


def _create_document(logical_id: str, props: Props, stack_name: str) -> Provisioned:
    name = props.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=128)
    call(
        "ssm",
        "CreateDocument",
        Name=name,
        Content=_content(props),
        **only(props, "DocumentFormat", "DocumentType", "TargetType", "VersionName", "Tags"),
    )
    return name, {}


def _update_document(
    physical_id: str, old: Props, new: Props, stack_name: str, logical_id: str
) -> Provisioned:
    """Change the document as its UpdateMethod says.

    Replace, the default, replaces it, which a name of its own forbids; NewVersion makes another
    version the default one [registry schema: conditionalCreateOnlyProperties; user guide].
    """
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    if changed - {"Tags", "UpdateMethod"}:
        if new.get("UpdateMethod", "Replace") == "Replace":
            if new.get("Name") and new["Name"] == old.get("Name"):
                raise ValueError(
                    "CloudFormation cannot update a stack when a custom-named resource requires "
                    f"replacing. Rename {physical_id} and update the stack again."
                )
            replaced: Provisioned = provisioners._replace_resource(
                _TYPE, physical_id, old, new, stack_name, logical_id
            )
            return replaced
        _add_version(physical_id, new)
    if "Tags" in changed:
        tags = {tag["Key"]: tag["Value"] for tag in new.get("Tags", [])}
        try:
            ssm_service.set_tags(physical_id, tags, json_service.current_caller())
        except ServiceError as error:
            raise ResourceError(error) from error
    return physical_id, {}


def _add_version(name: str, props: Props) -> None:
    made = call(
        "ssm",
        "UpdateDocument",
        Name=name,
        Content=_content(props),
        DocumentVersion="$LATEST",
        **only(props, "DocumentFormat", "TargetType", "VersionName"),
    )
    version = made["DocumentDescription"]["DocumentVersion"]
    call("ssm", "UpdateDocumentDefaultVersion", Name=name, DocumentVersion=version)


def _delete_document(physical_id: str, _props: Props) -> None:
    try:
        call("ssm", "DeleteDocument", Name=physical_id)
    except ResourceError as error:
        refusal = error.refusal
        if refusal.code != "InvalidDocument":
            raise


def _content(props: Props) -> str:
    content = props["Content"]
    if isinstance(content, str):
        return content
    if props.get("DocumentFormat") == "YAML":
        return yaml.safe_dump(content, sort_keys=False)
    return json.dumps(content)


TYPES: dict[str, dict[str, Any]] = {
    _TYPE: {
        "create": _create_document,
        "update": _update_document,
        "update_with_logical_id": True,
        "delete": _delete_document,
        "create_only": ("Name", "DocumentType"),
    },
}
