"""The whole life of the platform, so that every permission is used that can be used here."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from demo import bystander, deploy, end_user
from demo.end_user import EndUser, Record
from demo.progress import Progress
from demo.run import SurpriseError
from embedded_aws.emulator import Emulator
from embedded_aws.sagemaker_notebooks.permissions import VOLUME_KEYS
from permissions_proof import execution_role_calls, grants, hub
from permissions_proof.usage import Call, Grant, Place, calls_of

# Seconds.
_NOTEBOOKS = {
    "timing": {
        "pending": 1,
        "starting": 0.5,
        "stopping": 0.5,
        "updating": 0.5,
        "deleting": 0.5,
        "network_interface_lingers": 0.5,
    },
    "role_propagation": 1,
}
_WAIT_SCALE = 0.25
_MAX_VOLUME = 64  # GB
_UNIT = "ou-ab12-cd345678"
_ADMINISTRATOR = "data-administrator"
_FURTHER_ROLE = "TeamDataScientist"
_PARAMETERS: Mapping[str, str | int] = {
    "FirstWaitSeconds": 1,
    "WaitSeconds": 1,
    "MaxVolumeSizeInGB": _MAX_VOLUME,
    "CostCenter": "4711",
    "MonthlyBudgetUSD": 500,
    "OffHoursCron": "cron(0 0 1 1 ? 2099)",  # the story has them come
    "OnHoursCron": "cron(0 0 1 1 ? 2099)",
    "EndUserRolePattern": "*DataScientist",
    "ShareWith": f"111122223333,{_UNIT}",
}
_PATIENCE = 120.0  # seconds


@dataclass(frozen=True)
class Told:
    """The story's grants, its calls, and the resource types of its launches."""

    granted: Mapping[Place, Grant]
    calls: Sequence[Call]
    product_types: Set[str]


_SCHEDULES = (
    "BudgetLook",
    "DeleteOrphansFunctionSchedule",
    "CountRunningFunctionSchedule",
    "ExpireLaunchesFunctionSchedule",
    "ReportDriftFunctionSchedule",
    "RespondFunctionOverdue",
    "StopIdleFunctionSchedule",
)


@dataclass
class _Run:
    aws: Emulator
    page: Progress
    outputs: Mapping[str, str]
    user: EndUser
    directory: Path
    template: Path
    hub: tuple[str, str]
    """The product and the portfolio that another account shares."""
    granted: dict[Place, Grant] = field(default_factory=dict)
    product_types: set[str] = field(default_factory=set)

    def note_grants(self) -> None:
        """Add what is granted now: the roles of launches come and go."""
        self.granted |= grants.deployed(self.aws)
        self.product_types |= grants.product_types(self.aws)

    def physical_id(self, logical_id: str) -> str:
        return deploy.physical_id(self.aws, logical_id)

    def done(self, record_id: str, *, succeeds: bool = True) -> Record:
        record = self.user.wait(record_id)
        self.note_grants()
        if record.succeeded is not succeeds:
            raise SurpriseError(f"{record.status}, against the story: {record.reason}")
        return record

    def launch(self, name: str, parameters: Mapping[str, str], *, succeeds: bool = True) -> Record:
        return self.done(self.begin(name, parameters), succeeds=succeeds)

    def begin(self, name: str, parameters: Mapping[str, str]) -> str:
        asked = {"NotebookInstanceName": name, "DataRetention": "Delete", **parameters}
        return self.user.launch(name, asked)

    def update(self, launched: Record, **parameters: str) -> None:
        # The clock in a reply address ticks in seconds: no two updates of a stack within one.
        now = int(time.time())
        await_that(lambda: int(time.time()) > now, "the next second")
        self.done(self.user.update(launched.provisioned_product_id, parameters))

    def terminate(self, launched: Record) -> None:
        self.done(self.user.terminate(launched.provisioned_product_id))


