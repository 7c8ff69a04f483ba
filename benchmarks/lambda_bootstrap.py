"""Starts Lambda's runtime client (`awslambdaric`), where CloudFormation's response bucket resolves.

Run by file name, in a process that has nothing of this project on its path but the function. The
standard library's modules that it imports are those that `awslambdaric` imports anyway.

The process has a whole processor until it asks for its first event, and then the share that
PROCESSOR_QUOTA is. At each event that it asks for it prints the processor time it has used.
"""

import os
import runpy
import socket
import sys
import time
from importlib import import_module
from typing import Any


def _resolve_only() -> None:
    getaddrinfo = socket.getaddrinfo
    bucket, bucket_port = os.environ.pop("RESPONSE_BUCKET").split(":")

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name == bucket:
            return getaddrinfo("127.0.0.1", int(bucket_port), *args, **kwargs)
        if name == "127.0.0.1":
            return getaddrinfo(host, port, *args, **kwargs)
        # Nothing here may reach the real AWS by an oversight.
        raise socket.gaierror(socket.EAI_NONAME, f"not resolved here: {name}")

    socket.getaddrinfo = resolve


def _limit_invokes() -> None:
    """Set the control group's quota when init is over."""
    limit, quota = os.environ.pop("PROCESSOR_LIMIT", ""), os.environ.pop("PROCESSOR_QUOTA", "")

    client_type = import_module("awslambdaric.lambda_runtime_client").LambdaRuntimeClient
    wait = client_type.wait_next_invocation

    def wait_limited(client: Any) -> Any:
        nonlocal limit
        print(f"PROCESSOR {time.process_time()}", file=sys.__stderr__, flush=True)
        if limit:
            with open(limit, "w") as file:  # noqa: PTH123 - pathlib is no import of the client's
                file.write(quota)
            limit = ""
        return wait(client)

    client_type.wait_next_invocation = wait_limited


if __name__ == "__main__":
    _resolve_only()
    _limit_invokes()
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
