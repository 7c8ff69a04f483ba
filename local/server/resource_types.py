"""CloudFormation resource types that MiniStack lacks: the catalog's and lifecycle configurations.

Each acts through the service's own operations, with the rights of whoever asked CloudFormation for
the stack. Names, replacement and return values are those of the CloudFormation registry's schemas.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any
from uuid import uuid4

from ministack.services.cloudformation import provisioners, stacks

from local.catalog.model import PRODUCT_FIELDS
from local.server import json_service, stack_permissions
from local.server.stack_permissions import ResourceError
from local.service_model import ServiceError

Props = dict[str, Any]
# A physical id (what Ref gives) and what Fn::GetAtt gives.
Provisioned = tuple[str, dict[str, str]]

_CATALOG = "servicecatalog"


def install() -> None:
    """Teach MiniStack's CloudFormation the types, and to ask IAM about those it knows."""
    stack_permissions.install()
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
        handlers[name] = {key: entry[key] for key in ("create", "update", "delete")}
        provisioners._REPLACING_PROPERTIES[name] = entry["create_only"]
    # The operations block on their service's lock, so the event loop must not run them.
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in _TYPES or blocks(name)


def _parameters(function: Callable[..., Any]) -> str:
    return " ".join(signature(function).parameters)


def _call(service: str, operation: str, **params: Any) -> dict[str, Any]:
    given = {key: value for key, value in params.items() if value is not None}
    try:
        return json_service.call(service, operation, given, json_service.current_caller())
    except ServiceError as error:
        raise ResourceError(error) from error


_catalog = partial(_call, _CATALOG)


def _delete(service: str, operation: str, **params: Any) -> None:
    """Delete; what is gone already is as good as deleted."""
    try:
        _call(service, operation, **params)
    except ResourceError as error:
        refusal = error.__cause__
        assert isinstance(refusal, ServiceError)
        gone = refusal.code == "ResourceNotFoundException" or "RecordNotFound" in refusal.message
        if not gone:
            raise


# --- AWS::ServiceCatalog::Portfolio ------------------------------------------------------------


