"""What the handlers of STS work with, and the one way in which they hand out credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from opentrail.aws.arn import parse_arn
from opentrail.clock import Clock, Entropy
from opentrail.identity import saml, unique_ids
from opentrail.identity.authorization import PolicySet
from opentrail.identity.context import Values
from opentrail.identity.directory import Credential, MfaDevice, OidcProvider, Role, SamlProvider
from opentrail.identity.principal import Principal
from opentrail.identity.session_tokens import MAX_TOKEN_CHARS, SessionTokens, TokenTooLarge, temporary_key_id
from opentrail.identity.web_identity import VerificationKeys
from opentrail.services.sts import session_rules
from opentrail.services.sts.denials import DenialMessages
from opentrail.services.sts.mfa import OneTimeCodes
from opentrail.services.sts.refusals import invalid
from opentrail.services.sts.single_use import SingleUse


class Identities(Protocol):
    """Accounts' identities, as far as STS asks for them (``opentrail.identity.directory.Directory``)."""

    def has_account(self, account_id: str) -> bool:
        """Whether the account is one of ours."""

    def credential(self, access_key_id: str) -> Credential | None:
        """A long-term access key that is active."""

    def policies_of(self, principal: Principal) -> PolicySet:
        """What a caller's policies are."""

    def role(self, arn: str) -> Role | None:
        """The role with that ARN."""

    def policy_text(self, account_id: str, arn: str) -> str | None:
        """A managed policy that the account can use."""

    def oidc_provider(self, arn: str) -> OidcProvider | None:
        """The OpenID Connect provider with that ARN."""

    def saml_provider(self, arn: str) -> SamlProvider | None:
        """The SAML provider with that ARN."""

    def mfa_device(self, serial: str) -> MfaDevice | None:
        """The MFA device with that serial number."""

    def context_of(self, principal: Principal) -> Values:
        """The condition keys that follow from who calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The service's surroundings. ``saml_recipients``: the audiences and recipients of SAML assertions that mean us."""

    directory: Identities
    tokens: SessionTokens
    denials: DenialMessages
    clock: Clock
    entropy: Entropy
    provider_keys: VerificationKeys
    saml_recipients: frozenset[str] = frozenset({saml.SIGN_IN, "urn:amazon:webservices"})
    codes: OneTimeCodes = field(default_factory=OneTimeCodes)
    used_assertions: SingleUse = field(default_factory=SingleUse)

    def now(self) -> datetime:
        """The current second: STS's times have no fractions."""
        return self.clock.now().replace(microsecond=0)

    def can_use(self, account_id: str, policy_arn: str) -> bool:
        """Whether an account can use a managed policy as a session policy."""
        return self.directory.policy_text(account_id, policy_arn) is not None

    def issue(self, who: Principal, request: Mapping[str, Any]) -> dict[str, Any]:
        """New credentials for a session whose context is complete: the members that every answer with them has.

        Raises ApiError PackedPolicyTooLarge where the session does not fit into a token.
        """
        if who.session is None or who.session.expires_at is None:
            raise ValueError("a session needs an end")
        minimum: int | None = request.get("MinimumSessionTokenSize")
        caller = replace(who, access_key_id=temporary_key_id(self.entropy, who.account_id))
        secret = unique_ids.secret_access_key(self.entropy)
        try:
            token = self.tokens.issue(caller, secret, minimum_chars=minimum or 0)
        except TokenTooLarge:
            raise session_rules.too_large(101) from None
        credentials = {
            "AccessKeyId": caller.access_key_id,
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": who.session.expires_at,
        }
        if minimum is None:
            return {"Credentials": credentials}
        utilization = -(-len(token) * 100 // MAX_TOKEN_CHARS)
        return {"Credentials": credentials, "SessionTokenSize": len(token), "SessionTokenUtilization": utilization}


def ends(now: datetime, duration_s: int) -> datetime:
    """When a session that begins now ends."""
    return now + timedelta(seconds=duration_s)


def require_role_arn(text: str) -> str:
    """Refuse what is no role's ARN (ApiError ValidationError); returns the account that it names."""
    try:
        arn = parse_arn(text)
    except ValueError:
        arn = None
    if arn is None or arn.service != "iam" or arn.resource_type != "role" or not arn.account_id.isdecimal():
        raise invalid(f"{text[:200]} is invalid")
    return arn.account_id
