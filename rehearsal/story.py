"""The steps of a rehearsal in order, with their sentences and time limits."""

from collections.abc import Sequence

from rehearsal import deployment, evidence, launching
from rehearsal.plan import LARGEST_VOLUME_IN_GB, OTHER_INSTANCE_TYPE
from rehearsal.run import Run, Step


def _look(run: Run) -> None:
    deployment.record_stacks(run)
    for wrong in evidence.collect(run.plan, run.seen, run.outputs):
        run.page.event("look", wrong)
    run.page.outcome("What the run recorded is collected.")


def steps() -> Sequence[Step]:
    """Return the steps up to the deletion of the platform."""
    return (
        Step("build", "The administrator builds the platform with SAM.", 10, deployment.build),
        Step("bucket", "They make a bucket for what SAM uploads.", 2, deployment.make_bucket),
        Step("deploy", "They deploy the platform.", 25, deployment.deploy_platform),
        Step("listen", "They make a queue that records events.", 2, deployment.listen),
        Step("sign-in", "A data scientist signs in as the end user.", 5, deployment.sign_in),
        Step("launch", "They launch the product.", 20, launching.launch_one),
        Step("update", f"They update the notebook to {OTHER_INSTANCE_TYPE}.", 20, launching.update),
        Step("stop", "They stop it with the action Stop.", 10, launching.act("Stop", "Stopped")),
        Step(
            "start", "They start it with the action Start.", 10, launching.act("Start", "InService")
        ),
        Step(
            "name",
            "They launch once more, under the same name.",
            10,
            launching.refused("name", {}, "is taken by a notebook", same_notebook=True),
        ),
        Step(
            "volume",
            "They ask for a volume larger than the platform allows.",
            10,
            launching.refused(
                "volume", {"VolumeSizeInGB": str(LARGEST_VOLUME_IN_GB + 1)}, "is out of range"
            ),
        ),
        Step(
            "rule",
            "They ask to be root, which the portfolio's rule forbids.",
            5,
            launching.refused("rule", {"RootAccess": "Enabled"}, "RootAccess"),
        ),
        Step("terminate", "They terminate everything.", 20, launching.terminate),
        Step("look", "The administrator reads logs, events and metrics.", 5, _look),
    )
