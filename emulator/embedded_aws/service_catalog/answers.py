"""What Service Catalog's operations answer, refusals included, and how they choose and page it."""

from __future__ import annotations

import random
import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog.model import (
    Artifact,
    Params,
    Portfolio,
    Product,
    ProvisionedProduct,
)


def new_id(prefix: str) -> str:
    """Return an id that nothing has yet, in the form of Service Catalog's."""
    alphabet = string.ascii_lowercase + string.digits
    return f"{prefix}-{''.join(random.choices(alphabet, k=13))}"  # noqa: S311 - a name, no secret


def not_found(message: str) -> ServiceError:
    """Return the error for a thing that does not exist."""
    return ServiceError("ResourceNotFoundException", message)


def invalid(message: str) -> ServiceError:
    """Return the error for a request that cannot be served."""
    return ServiceError("InvalidParametersException", message)


def no_launch_path(product_id: str) -> ServiceError:
    """Return the error for a product that the caller may not launch."""
    return not_found(f"No launch paths found for resource: {product_id}")


def unknown_name(name: str) -> ServiceError:
    """Return the error for a product's name that the caller cannot see."""
    return not_found(f"Product with name {name} does not exist or access was denied.")


def chosen(params: Params, *keys: str) -> dict[str, str]:
    """Return those of the parameters that are given."""
    return {key: params[key] for key in keys if key in params}


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Return a request's tags by their keys.

    Raises ServiceError for tags that CloudFormation would refuse, in its words
    (aws-quickstart/quickstart-examples#39, cilium/cilium#44695).
    """
    keys = [tag["Key"] for tag in tags or ()]
    if any(key.lower().startswith("aws:") for key in keys):
        raise invalid("aws: prefixed tag key names are not allowed for external use.")
    if len(set(keys)) < len(keys):
        raise invalid("Tags contain duplicate keys; tag keys must be unique")
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def parameter_map(parameters: Iterable[Mapping[str, Any]] | None) -> dict[str, str | None]:
    """Return provisioning parameters by their keys. None stands for the previous value.

    "If set to true, Value is ignored" (UpdateProvisioningParameter, UsePreviousValue). Raises
    ServiceError for one without a value, in words that AWS does not document.
    """
    given: dict[str, str | None] = {}
    for parameter in parameters or ():
        if not parameter.get("UsePreviousValue") and "Value" not in parameter:
            raise invalid(f"Parameter {parameter['Key']} must have a value")
        given[parameter["Key"]] = None if parameter.get("UsePreviousValue") else parameter["Value"]
    return given


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as the API lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def retag(tags: dict[str, str], params: Params) -> None:
    """Apply the RemoveTags and AddTags of an update."""
    for key in params.get("RemoveTags", ()):
        tags.pop(key, None)
    tags |= tag_map(params.get("AddTags"))


def page(key: str, items: list[Any], params: Params) -> Params:
    """Return a page of a list; its token is the number of items before it."""
    first = int(params.get("PageToken", 0))
    last = first + (params.get("PageSize") or len(items))
    more = {"NextPageToken": str(last)} if last < len(items) else {}
    return {key: items[first:last], **more}


def portfolio_detail(portfolio: Portfolio) -> Params:
    """Return a PortfolioDetail."""
    return {
        "Id": portfolio.id,
        "ARN": portfolio.arn,
        "CreatedTime": portfolio.created,
        **portfolio.detail,
    }


def product_view_summary(product: Product) -> Params:
    """Return a ProductViewSummary."""
    detail = dict(product.detail)
    return {
        "Id": product.id.replace("prod-", "prodview-"),
        "ProductId": product.id,
        "Type": "CLOUD_FORMATION_TEMPLATE",
        "HasDefaultPath": False,
        "ShortDescription": detail.pop("Description", ""),
        **detail,
    }


def artifact_detail(artifact: Artifact) -> Params:
    """Return a ProvisioningArtifactDetail."""
    return {
        "Id": artifact.id,
        "Name": artifact.name,
        "Description": artifact.description,
        "Type": "CLOUD_FORMATION_TEMPLATE",
        "CreatedTime": artifact.created,
        "Active": artifact.active,
        "Guidance": artifact.guidance,
    }


def artifact_answer(artifact: Artifact) -> Params:
    """Return the answer of the operations on one artifact."""
    return {
        "ProvisioningArtifactDetail": artifact_detail(artifact),
        "Info": {"TemplateUrl": artifact.url},
        "Status": "AVAILABLE",
    }


def artifact_of(product: Product, params: Params) -> Artifact:
    """Return the artifact that the parameters name; raises ServiceError."""
    if ("ProvisioningArtifactId" in params) == ("ProvisioningArtifactName" in params):
        raise invalid("Specify either ProvisioningArtifactId or ProvisioningArtifactName")
    wanted = params.get("ProvisioningArtifactId") or params["ProvisioningArtifactName"]
    named = "ProvisioningArtifactName" in params
    found = [a for a in product.artifacts.values() if (a.name if named else a.id) == wanted]
    if not found:
        raise not_found(f"ProvisioningArtifact {wanted} not found.")
    if len(found) > 1:
        raise invalid(f"Multiple Provisioning Artifact with name {wanted} found.")
    return found[0]


def active_artifact(product: Product, params: Params) -> Artifact:
    """Return the artifact that the parameters name, if it is active; raises ServiceError.

    "End users cannot launch or update a provisioned product from an inactive provisioning
    artifact" (UpdateProvisioningArtifact).
    """
    artifact = artifact_of(product, params)
    if not artifact.active:
        raise not_found(f"ProvisioningArtifact {artifact.id} is not active.")
    return artifact


def refuse_deprecated(artifact: Artifact) -> None:
    """Raise ServiceError for a version that nobody may launch, or update to, any more.

    A provisioned product of a deprecated version can still be updated, with that version or
    another one (administrator guide, "Managing versions"). The error's words are not documented.
    """
    if artifact.guidance == "DEPRECATED":
        raise invalid(f"ProvisioningArtifact {artifact.id} is deprecated.")


def provisioned_detail(provisioned: ProvisionedProduct) -> Params:
    """Return a ProvisionedProductDetail."""
    detail = {
        "Name": provisioned.name,
        "Arn": provisioned.arn,
        "Type": "CFN_STACK",
        "Id": provisioned.id,
        "Status": provisioned.status,
        "CreatedTime": provisioned.created,
        "IdempotencyToken": provisioned.token,
        "LastRecordId": provisioned.last_record_id,
        "LastProvisioningRecordId": provisioned.last_provisioning_record_id,
        "ProductId": provisioned.product_id,
        "ProvisioningArtifactId": provisioned.artifact_id,
    }
    if provisioned.status_message:
        detail["StatusMessage"] = provisioned.status_message
    if provisioned.last_successful_provisioning_record_id:
        detail["LastSuccessfulProvisioningRecordId"] = (
            provisioned.last_successful_provisioning_record_id
        )
    return detail


def template_parameters(template: Mapping[str, Any]) -> Iterator[Params]:
    """Yield a ProvisioningArtifactParameter for each parameter of a template."""
    limits = (
        "AllowedPattern",
        "ConstraintDescription",
        "MaxLength",
        "MinLength",
        "MaxValue",
        "MinValue",
    )
    for key, declared in template.get("Parameters", {}).items():
        constraints: Params = {limit: str(declared[limit]) for limit in limits if limit in declared}
        constraints["AllowedValues"] = [str(v) for v in declared.get("AllowedValues", [])]
        yield {
            "ParameterKey": key,
            "ParameterType": declared["Type"],
            "IsNoEcho": str(declared.get("NoEcho", False)).lower() == "true",
            "Description": declared.get("Description", ""),
            "ParameterConstraints": constraints,
            **({"DefaultValue": str(declared["Default"])} if "Default" in declared else {}),
        }


def template_outputs(template: Mapping[str, Any]) -> Iterator[Params]:
    """Yield a ProvisioningArtifactOutput for each output of a template."""
    for key, declared in template.get("Outputs", {}).items():
        yield {"Key": key, "Description": declared.get("Description", "")}


def text_found(params: Params, detail: Mapping[str, str]) -> bool:
    """Apply the filters of SearchProducts: FullTextSearch over the fields, Owner exactly."""
    filters = params.get("Filters", {})
    text = " ".join(detail.values()).lower()
    owners = filters.get("Owner", [detail["Owner"]])
    return detail["Owner"] in owners and all(
        word.lower() in text for word in filters.get("FullTextSearch", [])
    )


def query_found(query: str, item: Params) -> bool:
    """Apply one SearchQuery of SearchProvisionedProducts: "field:value", or text in any field."""
    key, colon, value = query.partition(":")
    fields = {name.lower(): str(found) for name, found in item.items()}
    if colon and key.lower() in fields:
        return fields[key.lower()] == value
    return any(query.lower() in found.lower() for found in fields.values())
