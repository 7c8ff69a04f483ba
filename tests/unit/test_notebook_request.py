"""A request's notebook is checked and compared, and its names make duplicates harmless."""

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from notebook_vending import clock
from notebook_vending.notebooks.limits import Limits
from notebook_vending.notebooks.notebook import NotebookSpec
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.entry import Entry
from notebook_vending.requests.notebook_request import (
    changes,
    changes_type,
    dropped_tags,
    entry_for_answer,
    entry_of,
    execution_name,
    fixed_changes,
    is_notebook_name,
    notebook_name,
    parse_notebook,
    physical_resource_id,
    prepare,
    replaced_name,
    unchanged_properties,
)
from tests.unit.requested_notebook import ADDRESS, EVENT, PROPERTIES, request

ISSUED = datetime(2026, 1, 5, 7, 59, 30, tzinfo=UTC)
NOW = ISSUED + timedelta(seconds=20)
LIMITS = Limits(
    ("ml.t3.medium", "ml.t3.large"), 100, ("notebook-al2-v3", "notebook-al2023-v1"), False
)


def update(old: dict[str, Any] | None = None, **new: Any) -> CustomResourceRequest:
    """Return an Update of `old` (or the plain properties) to `new` ones."""
    return request(
        RequestType="Update",
        PhysicalResourceId="analysis",
        OldResourceProperties=PROPERTIES | (old or {}),
        ResourceProperties=PROPERTIES | new,
    )


def spec(unchanged: tuple[str, ...] = (), /, **changes: Any) -> NotebookSpec:
    """Return the notebook of valid properties with these changes."""
    asked, wrong = parse_notebook(PROPERTIES | changes, LIMITS, unchanged)
    assert wrong == ()
    assert asked is not None
    return asked


def violations(**changes: Any) -> tuple[str, ...]:
    """Return the violations of properties with these changes."""
    _, wrong = parse_notebook(PROPERTIES | changes, LIMITS)
    assert wrong != ()
    return wrong


