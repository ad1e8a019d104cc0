"""A role's session as a principal, and what every AssumeRole operation answers about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opentrail.identity.directory import Role
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.services.sts import session_rules
from opentrail.services.sts.parts import Parts
from opentrail.services.sts.session_rules import SessionPolicies, SessionTags


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A session of a role as it was asked for, all of it checked."""

    name: str
    tags: SessionTags
    policies: SessionPolicies
    source_identity: str | None = None
    mfa_at: datetime | None = None
    provider: str | None = None
    provider_attributes: tuple[tuple[str, str], ...] = ()

    def principal(self, role: Role, now: datetime, expires_at: datetime) -> Principal:
        """Who calls with the session's credentials (cloudtrail fact sheet 2.1): the ARN drops the role's path."""
        return Principal(
            PrincipalType.ASSUMED_ROLE,
            role.account_id,
            f"{role.role_id}:{self.name}",
            f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{self.name}",
            session=SessionContext(
                created_at=now,
                issuer=SessionIssuer("Role", role.role_id, role.arn, role.account_id, role.name),
                expires_at=expires_at,
                mfa_at=self.mfa_at,
                source_identity=self.source_identity,
                provider=self.provider,
                provider_attributes=self.provider_attributes,
                tags=self.tags.tags,
                transitive_tag_keys=self.tags.transitive,
                policies=self.policies.inline,
                policy_arns=self.policies.arns,
            ),
        )


def credentials(
    parts: Parts, role: Role, wanted: Wanted, request: Mapping[str, Any], expires_at: datetime
) -> dict[str, Any]:
    """New credentials of a role's session, as a response, for a caller whom the role trusts.

    Raises ApiError ValidationError (an unknown session policy) or PackedPolicyTooLarge.
    """
    session_rules.require_usable(wanted.policies, role.account_id, parts.can_use)
    percent = session_rules.packed_percent(wanted.policies, wanted.tags)
    who = wanted.principal(role, parts.now(), expires_at)
    answer = parts.issue(who, request)
    answer["AssumedRoleUser"] = {"AssumedRoleId": who.principal_id, "Arn": who.arn}
    if percent is not None:
        answer["PackedPolicySize"] = percent
    if wanted.source_identity is not None:
        answer["SourceIdentity"] = wanted.source_identity
    return answer


def resource_of(role: Role) -> dict[str, str]:
    """The role's entry in a record's ``resources``."""
    return {"accountId": role.account_id, "type": "AWS::IAM::Role", "ARN": role.arn}
