"""May this caller do this? IAM's whole evaluation logic, pure: a request and the policies that apply to a verdict.

Rules (IAM User Guide, "Policy evaluation logic").

* An explicit Deny in any policy wins. Root is allowed what no policy denies; everybody else starts with nothing.
* Identity policies grant; permissions boundary and session policies only limit what they grant.
* Inside one account, a resource-based policy that names the caller himself (his user or session ARN, or everybody)
  grants by itself, whatever boundary and session policies leave out. One that names the role or user behind his session
  grants within boundary and session policies. One that names his account leaves it to his identity policies.
* Across accounts it takes both: the resource's policy, however it names him, and everything on his own side.
* A session of GetFederationToken without session policies has nothing but what resource-based policies give it.
* Services, anonymous callers and those whom an identity provider vouches for have no identity policies: the
  resource-based policy decides, and must name them.
* A key policy is a resource-based policy without which identity policies grant nothing, not even inside the account.
* A trust policy is a resource-based policy that must always name the caller, also inside the account.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from opentrail.identity.principal import PrincipalType
from opentrail.identity.statements import (
    FEDERATED_TYPES,
    SILENCE,
    AccessRequest,
    Decision,
    Finding,
    Named,
    Policy,
    judge,
)


class Limb(StrEnum):
    """The kind of policy that decided, in the words of AWS's denials."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy with its name for explanations: an ARN, or ``inline:x``."""

    name: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class PolicySet:
    """A caller's own policies. ``session`` is None where no session policy was given; empty allows nothing."""

    identity: tuple[NamedPolicy, ...] = ()
    boundary: NamedPolicy | None = None
    session: tuple[NamedPolicy, ...] | None = None


NO_POLICIES = PolicySet()


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """What a resource says: whose it is, and its policy, if it has one."""

    owner_account_id: str
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, and who made it.

    ``policy`` and ``statement`` (its Sid, or ``Statement[2]`` for the third one) name what allowed or denied; both are
    None where nothing did. ``limb`` is the kind of policy that allowed, denied, or lacked an Allow.
    """

    decision: Decision
    policy: str | None = None
    statement: str | None = None
    limb: Limb = Limb.IDENTITY

    @property
    def allowed(self) -> bool:
        """Whether the request may be carried out."""
        return self.decision is Decision.ALLOW


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict, and what every policy that was looked at says by itself, in the order of evaluation."""

    verdict: Verdict
    considered: tuple[Verdict, ...]


def authorize(request: AccessRequest, policies: PolicySet, *, resource: ResourcePolicy | None = None) -> Verdict:
    """The verdict on a request. Without ``resource`` it is about something in the caller's own account that has no
    policy of its own.
    """
    owner = resource.owner_account_id if resource else request.principal.account_id
    found = _resource_finding(request, policies, resource.policy if resource else None)
    return _decide(request, policies, owner, found, Limb.RESOURCE)


def assume_verdict(request: AccessRequest, trust: Policy, policies: PolicySet, role_account_id: str) -> Verdict:
    """The verdict on an STS action (``sts:AssumeRole``, ``sts:TagSession``, ...) on a role: its trust policy must name
    the caller; unless it names him exactly, inside his account, his identity policies must allow it too.

    Roles cannot be assumed by root.
    """
    if request.principal.type is PrincipalType.ROOT:
        return Verdict(Decision.IMPLICIT_DENY, limb=Limb.TRUST)
    found = _resource_finding(request, policies, trust)
    return _decide(request, policies, role_account_id, found, Limb.TRUST)


def key_verdict(request: AccessRequest, policies: PolicySet, key_policy: Policy, owner_account_id: str) -> Verdict:
    """The verdict on an action on a KMS key: its policy must name the caller, or his account; what names the account
    leaves it to his identity policies. Root is no exception (AWS KMS Developer Guide, "Key policies").

    Anonymous callers are refused whatever the policy says.
    """
    if request.principal.is_anonymous:
        return _silence(Limb.RESOURCE)
    found = _resource_finding(request, policies, key_policy)
    verdict = _decide(request, policies, owner_account_id, found, Limb.RESOURCE)
    if verdict.allowed and found.decision is not Decision.ALLOW:
        return _silence(Limb.RESOURCE)
    return verdict


def explain(request: AccessRequest, policies: PolicySet, *, resource: ResourcePolicy | None = None) -> Explanation:
    """``authorize``, with what each policy says by itself."""
    considered = list(_each_own(request, policies))
    if resource is not None and resource.policy is not None:
        finding = _resource_finding(request, policies, resource.policy)
        considered.append(_verdict(finding, Limb.RESOURCE, Limb.RESOURCE.value))
    return Explanation(authorize(request, policies, resource=resource), tuple(considered))


