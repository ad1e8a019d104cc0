"""Resource-based policies: read one, and decide what it says about a request.

Rules (IAM's policy grammar and evaluation logic). An explicit Deny beats every Allow; silence is an implicit deny. What
the grammar does not know is refused when the policy is read, so that a stored policy means what it says. A grant to a
whole account (``123456789012`` or its root's ARN) delegates: it reaches that account's root and administrators, not
users to whom nobody in the account has given anything. A deny to a whole account reaches everybody in it.
Identity policies come later as a second kind of document for the same ``evaluate``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from opentrail.identity.conditions import Condition, parse_conditions
from opentrail.identity.patterns import Pattern, compile_pattern
from opentrail.identity.principal import Principal, PrincipalType

MAX_BYTES = 20 * 1024  # the limit of a bucket policy
_PRINCIPAL_ARN = re.compile(r"arn:aws[a-z-]*:(iam|sts)::(\d{12}):(root|user/.+|role/.+|assumed-role/[^/]+/[^/]+)")
_ACCOUNT = re.compile(r"\d{12}")
_VERSIONS = ("2012-10-17", "2008-10-17")
_STATEMENT_MEMBERS = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"),
}


class Decision(StrEnum):
    """What a policy says about one request."""

    ALLOW = "Allow"
    EXPLICIT_DENY = "ExplicitDeny"
    IMPLICIT_DENY = "ImplicitDeny"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Who wants to do what to which resource. Context keys are lower case (``aws:sourcearn``, ``s3:prefix``)."""

    principal: Principal
    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Principals:
    """The ``Principal`` or ``NotPrincipal`` of a statement."""

    everyone: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    services: frozenset[str]
    inverted: bool

    def match(self, principal: Principal, *, grants: bool) -> bool:
        """Whether the statement is about this principal; ``grants`` says whether it is an Allow."""
        return self._names(principal, grants=grants) is not self.inverted

    def _names(self, principal: Principal, *, grants: bool) -> bool:
        if self.everyone:
            return True
        if principal.type is PrincipalType.AWS_SERVICE:
            return principal.service in self.services or "*" in self.services
        if principal.account_id and principal.account_id in self.accounts:
            return self.inverted or not grants or speaks_for_account(principal)
        return bool(self.arns & _arns_of(principal))


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, compiled."""

    allows: bool
    principals: Principals
    actions: tuple[Pattern, ...]
    not_actions: bool
    resources: tuple[Pattern, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]

    def applies(self, request: AccessRequest) -> bool:
        """Whether every element of the statement matches the request."""
        context = request.context
        return (
            self.principals.match(request.principal, grants=self.allows)
            and any(pattern.matches(request.action, context) for pattern in self.actions) is not self.not_actions
            and any(pattern.matches(request.resource, context) for pattern in self.resources) is not self.not_resources
            and all(condition.holds(context) for condition in self.conditions)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was read without complaint."""

    statements: tuple[Statement, ...]

    def resource_texts(self) -> Iterator[str]:
        """Every Resource and NotResource as it is written."""
        return (pattern.text for statement in self.statements for pattern in statement.resources)

    @property
    def is_public(self) -> bool:
        """Whether some statement allows everybody something without any condition."""
        return any(
            statement.allows
            and not statement.conditions
            and statement.principals.everyone is not statement.principals.inverted
            for statement in self.statements
        )


def speaks_for_account(principal: Principal) -> bool:
    """Whether a principal holds every permission inside its own account (root and administrators)."""
    return principal.type is PrincipalType.ROOT or principal.admin


def principal_context(principal: Principal) -> dict[str, tuple[str, ...]]:
    """The context keys that follow from who calls (IAM's global condition keys)."""
    session = principal.session
    issuer = session.issuer if session else None
    values = {
        "aws:principalaccount": principal.account_id,
        "aws:principalarn": (issuer.arn if issuer and issuer.type == "Role" else principal.arn),
        "aws:userid": principal.principal_id,
        "aws:username": principal.user_name if principal.type is PrincipalType.IAM_USER else "",
        "aws:principaltype": "Anonymous" if principal.is_anonymous else _PRINCIPAL_TYPES.get(principal.type, ""),
        "aws:principalservicename": principal.service,
        "aws:principalisawsservice": "true" if principal.type is PrincipalType.AWS_SERVICE else "false",
    }
    return {key: (value,) for key, value in values.items() if value}


def evaluate(policy: Policy, request: AccessRequest) -> Decision:
    """What the policy says about the request."""
    decision = Decision.IMPLICIT_DENY
    for statement in policy.statements:
        if (statement.allows and decision is Decision.ALLOW) or not statement.applies(request):
            continue
        if not statement.allows:
            return Decision.EXPLICIT_DENY
        decision = Decision.ALLOW
    return decision


