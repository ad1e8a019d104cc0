"""Whether CloudTrail may put a trail's records into its log group, as the trail's role (cloudtrail fact sheet 10).

Pure decisions over the account's identities. They are asked when a trail gets a log group or another role, and again
before every delivery, because a role can be changed. What is missing is named, so that it can be added.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from opentrail.identity.authorization import NO_POLICIES, PolicySet, assume_verdict, authorize
from opentrail.identity.context import RequestFacts, Tags, principal_context, request_context
from opentrail.identity.directory import Role
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.statements import AccessRequest
from opentrail.trails.bucket_access import CLOUDTRAIL, service_context
from opentrail.trails.log_groups import LogStream
from opentrail.trails.trail import Trail

ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")
SESSION_NAME = "CloudTrail"


class Identities(Protocol):
    """What is known of roles: ``identity.directory.Directory``, as far as it matters here."""

    def role(self, arn: str) -> Role | None:
        """The role with that ARN."""

    def policies_of(self, principal: Principal) -> PolicySet:
        """What a caller's own policies are."""

    def tags_of(self, principal: Principal) -> Tags:
        """The tags of the role behind a session."""


class Lack(Enum):
    """What is wrong with a role: that it may not be used, or what it may do."""

    TRUST = "trust"
    PERMISSION = "permission"


@dataclass(frozen=True, slots=True)
class RoleProblem:
    """Why a role does not serve, in words."""

    lack: Lack
    message: str


def session_of(identities: Identities, trail: Trail, at: datetime) -> Principal | RoleProblem:
    """Whom CloudTrail acts as for a trail: a session of its role, made at an instant."""
    role = identities.role(trail.logs_role_arn or "")
    if role is None:
        return RoleProblem(Lack.TRUST, f"there is no role {trail.logs_role_arn}")
    asked = AccessRequest(CLOUDTRAIL, "sts:AssumeRole", role.arn, service_context(trail))
    if not assume_verdict(asked, role.trust, NO_POLICIES, role.account_id).allowed:
        named = f"the service principal {CLOUDTRAIL.service} (with aws:SourceArn = {trail.arn})"
        return RoleProblem(Lack.TRUST, f"the trust policy of {role.arn} does not allow sts:AssumeRole for {named}")
    return Principal(
        PrincipalType.ASSUMED_ROLE,
        role.account_id,
        f"{role.role_id}:{SESSION_NAME}",
        f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{SESSION_NAME}",
        session=SessionContext(at, issuer=SessionIssuer("Role", role.role_id, role.arn, role.account_id, role.name)),
    )


def usable_session(identities: Identities, trail: Trail, stream: LogStream, at: datetime) -> Principal | RoleProblem:
    """The same, where the role's policies let it make the trail's stream and put events there."""
    session = session_of(identities, trail, at)
    if isinstance(session, RoleProblem):
        return session
    facts = RequestFacts(at=at, secure=True, region=stream.region)
    context = principal_context(session, identities.tags_of(session)) | request_context(facts)
    policies = identities.policies_of(session)
    missing = [
        action
        for action in ACTIONS
        if not authorize(AccessRequest(session, action, stream.arn, context), policies).allowed
    ]
    if missing:
        text = f"the policies of {trail.logs_role_arn} do not allow {' and '.join(missing)} on {stream.arn}*"
        return RoleProblem(Lack.PERMISSION, text)
    return session
