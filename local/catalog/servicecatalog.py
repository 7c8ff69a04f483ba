"""Service Catalog inside MiniStack: the catalog simulator behind IAM, its stacks in CloudFormation.

A provisioned product's stack is made through MiniStack's own endpoint with credentials of the
launch role, so that IAM decides about each call as it would on AWS.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import botocore.exceptions
from botocore import xform_name
from ministack import app
from ministack.core import concurrency, iam_evaluator
from ministack.services import cloudformation, iam, s3, sts
from ministack.services.cloudformation import engine, handlers

from local.catalog.access import session_role
from local.catalog.model import Caller, Launch, StackRequest, StackState
from local.catalog.service import Catalog
from local.server import json_service
from local.service_model import ServiceError

SERVICE = "servicecatalog"
_PRINCIPAL = "servicecatalog.amazonaws.com"
_POLL_SECONDS = 0.25

# Which portfolio or product an operation is authorized on [service authorization reference]:
# the parameter with its id, and the one with its name. The others take no resource.
_PORTFOLIO_OPERATIONS = {
    "CreatePortfolio": "",
    "UpdatePortfolio": "Id",
    "DeletePortfolio": "Id",
    "DescribePortfolio": "Id",
    "AssociatePrincipalWithPortfolio": "PortfolioId",
    "DisassociatePrincipalFromPortfolio": "PortfolioId",
    "ListPrincipalsForPortfolio": "PortfolioId",
}
_PRODUCT_OPERATIONS = {
    "CreateProduct": ("", ""),
    "UpdateProduct": ("Id", ""),
    "DeleteProduct": ("Id", ""),
    "DescribeProduct": ("Id", "Name"),
    "DescribeProductAsAdmin": ("Id", "Name"),
    "ListPortfoliosForProduct": ("ProductId", ""),
    "CreateProvisioningArtifact": ("ProductId", ""),
    "UpdateProvisioningArtifact": ("ProductId", ""),
    "DeleteProvisioningArtifact": ("ProductId", ""),
    "DescribeProvisioningArtifact": ("ProductId", "ProductName"),
    "ListProvisioningArtifacts": ("ProductId", ""),
    "CreateConstraint": ("ProductId", ""),
    "ListLaunchPaths": ("ProductId", ""),
    "DescribeProvisioningParameters": ("ProductId", "ProductName"),
    "ProvisionProduct": ("ProductId", "ProductName"),
}
_TAG_OPTION_OPERATIONS = ("AssociateTagOptionWithResource", "DisassociateTagOptionFromResource")
# Judged by who made the provisioned product: servicecatalog:{account,role,user}Level.
_OWNED_OPERATIONS = (
    "UpdateProvisionedProduct",
    "TerminateProvisionedProduct",
    "DescribeProvisionedProduct",
    "GetProvisionedProductOutputs",
    "DescribeRecord",
)
_LISTING_OPERATIONS = (
    "SearchProvisionedProducts",
    "ScanProvisionedProducts",
    "ListRecordHistory",
)
_OTHER_OPERATIONS = (
    "ListPortfolios",
    "AssociateProductWithPortfolio",
    "DisassociateProductFromPortfolio",
    "SearchProductsAsAdmin",
    "UpdateConstraint",
    "DeleteConstraint",
    "DescribeConstraint",
    "ListConstraintsForPortfolio",
    "CreateTagOption",
    "UpdateTagOption",
    "DeleteTagOption",
    "DescribeTagOption",
    "ListTagOptions",
    "SearchProducts",
    "DescribeProductView",
)
OPERATIONS = (
    *_PORTFOLIO_OPERATIONS,
    *_PRODUCT_OPERATIONS,
    *_TAG_OPTION_OPERATIONS,
    *_OWNED_OPERATIONS,
    *_LISTING_OPERATIONS,
    *_OTHER_OPERATIONS,
)

_catalogs: dict[tuple[str, str], Catalog] = {}
# Of stacks about to be created or updated, by name: tags that CloudFormation takes from Service
# Catalog and refuses from everybody else.
_auto_tags: dict[str, list[dict[str, str]]] = {}


def install() -> None:
    """Serve Service Catalog in this MiniStack process."""
    operations = {operation: _operation(operation) for operation in OPERATIONS}
    json_service.register(SERVICE, "AWS242ServiceCatalogService", operations, _authorize)
    for action in ("CreateStack", "UpdateStack"):
        _take_auto_tags(action)


def _operation(operation: str) -> json_service.Operation:
    method = xform_name(operation)

    def run(params: dict[str, Any], caller: json_service.Caller) -> dict[str, Any]:
        catalog = _catalog(caller)
        with catalog.lock:
            answer: dict[str, Any] = getattr(catalog, method)(params, caller)
            return answer

    assert hasattr(Catalog, method), method
    return run


def _catalog(caller: json_service.Caller) -> Catalog:
    key = (caller.account, caller.region)
    if key not in _catalogs:
        _catalogs[key] = Catalog(
            account=caller.account,
            region=caller.region,
            partition=caller.arn.split(":")[1],
            stacks=LaunchedStacks(),
            run=lambda work: concurrency.spawn_background(work, thread_name="servicecatalog"),
            clock=time.time,
        )
    return _catalogs[key]


def _authorize(
    operation: str, params: dict[str, Any], caller: json_service.Caller
) -> tuple[str, json_service.Context]:
    catalog = _catalog(caller)
    with catalog.lock:
        if operation in _OWNED_OPERATIONS:
            return "*", catalog.access_levels(params, caller.arn)
        if operation in _LISTING_OPERATIONS:
            wanted = params.get("AccessLevelFilter", {"Key": "User", "Value": "self"})
            key = f"servicecatalog:{wanted.get('Key', 'User').lower()}Level"
            return "*", {key: [wanted.get("Value", "self")]}
        kind, identifier = _resource(operation, params, catalog)
        if not kind:
            return "*", {}
        tags = catalog.resource_tags(identifier)
        context = {f"aws:ResourceTag/{key}": [value] for key, value in tags.items()}
        return catalog.arn_of(kind, identifier), context


def _resource(operation: str, params: Mapping[str, Any], catalog: Catalog) -> tuple[str, str]:
    if operation in _PORTFOLIO_OPERATIONS:
        # What is yet to be created is authorized on any of its kind.
        return "portfolio", params.get(_PORTFOLIO_OPERATIONS[operation], "*")
    if operation in _PRODUCT_OPERATIONS:
        id_key, name_key = _PRODUCT_OPERATIONS[operation]
        named = params.get(name_key)
        identifier = catalog.product_id_named(named) if named else params.get(id_key)
        return "product", identifier or "*"
    if operation in _TAG_OPTION_OPERATIONS:
        identifier = params["ResourceId"]
        return "portfolio" if identifier.startswith("port-") else "product", identifier
    return "", ""


@dataclass(frozen=True)
class _Session:
    client: Any
    caller: json_service.Caller


class LaunchedStacks:
    """The stacks of provisioned products, in this process's CloudFormation."""

    def __init__(self) -> None:
        self._sessions: dict[Launch, _Session] = {}

    def create(self, launch: Launch, request: StackRequest) -> str:
        """Start creating the stack; returns its id."""
        more = {"NotificationARNs": list(request.notification_arns)}
        answer = self._ask_for("create_stack", launch, request, StackName=request.name, **more)
        return str(answer["StackId"])

    def update(self, launch: Launch, stack_id: str, request: StackRequest) -> bool:
        """Start updating the stack; False when there is nothing to update."""
        try:
            self._ask_for("update_stack", launch, request, StackName=stack_id)
        except ServiceError as error:
            if "No updates are to be performed" in error.message:
                return False
            raise
        return True

    def delete(self, launch: Launch, stack_id: str) -> None:
        """Start deleting the stack."""
        _ask(self._open(launch).client, "delete_stack", StackName=stack_id)

    def describe(self, launch: Launch, stack_id: str) -> StackState:
        """Tell how the stack is; a stack that is gone is DELETE_COMPLETE."""
        client = self._sessions[launch].client
        try:
            stack = _ask(client, "describe_stacks", StackName=stack_id)["Stacks"][0]
        except ServiceError as error:
            if "does not exist" in error.message:
                return StackState("DELETE_COMPLETE")
            raise
        status = stack["StackStatus"]
        failure = ""
        if status.endswith(("_FAILED", "ROLLBACK_COMPLETE")):
            events = _ask(client, "describe_stack_events", StackName=stack_id)["StackEvents"]
            failure = failure_reason(events) or stack.get("StackStatusReason", "")
        return StackState(
            status=status,
            outputs=tuple(
                {
                    "OutputKey": output["OutputKey"],
                    "OutputValue": output["OutputValue"],
                    "Description": output.get("Description", ""),
                }
                for output in stack.get("Outputs", [])
            ),
            failure=failure,
        )

    def wait(self) -> None:
        """Pass the time until it is worth looking again."""
        time.sleep(_POLL_SECONDS)

    def template(self, url: str, reader: Caller | None = None) -> dict[str, Any]:
        """Read and parse the template at an S3 address, as `reader` or Service Catalog itself."""
        bucket, key = s3_object(url)
        if reader:
            reader.require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        body = s3._get_object_data(bucket, key)
        if body is None:
            raise ServiceError("InvalidParametersException", f"S3 error: no template at {url}")
        try:
            template: dict[str, Any] = engine._parse_template(body.decode())
        except ValueError as error:
            message = f"Template format error: {error}"
            raise ServiceError("InvalidParametersException", message) from error
        return template

    def _ask_for(
        self, operation: str, launch: Launch, request: StackRequest, **more: Any
    ) -> dict[str, Any]:
        session = self._open(launch)
        bucket, key = s3_object(request.template_url)
        session.caller.require(
            "s3:GetObject",
            # Launches read Service Catalog's own copy, which bears this tag; the administrator
            # guide's launch role is granted by it ("AWS Service Catalog Launch Constraints").
            f"arn:aws:s3:::sc-{session.caller.account}-artifacts/{request.artifact_id}",
            {"s3:ExistingObjectTag/servicecatalog:provisioning": ["true"]},
        )
        url = f"https://s3.amazonaws.com/{bucket}/{key}"
        summary = _ask(session.client, "get_template_summary", TemplateURL=url)
        _auto_tags[request.name] = _tags_where(request, automatic=True)
        try:
            return _ask(
                session.client,
                operation,
                TemplateURL=url,
                Capabilities=summary.get("Capabilities", []),
                Parameters=[
                    {"ParameterKey": key, "UsePreviousValue": True}
                    if value is None
                    else {"ParameterKey": key, "ParameterValue": value}
                    for key, value in request.parameters.items()
                ],
                Tags=_tags_where(request, automatic=False),
                **more,
            )
        finally:
            _auto_tags.pop(request.name, None)

    def _open(self, launch: Launch) -> _Session:
        """Begin a session as `launch`, in place of the one of its last operation."""
        assert isinstance(launch.caller, json_service.Caller)
        keys = _credentials(launch.role_arn, launch.caller)
        if launch in self._sessions:
            self._sessions.pop(launch).client.close()
        client = boto3.session.Session().client(
            "cloudformation",
            endpoint_url=f"http://127.0.0.1:{app._resolve_port()}",
            region_name=launch.caller.region,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
        )
        caller = replace(launch.caller, access_key=keys.access_key_id, arn=keys.principal_arn)
        self._sessions[launch] = _Session(client, caller)
        return self._sessions[launch]


