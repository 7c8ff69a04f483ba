"""Subnets and security groups: found in the platform's VPC, or refused with a remedy."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from notebook_vending.aws import ec2
from notebook_vending.aws.ec2 import Place
from notebook_vending.aws.errors import RefusedError
from simulation.account import client, named
from simulation.platform import Platform, running_platform
from tests.unit.on_moto import ec2_on_moto
from tests.unit.sample_notebook import SPEC


@pytest.fixture(params=["simulated", "moto"])
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Run the platform, on the simulation's EC2 and on moto's."""
    with ExitStack() as ending:
        platform = ending.enter_context(running_platform(monkeypatch))
        if request.param == "moto":
            ending.enter_context(ec2_on_moto(platform, monkeypatch))
        yield platform


def find(subnet: str = "research", group: str = "notebooks") -> Place:
    """Find the place that a notebook asks for."""
    return ec2.find_place(replace(SPEC, Subnet=subnet, SecurityGroupName=group))


def refusal(subnet: str = "research", group: str = "notebooks") -> str:
    """Return why a place is refused."""
    with pytest.raises(RefusedError) as refused:
        find(subnet, group)
    return str(refused.value)


def test_a_place_is_found_by_name_tags(platform: Platform) -> None:
    assert find() == Place(platform.account.subnets["research"], platform.account.group)


def test_a_place_is_found_by_ids(platform: Platform) -> None:
    subnet = platform.account.subnets["another"]

    assert find(subnet, platform.account.group) == Place(subnet, platform.account.group)


def test_names_are_case_sensitive(platform: Platform) -> None:
    assert platform.account.subnets
    assert "'Research' is not in" in refusal("Research")


def test_an_ambiguous_name_is_refused_with_the_ids_to_choose_from(
    platform: Platform,
) -> None:
    first = platform.account.subnets["research"]
    second = platform.account.make_subnet("research", "10.0.9.0/24")

    reason = refusal()

    assert "Subnet 'research' exists 2 times" in reason
    assert ", ".join(sorted([first, second])) in reason
    assert find(second).subnet_id == second


def test_resources_of_another_vpc_are_ignored(platform: Platform) -> None:
    vpc = client("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = client("ec2").create_subnet(
        VpcId=vpc, CidrBlock="10.1.0.0/24", TagSpecifications=named("subnet", "research")
    )["Subnet"]["SubnetId"]

    assert find().subnet_id == platform.account.subnets["research"]
    assert f"Subnet '{subnet}' is not in the platform's VPC {platform.account.vpc}" in refusal(
        subnet
    )


def test_a_refusal_states_all_problems_at_once(platform: Platform) -> None:
    platform.account.make_subnet("research", "10.0.9.0/24")

    reason = refusal(group="nobodys")

    assert "Subnet 'research' exists 2 times" in reason
    assert "SecurityGroupName 'nobodys' is not in the platform's VPC" in reason


def test_a_network_interface_exists_until_it_is_deleted(platform: Platform) -> None:
    made = client("ec2").create_network_interface(SubnetId=platform.account.subnets["research"])
    interface = made["NetworkInterface"]["NetworkInterfaceId"]
    assert ec2.network_interface_exists(interface)

    client("ec2").delete_network_interface(NetworkInterfaceId=interface)

    assert not ec2.network_interface_exists(interface)
