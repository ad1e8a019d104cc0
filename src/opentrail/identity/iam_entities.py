"""Users, groups and roles as rows: find, list, add, change and remove them, and who is in which group.

Every function works inside the connection that it is given; what may be done is decided by the callers.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from opentrail.clock import Entropy
from opentrail.identity import unique_ids
from opentrail.identity.iam_tables import Row, entities, members


class Kind(StrEnum):
    """What an entity is."""

    USER = "user"
    GROUP = "group"
    ROLE = "role"


DEFAULT_MAX_SESSION_S = 3600
_PREFIXES = {Kind.USER: "AIDA", Kind.GROUP: "AGPA", Kind.ROLE: "AROA"}


@dataclass(frozen=True, slots=True)
class Entity:
    """One user, group or role. ``trust`` (policy text), ``description`` and the session length belong to roles."""

    unique_id: str
    account_id: str
    kind: Kind
    name: str
    path: str
    created_at: datetime
    boundary_arn: str | None = None
    trust: str | None = None
    description: str | None = None
    max_session_s: int | None = None
    last_used_at: datetime | None = None
    last_used_region: str | None = None

    @property
    def arn(self) -> str:
        """``arn:aws:iam::123456789012:user/path/name``."""
        return f"arn:aws:iam::{self.account_id}:{self.kind}{self.path}{self.name}"


def new_id(entropy: Entropy, prefix: str) -> str:
    """A unique id with the prefix of its kind (``AIDA``, ``AGPA``, ``AROA``, ``ANPA``, ``AIPA``), 21 characters."""
    return prefix + unique_ids.user_id(entropy)[4:]


def new_entity(entropy: Entropy, account_id: str, kind: Kind, name: str, at: datetime, **facts: Any) -> Entity:
    """An entity with a unique id of its own; ``facts`` are further fields. It is not stored yet."""
    path = facts.pop("path", None) or "/"
    return Entity(new_id(entropy, _PREFIXES[kind]), account_id, kind, name, path, at, **facts)


def find(connection: sa.Connection, account_id: str, kind: Kind, name: str) -> Entity | None:
    """The entity of that name; names keep their case."""
    query = sa.select(entities).where(
        entities.c.account_id == account_id, entities.c.kind == kind, entities.c.name == name
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else entity_of(row)


def find_by_id(connection: sa.Connection, unique_id: str) -> Entity | None:
    """The entity with that unique id."""
    row = connection.execute(sa.select(entities).where(entities.c.unique_id == unique_id)).mappings().first()
    return None if row is None else entity_of(row)


def is_taken(connection: sa.Connection, account_id: str, kind: Kind, name: str) -> bool:
    """Whether an entity has that name, in whatever case."""
    query = sa.select(entities.c.unique_id).where(
        entities.c.account_id == account_id, entities.c.kind == kind, sa.func.lower(entities.c.name) == name.lower()
    )
    return connection.execute(query).first() is not None


def listed(connection: sa.Connection, account_id: str, kind: Kind) -> list[Entity]:
    """Every entity of a kind, in order of name."""
    query = sa.select(entities).where(entities.c.account_id == account_id, entities.c.kind == kind)
    return [entity_of(row) for row in connection.execute(query.order_by(entities.c.name)).mappings()]


def count(connection: sa.Connection, account_id: str, kind: Kind) -> int:
    """How many there are of a kind."""
    query = sa.select(sa.func.count()).where(entities.c.account_id == account_id, entities.c.kind == kind)
    return int(connection.execute(query).scalar_one())


def insert(connection: sa.Connection, entity: Entity) -> None:
    """Store a new entity."""
    row = {name: getattr(entity, name) for name in entity.__slots__}
    row |= {"kind": entity.kind.value, "created_at": entity.created_at.timestamp()}
    row["last_used_at"] = entity.last_used_at.timestamp() if entity.last_used_at else None
    connection.execute(sa.insert(entities).values(row))


def change(connection: sa.Connection, entity: Entity, **values: Any) -> None:
    """Give columns of an entity new values."""
    connection.execute(sa.update(entities).where(entities.c.unique_id == entity.unique_id).values(values))


def remove(connection: sa.Connection, entity: Entity) -> None:
    """Take an entity's row away; what hangs on it is the caller's business."""
    connection.execute(sa.delete(entities).where(entities.c.unique_id == entity.unique_id))


def members_of(connection: sa.Connection, group: Entity) -> list[Entity]:
    """A group's users, in order of name."""
    joined = sa.select(entities).join(members, members.c.user_id == entities.c.unique_id)
    query = joined.where(members.c.group_id == group.unique_id).order_by(entities.c.name)
    return [entity_of(row) for row in connection.execute(query).mappings()]


def groups_of(connection: sa.Connection, user: Entity) -> list[Entity]:
    """A user's groups, in order of name."""
    joined = sa.select(entities).join(members, members.c.group_id == entities.c.unique_id)
    query = joined.where(members.c.user_id == user.unique_id).order_by(entities.c.name)
    return [entity_of(row) for row in connection.execute(query).mappings()]


def join(connection: sa.Connection, group: Entity, user: Entity) -> None:
    """Make a user a member of a group he is not in yet."""
    row = {"group_id": group.unique_id, "user_id": user.unique_id, "account_id": group.account_id}
    connection.execute(sa.insert(members).values(row))


def leave(connection: sa.Connection, group: Entity, user: Entity) -> bool:
    """End a membership; False where there was none."""
    here = sa.and_(members.c.group_id == group.unique_id, members.c.user_id == user.unique_id)
    return bool(connection.execute(sa.delete(members).where(here)).rowcount)


def entity_of(row: Row) -> Entity:
    """An entity from its row."""
    values = {name: row[name] for name in Entity.__slots__}
    used = values["last_used_at"]
    values |= {"kind": Kind(values["kind"]), "created_at": datetime.fromtimestamp(values["created_at"], UTC)}
    values["last_used_at"] = None if used is None else datetime.fromtimestamp(used, UTC)
    return Entity(**values)
