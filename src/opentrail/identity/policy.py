"""Reading policy documents: resource-based, identity, session and trust policies, one grammar with rules for each.

Rules (IAM's policy grammar). What the grammar does not know is refused when the policy is read, so that a stored policy
means what it says. Identity policies name no principal, trust policies no resource. Refusals are ValueErrors; for
identity and trust policies their texts are AWS's own reasons of MalformedPolicyDocument. Documents are compiled once:
the same text gives the same ``Policy``. How long a document may be is for the caller to hold to: see the ``MAX_``
constants and ``size_chars``.
"""

import json
import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, NoReturn

from opentrail.identity.conditions import parse_conditions
from opentrail.identity.patterns import compile_patterns
from opentrail.identity.policy_principals import read_principals, strings
from opentrail.identity.policy_wording import (
    AwsReason,
    check_identity_action,
    check_identity_resource,
    check_no_principal,
    check_sids,
    check_trust_action,
)
from opentrail.identity.statements import (
    AccessRequest,
    Decision,
    Finding,
    Named,
    Policy,
    Statement,
    evaluate,
    judge,
)

__all__ = [
    "MAX_BYTES",
    "MAX_INLINE_GROUP_CHARS",
    "MAX_INLINE_ROLE_CHARS",
    "MAX_INLINE_USER_CHARS",
    "MAX_MANAGED_CHARS",
    "MAX_TRUST_CHARS",
    "AccessRequest",
    "Decision",
    "Finding",
    "Named",
    "Policy",
    "evaluate",
    "judge",
    "load",
    "parse",
    "parse_identity",
    "parse_session",
    "parse_trust",
    "size_chars",
]

MAX_BYTES = 20 * 1024
"""The limit of a bucket policy."""
# IAM's quotas, in characters without white space ("IAM and AWS STS quotas").
MAX_MANAGED_CHARS = 6144
MAX_INLINE_USER_CHARS = 2048
MAX_INLINE_GROUP_CHARS = 5120
MAX_INLINE_ROLE_CHARS = 10240
MAX_TRUST_CHARS = 2048

_VERSIONS = ("2012-10-17", "2008-10-17")
_MEMBERS = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


class _Kind(Enum):
    RESOURCE = "resource"
    IDENTITY = "identity"
    SESSION = "session"
    TRUST = "trust"


def parse(text: str | bytes, *, max_bytes: int = MAX_BYTES) -> Policy:
    """Read a resource-based policy document. Raises ValueError with the reason it is refused."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > max_bytes:
        raise ValueError(f"the policy is larger than {max_bytes} bytes")
    return _policy(load(raw), _Kind.RESOURCE)


@lru_cache(maxsize=512)
def parse_identity(text: str) -> Policy:
    """Read an identity policy (managed or inline). Raises ValueError with AWS's reason."""
    return _own(text, _Kind.IDENTITY)


@lru_cache(maxsize=512)
def parse_session(text: str) -> Policy:
    """Read a session policy: an identity policy that may leave its version out. Raises ValueError with AWS's reason."""
    return _own(text, _Kind.SESSION)


@lru_cache(maxsize=512)
def parse_trust(text: str) -> Policy:
    """Read a role's trust policy. Raises ValueError with AWS's reason."""
    try:
        document = load(text.encode("utf-8", "surrogatepass"))
    except ValueError as problem:
        raise AwsReason("This policy contains invalid Json") from problem
    return _policy(document, _Kind.TRUST)


def size_chars(text: str) -> int:
    """A document's length as IAM's quotas count it: without white space."""
    return len("".join(text.split()))


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


