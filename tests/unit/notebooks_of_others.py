"""Notebooks in the account that the platform did not make."""

from simulation.platform import Platform

ROLE = "arn:aws:iam::123456789012:role/somebody"


def somebodys(world: Platform, name: str, **tags: str) -> None:
    """Make a notebook by hand, with these tags of the platform's, and have it run."""
    world.roles[ROLE] = 0
    given = [{"Key": f"notebook-vending:{key}", "Value": value} for key, value in tags.items()]
    world.notebooks.call(
        "CreateNotebookInstance",
        {
            "NotebookInstanceName": name,
            "InstanceType": "ml.t3.medium",
            "RoleArn": ROLE,
            "Tags": given,
        },
    )
    world.notebooks.force_status(name, "InService")
