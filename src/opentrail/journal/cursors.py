"""How far each reader of the journal has come, and how far the journal may therefore be pruned.

A cursor is the sequence of the last frame that its owner has dealt with for good; it is stored in the control state,
in the same unit of work as what the owner did with the frames.
"""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from opentrail.errors import IntegrityError
from opentrail.state.database import Unit, metadata

cursors_table = sa.Table(
    "journal_cursors",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)


def get(connection: sa.Connection, name: str) -> int | None:
    """The sequence that a reader has dealt with; None if it has no cursor."""
    found = connection.execute(sa.select(cursors_table.c.sequence).where(cursors_table.c.name == name)).scalar()
    return None if found is None else int(found)


def put(unit: Unit, name: str, sequence: int) -> None:
    """Set a reader's cursor, making it if need be. Raises ValueError for a negative sequence."""
    if sequence < 0:
        raise ValueError(f"a cursor is not negative: {sequence}")
    changed = unit.execute(
        sa.update(cursors_table).where(cursors_table.c.name == name).values(sequence=sequence)
    ).rowcount
    if not changed:
        unit.execute(sa.insert(cursors_table).values(name=name, sequence=sequence))


def drop(unit: Unit, name: str) -> None:
    """Forget a reader; it no longer holds anything back."""
    unit.execute(sa.delete(cursors_table).where(cursors_table.c.name == name))


def every(connection: sa.Connection) -> dict[str, int]:
    """All cursors by name."""
    rows = connection.execute(sa.select(cursors_table.c.name, cursors_table.c.sequence))
    return {str(name): int(sequence) for name, sequence in rows}


def minimum(connection: sa.Connection) -> int | None:
    """The cursor that is furthest behind; None if there are no readers."""
    return min(every(connection).values(), default=None)


def prune_bound(cursors: Iterable[int], oldest_noted: int | None, durable_sequence: int) -> int:
    """The sequence through which the journal may be pruned; pure.

    Never beyond a cursor, never as far as the note of the oldest outbox row (a replay looks from there on). The
    durable sequence has to be read before the cursors, so that a reader who arrives in between loses nothing.
    """
    held = [durable_sequence, *cursors]
    if oldest_noted is not None:
        held.append(oldest_noted - 1)
    return max(0, min(held))


def ensure_not_ahead(cursors: Mapping[str, int], durable_sequence: int) -> None:
    """Raise IntegrityError if a reader dealt with frames that the journal does not have: records are missing, or the
    state belongs to another journal.

    Going on would reuse their sequence numbers and hide new records from that reader.
    """
    for name, sequence in sorted(cursors.items()):
        if sequence > durable_sequence:
            raise IntegrityError(
                f"the cursor {name} stands at sequence {sequence}, but the journal ends at {durable_sequence}"
            )
