"""Portfolio shares: with another account, or with a part of the organization.

An imported portfolio is the shared one as it is at the time (administrator guide, "Sharing and
Importing Portfolios"): nothing of it is copied but who may launch from it, and it ends with the
share.
"""

from __future__ import annotations

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.service_catalog import answers as answers
from embedded_aws.service_catalog.model import (
    Caller,
    Params,
    Portfolio,
    PortfolioShare,
    ShareOperation,
)
from embedded_aws.service_catalog.store import CatalogStore

# Of an OrganizationNode's type: the type of its share in DescribePortfolioShares.
_NODE_SHARES = {
    "ORGANIZATION": "ORGANIZATION",
    "ORGANIZATIONAL_UNIT": "ORGANIZATIONAL_UNIT",
    "ACCOUNT": "ORGANIZATION_MEMBER_ACCOUNT",
}


class Sharing(CatalogStore):
    """The operations on portfolio shares, and on access to the organization."""

    def enable_aws_organizations_access(self, _params: Params, _caller: Caller) -> Params:
        """EnableAWSOrganizationsAccess: without it nothing is shared with the organization."""
        self._organizations_access = "ENABLED"
        return {}

    def disable_aws_organizations_access(self, _params: Params, _caller: Caller) -> Params:
        """DisableAWSOrganizationsAccess: shares stay as they are."""
        self._organizations_access = "DISABLED"
        return {}

    def get_aws_organizations_access_status(self, _params: Params, _caller: Caller) -> Params:
        """GetAWSOrganizationsAccessStatus."""
        return {"AccessStatus": self._organizations_access}

    def create_portfolio_share(self, params: Params, _caller: Caller) -> Params:
        """CreatePortfolioShare: without effect on a share that is there already."""
        portfolio = self._portfolio(params["PortfolioId"])
        kind, recipient = self._recipient(params)
        _check_principals(kind, params)
        portfolio.shares.setdefault(
            (kind, recipient),
            PortfolioShare(
                type=kind,
                principal_id=recipient,
                share_tag_options=params.get("ShareTagOptions", False),
                share_principals=params.get("SharePrincipals", False),
            ),
        )
        return self._operation_answer(portfolio, kind, recipient)

    def update_portfolio_share(self, params: Params, _caller: Caller) -> Params:
        """UpdatePortfolioShare: the sharing of TagOptions and principals."""
        portfolio = self._portfolio(params["PortfolioId"])
        kind, recipient = self._recipient(params)
        _check_principals(kind, params)
        share = _share(portfolio, kind, recipient)
        if self._is_under_way(portfolio, recipient):
            raise ServiceError(
                "InvalidStateException", f"The share of {portfolio.id} is in progress"
            )
        share.share_tag_options = params.get("ShareTagOptions", share.share_tag_options)
        share.share_principals = params.get("SharePrincipals", share.share_principals)
        token = self._begin(portfolio, kind, recipient)
        return {"PortfolioShareToken": token, "Status": self._share_operations[token].status}

    def delete_portfolio_share(self, params: Params, _caller: Caller) -> Params:
        """DeletePortfolioShare."""
        portfolio = self._portfolio(params["PortfolioId"])
        kind, recipient = self._recipient(params)
        _share(portfolio, kind, recipient)
        del portfolio.shares[kind, recipient]
        for catalog in self._directory.catalogs.values():
            if portfolio.id not in {each.id for each, _ in catalog.shared_with_me()}:
                catalog._accepted.pop(portfolio.id, None)
        return self._operation_answer(portfolio, kind, recipient)

    def describe_portfolio_shares(self, params: Params, _caller: Caller) -> Params:
        """DescribePortfolioShares of one type."""
        catalogs = self._directory.catalogs
        accepted = {each for each, c in catalogs.items() if params["PortfolioId"] in c._accepted}
        found = [
            {
                "PrincipalId": share.principal_id,
                "Type": share.type,
                # "If the recipient is in an organization node, … always set to true."
                "Accepted": share.type != "ACCOUNT" or share.principal_id in accepted,
                "ShareTagOptions": share.share_tag_options,
                "SharePrincipals": share.share_principals,
            }
            for share in self._portfolio(params["PortfolioId"]).shares.values()
            if share.type == params["Type"]
        ]
        return answers.page("PortfolioShareDetails", found, params)

    def describe_portfolio_share_status(self, params: Params, _caller: Caller) -> Params:
        """DescribePortfolioShareStatus of an operation, by its token."""
        token = params["PortfolioShareToken"]
        operation = self._share_operations.get(token)
        if operation is None:
            raise answers.not_found(f"PortfolioShareToken {token} not found.")
        return {
            "PortfolioShareToken": token,
            "PortfolioId": operation.portfolio_id,
            "OrganizationNodeValue": operation.recipient,
            "Status": operation.status,
            "ShareDetails": {"SuccessfulShares": operation.accounts, "ShareErrors": []},
        }

    def list_portfolio_access(self, params: Params, _caller: Caller) -> Params:
        """ListPortfolioAccess: the accounts shared with by number."""
        accounts = [
            share.principal_id
            for share in self._portfolio(params["PortfolioId"]).shares.values()
            if share.type in ("ACCOUNT", "ORGANIZATION_MEMBER_ACCOUNT")
            and "OrganizationParentId" not in params
        ]
        return answers.page("AccountIds", accounts, params)

    def accept_portfolio_share(self, params: Params, _caller: Caller) -> Params:
        """AcceptPortfolioShare: in the Region of the share, and only while there is one."""
        self._accepted.setdefault(self._offered(params), {})
        return {}

    def reject_portfolio_share(self, params: Params, _caller: Caller) -> Params:
        """RejectPortfolioShare, also of one that was accepted."""
        self._accepted.pop(self._offered(params), None)
        return {}

    def list_accepted_portfolio_shares(self, params: Params, _caller: Caller) -> Params:
        """ListAcceptedPortfolioShares: those of single accounts, or those of the organization."""
        within = params.get("PortfolioShareType", "IMPORTED") == "AWS_ORGANIZATIONS"
        found = [
            answers.portfolio_detail(portfolio)
            for portfolio, share in self._imported()
            if (share.type != "ACCOUNT") == within
        ]
        return answers.page("PortfolioDetails", found, params)

    def _offered(self, params: Params) -> str:
        within = params.get("PortfolioShareType", "IMPORTED") == "AWS_ORGANIZATIONS"
        for portfolio, share in self.shared_with_me():
            if portfolio.id == params["PortfolioId"] and (share.type != "ACCOUNT") == within:
                return portfolio.id
        raise answers.not_found(f"Portfolio {params['PortfolioId']} not found.")

    def _recipient(self, params: Params) -> tuple[str, str]:
        if ("AccountId" in params) == ("OrganizationNode" in params):
            raise answers.invalid("Specify either AccountId or OrganizationNode, and not both")
        if "AccountId" in params:
            return "ACCOUNT", params["AccountId"]
        node = params["OrganizationNode"]
        if not {"Type", "Value"} <= set(node):
            raise answers.invalid("OrganizationNode must have a Type and a Value")
        if self._organizations_access != "ENABLED":
            # That it must be enabled: CreatePortfolioShare. With which error is not documented.
            raise ServiceError("InvalidStateException", "AWSOrganizationsAccess is not enabled")
        return _NODE_SHARES[node["Type"]], node["Value"]

    def _operation_answer(self, portfolio: Portfolio, kind: str, recipient: str) -> Params:
        """Return the token, which there is for a share with the organization only."""
        if kind == "ACCOUNT":
            return {}
        return {"PortfolioShareToken": self._begin(portfolio, kind, recipient)}

    def _begin(self, portfolio: Portfolio, kind: str, recipient: str) -> str:
        token = answers.new_id("share")
        accounts = [recipient] if kind.endswith("ACCOUNT") else []
        operation = ShareOperation(portfolio.id, recipient, accounts)
        self._share_operations[token] = operation

        def complete() -> None:
            with self.lock:
                operation.status = "COMPLETED"

        self._run(complete)
        return token

    def _is_under_way(self, portfolio: Portfolio, recipient: str) -> bool:
        return any(
            (operation.portfolio_id, operation.recipient) == (portfolio.id, recipient)
            and operation.status == "IN_PROGRESS"
            for operation in self._share_operations.values()
        )


def _check_principals(kind: str, params: Params) -> None:
    if params.get("SharePrincipals") and kind not in ("ORGANIZATION", "ORGANIZATIONAL_UNIT"):
        raise answers.invalid(
            "SharePrincipals is only supported for ORGANIZATION and ORGANIZATIONAL_UNIT"
        )


def _share(portfolio: Portfolio, kind: str, recipient: str) -> PortfolioShare:
    if (kind, recipient) not in portfolio.shares:
        raise answers.not_found(f"Portfolio {portfolio.id} is not shared with {recipient}")
    return portfolio.shares[kind, recipient]
