"""Saved queries of CloudWatch Logs Insights, and their resource type, which MiniStack lacks."""

import re
import time
from typing import Any
from uuid import uuid4

from ministack.services import cloudwatch_logs

from embedded_aws.runtime import json_service
from embedded_aws.runtime.resource_calls import Props, Provisioned, call, delete, only
from embedded_aws.runtime.service_model import ServiceError

Params = dict[str, Any]

# The registry's schema of AWS::Logs::QueryDefinition.
_NAME = re.compile(r"([^:*/]+/?)*[^:*/]+")
_MOST_LOG_GROUPS = 50  # StartQuery, logGroupNames
_MOST_DEFINITIONS = 1000  # "CloudWatch Logs quotas": saved queries in a Region

_definitions: dict[tuple[str, str], dict[str, Params]] = {}


def install() -> None:
    """Serve the operations on saved queries."""
    operations = {
        "PutQueryDefinition": _put,
        "DescribeQueryDefinitions": _describe,
        "DeleteQueryDefinition": _delete,
    }
    json_service.extend("logs", operations, _authorize, cloudwatch_logs.handle_request)


def _authorize(
    _operation: str, _params: Params, _caller: json_service.Caller
) -> tuple[str, json_service.Context]:
    return "*", {}  # service authorization reference: they have no resource type


def _of(caller: json_service.Caller) -> dict[str, Params]:
    return _definitions.setdefault((caller.account, caller.region), {})


def _put(params: Params, caller: json_service.Caller) -> Params:
    known, id_ = _of(caller), params.get("queryDefinitionId")
    if id_ is not None and id_ not in known:
        raise ServiceError("ResourceNotFoundException", f"There is no query definition {id_}.")
    if not _NAME.fullmatch(params["name"]):
        raise ServiceError("InvalidParameterException", f"Invalid name: {params['name']}")
    groups = params.get("logGroupNames", [])
    if len(groups) > _MOST_LOG_GROUPS:
        raise ServiceError("InvalidParameterException", "A query reads 50 log groups at most.")
    if id_ is None and len(known) >= _MOST_DEFINITIONS:
        raise ServiceError("LimitExceededException", "Resource limit exceeded.")
    id_ = id_ or str(uuid4())
    known[id_] = {
        "queryDefinitionId": id_,
        "name": params["name"],
        "queryString": params["queryString"],
        "logGroupNames": groups,
        "lastModified": int(time.time() * 1000),
    }
    return {"queryDefinitionId": id_}


def _describe(params: Params, caller: json_service.Caller) -> Params:
    prefix = params.get("queryDefinitionNamePrefix", "")
    found = [each for each in _of(caller).values() if each["name"].startswith(prefix)]
    ordered = sorted(found, key=lambda each: str(each["name"]))
    start, size = int(params.get("nextToken") or 0), params.get("maxResults", 1000)
    more = {"nextToken": str(start + size)} if start + size < len(ordered) else {}
    return {"queryDefinitions": ordered[start : start + size], **more}


def _delete(params: Params, caller: json_service.Caller) -> Params:
    if _of(caller).pop(params["queryDefinitionId"], None) is None:
        raise ServiceError("ResourceNotFoundException", "There is no such query definition.")
    return {"success": True}


# --- AWS::Logs::QueryDefinition -----------------------------------------------------------------


def _asked(props: Props) -> Params:
    names = {"Name": "name", "QueryString": "queryString", "LogGroupNames": "logGroupNames"}
    return {names[key]: value for key, value in only(props, *names).items()}


def _create_definition(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    id_ = call("logs", "PutQueryDefinition", **_asked(props))["queryDefinitionId"]
    return id_, {"QueryDefinitionId": id_}


def _update_definition(physical_id: str, _old: Props, new: Props, _stack: str) -> Provisioned:
    call("logs", "PutQueryDefinition", **_asked(new), queryDefinitionId=physical_id)
    return physical_id, {"QueryDefinitionId": physical_id}


def _delete_definition(physical_id: str, _props: Props) -> None:
    delete("logs", "DeleteQueryDefinition", queryDefinitionId=physical_id)


TYPES: dict[str, dict[str, Any]] = {
    "AWS::Logs::QueryDefinition": {
        "create": _create_definition,
        "update": _update_definition,
        "delete": _delete_definition,
        "create_only": (),
    },
}
