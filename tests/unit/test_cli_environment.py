"""The operator commands report broken shells and AWS configurations clearly."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import LoginRefreshRequired, UnauthorizedSSOTokenError
from typer.testing import CliRunner

from simulation.broken_calls import intercepted
from tests.project import ROOT
from tests.unit.operator_world import refusal
from vending import platform
from vending.cli import app
from vending.errors import worded

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
PROFILES = """
[profile sso]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Operator
[sso-session corp]
sso_start_url = https://example.invalid/start
sso_region = us-east-1
[profile older-sso]
sso_start_url = https://example.invalid/start
sso_region = us-east-1
sso_account_id = 111122223333
sso_role_name = Operator
[profile console]
login_session = arn:aws:iam::111122223333:user/alice
[profile missing]
credential_process = no-such-tool
[profile fails]
credential_process = sh -c "echo 'the token has expired' >&2; exit 1"
[profile chatty]
credential_process = echo hello
[profile unbalanced]
credential_process = "tool
[profile web]
role_arn = arn:aws:iam::111122223333:role/alice
web_identity_token_file = /no/such/token
[profile empty]
credential_process = false
[profile expired]
credential_process = cat expired.json
[profile mfa]
role_arn = arn:aws:iam::111122223333:role/alice
source_profile = frankfurt
mfa_serial = arn:aws:iam::111122223333:mfa/alice
[profile elsewhere]
endpoint_url = localhost:4566
aws_access_key_id = a
aws_secret_access_key = b
[profile frankfurt]
region = eu-central-1
aws_access_key_id = a
aws_secret_access_key = b
"""


@dataclass
class Shell:
    """A shell in its own folder, whose environment has only the AWS variables that a test sets."""

    folder: Path
    patch: pytest.MonkeyPatch

    def set(self, **variables: str) -> None:
        """Export variables."""
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def run(self, *words: str) -> tuple[int, str]:
        """Return a command's exit status and what it wrote to standard error."""
        ran = CliRunner().invoke(app, list(words))
        assert ran.stdout == ""
        return ran.exit_code, ran.stderr


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Set up a shell."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").write_text(PROFILES)
    (tmp_path / "expired.json").write_text(
        '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", '
        '"Expiration": "2020-01-01T00:00:00Z"}'
    )
    shell = Shell(tmp_path, monkeypatch)
    shell.set(
        AWS_CONFIG_FILE=str(tmp_path / "config"),
        AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "none"),
        AWS_EC2_METADATA_DISABLED="true",
        AWS_REGION="us-east-1",
        HOME=str(tmp_path),
    )
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    platform.client.cache_clear()
    yield shell
    platform.client.cache_clear()


# Credentials and Regions


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("missing", "No such file or directory: no-such-tool. Check credential_process"),
        ("chatty", "Your AWS credentials could not be read. "),
        ("unbalanced", "Your AWS credentials could not be read. No closing quotation."),
        ("fails", "The program of credential_process failed. "),
        ("web", "No such file or directory: /no/such/token. Check "),
        ("empty", "from custom-process. Run it in your shell"),
        ("expired", "are still expired. Check credential_process"),
        ("sso", "To sign in, run `aws sso login --profile sso`."),
        ("older-sso", "To sign in, run `aws sso login --profile older-sso`."),
        ("elsewhere", "Invalid endpoint: localhost:4566. "),
        ("none-such", "Name a --profile of your AWS configuration."),
    ],
)
def test_profile_without_credentials_is_reported_in_one_line(
    shell: Shell, profile: str, said: str
) -> None:
    status, output = shell.run("list", "--profile", profile)

    assert status == 3
    assert said in output
    assert len(output.splitlines()) == 1


def test_error_of_a_credential_program_is_shown(shell: Shell) -> None:
    assert "the token has expired" in shell.run("list", "--profile", "fails")[1]


@pytest.mark.parametrize(
    ("profile", "error", "command"),
    [
        ("sso", UnauthorizedSSOTokenError(), "run `aws sso login --profile sso`"),
        ("console", LoginRefreshRequired(), "run `aws login --profile console`"),
        ("sso", refusal("X", "ExpiredToken"), "run `aws sso login --profile sso`"),
        ("frankfurt", refusal("X", "ExpiredToken"), "sign in again as you did before"),
    ],
)
def test_expired_sign_in_is_reported_with_the_command_to_run(
    shell: Shell, profile: str, error: Exception, command: str
) -> None:
    def expired(*_: Any) -> Any:
        raise error

    with intercepted(expired):
        shell.patch.setattr("botocore.session.Session.get_credentials", lambda *_: None)
        status, output = shell.run("list", "--profile", profile)

    assert (status, output.count(command)) == (3, 1)


