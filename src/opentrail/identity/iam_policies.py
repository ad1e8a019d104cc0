"""Managed and inline policies as rows, and to whom managed ones are attached.

A managed policy is the account's own or one of AWS's (``iam_managed``), which exist in every account and in no table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from opentrail.identity.iam_entities import Entity, entity_of
from opentrail.identity.iam_managed import BUILT_IN, PUBLISHED_AT
from opentrail.identity.iam_tables import Row, attachments, entities, inline_policies, policies, versions

AWS = "aws"
"""What stands in place of the account id of AWS's own policies."""


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """One managed policy, without its text."""

    policy_id: str
    account_id: str
    name: str
    path: str
    description: str
    default_version: int
    last_version: int
    created_at: datetime
    updated_at: datetime

    @property
    def arn(self) -> str:
        """``arn:aws:iam::123456789012:policy/path/name``, with ``aws`` for the account of AWS's own."""
        return f"arn:aws:iam::{self.account_id}:policy{self.path}{self.name}"

    @property
    def is_aws(self) -> bool:
        """Whether it is one of AWS's, which nobody can change."""
        return self.account_id == AWS


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a managed policy."""

    version: int
    text: str
    created_at: datetime

    @property
    def version_id(self) -> str:
        """``v3``."""
        return f"v{self.version}"


AWS_POLICIES: Mapping[str, ManagedPolicy] = {
    arn: ManagedPolicy(made.policy_id, AWS, made.name, made.path, made.description, 1, 1, PUBLISHED_AT, PUBLISHED_AT)
    for arn, made in BUILT_IN.items()
}


def find_policy(connection: sa.Connection, account_id: str, arn: str) -> ManagedPolicy | None:
    """A policy that an account can use: its own of that ARN, or AWS's."""
    if arn in AWS_POLICIES:
        return AWS_POLICIES[arn]
    query = sa.select(policies).where(policies.c.account_id == account_id, policies.c.name == arn.rpartition("/")[2])
    row = connection.execute(query).mappings().first()
    found = None if row is None else policy_of(row)
    return found if found is not None and found.arn == arn else None


def own_policies(connection: sa.Connection, account_id: str) -> list[ManagedPolicy]:
    """The account's own managed policies, in order of name."""
    query = sa.select(policies).where(policies.c.account_id == account_id).order_by(policies.c.name)
    return [policy_of(row) for row in connection.execute(query).mappings()]


def is_policy_name_taken(connection: sa.Connection, account_id: str, name: str) -> bool:
    """Whether a policy of the account has that name, on any path and in any case."""
    here = sa.and_(policies.c.account_id == account_id, sa.func.lower(policies.c.name) == name.lower())
    return connection.execute(sa.select(policies.c.policy_id).where(here)).first() is not None


def insert_policy(connection: sa.Connection, policy: ManagedPolicy) -> None:
    """Store a new policy; its first version is added on its own."""
    row = {name: getattr(policy, name) for name in policy.__slots__}
    row |= {"created_at": policy.created_at.timestamp(), "updated_at": policy.updated_at.timestamp()}
    connection.execute(sa.insert(policies).values(row))


def change_policy(connection: sa.Connection, policy: ManagedPolicy, **values: Any) -> None:
    """Give columns of a policy new values."""
    connection.execute(sa.update(policies).where(policies.c.policy_id == policy.policy_id).values(values))


def remove_policy(connection: sa.Connection, policy: ManagedPolicy) -> None:
    """Take a policy and its versions away."""
    connection.execute(sa.delete(versions).where(versions.c.policy_id == policy.policy_id))
    connection.execute(sa.delete(policies).where(policies.c.policy_id == policy.policy_id))


def versions_of(connection: sa.Connection, policy: ManagedPolicy) -> list[PolicyVersion]:
    """A policy's versions, the newest first."""
    if policy.is_aws:
        return [PolicyVersion(1, BUILT_IN[policy.arn].text, PUBLISHED_AT)]
    query = sa.select(versions).where(versions.c.policy_id == policy.policy_id).order_by(versions.c.version.desc())
    return [PolicyVersion(row.version, row.text, _instant(row.created_at)) for row in connection.execute(query)]


