"""A queue that records what AWS reports: reports of launches, and events of SageMaker and more."""

import json
from collections import Counter
from itertools import pairwise

from rehearsal.account import Account
from rehearsal.plan import TAG, Plan
from rehearsal.seen import Seen
from vending.platform import client

_NOTEBOOK = "SageMaker Notebook Instance State Change"
_EXECUTION = "Step Functions Execution Status Change"


def listen(plan: Plan, account: Account, topic_arn: str, state_machine_arn: str) -> None:
    """Make the queue, and have a topic and EventBridge send to it."""
    here = f"{account.region}:{account.id}"
    arn = f"arn:{account.partition}:sqs:{here}:{plan.listener}"
    rule = f"arn:{account.partition}:events:{here}:rule/{plan.listener}"
    may_send = {
        "Effect": "Allow",
        "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": [topic_arn, rule]}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
    client("sqs").create_queue(
        QueueName=plan.listener, Attributes={"Policy": policy}, tags={TAG: plan.run_id}
    )
    events = client("events")
    notebooks = f"arn:{account.partition}:sagemaker:{here}:notebook-instance"
    executions = state_machine_arn.replace(":stateMachine:", ":execution:")
    pattern = {
        "detail-type": [_NOTEBOOK, _EXECUTION],
        "resources": [{"prefix": f"{notebooks}/{plan.notebook}"}, {"prefix": f"{executions}:"}],
    }
    events.put_rule(
        Name=plan.listener,
        EventPattern=json.dumps(pattern),
        Tags=[{"Key": TAG, "Value": plan.run_id}],
    )
    events.put_targets(Rule=plan.listener, Targets=[{"Id": "queue", "Arn": arn}])
    # The subscription goes with the topic, which goes with the platform.
    client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)


def read(url: str, seen: Seen) -> None:
    """Record all that has come."""
    sqs = client("sqs")
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
        "Messages", []
    ):
        for each in found:
            _record(json.loads(each["Body"]), seen)
        sqs.delete_message_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]}
                for n, each in enumerate(found)
            ],
        )
    seen.listened = True


def _record(message: dict[str, object], seen: Seen) -> None:
    detail = message.get("detail")
    if message.get("Type") == "Notification":
        seen.notifications += 1
    elif message.get("detail-type") == _NOTEBOOK and isinstance(detail, dict):
        seen.notebook_events.append(str(detail["NotebookInstanceStatus"]))
    elif message.get("detail-type") == _EXECUTION:
        seen.execution_events += 1


def repeated(statuses: list[str]) -> dict[str, int]:
    """Return which statuses were reported several times in a row, and how often."""
    counted: Counter[str] = Counter()
    for before, after in pairwise(statuses):
        if before == after:
            counted[after] += 1
    return dict(counted)
