"""Removes everything that a run created, and nothing else, from any state in which the run ended.

The program can be killed at any moment, so nothing here relies on an earlier process. The cleanup
searches AWS for the run's tag. It tries each part, even if another part failed.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from rehearsal import launches, owned, stacks
from rehearsal.errors import OutOfTimeError, RehearsalError
from rehearsal.plan import Plan
from rehearsal.time_limit import TimeLimit
from vending.errors import worded
from vending.platform import client

Tell = Callable[[str], None]


@dataclass
class Cleanup:
    """One cleanup of one run."""

    plan: Plan
    time: TimeLimit
    tell: Tell
    troubles: list[str] = field(default_factory=list)
    """What could not be removed, and why."""
    layers: list[str] = field(default_factory=list)
    """The layer versions of the run, which CloudFormation retains."""

    def remove(self) -> None:
        """Remove everything that can be removed. Raises OutOfTimeError."""
        self.troubles.clear()
        for what, part in (
            ("the launches", self._launches),
            ("the listener", self._listener),
            ("the platform", self._platform),
            ("the notebooks", self._notebooks),
            ("the layers", self._layers),
            ("keys and buckets that were retained", self._retained),
            ("the bucket for uploads", self._bucket),
            ("the logs", self._logs),
        ):
            try:
                part()
            except OutOfTimeError:
                raise
            except RehearsalError as error:
                self.troubles.append(f"{what}: {error}")
            except (ClientError, BotoCoreError) as error:
                self.troubles.append(f"{what}: {worded(error)}")
            except Exception as error:  # a fault of the program must not leave the other parts
                self.troubles.append(f"{what}: {type(error).__name__}: {error}")

    def _launches(self) -> None:
        for each in owned.products(self.plan):
            self.tell(f"terminating the launch {each.name}")
            launches.end(each, self.plan, self.time, self.tell)
        for stack_id, found in owned.stacks(self.plan).items():
            if found["StackName"].startswith("SC-"):  # Service Catalog has let go of it
                self.tell(f"deleting the stack {found['StackName']}")
                launches.delete_stack(stack_id, self.time)

    def _listener(self) -> None:
        if owned.rule(self.plan):
            self.tell("deleting the listener")
            events = client("events")
            targets = events.list_targets_by_rule(Rule=self.plan.listener)["Targets"]
            if targets:
                events.remove_targets(Rule=self.plan.listener, Ids=[each["Id"] for each in targets])
            events.delete_rule(Name=self.plan.listener)
        if url := owned.queue(self.plan):
            client("sqs").delete_queue(QueueUrl=url)
            # SQS takes up to 60 seconds to delete a queue (API reference, DeleteQueue).
            self.time.until(lambda: not owned.queue(self.plan))

    def _platform(self) -> None:
        self._note_layers()
        if owned.products(self.plan):
            raise RehearsalError("It stays as long as there is a launch that needs it.")
        retained: list[str] = []
        for attempt in range(3):
            found = owned.platform(self.plan)
            if found is None:
                return
            self.tell(f"deleting the stack {self.plan.stack}")
            failed = stacks.delete(found["StackId"], self.time, retained)
            if failed is None:
                return
            if attempt == 1:
                # What only asks a function that may no longer work; the last attempt goes without.
                retained = [
                    each["LogicalResourceId"]
                    for each in owned.resources(found["StackId"])
                    if each["ResourceType"].startswith("Custom::")
                    and each["ResourceStatus"] == "DELETE_FAILED"
                ]
        raise RehearsalError(f"CloudFormation could not delete the stack. {failed}")

    def _note_layers(self) -> None:
        known = set(self.layers)
        self.layers += [each for each in owned.layers(self.plan) if each not in known]

    def _notebooks(self) -> None:
        for each in owned.notebooks(self.plan):
            self.tell(f"deleting the notebook {each}")
            launches.delete_notebook(each, self.time)

    def _layers(self) -> None:
        for arn in self.layers:
            if owned.layer_is_there(arn):
                name, _, version = arn.partition(":layer:")[2].partition(":")
                self.tell("deleting a version of the layer")
                client("lambda").delete_layer_version(LayerName=name, VersionNumber=int(version))

    def _retained(self) -> None:
        # What stays needs its key and its buckets to be deleted properly later.
        states = {each["StackStatus"] for each in owned.stacks(self.plan).values()}
        if owned.products(self.plan) or states - {"DELETE_FAILED"}:
            return
        for arn in owned.tagged(self.plan):
            service = arn.split(":")[2]
            if service == "kms":
                kms = client("kms")
                key = kms.describe_key(KeyId=arn)["KeyMetadata"]
                if key["KeyState"] != "PendingDeletion":
                    self.tell("scheduling the deletion of a key")
                    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
            elif service == "s3":
                name = arn.rpartition(":")[2]
                if name != self.plan.bucket:
                    with suppress(client("s3").exceptions.NoSuchBucket):
                        delete_bucket(name, self.tell)

    def _bucket(self) -> None:
        if owned.bucket(self.plan):
            delete_bucket(self.plan.bucket, self.tell)

    def _logs(self) -> None:
        logs = client("logs")
        for name in owned.log_groups(self.plan):
            self.tell(f"deleting the log group {name}")
            logs.delete_log_group(logGroupName=name)
        for name in owned.notebook_streams(self.plan):
            logs.delete_log_stream(logGroupName=owned.NOTEBOOK_LOGS, logStreamName=name)


def delete_bucket(name: str, tell: Tell) -> None:
    """Delete a bucket with every version of every object. Raises ClientError, BotoCoreError."""
    s3 = client("s3")
    s3.delete_bucket_policy(Bucket=name)  # that of a launch denies everything from outside its VPC
    tell(f"deleting the bucket {name}")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        objects = [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for each in page.get(kind, [])
        ]
        if objects:
            s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
    s3.delete_bucket(Bucket=name)
