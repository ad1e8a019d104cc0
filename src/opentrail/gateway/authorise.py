"""May a caller make this call to a service of ours? His policies decide, and a refusal says what AWS would say.

Rules. Every permission that the call takes is asked for in turn; the first that is missing is the one that is told.
Services with the query protocol refuse with ``AccessDenied``, those with JSON with ``AccessDeniedException``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.gateway.permissions import (
    FindResource,
    Names,
    Permission,
    nothing_known,
    permissions,
    service_of,
)
from opentrail.identity.authorization import PolicySet, Verdict, authorize, denial_text
from opentrail.identity.context import (
    RequestFacts,
    Values,
    request_context,
    request_tag_context,
    resource_tag_context,
    session_age,
    sts_context,
    tag_keys,
    tag_pairs,
)
from opentrail.identity.principal import Principal
from opentrail.identity.statements import AccessRequest

QUERY_SERVICES = frozenset({"iam", "sts"})
_DENIED_BEHIND: Mapping[str, tuple[str, int, str]] = {
    # code, status, and what stands before the sentence (error references of the services; JSON answers 400)
    "ec2": ("UnauthorizedOperation", 403, "You are not authorized to perform this operation. "),
    "query": ("AccessDenied", 403, ""),
    "rest-xml": ("AccessDenied", 403, ""),
    "rest-json": ("AccessDeniedException", 403, ""),
}
Denied = Callable[[Call, AccessRequest, Verdict], ApiError]
_FORBIDDEN_IN_JSON = frozenset({"cloudtrail"})  # 403 there, 400 elsewhere (cloudtrail fact sheet 0)


class Directory(Names, Protocol):
    """What is known of callers: ``identity.directory.Directory``, as far as it matters here."""

    def policies_of(self, principal: Principal) -> PolicySet:
        """A caller's own policies, compiled."""

    def context_of(self, principal: Principal) -> Values:
        """The condition keys that follow from who calls."""


def authorise(call: Call, directory: Directory, *, find: FindResource = nothing_known) -> None:
    """Raises ApiError with AWS's code and sentence where a parsed, validated call is not allowed."""
    context = call_context(call, directory)
    _require(call, directory.policies_of(call.principal), permissions(call, directory, find), context, access_denied)


def authorise_behind(
    call: Call, directory: Directory, needed: Iterable[Permission], *, tags: Values, protocol: str
) -> None:
    """Raises ApiError, in the words of the protocol that its service speaks, where a call to a service behind us is not
    allowed.

    ``needed``: the permissions that it takes; ``tags``: the condition keys of the tags that it gives or takes away.
    """

    def denied(_call: Call, request: AccessRequest, verdict: Verdict) -> ApiError:
        code, status, opening = _DENIED_BEHIND.get(protocol, ("AccessDeniedException", 400, ""))
        return ApiError(code, opening + denial_text(request, verdict), status=status)

    context = _caller_context(call, directory) | tags
    _require(call, directory.policies_of(call.principal), needed, context, denied)


def _require(call: Call, policies: PolicySet, needed: Iterable[Permission], context: Values, denied: Denied) -> None:
    for permission in needed:
        request = access_request(call, permission, context)
        verdict = authorize(request, policies, resource=permission.guard)
        if not verdict.allowed:
            raise denied(call, request, verdict)


def access_request(call: Call, permission: Permission, context: Values) -> AccessRequest:
    """What is asked of the evaluator for one permission, given the context of the whole call."""
    if permission.tags:
        context = context | resource_tag_context(permission.tags, service_of(call))
    if permission.passed_to:
        context = context | {"iam:passedtoservice": (permission.passed_to,)}
    return AccessRequest(call.principal, permission.action, permission.resource, context)


def call_context(call: Call, directory: Directory) -> Values:
    """The condition keys that hold for everything a call to a service of ours needs."""
    principal, service = call.principal, service_of(call)
    context = _caller_context(call, directory) | _tag_context(call)
    if service == "sts":
        context |= sts_context(call.parameters or {}, principal.session.source_identity if principal.session else None)
    elif service == "iam":
        context |= _iam_context(call)
    elif service == "sns":
        context |= _sns_context(call)
    elif service == "organizations" and (principal_name := (call.parameters or {}).get("ServicePrincipal")):
        context["organizations:serviceprincipal"] = (principal_name,)
    return context


def _caller_context(call: Call, directory: Directory) -> Values:
    """The condition keys that tell of the caller and his request, whatever it is."""
    principal = call.principal
    facts = RequestFacts(
        at=call.received_at,
        source_ip=call.source_ip,
        secure=call.tls is not None,
        user_agent=call.user_agent,
        region=call.region,
    )
    context = directory.context_of(principal) | request_context(facts)
    return context | session_age(principal, call.received_at)


def access_denied(call: Call, request: AccessRequest, verdict: Verdict) -> ApiError:
    """The refusal of a call, in its service's words."""
    service = service_of(call)
    if service == "sns":  # the code that its model has
        return ApiError("AuthorizationErrorException", denial_text(request, verdict), status=403)
    if service in QUERY_SERVICES:
        return ApiError("AccessDenied", denial_text(request, verdict), status=403)
    status = 403 if service in _FORBIDDEN_IN_JSON else 400
    return ApiError("AccessDeniedException", denial_text(request, verdict), status=status)


def _tag_context(call: Call) -> Values:
    """The tags that a request gives or takes away."""
    parameters = call.parameters or {}
    given = list(tag_pairs(parameters.get("Tags") or parameters.get("TagsList")))
    taken = tag_keys(parameters.get("TagKeys"))
    if call.event_name == "RemoveTags":
        return request_tag_context((), [key for key, _ in given])
    return request_tag_context(given, taken) if given or taken else {}


def _sns_context(call: Call) -> Values:
    """SNS's own condition keys (Service Authorization Reference, "Condition keys for Amazon SNS")."""
    parameters = call.parameters or {}
    values = {"sns:endpoint": parameters.get("Endpoint"), "sns:protocol": parameters.get("Protocol")}
    return {key: (value,) for key, value in values.items() if value}


def _iam_context(call: Call) -> Values:
    """IAM's own condition keys (Service Authorization Reference, "Condition keys for AWS IAM")."""
    parameters = call.parameters or {}
    values = {
        "iam:policyarn": parameters.get("PolicyArn"),
        "iam:permissionsboundary": parameters.get("PermissionsBoundary"),
        "iam:awsservicename": parameters.get("AWSServiceName"),
    }
    return {key: (value,) for key, value in values.items() if value}