def tell(directory: Path, page: Progress) -> Told:
    """Run the whole story; return all of its grants and calls.

    Raises SurpriseError, TimeoutError, and the errors of the embedded AWS and of the SAM CLI.
    """
    page.say("Every permission of every role, and who uses it: under enforced IAM, recorded.")
    with Emulator(directory / "aws", notebooks=_NOTEBOOKS, wait_scale=_WAIT_SCALE) as aws:
        run = _deploy(aws, directory, page)
        _let_the_schedules_come_soon(run)
        _browse(run)
        _launch_from_a_hub(run)
        launched = _work_on_a_notebook(run)
        _act_on_the_launch(run, launched)
        _open_and_stop_it_in_sagemaker(run, launched)
        _have_it_rest(run, launched)
        _change_it_by_hand(run, launched)
        _launch_by_another_role(run)
        _change_everything_that_a_launcher_may(run, launched)
        _update_to_later_versions(run, launched)
        _drop_its_project(run)
        _terminate_and_erase(run, launched)
        _launch_and_keep_the_data(run)
        _let_a_launch_expire(run)
        _deprecate_and_share_otherwise(run)
        _leave_a_notebook_behind(run)
        _launch_in_vain(run)
        _overspend(run)
        _answer_for_what_failed(run)
        page.step("The schedules invoke their functions.")
        _has_drift(run, "", differs=False)  # the notebooks that it remembers are gone
        await_that(lambda: _invoked_by(run, "Overdue"), "the answers to overdue requests")
        await_that(lambda: _invoked_by(run, "Expire"), "the look for what expires")
        await_that(lambda: _invoked_by(run, "StopIdle"), "the stop of idle notebooks")
        await_that(lambda: _invoked_by(run, "Count"), "the count of what runs")
        await_that(lambda: _invoked_by(run, "Drift"), "the comparison of notebooks")
        page.outcome("EventBridge's schedules had them come.")
        _delete_the_platform(run)
        return Told(run.granted, calls_of(aws.control("authorizations")), run.product_types)


def await_that(condition: Callable[[], Any], what: str) -> Any:
    """Wait until a condition holds; return what it returned. Raises TimeoutError."""
    end = time.monotonic() + _PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {_PATIENCE:.0f} s")
        time.sleep(0.1)
    return found


def _deploy(aws: Emulator, directory: Path, page: Progress) -> _Run:
    page.step("An administrator deploys the platform.")
    aws.client("servicecatalog").enable_aws_organizations_access()  # to share with a unit of it
    administrator = aws.client("iam").create_user(UserName=_ADMINISTRATOR)["User"]["Arn"]
    shared = hub.share_a_product(aws)
    parameters = {
        **_PARAMETERS,
        "DataAdministratorArns": administrator,
        "HubProductId": shared[0],
    }
    with (directory / "sam.log").open("w") as log:
        template = deploy.built(lambda line: print(line, file=log))
        outputs = deploy.deploy(aws, template, parameters, lambda line: print(line, file=log))
    user = end_user.sign_in(aws, outputs["ProductId"])
    run = _Run(aws, page, outputs, user, directory, template, shared)
    run.note_grants()
    page.outcome(f"Its roles are granted {len(set(run.granted.values()))} permissions.")
    return run


def _let_the_schedules_come_soon(run: _Run) -> None:
    """Let the rules of schedules fire after a minute in place of five, of an hour or a day."""
    for rule in _SCHEDULES:
        run.aws.client("events").put_rule(
            Name=run.physical_id(rule), ScheduleExpression="rate(1 minute)"
        )


def _browse(run: _Run) -> None:
    run.page.step("A data scientist looks at the catalog, as its console does.")
    catalog, product = run.user.catalog, run.user.product_id
    (view,) = catalog.search_products()["ProductViewSummaries"]
    catalog.describe_product_view(Id=view["Id"])
    path = catalog.list_launch_paths(ProductId=product)["LaunchPathSummaries"][0]
    artifact = catalog.describe_product(Id=product)["ProvisioningArtifacts"][0]
    catalog.describe_provisioning_parameters(
        ProductId=product, ProvisioningArtifactId=artifact["Id"], PathId=path["Id"]
    )
    run.page.outcome(f"{view['Name']} is there.")


