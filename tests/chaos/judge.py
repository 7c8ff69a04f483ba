"""The judge of a schedule: the rules that hold even when calls fail.

* A request gets one answer in time, and every repetition of the answer is the same. Without
  disturbance the lifecycle itself gives it by the deadline.
* The answer is SUCCESS only if the world is as requested, and FAILED only for a cause.
* Only the stack that owns a notebook changes it, and its data is lost only on request.
* Manual changes are reported once, while no request is in progress. Nothing else is reported. The
  comparison changes nothing.
* At the end every execution has ended, and every notebook has an existing owner.
* No response URL is in any record.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from embedded_aws.sagemaker_notebooks.instance import Notebook
from notebook_vending.housekeeping import drift_record
from notebook_vending.housekeeping.drift_record import Record
from notebook_vending.notebooks.notebook import LOGICAL_RESOURCE_TAG, PLATFORM_TAG, STACK_TAG
from simulation.platform import Work
from simulation.stack import SERVICE_TIMEOUT, Sent
from tests.chaos.cloudformation import StackLife
from tests.chaos.schedule import BY_HAND

if TYPE_CHECKING:
    from tests.chaos.world import World


# The ends of a stack's status when CloudFormation has finished. UPDATE_ROLLBACK_FAILED is a pause.
_AT_REST = (
    "UPDATE_COMPLETE",
    "CREATE_COMPLETE",
    "ROLLBACK_COMPLETE",
    "DELETE_COMPLETE",
    "DELETE_FAILED",
)


class Violation(AssertionError):  # noqa: N818 - a broken rule, not an error
    """A broken rule."""


Drift = tuple[str, str, str]
"""A notebook's name in lower case, a setting and the value found."""