def add_version(connection: sa.Connection, policy: ManagedPolicy, version: PolicyVersion) -> None:
    """Store a version."""
    row = {"policy_id": policy.policy_id, "version": version.version, "account_id": policy.account_id}
    made = version.created_at.timestamp()
    connection.execute(sa.insert(versions).values(text=version.text, created_at=made, **row))


def remove_version(connection: sa.Connection, policy: ManagedPolicy, version: int) -> None:
    """Take a version away."""
    here = sa.and_(versions.c.policy_id == policy.policy_id, versions.c.version == version)
    connection.execute(sa.delete(versions).where(here))


def attached_to(connection: sa.Connection, owner_id: str) -> list[str]:
    """The ARNs of the managed policies attached to an entity, in order."""
    query = sa.select(attachments.c.policy_arn).where(attachments.c.owner_id == owner_id)
    return list(connection.execute(query.order_by(attachments.c.policy_arn)).scalars())


def attach(connection: sa.Connection, entity: Entity, arn: str) -> None:
    """Attach a policy; nothing changes where it is attached already."""
    if arn not in attached_to(connection, entity.unique_id):
        row = {"owner_id": entity.unique_id, "policy_arn": arn, "account_id": entity.account_id}
        connection.execute(sa.insert(attachments).values(row))


def detach(connection: sa.Connection, entity: Entity, arn: str) -> bool:
    """Detach a policy; False where it was not attached."""
    here = sa.and_(attachments.c.owner_id == entity.unique_id, attachments.c.policy_arn == arn)
    return bool(connection.execute(sa.delete(attachments).where(here)).rowcount)


def users_of_policy(connection: sa.Connection, account_id: str, arn: str) -> list[Entity]:
    """The account's users, groups and roles that a policy is attached to, in order of name."""
    joined = sa.select(entities).join(attachments, attachments.c.owner_id == entities.c.unique_id)
    query = joined.where(attachments.c.policy_arn == arn, attachments.c.account_id == account_id)
    return [entity_of(row) for row in connection.execute(query.order_by(entities.c.name)).mappings()]


def bounded_by(connection: sa.Connection, account_id: str, arn: str) -> list[Entity]:
    """The account's users and roles whose permissions boundary a policy is, in order of name."""
    query = sa.select(entities).where(entities.c.account_id == account_id, entities.c.boundary_arn == arn)
    return [entity_of(row) for row in connection.execute(query.order_by(entities.c.name)).mappings()]


def usage(connection: sa.Connection, account_id: str) -> tuple[dict[str, int], dict[str, int]]:
    """How often each policy is attached, and how often it is a boundary, by ARN."""
    attached = sa.select(attachments.c.policy_arn, sa.func.count()).where(attachments.c.account_id == account_id)
    boundary = sa.select(entities.c.boundary_arn, sa.func.count()).where(
        entities.c.account_id == account_id, entities.c.boundary_arn.is_not(None)
    )
    counts = []
    for query, column in ((attached, attachments.c.policy_arn), (boundary, entities.c.boundary_arn)):
        counts.append({arn: int(number) for arn, number in connection.execute(query.group_by(column))})
    return counts[0], counts[1]


def inline_of(connection: sa.Connection, owner_id: str) -> dict[str, str]:
    """An entity's inline policies: name and text, in order of name."""
    query = sa.select(inline_policies.c.name, inline_policies.c.text).where(inline_policies.c.owner_id == owner_id)
    return {row.name: row.text for row in connection.execute(query.order_by(inline_policies.c.name))}


def put_inline(connection: sa.Connection, entity: Entity, name: str, text: str) -> None:
    """Add an inline policy, or replace the one of that name."""
    remove_inline(connection, entity, name)
    row = {"owner_id": entity.unique_id, "name": name, "account_id": entity.account_id, "text": text}
    connection.execute(sa.insert(inline_policies).values(row))


def remove_inline(connection: sa.Connection, entity: Entity, name: str) -> bool:
    """Take an inline policy away; False where there is none of that name."""
    here = sa.and_(inline_policies.c.owner_id == entity.unique_id, inline_policies.c.name == name)
    return bool(connection.execute(sa.delete(inline_policies).where(here)).rowcount)


def policy_of(row: Row) -> ManagedPolicy:
    """A policy from its row."""
    values = {name: row[name] for name in ManagedPolicy.__slots__}
    values |= {name: _instant(row[name]) for name in ("created_at", "updated_at")}
    return ManagedPolicy(**values)


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