def _launch_from_a_hub(run: _Run) -> None:
    run.page.step("She launches a hub's product from an imported portfolio.")
    run.page.outcome(hub.launch_in_vain(run.aws, run.user, *run.hub))


# --- a notebook's life --------------------------------------------------------------------------


def _work_on_a_notebook(run: _Run) -> Record:
    run.page.step("She launches a notebook that gets code from a bucket, and works on it.")
    s3, code = run.aws.client("s3"), f"code-{uuid4().hex}"
    s3.create_bucket(Bucket=code)
    s3.put_object(Bucket=code, Key="train.py", Body=b"print('training')")
    asked = {
        "S3CodePusher": "YES",
        "CodeBucketName": code,
        "OwnerEmail": "she@example.com",
        "IdleMinutes": "60",
    }
    launched = run.launch("analysis-1", asked)
    catalog, id_ = run.user.catalog, launched.provisioned_product_id
    catalog.search_provisioned_products()
    catalog.describe_provisioned_product(Id=id_)
    catalog.list_record_history()
    notebook = execution_role_calls.start(run.aws, launched, run.outputs["S3EndpointId"])
    execution_role_calls.copy_code(notebook, code)
    execution_role_calls.use_the_bucket(notebook)
    execution_role_calls.log_what_scripts_print(notebook)
    run.page.outcome("What its scripts, its owner and SageMaker do under its role was done.")
    run.page.step("She trains and deploys; IAM is asked what SageMaker would ask it.")
    execution_role_calls.run_the_example(notebook, run.directory)
    execution_role_calls.do_what_the_example_does_not(notebook, run.outputs["SubnetIds"].split(","))
    run.page.outcome("The example ran, and the rest of what a project may do in SageMaker.")
    return launched


def _act_on_the_launch(run: _Run, launched: Record) -> None:
    run.page.step("She stops and starts it with the product's actions.")
    catalog, ssm = run.user.catalog, run.aws.client("ssm", run.user.credentials)
    actions = catalog.list_service_actions_for_provisioning_artifact(
        ProductId=run.user.product_id, ProvisioningArtifactId=run.user.newest_artifact()
    )["ServiceActionSummaries"]
    ids = {each["Name"]: each["Id"] for each in actions}
    for name in ("Stop", "Start"):
        on = {
            "ProvisionedProductId": launched.provisioned_product_id,
            "ServiceActionId": ids[name],
        }
        ssm.describe_document(Name=f"NotebookVending-{name}")
        catalog.describe_service_action_execution_parameters(**on)
        record = catalog.execute_provisioned_product_service_action(**on, ExecuteToken=uuid4().hex)[
            "RecordDetail"
        ]["RecordId"]
        run.done(record)
    run.page.outcome("It runs again.")


def _open_and_stop_it_in_sagemaker(run: _Run, launched: Record) -> None:
    run.page.step("She opens it in SageMaker, stops and starts it there.")
    sagemaker = run.aws.client("sagemaker", run.user.credentials)
    name = {"NotebookInstanceName": launched.outputs["NotebookInstanceName"]}

    def is_in(status: str) -> bool:
        return bool(
            sagemaker.describe_notebook_instance(**name)["NotebookInstanceStatus"] == status
        )

    sagemaker.create_presigned_notebook_instance_url(**name)
    sagemaker.stop_notebook_instance(**name)
    await_that(lambda: is_in("Stopped"), "Stopped")
    sagemaker.start_notebook_instance(**name)
    await_that(lambda: is_in("InService"), "InService")
    run.page.outcome("It is her project's.")


