"""A network that an administrator may have already."""

from dataclasses import dataclass

from embedded_aws.emulator import Emulator


@dataclass(frozen=True)
class Network:
    """A VPC with a private subnet and a security group, named as the product expects."""

    vpc_id: str
    subnet_id: str
    security_group_id: str
    route_table_id: str

    @property
    def parameters(self) -> dict[str, str]:
        """The platform's parameters for this network."""
        return {
            "VpcId": self.vpc_id,
            "VpcCidr": "10.0.0.0/16",
            "SubnetIds": self.subnet_id,
            "RouteTableIds": self.route_table_id,
            "SecurityGroupId": self.security_group_id,
        }


def make_network(aws: Emulator) -> Network:
    """Create a network without the platform's template."""
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):  # private DNS needs both
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="notebooks", Description="Notebooks")
    routes = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=routes, SubnetId=subnet)
    names = {subnet: "ProSM-ResourceSubnet", group["GroupId"]: "ProSM-ResourceSG"}
    for resource, name in names.items():
        ec2.create_tags(Resources=[resource], Tags=[{"Key": "Name", "Value": name}])
    return Network(vpc, subnet, group["GroupId"], routes)
