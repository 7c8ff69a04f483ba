"""Starts Lambda's runtime client (`awslambdaric`), where CloudFormation's response bucket resolves.

Run by file name, in a process that has nothing of this project on its path but the function. The
standard library's modules that it imports are those that `awslambdaric` imports anyway.
"""

import os
import runpy
import socket
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


if __name__ == "__main__":
    _resolve_only()
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