def _own(text: str, kind: _Kind) -> Policy:
    """An identity or session policy; whatever has no reason of its own is a syntax error in AWS's words."""
    try:
        return _policy(load(text.encode("utf-8", "surrogatepass")), kind)
    except AwsReason:
        raise
    except ValueError as problem:
        raise AwsReason("Syntax errors in policy.") from problem


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the policy has an object with the same member twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _policy(document: Mapping[str, Any], kind: _Kind) -> Policy:
    for name in document.keys() - {"Version", "Id", "Statement"}:
        raise ValueError(f"unknown policy element {name[:60]!r}")
    version = document.get("Version", "2008-10-17")
    if version not in _VERSIONS:
        raise ValueError("the policy must contain a valid version string")
    if not isinstance(document.get("Id", ""), str):
        raise ValueError("Id must be a string")  # noqa: TRY004 - one family of error for a policy
    statements = document.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise ValueError("the policy must hold at least one statement")
    variables = version == "2012-10-17"
    made = tuple(_statement(raw, index, kind, variables=variables) for index, raw in enumerate(statements))
    if kind in (_Kind.IDENTITY, _Kind.SESSION):
        check_sids([raw["Sid"] for raw in statements if raw.get("Sid")])
    if kind is _Kind.IDENTITY and version != "2012-10-17":
        raise AwsReason("Policy document must be version 2012-10-17 or greater.")
    return Policy(made)


def _statement(raw: Any, index: int, kind: _Kind, *, variables: bool) -> Statement:
    if not isinstance(raw, Mapping):
        raise ValueError("a statement must be an object")  # noqa: TRY004 - one family of error for a policy
    for name in raw.keys() - _MEMBERS:
        raise ValueError(f"unknown statement element {name[:60]!r}")
    effect = raw.get("Effect")
    if effect not in ("Allow", "Deny"):
        if kind is _Kind.TRUST and effect is None:
            raise AwsReason("Missing required field Effect")
        raise ValueError("Effect must be Allow or Deny")
    if not isinstance(raw.get("Sid", ""), str):
        raise ValueError("Sid must be a string")  # noqa: TRY004 - one family of error for a policy
    if kind in (_Kind.IDENTITY, _Kind.SESSION):
        check_no_principal(raw)
    actions, not_actions = _actions(raw, kind)
    resources, not_resources = _resources(raw, kind)
    return Statement(
        label=raw.get("Sid") or f"Statement[{index}]",
        allows=effect == "Allow",
        principals=None if kind in (_Kind.IDENTITY, _Kind.SESSION) else read_principals(raw, trust=kind is _Kind.TRUST),
        actions=compile_patterns(actions, variables=False, ignore_case=True),
        not_actions=not_actions,
        resources=compile_patterns(resources, variables=variables) if resources else None,
        not_resources=not_resources,
        conditions=parse_conditions(raw.get("Condition", {}), variables=variables),
    )


def _actions(raw: Mapping[str, Any], kind: _Kind) -> tuple[list[str], bool]:
    if kind is not _Kind.RESOURCE and not (raw.get("Action") or raw.get("NotAction")):
        trust = kind is _Kind.TRUST
        raise AwsReason("Missing required field Action" if trust else "Policy statement must contain actions.")
    actions, inverted = _either(raw, "Action")
    for action in actions:
        if kind is _Kind.TRUST:
            check_trust_action(action)
        elif kind is not _Kind.RESOURCE:
            check_identity_action(action)
        if action != "*" and not re.fullmatch(r"(?:[A-Za-z0-9.-]+|\*):[A-Za-z0-9*?]+", action):
            raise ValueError("the policy has an invalid action")
    return actions, inverted


def _resources(raw: Mapping[str, Any], kind: _Kind) -> tuple[list[str], bool]:
    if kind is _Kind.TRUST:
        for name in ("Resource", "NotResource"):
            if name in raw:
                raise AwsReason(f"Has prohibited field {name}")
        return [], False
    if kind is not _Kind.RESOURCE and not (raw.get("Resource") or raw.get("NotResource")):
        raise AwsReason("Policy statement must contain resources.")
    resources, inverted = _either(raw, "Resource")
    if kind is not _Kind.RESOURCE:
        for resource in resources:
            check_identity_resource(resource)
    return resources, inverted


def _either(raw: Mapping[str, Any], name: str) -> tuple[list[str], bool]:
    if (name in raw) == (f"Not{name}" in raw):
        raise ValueError(f"a statement needs either {name} or Not{name}")
    inverted = name not in raw
    return strings(raw[f"Not{name}" if inverted else name], name), inverted