def test_missing_mfa_code_is_reported(shell: Shell) -> None:
    def no_code(*_: Any) -> Any:
        raise EOFError

    shell.patch.setattr(
        "botocore.credentials.AssumeRoleCredentialFetcher._get_credentials", no_code
    )

    status, output = shell.run("list", "--profile", "mfa")

    assert status == 3
    assert "No MFA code was typed. Check " in output


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationError"])
def test_role_that_cannot_be_assumed_is_not_reported_as_a_missing_permission(code: str) -> None:
    said = worded(refusal("AssumeRole", code, "MultiFactorAuthentication failed"))

    assert said.startswith(
        f"The role cannot be assumed ({code}): MultiFactorAuthentication failed. Check your profile"
    )


def test_error_for_expired_keys_names_the_variable_to_set(shell: Shell) -> None:
    shell.set(**KEYS)

    def expired(*_: Any) -> Any:
        raise refusal("DescribeStacks", "ExpiredToken")

    with intercepted(expired):
        assert "set AWS_ACCESS_KEY_ID" in shell.run("list")[1]


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:4566", "localhost", "http://", "http://[::1", "http://a:b", "http://a b"],
)
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDFORMATION"])
def test_invalid_endpoint_is_reported(shell: Shell, variable: str, endpoint: str) -> None:
    shell.set(**KEYS, **{variable: endpoint})

    status, output = shell.run("list")

    assert status == 3
    assert "AWS could not be called." in output
    assert "starts with http:// or https://" in output


@pytest.mark.parametrize(
    ("variables", "words", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, [], "eu-west-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-2"}, [], "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-east-2"}, [], "us-east-2"),
        ({"AWS_REGION": "eu-west-1"}, ["--profile", "frankfurt"], "eu-west-1"),
        ({"AWS_REGION": ""}, ["--profile", "frankfurt"], "eu-central-1"),
        ({"AWS_REGION": "eu-west-1"}, ["--region", "sa-east-1"], "sa-east-1"),
        ({"AWS_PROFILE": ""}, [], "us-east-1"),
    ],
)
def test_region_is_the_one_that_the_aws_cli_uses(
    shell: Shell, variables: dict[str, str], words: list[str], region: str
) -> None:
    shell.set(**KEYS, **variables)

    def none(*_: Any) -> Any:
        raise refusal("DescribeStacks", "ValidationError", "Stack with id x does not exist")

    with intercepted(none):
        assert f"There is no stack notebook-vending in {region}. " in shell.run("list", *words)[1]


def test_malformed_region_is_reported(shell: Shell) -> None:
    shell.set(**KEYS)

    status, output = shell.run("list", "--region", "not a region")

    assert status == 3
    assert output.endswith("Name a Region with --region.\n")


def test_missing_region_is_reported(shell: Shell) -> None:
    shell.set(**KEYS, AWS_REGION="")
    assert shell.run("list") == (3, "No Region is set. Name one with --region.\n")


def test_credential_that_cannot_be_sent_is_not_printed(shell: Shell) -> None:
    shell.set(**KEYS, AWS_SESSION_TOKEN="secret\nsecret", AWS_ENDPOINT_URL="http://127.0.0.1:9")

    status, output = shell.run("list")

    assert status == 3
    assert "your credentials or your Region contain a line break" in output
    assert "secret" not in output


def test_unexpected_error_names_its_line_without_a_traceback(shell: Shell) -> None:
    found: dict[str, Any] = {}
    shell.patch.setattr(platform, "connect", lambda _: found["gone"])

    status, output = shell.run("list")

    assert status == 1
    assert re.match(
        r"vending failed unexpectedly\. KeyError: 'gone' \(\S+\.py, line \d+\)\.", output
    )


@pytest.mark.parametrize(
    "words", [("check", "CostCenter=\udcff"), ("list", "--stack-name", "\udcff")]
)
def test_argument_that_is_not_utf_8_is_reported(shell: Shell, words: tuple[str, ...]) -> None:
    shell.set(**KEYS)

    assert shell.run(*words) == (
        2,
        "An argument or a variable is not UTF-8 text. Type it again.\n",
    )


def test_empty_stack_name_means_the_default_stack(shell: Shell) -> None:
    shell.set(**KEYS)

    def none(*_: Any) -> Any:
        raise refusal("DescribeStacks", "ValidationError", "Stack with id x does not exist")

    with intercepted(none):
        assert "no stack notebook-vending in" in shell.run("list", "--stack-name", "")[1]


