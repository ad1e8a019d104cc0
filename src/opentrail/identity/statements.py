"""Compiled policy statements, and what one policy says about one request.

Rules (IAM's grammar and evaluation logic). An explicit Deny beats every Allow; silence is an implicit deny. A
statement of a resource-based or trust policy also says whom it is about, and how exactly it names him decides what an
Allow is worth: naming an account only delegates to that account's identity policies, naming a role leaves its sessions
inside their boundaries, naming the caller himself grants by itself. A Deny works however it names him.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from opentrail.identity.conditions import Condition
from opentrail.identity.patterns import Context, PatternSet
from opentrail.identity.principal import Principal, PrincipalType

ACTIONS_REMEMBERED = 256
"""How many actions each policy remembers its statements for."""

FEDERATED_TYPES = frozenset({PrincipalType.SAML_USER, PrincipalType.WEB_IDENTITY_USER})


class Decision(StrEnum):
    """What a policy says about one request."""

    ALLOW = "Allow"
    EXPLICIT_DENY = "ExplicitDeny"
    IMPLICIT_DENY = "ImplicitDeny"


class Named(IntEnum):
    """How exactly a statement names a caller: not at all, by his account, by the role or user behind his session, or
    himself (his ARN, everybody, or a policy that is his own).
    """

    NOT = 0
    ACCOUNT = 1
    ISSUER = 2
    DIRECTLY = 3


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Who wants to do what to which resource. Context keys are lower case (``aws:sourcearn``, ``s3:prefix``)."""

    principal: Principal
    action: str
    resource: str
    context: Context


@dataclass(frozen=True, slots=True)
class Principals:
    """The ``Principal`` or ``NotPrincipal`` of a statement."""

    everyone: bool = False
    accounts: frozenset[str] = frozenset()
    arns: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    federated: frozenset[str] = frozenset()
    inverted: bool = False

    def names(self, principal: Principal) -> Named:
        """How exactly the element means this principal."""
        named = self._named(principal)
        if self.inverted:
            return Named.DIRECTLY if named is Named.NOT else Named.NOT
        return named

    def _named(self, principal: Principal) -> Named:
        if principal.type in FEDERATED_TYPES:
            return self._named_provider(principal)
        if self.everyone:
            return Named.DIRECTLY
        if principal.type is PrincipalType.AWS_SERVICE:
            return Named.DIRECTLY if principal.service in self.services or "*" in self.services else Named.NOT
        if principal.arn and principal.arn in self.arns:
            return Named.DIRECTLY
        issuer = principal.session.issuer if principal.session else None
        if issuer is not None and issuer.arn in self.arns:
            return Named.ISSUER
        if principal.account_id and principal.account_id in self.accounts:
            return Named.DIRECTLY if principal.type is PrincipalType.ROOT else Named.ACCOUNT
        return Named.NOT

    def _named_provider(self, principal: Principal) -> Named:
        """Somebody who brings an identity provider's word and no credentials: the provider must be named.

        Everybody (``*``) is too little for an Allow, but enough for a Deny.
        """
        if principal.identity_provider and principal.identity_provider in self.federated:
            return Named.DIRECTLY
        return Named.ACCOUNT if self.everyone else Named.NOT


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, compiled. ``principals`` is None in identity policies, ``resources`` in trust policies."""

    label: str  # the Sid, or "Statement[2]" for the third one
    allows: bool
    principals: Principals | None
    actions: PatternSet
    not_actions: bool
    resources: PatternSet | None
    not_resources: bool
    conditions: tuple[Condition, ...]

    def names(self, request: AccessRequest, *, bounded: bool = False) -> Named:
        """How exactly the statement, whose actions match, is about the request; ``NOT`` where another element does not.

        ``bounded``: the caller has a permissions boundary; to him every Deny with NotPrincipal applies (IAM User Guide,
        "Permissions boundaries").
        """
        context, principals = request.context, self.principals
        named = Named.DIRECTLY
        if principals is not None and not (bounded and principals.inverted and not self.allows):
            named = principals.names(request.principal)
            if named is Named.NOT:
                return named
        if self.resources is not None and not self._is_about(self.resources, request.resource, context):
            return Named.NOT
        for condition in self.conditions:
            if not condition.holds(context):
                return Named.NOT
        return named

    def _is_about(self, resources: PatternSet, resource: str, context: Context) -> bool:
        found = resources.matches(resource, context)
        if not self.not_resources:
            return found
        # What a variable without a value excludes is not known: an Allow must not give it away.
        return not found and not (self.allows and not resources.is_resolvable(context))


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was read without complaint."""

    statements: tuple[Statement, ...]
    _by_action: dict[str, tuple[Statement, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def about(self, action: str) -> tuple[Statement, ...]:
        """The statements whose actions match. Remembered: actions are few, and no other element decides about them."""
        found = self._by_action.get(action)
        if found is None:
            found = tuple(
                statement
                for statement in self.statements
                if statement.actions.matches(action, {}) is not statement.not_actions
            )
            if len(self._by_action) >= ACTIONS_REMEMBERED:
                self._by_action.clear()
            self._by_action[action] = found
        return found

    def resource_texts(self) -> Iterator[str]:
        """Every Resource and NotResource as it is written."""
        return (text for statement in self.statements if statement.resources for text in statement.resources.texts)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one policy says: the decision, the statement that made it (None: silence), and how it names the caller."""

    decision: Decision
    statement: str | None = None
    named: Named = Named.NOT


SILENCE = Finding(Decision.IMPLICIT_DENY)


def judge(policy: Policy, request: AccessRequest, *, bounded: bool = False) -> Finding:
    """What a policy says: the first Deny that applies, or the Allow that names the caller most exactly, or silence."""
    best, best_named = None, Named.NOT
    for statement in policy.about(request.action):
        if statement.allows and best_named is Named.DIRECTLY:
            continue
        named = statement.names(request, bounded=bounded)
        if named is Named.NOT:
            continue
        if not statement.allows:
            return Finding(Decision.EXPLICIT_DENY, statement.label, named)
        if named > best_named:
            best, best_named = statement, named
    return SILENCE if best is None else Finding(Decision.ALLOW, best.label, best_named)


def evaluate(policy: Policy, request: AccessRequest) -> Decision:
    """What a resource-based policy says by itself: an Allow to a whole account delegates, and so is none here."""
    found = judge(policy, request)
    return Decision.IMPLICIT_DENY if found.named is Named.ACCOUNT and _allows(found) else found.decision


def _allows(found: Finding) -> bool:
    return found.decision is Decision.ALLOW
