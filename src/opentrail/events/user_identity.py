"""The ``userIdentity`` element: who signed a call, in CloudTrail's words.

Rules: the keys and their order are those measured in real files (cloudtrail fact sheet 2.1, 2.2); a key without a
value is absent, except where the table writes it always. Text is cut at 1 KB: identities come from our own state,
but an access key id or a session name was somebody's input once.
"""

from collections.abc import Callable
from typing import Any

from opentrail.events.limits import cut
from opentrail.events.timestamps import event_time
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer

_SAML_PROVIDER = ":saml-provider/"


def user_identity(principal: Principal) -> dict[str, Any]:
    """The element as the caller's own account sees it."""
    special = _SPECIAL.get(principal.type)
    if special is not None:
        return special(principal)
    identity: dict[str, Any] = {"type": principal.type.value}
    _put(identity, "principalId", principal.principal_id)
    if principal.type is not PrincipalType.UNKNOWN:
        _put(identity, "arn", principal.arn)
    _put(identity, "accountId", principal.account_id)
    _put(identity, "accessKeyId", principal.access_key_id)
    _put(identity, "userName", _user_name(principal))
    if principal.session is not None:
        identity["sessionContext"] = _session_context(principal.session)
    _put(identity, "invokedBy", principal.service)
    return identity


def as_other_account(principal: Principal) -> dict[str, Any]:
    """The element as another account sees it, for its copy of a cross-account call: type, principalId and accountId
    only.

    Nobody known is shown as account ``anonymous`` (2.4). Services, and people whom an identity provider vouches for,
    belong to no account and are shown as themselves in every copy (2.3: the role's account sees the SAMLUser).
    """
    if principal.type in _ACCOUNTLESS:
        return user_identity(principal)
    if principal.type is PrincipalType.UNKNOWN and not principal.account_id:
        return {"type": "Unknown"}
    return {
        "type": "AWSAccount",
        "principalId": cut(principal.principal_id),
        "accountId": cut(principal.account_id) or "anonymous",
    }


def shown_arn(principal: Principal, account_id: str) -> str:
    """The ``arn`` of the element in the copy for one account; empty where that copy shows none."""
    shows = principal.account_id == account_id and principal.type not in _SPECIAL
    return principal.arn if shows and principal.type is not PrincipalType.UNKNOWN else ""


def service_identity(account_id: str, invoked_by: str) -> dict[str, Any]:
    """The element of service events: no ``type`` (cloudtrail fact sheet 1.9, measured)."""
    return {"accountId": cut(account_id), "invokedBy": cut(invoked_by)}


def _service(principal: Principal) -> dict[str, Any]:
    """A service that acts for itself: type and invokedBy, nothing else (2.1, 34 of 34 measured)."""
    return {"type": "AWSService", "invokedBy": cut(principal.service)}


def _vouched_for(principal: Principal) -> dict[str, Any]:
    """SAMLUser and WebIdentityUser, who appear in the STS call only: no account, no ARN, no key (2.1)."""
    identity: dict[str, Any] = {"type": principal.type.value}
    _put(identity, "principalId", principal.principal_id)
    _put(identity, "userName", principal.user_name)
    _put(identity, "identityProvider", principal.identity_provider)
    return identity


def _identity_center(principal: Principal) -> dict[str, Any]:
    """Type, accountId, onBehalfOf, credentialId (2.1).

    Such a principal holds its user id as ``principal_id``, its identity store's ARN as ``arn`` and the id of its bearer
    token as ``access_key_id``.
    """
    identity: dict[str, Any] = {"type": principal.type.value}
    _put(identity, "accountId", principal.account_id)
    identity["onBehalfOf"] = {"userId": cut(principal.principal_id), "identityStoreArn": cut(principal.arn)}
    _put(identity, "credentialId", principal.access_key_id)
    return identity


def _user_name(principal: Principal) -> str:
    """The userName: users' names, and the alias of a root's account, which is never just ``root`` (2.1).

    Who only named a key without proving it (``Unknown``) is not called by its owner's name.
    """
    if principal.type is PrincipalType.IAM_USER:
        return principal.user_name
    is_alias = principal.type is PrincipalType.ROOT and principal.user_name.lower() != "root"
    return principal.user_name if is_alias else ""


def _session_context(session: SessionContext) -> dict[str, Any]:
    """The facts of temporary credentials, in the measured order (2.2).

    Sessions of users and roots (GetSessionToken) have an empty issuer and empty webIdFederationData. Sessions of roles
    have the latter only where an OIDC provider vouched, as in the public sample of a CreateServer record.
    """
    is_role = session.issuer is not None and session.issuer.type == "Role"
    web_identity = _web_identity(session)
    context: dict[str, Any] = {
        "sessionIssuer": _issuer(session.issuer) if session.issuer is not None else {},
        **({"webIdFederationData": web_identity} if web_identity or not is_role else {}),
        "attributes": {
            "creationDate": event_time(session.created_at),
            # A string, not a boolean (trap 2).
            "mfaAuthenticated": "true" if session.mfa_authenticated else "false",
        },
    }
    _put(context, "sourceIdentity", session.source_identity or "")
    return context


def _issuer(issuer: SessionIssuer) -> dict[str, str]:
    """Whom the credentials were issued for; a root has no name."""
    shown = {
        "type": cut(issuer.type),
        "principalId": cut(issuer.principal_id),
        "arn": cut(issuer.arn),
        "accountId": cut(issuer.account_id),
    }
    _put(shown, "userName", issuer.user_name)
    return shown


def _web_identity(session: SessionContext) -> dict[str, Any]:
    """The provider of an OIDC session and what it said; SAML providers are no part of this element (2.2)."""
    if not session.provider or _SAML_PROVIDER in session.provider:
        return {}
    attributes = {cut(name): cut(value) for name, value in session.provider_attributes}
    return {"federatedProvider": cut(session.provider), "attributes": attributes}


def _put(identity: dict[str, Any], key: str, text: str) -> None:
    """Write a key that has a value."""
    if text:
        identity[key] = cut(text)


_SPECIAL: dict[PrincipalType, Callable[[Principal], dict[str, Any]]] = {
    PrincipalType.AWS_SERVICE: _service,
    PrincipalType.AWS_ACCOUNT: as_other_account,
    PrincipalType.SAML_USER: _vouched_for,
    PrincipalType.WEB_IDENTITY_USER: _vouched_for,
    PrincipalType.IDENTITY_CENTER_USER: _identity_center,
}
_ACCOUNTLESS = frozenset({PrincipalType.AWS_SERVICE, PrincipalType.SAML_USER, PrincipalType.WEB_IDENTITY_USER})
