"""What a kernel has in its environment, started for real beside the files of the start script."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.jupyter import BIN
from tests.unit.product_launch import PLAIN

# What a kernel's start runs of IPython, with another folder in the place of /etc/ipython.
_START = """
import json, os, subprocess, sys
import IPython.core.application as application
assert "/etc/ipython" in application.SYSTEM_CONFIG_DIRS
application.SYSTEM_CONFIG_DIRS = [sys.argv[1]]
from ipykernel.kernelapp import IPKernelApp
IPKernelApp.instance().initialize(["-f", os.path.join(sys.argv[1], "kernel.json")])
script = "import json, os; print(json.dumps(dict(os.environ)))"
told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
open(os.path.join(sys.argv[1], "told"), "wb").write(told.stdout)
"""


@pytest.mark.parametrize("older", [False, True], ids=["ipykernel", "ipykernel-6"])
def test_kernels_and_their_scripts_are_told_that_there_is_no_way_to_iam(
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

    told = json.loads((tmp_path / "ipython" / "told").read_text())
    assert told["SAGEMAKER_VALIDATE_ROLE"] == "false"
    assert told["AWS_ENDPOINT_URL_IAM"] == "http://127.0.0.1:9"
    assert "SAGEMAKER_VALIDATE_ROLE" not in os.environ
