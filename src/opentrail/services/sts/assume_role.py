"""AssumeRole: the session of a role, for a caller with credentials of his own.

Rules. The role's trust policy decides, with the caller's identity policies (``identity.authorization.assume_verdict``);
a role that does not exist is denied in the same words. Session tags, and a source identity, are actions of their own.
Whoever chains roles keeps his transitive tags and his source identity, and gets an hour at most.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.authorization import denial_text
from opentrail.identity.directory import Role
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.statements import AccessRequest
from opentrail.services.answer import Answer
from opentrail.services.operation import operation
from opentrail.services.sts import mfa, role_sessions, session_rules
from opentrail.services.sts.access import context_of, further_actions, refusing_verdict, tag_context
from opentrail.services.sts.parts import Parts, ends, require_role_arn
from opentrail.services.sts.refusals import denied, invalid
from opentrail.services.sts.role_sessions import Wanted

ASSUME_ROLE = "sts:AssumeRole"


class AssumeRoleOperations:
    """The handler of AssumeRole."""

    parts: Parts

    @operation("AssumeRole")
    def assume_role(self, call: Call, request: Mapping[str, Any]) -> Answer:
        """Temporary credentials of a role. Another account's role: that account gets a copy of the record."""
        who, now = call.principal, self.parts.now()
        _refuse_callers_without_roles(who)
        if request.get("ProvidedContexts"):
            raise invalid("ProvidedContexts is not supported: OpenTrail has no trusted token issuers.")
        require_role_arn(request["RoleArn"])
        role = self.parts.directory.role(request["RoleArn"])
        wanted = self._session(call, request, now)
        shows_mfa = mfa.is_asked_for(request)
        granted = self._assumable(call, request, role, wanted, shows_mfa=shows_mfa)
        chained = who.type is PrincipalType.ASSUMED_ROLE
        duration_s = session_rules.role_duration(request.get("DurationSeconds"), granted.max_session_s, chained=chained)
        response = role_sessions.credentials(self.parts, granted, wanted, request, ends(now, duration_s))
        return Answer(
            response,
            also_for=() if granted.account_id == who.account_id else (granted.account_id,),
            resources=(role_sessions.resource_of(granted),),
        )

    def _session(self, call: Call, request: Mapping[str, Any], now: datetime) -> Wanted:
        """The session that is asked for. MFA counts where it is shown now, or was for the session that calls."""
        who = call.principal
        chained = who.type is PrincipalType.ASSUMED_ROLE
        tags = session_rules.session_tags(
            session_rules.requested_tags(request),
            request.get("TransitiveTagKeys") or (),
            who.session if chained else None,
        )
        shown_before = who.session.mfa_at if who.session and not chained else None
        return Wanted(
            name=request["RoleSessionName"],
            tags=tags,
            policies=session_rules.session_policies(request),
            source_identity=session_rules.source_identity(request.get("SourceIdentity"), who.session),
            mfa_at=now if mfa.is_asked_for(request) else shown_before,
        )

    def _assumable(
        self, call: Call, request: Mapping[str, Any], role: Role | None, wanted: Wanted, *, shows_mfa: bool
    ) -> Role:
        """The role, if the caller may have that session of it. Raises ApiError AccessDenied."""
        who, directory = call.principal, self.parts.directory
        context = context_of(directory, call, who, request) | tag_context(wanted.tags, role)
        if shows_mfa:
            device = directory.mfa_device(request["SerialNumber"])
            mfa.verify(device, who, request["TokenCode"], self.parts.codes, self.parts.clock.now())
            context |= {"aws:multifactorauthpresent": ("true",), "aws:multifactorauthage": ("0",)}
        actions = (ASSUME_ROLE, *further_actions(wanted.tags, wanted.source_identity))
        requests = [AccessRequest(who, action, request["RoleArn"], context) for action in actions]
        refused = refusing_verdict(directory, requests, role)
        if refused is not None or role is None:
            shown = denial_text(*refused) if refused else ""
            raise ApiError("AccessDenied", shown, status=403)
        return role


def _refuse_callers_without_roles(who: Principal) -> None:
    if who.type is PrincipalType.ROOT:
        raise denied("Roles may not be assumed by root accounts.")
    if who.type not in (PrincipalType.IAM_USER, PrincipalType.ASSUMED_ROLE):
        raise denied("Cannot call AssumeRole with the credentials of a federated user")
