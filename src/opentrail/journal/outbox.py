"""The outbox: a state change and the event record of the call that made it commit together.

A unit of work that changes state adds the record as a row, with the journal's next sequence at that time (the
*note*). After the commit the record is appended to the journal as usual; the row is then superfluous and is deleted
inside a later unit, which costs no commit of its own. After a crash ``replay`` appends each row's records unless
their event ids already stand at or after the note.
"""

import threading
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from opentrail.errors import IntegrityError
from opentrail.journal.frames import Draft, pack_group, unpack_group
from opentrail.journal.journal import Journal
from opentrail.state.database import Database, Unit, metadata

outbox_table = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("noted_sequence", sa.BigInteger, nullable=False),
    sa.Column("drafts", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # an id that was deleted never means another row
)

_SWEEP_ROWS = 500
_REPLAY_READ_BYTES = 4 * 1024 * 1024


def add(unit: Unit, group: Sequence[Draft], noted_sequence: int) -> int:
    """Add the records of a call to the unit that the call is; answers the row's id.

    ``noted_sequence`` is the journal's ``next_sequence``, read before. Raises ValueError for a malformed draft.
    """
    row = {"noted_sequence": noted_sequence, "drafts": pack_group(group)}
    key = unit.execute(sa.insert(outbox_table).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def oldest_noted(connection: sa.Connection) -> int | None:
    """The lowest note of all rows; None if there are none. Pruning must stay below it."""
    found = connection.execute(sa.select(sa.func.min(outbox_table.c.noted_sequence))).scalar()
    return None if found is None else int(found)


class OutboxDrain:
    """Collects rows whose records stand in the journal, and deletes them along with later units. Thread-safe."""

    def __init__(self) -> None:
        """Begin with nothing to delete."""
        self._lock = threading.Lock()
        self._done: set[int] = set()

    def __len__(self) -> int:
        """How many rows wait to be deleted."""
        return len(self._done)

    def appended(self, row_id: int) -> None:
        """Note that a row's records are durable in the journal."""
        with self._lock:
            self._done.add(row_id)

    def sweep(self, unit: Unit) -> None:
        """Delete a bounded number of superfluous rows as part of a unit; they count as deleted once it commits."""
        with self._lock:
            ids = sorted(self._done)[:_SWEEP_ROWS]
        if not ids:
            return
        _delete(unit, ids)
        unit.after_commit(lambda: self._forget(ids))

    def _forget(self, ids: Iterable[int]) -> None:
        with self._lock:
            self._done.difference_update(ids)


def replay(database: Database, journal: Journal) -> int:
    """Append what a crash left in the outbox; answers how many records had to be appended.

    To be called before anything else appends. Raises JournalError if the journal refuses (the rows stay), and
    IntegrityError where a row cannot be read.
    """
    with database.read() as connection:
        rows = [tuple(row) for row in connection.execute(sa.select(outbox_table).order_by(outbox_table.c.id))]
    if not rows:
        return 0
    pending = [(int(note), _drafts(row_id, drafts)) for row_id, note, drafts in rows]
    found = _sequences_of(
        journal, min(note for note, _ in pending), {draft.event_id for _, group in pending for draft in group}
    )
    appended = 0
    for note, group in pending:
        missing = [draft for draft in group if found.get(draft.event_id, 0) < note]
        if missing:
            journal.append(missing).result()
            appended += len(missing)
    with database.unit() as unit:
        ids = [int(row[0]) for row in rows]
        for begin in range(0, len(ids), _SWEEP_ROWS):
            _delete(unit, ids[begin : begin + _SWEEP_ROWS])
    return appended


def _drafts(row_id: int, packed: bytes) -> list[Draft]:
    try:
        return unpack_group(packed)
    except ValueError as error:
        raise IntegrityError(f"row {row_id} of the outbox cannot be read: {error}") from error


def _sequences_of(journal: Journal, start: int, event_ids: set[str]) -> dict[str, int]:
    """Where the journal holds these events, looking from a sequence on."""
    return {
        frame.event_id: frame.sequence
        for frame in journal.frames(start - 1, max_bytes=_REPLAY_READ_BYTES)
        if frame.event_id in event_ids and not frame.is_intent  # an intent is not its record
    }


def _delete(unit: Unit, ids: Sequence[int]) -> None:
    unit.execute(sa.delete(outbox_table).where(outbox_table.c.id.in_(ids)))
