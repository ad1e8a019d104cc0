"""Tags of IAM's resources. Keys are told apart without regard to case, and keep the case they were given last."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from opentrail.identity.iam_tables import tags


def tags_of(connection: sa.Connection, owner_id: str) -> dict[str, str]:
    """A resource's tags, in order of key."""
    query = sa.select(tags.c.key, tags.c.value).where(tags.c.owner_id == owner_id).order_by(tags.c.key)
    return {row.key: row.value for row in connection.execute(query)}


def tags_by_owner(connection: sa.Connection, account_id: str) -> dict[str, dict[str, str]]:
    """Every tag of an account: owner, then key and value in order of key."""
    found: dict[str, dict[str, str]] = {}
    for row in connection.execute(sa.select(tags).where(tags.c.account_id == account_id).order_by(tags.c.key)):
        found.setdefault(row.owner_id, {})[row.key] = row.value
    return found


def put_tags(connection: sa.Connection, account_id: str, owner_id: str, added: Mapping[str, str]) -> None:
    """Add tags, or give existing ones new values."""
    remove_tags(connection, owner_id, added)
    for key, value in added.items():
        row = {"owner_id": owner_id, "folded_key": key.casefold(), "account_id": account_id, "key": key, "value": value}
        connection.execute(sa.insert(tags).values(row))


def remove_tags(connection: sa.Connection, owner_id: str, keys: Iterable[str]) -> None:
    """Take tags off; keys that are not there are no error."""
    folded = [key.casefold() for key in keys]
    connection.execute(sa.delete(tags).where(tags.c.owner_id == owner_id, tags.c.folded_key.in_(folded)))


def clear_tags(connection: sa.Connection, owner_id: str) -> None:
    """Take every tag off a resource that is going away."""
    connection.execute(sa.delete(tags).where(tags.c.owner_id == owner_id))
