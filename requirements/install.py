"""Install a lock with pip, by this machine's settings for where packages come from and no others.

python3 requirements/install.py --requirement LOCK [--target FOLDER …]

People set PIP_USER, PIP_TARGET or `require-virtualenv` in their shell or in a pip.conf. Such a
setting fails an installation into the clone, or has it go elsewhere.
"""

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# https://pip.pypa.io/en/stable/cli/pip_install/, "Options"
_KEPT = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host"),
    *("proxy", "cert", "client-cert", "keyring-provider", "use-feature", "use-deprecated"),
    *("timeout", "default-timeout", "retries", "resume-retries"),
)


def files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield pip's configuration files, the ones that win last.

    pip's documentation, "Configuration", location and precedence, on Linux.
    """
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = Path(environment.get("HOME") or "/")
    for each in (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
        yield Path(each, "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    if not (named and Path(named).exists()):
        yield home / ".pip" / "pip.conf"
        yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf")
    yield Path(sys.prefix, "pip.conf")
    if named:
        yield Path(named)


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that count, as variables; raises configparser.Error."""
    found: dict[str, str] = {}
    for section in ("global", "install"):
        for path in files(environment):
            parser = configparser.RawConfigParser()
            parser.read(path)
            if parser.has_section(section):
                found |= {_name(key): value for key, value in parser.items(section)}
    found |= {_name(key[4:]): value for key, value in environment.items() if key[:4] == "PIP_"}
    return {
        f"PIP_{name.upper().replace('-', '_')}": value
        for name, value in found.items()
        if name in _KEPT and value
    }


def _name(key: str) -> str:
    return key.lower().replace("_", "-").removeprefix("--")


def main() -> None:
    """Run pip in the place of this process. A lock is complete: pip need not resolve anything."""
    others = {key: value for key, value in os.environ.items() if key[:4] != "PIP_"}
    try:
        kept = settings(os.environ)
    except configparser.Error as error:
        sys.exit(f"A configuration file of pip cannot be read. Correct it: {error}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    os.execve(  # noqa: S606 - this Python
        sys.executable,
        [*pip, *sys.argv[1:]],
        others
        | kept
        | {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # Nothing is written outside the clone, and a second build downloads nothing.
            "PIP_CACHE_DIR": str(Path(__file__).resolve().parents[1] / ".local" / "pip"),
            "PIP_ROOT_USER_ACTION": "ignore",  # nor is anything into the system
        },
    )


if __name__ == "__main__":
    main()
