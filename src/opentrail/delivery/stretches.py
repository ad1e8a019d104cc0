"""Stretches: parts of the journal whose records somebody else than the bucket is still to get.

A stretch names a reader, a partition and a range of sequences. It is written down in the unit that lets the journal's
own cursors pass over the range, and the journal is pruned no further than the oldest one: a kill loses none of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from opentrail.journal import Frame, Journal
from opentrail.state.database import Database, Unit, metadata
from opentrail.trails.store import Instant

KEPT = timedelta(days=1)
"""For so long what cannot be passed on is kept and tried again."""

_READ_BYTES = 512 * 1024

stretches_table = sa.Table(
    "delivery_stretches",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("reader", sa.String(64), nullable=False, index=True),
    sa.Column("partition", sa.String(80), nullable=False),
    sa.Column("after_sequence", sa.BigInteger, nullable=False),
    sa.Column("through_sequence", sa.BigInteger, nullable=False),
    sa.Column("noted_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of one partition in (``after_sequence``, ``through_sequence``], known to be waiting since ``noted_at``.

    ``number`` is 0 until it is stored.
    """

    reader: str
    partition: str
    after_sequence: int
    through_sequence: int
    noted_at: datetime
    number: int = 0

    def after(self, sequence: int) -> "Stretch":
        """What is left when everything up to a sequence is dealt with."""
        return replace(self, after_sequence=max(sequence, self.after_sequence))

    def frames(self, journal: Journal, wanted: Callable[[Frame], bool]) -> Iterator[Frame]:
        """Its records, in order. Raises IntegrityError where the journal is damaged."""
        for frame in journal.frames(self.after_sequence, max_bytes=_READ_BYTES):
            if frame.sequence > self.through_sequence:
                return
            if frame.partition == self.partition and wanted(frame):
                yield frame


class Stretches:
    """The stretches of every reader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def readers(self, prefix: str) -> Sequence[str]:
        """The readers of that kind for whom something waits."""
        query = sa.select(stretches_table.c.reader).where(stretches_table.c.reader.startswith(prefix)).distinct()
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def waiting_since(self, prefix: str) -> datetime | None:
        """Since when something waits for readers of that kind; None where nothing does."""
        query = sa.select(sa.func.min(stretches_table.c.noted_at)).where(stretches_table.c.reader.startswith(prefix))
        with self._database.read() as connection:
            found: datetime | None = connection.execute(query).scalar()
        return found

    def first(self, reader: str) -> Stretch | None:
        """A reader's oldest one."""
        return next(iter(self._found(reader, limit=1)), None)

    def every(self, reader: str) -> Sequence[Stretch]:
        """All of a reader's, oldest first."""
        return self._found(reader, limit=None)

    def add(self, unit: Unit, stretch: Stretch) -> None:
        """Something waits."""
        unit.execute(
            sa.insert(stretches_table).values(
                reader=stretch.reader,
                partition=stretch.partition,
                after_sequence=stretch.after_sequence,
                through_sequence=stretch.through_sequence,
                noted_at=stretch.noted_at,
            )
        )

    def put(self, unit: Unit, stretch: Stretch) -> None:
        """A stored one has other ends now."""
        ends = {"after_sequence": stretch.after_sequence, "through_sequence": stretch.through_sequence}
        unit.execute(sa.update(stretches_table).where(stretches_table.c.number == stretch.number).values(**ends))

    def remove(self, unit: Unit, stretch: Stretch) -> None:
        """It was passed on, or given up."""
        unit.execute(sa.delete(stretches_table).where(stretches_table.c.number == stretch.number))

    def forget(self, unit: Unit, reader: str, before: datetime | None = None) -> int:
        """Give up all of a reader's, or those that have waited since before an instant; answers how many."""
        gone = sa.delete(stretches_table).where(stretches_table.c.reader == reader)
        return unit.execute(gone if before is None else gone.where(stretches_table.c.noted_at < before)).rowcount

    def _found(self, reader: str, limit: int | None) -> Sequence[Stretch]:
        columns = ("reader", "partition", "after_sequence", "through_sequence", "noted_at", "number")
        query = sa.select(*(stretches_table.c[name] for name in columns)).where(stretches_table.c.reader == reader)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(stretches_table.c.number).limit(limit))
            return [Stretch(*row) for row in rows]


def oldest_after(connection: sa.Connection) -> int | None:
    """The sequence behind which the first record that waits may stand; None where nothing waits."""
    found = connection.execute(sa.select(sa.func.min(stretches_table.c.after_sequence))).scalar()
    return None if found is None else int(found)
