"""Install a lock, by this machine's settings for where packages come from and no others.

python3 requirements/install.py --requirement LOCK [--target FOLDER …]
python3 requirements/install.py --uv --requirement LOCK [--python ENVIRONMENT …]

The first is pip of this Python, which `sam build` finds everywhere. The second is the uv next to
this Python: it downloads in parallel, and environments share their files by hard links.

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


# https://docs.astral.sh/uv/reference/environment/
_AS_UV = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX",),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX",),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
    "PIP_TRUSTED_HOST": ("UV_INSECURE_HOST",),
    "PIP_PROXY": ("HTTP_PROXY", "HTTPS_PROXY"),
    "PIP_CERT": ("SSL_CERT_FILE",),
    "PIP_CLIENT_CERT": ("SSL_CLIENT_CERT",),
    "PIP_DEFAULT_TIMEOUT": ("UV_HTTP_TIMEOUT",),
    "PIP_TIMEOUT": ("UV_HTTP_TIMEOUT",),
    "PIP_RETRIES": ("UV_HTTP_RETRIES",),
}


def uv_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return uv's variables for pip's settings that count, and its own that say where from."""
    own = [name for names in _AS_UV.values() for name in names if name.startswith("UV_")]
    given = {key: value for key, value in environment.items() if key in own}
    kept = settings(environment)
    found = {
        name: ",".join(value.split()) if name == "UV_FIND_LINKS" else " ".join(value.split())
        for key, value in kept.items()
        for name in _AS_UV.get(key, ())
    }
    if kept.get("PIP_KEYRING_PROVIDER") == "subprocess":  # uv has no other
        found["UV_KEYRING_PROVIDER"] = "subprocess"
    return found | given


def main() -> None:
    """Run pip or uv in the place of this process. A lock is complete: nothing is resolved."""
    others = {
        key: value for key, value in os.environ.items() if key[:4] != "PIP_" and key[:3] != "UV_"
    }
    try:
        kept = settings(os.environ)
        of_uv = uv_settings(os.environ)
    except configparser.Error as error:
        sys.exit(f"A configuration file of pip cannot be read. Correct it: {error}")
    downloads = Path(__file__).resolve().parents[1] / ".local"
    if "--uv" in sys.argv:
        uv = str(Path(sys.executable).with_name("uv"))
        words = [each for each in sys.argv[1:] if each != "--uv"]
        if kept.get("PIP_NO_INDEX", "0").lower() not in ("0", "false", "no", "off"):
            words.append("--no-index")  # of this, uv reads no variable
        if "--python" not in words:
            words += ["--python", sys.executable]
        os.execve(  # noqa: S606 - this environment's
            uv,
            [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", *words],
            others
            | of_uv
            | {
                "UV_NO_CONFIG": "1",
                "UV_CACHE_DIR": str(downloads / "uv"),
                "UV_LINK_MODE": "hardlink",
                "UV_SYSTEM_CERTS": "1",  # as pip
                "UV_INDEX_STRATEGY": "unsafe-best-match",  # as pip; the digests are the safety
                "UV_PYTHON_DOWNLOADS": "never",
            },
        )
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
            "PIP_CACHE_DIR": str(downloads / "pip"),
            "PIP_ROOT_USER_ACTION": "ignore",  # nor is anything into the system
        },
    )


if __name__ == "__main__":
    main()
