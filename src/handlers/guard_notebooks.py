"""Refuses changes that would cut off running notebooks: of the platform, and of its projects.

The function is behind two custom resources of the platform.

`Custom::LiveNotebooks` refuses the deletion of the platform while it has notebooks, because only
the platform ends a notebook. The stack creates this resource last, and deletes it first, before
anything that a notebook needs. A launch's stack protects the platform too, by its imports, but an
orphaned notebook has no such stack.

`Custom::PortfolioProjects` (properties: ProjectIDs, PortfolioId) changes before the portfolio. It
refuses to remove a project whose owners would then be locked out of their notebooks. The platform
creates its own before its portfolio, so that one has no PortfolioId. The function then reads the
stack's output of that name.

An answer names the notebooks, because the outer stack's events do not show a nested stack's error.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from notebook_vending import environment
from notebook_vending.aws import clients, cloudformation, sagemaker, tagging
from notebook_vending.aws.errors import RefusedError
from notebook_vending.aws.tagging import Candidate
from notebook_vending.failure_causes import Cause
from notebook_vending.housekeeping import projects
from notebook_vending.notebooks.notebook import PLATFORM_TAG, STACK_TAG
from notebook_vending.requests.cfn_request import CustomResourceRequest
from notebook_vending.requests.simple_resource import Served, serve

clients.make_at_init(cloudformation.client)

_NAMED = 20  # notebooks in an answer, which has 4,096 bytes at most


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Refuse a request that removes what existing notebooks need, and name them."""
    serve(event, context, _serve)


def _serve(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    if request.ResourceType == "Custom::PortfolioProjects":
        return _keep_projects(request, out_of_time)
    return _keep_platform(request, out_of_time)


def _keep_projects(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    if request.RequestType != "Update":
        return Served("The projects are the portfolio's.")
    named = request.ResourceProperties["ProjectIDs"]
    portfolio = str(request.ResourceProperties.get("PortfolioId", "")) or cloudformation.output(
        request.StackId, "PortfolioId"
    )
    dropped = [each for each in request.OldResourceProperties["ProjectIDs"] if each not in named]
    live: list[str] = []
    platform = environment.text("PLATFORM")
    for each in (
        f"{notebook} of {project}"
        for project in dropped
        for notebook in projects.notebooks(platform, project, portfolio)
    ):
        if len(live) == _NAMED or out_of_time():
            live.append("and more")
            break
        live.append(each)
    if live:
        raise RefusedError(
            f"Owners would be locked out of their notebooks: {', '.join(live)}. Keep "
            f"{', '.join(dropped)} in ProjectIDs until the launches are terminated.",
            Cause.INVALID,
        )
    return Served(f"The projects are {', '.join(named)}.")


def _keep_platform(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    # CloudFormation also sends a Delete to roll back the stack's creation, or an update of it.
    if request.RequestType != "Delete" or not cloudformation.is_being_deleted(request.StackId):
        return Served("The platform stays.")
    live: list[str] = []
    for each in tagging.notebooks({PLATFORM_TAG: environment.text("PLATFORM")}):
        if len(live) == _NAMED or out_of_time():
            live.append("and more")
            break
        if (status := sagemaker.status(each.name)) is not None:  # the search may lag behind
            live.append(f"{each.name} ({status}, of {_stack_of(each)})")
    if live:
        raise RefusedError(
            f"The platform still has notebooks: {', '.join(live)}. "
            "Terminate their launches in Service Catalog, delete notebooks without a launch in "
            "SageMaker, then delete the platform again.",
            Cause.INVALID,
        )
    return Served("The platform has no notebooks.")


def _stack_of(candidate: Candidate) -> str:
    """Return the name of a notebook's stack, from the ARN in its tag."""
    _, _, path = candidate.tags.get(STACK_TAG, "").partition("/")
    return path.partition("/")[0] or "no stack"
