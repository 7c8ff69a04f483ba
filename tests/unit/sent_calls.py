"""Every call to AWS in src/, parsed from the source."""

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

import botocore.session
from botocore import xform_name

from tests.project import ROOT


class Call(NamedTuple):
    """A call to AWS in the code."""

    service: str
    operation: str
    parameters: tuple[str, ...]
    where: str


def calls() -> Iterator[Call]:
    """Yield every call to AWS in src/ with the names of its parameters."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text())
        clients = {
            ast.literal_eval(node.args[0])
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "boto3.client"
        }
        for shared in ("dynamodb", "s3"):  # whose modules hand out their client
            if f"{shared}.client()" in ast.unparse(tree):
                clients.add(shared)
        for service in clients:
            operations = {
                xform_name(operation): operation for operation in model(service).operation_names
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and (name := called(node)) in operations:
                    # boto3 sends PaginationConfig as other parameters.
                    named = (each.arg for each in node.keywords if each.arg)
                    keywords = tuple(name for name in named if name != "PaginationConfig")
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield Call(service, operations[name], keywords, where)


def called(node: ast.Call) -> str:
    """Return the boto3 method that a node calls, or '' for any other call."""
    match node.func:
        case ast.Attribute(attr="paginate", value=ast.Call(args=[ast.Constant(value=str(name))])):
            return name
        case ast.Attribute(attr=str(name)):
            return name
    return ""


def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)