NO_DIGITS = (
    "",
    "ten",
    "20.5",
    "1e2",
    "20 ",
    " 20",
    "20\n",
    "2_0",
    "+20",
    "-1",
    "0x14",
    "\uff12\uff10",
)


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    """Return tags as CloudFormation lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# The request


def test_create_replaces_changes_and_drops_nothing() -> None:
    create = request()

    assert notebook_name(create) == physical_resource_id(create) == "analysis"
    assert (replaced_name(create), fixed_changes(create), dropped_tags(create)) == ("", (), ())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "analysis"),
        ({"PhysicalResourceId": "invented-by-CloudFormation"}, "invented-by-CloudFormation"),
        ({"ResourceProperties": {}}, "Notebook"),
        ({"ResourceProperties": {"NotebookInstanceName": ""}}, "Notebook"),
        ({"ResourceProperties": {"NotebookInstanceName": "no_notebook's"}}, "Notebook"),
    ],
)
def test_physical_id_is_echoed_and_never_empty(changes: dict[str, Any], expected: str) -> None:
    assert physical_resource_id(request(**changes)) == expected


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_physical_id_is_no_longer_than_cloudformation_accepts(character: str) -> None:
    name = {"NotebookInstanceName": character * 5000}

    id_ = physical_resource_id(request(ResourceProperties=name))

    assert 0 < len(id_.encode()) <= 1024


@pytest.mark.parametrize(
    ("new", "replaces"),
    [("analysis", ""), ("ANALYSIS", ""), ("another", "analysis"), ("", "analysis")],
)
def test_only_another_name_replaces_the_notebook(new: str, replaces: str) -> None:
    assert replaced_name(update(NotebookInstanceName=new)) == replaces


def test_update_of_a_resource_without_a_name_replaces_nothing() -> None:
    old = {name: value for name, value in PROPERTIES.items() if name != "NotebookInstanceName"}

    assert replaced_name(request(RequestType="Update", OldResourceProperties=old)) == ""


def test_changes_that_cannot_be_made_in_place_are_listed() -> None:
    changed = update(Subnet="b", KmsKeyId="k", NotebookInstanceType="ml.t3.large")

    assert fixed_changes(changed) == ("Subnet", "KmsKeyId")
    assert fixed_changes(update(SecurityGroupName="b")) == ("SecurityGroupName",)
    assert fixed_changes(update(VolumeSizeInGB="5")) == ("VolumeSizeInGB",)


def test_rename_makes_a_new_notebook_so_nothing_is_changed_in_place() -> None:
    assert fixed_changes(update(NotebookInstanceName="another", Subnet="b")) == ()


def test_update_changes_the_type_only_if_its_first_choice_differs() -> None:
    assert changes_type(update(NotebookInstanceType="ml.t3.large"))
    assert not changes_type(update(FallbackInstanceTypes=["ml.t3.large"]))
    assert not changes_type(request())


def test_properties_that_an_update_leaves_alone_are_unchanged() -> None:
    changed = update({"RootAccess": "Disabled"}, RootAccess="Enabled", ENVName="new")

    assert unchanged_properties(changed) == PROPERTIES.keys()


def test_settings_that_an_update_changes_are_listed_with_both_values_cut() -> None:
    changed = update({"ENVName": "x" * 301}, ENVName="new", ProjectID="p", ServiceTimeout="1")

    assert changes(changed) == {"ENVName": ["x" * 300, "new"], "ProjectID": ["", "p"]}
    assert changes(request()) == {}


def test_tags_that_are_no_longer_requested_are_dropped() -> None:
    old = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}]

    assert dropped_tags(update({"Tags": old}, Tags=[{"Key": "b", "Value": "2"}])) == ("a",)
    assert set(dropped_tags(update({"Tags": old}))) == {"a", "b"}


def test_only_tags_that_can_be_on_a_notebook_are_dropped() -> None:
    def dropped(*keys: str) -> tuple[str, ...]:
        return dropped_tags(update({"Tags": listed(dict.fromkeys(keys, ""))}))

    assert len(dropped(*map(str, range(50)))) == 50
    assert dropped(*map(str, range(51))) == ()
    assert dropped("k" * 128, "k" * 129) == ("k" * 128,)


@pytest.mark.parametrize(
    "tags",
    [
        "text",
        [1],
        [{"Value": "no key"}],
        [{"Key": "a", "Vaule": "b"}],
        [{"Key": 7}],
        {"a": "b"},
        None,
        7,
    ],
)
def test_invalid_tags_do_not_break_the_request(tags: Any) -> None:
    dropped_tags(update({"Tags": tags}, Tags=tags))
    if tags != {"a": "b"}:
        (fault,) = violations(Tags=tags)
        assert fault.startswith("Tags ")
        assert fault.endswith("is not a list of Key and Value")


def test_tag_without_a_value_has_an_empty_value() -> None:
    assert spec(Tags=[{"Key": "a"}]).Tags == {"a": ""}


# The execution's name


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_execution_name_is_valid_for_step_functions(kind: str) -> None:
    name = execution_name(request(RequestType=kind, RequestId=str(uuid4())))

    assert len(name) <= 80
    assert re.fullmatch(r"[A-Za-z0-9_-]+", name)


def test_execution_name_contains_the_request_id() -> None:
    name = execution_name(request())

    assert re.fullmatch(rf"Create-{EVENT['RequestId']}-[0-9a-f]{{32}}", name)


def test_execution_name_keeps_capitals_of_the_request_id() -> None:
    assert "-A1_b-" in execution_name(request(RequestId="A1_b"))


def test_long_request_id_is_cut_in_the_execution_name() -> None:
    assert len(execution_name(request(RequestId="x" * 128))) <= 80


def test_second_delivery_has_the_same_execution_name() -> None:
    assert execution_name(request()) == execution_name(request())


@pytest.mark.parametrize(
    "changes",
    [
        {"RequestType": "Delete"},
        {"RequestId": str(uuid4())},
        # CloudFormation's own retry may reuse the RequestId, but has a new signature.
        {"ResponseURL": EVENT["ResponseURL"].replace("075930", "081530")},
    ],
)
def test_any_other_request_has_another_execution_name(changes: dict[str, str]) -> None:
    assert execution_name(request(**changes)) != execution_name(request())


def test_execution_name_does_not_reveal_the_response_url() -> None:
    name = execution_name(request(ResponseURL=f"{ADDRESS}?X-Amz-Signature=0ff1ce"))

    assert "0ff1ce" not in name


# The notebook asked for


def test_defaults_are_the_strict_choices() -> None:
    plain = spec()

    assert (plain.RootAccess, plain.DirectInternetAccess) == ("Disabled", "Disabled")
    assert (plain.AllowReplacement, plain.LifecycleConfigName) == ("NO", "")
    assert (plain.VolumeSizeInGB, plain.PlatformIdentifier) == (20, "notebook-al2023-v1")
    assert (plain.FallbackInstanceTypes, plain.Tags) == ((), {})
    assert plain.ENVName == plain.ProjectName == plain.ProjectID == ""


def test_numbers_and_tags_are_parsed_from_the_formats_of_cloudformation() -> None:
    parsed = spec(VolumeSizeInGB="42", Tags=[{"Key": "a", "Value": "1"}])

    assert (parsed.VolumeSizeInGB, parsed.Tags) == (42, {"a": "1"})


@pytest.mark.parametrize(
    ("name", "fault", "values"),
    [
        (
            "NotebookInstanceName",
            "'{}' is not valid: give 1 to 63 letters, digits and hyphens, no hyphen at either end",
            ["", "-a", "a-", "a_b", "a b", "a" * 64, "ü", "a\n"],
        ),
        (
            "NotebookInstanceType",
            "'{}' is not allowed here: choose one of ml.t3.medium, ml.t3.large",
            ["", "ml.p5.48xlarge", "t3.medium"],
        ),
        (
            "FallbackInstanceTypes",
            "'{}' is not allowed here: choose from ml.t3.medium, ml.t3.large",
            ["ml.p5.48xlarge", "t3.medium"],
        ),
        (
            "RoleArn",
            "'{}' is not valid: give the ARN of an IAM role",
            [
                "",
                "role",
                "arn:aws:iam::1:role/x",
                "arn:aws:iam::123456789012:user/x",
                "arn:aws:iam::12345678901\uff12:role/x",
                "arn:aws:iam::123456789012:role/ü",
                f"{'arn:aws:iam::123456789012:role/':x<2049}",
            ],
        ),
        (
            "KmsKeyId",
            "'{}' is not valid: give the ARN of a customer KMS key",
            ["", "a b", "k" * 2049],
        ),
        (
            "Subnet",
            "'{}' is not valid: give a subnet's Name tag or id",
            ["", "*", "a?", "a\\b", "s" * 256],
        ),
        (
            "SecurityGroupName",
            "'{}' is not valid: give a security group's Name or id",
            ["", "*", "g" * 256],
        ),
        ("VolumeSizeInGB", "{} is out of range: ask for 5 to 100 GB", ["4", "101", "0"]),
        ("ExpiresAfterDays", "{} is out of range: give 1 to 365 days, or 0 for never", ["366"]),
        *(
            (
                name,
                "{!r} is not a whole number: give digits only",
                [*NO_DIGITS, ["20"], {}, None, 20.0, True],
            )
            for name in ("VolumeSizeInGB", "ExpiresAfterDays")
        ),
        ("LifecycleConfigName", "{!r} is not text", [None, 7, ["a"], {"a": "b"}]),
        ("RootAccess", "'{}' is not allowed here: choose Disabled", ["Enabled"]),
        ("RootAccess", "'{}' is not valid: choose Disabled", ["", "disabled"]),
        ("DirectInternetAccess", "'{}' is not valid: give Disabled", ["Enabled", "", "No"]),
        (
            "PlatformIdentifier",
            "'{}' is not supported: choose one of notebook-al2-v3, notebook-al2023-v1",
            ["", "notebook-al1-v1", "notebook-al2-v2"],
        ),
        (
            "LifecycleConfigName",
            "'{}' is not valid: give a lifecycle configuration's name",
            ["-a", "a" * 64, "a b"],
        ),
        ("AllowReplacement", "'{}' is not valid: give YES or NO", ["", "yes", "true"]),
        (
            "Repair",
            "'{}' is not valid: give letters, digits, colons, dots and hyphens",
            ["a b", "r" * 65, "ü"],
        ),
        *(
            (name, "'{}' is not valid: give 256 characters at most", ["x" * 257])
            for name in ("ENVName", "ProjectName", "ProjectID")
        ),
    ],
)
def test_each_property_is_checked_and_its_error_names_the_valid_values(
    name: str, fault: str, values: list[Any]
) -> None:
    for value in values:
        shown = value[:80] if isinstance(value, str) else value
        assert violations(**{name: value}) == (f"{name} {fault.format(shown)}",)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("NotebookInstanceName", ["a", "A-1", "a" * 63]),
        ("RoleArn", [f"{'arn:aws:iam::123456789012:role/':x<2048}"]),
        ("KmsKeyId", ["k" * 2048, "arn:aws-cn:kms:cn-north-1:1:key/A_B"]),
        ("Subnet", ["s" * 255, "My subnet"]),
        ("SecurityGroupName", ["g" * 255]),
        ("RootAccess", ["Disabled"]),
        ("DirectInternetAccess", ["Disabled"]),
        ("PlatformIdentifier", ["notebook-al2-v3", "notebook-al2023-v1"]),
        ("LifecycleConfigName", ["", "a", "a" * 63]),
        ("AllowReplacement", ["YES", "NO"]),
        ("Repair", ["", "2026-01-06T08:00:00Z", "r" * 64]),
        ("ENVName", ["", "x" * 256]),
        ("ProjectName", ["", "x" * 256]),
        ("ProjectID", ["", "x" * 256]),
    ],
)
def test_values_within_their_bounds_are_accepted(name: str, values: list[str]) -> None:
    for value in values:
        assert getattr(spec(**{name: value}), name) == value


@pytest.mark.parametrize("size", [5, 100])
def test_smallest_and_largest_volume_are_accepted(size: int) -> None:
    assert spec(VolumeSizeInGB=str(size)).VolumeSizeInGB == size


@pytest.mark.parametrize(
    ("given", "types"),
    [
        (["ml.t3.large"], ("ml.t3.large",)),
        ([" ml.t3.large ", "", "ml.t3.medium"], ("ml.t3.large", "ml.t3.medium")),
        ("ml.t3.large,ml.t3.medium", ("ml.t3.large", "ml.t3.medium")),
        ([""], ()),
        ([], ()),
        ("", ()),
    ],
)
def test_fallbacks_are_parsed_from_the_list_formats_of_cloudformation(
    given: Any, types: tuple[str, ...]
) -> None:
    assert spec(FallbackInstanceTypes=given).FallbackInstanceTypes == types


def test_error_names_every_instance_type_that_is_not_allowed() -> None:
    (fault,) = violations(FallbackInstanceTypes=["ml.p5.48xlarge", "ml.t3.large", "ml.p3.2xlarge"])

    assert fault == (
        "FallbackInstanceTypes 'ml.p5.48xlarge', 'ml.p3.2xlarge' are not allowed here: "
        "choose from ml.t3.medium, ml.t3.large"
    )


def test_fallbacks_that_are_not_a_list_are_refused() -> None:
    assert violations(FallbackInstanceTypes=7) == (
        "FallbackInstanceTypes 7 is not a list of instance types",
    )


RESERVED = "tag keys that start with 'aws:' or 'notebook-vending:' are reserved:"
TOO_LONG = "tags are too long (key 128, value 256 characters):"
CHARACTERS = "may hold letters, digits, spaces and _.:/=+-@ only: change"
ALIKE = "Tags of the template: AWS treats keys that differ only by case as one: give one of"


@pytest.mark.parametrize(
    ("tags", "fault"),
    [
        ({"aws:x": "1"}, f"{RESERVED} ['aws:x']"),
        ({"fine": "1", "AWS:x": "1"}, f"{RESERVED} ['AWS:x']"),
        ({"notebook-vending:stack-id": "mine"}, f"{RESERVED} ['notebook-vending:stack-id']"),
        ({f"k{n}": "" for n in range(41)}, "41 tags are too many: give 40 at most"),
        ({"fine": "", "k" * 129: ""}, f"{TOO_LONG} ['{'k' * 129}']"),
        ({"": "v"}, f"{TOO_LONG} ['']"),
        ({"k": "v" * 257}, f"{TOO_LONG} ['k']"),
        ({"Team": "R&D", "ok": "1"}, f"{CHARACTERS} 'Team=R&D'"),
        ({"a": "b, c", "(x)": "1"}, f"{CHARACTERS} 'a=b, c', '(x)=1'"),
        ({"a\tb": "1"}, f"{CHARACTERS} 'a\\tb=1'"),
        ({"k": "two\nlines"}, f"{CHARACTERS} 'k=two\\nlines'"),
        ({"k": "100%"}, f"{CHARACTERS} 'k=100%'"),
        ({"k": "😀"}, f"{CHARACTERS} 'k=😀'"),
        ({"k": "कि"}, f"{CHARACTERS} 'k=कि'"),  # a letter and its vowel sign
        (
            {"aws:x": "1", "": "v", "k": "?"},
            f"{RESERVED} ['aws:x']; {TOO_LONG} ['']; {CHARACTERS} 'k=?'",
        ),
    ],
)
def test_tags_that_sagemaker_or_the_platform_cannot_accept_are_refused(
    tags: dict[str, str], fault: str
) -> None:
    assert violations(Tags=listed(tags)) == (f"Tags {fault}",)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (["Team", "team"], "'Team' and 'team'"),
        (["Team", "Team"], "'Team' and 'Team'"),
        (["ÄB", "x", "äb", "Äb", "X"], "'ÄB' and 'äb' and 'Äb'; 'x' and 'X'"),
    ],
)
def test_tag_keys_that_differ_only_by_case_are_refused(keys: list[str], named: str) -> None:
    tags = [{"Key": key, "Value": "1"} for key in keys]

    assert violations(Tags=tags) == (f"{ALIKE} {named}",)
    assert violations(Tags=tags, VolumeSizeInGB="1")[-1] == f"{ALIKE} {named}"
    assert len(violations(Tags=tags * 25_000)[-1]) < 500
    assert spec(("Tags",), Tags=tags)


@pytest.mark.parametrize(
    "tags",
    [
        {f"k{n}": "" for n in range(40)},
        {"k" * 128: "v" * 256},
        {"k": ""},
        {"Équipe 7": "été_.:/=+-@ ½ 漢字\u00a0٢"},
    ],
)
def test_tags_at_the_limits_of_sagemaker_are_accepted(tags: dict[str, str]) -> None:
    assert spec(Tags=listed(tags)).Tags == tags


def test_all_violations_are_reported_together() -> None:
    properties = {"NotebookInstanceName": "-", "VolumeSizeInGB": "1", "Colour": "red", "Size": "L"}

    asked, wrong = parse_notebook(properties, LIMITS)

    assert asked is None
    assert wrong == (
        "NotebookInstanceName '-' is not valid: give 1 to 63 letters, digits and hyphens, "
        "no hyphen at either end",
        "NotebookInstanceType is missing",
        "RoleArn is missing",
        "KmsKeyId is missing",
        "Subnet is missing",
        "SecurityGroupName is missing",
        "VolumeSizeInGB 1 is out of range: ask for 5 to 100 GB",
        "unknown properties, remove them: Colour, Size",
    )


def test_request_with_an_unknown_property_is_refused_as_a_whole() -> None:
    assert parse_notebook(PROPERTIES | {"Colour": "red"}, LIMITS) == (
        None,
        ("unknown properties, remove them: Colour",),
    )


HUGE = ["x" * 300_000, "\x00" * 100_000, "é" * 100_000, "😀" * 60_000]
TAGS = [{"Key": f"{n}{'x' * 90_000}", "Value": ""} for n in range(3)]


@pytest.mark.parametrize("huge", HUGE, ids=["ASCII", "control", "two bytes", "four bytes"])
@pytest.mark.parametrize("name", [*PROPERTIES, "RootAccess", "PlatformIdentifier", "ENVName", "X"])
def test_huge_property_is_refused_in_a_short_sentence(name: str, huge: str) -> None:
    if name in ("ServiceToken", "ServiceTimeout"):  # not settings
        spec(**{name: huge})
        return
    asked, wrong = parse_notebook(PROPERTIES | {name: huge}, LIMITS)

    assert asked is None
    assert sum(map(len, wrong)) < 1000
    assert wrong[0].startswith(f"{name} '") or wrong == ("unknown properties, remove them: X",)


def test_huge_tags_and_names_are_refused_in_a_short_sentence() -> None:
    for more in ({"Tags": TAGS}, {"x" * 300_000: ""}, {"Tags": [{"Key": f"aws:{'x' * 300_000}"}]}):
        _, wrong = parse_notebook(PROPERTIES | more, LIMITS)
        assert wrong
        assert sum(map(len, wrong)) < 1000


def test_unchanged_property_is_refused_when_it_is_huge() -> None:
    asked, wrong = parse_notebook(PROPERTIES | {"ENVName": HUGE[0]}, LIMITS, ("ENVName",))

    assert asked is None
    assert wrong == ("the properties are larger than any notebook's: shorten them",)


def test_stored_request_has_a_maximum_size() -> None:
    room = 220_000 - len(json.dumps(asdict(spec())))

    assert spec(("ENVName",), ENVName="x" * room)
    asked, _ = parse_notebook(PROPERTIES | {"ENVName": "x" * (room + 1)}, LIMITS, ("ENVName",))
    assert asked is None


def test_rollback_of_a_huge_request_is_not_huge() -> None:
    many = [{"Key": str(n), "Value": ""} for n in range(10_000)]
    for tags in (TAGS, many):
        back = update({"NotebookInstanceName": HUGE[0], "Tags": tags})
        assert (len(replaced_name(back)), dropped_tags(back)) == (64, ())


def test_request_at_every_limit_fits_in_the_ledger() -> None:
    letter = "𠀀"  # the largest size of a letter: four bytes
    tags = [{"Key": f"{n:02}" + letter * 126, "Value": letter * 256} for n in range(40)]
    long = dict.fromkeys(("ENVName", "ProjectName", "ProjectID"), "😀" * 256)
    places = dict.fromkeys(("Subnet", "SecurityGroupName"), "😀" * 255)

    assert spec(Tags=tags, KmsKeyId="k" * 2048, **long, **places)


def test_huge_list_of_instance_types_is_refused_in_a_short_sentence() -> None:
    for types in (["ml.t3.large"] * 50_000, ["ml.p5.48xlarge"] * 50_000, ["x" * 300_000]):
        asked, wrong = parse_notebook(PROPERTIES | {"FallbackInstanceTypes": types}, LIMITS)

        assert asked is None
        assert wrong
        assert sum(map(len, wrong)) < 1000


def test_root_access_is_allowed_only_if_the_platform_allows_it() -> None:
    generous = replace(LIMITS, root_access_allowed=True)

    for choice in ("Enabled", "Disabled"):
        asked, wrong = parse_notebook(PROPERTIES | {"RootAccess": choice}, generous)
        assert wrong == ()
        assert asked is not None
        assert asked.RootAccess == choice
    _, wrong = parse_notebook(PROPERTIES | {"RootAccess": "Yes"}, generous)
    assert wrong == ("RootAccess 'Yes' is not valid: choose Enabled or Disabled",)


def test_unchanged_properties_are_not_checked_against_the_limits_again() -> None:
    changes = {"NotebookInstanceType": "ml.g5.xlarge", "VolumeSizeInGB": "500"}

    kept = spec(("NotebookInstanceType", "VolumeSizeInGB"), **changes)

    assert (kept.NotebookInstanceType, kept.VolumeSizeInGB) == ("ml.g5.xlarge", 500)
    _, wrong = parse_notebook(PROPERTIES | changes, LIMITS, ("NotebookInstanceType",))
    assert wrong == ("VolumeSizeInGB 500 is out of range: ask for 5 to 100 GB",)


def test_request_that_only_breaks_a_limit_is_still_parsed() -> None:
    asked, wrong = parse_notebook(PROPERTIES | {"VolumeSizeInGB": "500"}, LIMITS)

    assert asked is not None
    assert asked.VolumeSizeInGB == 500
    assert len(wrong) == 1


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("a", True),
        ("A1-b--c", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("-", False),
    ],
)
def test_only_valid_notebook_names_are_recognized(name: str, possible: bool) -> None:
    assert is_notebook_name(name) is possible


# The entry in the ledger


@pytest.fixture
def platform_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables of the function that receives requests."""
    for name, value in {
        "DEADLINE_SECONDS": "3240",
        "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:it",
        "ALLOWED_INSTANCE_TYPES": ",".join(LIMITS.instance_types),
        "MAX_VOLUME_SIZE_IN_GB": "100",
        "ALLOWED_PLATFORM_IDENTIFIERS": ",".join(LIMITS.platform_identifiers),
        "ROOT_ACCESS_ALLOWED": "NO",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clock, "now", lambda: NOW)