@dataclass
class Judge:
    """Watches one schedule.

    Attributes:
        requests: every request that was issued.
        stopped: the notebooks (ARN) that people or off-hours stopped.
        stripped, stripped_at: the tags that people removed, and when last, by notebook (ARN).
        deleted_by_hand: the volumes of the notebooks that people deleted.
        disturbed_comparisons: how many comparisons may report a difference again.
        found: the last violation, since a function catches what is raised within it.

    """

    world: "World"
    requests: list[Sent] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    stripped: dict[str, dict[str, str]] = field(default_factory=dict)
    stripped_at: dict[str, float] = field(default_factory=dict)
    deleted_by_hand: set[str] = field(default_factory=set)
    disturbed_comparisons: int = 0
    found: str = ""
    _made_by_hand: Counter[Drift] = field(default_factory=Counter)
    _reported: Counter[Drift] = field(default_factory=Counter)
    _ended: Counter[Drift] = field(default_factory=Counter)
    _lines_read: int = 0
    _foreign: dict[str, str] = field(default_factory=dict)
    _by_key: dict[tuple[str, str], Sent] = field(default_factory=dict)
    _as_asked: set[str] = field(default_factory=set)
    _made: dict[tuple[str, str], int] = field(default_factory=dict)
    _with_data: set[str] = field(default_factory=set)
    _looked: tuple[Work | None, set[str]] = (None, set())
    _seen: tuple[Work | None, bool] = (None, False)
    _overtaken: list[tuple[Any, str]] = field(default_factory=list)

    def issued(self, sent: Sent) -> None:
        """Record a request."""
        self.requests.append(sent)
        event = sent.event
        second = datetime.fromtimestamp(int(sent.issued_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rank = ["Create", "Update", "Delete"].index(event["RequestType"])
        resource = f"{event['StackId']}|{event['LogicalResourceId']}"
        self._by_key[resource, f"{second}#{rank}#{event['RequestId']}"] = sent

    def foreign(self, notebook: Notebook) -> None:
        """Record a notebook that the platform must not touch."""
        self._foreign[notebook.volume_id] = _fingerprint(notebook)

    def is_foreign(self, notebook: Notebook) -> bool:
        """Return whether the platform must not touch a notebook."""
        return notebook.volume_id in self._foreign

    def strip(self, notebook: Notebook, keys: list[str]) -> None:
        """Remove tags, and remember them for the later repair."""
        taken = {key: notebook.tags.pop(key) for key in keys if key in notebook.tags}
        self.stripped[notebook.arn] = self.stripped.get(notebook.arn, {}) | taken
        self.stripped_at[notebook.arn] = self.world.platform.clock.now
        for key in taken:
            self.made_by_hand(notebook, f"Tags: {key}", "")

    def created(self, given: Any, name: str) -> None:
        """Judge a creation that took effect."""
        self.world.tell(f"CreateNotebookInstance of {name}")
        sent = self._sent(given)
        if sent is None:
            self.violated(f"a cleanup made {name}")
        gone = [each.stack.id for each in self.world.lives if each.status == "DELETE_COMPLETE"]
        if sent.event["StackId"] in gone:
            self.violated(f"{name} was made after its stack was gone")
        made = self.world.notebook(name)
        assert made
        times = self._made[sent.event["ResponseURL"], made.settings["InstanceType"]] = (
            self._made.get((sent.event["ResponseURL"], made.settings["InstanceType"]), 0) + 1
        )
        if times > 1:
            self.violated(f"one request made the notebook {name} {times} times")

    def changed(self, given: Any, operation: str, notebook: Notebook, tags: dict[str, str]) -> None:
        """Judge a change that took effect; `tags` are the notebook's earlier tags.

        A function cannot see that a tag disappears between its read and its call, because the call
        takes no condition.
        """
        sent = self._sent(given)
        looked_at = self.world.platform.at_work[-1].began
        if self.stripped_at.get(notebook.arn, 0) >= looked_at:
            tags = {**tags, **self.stripped[notebook.arn]}
        if sent is None:
            self._cleaned_up(operation, notebook)
            return
        if self.is_foreign(notebook) or (
            tags.get(STACK_TAG) != sent.event["StackId"]
            or tags.get(LOGICAL_RESOURCE_TAG) != sent.event["LogicalResourceId"]
        ):
            self.violated(f"{operation} of {notebook.name}, which is not the stack's own")
        if operation != "DeleteNotebookInstance" or notebook.volume_id not in self._with_data:
            return
        event = sent.event
        if event["RequestType"] != "Delete":
            self.violated(f"an {event['RequestType']} deleted the data of {notebook.name}")

    def looked_at_a_stack(self, work: Work) -> None:
        """Record what no cleanup may touch at the moment that a function reads a stack."""
        self._looked = (work, self._protected())

    def _cleaned_up(self, operation: str, notebook: Notebook) -> None:
        """Judge a call of a cleanup. The stack may have changed since the cleanup read it."""
        work, protected = self._looked
        excused = self.world.causes & {
            "slow notebooks",
            "a manual change",
            "CloudFormation went on without an answer",
        }
        if self.world.undisturbed and not excused:
            self.violated(f"an undisturbed platform left {notebook.name} to the cleanup")
        if operation not in ("StopNotebookInstance", "DeleteNotebookInstance"):
            self.violated(f"a cleanup called {operation} for {notebook.name}")
        if work is not self.world.platform.at_work[-1]:
            self.violated(f"a cleanup did not look before {operation} of {notebook.name}")
        if self.is_foreign(notebook) or notebook.arn in protected & self._protected():
            self.violated(f"a cleanup did {operation} of {notebook.name}, which has an owner")

    def _protected(self) -> set[str]:
        """Return the notebooks that stacks have, or that stacks at work may have (ARNs)."""
        protected = set()
        for each in self.world.notebooks():
            for life in self.world.lives:
                has = life.alive and life.stack.physical_id.lower() == each.name.lower()
                at_work = not life.status.endswith(_AT_REST)
                if has or (at_work and each.tags.get(STACK_TAG) == life.stack.id):
                    protected.add(each.arn)
        return protected

    def looked_at_a_launch(self, work: Work, life: StackLife) -> None:
        """Record whether a launch had expired when a function read it."""
        self._seen = (work, self._expired(life))

    def terminated(self, work: Work, life: StackLife) -> None:
        """Judge a termination. The launch may have changed since the function read it."""
        if self._seen[0] is not work:
            self.violated(f"{life.stack.notebook} was terminated without a look")
        if not (self._seen[1] or self._expired(life)):
            self.violated(f"{life.stack.notebook} was terminated before it expired")

    def _expired(self, life: StackLife) -> bool:
        asked = life.asked or life.stack.properties
        if asked.get("ExpiresAfterDays", "0") == "0":
            return False
        asked_on = datetime.fromtimestamp(life.asked_at, UTC).date()
        today = datetime.fromtimestamp(self.world.platform.clock.now, UTC).date()
        return (today - asked_on).days > int(asked["ExpiresAfterDays"])

    def changed_by_hand(self, notebook: Notebook) -> None:
        """Record a change while functions run that may have read the notebook before it."""
        name = notebook.name.lower()
        self._overtaken += [(work.given, name) for work in self.world.platform.at_work]

    def made_by_hand(self, notebook: Notebook, setting: str, found: str) -> None:
        """Record a difference that a person makes."""
        self._made_by_hand[notebook.name.lower(), setting, found] += 1

    def about_to_compare(self) -> set[Drift]:
        """Return the differences that a comparison beginning now must report or have reported."""
        world, expected = self.world, set[Drift]()
        known = drift_record.read_all().by_arn
        for life in world.lives:
            if not life.alive or life.asked is None or not life.status.endswith("_COMPLETE"):
                continue
            ours = [each for each in self.requests if each.event["StackId"] == life.stack.id]
            name = life.asked["NotebookInstanceName"]
            asking = [each for each in ours if each.event["RequestType"] != "Delete"]
            last = asking[-1].event["ResourceProperties"]["NotebookInstanceName"]
            if any(not each.answers for each in ours) or last != name:
                continue
            if asking[-1].answer["Status"] == "SUCCESS":
                expected |= self._standing(name, known)
        return expected

    def _standing(self, name: str, known: Mapping[str, Record]) -> set[Drift]:
        """Return the manual differences of a notebook that a comparison can find."""
        world, notebook = self.world, self.world.notebook(name)
        record = next((each for each in known.values() if each.name == name), None)
        if notebook is None:
            deleted = (name.lower(), "Notebook", "deleted")
            return {deleted} if record and self._made_by_hand[deleted] else set()
        there = {
            (name.lower(), setting, str(notebook.settings[parameter]))
            for parameter, setting, _ in BY_HAND.values()
        }
        up_to_date = world.calm or not world.schedule.search_behind
        at_rest = notebook.status in ("InService", "Stopped", "Failed")
        if self.is_foreign(notebook) or not at_rest or not up_to_date:
            return set()
        known_by = {PLATFORM_TAG, STACK_TAG, LOGICAL_RESOURCE_TAG}
        if record is None and not known_by <= notebook.tags.keys():
            return set()  # it lost its tags before any comparison saw it
        for key in ("project", LOGICAL_RESOURCE_TAG, STACK_TAG):
            there.add((name.lower(), f"Tags: {key}", notebook.tags.get(key, "")))
        return there & self._made_by_hand.keys()

    def compared(self, expected: set[Drift]) -> None:
        """Judge a comparison: it must record and report each difference that lasts through it."""
        self._read_reports()
        kept = {
            (record.name.lower(), each.setting, each.found)
            for record in drift_record.read_all().by_arn.values()
            for each in record.differences
        }
        standing = expected & self.about_to_compare()
        if missing := sorted(standing - kept):
            self.violated(f"the comparison has no record of {missing}")
        if missing := sorted(standing - self._reported.keys()):
            self.violated(f"the comparison never reported {missing}")

    def changed_by_comparison(self, operation: str, notebook: Notebook) -> None:
        """Report a comparison that changes a notebook."""
        self.violated(f"a comparison called {operation} for {notebook.name}")

    def _read_reports(self) -> None:
        """Judge the new reports: each is of a manual change, and comes once."""
        lines = self.world.platform.logged
        for line in lines[self._lines_read :]:
            if '"message":"Drift' not in line or "setting" not in (report := json.loads(line)):
                continue
            drift = (report["notebook"].lower(), report["setting"], report["found"])
            if report["message"] == "Drift ended":
                self._ended[drift] += 1
            elif report["message"] == "Drift":
                self._reported[drift] += 1
                self._judge_report(drift, report["kind"])
        self._lines_read = len(lines)

    def _judge_report(self, drift: Drift, kind: str) -> None:
        made = self._made_by_hand[drift]
        # A user who takes the name of a notebook has another one there.
        taken = any(hand.act == "take the name" for hand in self.world.schedule.hands)
        if not made and not taken:
            self.violated(f"no user made {drift}, which is reported")
        if kind == "NarrowerNow":
            self.violated(f"no limit is narrower, but {drift} is reported")
        again = self._ended[drift] + self.disturbed_comparisons
        if self._reported[drift] > max(made, 1) + again:
            self.violated(f"{drift} is reported {self._reported[drift]} times")

    def decided_success(self, given: Any, returned: Any) -> None:
        """Judge the decision that a request has succeeded: the world must be as requested."""
        sent = self._sent(given)
        if sent is None:
            return
        world, event = self.world, sent.event
        wanted = event["ResourceProperties"]
        found = world.notebook(wanted["NotebookInstanceName"])
        ours = found and (
            found.tags.get(STACK_TAG) == event["StackId"]
            and found.tags.get(LOGICAL_RESOURCE_TAG) == event["LogicalResourceId"]
        )
        self._as_asked.add(event["ResponseURL"])
        if event["RequestType"] == "Delete":
            interface = returned["Memory"]["network_interface_id"]
            if ours:
                self.violated(f"{wanted['NotebookInstanceName']} is said to be gone")
            if interface in world.platform.notebooks.notebooks.lingering_interfaces():
                self.violated(f"the network interface {interface} is still there")
            return
        name = wanted["NotebookInstanceName"].lower()
        if any(work is given and changed == name for work, changed in self._overtaken):
            return  # it was as requested when the function read it
        if not (found and ours):
            self.violated(f"there is no notebook {wanted['NotebookInstanceName']} of the stack")
        if faults := differences(world, wanted, found):
            self.violated(f"{found.name} is not as asked: {faults}")
        may_rest = event["RequestType"] == "Update" and found.arn in self.stopped
        if found.status != "InService" and not (found.status == "Stopped" and may_rest):
            self.violated(f"{found.name} is said to be ready, and is {found.status}")

    def accepted(self, name: str) -> None:
        """Record that CloudFormation accepted a success: from now on it may hold data."""
        if found := self.world.notebook(name):
            self._with_data.add(found.volume_id)

    def about_to_answer_overdue(self, late: list[Sent]) -> None:
        """Check that an undisturbed platform has no overdue request."""
        for each in late:
            if not each.answers:
                self.violated(f"{each.event['RequestType']} is past its deadline, unanswered")

    def end(self) -> None:
        """Judge the state at the end of the schedule."""
        self._read_reports()
        for sent in self.requests:
            self._judge_answers(sent)
        for each in self.world.platform.executions:
            if each.running:
                self.violated(f"the execution {each.name} never ends")
        self._judge_notebooks()
        self.world.platform.expect_no_address_anywhere()

    def _judge_notebooks(self) -> None:
        owned = {life.stack.physical_id.lower(): life for life in self.world.lives if life.alive}
        for notebook in self.world.notebooks():
            if self.is_foreign(notebook):
                if _fingerprint(notebook) != self._foreign[notebook.volume_id]:
                    self.violated(f"{notebook.name}, which is another user's, was changed")
            elif notebook.name.lower() in owned:
                self._judge_owned(owned.pop(notebook.name.lower()), notebook)
            elif not self._waits(notebook):
                self.violated(f"{notebook.name} is {notebook.status} and has no owner")
        for name, life in owned.items():
            if not self.deleted_by_hand:
                self.violated(f"{name} of a stack that is {life.status} is gone")
        if len(self._foreign) > sum(self.is_foreign(each) for each in self.world.notebooks()):
            self.violated("another user's notebook is gone")

    def _waits(self, notebook: Notebook) -> bool:
        """Return whether a notebook that lost tags will block its stack's Delete.

        The person who removed the tags is responsible for the notebook. Its existing stack cannot
        be deleted while the notebook exists.
        """
        stack_id = {**notebook.tags, **self.stripped.get(notebook.arn, {})}.get(STACK_TAG)
        lives = any(life.alive and life.stack.id == stack_id for life in self.world.lives)
        return lives and notebook.arn in self.stripped

    def _judge_owned(self, life: StackLife, notebook: Notebook) -> None:
        world = self.world
        assert life.asked is not None
        if life.status in ("UPDATE_ROLLBACK_FAILED", "DELETE_FAILED") or world.schedule.by_hand:
            return
        if self._expired(life):
            self.violated(f"{notebook.name} has expired, and is still there")
        if notebook.tags.get(STACK_TAG) != life.stack.id:
            self.violated(f"{notebook.name} is not the stack's own")
        if faults := differences(world, life.asked, notebook):
            self.violated(f"{notebook.name} is not as asked in the end: {faults}")
        rests = notebook.status == "Stopped" and notebook.arn in self.stopped
        lacks = notebook.status == "Failed" and notebook.arn in world.calendar.started
        if notebook.status != "InService" and not (rests or lacks):
            self.violated(f"{notebook.name} was running, and is {notebook.status} in the end")

    def _judge_answers(self, sent: Sent) -> None:
        kind = f"{sent.event['RequestType']} of {sent.event['RequestId']}"
        if not sent.answers:
            self.violated(f"{kind} was never answered")
        if any(each != sent.answers[0] for each in sent.answers):
            self.violated(f"{kind} was answered in two ways: {sent.answers}")
        answer = sent.answers[0]
        took = sent.answered_at[0] - sent.issued_at
        if took > SERVICE_TIMEOUT and not self._hindered(sent):
            self.violated(f"{kind} was answered after {took:.0f} seconds")
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            if answer[name] != sent.event[name]:
                self.violated(f"{kind} was answered with another {name}")
        known = sent.event.get("PhysicalResourceId")
        if sent.event["RequestType"] == "Delete" and answer["PhysicalResourceId"] != known:
            self.violated(f"{kind} changed the physical id")
        if answer["Status"] == "SUCCESS" and sent.event["ResponseURL"] not in self._as_asked:
            self.violated(f"{kind} was answered with a SUCCESS that no function had decided")
        if answer["Status"] == "FAILED" and not answer["Reason"]:
            self.violated(f"{kind} failed without a reason")
        if answer["Status"] == "FAILED" and not (self.world.causes or _refusable(sent)):
            self.violated(f"{kind} failed without a cause: {answer['Reason']}")

    def _hindered(self, sent: Sent) -> bool:
        """Return whether the answering function failed to answer in the last minutes."""
        last = sent.issued_at + SERVICE_TIMEOUT
        return any(last - 600 < each < last for each in self.world.failed_answers)

    def violated(self, what: str) -> NoReturn:
        """Raise a violation, and keep it, since a function catches what is raised within it."""
        self.found = what
        raise Violation(what)

    def _sent(self, given: Any) -> Sent | None:
        """Return the request that a function works for, or None for a cleanup."""
        return self._by_key.get((given["Resource"], given["Request"]))


def differences(world: "World", wanted: dict[str, Any], found: Notebook) -> dict[str, Any]:
    """Return the settings of a notebook that differ from the request, with the values found."""
    account = world.platform.account
    there = found.settings
    expected = {
        "RootAccess": wanted["RootAccess"],
        "RoleArn": wanted["RoleArn"],
        "KmsKeyId": wanted["KmsKeyId"],
        "SubnetId": account.subnets[wanted["Subnet"]],
        "SecurityGroupIds": [account.group],
        "DirectInternetAccess": "Disabled",
        "PlatformIdentifier": wanted["PlatformIdentifier"],
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
    }
    differ = {name: there.get(name) for name, value in expected.items() if there.get(name) != value}
    types = [wanted["NotebookInstanceType"], *wanted.get("FallbackInstanceTypes", ())]
    if there["InstanceType"] not in types:
        differ["InstanceType"] = there["InstanceType"]
    if there["VolumeSizeInGB"] < int(wanted["VolumeSizeInGB"]):
        differ["VolumeSizeInGB"] = there["VolumeSizeInGB"]
    for tag in wanted["Tags"]:
        if found.tags.get(tag["Key"]) != tag["Value"]:
            differ[f"tag {tag['Key']}"] = found.tags.get(tag["Key"])
    return differ


def _fingerprint(notebook: Notebook) -> str:
    return repr((notebook.status, notebook.settings, sorted(notebook.tags.items())))


def _refusable(sent: Sent) -> bool:
    """Return whether the platform may refuse a request."""
    new, old = sent.event["ResourceProperties"], sent.event.get("OldResourceProperties", {})
    if sent.event["RequestType"] != "Update":
        return False
    return (
        new["NotebookInstanceType"] == "ml.p5.48xlarge"
        or new["Subnet"] != old["Subnet"]
        or int(new["VolumeSizeInGB"]) < int(old["VolumeSizeInGB"])
    )