def s3_object(url: str) -> tuple[str, str]:
    """Return bucket and key of an S3 object's address, virtual-hosted or path-style.

    Raises ServiceError(InvalidParametersException) for anything else.
    """
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
    bucket, dot, service = host.partition(".s3")
    if parts.scheme == "https" and not parts.query and "." in host:
        if dot and service[:1] in (".", "-") and path:
            return bucket, path
        if host.startswith(("s3.", "s3-")) and "/" in path:
            bucket, _, key = path.partition("/")
            return bucket, key
    raise ServiceError("InvalidParametersException", f"Not the address of an S3 object: {url}")


def failure_reason(events: list[dict[str, Any]]) -> str:
    """Return why a stack's last operation failed: the reason of its first failed resource.

    `events` as DescribeStackEvents gives them, newest first. Resources that were only cancelled
    because another failed tell nothing.
    """
    reason = ""
    for event in events:
        of_stack = event["PhysicalResourceId"] == event["StackId"]
        if of_stack and event.get("ResourceStatusReason") == "User Initiated":
            break
        if (
            not of_stack
            and event["ResourceStatus"].endswith("_FAILED")
            and "cancelled" not in event.get("ResourceStatusReason", "")
        ):
            reason = event.get("ResourceStatusReason", "")
    return reason


