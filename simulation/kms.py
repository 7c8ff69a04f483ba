"""KMS: keys and the grants on them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from embedded_aws.runtime.service_model import ServiceError


class Kms:
    """The keys of an account, all of them enabled."""

    def __init__(self, region: str, account: str) -> None:
        self._prefix = f"arn:aws:kms:{region}:{account}:key/"
        self._numbers = itertools.count(1)
        self._grants: dict[str, dict[str, dict[str, Any]]] = {}

    def create_key(self) -> dict[str, Any]:
        """Make a key."""
        arn = f"{self._prefix}{UUID(int=next(self._numbers))}"
        self._grants[arn] = {}
        return {"KeyMetadata": {"Arn": arn, "KeyState": "Enabled"}}

    def describe_key(self, key_id: str) -> dict[str, Any]:
        """Return a key by its id or ARN."""
        return {"KeyMetadata": {"Arn": self._arn(key_id), "KeyState": "Enabled"}}

    def create_grant(
        self, key_id: str, grantee_principal: str, operations: Sequence[str], name: str
    ) -> dict[str, Any]:
        """Grant the use of a key."""
        grant = f"{next(self._numbers):064x}"
        self._grants[self._arn(key_id)][grant] = {
            "GrantId": grant,
            "GranteePrincipal": grantee_principal,
            "Operations": [*operations],
            "Name": name,
        }
        return {"GrantId": grant}

    def revoke_grant(self, key_id: str, grant_id: str) -> dict[str, Any]:
        """Take a grant back."""
        if not self._grants[self._arn(key_id)].pop(grant_id, None):
            raise ServiceError("NotFoundException", f"Grant ID {grant_id} not found")
        return {}

    def list_grants(self, key_id: str) -> dict[str, Any]:
        """Return the grants on a key."""
        return {"Grants": [*self._grants[self._arn(key_id)].values()]}

    def _arn(self, key_id: str) -> str:
        arn = key_id if key_id.startswith("arn:") else f"{self._prefix}{key_id}"
        if arn not in self._grants:
            raise ServiceError("NotFoundException", f"Key '{arn}' does not exist")
        return arn
