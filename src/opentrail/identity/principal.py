"""Who signed a call: a value that the record's ``userIdentity`` and every authorisation decision are made from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PrincipalType(StrEnum):
    """The kinds of caller, by CloudTrail's names (cloudtrail fact sheet 2.1)."""

    ROOT = "Root"
    IAM_USER = "IAMUser"
    ASSUMED_ROLE = "AssumedRole"
    AWS_SERVICE = "AWSService"
    AWS_ACCOUNT = "AWSAccount"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class SessionIssuer:
    """The role (or user) that a session's credentials were issued for."""

    type: str
    principal_id: str
    arn: str
    account_id: str
    user_name: str


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The facts of temporary credentials."""

    created_at: datetime
    mfa_authenticated: bool = False
    issuer: SessionIssuer | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """One authenticated caller (or a service of ours, or nobody known).

    ``account_id`` owns the credentials; it is empty for anonymous callers and services. ``admin`` allows everything
    inside the own account until identity policies exist. ``service`` is the service principal's host name for
    ``AWSService``.
    """

    type: PrincipalType
    account_id: str = ""
    principal_id: str = ""
    arn: str = ""
    access_key_id: str = ""
    user_name: str = ""
    session: SessionContext | None = None
    admin: bool = False
    service: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether the request carried no credentials at all."""
        return self.type is PrincipalType.AWS_ACCOUNT and not self.account_id


ANONYMOUS = Principal(PrincipalType.AWS_ACCOUNT)
