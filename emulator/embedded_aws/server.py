"""The embedded AWS's server process: MiniStack with corrections and simulators inside.

`emulator.Emulator` starts it and sets its environment. When its standard input closes, it ends with
its process group, which includes every Lambda worker.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ministack.app
from ministack.core.responses import get_region

from embedded_aws.ministack_fixes import (
    alarms,
    authorizations,
    buckets,
    budgets,
    cloudformation,
    event_history,
    eventbridge,
    iam,
    keys,
    lambda_runtime,
    lambda_versions,
    log_metrics,
    log_queries,
    logs,
    nested_stacks,
    network_interfaces,
    network_resources,
    policy_variables,
    query_definitions,
    response_bucket,
    role_boundaries,
    service_metrics,
    service_quotas,
    shared_subnets,
    stack_conditions,
    stack_deletion,
    stack_lists,
    stack_parameters,
    stack_permissions,
    stack_resources,
    stepfunctions,
    tagging,
)
from embedded_aws.runtime import control, resource_types
from embedded_aws.sagemaker_notebooks import sagemaker_service, sagemaker_types
from embedded_aws.service_catalog import catalog_types, servicecatalog
from embedded_aws.ssm_automation import document_types, ssm_service

# Each replaces different functions of MiniStack, so their order does not matter.
_CORRECTIONS = (
    alarms,
    authorizations,
    buckets,
    event_history,
    iam,
    lambda_versions,
    log_metrics,
    log_queries,
    nested_stacks,
    network_interfaces,
    network_resources,
    policy_variables,
    role_boundaries,
    shared_subnets,
    stack_conditions,
    stack_deletion,
    stack_parameters,
    stack_resources,
    stepfunctions,
)


def main() -> None:
    """Install every wrapper and simulator, then serve until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="all that is written")
    parser.add_argument("--notebooks", type=json.loads, default={}, help="notebook timing, JSON")
    arguments = parser.parse_args()
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    _install(arguments.directory, arguments.notebooks)
    control.register("server", lambda _method, _body, _query: {"pid": os.getpid()})
    ministack.app.app = control.serve_controls(ministack.app.app)
    sys.argv[1:] = []  # MiniStack reads the command line, too
    ministack.app.main()


def _end_with_parent() -> None:
    # A pipe, not PR_SET_PDEATHSIG: that fires when the starting *thread* ends.
    # Read by descriptor: a thread blocked in sys.stdin would hold its lock at exit.
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _install(directory: Path, notebooks: Mapping[str, Any]) -> None:
    bucket = response_bucket.start(directory, get_region())
    lambda_runtime.install(bucket)
    cloudformation.install(bucket)
    for each in _CORRECTIONS:
        each.install()
    # The others wrap what is installed before them, as does the last line, which authorizes
    # the handlers of all resource types.
    keys.install()  # its IAM decisions are recorded, too: see authorizations
    stack_lists.install()  # likewise
    eventbridge.install()  # wraps lambda_runtime's delivery of events
    service_metrics.install()  # wraps the status events of stepfunctions
    for simulator in (query_definitions, service_quotas, servicecatalog, ssm_service):
        simulator.install()
    sagemaker = sagemaker_service.install(**notebooks)
    tagging.install(
        lambda: ((each["arn"], each["tags"]) for each in sagemaker().state()["notebooks"])
    )
    # Both wrap the ARNs of json_service, which the simulators installed.
    logs.install()
    budgets.install()
    resource_types.install(
        {
            **catalog_types.TYPES,
            **document_types.TYPES,
            **query_definitions.TYPES,
            **sagemaker_types.TYPES,
        }
    )
    stack_permissions.install()


if __name__ == "__main__":
    main()
