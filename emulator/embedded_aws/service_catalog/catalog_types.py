"""AWS::ServiceCatalog: the catalog's resource types, which MiniStack lacks.

Names, replacement and return values are those of the CloudFormation registry's schemas.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from embedded_aws.runtime.resource_calls import Props, Provisioned, call, delete, only, tag_changes
from embedded_aws.service_catalog.model import PRODUCT_FIELDS

_catalog = partial(call, "servicecatalog")
_delete = partial(delete, "servicecatalog")


# --- AWS::ServiceCatalog::Portfolio ------------------------------------------------------------


def _create_portfolio(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    answer = _catalog(
        "CreatePortfolio",
        **only(props, "DisplayName", "ProviderName", "Description", "Tags"),
        IdempotencyToken=uuid4().hex,
    )
    return answer["PortfolioDetail"]["Id"], {"PortfolioName": props["DisplayName"]}


def _update_portfolio(physical_id: str, old: Props, new: Props, _stack_name: str) -> Provisioned:
    _catalog(
        "UpdatePortfolio",
        Id=physical_id,
        **only(new, "DisplayName", "ProviderName"),
        Description=new.get("Description", "" if "Description" in old else None),
        **tag_changes(old, new),
    )
    return physical_id, {"PortfolioName": new["DisplayName"]}


def _delete_portfolio(physical_id: str, _props: Props) -> None:
    _delete("DeletePortfolio", Id=physical_id)


# --- AWS::ServiceCatalog::CloudFormationProduct ------------------------------------------------


def _create_product(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    first, *others = _artifacts(props)
    answer = _catalog(
        "CreateProduct",
        **only(props, *PRODUCT_FIELDS, "Tags"),
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
        **only(new, *PRODUCT_FIELDS),
        **removed,
        **tag_changes(old, new),
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
    _delete("DeleteProduct", Id=physical_id)


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


def _associate(
    operation: str, *keys: str, identifying: int = 2
) -> Callable[[str, Props, str], Provisioned]:
    def create(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
        _catalog(operation, **only(props, *keys))
        return "|".join(props[key] for key in keys[:identifying]), {}

    return create


def _disassociate(operation: str, *keys: str) -> Callable[[str, Props], None]:
    def delete(physical_id: str, props: Props) -> None:
        # The rollback of a creation has no properties to give.
        _delete(
            operation,
            **dict(zip(keys, physical_id.split("|"), strict=False)) | only(props, *keys),
        )

    return delete


def _unchanged(physical_id: str, _old: Props, _new: Props, _stack_name: str) -> Provisioned:
    return physical_id, {}


# --- constraints -------------------------------------------------------------------------------


def _launch_role(props: Props) -> Props:
    return only(props, "RoleArn", "LocalRoleName")


def _template_rules(props: Props) -> Props:
    rules = props["Rules"]
    return {"Rules": json.loads(rules) if isinstance(rules, str) else rules}


def _notifications(props: Props) -> Props:
    return only(props, "NotificationArns")


def _constraint(kind: str, parameters: Callable[[Props], Props]) -> dict[str, Any]:
    def create(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
        answer = _catalog(
            "CreateConstraint",
            **only(props, "PortfolioId", "ProductId", "Description"),
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
        _delete("DeleteConstraint", Id=physical_id)

    return {
        "create": create,
        "update": update,
        "delete": delete,
        "create_only": ("PortfolioId", "ProductId"),
    }


# --- AWS::ServiceCatalog::TagOption ------------------------------------------------------------


def _create_tag_option(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    answer = _catalog("CreateTagOption", **only(props, "Key", "Value"))
    physical_id = answer["TagOptionDetail"]["Id"]
    return _update_tag_option(physical_id, {}, props, "")


def _update_tag_option(physical_id: str, _old: Props, new: Props, _stack_name: str) -> Provisioned:
    active = str(new.get("Active", True)).lower() == "true"
    _catalog("UpdateTagOption", Id=physical_id, Active=active)
    return physical_id, {}


def _delete_tag_option(physical_id: str, _props: Props) -> None:
    _delete("DeleteTagOption", Id=physical_id)


# --- AWS::ServiceCatalog::ServiceAction --------------------------------------------------------


def _create_action(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    answer = _catalog(
        "CreateServiceAction",
        **only(props, "Name", "Description", "DefinitionType"),
        Definition=_definition(props),
        IdempotencyToken=uuid4().hex,
    )
    return _action(answer["ServiceActionDetail"]["ServiceActionSummary"]["Id"])


def _update_action(physical_id: str, _old: Props, new: Props, _stack_name: str) -> Provisioned:
    _catalog(
        "UpdateServiceAction",
        Id=physical_id,
        Name=new["Name"],
        Description=new.get("Description", ""),
        Definition=_definition(new),
    )
    return _action(physical_id)


def _delete_action(physical_id: str, _props: Props) -> None:
    _delete("DeleteServiceAction", Id=physical_id)


def _definition(props: Props) -> dict[str, str]:
    return {entry["Key"]: entry["Value"] for entry in props["Definition"]}


def _action(action_id: str) -> Provisioned:
    return action_id, {"Id": action_id}


# --- AWS::ServiceCatalog::PortfolioShare -------------------------------------------------------


def _create_share(_logical_id: str, props: Props, _stack_name: str) -> Provisioned:
    # The handlers of the registry look first, so that permission is needed too.
    _catalog("DescribePortfolioShares", **only(props, "PortfolioId"), Type="ACCOUNT")
    options = str(props.get("ShareTagOptions", False)).lower() == "true"
    _catalog(
        "CreatePortfolioShare", **only(props, "PortfolioId", "AccountId"), ShareTagOptions=options
    )
    return f"{props['PortfolioId']}|{props['AccountId']}", {}


def _update_share(physical_id: str, _old: Props, new: Props, _stack_name: str) -> Provisioned:
    options = str(new.get("ShareTagOptions", False)).lower() == "true"
    _catalog(
        "UpdatePortfolioShare", **only(new, "PortfolioId", "AccountId"), ShareTagOptions=options
    )
    return physical_id, {}


def _delete_share(physical_id: str, _props: Props) -> None:
    portfolio_id, account_id = physical_id.split("|")
    _delete("DeletePortfolioShare", PortfolioId=portfolio_id, AccountId=account_id)


_ACTION_VERSION = ("ProductId", "ProvisioningArtifactId", "ServiceActionId")

TYPES: dict[str, dict[str, Any]] = {
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
    "AWS::ServiceCatalog::ServiceAction": {
        "create": _create_action,
        "update": _update_action,
        "delete": _delete_action,
        "create_only": (),
    },
    "AWS::ServiceCatalog::ServiceActionAssociation": {
        "create": _associate(
            "AssociateServiceActionWithProvisioningArtifact", *_ACTION_VERSION, identifying=3
        ),
        "update": _unchanged,
        "delete": _disassociate(
            "DisassociateServiceActionFromProvisioningArtifact", *_ACTION_VERSION
        ),
        "create_only": _ACTION_VERSION,
    },
    "AWS::ServiceCatalog::PortfolioShare": {
        "create": _create_share,
        "update": _update_share,
        "delete": _delete_share,
        "create_only": ("AccountId", "PortfolioId", "AcceptLanguage"),
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
}
