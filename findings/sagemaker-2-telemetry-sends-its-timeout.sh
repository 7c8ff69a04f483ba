#!/usr/bin/env bash
# SageMaker Python SDK 2.257.7: how long its telemetry waits for an answer.
#
# Expected: a call for telemetry is given up after the two seconds that the caller names, so that
# no user waits for it.
# Seen: the two seconds are the second positional argument of requests.get, which is `params`. They
# go out at the end of the address's query, and there is no timeout at all. A server that answers
# after five seconds holds the caller for five, and a network that drops packets for minutes.
# Shown: "asked for /telemetry?x-feature=1&2, answered 200 after 5 s".
#
# Exits with 0 as long as this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'sagemaker==2.257.7' 2> /dev/null
HOME=$folder AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/python" - <<'END'
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from sagemaker.telemetry import telemetry_logging

paths = []


class Late(BaseHTTPRequestHandler):
    def do_GET(self):
        paths.append(self.path)
        time.sleep(5)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Late)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
began = time.monotonic()
answer = telemetry_logging._requests_helper(f"{address}/telemetry?x-feature=1", 2)
took = time.monotonic() - began
print(f"asked for {paths[0]}, answered {answer.status_code} after {took:.0f} s")
assert paths == ["/telemetry?x-feature=1&2"], "the SDK passes the timeout otherwise now"
assert answer.status_code == 200 and took >= 5, "the SDK gives the call up now"
END
