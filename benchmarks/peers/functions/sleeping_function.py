"""A single function that sleeps 200 seconds at a time, checks, and then answers."""

import json
import time
from typing import Any

import urllib3

from benchmarks.peers.functions import notebooks

NAP = 200

http = urllib3.PoolManager()


def handler(event: dict[str, Any], _context: Any) -> None:
    """Perform the requested operation and answer CloudFormation."""
    name = event["ResourceProperties"]["NotebookInstanceName"]
    status, reason = "SUCCESS", "done"
    try:
        if event["RequestType"] == "Create":
            notebooks.create(event["ResourceProperties"])
            time.sleep(NAP)
            while not notebooks.is_in_service(name):
                time.sleep(NAP)
        else:
            while not notebooks.is_deleted(name):
                time.sleep(NAP)
    except Exception as error:
        status, reason = "FAILED", str(error)
    answer = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": name,
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    http.request("PUT", event["ResponseURL"], body=json.dumps(answer), headers={"Content-Type": ""})