has_settings = pytest.mark.usefixtures("platform_settings")


@has_settings
def test_entry_keeps_a_digest_of_each_setting_and_of_nothing_else() -> None:
    """An entry is compared with those of earlier releases, so a digest never changes."""
    asked = {**PROPERTIES, "Tags": [{"Key": "a", "Value": "b"}], "Colour": "blue"}

    kept = entry_of(request(ResourceProperties=asked)).asked

    assert kept
    assert kept.keys() == asked.keys() - {"ServiceToken", "ServiceTimeout", "Colour"}
    assert (kept["Subnet"], kept["Tags"]) == ("5f8368d643022c01", "bf4511629ce8a521")


@has_settings
def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    one, other = (
        entry_of(request(ResourceProperties={**PROPERTIES, "Tags": [tag]})).asked
        for tag in ({"Key": "a", "Value": "b"}, {"Value": "b", "Key": "a"})
    )

    assert one == other


@has_settings
@pytest.mark.parametrize(
    ("changed", "repairs"),
    [
        ({"Repair": "1"}, True),
        ({"Repair": "1", "RootAccess": "Enabled"}, False),
        ({"RootAccess": "Enabled"}, False),
    ],
)
def test_only_an_update_of_repair_alone_is_a_repair(changed: dict[str, Any], repairs: bool) -> None:
    assert entry_of(update(**changed)).repairs is repairs


