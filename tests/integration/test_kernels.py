"""The environment of a real kernel that starts with the files of the start script."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.jupyter import BIN
from tests.unit.product_launch import PLAIN

# The part of IPython that runs at a kernel's start, with another folder for /etc/ipython.
_START = """
import json, os, subprocess, sys
import IPython.core.application as application
assert "/etc/ipython" in application.SYSTEM_CONFIG_DIRS
application.SYSTEM_CONFIG_DIRS = [sys.argv[1]]
from ipykernel.kernelapp import IPKernelApp
IPKernelApp.instance().initialize(["-f", os.path.join(sys.argv[1], "kernel.json")])
script = "import json, os; print(json.dumps(dict(os.environ)))"
printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
open(os.path.join(sys.argv[1], "variables"), "wb").write(printed.stdout)
"""


@pytest.mark.parametrize("older", [False, True], ids=["ipykernel", "ipykernel-6"])
def test_kernels_and_their_scripts_get_the_variables_that_avoid_iam(
    older: bool, tmp_path: Path
) -> None:
    text = PLAIN.script("OnStart").replace("/etc/", f"{tmp_path}/")
    text = text.replace("/var/log/", f"{tmp_path}/")
    path = {"PATH": "/usr/bin:/bin"}
    for _ in range(2):  # the notebook stops and starts
        subprocess.run(["/bin/bash", "-c", text], env=path, check=True, timeout=30)
    ours = {"PYTHONPATH": str(BIN.parent / "ipykernel")} if older else {}

    subprocess.run(
        [BIN / "python", "-c", _START, tmp_path / "ipython"],
        env={**path, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "user"), **ours},
        check=True,
        timeout=60,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    variables = json.loads((tmp_path / "ipython" / "variables").read_text())
    assert variables["SAGEMAKER_VALIDATE_ROLE"] == "false"
    assert variables["AWS_ENDPOINT_URL_IAM"] == "http://127.0.0.1:9"
    assert "SAGEMAKER_VALIDATE_ROLE" not in os.environ
