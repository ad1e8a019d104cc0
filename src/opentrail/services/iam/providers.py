"""OpenID Connect and SAML providers: whose word about a person a role's trust policy can accept."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from opentrail.events.call import Call
from opentrail.identity.iam_providers import (
    change_provider,
    find_provider,
    insert_provider,
    instant,
    providers,
    remove_provider,
)
from opentrail.identity.iam_tables import Row, oidc_providers, saml_providers
from opentrail.identity.iam_tags import clear_tags, put_tags, tags_of
from opentrail.services.iam import limits, refusals, rendering
from opentrail.services.iam.parts import Surroundings, new_tags, refuse_if
from opentrail.services.operation import operation
from opentrail.state.database import Unit

_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_SAML_YEARS = 100  # how long AWS calls a provider valid whose metadata does not say


class ProviderOperations(Surroundings):
    """The operations on identity providers; a part of ``IamService``."""

    @operation("CreateOpenIDConnectProvider", writes=True)
    def create_oidc_provider(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Register an issuer of ID tokens."""
        tags = new_tags(request, what="OpenIdConnectProvider")
        url = _issuer(request["Url"])
        arn = f"arn:aws:iam::{call.account_id}:oidc-provider/{url}"
        taken = find_provider(unit.connection, oidc_providers, call.account_id, arn)
        refuse_if(taken, refusals.exists(f"Provider with url https://{url} already exists."))
        full = len(providers(unit.connection, oidc_providers, call.account_id)) >= limits.OIDC_PROVIDERS
        refuse_if(full, refusals.quota("OpenIdConnectProvidersPerAccount", limits.OIDC_PROVIDERS))
        clients = list(dict.fromkeys(request.get("ClientIDList") or ()))
        refuse_if(
            len(clients) > limits.CLIENT_IDS, refusals.quota("ClientIdsPerOpenIdConnectProvider", limits.CLIENT_IDS)
        )
        row = {
            "arn": arn,
            "account_id": call.account_id,
            "url": url,
            "client_ids": clients,
            "thumbprints": _thumbprints(request),
            "created_at": call.received_at.timestamp(),
        }
        insert_provider(unit.connection, oidc_providers, row)
        put_tags(unit.connection, call.account_id, arn, tags)
        self.parts.identities.changed(unit, call.account_id)
        return {"OpenIDConnectProviderArn": arn, "Tags": rendering.tag_list(tags)}

    @operation("GetOpenIDConnectProvider")
    def get_oidc_provider(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """An issuer and the audiences it may speak to."""
        with self.parts.identities.database.read() as connection:
            found = oidc_provider(connection, call, request)
            tags = tags_of(connection, found["arn"])
        shown = {"Url": found["url"], "ClientIDList": found["client_ids"], "ThumbprintList": found["thumbprints"]}
        return shown | {"CreateDate": instant(found["created_at"]), "Tags": rendering.tag_list(tags)}

    @operation("ListOpenIDConnectProviders")
    def list_oidc_providers(self, call: Call, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's issuers."""
        with self.parts.identities.database.read() as connection:
            found = providers(connection, oidc_providers, call.account_id)
        return {"OpenIDConnectProviderList": [{"Arn": row["arn"]} for row in found]}

    @operation("DeleteOpenIDConnectProvider", writes=True)
    def delete_oidc_provider(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Forget an issuer; roles that trust it are left with nobody to trust. One that is gone is no error."""
        found = find_provider(unit.connection, oidc_providers, call.account_id, request["OpenIDConnectProviderArn"])
        if found is not None:
            self._remove_provider(unit, oidc_providers, call, found["arn"])
        return {}

    @operation("AddClientIDToOpenIDConnectProvider", writes=True)
    def add_client_id(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Accept one more audience."""
        found = oidc_provider(unit.connection, call, request)
        clients = list(dict.fromkeys([*found["client_ids"], request["ClientID"]]))
        refuse_if(
            len(clients) > limits.CLIENT_IDS, refusals.quota("ClientIdsPerOpenIdConnectProvider", limits.CLIENT_IDS)
        )
        self._change_provider(unit, oidc_providers, found, client_ids=clients)
        return {}

    @operation("RemoveClientIDFromOpenIDConnectProvider", writes=True)
    def remove_client_id(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Accept an audience no longer; one that is not there is no error."""
        found = oidc_provider(unit.connection, call, request)
        left = [client for client in found["client_ids"] if client != request["ClientID"]]
        self._change_provider(unit, oidc_providers, found, client_ids=left)
        return {}

    @operation("UpdateOpenIDConnectProviderThumbprint", writes=True)
    def update_thumbprints(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Replace the list of certificate thumbprints. They are kept for tools; tokens are verified by their keys."""
        found = oidc_provider(unit.connection, call, request)
        self._change_provider(unit, oidc_providers, found, thumbprints=_thumbprints(request))
        return {}

    @operation("CreateSAMLProvider", writes=True)
    def create_saml_provider(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Register an identity provider by its metadata document."""
        tags = new_tags(request, what="SAMLProvider")
        text = _metadata(request)
        arn = f"arn:aws:iam::{call.account_id}:saml-provider/{request['Name']}"
        taken = find_provider(unit.connection, saml_providers, call.account_id, arn)
        refuse_if(taken, refusals.exists(f"Provider {request['Name']} already exists."))
        full = len(providers(unit.connection, saml_providers, call.account_id)) >= limits.SAML_PROVIDERS
        refuse_if(full, refusals.quota("SAMLProvidersPerAccount", limits.SAML_PROVIDERS))
        row = {
            "arn": arn,
            "account_id": call.account_id,
            "uuid": self.parts.entropy.uuid(),
            "metadata_xml": text,
            "created_at": call.received_at.timestamp(),
        }
        insert_provider(unit.connection, saml_providers, row)
        put_tags(unit.connection, call.account_id, arn, tags)
        self.parts.identities.changed(unit, call.account_id)
        return {"SAMLProviderArn": arn, "Tags": rendering.tag_list(tags)}

    @operation("GetSAMLProvider")
    def get_saml_provider(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A provider with its metadata document."""
        with self.parts.identities.database.read() as connection:
            found = saml_provider(connection, call, request)
            tags = tags_of(connection, found["arn"])
        shown = {"SAMLProviderUUID": found["uuid"], "SAMLMetadataDocument": found["metadata_xml"]}
        return shown | _saml_dates(found) | {"Tags": rendering.tag_list(tags)}

    @operation("ListSAMLProviders")
    def list_saml_providers(self, call: Call, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's SAML providers."""
        with self.parts.identities.database.read() as connection:
            found = providers(connection, saml_providers, call.account_id)
        return {"SAMLProviderList": [{"Arn": row["arn"]} | _saml_dates(row) for row in found]}

    @operation("UpdateSAMLProvider", writes=True)
    def update_saml_provider(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Replace a provider's metadata document."""
        _refuse_encryption(request)
        found = saml_provider(unit.connection, call, request)
        if request.get("SAMLMetadataDocument") is not None:
            self._change_provider(unit, saml_providers, found, metadata_xml=_metadata(request))
        return {"SAMLProviderArn": found["arn"]}

    @operation("DeleteSAMLProvider", writes=True)
    def delete_saml_provider(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Forget a provider; roles that trust it are left with nobody to trust."""
        found = saml_provider(unit.connection, call, request)
        self._remove_provider(unit, saml_providers, call, found["arn"])
        return {}

    def _change_provider(self, unit: Unit, table: sa.Table, found: Row, **values: Any) -> None:
        change_provider(unit.connection, table, found["arn"], **values)
        self.parts.identities.changed(unit, found["account_id"])

    def _remove_provider(self, unit: Unit, table: sa.Table, call: Call, arn: str) -> None:
        clear_tags(unit.connection, arn)
        remove_provider(unit.connection, table, arn)
        self.parts.identities.changed(unit, call.account_id)


def oidc_provider(connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> Row:
    """The issuer that a request names. Raises ApiError NoSuchEntity."""
    arn = request["OpenIDConnectProviderArn"]
    found = find_provider(connection, oidc_providers, call.account_id, arn)
    if found is None:
        raise refusals.not_found(f"OpenIDConnect Provider not found for arn {arn}")
    return found


def saml_provider(connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> Row:
    """The SAML provider that a request names. Raises ApiError NoSuchEntity."""
    arn = request["SAMLProviderArn"]
    found = find_provider(connection, saml_providers, call.account_id, arn)
    if found is None:
        raise refusals.not_found(f"Manifest not found for arn {arn}")
    return found


def _issuer(url: str) -> str:
    """An issuer's URL without its scheme, as ARNs and trust policies have it; a slash at its end belongs to its name.

    Raises ApiError ValidationError.
    """
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and parts.hostname and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        plain = False
    if not plain or not re.fullmatch(r"[\x21-\x7e]+", url):
        raise refusals.validation("Invalid Open ID Connect Provider URL")
    return url.partition("://")[2]


def _thumbprints(request: Mapping[str, Any]) -> list[str]:
    given = list(request.get("ThumbprintList") or ())
    refuse_if(len(given) > limits.THUMBPRINTS, refusals.invalid("Thumbprint list must contain fewer than 5 entries."))
    refuse_if(not all(_THUMBPRINT.fullmatch(each) for each in given), refusals.invalid("Invalid thumbprint"))
    return given


def _metadata(request: Mapping[str, Any]) -> str:
    """A metadata document that names an issuer and its certificates. Raises ApiError InvalidInput."""
    from opentrail.identity.saml import read_metadata  # heavy, and rarely needed

    _refuse_encryption(request)
    text: str = request["SAMLMetadataDocument"]
    try:
        read_metadata(text)
    except ValueError as problem:
        raise refusals.invalid(f"Could not parse metadata: {problem}") from None
    return text


def _refuse_encryption(request: Mapping[str, Any]) -> None:
    asked = [name for name in ("AssertionEncryptionMode", "AddPrivateKey", "RemovePrivateKey") if request.get(name)]
    refuse_if(asked, refusals.invalid("OpenTrail does not support encrypted SAML assertions"))


def _saml_dates(row: Row) -> dict[str, Any]:
    created = instant(row["created_at"])
    return {
        "CreateDate": created,
        "ValidUntil": created.replace(year=created.year + _SAML_YEARS, day=min(created.day, 28)),
    }