@has_settings
def test_entry_of_an_update_keeps_the_digests_of_the_old_settings() -> None:
    kept = entry_of(update({"Subnet": "one"}, Subnet="another"))

    assert kept.asked
    assert kept.asked_before
    assert kept.asked.keys() == kept.asked_before.keys()
    assert {n for n in kept.asked if kept.asked[n] != kept.asked_before[n]} == {"Subnet"}
    assert entry_of(request()).asked_before == {}


@has_settings
def test_entry_of_a_create_has_everything_that_its_execution_needs() -> None:
    asked = {**PROPERTIES, "FallbackInstanceTypes": ["ml.t3.large"]}
    of_create = request(ResourceProperties=asked)

    kept = entry_of(of_create)

    assert kept == replace(
        entry_for_answer(of_create),
        spec=spec(FallbackInstanceTypes=["ml.t3.large"]),
        types_allowed=("ml.t3.medium", "ml.t3.large"),
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:it:"
        + execution_name(of_create),
        asked=kept.asked,
        asked_before={},
    )
    assert entry_for_answer(of_create) == Entry(
        request_type="Create",
        request_id=EVENT["RequestId"],
        stack_id=EVENT["StackId"],
        logical_resource_id="Notebook",
        physical_resource_id="analysis",
        notebook_name="analysis",
        role_arn=PROPERTIES["RoleArn"],
        issued_at=ISSUED,
        deadline=ISSUED + timedelta(seconds=3240),
        taken_in_at=NOW,
    )


