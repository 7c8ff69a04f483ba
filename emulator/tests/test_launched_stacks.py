"""Tags of a launched stack that name its launcher, and the key of a topic in a stack."""

from aws_testing.catalog import LAUNCH, TEMPLATE, Account, offer_of, refused, template
from aws_testing.runbooks import allow
from aws_testing.waiting import unique

SERVICE_CATALOG = "servicecatalog.amazonaws.com"


def test_a_topic_in_a_stack_keeps_its_key(account: Account) -> None:
    kms = account.aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    name, topic = unique("topic"), unique("keyed")
    arn = f"arn:aws:sns:us-east-1:{account.id}:{topic}"
    cloudformation, sns = account.aws.client("cloudformation"), account.aws.client("sns")

    def body(**properties: str) -> str:
        made = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic, **properties}}
        return template({"Topic": made})

    def key_of_topic() -> str | None:
        attributes: dict[str, str] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        return attributes.get("KmsMasterKeyId")

    cloudformation.create_stack(StackName=name, TemplateBody=body(KmsMasterKeyId=key))
    account.settled(name)
    assert key_of_topic() == key

    cloudformation.update_stack(StackName=name, TemplateBody=body())
    account.settled(name)
    assert key_of_topic() is None
    account.delete(name)
    kms.schedule_key_deletion(KeyId=key)


def test_the_tags_of_a_launched_stack_name_its_launcher(account: Account) -> None:
    role = account.role({"Service": SERVICE_CATALOG}, *LAUNCH, allow("sns:*"))
    offer, stack = offer_of(account, role, body=TEMPLATE)
    alice = offer.person("alice")
    record = offer.launched(alice)["RecordDetail"]
    name = f"SC-{account.id}-{record['ProvisionedProductId']}"
    stack_id = account.settled(name)["StackId"]
    mine = allow(
        "cloudformation:DescribeStacks",
        resource=f"arn:aws:cloudformation:us-east-1:{account.id}:stack/{name}/*",
    )
    others = allow(
        "cloudformation:DescribeStacks",
        resource=f"arn:aws:cloudformation:us-east-1:{account.id}:stack/SC-other/*",
    )
    able = account.person(account.end_user_role(mine), "reader", "cloudformation")
    unable = account.person(account.end_user_role(others), "other", "cloudformation")

    for named in (stack_id, name):
        (described,) = able.describe_stacks(StackName=named)["Stacks"]
        code, message = refused(unable.describe_stacks, StackName=named)
        assert (code, "cloudformation:DescribeStacks" in message) == ("AccessDenied", True)

    detail = alice.describe_provisioned_product(Id=record["ProvisionedProductId"])
    tags = {tag["Key"]: tag["Value"] for tag in described["Tags"]}
    prefix = "aws:servicecatalog:"
    assert {key: value for key, value in tags.items() if key.startswith(prefix)} == {
        f"{prefix}portfolioArn": tags[f"{prefix}portfolioArn"],
        f"{prefix}productArn": (
            f"arn:aws:catalog:us-east-1:{account.id}:product/{offer.product_id}"
        ),
        f"{prefix}provisionedProductArn": detail["ProvisionedProductDetail"]["Arn"],
        f"{prefix}provisioningPrincipalArn": (
            f"arn:aws:sts::{account.id}:assumed-role/{offer.end_users.rpartition('/')[2]}/alice"
        ),
        f"{prefix}provisioningArtifactIdentifier": offer.artifact_id,
    }
    account.delete(stack)
