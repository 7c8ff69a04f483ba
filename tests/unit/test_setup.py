"""The tools of a clone are set up inside it from every shell, or rejected with a reason."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from requirements import install
from tests.project import ROOT

HOSTILE = {
    "PIP_USER": "1",
    "PIP_TARGET": "/x",
    "PIP_PREFIX": "/x",
    "PIP_REQUIRE_VIRTUALENV": "true",
    "PIP_NO_BINARY": ":all:",
    "PIP_LOG": "/x/log",
    "PIP_DRY_RUN": "1",
    "PIP_CONSTRAINT": "/x",
    "PIP_CACHE_DIR": "/x",
    "PIP_ROOT": "/x",
    "PIP_NO_CACHE_DIR": "0",
}
CONFIGURATION = """
[global]
user = true
require-virtualenv = true
index_url = https://first.example/simple
extra-index-url =
    https://a.example/simple
    https://b.example/simple
[install]
target = /x
index-url = https://example.com/simple
"""


def make(
    *words: str, variables: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/bin/env", "make", *words],
        cwd=cwd,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )


# pip


@pytest.fixture
def pip(tmp_path: Path) -> Path:
    """Return a folder in which `python -m pip` prints its arguments and environment."""
    (tmp_path / "pip.py").write_text(
        "import json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
    )
    return tmp_path


def installed(pip: Path, **variables: str) -> tuple[list[str], dict[str, str]]:
    """Return pip's arguments and its settings."""
    ran = subprocess.run(
        [sys.executable, ROOT / "requirements" / "install.py", "--requirement", "x.txt"],
        cwd=pip,
        env={"PATH": os.environ["PATH"], "HOME": str(pip), "XDG_CONFIG_DIRS": "/x", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    arguments, environment = json.loads(ran.stdout)
    return arguments, {name: value for name, value in environment.items() if "PIP_" in name}


def test_no_setting_of_pip_changes_what_is_installed_or_where(pip: Path) -> None:
    arguments, plain = installed(pip, PIP_CONFIG_FILE=os.devnull)
    _, hostile = installed(pip, PIP_CONFIG_FILE=os.devnull, **HOSTILE)

    assert arguments == [
        *("install", "--quiet", "--no-deps", "--require-hashes", "--requirement", "x.txt")
    ]
    assert hostile == plain
    assert plain["PIP_CACHE_DIR"] == str(ROOT / ".local" / "pip")
    assert "PIP_NO_CACHE_DIR" not in plain


@pytest.mark.parametrize(
    "place", [".config/pip/pip.conf", ".pip/pip.conf", "xdg/pip/pip.conf", "named.conf"]
)
def test_settings_for_where_packages_come_from_are_kept(pip: Path, place: str) -> None:
    path = pip / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIGURATION)
    named = {"PIP_CONFIG_FILE": str(path)} if place == "named.conf" else {}

    _, given = installed(pip, XDG_CONFIG_DIRS=str(pip / "xdg"), PIP_CERT="/ca.pem", **named)

    assert given["PIP_INDEX_URL"] == "https://example.com/simple"
    assert given["PIP_EXTRA_INDEX_URL"].split() == [
        "https://a.example/simple",
        "https://b.example/simple",
    ]
    assert given["PIP_CERT"] == "/ca.pem"
    assert given["PIP_CONFIG_FILE"] == os.devnull
    assert given.keys().isdisjoint({"PIP_USER", "PIP_TARGET", "PIP_REQUIRE_VIRTUALENV"})


# uv


def installed_by_uv(folder: Path, **variables: str) -> tuple[list[str], dict[str, str]]:
    """Return uv's arguments and its environment, from an environment whose uv prints them."""
    python = folder / "bin" / "python"
    python.parent.mkdir(exist_ok=True)
    if not python.exists():
        python.symlink_to(sys.executable)
        uv = python.with_name("uv")
        uv.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            "print(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
        )
        uv.chmod(0o755)
    ran = subprocess.run(
        [python, ROOT / "requirements" / "install.py", "--uv", "--requirement", "x.txt"],
        env={"HOME": str(folder), "XDG_CONFIG_DIRS": "/x", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    arguments, environment = json.loads(ran.stdout)
    return arguments, environment


def test_no_setting_of_pip_or_uv_changes_what_uv_installs_or_where(tmp_path: Path) -> None:
    hostile = {
        **HOSTILE,
        "UV_NO_CACHE": "1",
        "UV_PRERELEASE": "allow",
        "UV_PYTHON": "/x",
        "UV_NO_VERIFY_HASHES": "1",
        "UV_LINK_MODE": "symlink",
    }

    arguments, plain = installed_by_uv(tmp_path)
    as_hostile = installed_by_uv(tmp_path, **hostile)

    python = str(tmp_path / "bin" / "python")
    assert arguments == [
        *("pip", "install", "--quiet", "--no-deps", "--require-hashes"),
        *("--requirement", "x.txt", "--python", python),
    ]
    assert as_hostile == (arguments, plain)
    assert plain["UV_CACHE_DIR"] == str(ROOT / ".local" / "uv")


def test_uv_gets_the_settings_of_pip_for_where_packages_come_from(tmp_path: Path) -> None:
    path = tmp_path / ".config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True)
    path.write_text(CONFIGURATION)

    arguments, given = installed_by_uv(
        tmp_path, PIP_CERT="/ca.pem", PIP_FIND_LINKS="/a /b", PIP_NO_INDEX="1", PIP_PROXY="http://p"
    )

    assert given["UV_DEFAULT_INDEX"] == "https://example.com/simple"
    assert given["UV_INDEX"] == "https://a.example/simple https://b.example/simple"
    assert given["UV_FIND_LINKS"] == "/a,/b"
    assert given["SSL_CERT_FILE"] == "/ca.pem"
    assert given["HTTP_PROXY"] == given["HTTPS_PROXY"] == "http://p"
    assert "--no-index" in arguments


def test_a_setting_of_uv_for_where_packages_come_from_wins(tmp_path: Path) -> None:
    _, given = installed_by_uv(tmp_path, PIP_INDEX_URL="https://c", UV_DEFAULT_INDEX="https://d")

    assert given["UV_DEFAULT_INDEX"] == "https://d"


def test_a_variable_wins_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(CONFIGURATION)
    environment = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_INDEX_URL": "https://c"}

    assert install.settings(environment)["PIP_INDEX_URL"] == "https://c"


def test_an_unreadable_configuration_is_reported_in_a_sentence(pip: Path) -> None:
    (pip / "odd.conf").write_text("user = true\n")

    with pytest.raises(subprocess.CalledProcessError) as refused:
        installed(pip, PIP_CONFIG_FILE=str(pip / "odd.conf"))

    assert refused.value.stderr.startswith("A configuration file of pip cannot be read. ")


# Other programs' settings


@pytest.mark.parametrize("folder", [".", "src"])
def test_settings_of_python_do_not_reach_what_make_starts(folder: str) -> None:
    hostile = {
        "PYTHONHOME": "/x",
        "PYTHONPATH": "/x",
        "PYTHONSAFEPATH": "1",
        "PYTHONOPTIMIZE": "2",
        "PYTHONUSERBASE": "/x",
        "PYTHONPYCACHEPREFIX": "/x",
        "PYTHONWARNINGS": "error",
    }

    shown = make("--eval", "show: ; @env", "show", variables=hostile, cwd=ROOT / folder).stdout

    names = {line.partition("=")[0] for line in shown.splitlines()}
    assert "PATH" in names
    assert names.isdisjoint(hostile)


def test_commands_of_make_write_temporary_files_into_the_clone_and_call_localhost_directly() -> (
    None
):
    hostile = {"NODE_OPTIONS": "--x", "NODE_ENV": "production", "NODE_PATH": "/x"}
    kept = {"NODE_EXTRA_CA_CERTS": "/ca.pem", "no_proxy": "example.com"}

    shown = make("--eval", "show: ; @env", "show", variables=hostile | kept).stdout

    given = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    assert given.keys().isdisjoint(hostile)
    assert given["TMPDIR"] == str(ROOT / ".local" / "tmp")
    assert given["NODE_EXTRA_CA_CERTS"] == "/ca.pem"
    assert given["no_proxy"] == given["NO_PROXY"] == "127.0.0.1,localhost,example.com"


def test_node_packages_are_installed_in_the_clone_despite_settings_of_npm() -> None:
    (command,) = (
        line.strip()
        for line in make("-Bn", "setup").stdout.replace("\\\n", "").splitlines()
        if "npm ci" in line and "--prefix tools" in line
    )

    for option in ("global=false", "location=project", "dry-run=false", "include=dev"):
        assert f" --{option} " in command
    assert " --cache=.local/npm --logs-max=0 " in command


# Skipped parts of make verify


def test_verify_skips_the_named_parts_and_reports_them_at_the_end() -> None:
    said = make("-n", "verify", "WITHOUT=docker browser").stdout
    tests, after = said.rsplit("-m verify ", 1)[1].split("\n", 1)

    assert "--ignore=tests/docker --ignore=tests/browser" in tests
    assert after.count("NOT PROVEN") == 2


def test_verify_cannot_skip_other_parts() -> None:
    refused = make("-n", "verify", "WITHOUT=e2e")

    assert refused.returncode == 2
    assert "WITHOUT takes docker, browser or both, not: e2e" in refused.stderr


# The path of the clone


@pytest.mark.parametrize(
    "name",
    [
        *("My Projects", "a\tb", "a\nb", "a ", "a$b", "a#b", "a%b", "a:b", "a;b", "a&b", "a|b"),
        *("a'b", 'a"b', "a`b", "a\\b", "a*b", "a?b", "[a]", "(a)", "{a}", "a<b", "a=b", "x" * 190),
    ],
)
def test_setup_rejects_an_unsupported_path_before_it_writes_anything(
    tmp_path: Path, name: str
) -> None:
    clone = tmp_path / name
    clone.mkdir()
    shutil.copy(ROOT / "Makefile", clone)

    refused = make("setup", cwd=clone)

    assert refused.returncode == 2
    assert "*** The path of this clone is too long, or has a space or another" in refused.stderr
    assert "Move it to a path of at most" in refused.stderr
    assert sorted(tmp_path.rglob("*")) == [clone, clone / "Makefile"]


@pytest.mark.parametrize("name", ["vending-1.0_2+x@y", "\u9879\u76ee", "gr\u00fcn", "-x"])
def test_other_paths_are_accepted(tmp_path: Path, name: str) -> None:
    clone = tmp_path / name
    clone.mkdir()
    shutil.copy(ROOT / "Makefile", clone)

    assert make("-n", "clean", cwd=clone).returncode == 0
