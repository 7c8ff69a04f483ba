"""The stack of alarms, dashboard and saved queries."""

from tests.project import ROOT
from tests.unit.stack_template import Stack, load

LINK = "https://runbooks.example/page"


OPERATIONS = Stack(
    load(ROOT / "stacks" / "operations.yaml"),
    {
        "Platform": "vending",
        "RunbookUrl": LINK,
        "NotificationTopicArn": "arn:aws:sns:eu-west-1:111122223333:portfolio",
        "AlarmTopicArn": "",
        "FunctionLogs": "/aws/lambda/vending",
        "LifecycleLogs": "/aws/vendedlogs/states/vending",
    },
)


QUERIES = {
    each["Properties"]["Name"].removeprefix("vending/"): each["Properties"]
    for each in OPERATIONS.resources("AWS::Logs::QueryDefinition").values()
}