def parse(text: str | bytes) -> Policy:
    """Read a resource-based policy document of at most 20 KB. Raises ValueError with the reason it is refused."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise ValueError(f"the policy is larger than {MAX_BYTES} bytes")
    document = load(raw)
    for name in document.keys() - {"Version", "Id", "Statement"}:
        raise ValueError(f"unknown policy element {name[:60]!r}")
    version = document.get("Version", "2008-10-17")
    if version not in _VERSIONS:
        raise ValueError("the policy must contain a valid version string")
    statements = document.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise ValueError("the policy must hold at least one statement")
    return Policy(tuple(_statement(statement, variables=version == "2012-10-17") for statement in statements))


def load(raw: bytes) -> dict[str, Any]:
    """A policy's JSON object. A member given twice is refused: readers disagree on which one counts.

    Raises ValueError where the bytes are no such object.
    """
    try:
        document = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("the policy is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("the policy is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the policy is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("the policy must be a JSON object")  # noqa: TRY004 - one family of error for a policy
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the policy has an object with the same member twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _statement(raw: Any, *, variables: bool) -> Statement:
    if not isinstance(raw, Mapping):
        raise ValueError("a statement must be an object")  # noqa: TRY004 - one family of error for a policy
    for name in raw.keys() - _STATEMENT_MEMBERS:
        raise ValueError(f"unknown statement element {name[:60]!r}")
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise ValueError("Effect must be Allow or Deny")
    if not isinstance(raw.get("Sid", ""), str):
        raise ValueError("Sid must be a string")  # noqa: TRY004 - one family of error for a policy
    actions, not_actions = _either(raw, "Action")
    resources, not_resources = _either(raw, "Resource")
    if any(action != "*" and not re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+", action) for action in actions):
        raise ValueError("the policy has an invalid action")
    return Statement(
        allows=raw["Effect"] == "Allow",
        principals=_principals(raw),
        actions=tuple(compile_pattern(action, variables=False, ignore_case=True) for action in actions),
        not_actions=not_actions,
        resources=tuple(compile_pattern(resource, variables=variables) for resource in resources),
        not_resources=not_resources,
        conditions=parse_conditions(raw.get("Condition", {}), variables=variables),
    )


def _either(raw: Mapping[str, Any], name: str) -> tuple[list[str], bool]:
    if (name in raw) == (f"Not{name}" in raw):
        raise ValueError(f"a statement needs either {name} or Not{name}")
    inverted = name not in raw
    return _strings(raw[f"Not{name}" if inverted else name], name), inverted


def _strings(value: Any, name: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) and item for item in values):
        raise ValueError(f"{name} must be a string or a list of strings")
    return values


def _principals(raw: Mapping[str, Any]) -> Principals:
    if ("Principal" in raw) == ("NotPrincipal" in raw):
        raise ValueError("a statement of a resource-based policy needs either Principal or NotPrincipal")
    inverted = "NotPrincipal" in raw
    named = raw["NotPrincipal" if inverted else "Principal"]
    if named == "*":
        return Principals(True, frozenset(), frozenset(), frozenset(), inverted)
    if not isinstance(named, Mapping) or not named:
        raise ValueError('Principal must be "*" or an object')
    for kind in named.keys() - {"AWS", "Service"}:
        raise ValueError(f"principals of kind {kind[:60]!r} are not supported")
    aws = _strings(named["AWS"], "Principal") if "AWS" in named else []
    services = _strings(named["Service"], "Principal") if "Service" in named else []
    accounts, arns = set[str](), set[str]()
    for text in aws:
        if _ACCOUNT.fullmatch(text):
            accounts.add(text)
        elif found := _PRINCIPAL_ARN.fullmatch(text):
            (accounts if found[3] == "root" else arns).add(found[2] if found[3] == "root" else text)
        elif text != "*":
            raise ValueError(f"invalid principal in policy: {text[:200]!r}")
    return Principals("*" in aws, frozenset(accounts), frozenset(arns), frozenset(services), inverted)


def _arns_of(principal: Principal) -> set[str]:
    issuer = principal.session.issuer if principal.session else None
    return {arn for arn in (principal.arn, issuer.arn if issuer else "") if arn}


_PRINCIPAL_TYPES = {
    PrincipalType.ROOT: "Account",
    PrincipalType.IAM_USER: "User",
    PrincipalType.ASSUMED_ROLE: "AssumedRole",
}
