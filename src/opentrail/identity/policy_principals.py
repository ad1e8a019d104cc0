"""The ``Principal`` element of resource-based and trust policies: who may be named, and how.

Rules. Resource-based policies name accounts, users, roles, sessions and services; trust policies identity providers
too. A pattern in an ARN is refused, as on AWS: only ``*`` alone means everybody.
"""

import re
from collections.abc import Mapping
from typing import Any

from opentrail.identity.policy_wording import AwsReason
from opentrail.identity.statements import Principals

_PRINCIPAL_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam::(?P<account>\d{12}):(?:(?P<root>root)|(?:user|role)/[^*?]+)"
    r"|sts::\d{12}:(?:assumed-role/[^/*?]+/[^/*?]+|federated-user/[^*?]+))"
)
_ACCOUNT = re.compile(r"\d{12}")
_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(?:oidc-provider|saml-provider)/[^*?]+|[a-z0-9.-]+\.[a-z]{2,}")


def read_principals(raw: Mapping[str, Any], *, trust: bool) -> Principals:
    """Whom a statement names. ``trust``: it is one of a trust policy. Raises ValueError."""
    if trust:
        if "NotPrincipal" in raw:
            raise AwsReason("Has prohibited field NotPrincipal")
        if "Principal" not in raw:
            raise AwsReason("Missing required field Principal")
    elif ("Principal" in raw) == ("NotPrincipal" in raw):
        raise ValueError("a statement of a resource-based policy needs either Principal or NotPrincipal")
    inverted = "NotPrincipal" in raw
    named = raw["NotPrincipal" if inverted else "Principal"]
    if named == "*":
        return Principals(everyone=True, inverted=inverted)
    if not isinstance(named, Mapping) or not named:
        raise ValueError('Principal must be "*" or an object')
    return _named(named, trust=trust, inverted=inverted)


def strings(value: Any, name: str) -> list[str]:
    """The texts of an element that is one string or a list of them. Raises ValueError, naming it, for anything else."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) and item for item in values):
        raise ValueError(f"{name} must be a string or a list of strings")
    return values


def _named(named: Mapping[str, Any], *, trust: bool, inverted: bool) -> Principals:
    known = {"AWS", "Service"} | ({"Federated"} if trust else set())
    for member in named.keys() - known:
        raise ValueError(f"principals of kind {member[:60]!r} are not supported")
    by_kind = {member: strings(named[member], "Principal") for member in named}
    accounts, arns = set[str](), set[str]()
    for text in by_kind.get("AWS", []):
        found = _PRINCIPAL_ARN.fullmatch(text)
        if _ACCOUNT.fullmatch(text):
            accounts.add(text)
        elif found and found["root"]:
            accounts.add(found["account"])
        elif found:
            arns.add(text)
        elif text != "*":
            raise ValueError(_invalid_principal("AWS", text, trust=trust))
    federated = by_kind.get("Federated", [])
    for text in federated:
        if not _PROVIDER.fullmatch(text):
            raise ValueError(_invalid_principal("Federated", text, trust=trust))
    return Principals(
        everyone="*" in by_kind.get("AWS", []),
        accounts=frozenset(accounts),
        arns=frozenset(arns),
        services=frozenset(by_kind.get("Service", [])),
        federated=frozenset(federated),
        inverted=inverted,
    )


def _invalid_principal(member: str, text: str, *, trust: bool) -> str:
    if trust:
        return f'Invalid principal in policy: "{member}":"{text[:200]}"'
    return f"invalid principal in policy: {text[:200]!r}"
