#!/usr/bin/env bash
# MiniStack 1.5.33: an execution of Step Functions that is stopped while it waits.
#
# Expected: StopExecution ends the execution, and ExecutionAborted is the last event of its history.
# Who reads the history from its end, in reverse order, finds how the execution ended.
# Seen: DescribeExecution says ABORTED, and yet, when the wait is over, the history gets
# WaitStateExited behind ExecutionAborted.
#
# Exits with 0 as long as this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "$server" 2> /dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'ministack==1.5.33' 'boto3==1.43.106' 2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cd "$folder"
GATEWAY_PORT=$port MINISTACK_HOST=127.0.0.1 "$folder/venv/bin/ministack" > "$folder/log" 2>&1 &
server=$!
PORT=$port AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1 \
  "$folder/venv/bin/python" - <<'END'
import json
import os
import time

import boto3
from botocore.exceptions import EndpointConnectionError

client = boto3.client("stepfunctions", endpoint_url=f"http://127.0.0.1:{os.environ['PORT']}")
definition = {
    "StartAt": "Wait",
    "States": {
        "Wait": {"Type": "Wait", "Seconds": 3, "Next": "After"},
        "After": {"Type": "Pass", "End": True},
    },
}
deadline = time.monotonic() + 60
while True:
    try:
        machine = client.create_state_machine(
            name="waits",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::000000000000:role/any",
        )["stateMachineArn"]
        break
    except EndpointConnectionError:
        assert time.monotonic() < deadline
        time.sleep(0.2)
execution = client.start_execution(stateMachineArn=machine)["executionArn"]


def events():
    found = client.get_execution_history(executionArn=execution)["events"]
    return [each["type"] for each in found]


while "WaitStateEntered" not in events():
    assert time.monotonic() < deadline
client.stop_execution(executionArn=execution)
assert client.describe_execution(executionArn=execution)["status"] == "ABORTED"
until = time.monotonic() + 6
while time.monotonic() < until and "WaitStateExited" not in events():
    time.sleep(0.2)
print(client.describe_execution(executionArn=execution)["status"], events())
assert events()[-2:] == ["ExecutionAborted", "WaitStateExited"], "MiniStack ends it otherwise now"
END
