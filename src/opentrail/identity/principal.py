"""Who signed a call: a value that the record's ``userIdentity`` and every authorisation decision are made from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PrincipalType(StrEnum):
    """The kinds of caller, by CloudTrail's names (cloudtrail fact sheet 2.1)."""

    ROOT = "Root"
    IAM_USER = "IAMUser"
    ASSUMED_ROLE = "AssumedRole"
    FEDERATED_USER = "FederatedUser"
    SAML_USER = "SAMLUser"
    WEB_IDENTITY_USER = "WebIdentityUser"
    IDENTITY_CENTER_USER = "IdentityCenterUser"
    AWS_SERVICE = "AWSService"
    AWS_ACCOUNT = "AWSAccount"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class SessionIssuer:
    """The role, user or root that a session's credentials were issued for (``type`` Role, IAMUser or Root)."""

    type: str
    principal_id: str
    arn: str
    account_id: str
    user_name: str


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The facts of temporary credentials.

    ``issuer`` is None for sessions of a user or root (GetSessionToken). ``mfa_at``: when MFA was shown, None if not.
    ``provider``: the identity provider's name or ARN for web identity and SAML sessions, with ``provider_attributes``
    as name and value pairs. ``tags`` are session tags; ``transitive_tag_keys`` those that go on when roles are chained.
    ``policies`` are session policy documents (JSON text), ``policy_arns`` managed ones; both empty: no session policy.
    """

    created_at: datetime
    issuer: SessionIssuer | None = None
    expires_at: datetime | None = None
    mfa_at: datetime | None = None
    source_identity: str | None = None
    provider: str | None = None
    provider_attributes: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()

    @property
    def mfa_authenticated(self) -> bool:
        """Whether the session was made with MFA."""
        return self.mfa_at is not None


@dataclass(frozen=True, slots=True)
class Principal:
    """One authenticated caller (or a service of ours, or nobody known).

    ``account_id`` owns the credentials; it is empty for anonymous callers and services. ``service`` is the service
    principal's host name for ``AWSService``, and for calls that a service makes with somebody's credentials
    (``invokedBy``). ``identity_provider`` is told for ``SAMLUser`` and ``WebIdentityUser``. Which policies the caller
    has is not part of the value: ``identity.directory`` answers that, by account and name, at the time of each call.
    """

    type: PrincipalType
    account_id: str = ""
    principal_id: str = ""
    arn: str = ""
    access_key_id: str = ""
    user_name: str = ""
    session: SessionContext | None = None
    service: str = ""
    identity_provider: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether the request carried no credentials at all."""
        return self.type is PrincipalType.AWS_ACCOUNT and not self.account_id


ANONYMOUS = Principal(PrincipalType.AWS_ACCOUNT)
