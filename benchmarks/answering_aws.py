"""An AWS on loopback that answers at once, for functions that are measured and not judged.

Every call gets an answer of the right shape, about one notebook, its stack and its launch. The
results do not matter. Each function must run its whole path, with all the clients it needs, and
never wait. Only the ledger keeps its data.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

# Services that sign their requests with another name than boto3 has for them.
_BOTO3_NAMES = {"states": "stepfunctions", "tagging": "resourcegroupstaggingapi"}
_CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request")

Item = dict[str, Any]


@dataclass
class AnsweringAws:
    """The answers and the record of the calls.

    Attributes:
        url: where it listens.
        notebook: the description that SageMaker returns for any notebook, with its `Tags`.
        launch: the description that Service Catalog returns for any provisioned product.
        ledger: the ledger's items.
        bucket_tags: those of any bucket.
        asked: service and operation of each call, services by boto3's names.

    """

    url: str = ""
    notebook: dict[str, Any] = field(default_factory=dict)
    launch: dict[str, Any] = field(default_factory=dict)
    ledger: list[Item] = field(default_factory=list)
    bucket_tags: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def services(self) -> tuple[str, ...]:
        """Return the services that were called, each once, in the order of their first calls."""
        return tuple(dict.fromkeys(service for service, _ in self.asked))

    def answer(self, service: str, operation: str, parameters: Any) -> Any:
        """Return the answer to a call: what becomes JSON, or the inside of an XML result."""
        self.asked.append((service, operation))
        if service == "dynamodb":
            return self._ledger(operation, parameters)
        if service == "s3":  # its calls name no operation
            tags = self.bucket_tags.items()
            each = (f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in tags)
            return f"<TagSet>{''.join(each)}</TagSet>"
        if service in ("cloudformation", "ec2", "sns"):
            return _XML.get(operation, "")
        if service == "lambda":  # its calls name no operation
            return {"FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f:1"}
        return self._of_notebook(operation, parameters)

    def _of_notebook(self, operation: str, parameters: Any) -> dict[str, Any]:
        arn, tags = self.notebook["NotebookInstanceArn"], self.notebook["Tags"]
        listed = [{**self.notebook, "CreationTime": 1.0, "LastModifiedTime": 1.0}]
        answers: dict[str, dict[str, Any]] = {
            "DescribeNotebookInstance": self.notebook,
            "ListNotebookInstances": {
                "NotebookInstances": listed if parameters.get("StatusEquals") == "InService" else []
            },
            "ListTags": {"Tags": tags},
            "GetResources": {"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": tags}]},
            "GetLogEvents": {"events": []},
            "DescribeProvisionedProduct": {"ProvisionedProductDetail": self.launch},
            "ListProvisioningArtifacts": {"ProvisioningArtifactDetails": []},
            "DescribePortfolioShares": {"PortfolioShareDetails": []},
            "DescribeBudget": {
                "Budget": {
                    "BudgetLimit": {"Amount": "500", "Unit": "USD"},
                    "CalculatedSpend": {"ActualSpend": {"Amount": "1", "Unit": "USD"}},
                }
            },
        }
        return answers.get(operation, {})

    def _ledger(self, operation: str, parameters: Any) -> Any:
        if operation == "PutItem":
            self.ledger.append(parameters["Item"])
            return {}
        if operation == "Scan" or ":project" in parameters.get("ExpressionAttributeValues", {}):
            return {"Items": []}  # no notebook is known, and no project is over its budget
        if operation == "Query":
            return {"Items": self.ledger}
        if operation not in ("GetItem", "UpdateItem"):
            return {}
        found = [item for item in self.ledger if parameters["Key"].items() <= item.items()]
        if operation == "GetItem":
            return {"Item": found[0]} if found else {}
        recorded = {"Answer": {"S": '{"Status": "SUCCESS"}'}}
        return {"Attributes": {**recorded, **(found[0] if found else {})}}


_XML = {
    "DescribeStacks": (
        "<Stacks><member><StackId>another</StackId><StackStatus>CREATE_COMPLETE</StackStatus>"
        "</member></Stacks>"
    ),
    "ListStackResources": (
        "<StackResourceSummaries><member><LogicalResourceId>Notebook</LogicalResourceId>"
        "<PhysicalResourceId>Analysis-1</PhysicalResourceId></member></StackResourceSummaries>"
    ),
    "DescribeSubnets": "<subnetSet><item><subnetId>subnet-1</subnetId></item></subnetSet>",
    "DescribeSecurityGroups": (
        "<securityGroupInfo><item><groupId>sg-1</groupId></item></securityGroupInfo>"
    ),
}


def read_call(headers: Any, body: bytes) -> tuple[str, str, Any]:
    """Return the service, the operation and the parameters of a call as boto3 sends it.

    S3 and Lambda have neither a target nor an action: their operations are empty.
    """
    signed = _CREDENTIAL.search(headers.get("Authorization", ""))
    service = signed["service"] if signed else ""
    service = _BOTO3_NAMES.get(service, service)
    if target := headers.get("X-Amz-Target"):
        return service, target.rpartition(".")[2], json.loads(body or b"{}")
    asked = parse_qs(body.decode()) if service not in ("lambda", "s3") else {}
    return service, asked.get("Action", [""])[0], {key: values[0] for key, values in asked.items()}


@contextmanager
def answering_aws() -> Iterator[AnsweringAws]:
    """Listen on a free loopback port while the context lasts."""
    aws = AnsweringAws()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            service, operation, parameters = read_call(self.headers, body)
            answer = aws.answer(service, operation, parameters)
            if isinstance(answer, str):
                said = f"<Said><{operation}Result>{answer}</{operation}Result></Said>"
                if service in ("ec2", "s3"):
                    said = f"<Said>{answer}</Said>"
                self._say("text/xml", said.encode())
            else:
                self._say("application/x-amz-json-1.1", json.dumps(answer).encode())

        do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - names of http.server

        def _say(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        aws.url = f"http://127.0.0.1:{server.server_address[1]}"
        listening = threading.Thread(target=server.serve_forever)
        listening.start()
        try:
            yield aws
        finally:
            server.shutdown()
            listening.join()