def _have_it_rest(run: _Run, launched: Record) -> None:
    run.page.step(
        "It is idle and stops itself; then it cannot and says so; then off- and on-hours come."
    )
    notebook = execution_role_calls.start(run.aws, launched, run.outputs["S3EndpointId"])
    sagemaker, name = run.aws.client("sagemaker", run.user.credentials), notebook.name

    def is_in(status: str) -> bool:
        seen = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
        return bool(seen["NotebookInstanceStatus"] == status)

    def start() -> None:
        await_that(lambda: is_in("Stopped"), "Stopped")
        sagemaker.start_notebook_instance(NotebookInstanceName=name)
        await_that(lambda: is_in("InService"), "InService")

    notebook.client("sagemaker").stop_notebook_instance(NotebookInstanceName=name)
    start()
    execution_role_calls.say_that_it_is_idle(notebook)
    _invoke(run, "StopIdleFunction", {"source": "aws.events", "detail-type": "Scheduled Event"})
    start()
    now = datetime.now(UTC).isoformat()
    _invoke(run, "StopIdleFunction", {"reason": "off-hours", "time": now})
    await_that(lambda: is_in("Stopped"), "Stopped")
    _invoke(run, "StartOnHoursFunction", {"reason": "on-hours", "time": now})
    await_that(lambda: is_in("InService"), "InService")
    failed = {"status": "Failed", "failure_reason": "Insufficient notebook instance capacity."}
    run.aws.control("sagemaker", {"statuses": {name: failed}})
    await_that(lambda: is_in("InService"), "InService")
    run.page.outcome("It was stopped each time, and started again.")


def _invoke(run: _Run, function: str, event: Mapping[str, Any]) -> None:
    """Invoke a function; raises SurpriseError if it fails."""
    answer = run.aws.client("lambda").invoke(
        FunctionName=run.physical_id(function), Payload=json.dumps(event)
    )
    if "FunctionError" in answer:
        raise SurpriseError(answer["Payload"].read().decode())


def _change_it_by_hand(run: _Run, launched: Record) -> None:
    run.page.step("An administrator changes a tag of it at the console, and changes it back.")
    sagemaker, name = run.aws.client("sagemaker"), launched.outputs["NotebookInstanceName"]
    arn = sagemaker.describe_notebook_instance(NotebookInstanceName=name)["NotebookInstanceArn"]
    tags = {each["Key"]: each["Value"] for each in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    for project, differs in (("another", True), (tags["ProjectID"], False)):
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "ProjectID", "Value": project}])
        # The schedule has it found, too.
        await_that(partial(_has_drift, run, arn, differs), "the report of the change")
    run.page.outcome("It is reported, and so is its end.")


def _has_drift(run: _Run, arn: str, differs: bool) -> bool:
    """Have notebooks compared; return whether this one differs, or does not, as expected."""
    _invoke(run, "ReportDriftFunction", {})
    items = run.aws.client("dynamodb").scan(TableName=run.outputs["DriftTable"])["Items"]
    records = [json.loads(e["Record"]["S"]) for e in items if e["Notebook"]["S"] == arn]
    return bool(records and records[0]["differences"]) is differs


def _launch_by_another_role(run: _Run) -> None:
    run.page.step("Another role, of the administrator's own, finds the product by its name.")
    iam, account = run.aws.client("iam"), run.outputs["StateMachineArn"].split(":")[4]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    iam.create_role(
        RoleName=_FURTHER_ROLE,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
    )
    iam.attach_role_policy(RoleName=_FURTHER_ROLE, PolicyArn=run.physical_id("EndUsers"))
    another = end_user.sign_in(run.aws, run.user.product_id, _FURTHER_ROLE)
    found = another.catalog.search_products()["ProductViewSummaries"]
    if not found:
        raise SurpriseError(f"{_FURTHER_ROLE} sees no product")
    iam.detach_role_policy(RoleName=_FURTHER_ROLE, PolicyArn=run.physical_id("EndUsers"))
    run.page.outcome("It may launch, too.")


def _change_everything_that_a_launcher_may(run: _Run, launched: Record) -> None:
    run.page.step("She updates it: another type and environment, then another name.")
    run.update(launched, NotebookInstanceType="ml.t3.large", ENVName="prod")
    # The same subnet by its id: the look has to find out that nothing moves.
    run.update(
        launched,
        SubnetName=run.outputs["SubnetIds"].split(",")[0],
        OwnerEmail="another@example.com",  # another subscription, and the end of the one before
    )
    run.update(launched, NotebookInstanceName="analysis-2", AllowReplacement="YES")
    run.page.outcome("It was changed in place, then replaced.")


