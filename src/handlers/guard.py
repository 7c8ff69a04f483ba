"""Keeps the platform from being deleted while notebooks of it live: nothing else ends them.

Behind the platform's own custom resource `Custom::LiveNotebooks`, which its stack makes last and
deletes first, before anything that a notebook needs. A launch's stack imports what the platform
exports, and keeps it by that already; a notebook that its stack left behind does not.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import environment, sagemaker, stacks, tagged
from shared.causes import Cause
from shared.errors import RefusedError
from shared.notebook import PLATFORM_TAG, STACK_TAG
from shared.request import CustomResourceRequest
from shared.simple_resource import Served, serve
from shared.tagged import Candidate

_NAMED = 20  # notebooks in an answer, which holds 4,096 bytes


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Refuse the deletion of the platform while there are notebooks, and name them."""
    serve(event, context, _guard)


def _guard(request: CustomResourceRequest, out_of_time: Callable[[], bool]) -> Served:
    # A Delete also comes when the stack's creation is rolled back, or an update of it.
    if request.RequestType != "Delete" or not stacks.is_being_deleted(request.StackId):
        return Served("The platform stays.")
    live: list[str] = []
    for each in tagged.notebooks({PLATFORM_TAG: environment.text("PLATFORM")}):
        if len(live) == _NAMED or out_of_time():
            live.append("and more")
            break
        if (status := sagemaker.status(each.name)) is not None:  # the search may be behind
            live.append(f"{each.name} ({status}, of {_stack_of(each)})")
    if live:
        raise RefusedError(
            f"The platform has notebooks that nothing would end after it: {', '.join(live)}. "
            "Terminate their launches in Service Catalog, delete in SageMaker what has no launch "
            "any more, then delete the platform again.",
            Cause.INVALID,
        )
    return Served("The platform has no notebooks.")


def _stack_of(candidate: Candidate) -> str:
    """Return the name of a notebook's stack, which is in its ARN."""
    _, _, path = candidate.tags.get(STACK_TAG, "").partition("/")
    return path.partition("/")[0] or "no stack"
