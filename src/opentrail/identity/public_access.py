"""Is a bucket policy public, and what does a bucket's public access block do about it? Pure.

Rules (Amazon S3 User Guide, "Blocking public access", "The meaning of public"). A policy is public unless each
statement that allows something names fixed principals, or is narrowed by a condition that a stranger cannot meet: one
of ``NARROWING`` with fixed values (no wildcard, no variable), or ``aws:SourceIp`` with networks that are not half the
world. A condition that holds where its key is absent narrows nothing. ACLs that would grant something are refused here
in any case, so the two settings about ACLs have nothing left to do.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

from opentrail.identity.conditions import Condition
from opentrail.identity.statements import Policy, Principals, Statement

NARROWING = frozenset(
    {
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
_SOURCE_IP = "aws:sourceip"
_BROADEST_PREFIX = {4: 8, 6: 32}


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """S3's four settings of a bucket."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """The settings with these names (``BlockPublicAcls``) on, the others off."""
        on = set(names)
        return cls(**{field.name: setting_name(field.name) in on for field in fields(cls)})

    def names(self) -> tuple[str, ...]:
        """S3's names of the settings that are on, in S3's order."""
        return tuple(setting_name(field.name) for field in fields(self) if getattr(self, field.name))


def setting_name(field_name: str) -> str:
    """S3's name of a setting (``BlockPublicAcls``)."""
    return "".join(word.capitalize() for word in field_name.split("_"))


SETTINGS = tuple(setting_name(field.name) for field in fields(PublicAccessBlock))
"""S3's names of all settings, in S3's order."""


def is_public(policy: Policy) -> bool:
    """Whether a bucket policy opens something to strangers."""
    return any(_is_public(statement) for statement in policy.statements)


def _is_public(statement: Statement) -> bool:
    principals = statement.principals
    if not statement.allows or principals is None or not _is_anybody(principals):
        return False
    return not any(_narrows(condition) for condition in statement.conditions)


def _is_anybody(principals: Principals) -> bool:
    if principals.inverted:
        return not principals.everyone
    return principals.everyone or "*" in principals.services


def _narrows(condition: Condition) -> bool:
    if condition.must_be_absent is not None or condition.negated or condition.if_exists:
        return False
    if condition.qualifier == "forallvalues":  # holds where the key is absent
        return False
    if condition.key == _SOURCE_IP:
        return all(_is_narrow(text) for text in condition.texts)
    return condition.key in NARROWING and not any(set(text) & set("*?$") for text in condition.texts)


def _is_narrow(text: str) -> bool:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _BROADEST_PREFIX[network.version]