def _update_to_later_versions(run: _Run, launched: Record) -> None:
    run.page.step("The administrator publishes later versions of the product; she updates to them.")
    later = _newest_template(run)
    # What may change in place: trust, a script, tags.
    later = _extended(later, "Service: sagemaker.amazonaws.com\n", " " * 12 + "Sid: SageMaker\n")
    later = _extended(later, "#!/bin/bash", " -e")
    later = _without_tag(
        later, "ENVName", of=("ExecutionRole", "ProjectKey", "OwnerTopic", "Notebook")
    )
    _publish(run, "later", later)
    run.update(launched)
    # Another path is another role, which the notebook and the key's policy get.
    _publish(run, "latest", _extended(later, "Path: /notebook-vending/", "later/"))
    run.update(launched)
    run.page.outcome("Its role, its key and its scripts are those of the latest version.")


def _drop_its_project(run: _Run) -> None:
    run.page.step("The administrator drops the project that she works for.")
    try:
        _redeploy(run, ProjectIDs="Another")
    except deploy.SamError:  # its table breaks the reason into pieces
        events = run.aws.client("cloudformation").describe_stack_events(StackName=deploy.STACK)
        reasons = [each.get("ResourceStatusReason", "") for each in events["StackEvents"]]
        if not any("Owners would be locked out of their notebooks" in each for each in reasons):
            raise
        run.page.outcome("It is refused while there is her notebook.")
    else:
        raise SurpriseError("a project with a notebook was dropped")


def _newest_template(run: _Run) -> str:
    artifact = run.user.newest_artifact()
    shown = run.aws.client("servicecatalog").describe_provisioning_artifact(
        ProductId=run.user.product_id, ProvisioningArtifactId=artifact
    )
    host, _, key = shown["Info"]["TemplateUrl"].removeprefix("https://").partition("/")
    body = run.aws.client("s3").get_object(Bucket=host.partition(".")[0], Key=key)["Body"]
    return str(body.read().decode())


def _publish(run: _Run, name: str, template: str) -> None:
    bucket, key = f"versions-{uuid4().hex}", f"{name}.yaml"
    s3 = run.aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=template.encode())
    run.aws.client("servicecatalog").create_provisioning_artifact(
        ProductId=run.user.product_id,
        Parameters={
            "Name": name,
            "Info": {"LoadTemplateFromURL": f"https://{bucket}.s3.amazonaws.com/{key}"},
            "Type": "CLOUD_FORMATION_TEMPLATE",
        },
        IdempotencyToken=uuid4().hex,
    )


def _extended(template: str, text: str, more: str) -> str:
    """Put more behind the first place where a text is."""
    before, found, after = template.partition(text)
    if not found:
        raise SurpriseError(f"the product's template has no {text!r}")
    return f"{before}{found}{more}{after}"


def _without_tag(template: str, key: str, of: tuple[str, ...]) -> str:
    """Take a tag from some resources."""
    lines, resource = [], ""
    for line in template.splitlines(keepends=True):
        if line.startswith("  ") and line[2:3].isalpha() and line.rstrip().endswith(":"):
            resource = line.strip().rstrip(":")
        if not (resource in of and f"Key: {key}," in line):
            lines.append(line)
    return "".join(lines)


def _terminate_and_erase(run: _Run, launched: Record) -> None:
    run.page.step("She terminates it; the bucket holds old versions, and goes.")
    run.terminate(launched)
    run.page.outcome("Notebook, bucket, key and role are gone.")


def _launch_and_keep_the_data(run: _Run) -> None:
    run.page.step("She launches another one, keeps its data, and terminates it.")
    # SageMaker may send a volume's key under either name, and a role has a permission for each.
    new, old = VOLUME_KEYS
    # SageMaker throttles the creation and the first observation. Both then count the unanswered
    # requests.
    throttled = [
        {"operation": operation}
        for operation in ("CreateNotebookInstance", "DescribeNotebookInstance")
    ]
    run.aws.control("sagemaker", {"volume_key_condition": old, "call_faults": throttled})
    kept = run.launch("analysis-3", {"DataRetention": "Retain"})
    run.aws.control("sagemaker", {"volume_key_condition": new})
    notebook = execution_role_calls.start(run.aws, kept, run.outputs["S3EndpointId"])
    execution_role_calls.use_the_bucket(notebook)
    run.terminate(kept)
    run.page.outcome("The bucket is there, the rest is gone.")
    run.page.step("The data's administrator looks at it and clears up.")
    _clear_up(run, notebook.bucket)
    run.page.outcome("Nothing is left in it.")


