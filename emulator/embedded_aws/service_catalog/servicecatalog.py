"""Service Catalog inside MiniStack: the catalog simulator behind IAM, one for each account.

The control `organization` takes the accounts of an organization or of a unit of it by its ID, for
shares: MiniStack's Organizations has no account in another one's organization.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from botocore import xform_name
from ministack.core import concurrency

from embedded_aws.runtime import control, json_service
from embedded_aws.service_catalog import launched_stacks
from embedded_aws.service_catalog.authorization import OPERATIONS, authorize
from embedded_aws.service_catalog.automations import StartedAutomations
from embedded_aws.service_catalog.launched_stacks import LaunchedStacks
from embedded_aws.service_catalog.service import Catalog
from embedded_aws.service_catalog.store import Directory

_catalogs: dict[tuple[str, str], Catalog] = {}
# By the Region: "Portfolio imports must occur in the same region between the management and
# dependent accounts" (administrator guide, "Sharing and Importing Portfolios").
_members: dict[str, list[str]] = {}
_directories = defaultdict[str, Directory](lambda: Directory(members=_members))


def install() -> None:
    """Serve Service Catalog in this MiniStack process."""
    operations = {operation: _operation(operation) for operation in OPERATIONS}
    json_service.register("servicecatalog", "AWS242ServiceCatalogService", operations, _authorize)
    launched_stacks.install()
    control.register("organization", _organization)


def _organization(method: str, body: Any, _query: Mapping[str, list[str]]) -> dict[str, list[str]]:
    if method == "PUT":
        _members.update(body)
    return _members


def _operation(operation: str) -> json_service.Operation:
    method = xform_name(operation)

    def run(params: dict[str, Any], caller: json_service.Caller) -> dict[str, Any]:
        catalog = _catalog(caller)
        with catalog.lock:
            answer: dict[str, Any] = getattr(catalog, method)(params, caller)
            return answer

    assert hasattr(Catalog, method), method
    return run


def _catalog(caller: json_service.Caller) -> Catalog:
    key = (caller.account, caller.region)
    if key not in _catalogs:
        _catalogs[key] = Catalog(
            account=caller.account,
            region=caller.region,
            partition=caller.arn.split(":")[1],
            stacks=LaunchedStacks(),
            automations=StartedAutomations(),
            run=lambda work: concurrency.spawn_background(work, thread_name="servicecatalog"),
            clock=time.time,
            directory=_directories[caller.region],
        )
    return _catalogs[key]


def _authorize(
    operation: str, params: dict[str, Any], caller: json_service.Caller
) -> tuple[str, json_service.Context]:
    catalog = _catalog(caller)
    with catalog.lock:
        return authorize(catalog, operation, params, caller.arn)
