"""A simulator of AWS Service Catalog: one account's catalog in one Region.

Pure state and rules; `servicecatalog` puts it into MiniStack. Stacks are made and watched
through the `Stacks` given, in a background function handed to `run`: the unit tests decide when
time passes, and the embedded AWS runs it on a thread. Operations take the parameters of the API,
valid by botocore's model, and the caller, and answer with the API's response.

Not simulated: imported products in portfolios of the account's own, provisioned product plans,
budgets of products, StackSets, products other than CloudFormation templates.
"""

from embedded_aws.service_catalog.administration import Administration
from embedded_aws.service_catalog.browsing import Browsing
from embedded_aws.service_catalog.constraints import Constraints
from embedded_aws.service_catalog.service_actions import ServiceActions
from embedded_aws.service_catalog.sharing import Sharing


class Catalog(Administration, Constraints, Sharing, Browsing, ServiceActions):
    """Portfolios, products, provisioned products and records of one account in one Region."""