def _take_auto_tags(action: str) -> None:
    original = handlers._ACTION_HANDLERS[action]
    assert list(signature(original).parameters) == ["params"], action

    def handle(params: Mapping[str, Any]) -> Any:
        answer = original(params)
        stack = handlers._resolve_stack(handlers._p(params, "StackName"))
        tags = _auto_tags.pop(stack["StackName"], None) if stack else None
        if tags and answer[0] == 200:
            # In place: the stack's task, scheduled by this call and not begun, shares the list and
            # passes it to the stack's resources.
            stack["Tags"] += tags
        return answer

    assert cloudformation._ACTION_HANDLERS is handlers._ACTION_HANDLERS
    handlers._ACTION_HANDLERS[action] = handle


def _ask(client: Any, operation: str, **arguments: Any) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(client, operation)(**arguments)
    except botocore.exceptions.ClientError as error:
        told, metadata = error.response["Error"], error.response["ResponseMetadata"]
        # As Service Catalog words what CloudFormation refuses.
        raise ServiceError(
            told["Code"],
            f"AmazonCloudFormationException {told['Message']} (Service: AmazonCloudFormation; "
            f"Status Code: {metadata['HTTPStatusCode']}; Error Code: {told['Code']}; "
            f"Request ID: {metadata.get('RequestId')}; Proxy: null)",
        ) from error
    return answer


