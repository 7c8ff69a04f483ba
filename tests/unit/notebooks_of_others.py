"""Notebooks in the account that the platform did not create."""

from simulation.platform import Platform

ROLE = "arn:aws:iam::123456789012:role/somebody"


def somebodys(world: Platform, name: str, **tags: str) -> None:
    """Create a running notebook without the platform, but with these tags of the platform."""
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
