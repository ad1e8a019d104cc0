"""Plans: what is going to be put into a bucket, written down before it is put.

A plan names a trail, a partition and a range of sequences; its log file holds every frame of that range that is routed
to the trail and belongs to the partition. Whoever finds a plan unmarked after a crash makes the same file again, byte
for byte, and puts it under the same key. Marked plans are kept for a while: they are what delivery is proved with.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from opentrail.delivery.logfile import Compression
from opentrail.state.database import Database, Unit, metadata
from opentrail.trails.store import Instant

plans_table = sa.Table(
    "delivery_plans",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("trail_id", sa.String(36), nullable=False),
    sa.Column("partition", sa.String(80), nullable=False),
    sa.Column("after_sequence", sa.BigInteger, nullable=False),
    sa.Column("through_sequence", sa.BigInteger, nullable=False),
    sa.Column("record_count", sa.Integer, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("oldest_event_s", sa.BigInteger, nullable=False),
    sa.Column("newest_event_s", sa.BigInteger, nullable=False),
    sa.Column("bucket", sa.String(63), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("stamp", Instant, nullable=False),
    sa.Column("compressor", sa.String(16), nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("planned_at", Instant, nullable=False),
    sa.Column("marked_at", Instant),
    sa.Column("etag", sa.String(128)),
    sa.Column("sha256", sa.String(64)),
    sqlite_autoincrement=True,
)
sa.Index("delivery_plans_of_partition", plans_table.c.trail_id, plans_table.c.partition, plans_table.c.id)
sa.Index("delivery_plans_marked", plans_table.c.marked_at)

_WRITTEN_AT_PLANNING = (
    *("trail_id", "partition", "after_sequence", "through_sequence", "record_count", "size_bytes", "oldest_event_s"),
    *("newest_event_s", "bucket", "key", "stamp", "compressor", "level", "planned_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One log file to put: sequences in (``after_sequence``, ``through_sequence``], where to, and how compressed.

    ``size_bytes`` is the content's length before compression; event times are epoch seconds; ``stamp`` is the minute in
    the key. ``plan_id`` is 0 until the plan is stored.
    """

    trail_id: str
    partition: str
    after_sequence: int
    through_sequence: int
    record_count: int
    size_bytes: int
    oldest_event_s: int
    newest_event_s: int
    bucket: str
    key: str
    stamp: datetime
    compressor: str
    level: int
    planned_at: datetime
    plan_id: int = 0

    @property
    def compression(self) -> Compression:
        """How the file is compressed, now and at every retry."""
        return Compression(self.compressor, self.level)


class Plans:
    """The plans of every trail."""

    def __init__(self, database: Database) -> None:
        """Use a database whose tables exist."""
        self._database = database

    def pending(self, trail_id: str) -> tuple[Plan, ...]:
        """The plans of a trail that are not marked, in the order in which they were made."""
        columns = [plans_table.c[name] for name in _WRITTEN_AT_PLANNING]
        query = (
            sa.select(plans_table.c.id.label("plan_id"), *columns)
            .where(plans_table.c.trail_id == trail_id, plans_table.c.marked_at.is_(None))
            .order_by(plans_table.c.id)
        )
        with self._database.read() as connection:
            return tuple(Plan(**row) for row in connection.execute(query).mappings())

    def planned_through(self, trail_id: str) -> int:
        """The last sequence that any plan of the trail covers, marked or not; 0 before the first plan."""
        query = sa.select(sa.func.max(plans_table.c.through_sequence)).where(plans_table.c.trail_id == trail_id)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar() or 0)

    def partitions(self, trail_id: str) -> frozenset[str]:
        """The partitions that the trail ever had a log file planned of."""
        query = sa.select(plans_table.c.partition).where(plans_table.c.trail_id == trail_id).distinct()
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def last_stamp(self, unit: Unit, trail_id: str, partition: str) -> datetime | None:
        """The highest stamp that the trail ever used for the partition."""
        of_partition = (plans_table.c.trail_id == trail_id) & (plans_table.c.partition == partition)
        found: datetime | None = unit.execute(sa.select(sa.func.max(plans_table.c.stamp)).where(of_partition)).scalar()
        return found

    def add(self, unit: Unit, plan: Plan) -> None:
        """Store a plan; it gets its id."""
        values: dict[str, Any] = {name: getattr(plan, name) for name in _WRITTEN_AT_PLANNING}
        unit.execute(sa.insert(plans_table).values(**values))

    def mark(self, unit: Unit, plan: Plan, *, marked_at: datetime, etag: str, sha256: str) -> None:
        """The plan's object is in the bucket, with this ETag and this SHA-256 of the content before compression."""
        this = plans_table.c.id == plan.plan_id
        unit.execute(sa.update(plans_table).where(this).values(marked_at=marked_at, etag=etag, sha256=sha256))

    def readdress(self, unit: Unit, plan: Plan, *, bucket: str, key: str) -> None:
        """Send an unmarked plan's file elsewhere: the trail's bucket or prefix changed before it could be put."""
        this = (plans_table.c.id == plan.plan_id) & plans_table.c.marked_at.is_(None)
        unit.execute(sa.update(plans_table).where(this).values(bucket=bucket, key=key))

    def drop(self, unit: Unit, plans: Iterable[Plan]) -> None:
        """Give unmarked plans up."""
        gone = [plan.plan_id for plan in plans]
        unit.execute(sa.delete(plans_table).where(plans_table.c.id.in_(gone), plans_table.c.marked_at.is_(None)))

    def forget_trail(self, unit: Unit, trail_id: str) -> None:
        """Remove every plan of a trail that no longer exists."""
        unit.execute(sa.delete(plans_table).where(plans_table.c.trail_id == trail_id))

    def forget_marked(self, unit: Unit, before: datetime) -> None:
        """Remove plans marked before an instant, except the last of each trail and partition.

        Those say which stamp a key may not fall behind, and how far the trail is planned.
        """
        last = sa.select(sa.func.max(plans_table.c.id)).group_by(plans_table.c.trail_id, plans_table.c.partition)
        old = (plans_table.c.marked_at < before) & plans_table.c.id.not_in(last)
        unit.execute(sa.delete(plans_table).where(old))
