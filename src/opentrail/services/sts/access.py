"""May the caller have this session? The condition context of an STS call, and the verdicts that its handlers need."""

from collections.abc import Iterable, Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity import context
from opentrail.identity.authorization import Verdict, assume_verdict, authorize, denial_text
from opentrail.identity.context import Values
from opentrail.identity.directory import Role
from opentrail.identity.policy import Policy
from opentrail.identity.principal import Principal
from opentrail.identity.statements import AccessRequest
from opentrail.services.sts.parts import Identities
from opentrail.services.sts.session_rules import SessionTags

TAG_SESSION = "sts:TagSession"
SET_SOURCE_IDENTITY = "sts:SetSourceIdentity"


def context_of(directory: Identities, call: Call, who: Principal, request: Mapping[str, Any]) -> Values:
    """The context keys of a call by ``who``, with the ``sts:`` keys of its request (or of a verified assertion)."""
    facts = context.RequestFacts(
        at=call.received_at,
        source_ip=call.source_ip,
        secure=call.tls is not None,
        user_agent=call.user_agent,
        region=call.region,
    )
    held = who.session.source_identity if who.session else None
    return (
        directory.context_of(who)
        | context.request_context(facts)
        | context.session_age(who, call.received_at)
        | context.sts_context(request, held)
    )


def tag_context(tags: SessionTags, role: Role | None) -> Values:
    """The context keys of a new session's tags, and of the tags of the role that it is for."""
    found = context.request_tag_context(tags.tags)
    if tags.transitive:
        found["sts:transitivetagkeys"] = tags.transitive
    return found | (context.resource_tag_context(role.tags) if role else {})


def further_actions(tags: SessionTags, source_identity: str | None) -> tuple[str, ...]:
    """What else must be allowed where a session has tags or a source identity."""
    wanted = ((TAG_SESSION, bool(tags.tags)), (SET_SOURCE_IDENTITY, source_identity is not None))
    return tuple(action for action, is_needed in wanted if is_needed)


def refusing_verdict(
    directory: Identities, requests: Iterable[AccessRequest], role: Role | None
) -> tuple[AccessRequest, Verdict] | None:
    """The first of several requests about a role that is denied; None where all are allowed.

    A role that does not exist trusts nobody: those who ask are told the same.
    """
    trust = role.trust if role else Policy(())
    for request in requests:
        policies = directory.policies_of(request.principal)
        verdict = assume_verdict(request, trust, policies, role.account_id if role else "")
        if not verdict.allowed:
            return request, verdict
    return None


def require(directory: Identities, call: Call, action: str, resource: str) -> None:
    """Refuse the call unless the caller's own policies allow an action. Raises ApiError AccessDenied."""
    who = call.principal
    request = AccessRequest(who, action, resource, context_of(directory, call, who, call.parameters or {}))
    verdict = authorize(request, directory.policies_of(who))
    if not verdict.allowed:
        raise ApiError("AccessDenied", denial_text(request, verdict), status=403)
