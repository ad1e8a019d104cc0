"""The condition context of a call: what IAM's condition keys are worth for it. Pure.

Rules (IAM's reference of global condition keys). Keys are lower case; a key that does not apply is absent, which is not
the same as false: ``aws:MultiFactorAuthPresent`` exists only for temporary credentials, ``aws:username`` only for IAM
users. Values are tuples of strings, of one element save for keys that hold lists.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from opentrail.identity.principal import Principal, PrincipalType, SessionContext

Values = dict[str, tuple[str, ...]]
Tags = Mapping[str, str] | Iterable[tuple[str, str]]

_TAG_MEMBERS = (("Key", "Value"), ("key", "value"), ("TagKey", "TagValue"))
_TRUE, _FALSE = ("true",), ("false",)
_PRINCIPAL_TYPES = {
    PrincipalType.ROOT: "Account",
    PrincipalType.IAM_USER: "User",
    PrincipalType.ASSUMED_ROLE: "AssumedRole",
    PrincipalType.FEDERATED_USER: "FederatedUser",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What is known of a request besides who makes it; empty texts are unknown.

    ``source_arn`` and ``source_account`` are the resource for whose sake a service calls.
    """

    at: datetime
    source_ip: str = ""
    secure: bool = False
    user_agent: str = ""
    region: str = ""
    source_arn: str = ""
    source_account: str = ""


def principal_context(principal: Principal, tags: Tags = ()) -> Values:
    """The keys that follow from who calls. ``tags`` are those of his user or role; session tags go before them."""
    session = principal.session
    issuer = session.issuer if session else None
    is_service = principal.type is PrincipalType.AWS_SERVICE
    found: Values = {
        "aws:principalisawsservice": _TRUE if is_service else _FALSE,
        "aws:viaawsservice": _TRUE if principal.service and not is_service else _FALSE,
    }
    if principal.account_id:
        found["aws:principalaccount"] = (principal.account_id,)
    if arn := issuer.arn if issuer and issuer.type == "Role" else principal.arn:
        found["aws:principalarn"] = (arn,)
    if principal.principal_id:
        found["aws:userid"] = (principal.principal_id,)
    if principal.type is PrincipalType.IAM_USER:
        found["aws:username"] = (principal.user_name,)
    if kind := "Anonymous" if principal.is_anonymous else _PRINCIPAL_TYPES.get(principal.type):
        found["aws:principaltype"] = (kind,)
    if is_service:
        found["aws:principalservicename"] = (principal.service,)
    for key, value in tags.items() if isinstance(tags, Mapping) else tags:
        found[f"aws:principaltag/{key.lower()}"] = (value,)
    if session is not None:
        _add_session(found, session)
    return found


def request_context(facts: RequestFacts) -> Values:
    """The keys that follow from how and when a request was made."""
    found: Values = {
        "aws:currenttime": (_iso(facts.at),),
        "aws:epochtime": (str(int(facts.at.timestamp())),),
        "aws:securetransport": _TRUE if facts.secure else _FALSE,
    }
    if facts.source_ip:
        found["aws:sourceip"] = (facts.source_ip,)
    if facts.user_agent:
        found["aws:useragent"] = (facts.user_agent,)
    if facts.region:
        found["aws:requestedregion"] = (facts.region,)
    if facts.source_arn:
        found["aws:sourcearn"] = (facts.source_arn,)
    if facts.source_account:
        found["aws:sourceaccount"] = (facts.source_account,)
    return found


def session_age(principal: Principal, at: datetime) -> Values:
    """``aws:MultiFactorAuthAge``, in seconds, where a session was made with MFA."""
    shown_at = principal.session.mfa_at if principal.session else None
    if shown_at is None:
        return {}
    return {"aws:multifactorauthage": (str(max(int((at - shown_at).total_seconds()), 0)),)}


def request_tag_context(tags: Tags, keys: Iterable[str] = ()) -> Values:
    """``aws:RequestTag/*`` and ``aws:TagKeys`` of the tags that a request gives, and the keys that it takes away."""
    given = dict(tags)
    found: Values = {f"aws:requesttag/{key.lower()}": (value,) for key, value in given.items()}
    if all_keys := (*given, *keys):
        found["aws:tagkeys"] = all_keys
    return found


def resource_tag_context(tags: Tags, service: str = "") -> Values:
    """``aws:ResourceTag/*``, and the same under the service's own prefix (``opsworks-cm:ResourceTag/*``)."""
    found: Values = {}
    for key, value in dict(tags).items():
        found[f"aws:resourcetag/{key.lower()}"] = (value,)
        if service:
            found[f"{service}:resourcetag/{key.lower()}"] = (value,)
    return found


def sts_context(parameters: Mapping[str, Any], source_identity: str | None = None) -> Values:
    """The ``sts:`` keys of an STS request in wire casing. ``source_identity``: the caller's own, which sticks when the
    request names none.
    """
    values = {
        "sts:externalid": parameters.get("ExternalId"),
        "sts:rolesessionname": parameters.get("RoleSessionName"),
        "sts:sourceidentity": parameters.get("SourceIdentity") or source_identity,
        "sts:durationseconds": parameters.get("DurationSeconds"),
    }
    found: Values = {key: (str(value),) for key, value in values.items() if value is not None}
    if transitive := parameters.get("TransitiveTagKeys"):
        found["sts:transitivetagkeys"] = tuple(transitive)
    return found


def tag_pairs(raw: Any) -> Iterator[tuple[str, str]]:
    """Key and value of each tag in a request, in any of the forms that AWS's services take them in: a map, a list of
    objects (``Key``, ``key`` or KMS's ``TagKey``), or CloudFront's object around such a list (botocore's models).

    What has none of these forms is no tag; the service behind has to say so.
    """
    listed = raw.get("Items") if isinstance(raw, Mapping) else raw
    if isinstance(listed, list | tuple):
        pairs = [_pair(tag) for tag in listed if isinstance(tag, Mapping)]
    else:
        pairs = list(raw.items()) if isinstance(raw, Mapping) else []
    for key, value in pairs:
        if isinstance(key, str) and isinstance(value, str | None):
            yield key, value or ""


def _pair(tag: Mapping[str, Any]) -> tuple[Any, Any]:
    return next(((tag[key], tag.get(value)) for key, value in _TAG_MEMBERS if key in tag), (None, None))


def tag_keys(raw: Any) -> tuple[str, ...]:
    """The keys of the tags that a request takes away: a list, or CloudFront's object around one."""
    keys = raw.get("Items") if isinstance(raw, Mapping) else raw
    return tuple(key for key in keys if isinstance(key, str)) if isinstance(keys, list | tuple) else ()


def _add_session(found: Values, session: SessionContext) -> None:
    """The keys of temporary credentials. Session tags go before those of the user or role."""
    found["aws:tokenissuetime"] = _issued(session.created_at)
    found["aws:multifactorauthpresent"] = _TRUE if session.mfa_authenticated else _FALSE
    if session.source_identity:
        found["aws:sourceidentity"] = (session.source_identity,)
    if session.provider:
        found["aws:federatedprovider"] = (session.provider,)
    for key, value in session.tags:
        found[f"aws:principaltag/{key.lower()}"] = (value,)


@lru_cache(maxsize=4096)
def _issued(at: datetime) -> tuple[str, ...]:
    """A session says the same with every request."""
    return (_iso(at),)


def _iso(at: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
