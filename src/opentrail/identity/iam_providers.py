"""Identity providers, account aliases, instance profiles and access keys as rows."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from opentrail.identity.iam_entities import Entity
from opentrail.identity.iam_snapshot import profile_arn
from opentrail.identity.iam_tables import Row, access_keys, aliases, oidc_providers, profiles, saml_providers


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """One instance profile, with the unique id of the role in it."""

    profile_id: str
    account_id: str
    name: str
    path: str
    role_id: str | None
    created_at: datetime

    @property
    def arn(self) -> str:
        """``arn:aws:iam::123456789012:instance-profile/path/name``."""
        return profile_arn({"account_id": self.account_id, "path": self.path, "name": self.name})


def find_provider(connection: sa.Connection, table: sa.Table, account_id: str, arn: str) -> Row | None:
    """An account's row of ``oidc_providers`` or ``saml_providers``."""
    query = sa.select(table).where(table.c.arn == arn, table.c.account_id == account_id)
    return connection.execute(query).mappings().first()


def providers(connection: sa.Connection, table: sa.Table, account_id: str) -> list[Row]:
    """An account's rows of ``oidc_providers`` or ``saml_providers``, in order of ARN."""
    query = sa.select(table).where(table.c.account_id == account_id).order_by(table.c.arn)
    return list(connection.execute(query).mappings())


def insert_provider(connection: sa.Connection, table: sa.Table, row: Row) -> None:
    """Store a new provider."""
    connection.execute(sa.insert(table).values(dict(row)))


def change_provider(connection: sa.Connection, table: sa.Table, arn: str, **values: Any) -> None:
    """Give columns of a provider new values."""
    connection.execute(sa.update(table).where(table.c.arn == arn).values(values))


def remove_provider(connection: sa.Connection, table: sa.Table, arn: str) -> None:
    """Take a provider away."""
    connection.execute(sa.delete(table).where(table.c.arn == arn))


def alias_of(connection: sa.Connection, account_id: str) -> str | None:
    """The account's alias."""
    return connection.execute(sa.select(aliases.c.alias).where(aliases.c.account_id == account_id)).scalar()


def is_alias_taken(connection: sa.Connection, alias: str) -> bool:
    """Whether any account has the alias."""
    return connection.execute(sa.select(aliases.c.alias).where(aliases.c.alias == alias)).first() is not None


def set_alias(connection: sa.Connection, account_id: str, alias: str | None) -> None:
    """Give the account an alias instead of the one it has, or none."""
    connection.execute(sa.delete(aliases).where(aliases.c.account_id == account_id))
    if alias is not None:
        connection.execute(sa.insert(aliases).values(account_id=account_id, alias=alias))


def profiles_of(connection: sa.Connection, account_id: str) -> list[InstanceProfile]:
    """The account's instance profiles, in order of name."""
    query = sa.select(profiles).where(profiles.c.account_id == account_id).order_by(profiles.c.name)
    return [_profile(row) for row in connection.execute(query).mappings()]


def insert_profile(connection: sa.Connection, profile: InstanceProfile) -> None:
    """Store a new instance profile."""
    row = {name: getattr(profile, name) for name in profile.__slots__}
    connection.execute(sa.insert(profiles).values(row | {"created_at": profile.created_at.timestamp()}))


def set_profile_role(connection: sa.Connection, profile: InstanceProfile, role: Entity | None) -> None:
    """Put a role into a profile, or take it out."""
    here = profiles.c.profile_id == profile.profile_id
    connection.execute(sa.update(profiles).where(here).values(role_id=role.unique_id if role else None))


def remove_profile(connection: sa.Connection, profile: InstanceProfile) -> None:
    """Take a profile away."""
    connection.execute(sa.delete(profiles).where(profiles.c.profile_id == profile.profile_id))


def keys_of(connection: sa.Connection, owner_id: str) -> list[Row]:
    """The access keys of a user (unique id) or root (account id), in order of their making."""
    query = sa.select(access_keys).where(access_keys.c.owner_id == owner_id)
    return list(connection.execute(query.order_by(access_keys.c.created_at)).mappings())


def find_key(connection: sa.Connection, account_id: str, access_key_id: str) -> Row | None:
    """An account's access key."""
    here = sa.and_(access_keys.c.access_key_id == access_key_id, access_keys.c.account_id == account_id)
    return connection.execute(sa.select(access_keys).where(here)).mappings().first()


def set_key_status(connection: sa.Connection, access_key_id: str, status: str) -> None:
    """``Active`` or ``Inactive``."""
    here = access_keys.c.access_key_id == access_key_id
    connection.execute(sa.update(access_keys).where(here).values(status=status))


def remove_key(connection: sa.Connection, access_key_id: str) -> None:
    """Take an access key away."""
    connection.execute(sa.delete(access_keys).where(access_keys.c.access_key_id == access_key_id))


def counts(connection: sa.Connection, account_id: str) -> dict[str, int]:
    """How many providers and instance profiles an account has, by table name."""
    tables = (oidc_providers, saml_providers, profiles)
    queries = {table.name: sa.select(sa.func.count()).where(table.c.account_id == account_id) for table in tables}
    return {name: int(connection.execute(query).scalar_one()) for name, query in queries.items()}


def instant(at: float) -> datetime:
    """A stored time."""
    return datetime.fromtimestamp(at, UTC)


def _profile(row: Row) -> InstanceProfile:
    values = {name: row[name] for name in InstanceProfile.__slots__}
    return InstanceProfile(**(values | {"created_at": instant(row["created_at"])}))
