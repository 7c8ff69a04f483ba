"""The floor of a cold start: a function that does only the necessary minimum.

It makes the boto3 clients named in FLOOR_CLIENTS, and calls the first one.
"""

import os
from typing import Any

import boto3

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "budgets": ("describe_budgets", {"AccountId": "123456789012"}),
    "cloudformation": ("describe_stacks", {}),
    "dynamodb": ("list_tables", {}),
    "ec2": ("describe_vpcs", {}),
    "lambda": ("list_functions", {}),
    "logs": ("describe_log_groups", {}),
    "resourcegroupstaggingapi": ("get_resources", {}),
    "s3": ("list_buckets", {}),
    "sagemaker": ("list_notebook_instances", {}),
    "servicecatalog": ("list_portfolios", {}),
    "sns": ("list_topics", {}),
    "stepfunctions": ("list_state_machines", {}),
}


def handler(_event: Any, _context: Any) -> None:
    """Make the clients, call one."""
    make: Any = boto3.client
    clients = {name: make(name) for name in os.environ["FLOOR_CLIENTS"].split(",")}
    name, client = next(iter(clients.items()))
    operation, parameters = CALLS[name]
    getattr(client, operation)(**parameters)