def _clear_up(run: _Run, bucket: str) -> None:
    iam, role = run.aws.client("iam"), run.physical_id("DataAdministratorRole")
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn}
    iam.put_user_policy(
        UserName=_ADMINISTRATOR,
        PolicyName="sign-in",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": may}),
    )
    key = iam.create_access_key(UserName=_ADMINISTRATOR)["AccessKey"]
    session = run.aws.client("sts", key).assume_role(RoleArn=arn, RoleSessionName=_ADMINISTRATOR)
    s3 = run.aws.client("s3", session["Credentials"])
    s3.get_bucket_tagging(Bucket=bucket)
    s3.list_objects_v2(Bucket=bucket)
    found = s3.list_object_versions(Bucket=bucket)
    for version in found["Versions"]:
        object_ = {"Bucket": bucket, "Key": version["Key"]}
        s3.get_object(**object_, VersionId=version["VersionId"])
    for each in found["DeleteMarkers"]:  # what they hid is there again
        s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    for name in {each["Key"] for each in found["Versions"]}:
        s3.get_object(Bucket=bucket, Key=name)
        s3.delete_object(Bucket=bucket, Key=name)


def _let_a_launch_expire(run: _Run) -> None:
    run.page.step("A launch expires: its owner is warned, then it is terminated.")
    name = "analysis-4"
    launched = run.launch(name, {"ExpiresAfterDays": "1", "OwnerEmail": "she@example.com"})
    sagemaker = run.aws.client("sagemaker")
    arn = sagemaker.describe_notebook_instance(NotebookInstanceName=name)["NotebookInstanceArn"]
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    for day in (tomorrow, date(2020, 1, 1)):
        tag = {"Key": "notebook-vending:expires-on", "Value": day.isoformat()}
        sagemaker.add_tags(ResourceArn=arn, Tags=[tag])
        answer = run.aws.client("lambda").invoke(
            FunctionName=run.physical_id("ExpireLaunchesFunction")
        )
        if "FunctionError" in answer:
            raise SurpriseError(answer["Payload"].read().decode())
    catalog = run.aws.client("servicecatalog")

    def is_gone() -> bool:
        found = catalog.scan_provisioned_products(
            AccessLevelFilter={"Key": "Account", "Value": "self"}
        )["ProvisionedProducts"]
        return launched.provisioned_product_id not in [each["Id"] for each in found]

    await_that(is_gone, "the end of the launch")
    run.page.outcome("All of it is gone, through Service Catalog.")


def _deprecate_and_share_otherwise(run: _Run) -> None:
    run.page.step("The administrator deprecates a version, shares with fewer, and takes it back.")
    _redeploy(run, DeprecatedVersions="1", ShareWith=_UNIT)
    catalog, product = run.aws.client("servicecatalog"), run.user.product_id
    (first,) = (
        each
        for each in catalog.list_provisioning_artifacts(ProductId=product)[
            "ProvisioningArtifactDetails"
        ]
        if each["Name"] == "1"
    )
    if first["Guidance"] != "DEPRECATED":
        raise SurpriseError("the version is not deprecated")
    _redeploy(run, DeprecatedVersions='""', ShareWith=_PARAMETERS["ShareWith"])
    run.page.outcome("It was, and is as before.")


def _redeploy(run: _Run, **parameters: str | int) -> None:
    """Deploy with some parameters changed; SAM keeps the others."""
    with (run.directory / "sam.log").open("a") as log:
        deploy.deploy(run.aws, run.template, parameters, lambda line: print(line, file=log))
    run.note_grants()


# --- what goes wrong ------------------------------------------------------------------------------