def _tags_where(request: StackRequest, *, automatic: bool) -> list[dict[str, str]]:
    return [
        {"Key": key, "Value": value}
        for key, value in request.tags.items()
        if key.startswith("aws:") == automatic
    ]


def _credentials(role_arn: str | None, caller: json_service.Caller) -> Any:
    key = caller.access_key if role_arn is None else _assume(role_arn, caller)
    found = iam_evaluator.resolve_credential(key, caller.account)
    if isinstance(found, iam_evaluator.CredentialResolutionError):
        raise ServiceError(found.code, found.message)
    return found


def _assume(role_arn: str, caller: json_service.Caller) -> str:
    """Assume the launch role as Service Catalog does; returns the session's access key."""
    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    role = iam._roles.get_scoped(account, None, name)
    if role is None or role["Arn"] != role_arn or not _trusts_service_catalog(role, caller):
        raise ServiceError("AccessDenied", f"Access denied while assuming the role {role_arn}")
    session_arn = f"arn:{role_arn.split(':')[1]}:sts::{account}:assumed-role/{name}/servicecatalog"
    assert session_role(session_arn) == f"{account}:role/{name}"
    access_key = f"ASIA{secrets.token_hex(8).upper()}"
    sts.register_session(
        access_key,
        {
            "Arn": session_arn,
            "UserId": f"{role['RoleId']}:servicecatalog",
            "SecretAccessKey": secrets.token_urlsafe(30),
            "SessionToken": secrets.token_urlsafe(60),
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return access_key


def _trusts_service_catalog(role: Mapping[str, Any], caller: json_service.Caller) -> bool:
    document = role["AssumeRolePolicyDocument"]
    statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    ours = []
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal")
        named = principal.get("Service", []) if isinstance(principal, dict) else principal
        # MiniStack lets any service named stand for the account's root, so only ours is kept.
        if named in ("*", _PRINCIPAL) or (isinstance(named, list) and _PRINCIPAL in named):
            ours.append({**statement, "Principal": "*"})
    context = iam_evaluator.EvalContext(
        principal_arn=caller.arn,
        principal_type="Service",
        principal_account=caller.account,
        action="sts:AssumeRole",
        resource_arn=role["Arn"],
        region=caller.region,
        service_context={"aws:sourceaccount": caller.account},
    )
    return bool(iam_evaluator.evaluate_trust_policy({"Statement": ours}, caller.arn, context))
