"""Another account's portfolio, which the platform's account imports."""

from uuid import uuid4

from demo.end_user import EndUser
from embedded_aws.emulator import Emulator

_HUB = "210987654321"
_TEMPLATE = b"Resources: {Nothing: {Type: 'AWS::CloudFormation::WaitConditionHandle'}}"
# No role has this name, so that a launch makes nothing that the platform's own launches do not.
_CONSTRAINT = '{"LocalRoleName": "RoleThatNoAccountHas"}'


def share_a_product(aws: Emulator) -> tuple[str, str]:
    """Make a product and share its portfolio; return the IDs of the product and the portfolio."""
    hub, bucket = aws.account(_HUB), f"hub-{uuid4().hex}"
    hub.client("s3").create_bucket(Bucket=bucket)
    hub.client("s3").put_object(Bucket=bucket, Key="template", Body=_TEMPLATE)
    catalog = hub.client("servicecatalog")
    portfolio = catalog.create_portfolio(DisplayName="Hub", ProviderName="Hub")
    product = catalog.create_product(
        Name="Hub",
        Owner="Hub",
        ProductType="CLOUD_FORMATION_TEMPLATE",
        ProvisioningArtifactParameters={
            "Info": {"LoadTemplateFromURL": f"https://{bucket}.s3.us-east-1.amazonaws.com/template"}
        },
    )["ProductViewDetail"]["ProductViewSummary"]["ProductId"]
    pair = {"PortfolioId": portfolio["PortfolioDetail"]["Id"], "ProductId": product}
    catalog.associate_product_with_portfolio(**pair)
    catalog.create_constraint(**pair, Type="LAUNCH", Parameters=_CONSTRAINT)
    own = aws.client("sts").get_caller_identity()["Account"]
    catalog.create_portfolio_share(PortfolioId=pair["PortfolioId"], AccountId=own)
    return product, pair["PortfolioId"]


def launch_in_vain(aws: Emulator, user: EndUser, product: str, portfolio: str) -> str:
    """Import the portfolio, launch from it as an end user, and return why that failed."""
    catalog = aws.client("servicecatalog")
    role = aws.client("iam").get_role(RoleName="SCEndUserRole")["Role"]["Arn"]
    catalog.accept_portfolio_share(PortfolioId=portfolio)
    catalog.associate_principal_with_portfolio(
        PortfolioId=portfolio, PrincipalARN=role, PrincipalType="IAM"
    )
    here = EndUser(user.catalog, product, user.credentials)
    version = {"ProductId": product, "ProvisioningArtifactId": here.newest_artifact()}
    user.catalog.list_launch_paths(ProductId=product)
    user.catalog.describe_provisioning_parameters(**version)
    user.catalog.list_service_actions_for_provisioning_artifact(**version)
    launched = here.wait(here.launch("of-the-hub", {}))
    here.wait(here.terminate(launched.provisioned_product_id))
    catalog.reject_portfolio_share(PortfolioId=portfolio)
    return launched.reason