def _leave_a_notebook_behind(run: _Run) -> None:
    run.page.step("A notebook has the tags of a stack that is deleted.")
    gone = run.aws.client("cloudformation").list_stacks(StackStatusFilter=["DELETE_COMPLETE"])
    stack_id = gone["StackSummaries"][0]["StackId"]
    launched = run.launch("left-behind", {})
    sagemaker = run.aws.client("sagemaker")
    (arn,) = (
        each["NotebookInstanceArn"]
        for each in sagemaker.list_notebook_instances()["NotebookInstances"]
        if each["NotebookInstanceName"] == "left-behind"
    )
    # An operator lists the orphans while the notebook is still in its stack.
    run.aws.client("lambda").invoke(
        FunctionName=run.physical_id("DeleteOrphansFunction"), Payload=json.dumps({"DryRun": True})
    )
    tag = {"Key": "notebook-vending:stack-id", "Value": stack_id}
    sagemaker.add_tags(ResourceArn=arn, Tags=[tag])
    await_that(
        lambda: not sagemaker.list_notebook_instances()["NotebookInstances"], "the notebook's end"
    )
    run.terminate(launched)
    run.page.outcome("The schedule had it found and deleted.")


def _launch_in_vain(run: _Run) -> None:
    run.page.step("She asks for a larger volume than the platform allows.")
    too_much = {"VolumeSizeInGB": str(_MAX_VOLUME + 1)}
    refused = run.launch("too-large", too_much, succeeds=False)
    run.terminate(refused)
    run.page.outcome("It was refused.")


def _overspend(run: _Run) -> None:
    run.page.step("Her project is over its budget, until the administrator raises it.")
    if datetime.now(UTC).day == 1:  # when AWS's data may be those of the month before
        run.page.say("On the first day of a month no launch is refused for it.")
    run.aws.control("budgets", {f"NotebookVending-{run.outputs['PortfolioId']}": "501"})
    ledger = run.aws.client("dynamodb")

    def over() -> bool:
        items = ledger.scan(TableName=run.outputs["LedgerTable"])["Items"]
        return any(each["Resource"]["S"].startswith("budget|") for each in items)

    if datetime.now(UTC).day > 1:
        await_that(over, "the look at the budget")
        run.terminate(run.launch("over-budget", {}, succeeds=False))
    _redeploy(run, MonthlyBudgetUSD=750)
    if over():
        raise SurpriseError("the project is over a budget that was raised")
    run.terminate(run.launch("within-budget", {}))
    run.page.outcome("It was refused, and launched then.")


def _answer_for_what_failed(run: _Run) -> None:
    run.page.step(
        "An execution is stopped, the request function is broken, the answering function fails."
    )
    record_id = run.begin("stopped", {})
    executions = run.aws.client("stepfunctions")

    def running() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = executions.list_executions(
            stateMachineArn=run.outputs["StateMachineArn"], statusFilter="RUNNING"
        )["executions"]
        return found

    for each in await_that(running, "an execution"):
        executions.stop_execution(executionArn=each["executionArn"])
    run.terminate(run.done(record_id, succeeds=False))
    _hand_over_a_request_that_has_an_execution(run)

    with _broken(run, "RequestFunction"):
        failed = run.launch("unreceived", {}, succeeds=False)
    run.terminate(failed)

    run.aws.client("lambda").invoke(
        FunctionName=run.physical_id("RespondFunction"),
        InvocationType="Event",
        Payload=json.dumps({"Resource": "nobody's", "Request": "none"}),
    )
    with _broken(run, "DeleteOrphansFunction"):
        run.aws.client("lambda").invoke(
            FunctionName=run.physical_id("DeleteOrphansFunction"),
            InvocationType="Event",
            Payload="{}",
        )
        await_that(lambda: _sent(run, "DeleteOrphansRole"), "the message on the cleanup")
    await_that(lambda: _sent(run, "RespondRole"), "the message to the queue")
    run.page.outcome("Each was answered for, or counted.")


