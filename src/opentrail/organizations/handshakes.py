"""Where handshakes are kept.

Rules. Reads take a connection, so that a handler that writes sees its own unit; writes take a unit. A handshake that
nobody is shown any more is forgotten when the next one is made.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from opentrail.organizations.handshake import CANCELED, OPEN, REQUESTED, SHOWN, Handshake
from opentrail.organizations.tables import handshakes
from opentrail.state.database import Unit
from opentrail.state.instants import from_ms, to_ms

_INSTANTS = ("requested_at", "expires_at", "closed_at")


def find(connection: sa.Connection, handshake_id: str) -> Handshake | None:
    """The handshake of that id, whosever it is."""
    row = connection.execute(sa.select(handshakes).where(handshakes.c.handshake_id == handshake_id)).mappings().first()
    return None if row is None else _handshake(row)


def of_organization(connection: sa.Connection, organization_id: str) -> list[Handshake]:
    """Every handshake that an organization has sent."""
    return _all(connection, handshakes.c.organization_id == organization_id)


def sent_to(connection: sa.Connection, account_id: str, email: str) -> list[Handshake]:
    """Every handshake that was sent to an account, by its id or by its email address."""
    found = _all(connection, sa.func.lower(handshakes.c.target).in_([account_id, email.lower()]))
    return [handshake for handshake in found if handshake.is_for(account_id, email)]


def approvals(connection: sa.Connection, parent_id: str) -> list[Handshake]:
    """The handshakes that belong to an ENABLE_ALL_FEATURES."""
    return _all(connection, handshakes.c.parent_id == parent_id)


def put(unit: Unit, handshake: Handshake) -> None:
    """Write a handshake, new or changed."""
    row: dict[str, Any] = {name: getattr(handshake, name) for name in Handshake.__slots__ if name not in _INSTANTS}
    for name in _INSTANTS:
        at = getattr(handshake, name)
        row[f"{name}_ms"] = None if at is None else to_ms(at)
    row["tags"] = dict(handshake.tags)
    unit.execute(sa.delete(handshakes).where(handshakes.c.handshake_id == handshake.handshake_id))
    unit.execute(sa.insert(handshakes).values(row))


def cancel_waiting(unit: Unit, found: Iterable[Handshake], at: datetime) -> None:
    """Cancel those of them that wait for an answer."""
    for handshake in found:
        if handshake.is_waiting(at):
            put(unit, handshake.ended(CANCELED, at))


def forget_old(unit: Unit, now: datetime) -> None:
    """Forget what ended, or expired, so long ago that nobody is shown it."""
    before = to_ms(now - SHOWN)
    waiting = handshakes.c.state.in_([REQUESTED, OPEN])
    expired = sa.and_(waiting, handshakes.c.expires_at_ms < before)
    unit.execute(sa.delete(handshakes).where(sa.or_(expired, handshakes.c.closed_at_ms < before)))


def _all(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[Handshake]:
    return [_handshake(row) for row in connection.execute(sa.select(handshakes).where(which)).mappings()]


def _handshake(row: sa.RowMapping) -> Handshake:
    values = {name: row[name] for name in Handshake.__slots__ if name not in _INSTANTS}
    for name in _INSTANTS:
        at_ms = row[f"{name}_ms"]
        values[name] = None if at_ms is None else from_ms(at_ms)
    return Handshake(**values)