@has_settings
def test_entry_of_an_update_has_its_changes() -> None:
    old = {"NotebookInstanceType": "ml.t3.large", "Subnet": "one", "Tags": {"a": "b"}}

    kept = entry_of(update(old, Subnet="another"))
    renamed = entry_of(update(NotebookInstanceName="renamed"))

    assert kept.fixed_changes == ("Subnet",)
    assert kept.changes_type is True
    assert kept.dropped_tags == ("a",)
    assert kept.replaces == ""
    assert renamed.replaces == "analysis"


@has_settings
def test_entry_keeps_each_violation_by_its_setting() -> None:
    """An unchanged setting is not a violation, but the execution can need its error."""
    wrong = {"VolumeSizeInGB": "500", "RootAccess": "Enabled", "Subnet": "", "ENVName": "\n"}

    kept = entry_of(update(wrong, **wrong))
    changed = entry_of(update(wrong, **{**wrong, "VolumeSizeInGB": "501"}))

    assert kept.violations == ()
    assert len(changed.violations) == 1
    assert changed.violations[0].startswith("VolumeSizeInGB 501 is out of range")
    assert kept.not_allowed.keys() == wrong.keys()
    assert changed.not_allowed["VolumeSizeInGB"] == changed.violations[0]


@has_settings
def test_several_violations_of_one_setting_are_joined_as_sentences() -> None:
    tags = [{"Key": "a", "Value": "!"}, {"Key": "A", "Value": "1"}]

    kept = entry_of(request(ResourceProperties={**PROPERTIES, "Tags": tags}))

    first, second = kept.violations
    assert kept.not_allowed == {"Tags": f"{first}. {second}"}