def _create_portfolio(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    answer = _catalog(
        "CreatePortfolio",
        **_only(props, "DisplayName", "ProviderName", "Description", "Tags"),
        IdempotencyToken=uuid4().hex,
    )
    return answer["PortfolioDetail"]["Id"], {"PortfolioName": props["DisplayName"]}


def _update_portfolio(physical_id: str, old: Props, new: Props, _stack_name: str) -> Provisioned:
    _catalog(
        "UpdatePortfolio",
        Id=physical_id,
        **_only(new, "DisplayName", "ProviderName"),
        Description=new.get("Description", "" if "Description" in old else None),
        **_tag_changes(old, new),
    )
    return physical_id, {"PortfolioName": new["DisplayName"]}


def _delete_portfolio(physical_id: str, _props: Props) -> None:
    _delete(_CATALOG, "DeletePortfolio", Id=physical_id)


# --- AWS::ServiceCatalog::CloudFormationProduct ------------------------------------------------


def _create_product(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    first, *others = _artifacts(props)
    answer = _catalog(
        "CreateProduct",
        **_only(props, *PRODUCT_FIELDS, "Tags"),
        ProductType=props.get("ProductType", "CLOUD_FORMATION_TEMPLATE"),
        ProvisioningArtifactParameters=first,
        IdempotencyToken=uuid4().hex,
    )
    product_id = answer["ProductViewDetail"]["ProductViewSummary"]["ProductId"]
    for artifact in others:
        _create_artifact(product_id, artifact)
    return product_id, _product_attributes(product_id)


def _update_product(physical_id: str, old: Props, new: Props, _stack_name: str) -> Provisioned:
    """Change the product; artifacts are matched by template address and name.

    An artifact that matches keeps its identifier; with ReplaceProvisioningArtifacts none does.
    """
    removed = {field: "" for field in PRODUCT_FIELDS if field in old and field not in new}
    _catalog(
        "UpdateProduct",
        Id=physical_id,
        **_only(new, *PRODUCT_FIELDS),
        **removed,
        **_tag_changes(old, new),
    )
    listed = _catalog("ListProvisioningArtifacts", ProductId=physical_id)
    ids = {found["Name"]: found["Id"] for found in listed["ProvisioningArtifactDetails"]}
    before = {_identity(artifact): artifact for artifact in _artifacts(old)}
    if str(new.get("ReplaceProvisioningArtifacts", False)).lower() == "true":
        kept = set()
    else:
        kept = before.keys() & {_identity(artifact) for artifact in _artifacts(new)}
    for artifact in _artifacts(new):
        if _identity(artifact) not in kept:
            _create_artifact(physical_id, artifact)
        elif artifact.get("Description") != before[_identity(artifact)].get("Description"):
            _catalog(
                "UpdateProvisioningArtifact",
                ProductId=physical_id,
                ProvisioningArtifactId=ids[artifact["Name"]],
                Description=artifact.get("Description", ""),
            )
    for identity, artifact in before.items():
        if identity not in kept and artifact["Name"] in ids:
            _catalog(
                "DeleteProvisioningArtifact",
                ProductId=physical_id,
                ProvisioningArtifactId=ids[artifact["Name"]],
            )
    return physical_id, _product_attributes(physical_id)


def _delete_product(physical_id: str, _props: Props) -> None:
    _delete(_CATALOG, "DeleteProduct", Id=physical_id)


def _artifacts(props: Props) -> list[Props]:
    return [
        {
            "Name": f"v{number}",
            **artifact,
            "DisableTemplateValidation": (
                str(artifact.get("DisableTemplateValidation", False)).lower() == "true"
            ),
            "Type": artifact.get("Type", "CLOUD_FORMATION_TEMPLATE"),
        }
        for number, artifact in enumerate(props["ProvisioningArtifactParameters"], start=1)
    ]


def _identity(artifact: Props) -> tuple[str, str]:
    return artifact["Info"].get("LoadTemplateFromURL", ""), artifact["Name"]


def _create_artifact(product_id: str, artifact: Props) -> None:
    _catalog(
        "CreateProvisioningArtifact",
        ProductId=product_id,
        Parameters=artifact,
        IdempotencyToken=uuid4().hex,
    )


def _product_attributes(product_id: str) -> dict[str, str]:
    view = _catalog("DescribeProductAsAdmin", Id=product_id)
    artifacts = view["ProvisioningArtifactSummaries"]
    return {
        "ProductName": view["ProductViewDetail"]["ProductViewSummary"]["Name"],
        "ProvisioningArtifactIds": ",".join(artifact["Id"] for artifact in artifacts),
        "ProvisioningArtifactNames": ",".join(artifact["Name"] for artifact in artifacts),
    }


# --- associations: every property is create-only -----------------------------------------------


def _associate(operation: str, *keys: str) -> Callable[[str, Props, str], Provisioned]:
    def create(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
        _catalog(operation, **_only(props, *keys))
        return "|".join(props[key] for key in keys[:2]), {}

    return create


def _disassociate(operation: str, *keys: str) -> Callable[[str, Props], None]:
    def delete(physical_id: str, props: Props) -> None:
        # The rollback of a creation has no properties to give.
        _delete(
            _CATALOG,
            operation,
            **dict(zip(keys, physical_id.split("|"), strict=False)) | _only(props, *keys),
        )

    return delete


def _unchanged(physical_id: str, _old: Props, _new: Props, _stack_name: str) -> Provisioned:
    return physical_id, {}


# --- constraints -------------------------------------------------------------------------------


def _launch_role(props: Props) -> Props:
    return _only(props, "RoleArn", "LocalRoleName")


def _template_rules(props: Props) -> Props:
    rules = props["Rules"]
    return {"Rules": json.loads(rules) if isinstance(rules, str) else rules}


def _notifications(props: Props) -> Props:
    return _only(props, "NotificationArns")


def _constraint(kind: str, parameters: Callable[[Props], Props]) -> dict[str, Any]:
    def create(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
        answer = _catalog(
            "CreateConstraint",
            **_only(props, "PortfolioId", "ProductId", "Description"),
            Type=kind,
            Parameters=json.dumps(parameters(props)),
            IdempotencyToken=uuid4().hex,
        )
        return answer["ConstraintDetail"]["ConstraintId"], {}

    def update(physical_id: str, _old: Props, new: Props, _stack_name: str) -> Provisioned:
        _catalog(
            "UpdateConstraint",
            Id=physical_id,
            Description=new.get("Description", ""),
            Parameters=json.dumps(parameters(new)),
        )
        return physical_id, {}

    def delete(physical_id: str, _props: Props) -> None:
        _delete(_CATALOG, "DeleteConstraint", Id=physical_id)

    return {
        "create": create,
        "update": update,
        "delete": delete,
        "create_only": ("PortfolioId", "ProductId"),
    }


# --- AWS::ServiceCatalog::TagOption ------------------------------------------------------------


def _create_tag_option(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    answer = _catalog("CreateTagOption", **_only(props, "Key", "Value"))
    physical_id = answer["TagOptionDetail"]["Id"]
    return _update_tag_option(physical_id, {}, props, "")


def _update_tag_option(physical_id: str, _old: Props, new: Props, _stack_name: str) -> Provisioned:
    active = str(new.get("Active", True)).lower() == "true"
    _catalog("UpdateTagOption", Id=physical_id, Active=active)
    return physical_id, {}


def _delete_tag_option(physical_id: str, _props: Props) -> None:
    _delete(_CATALOG, "DeleteTagOption", Id=physical_id)


# --- AWS::SageMaker::NotebookInstanceLifecycleConfig -------------------------------------------


def _create_lifecycle_config(logical_id: str, props: Props, stack_name: str) -> Provisioned:
    # In lower case, for a deletion has the ARN alone, in which SageMaker lowers the name.
    name = props.get("NotebookInstanceLifecycleConfigName") or provisioners._physical_name(
        stack_name, logical_id, max_len=63, lowercase=True
    )
    answer = _call(
        "sagemaker",
        "CreateNotebookInstanceLifecycleConfig",
        NotebookInstanceLifecycleConfigName=name,
        **_only(props, "OnCreate", "OnStart", "Tags"),
    )
    return _lifecycle_config(answer["NotebookInstanceLifecycleConfigArn"], name)


def _update_lifecycle_config(
    physical_id: str, old: Props, new: Props, _stack_name: str
) -> Provisioned:
    name = _lifecycle_config_name(physical_id, new)
    _call(
        "sagemaker",
        "UpdateNotebookInstanceLifecycleConfig",
        NotebookInstanceLifecycleConfigName=name,
        **{
            hook: new.get(hook, [])
            for hook in ("OnCreate", "OnStart")
            if hook in old or hook in new
        },
    )
    return _lifecycle_config(physical_id, name)


def _delete_lifecycle_config(physical_id: str, props: Props) -> None:
    _delete(
        "sagemaker",
        "DeleteNotebookInstanceLifecycleConfig",
        NotebookInstanceLifecycleConfigName=_lifecycle_config_name(physical_id, props),
    )


def _lifecycle_config_name(arn: str, props: Props) -> str:
    return str(props.get("NotebookInstanceLifecycleConfigName") or arn.rpartition("/")[2])


def _lifecycle_config(arn: str, name: str) -> Provisioned:
    return arn, {
        "NotebookInstanceLifecycleConfigName": name,
        "NotebookInstanceLifecycleConfigArn": arn,
    }


# --- shared ------------------------------------------------------------------------------------


def _only(props: Mapping[str, Any], *keys: str) -> Props:
    return {key: props[key] for key in keys if key in props}


def _tag_changes(old: Props, new: Props) -> Props:
    before, after = (
        {tag["Key"]: tag["Value"] for tag in props.get("Tags", [])} for props in (old, new)
    )
    added = [
        {"Key": key, "Value": value} for key, value in after.items() if before.get(key) != value
    ]
    removed = [key for key in before if key not in after]
    changes = {"AddTags": added, "RemoveTags": removed}
    return {key: value for key, value in changes.items() if value}


_TYPES: dict[str, dict[str, Any]] = {
    "AWS::ServiceCatalog::Portfolio": {
        "create": _create_portfolio,
        "update": _update_portfolio,
        "delete": _delete_portfolio,
        "create_only": (),
    },
    "AWS::ServiceCatalog::CloudFormationProduct": {
        "create": _create_product,
        "update": _update_product,
        "delete": _delete_product,
        "create_only": (),
    },
    "AWS::ServiceCatalog::PortfolioProductAssociation": {
        "create": _associate("AssociateProductWithPortfolio", "PortfolioId", "ProductId"),
        "update": _unchanged,
        "delete": _disassociate("DisassociateProductFromPortfolio", "PortfolioId", "ProductId"),
        "create_only": ("PortfolioId", "ProductId", "SourcePortfolioId", "AcceptLanguage"),
    },
    "AWS::ServiceCatalog::PortfolioPrincipalAssociation": {
        "create": _associate(
            "AssociatePrincipalWithPortfolio", "PortfolioId", "PrincipalARN", "PrincipalType"
        ),
        "update": _unchanged,
        "delete": _disassociate(
            "DisassociatePrincipalFromPortfolio", "PortfolioId", "PrincipalARN", "PrincipalType"
        ),
        "create_only": ("PortfolioId", "PrincipalARN", "PrincipalType", "AcceptLanguage"),
    },
    "AWS::ServiceCatalog::LaunchRoleConstraint": _constraint("LAUNCH", _launch_role),
    "AWS::ServiceCatalog::LaunchTemplateConstraint": _constraint("TEMPLATE", _template_rules),
    "AWS::ServiceCatalog::LaunchNotificationConstraint": _constraint(
        "NOTIFICATION", _notifications
    ),
    "AWS::ServiceCatalog::TagOption": {
        "create": _create_tag_option,
        "update": _update_tag_option,
        "delete": _delete_tag_option,
        "create_only": ("Key", "Value"),
    },
    "AWS::ServiceCatalog::TagOptionAssociation": {
        "create": _associate("AssociateTagOptionWithResource", "TagOptionId", "ResourceId"),
        "update": _unchanged,
        "delete": _disassociate("DisassociateTagOptionFromResource", "TagOptionId", "ResourceId"),
        "create_only": ("TagOptionId", "ResourceId"),
    },
    "AWS::SageMaker::NotebookInstanceLifecycleConfig": {
        "create": _create_lifecycle_config,
        "update": _update_lifecycle_config,
        "delete": _delete_lifecycle_config,
        "create_only": ("NotebookInstanceLifecycleConfigName",),
    },
}
