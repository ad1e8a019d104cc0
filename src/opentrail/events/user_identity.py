"""The ``userIdentity`` element: who signed a call, in CloudTrail's words.

Rules: the keys and their order are those measured in real files (cloudtrail fact sheet 2.1, 2.2); a key without a
value is absent, except where the table writes it always. Text is cut at 1 KB: identities come from our own state,
but an access key id or a session name was somebody's input once.
"""

from typing import Any

from opentrail.events.limits import cut
from opentrail.events.timestamps import event_time
from opentrail.identity.principal import Principal, PrincipalType, SessionContext


def user_identity(principal: Principal) -> dict[str, Any]:
    """The element as the caller's own account sees it."""
    if principal.type is PrincipalType.AWS_SERVICE:
        return {"type": "AWSService", "invokedBy": cut(principal.service)}
    if principal.type is PrincipalType.AWS_ACCOUNT:
        return as_other_account(principal)
    identity: dict[str, Any] = {"type": principal.type.value}
    _put(identity, "principalId", principal.principal_id)
    if principal.type is not PrincipalType.UNKNOWN:
        _put(identity, "arn", principal.arn)
    _put(identity, "accountId", principal.account_id)
    _put(identity, "accessKeyId", principal.access_key_id)
    if principal.type is PrincipalType.IAM_USER:
        _put(identity, "userName", principal.user_name)
    if principal.session is not None:
        identity["sessionContext"] = _session_context(principal.session)
    return identity


def as_other_account(principal: Principal) -> dict[str, Any]:
    """The element as another account sees it, for its copy of a cross-account call: type, principalId and accountId
    only.

    Nobody known is shown as account ``anonymous`` (2.4); a service is shown as itself in every copy.
    """
    if principal.type is PrincipalType.AWS_SERVICE:
        return user_identity(principal)
    if principal.type is PrincipalType.UNKNOWN and not principal.account_id:
        return {"type": "Unknown"}
    return {
        "type": "AWSAccount",
        "principalId": cut(principal.principal_id),
        "accountId": cut(principal.account_id) or "anonymous",
    }


def service_identity(account_id: str, invoked_by: str) -> dict[str, Any]:
    """The element of service events: no ``type`` (cloudtrail fact sheet 1.9, measured)."""
    return {"accountId": cut(account_id), "invokedBy": cut(invoked_by)}


def _session_context(session: SessionContext) -> dict[str, Any]:
    """The facts of temporary credentials; sessions of users have an empty issuer (2.2, measured)."""
    issuer: dict[str, str] = {}
    if session.issuer is not None:
        issuer = {
            "type": cut(session.issuer.type),
            "principalId": cut(session.issuer.principal_id),
            "arn": cut(session.issuer.arn),
            "accountId": cut(session.issuer.account_id),
            "userName": cut(session.issuer.user_name),
        }
    return {
        "sessionIssuer": issuer,
        "attributes": {
            "creationDate": event_time(session.created_at),
            # A string, not a boolean (trap 2).
            "mfaAuthenticated": "true" if session.mfa_authenticated else "false",
        },
    }


def _put(identity: dict[str, Any], key: str, text: str) -> None:
    """Write a key that has a value."""
    if text:
        identity[key] = cut(text)
