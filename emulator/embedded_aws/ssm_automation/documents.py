"""Automation documents and their versions, as Systems Manager keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from embedded_aws.runtime.service_model import ServiceError
from embedded_aws.ssm_automation.content import Runbook, invalid, parse

Params = dict[str, Any]

_RESERVED_PREFIXES = ("aws", "amazon", "amzn")  # CreateDocument


@dataclass(frozen=True)
class Version:
    """A version of a document."""

    number: str
    text: str
    format: str
    created: datetime
    target_type: str
    version_name: str
    runbook: Runbook


@dataclass
class Document:
    """A document: at least one version, one of them the default."""

    name: str
    owner: str
    tags: dict[str, str]
    versions: list[Version] = field(default_factory=list)
    default_version: str = "1"

    def version(self, wanted: str) -> Version:
        """Return a version by its number, $DEFAULT or $LATEST; raises ServiceError."""
        if wanted == "$LATEST":
            return self.versions[-1]
        number = self.default_version if wanted == "$DEFAULT" else wanted
        for version in self.versions:
            if version.number == number:
                return version
        raise ServiceError(
            "InvalidDocumentVersion", f"Document {self.name} has no version {wanted}."
        )

    def describe(self, version: Version) -> Params:
        """Return a DocumentDescription."""
        given = {"TargetType": version.target_type, "VersionName": version.version_name}
        return {
            "Hash": hashlib.sha256(version.text.encode()).hexdigest(),
            "HashType": "Sha256",
            "Name": self.name,
            "Owner": self.owner,
            "CreatedDate": version.created,
            "Status": "Active",
            "DocumentVersion": version.number,
            "Description": version.runbook.description,
            "Parameters": [
                {
                    "Name": name,
                    "Type": declared["type"],
                    "Description": declared.get("description", ""),
                    **({"DefaultValue": str(declared["default"])} if "default" in declared else {}),
                }
                for name, declared in version.runbook.parameters.items()
            ],
            "PlatformTypes": ["Windows", "Linux", "MacOS"],
            "DocumentType": "Automation",
            "SchemaVersion": "0.3",
            "LatestVersion": self.versions[-1].number,
            "DefaultVersion": self.default_version,
            "DocumentFormat": version.format,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            **{key: value for key, value in given.items() if value},
        }


class Documents:
    """The documents of an account in a Region."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._documents: dict[str, Document] = {}

    def find(self, name_or_arn: str) -> Document | None:
        """Return the document of that name or ARN, if there is one."""
        return self._documents.get(name_or_arn.rpartition("document/")[2])

    def get(self, name_or_arn: str) -> Document:
        """Return the document; raises ServiceError."""
        document = self.find(name_or_arn)
        if document is None:
            raise ServiceError("InvalidDocument", "Document with that name does not exist.")
        return document

    def create(self, params: Mapping[str, Any], now: datetime) -> Document:
        """CreateDocument."""
        name = params["Name"]
        if name.lower().startswith(_RESERVED_PREFIXES):
            raise ServiceError(
                "ValidationException", f"Document name {name} has a prefix reserved by AWS"
            )
        if params.get("DocumentType", "Command") != "Automation":
            raise invalid("Documents of other types than Automation are not simulated")
        if name in self._documents:
            raise ServiceError(
                "DocumentAlreadyExists", f"Document with same name {name} already exists"
            )
        tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
        document = Document(name, self._owner, tags)
        document.versions.append(_version("1", params, now))
        self._documents[name] = document
        return document

    def update(self, params: Mapping[str, Any], now: datetime) -> tuple[Document, Version]:
        """UpdateDocument: another version, which is not yet the default."""
        document = self.get(params["Name"])
        latest = document.versions[-1]
        if params.get("DocumentVersion", "$LATEST") not in ("$LATEST", latest.number):
            raise ServiceError(
                "InvalidDocumentVersion", f"The latest version of {document.name} is another one."
            )
        made = _version(str(int(latest.number) + 1), params, now, latest.target_type)
        if (made.text, made.target_type) == (latest.text, latest.target_type):
            raise ServiceError(
                "DuplicateDocumentContent",
                "The content of the document matches another document. "
                "Change the content of the document and try again.",
            )
        document.versions.append(made)
        return document, made

    def delete(self, name: str) -> None:
        """DeleteDocument, with all its versions."""
        del self._documents[self.get(name).name]


def _version(
    number: str, params: Mapping[str, Any], now: datetime, target_type: str = ""
) -> Version:
    document_format = params.get("DocumentFormat", "JSON")
    return Version(
        number=number,
        text=params["Content"],
        format=document_format,
        created=now,
        target_type=params.get("TargetType", target_type),
        version_name=params.get("VersionName", ""),
        runbook=parse(params["Content"], document_format),
    )