def denial_text(request: AccessRequest, verdict: Verdict) -> str:
    """AWS's sentence about a denial (IAM User Guide, "Troubleshoot access denied error messages").

    What a role's trust policy says is not told to those whom it keeps out (cloudtrail fact sheet 1.8, measured).
    """
    who = request.principal.arn or request.principal.service or "anonymous"
    said = f"User: {who} is not authorized to perform: {request.action} on resource: {request.resource}"
    if verdict.limb is Limb.TRUST:
        return said
    if verdict.decision is Decision.EXPLICIT_DENY:
        article = "an" if verdict.limb is Limb.IDENTITY else "a"
        return f"{said} with an explicit deny in {article} {verdict.limb}"
    return f"{said} because no {verdict.limb} allows the {request.action} action"


def _decide(request: AccessRequest, policies: PolicySet, owner: str, found: Finding, limb: Limb) -> Verdict:
    principal = request.principal
    at_resource = _silence(limb) if found is SILENCE else _verdict(found, limb, limb.value)
    if not _has_policies(request):
        granted = found.decision is Decision.ALLOW and found.named is Named.DIRECTLY
        return at_resource if granted or found.decision is Decision.EXPLICIT_DENY else _silence(limb)
    identity = _identity_verdict(request, policies)
    limits = tuple(_limits(request, policies))
    for verdict in (identity, *limits, at_resource):
        if verdict.decision is Decision.EXPLICIT_DENY:
            return verdict
    blocked = next((limit for limit in limits if not limit.allowed), None)
    own = blocked if identity.allowed and blocked is not None else identity
    if owner != principal.account_id:
        if not at_resource.allowed:
            return _silence(limb)
        return at_resource if own.allowed else own
    if found.named is Named.DIRECTLY:
        return at_resource
    if found.named is Named.ISSUER:
        return blocked or at_resource
    if limb is Limb.TRUST and not at_resource.allowed:
        return _silence(limb)
    return own


def _has_policies(request: AccessRequest) -> bool:
    """Whether a caller is one that identity policies can be attached to, directly or through his session."""
    principal = request.principal
    bare = principal.type in FEDERATED_TYPES or principal.type in (PrincipalType.AWS_SERVICE, PrincipalType.UNKNOWN)
    return bool(principal.account_id) and not bare


def _resource_finding(request: AccessRequest, policies: PolicySet, policy: Policy | None) -> Finding:
    if policy is None or request.principal.type is PrincipalType.UNKNOWN:
        return SILENCE
    return judge(policy, request, bounded=policies.boundary is not None)


def _identity_verdict(request: AccessRequest, policies: PolicySet) -> Verdict:
    verdict = _any_of(request, policies.identity, Limb.IDENTITY)
    if request.principal.type is PrincipalType.ROOT and verdict.decision is Decision.IMPLICIT_DENY:
        return Verdict(Decision.ALLOW)
    return verdict


def _limits(request: AccessRequest, policies: PolicySet) -> Iterator[Verdict]:
    """What boundary and session policies say, each as one verdict."""
    if policies.boundary is not None:
        yield _any_of(request, (policies.boundary,), Limb.BOUNDARY)
    session = policies.session
    if session is None and request.principal.type is PrincipalType.FEDERATED_USER:
        session = ()
    if session is not None:
        yield _any_of(request, session, Limb.SESSION)


def _any_of(request: AccessRequest, policies: tuple[NamedPolicy, ...], limb: Limb) -> Verdict:
    """The first Deny among policies of one kind, or else the first Allow, or silence."""
    allowed: Verdict | None = None
    for named in policies:
        found = judge(named.policy, request)
        if found.decision is Decision.EXPLICIT_DENY:
            return _verdict(found, limb, named.name)
        if allowed is None and found.decision is Decision.ALLOW:
            allowed = _verdict(found, limb, named.name)
    return allowed or _silence(limb)


def _each_own(request: AccessRequest, policies: PolicySet) -> Iterator[Verdict]:
    kinds = (
        (Limb.IDENTITY, policies.identity),
        (Limb.BOUNDARY, (policies.boundary,) if policies.boundary else ()),
        (Limb.SESSION, policies.session or ()),
    )
    for limb, members in kinds:
        for named in members:
            yield _verdict(judge(named.policy, request), limb, named.name)


def _verdict(found: Finding, limb: Limb, name: str) -> Verdict:
    return Verdict(found.decision, name, found.statement, limb)


def _silence(limb: Limb) -> Verdict:
    return _SILENT[limb]


_SILENT = {limb: Verdict(Decision.IMPLICIT_DENY, limb=limb) for limb in Limb}
