"""The parameters of the deployment that is checked: template.yaml's, with its defaults."""

import difflib
from collections.abc import Mapping, Sequence

from shared import digits
from vending.errors import OperatorError

# What a check goes by; the tests hold the defaults to the template's.
DEFAULTS: Mapping[str, str] = {
    "VpcId": "",
    "AvailabilityZones": "",
    "SubnetIds": "",
    "RouteTableIds": "",
    "SecurityGroupId": "",
    "S3Endpoint": "create",
    "SageMakerApiEndpoint": "create",
    "SageMakerRuntimeEndpoint": "create",
    "SageMakerNotebookEndpoint": "create",
    "StsEndpoint": "create",
    "KmsEndpoint": "create",
    "LogsEndpoint": "create",
    "EcrApiEndpoint": "create",
    "EcrDkrEndpoint": "create",
    "AllowedInstanceTypes": (
        "ml.t3.medium,ml.t3.large,ml.t3.xlarge,ml.t3.2xlarge,ml.m5.xlarge,ml.m5.2xlarge,"
        "ml.m5.4xlarge,ml.c5.xlarge,ml.c5.2xlarge,ml.c5.4xlarge,ml.r5.large,ml.r5.xlarge,"
        "ml.r5.2xlarge,ml.g4dn.xlarge,ml.g4dn.2xlarge,ml.g5.xlarge,ml.g5.2xlarge"
    ),
    "CreateEndUserRole": "YES",
    "EndUserRoleName": "SCEndUserRole",
    "DataAdministratorArns": "",
    "ReservedConcurrentExecutions": "0",
    "PermissionsBoundaryArn": "",
    "AlarmTopicArn": "",
}
# What no check looks at.
OTHERS = (
    "VpcCidr",
    "ExistingVpcCidrs",
    "ImageAccounts",
    "MaxVolumeSizeInGB",
    "AllowedPlatformIdentifiers",
    "AllowRootAccess",
    "PortfolioName",
    "ProviderName",
    "ProductName",
    "DeprecatedVersions",
    "ProjectIDs",
    "CostCenter",
    "NotificationEmail",
    "EndUserRolePattern",
    "ShareWith",
    "FirstWaitSeconds",
    "WaitSeconds",
    "DeadlineSeconds",
    "CleanUpIntervalMinutes",
    "CleanUpDryRun",
    "TimeZone",
    "OffHoursCron",
    "LogRetentionInDays",
    "Architecture",
    "RolePath",
    "RunbookUrl",
)

# Those that are numbers. CloudFormation takes "1e2" and "2.5" for one, the functions digits only.
NUMBERS = (
    "MaxVolumeSizeInGB",
    "ReservedConcurrentExecutions",
    "FirstWaitSeconds",
    "WaitSeconds",
    "DeadlineSeconds",
    "CleanUpIntervalMinutes",
    "LogRetentionInDays",
)

Parameters = Mapping[str, str]


def parse(given: Sequence[str]) -> Parameters:
    """Return the parameters of a deployment, given some as `Name=Value`.

    Raises OperatorError with every one that is none.
    """
    known = (*DEFAULTS, *OTHERS)
    pairs = [each.partition("=") for each in given]
    wrong = [name for name, sign, _ in pairs if not sign or name not in known]
    values = {name: value.strip('"') for name, _, value in pairs}
    faults = [_worded(name, known) for name in wrong]
    for name in NUMBERS:
        try:
            digits.number(values.get(name, "0"))
        except ValueError as error:
            faults.append(f"{name}: {error}.")
    if faults:
        raise OperatorError(" ".join(faults))
    return {**DEFAULTS, **values}


def listed(value: str) -> list[str]:
    """Return the values of a list with commas."""
    return [each.strip() for each in value.split(",") if each.strip()]


def _worded(name: str, known: Sequence[str]) -> str:
    if name in known:
        return f"{name} has no value: give {name}=…."
    near = difflib.get_close_matches(name, known, n=1)
    return f"The platform has no parameter {name}" + (f": did you mean {near[0]}?" if near else ".")