def _hand_over_a_request_that_has_an_execution(run: _Run) -> None:
    """Invoke the answering function as if the request function had failed after its last call."""
    names = ("RequestType", "RequestId", "StackId", "LogicalResourceId")
    asked = next(
        {name: each[name] for name in names}
        for each in run.aws.control("cloudformation")["requests"]
        if each["LogicalResourceId"] == "Notebook"
    )
    items = run.aws.client("dynamodb").scan(TableName=run.outputs["LedgerTable"])["Items"]
    address = next(
        each["ResponseURL"]["S"]
        for each in items
        if each["Request"]["S"].endswith(asked["RequestId"])
    )
    run.aws.client("lambda").invoke(
        FunctionName=run.physical_id("RespondFunction"),
        Payload=json.dumps(
            {"requestPayload": {**asked, "ResponseURL": address, "ResourceProperties": {}}}
        ),
    )


@contextmanager
def _broken(run: _Run, function: str) -> Iterator[None]:
    """Give a function, and its aliases, a handler that is not there, as a bad deployment does."""
    client, name = run.aws.client("lambda"), run.physical_id(function)
    handler = client.get_function_configuration(FunctionName=name)["Handler"]
    aliases = client.list_aliases(FunctionName=name)["Aliases"]

    def alias_for(version: str | None) -> None:
        for each in aliases:
            to = version or each["FunctionVersion"]
            client.update_alias(FunctionName=name, Name=each["Name"], FunctionVersion=to)

    client.update_function_configuration(FunctionName=name, Handler="handlers.none.handler")
    alias_for("$LATEST")
    try:
        yield
    finally:
        alias_for(None)
        client.update_function_configuration(FunctionName=name, Handler=handler)


def _invoked_by(run: _Run, rule: str) -> bool:
    """Whether a rule had its function invoked."""
    return any(
        (grant.role, rule in grant.statement) == ("EventBridge", True) for grant in _used(run)
    )


def _sent(run: _Run, role: str) -> bool:
    return any((grant.role, grant.action) == (role, "sqs:SendMessage") for grant in _used(run))


def _used(run: _Run) -> Iterator[Grant]:
    for call in calls_of(run.aws.control("authorizations")):
        for place in call.places:
            if place in run.granted:
                yield run.granted[place]


def _delete_the_platform(run: _Run) -> None:
    run.page.step("The administrator deletes the platform.")
    # The later versions were not the stack's; a file and an upload are left in its bucket.
    bucket, s3 = run.physical_id("Templates"), run.aws.client("s3")
    s3.put_object(Bucket=bucket, Key="left")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    catalog, product = run.aws.client("servicecatalog"), run.user.product_id
    artifacts = catalog.list_provisioning_artifacts(ProductId=product)
    for each in artifacts["ProvisioningArtifactDetails"]:
        if each["Name"] in ("later", "latest"):
            catalog.delete_provisioning_artifact(
                ProductId=product, ProvisioningArtifactId=each["Id"]
            )
    cloudformation = run.aws.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName=deploy.STACK)["Stacks"][0]["StackId"]
    _be_refused_while_there_is_a_notebook(run, stack)
    # A function that runs while its role is deleted would be recorded as denied.
    for rule in (*_SCHEDULES, "DeleteOrphansFunctionStackChanged"):
        run.aws.client("events").disable_rule(Name=run.physical_id(rule))
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=stack, WaiterConfig={"Delay": 1}
    )
    run.page.outcome("It is gone.")


def _be_refused_while_there_is_a_notebook(run: _Run, stack: str) -> None:
    cloudformation = run.aws.client("cloudformation")
    left = bystander.make_notebook(run.aws, "left-to-the-end", "ml.t3.medium")
    seen = left.wait_until("InService", lambda: None)
    ours = {"Key": "notebook-vending:platform", "Value": deploy.STACK}
    run.aws.client("sagemaker").add_tags(ResourceArn=seen["NotebookInstanceArn"], Tags=[ours])
    cloudformation.delete_stack(StackName=stack)

    def refused() -> bool:
        (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return bool(described["StackStatus"] == "DELETE_FAILED")

    await_that(refused, "the refusal")
    left.remove(lambda: None)
    run.page.outcome("It is refused while there is a notebook without a launch.")
