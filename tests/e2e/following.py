"""Follows a page of the docs as a new reader does: runs its commands in order, in bash."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo import deploy
from embedded_aws.emulator import Emulator

# The tools that a page requires: `python3` with pip, sam and aws.
_PATH = [deploy.ROOT / each / "bin" for each in (".venv", ".sam-venv", ".aws-venv")]
_NOT_IN_A_CLONE = shutil.ignore_patterns(".*venv", ".local", ".aws-sam", "node_modules", ".*cache")
_WAITERS = ".aws-venv/lib/*/site-packages/awscli/botocore/data/sagemaker/*/waiters-2.json"
_SECONDS = 900  # on a busy machine, for all commands of a section


@dataclass
class Reader:
    """A reader with a clone of the project, a shell and credentials."""

    clone: Path
    environment: dict[str, str]

    def follow(
        self,
        page: str,
        *sections: str,
        given: Mapping[str, str] | None = None,
        answers: str = "",
    ) -> str:
        """Run all commands of some sections of a page in one shell; return what they print.

        Args:
            page: its path in the clone.
            sections: their headings, in the order in which they are read.
            given: the reader's own values by the page's examples, which must be on the page.
            answers: the reader's input when a command prompts.

        """
        script = "\n".join(commands(self.clone / page, *sections))
        for example, own in (given or {}).items():
            assert example in script, f"{page} does not say {example}"
            script = script.replace(example, own)
        return self.run(script, answers)

    def run(self, script: str, answers: str = "") -> str:
        """Run commands in one shell; return what they print."""
        ran = subprocess.run(
            ["/usr/bin/env", "bash", "-euo", "pipefail", "-c", script],
            cwd=self.clone,
            env=self.environment,
            input=answers,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        assert ran.returncode == 0, f"{script}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
        return ran.stdout


def _impatience(home: Path) -> dict[str, str]:
    """Shorten the pauses between polls: what takes minutes on AWS takes seconds here.

    botocore reads a user's waiters before its own (botocore.loaders), and bash the file that
    BASH_ENV names.
    """
    (waiters,) = deploy.ROOT.glob(_WAITERS)
    own = home / ".aws" / "models" / waiters.relative_to(waiters.parents[2])
    if not own.exists():
        known = json.loads(waiters.read_text())
        for each in known["waiters"].values():
            each["delay"] = 1
        own.parent.mkdir(parents=True)
        own.write_text(json.dumps(known))
    quick = home / "quick.sh"
    quick.write_text("sleep() { command sleep 0.5; }\n")
    return {"BASH_ENV": str(quick)}


def commands(page: Path, *sections: str) -> list[str]:
    """Return the commands of a page's sections: all their code blocks in sh."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.M)
    texts = {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    return [
        block
        for section in sections
        for block in re.findall(r"^```sh\n(.*?)^```$", texts[section], re.M | re.S)
    ]


def reader(aws: Emulator, directory: Path, credentials: Mapping[str, str] | None = None) -> Reader:
    """Return a reader with a fresh clone, who is the administrator unless credentials are given."""
    clone = directory / "clone"
    if not clone.exists():
        shutil.copytree(deploy.ROOT, clone, ignore=_NOT_IN_A_CLONE)
    keys = credentials or {}
    environment = {
        **aws.child_environment,
        **{
            variable: keys[name]
            for variable, name in (
                ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
                ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
                ("AWS_SESSION_TOKEN", "SessionToken"),
            )
            if name in keys
        },
        "PATH": os.pathsep.join([*map(str, _PATH), os.environ["PATH"]]),
        "HOME": str(directory),
        **deploy.SAM_ENVIRONMENT,
        **_impatience(directory),
    }
    return Reader(clone, environment)
