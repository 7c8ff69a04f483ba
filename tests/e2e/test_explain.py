"""The explanation of a real launch on the deployed platform."""

import json

import pytest

from tests.e2e.deployed import Platform
from vending.explanation import collect


@pytest.mark.seam
def test_explanation_of_a_launch_and_its_termination_matches_what_happened(
    platform: Platform,
) -> None:
    launched = platform.launch("explained")
    there = collect(platform.aws.client, platform.outputs["LedgerTable"], "explained")
    platform.terminate(launched)
    gone = collect(platform.aws.client, platform.outputs["LedgerTable"], "EXPLAINED")

    (create,) = there
    assert create.notebook
    assert create.notebook.status == "InService"
    assert "SCEndUser" in create.owner
    assert create.settings["NotebookInstanceName"] == "explained"
    delete, created = gone
    assert created == create.__class__(**{**vars(create), "notebook": None})
    assert [each.request_type for each in gone] == ["Delete", "Create"]
    for each in gone:
        assert (each.outcome, each.execution_status) == ("SUCCESS", "SUCCEEDED")
        assert each.reason
        assert each.delivered
        assert each.what_to_do == ""
        assert each.issued <= each.started <= each.steps[0].entered  # type: ignore[operator]
        states = [step.state for step in each.steps]
        assert (states[0], states[-1]) == ("Observe", "Respond")
        assert all(step.seconds is not None and step.said for step in each.steps)
        assert {step.kind for step in each.steps} == {"worked", "waited", "decided"}
        assert all(step.attempts == 1 for step in each.steps if step.kind == "worked")
    statuses = [step.notebook_status for step in created.steps if step.notebook_status]
    assert statuses[0] == "Absent"
    assert statuses[-1] == "InService"
    assert delete.notebook is None
    assert "X-Amz-Signature" not in json.dumps([vars(each) for each in gone], default=str)