# samconfig.toml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'[default]\ndeploy = "x"\n', "default.deploy is not a table"),
        (b'default = "x"\n', "default is not a table"),
        (b"[default.deploy]\nparameters = []\n", "default.deploy.parameters is not a table"),
        (b"[default.global.parameters]\nstack_name = 3\n", "stack_name is not a name"),
        (b'[default.global.parameters]\nstack_name = ""\n', "stack_name is not a name"),
        (b"[default\n", "line 1"),
        (b"a = '\xff'\n", "can't decode byte"),
        (b"a = " + b"[" * 9999, "recursion"),
    ],
)
def test_invalid_samconfig_is_reported_and_no_other_stack_is_used(
    shell: Shell, text: bytes, said: str
) -> None:
    shell.set(**KEYS)
    (shell.folder / "samconfig.toml").write_bytes(text)

    status, output = shell.run("list")

    assert status == 3
    assert output.startswith("samconfig.toml in this folder cannot be read: ")
    assert said in output
    assert output.endswith("name the platform's stack with --stack-name.\n")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "notebook-vending"),
        ("[staging.deploy.parameters]\nstack_name = 'a'\n", "notebook-vending"),
        ("[default.deploy.parameters]\nregion = 'a'\n", "notebook-vending"),
        ("[default.global.parameters]\nstack_name = 'a'\n", "a"),
        (
            "[default.global.parameters]\nstack_name = 'a'\n"
            "[default.deploy.parameters]\nstack_name = 'b'\n",
            "b",
        ),
    ],
)
def test_the_stack_is_the_one_that_samconfig_names(shell: Shell, text: str, name: str) -> None:
    (shell.folder / "samconfig.toml").write_text(text)
    assert platform.default_name() == name


def test_samconfig_that_is_a_folder_is_an_error(shell: Shell) -> None:
    (shell.folder / "samconfig.toml").mkdir()
    assert shell.run("list")[0] == 3


# Start and output


def started(command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which $VENDING is the clone's command."""
    return subprocess.run(
        ["/usr/bin/env", "bash", "-o", "pipefail", "-c", command],
        cwd=cwd,
        env={**os.environ, "VENDING": f"{sys.executable} -m vending", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", ["--version", "--show-completion", "list --help"])
@pytest.mark.parametrize(
    ("to", "said"),
    [
        (">&-", "Standard output is closed. "),
        (
            ">/dev/full",
            "The output could not be written. No space left on device. Send it elsewhere.",
        ),
        ("| true", ""),
        (">&- 2>&-", ""),
    ],
)
def test_output_that_cannot_be_written_is_reported_without_a_traceback(
    words: str, to: str, said: str
) -> None:
    ran = started(f"$VENDING {words} {to}")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(said)
    assert len(ran.stderr.splitlines()) == bool(said)


def test_help_is_printed_on_an_ascii_terminal() -> None:
    ran = started("PYTHONIOENCODING=ascii $VENDING list --help")

    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_version_is_that_of_the_project(tmp_path: Path) -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version

    ran = started("$VENDING --version", tmp_path)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"vending {version[1]}\n", "")


def test_python_without_the_packages_uses_those_of_the_clone_or_reports_an_error(
    tmp_path: Path,
) -> None:
    (tmp_path / "vending").mkdir()
    for name in ("__init__.py", "__main__.py", "cli.py"):
        shutil.copy(ROOT / "vending" / name, tmp_path / "vending")
    (tmp_path / "start.py").write_text(
        "import runpy, sys\n"
        "sys.path.insert(0, sys.argv.pop(1))\n"
        "runpy.run_module('vending', run_name='__main__')\n"
    )
    bare = f"{Path(sys.executable).resolve()} -I -S {tmp_path}/start.py"

    taken = started(f"{bare} {ROOT} --version")
    lacking = started(f"{bare} {tmp_path} --version")

    assert taken.stdout.startswith("vending "), taken.stderr
    assert lacking.returncode == 1
    assert lacking.stderr.startswith("vending needs Python 3.11 and the package ")
    assert len(lacking.stderr.splitlines()) == 1


@pytest.mark.parametrize("started_as", ["vending", "vending/__main__.py"])
def test_command_can_be_run_from_the_folder_of_the_clone(started_as: str) -> None:
    ran = started(f"{sys.executable} {started_as} --version")

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell_name: str) -> None:
    asked = (  # as the shells' completion scripts set them
        "COMP_WORDS='vending del' COMP_CWORD=1 _TYPER_COMPLETE_ARGS='vending del' "
        "_TYPER_COMPLETE_FISH_ACTION=get-args"
    )

    script = started(f"_VENDING_COMPLETE=source_{shell_name} $VENDING")
    answer = started(f"_VENDING_COMPLETE=complete_{shell_name} {asked} $VENDING")

    assert "_VENDING_COMPLETE=complete_" in script.stdout
    assert "delete-orphans" in answer.stdout
    assert "explain" not in answer.stdout
