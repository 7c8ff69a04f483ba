"""Calls of simulated resource types to their service, with the operator's permissions."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from embedded_aws.runtime import json_service
from embedded_aws.runtime.service_model import ServiceError

Props = dict[str, Any]
# The physical ID, which Ref returns, and the attributes for Fn::GetAtt.
Provisioned = tuple[str, dict[str, str]]

# HandlerErrorCode of the CloudFormation registry, by error code of a service.
_HANDLER_CODES = {
    "AccessDeniedException": "AccessDenied",
    "DuplicateResourceException": "AlreadyExists",
    "InvalidParametersException": "InvalidRequest",
    "ResourceInUseException": "ResourceConflict",
    "ResourceLimitExceeded": "ServiceLimitExceeded",
    "ResourceNotFoundException": "NotFound",
    "ValidationException": "InvalidRequest",
}


class ResourceError(Exception):
    """A service rejected a call for a resource; the text is the event's reason as on AWS."""

    def __init__(self, refusal: ServiceError) -> None:
        self.refusal = refusal
        handler_code = _HANDLER_CODES.get(refusal.code, "GeneralServiceException")
        super().__init__(
            f'Resource handler returned message: "{refusal.message}" '
            f"(RequestToken: {uuid4()}, HandlerErrorCode: {handler_code})"
        )


def call(service: str, operation: str, **params: Any) -> dict[str, Any]:
    """Call an operation as the stack's operator, without the parameters that are None."""
    given = {key: value for key, value in params.items() if value is not None}
    try:
        return json_service.call(service, operation, given, json_service.current_caller())
    except ServiceError as error:
        raise ResourceError(error) from error


def delete(service: str, operation: str, **params: Any) -> None:
    """Call a delete operation; succeed if the resource does not exist."""
    try:
        call(service, operation, **params)
    except ResourceError as error:
        refusal = error.refusal
        gone = refusal.code == "ResourceNotFoundException" or "RecordNotFound" in refusal.message
        if not gone:
            raise


def only(props: Mapping[str, Any], *keys: str) -> Props:
    """Return the given ones of these properties."""
    return {key: props[key] for key in keys if key in props}


def tag_changes(old: Props, new: Props) -> Props:
    """Return AddTags and RemoveTags for the change from one set of tags to another."""
    before, after = (
        {tag["Key"]: tag["Value"] for tag in props.get("Tags", [])} for props in (old, new)
    )
    added = [
        {"Key": key, "Value": value} for key, value in after.items() if before.get(key) != value
    ]
    removed = [key for key in before if key not in after]
    changes = {"AddTags": added, "RemoveTags": removed}
    return {key: value for key, value in changes.items() if value}
