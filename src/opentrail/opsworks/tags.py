"""Tags of servers and backups: the rules, and where they are kept.

Rules: opsworks-cm fact sheet 9 and trap 5. Keys and values are trimmed; a key is neither empty nor of the ``aws:``
namespace, and stands once in a request; a resource has at most 50 tags.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.opsworks.tables import tags
from opentrail.state.database import Unit

TAG_LIMIT = 50
_RESERVED_PREFIX = "aws:"


def read_tags(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a request, trimmed.

    Raises ApiError ValidationException for an empty, reserved or repeated key, or more than 50 tags.
    """
    found: dict[str, str] = {}
    for tag in given:
        key = _checked_key(tag["Key"])
        if key in found:
            raise ApiError("ValidationException", f"The tag key {key} was given more than once")
        found[key] = tag["Value"].strip()
    check_count(found)
    return found


def read_tag_keys(given: Sequence[str]) -> list[str]:
    """The keys of an UntagResource request, trimmed; keys that no tag has are no error.

    Raises ApiError ValidationException for an empty or reserved key.
    """
    return [_checked_key(key) for key in given]


def check_count(merged: Mapping[str, str]) -> None:
    """Refuse more than 50 tags on one resource.

    Raises ApiError ValidationException.
    """
    if len(merged) > TAG_LIMIT:
        raise ApiError("ValidationException", f"A resource can have at most {TAG_LIMIT} tags")


def tags_of(connection: sa.Connection, resource_arn: str) -> dict[str, str]:
    """The tags of a resource, by key, in the keys' order."""
    query = sa.select(tags.c.key, tags.c.value).where(tags.c.resource_arn == resource_arn).order_by(tags.c.key)
    return {row.key: row.value for row in connection.execute(query)}


def tagged_resources(connection: sa.Connection, account_id: str, region: str) -> dict[str, dict[str, str]]:
    """The tags of an account's resources in a region, by ARN; those that have some."""
    beginning = f"arn:aws:opsworks-cm:{region}:{account_id}:"
    found: dict[str, dict[str, str]] = {}
    query = sa.select(tags).where(tags.c.resource_arn.startswith(beginning, autoescape=True))
    for row in connection.execute(query.order_by(tags.c.resource_arn, tags.c.key)):
        found.setdefault(row.resource_arn, {})[row.key] = row.value
    return found


def add_tags(unit: Unit, resource_arn: str, added: Mapping[str, str]) -> None:
    """Add tags to a resource; a key that it has already gets the new value.

    Raises ApiError ValidationException where it would have more than 50 afterwards.
    """
    check_count(tags_of(unit.connection, resource_arn) | dict(added))
    remove_tags(unit, resource_arn, list(added))
    if added:
        rows = [{"resource_arn": resource_arn, "key": key, "value": value} for key, value in added.items()]
        unit.connection.execute(sa.insert(tags), rows)


def remove_tags(unit: Unit, resource_arn: str, keys: Sequence[str]) -> None:
    """Take tags off a resource."""
    unit.execute(sa.delete(tags).where(tags.c.resource_arn == resource_arn, tags.c.key.in_(keys)))


def remove_all_tags(unit: Unit, resource_arn: str) -> None:
    """Forget every tag of a resource that is gone."""
    unit.execute(sa.delete(tags).where(tags.c.resource_arn == resource_arn))


def _checked_key(key: str) -> str:
    trimmed = key.strip()
    if not trimmed:
        raise ApiError("ValidationException", "A tag key must not be empty")
    if trimmed.lower().startswith(_RESERVED_PREFIX):
        raise ApiError("ValidationException", f"The tag key {trimmed} has the reserved prefix {_RESERVED_PREFIX}")
    return trimmed