@has_settings
def test_entry_keeps_only_the_allowed_instance_types_as_allowed() -> None:
    asked = {**PROPERTIES, "FallbackInstanceTypes": ["ml.p4d.24xlarge", "ml.t3.large"]}

    assert entry_of(request(ResourceProperties=asked)).types_allowed == (
        "ml.t3.medium",
        "ml.t3.large",
    )


@has_settings
def test_entry_of_a_delete_has_no_notebook_settings() -> None:
    of_delete = request(
        RequestType="Delete",
        PhysicalResourceId="analysis",
        ResourceProperties=PROPERTIES | {"VolumeSizeInGB": "many"},
    )

    kept = entry_of(of_delete)

    assert (kept.spec, kept.violations, kept.not_allowed) == (None, (), {})
    assert kept.execution_arn.endswith(execution_name(of_delete))


@has_settings
def test_role_arn_is_cut_at_its_maximum_length() -> None:
    asked = {**PROPERTIES, "RoleArn": "r" * 3000}
    without = {name: value for name, value in PROPERTIES.items() if name != "RoleArn"}

    assert entry_for_answer(request(ResourceProperties=asked)).role_arn == "r" * 2048
    assert entry_for_answer(request(ResourceProperties=without)).role_arn == ""


@has_settings
def test_function_without_a_limit_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare()
    monkeypatch.delenv("MAX_VOLUME_SIZE_IN_GB")

    with pytest.raises(LookupError, match="MAX_VOLUME_SIZE_IN_GB is not set"):
        prepare()
