"""AssumeRoleWithSAML: roles for those whom a SAML identity provider knows.

Rules. The call is not signed: the provider's signature on the assertion is the proof. The provider must be registered
in the role's own account, the assertion must name the role together with the provider, and the role's trust policy
must name the provider. An assertion is good for one session. The record's caller is the verified user; a call that
fails before that has none.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity import saml
from opentrail.identity.context import Values
from opentrail.identity.directory import Role, SamlProvider
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.saml import Assertion
from opentrail.services.answer import Answer, DeniedCaller
from opentrail.services.operation import operation
from opentrail.services.sts import federated, role_sessions, session_rules
from opentrail.services.sts.parts import Parts, ends, require_role_arn
from opentrail.services.sts.role_sessions import Wanted

_REDEEMABLE_S = saml.MAX_AGE_S + 2 * saml.SKEW_S  # from now on, at the longest, whatever its issuer says
_metadata_of = lru_cache(maxsize=64)(saml.read_metadata)


class SamlOperations:
    """The handler of AssumeRoleWithSAML."""

    parts: Parts

    @operation("AssumeRoleWithSAML")
    def assume_role_with_saml(self, call: Call, request: Mapping[str, Any]) -> Answer:
        """Temporary credentials of a role for the bearer of a SAML assertion."""
        parts, now = self.parts, self.parts.clock.now()
        provider = _provider(parts, request)
        assertion = _verified(parts, request, provider, now)
        user = _user(assertion, provider)
        if (request["RoleArn"], provider.arn) not in assertion.roles():
            raise federated.not_authorized(call, user)
        wanted = _session(request, assertion, provider)
        role = _trusting_role(parts, call, (user, provider), assertion, wanted)
        expires_at = _end(request, role, assertion, parts.now())
        # Ids may be long, and are the issuer's choice, as is the time that an assertion is good for.
        name = sha256(f"{provider.arn} {assertion.assertion_id}".encode()).hexdigest()
        until = min(assertion.not_on_or_after, now + timedelta(seconds=_REDEEMABLE_S))
        if not parts.used_assertions.use(name, until, now):
            raise ApiError("InvalidIdentityToken", "The SAML assertion was used before")
        response = role_sessions.credentials(parts, role, wanted, request, expires_at) | {
            "Subject": assertion.subject,
            "SubjectType": assertion.subject_type,
            "Issuer": assertion.issuer,
            "Audience": assertion.recipient,
            "NameQualifier": user.identity_provider,
        }
        entry = {"accountId": provider.account_id, "type": "AWS::IAM::SAMLProvider", "ARN": provider.arn}
        return Answer(response, caller=user, resources=(role_sessions.resource_of(role), entry))


def _provider(parts: Parts, request: Mapping[str, Any]) -> SamlProvider:
    provider = parts.directory.saml_provider(request["PrincipalArn"])
    if provider is None or provider.account_id != require_role_arn(request["RoleArn"]):
        raise ApiError("InvalidIdentityToken", "Specified provider doesn't exist")
    return provider


def _verified(parts: Parts, request: Mapping[str, Any], provider: SamlProvider, now: datetime) -> Assertion:
    try:
        metadata = _metadata_of(provider.metadata)
    except ValueError as problem:
        raise ApiError("InvalidIdentityToken", f"The provider cannot sign: {problem}") from None
    return saml.verify(request["SAMLAssertion"], metadata, parts.saml_recipients, now)


def _session(request: Mapping[str, Any], assertion: Assertion, provider: SamlProvider) -> Wanted:
    name = assertion.single("RoleSessionName")
    if name is None:
        raise ApiError("InvalidIdentityToken", "RoleSessionName is required in AuthnResponse")
    if not session_rules.is_session_name(name):
        message = "RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}"
        raise ApiError("InvalidIdentityToken", message)
    return Wanted(
        name=name,
        tags=session_rules.session_tags(assertion.tags(), assertion.transitive_tag_keys(), None),
        policies=session_rules.session_policies(request),
        source_identity=federated.checked_source_identity(assertion.single("SourceIdentity")),
        provider=provider.arn,
    )


def _trusting_role(
    parts: Parts, call: Call, who: tuple[Principal, SamlProvider], assertion: Assertion, wanted: Wanted
) -> Role:
    """The role, if it trusts the provider; denials are recorded of the user as records name him."""
    user, provider = who
    request = dict(call.parameters or {}) | {"RoleSessionName": wanted.name}
    vouched = replace(user, identity_provider=provider.arn)  # a trust policy names the provider's ARN
    try:
        values = _condition_values(assertion, user, provider)
        return federated.trusting_role(parts.directory, call, request, vouched, wanted, values=values)
    except DeniedCaller:
        raise federated.not_authorized(call, user) from None


def _user(assertion: Assertion, provider: SamlProvider) -> Principal:
    """The caller in the record (cloudtrail fact sheet 2.1): ``namequalifier:subject``."""
    qualifier = saml.name_qualifier(assertion.issuer, provider.account_id, _name_of(provider))
    return Principal(
        PrincipalType.SAML_USER,
        provider.account_id,
        f"{qualifier}:{assertion.subject}",
        user_name=assertion.subject,
        identity_provider=qualifier,
    )


def _condition_values(assertion: Assertion, user: Principal, provider: SamlProvider) -> Values:
    """The ``saml:`` keys that a trust policy may ask for (IAM User Guide, SAML keys)."""
    return {
        "saml:aud": (assertion.recipient,),
        "saml:iss": (assertion.issuer,),
        "saml:sub": (assertion.subject,),
        "saml:sub_type": (assertion.subject_type,),
        "saml:namequalifier": (user.identity_provider,),
        "saml:doc": (f"{provider.account_id}/{_name_of(provider)}",),
    }


def _end(request: Mapping[str, Any], role: Role, assertion: Assertion, now: datetime) -> datetime:
    """When the session ends: after the request's duration, or else the attribute SessionDuration, but not after the
    provider's own session.
    """
    requested_s: int | None = request.get("DurationSeconds")
    duration_s = session_rules.role_duration(
        _said_duration(assertion) if requested_s is None else requested_s, role.max_session_s, chained=False
    )
    expires_at = ends(now, duration_s)
    if assertion.session_ends_at is not None:
        expires_at = min(expires_at, assertion.session_ends_at.replace(microsecond=0))
    if expires_at <= now:
        raise ApiError("ExpiredTokenException", "The session at the identity provider has ended")
    return expires_at


def _said_duration(assertion: Assertion) -> int | None:
    said = assertion.single("SessionDuration")
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) <= 5 and 900 <= int(said) <= 43_200):
        raise ApiError("InvalidIdentityToken", "SessionDuration in AuthnResponse must be between 900 and 43200 seconds")
    return int(said)


def _name_of(provider: SamlProvider) -> str:
    return provider.arn.rpartition("/")[2]
