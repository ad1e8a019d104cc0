"""What web identities and SAML users have in common: a provider's word instead of a signature, and the trust policy."""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.context import Values
from opentrail.identity.directory import Role
from opentrail.identity.principal import Principal
from opentrail.identity.statements import AccessRequest
from opentrail.services.answer import DeniedCaller
from opentrail.services.sts import session_rules
from opentrail.services.sts.access import context_of, further_actions, refusing_verdict, tag_context
from opentrail.services.sts.parts import Identities
from opentrail.services.sts.role_sessions import Wanted


def trusting_role(
    directory: Identities, call: Call, request: Mapping[str, Any], user: Principal, wanted: Wanted, *, values: Values
) -> Role:
    """The role of the request, if it trusts the provider of ``user`` (``identity_provider``, an ARN) to send him.

    ``values``: the condition keys that his provider vouches for. Raises DeniedCaller.
    """
    role = directory.role(request["RoleArn"])
    context = context_of(directory, call, user, request) | tag_context(wanted.tags, role) | values
    context["aws:federatedprovider"] = (user.identity_provider,)
    if wanted.source_identity is not None:
        context["sts:sourceidentity"] = (wanted.source_identity,)
    actions = (f"sts:{call.event_name}", *further_actions(wanted.tags, wanted.source_identity))
    requests = [AccessRequest(user, action, request["RoleArn"], context) for action in actions]
    if role is None or refusing_verdict(directory, requests, role) is not None:
        raise not_authorized(call, user)
    return role


def not_authorized(call: Call, user: Principal) -> DeniedCaller:
    """The denial of a call whose user is known."""
    return DeniedCaller("AccessDenied", f"Not authorized to perform sts:{call.event_name}", user)


def checked_source_identity(text: str | None) -> str | None:
    """A source identity that a provider gives. Raises ApiError InvalidIdentityToken for one that cannot be."""
    if text is not None and (not session_rules.is_session_name(text) or text.lower().startswith("aws:")):
        raise ApiError("InvalidIdentityToken", "The source identity must match [a-zA-Z_0-9+=,.@-]{2,64}")
    return text
