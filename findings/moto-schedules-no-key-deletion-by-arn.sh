#!/usr/bin/env bash
# moto 5.2.5: ScheduleKeyDeletion by a key's ARN.
#
# Expected: KMS takes a key's ID or its ARN (API reference, ScheduleKeyDeletion, KeyId), and so does
# moto's own DescribeKey.
# Seen: with the ID the deletion is scheduled. With the ARN moto raises a KeyError of its own, as it
# looks the key up by the text as it came, and the caller gets no error of KMS.
#
# Exits with 0 as long as this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'moto[kms]==5.2.5' 'boto3==1.43.106' 2> /dev/null
AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1 \
  "$folder/venv/bin/python" - <<'END'
import boto3
from moto import mock_aws

with mock_aws():
    kms = boto3.client("kms")

    def key():
        return kms.create_key()["KeyMetadata"]

    by_id = key()["KeyId"]
    kms.schedule_key_deletion(KeyId=by_id, PendingWindowInDays=7)
    state = kms.describe_key(KeyId=by_id)["KeyMetadata"]["KeyState"]
    print("by ID:", state)
    arn = key()["Arn"]
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"
    try:
        kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    except KeyError as error:
        print("by ARN: KeyError, of the whole ARN:", error.args[0] == arn)
        assert state == "PendingDeletion" and error.args[0] == arn
    else:
        raise SystemExit("moto takes the ARN now")
END
