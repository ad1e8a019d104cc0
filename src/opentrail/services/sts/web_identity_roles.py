"""AssumeRoleWithWebIdentity: roles for those whom an OpenID Connect provider knows.

Rules. The call is not signed: the issuer's signature on the ID token is the proof. The issuer must be registered as a
provider in the role's own account before anything is fetched from it, and the role's trust policy must name it. The
record's caller is the verified user; a call that fails before that has none.
"""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity import web_identity
from opentrail.identity.directory import OidcProvider
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.web_identity import WebIdentity
from opentrail.services.answer import Answer
from opentrail.services.operation import operation
from opentrail.services.sts import federated, role_sessions, session_rules
from opentrail.services.sts.parts import Parts, ends, require_role_arn
from opentrail.services.sts.refusals import invalid
from opentrail.services.sts.role_sessions import Wanted


class WebIdentityOperations:
    """The handler of AssumeRoleWithWebIdentity."""

    parts: Parts

    @operation("AssumeRoleWithWebIdentity")
    def assume_role_with_web_identity(self, call: Call, request: Mapping[str, Any]) -> Answer:
        """Temporary credentials of a role for the holder of an OpenID Connect ID token."""
        if request.get("ProviderId") is not None:
            raise invalid("ProviderId is not supported: OpenTrail takes OpenID Connect ID tokens only.")
        parts = self.parts
        token = web_identity.read(request["WebIdentityToken"])
        provider = _provider(parts, require_role_arn(request["RoleArn"]), token.issuer)
        keys = parts.provider_keys.find(token.issuer, token.key_id)
        identity = web_identity.verify(token, keys, frozenset(provider.client_ids), parts.clock.now())
        user, wanted = _user(identity, provider), _session(request, identity, provider)
        values = identity.condition_values(provider.url)
        role = federated.trusting_role(parts.directory, call, request, user, wanted, values=values)
        duration_s = session_rules.role_duration(request.get("DurationSeconds"), role.max_session_s, chained=False)
        response = role_sessions.credentials(parts, role, wanted, request, ends(parts.now(), duration_s)) | {
            "SubjectFromWebIdentityToken": identity.subject,
            "Provider": provider.arn,
            "Audience": identity.audience,
        }
        return Answer(response, caller=user, resources=(role_sessions.resource_of(role),))


def _provider(parts: Parts, account_id: str, issuer: str) -> OidcProvider:
    for name in web_identity.provider_names(issuer):
        provider = parts.directory.oidc_provider(f"arn:aws:iam::{account_id}:oidc-provider/{name}")
        if provider is not None:
            return provider
    message = f"No OpenIDConnect provider found in your account for {issuer[:200]}"
    raise ApiError("InvalidIdentityToken", message)


def _session(request: Mapping[str, Any], identity: WebIdentity, provider: OidcProvider) -> Wanted:
    return Wanted(
        name=request["RoleSessionName"],
        tags=session_rules.session_tags(identity.tags, identity.transitive_tag_keys, None),
        policies=session_rules.session_policies(request),
        source_identity=federated.checked_source_identity(identity.source_identity),
        provider=provider.arn,
        provider_attributes=(
            (f"{provider.url}:aud", identity.audience),
            (f"{provider.url}:sub", identity.subject),
        ),
    )


def _user(identity: WebIdentity, provider: OidcProvider) -> Principal:
    """The caller in the record (cloudtrail fact sheet 2.1): ``provider:audience:subject``."""
    return Principal(
        PrincipalType.WEB_IDENTITY_USER,
        provider.account_id,
        f"{provider.arn}:{identity.audience}:{identity.subject}",
        user_name=identity.subject,
        identity_provider=provider.arn,
    )
