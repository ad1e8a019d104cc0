"""What is kept of digest files: log files that wait for one, open chains, and digests that were made.

Rules. A log file waits from the transaction that marks it delivered, and only where its trail has validation on at that
moment. One transaction takes waiting files into a digest and moves the chain on; what a digest lists is never decided
anew, and its bytes are kept until they are in the bucket. The last digest of every name is remembered, so that no later
one can bear an end time that was used before, not even that of a new trail with an old name.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from opentrail.delivery.digest import Digest, DigestedFile, PreviousDigest, SignedDigest
from opentrail.delivery.digest_times import Chain, Due, Kind
from opentrail.delivery.plans import Plan
from opentrail.state.database import Database, Unit, metadata
from opentrail.trails.store import Instant
from opentrail.trails.trail import Trail

chains_table = sa.Table(
    "digest_chains",
    metadata,
    sa.Column("trail_id", sa.String(36), primary_key=True),
    sa.Column("partition", sa.String(80), primary_key=True),
    sa.Column("since", Instant, nullable=False),
    sa.Column("end", Instant, nullable=False),
    sa.Column("last_digest_id", sa.Integer, nullable=False),
)

digests_table = sa.Table(
    "digests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("trail_id", sa.String(36), nullable=False),
    sa.Column("trail_arn", sa.Text, nullable=False),
    sa.Column("partition", sa.String(80), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("start", Instant, nullable=False),
    sa.Column("end", Instant, nullable=False),
    sa.Column("bucket", sa.String(63), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("previous_id", sa.Integer),  # null in a starting digest
    sa.Column("fingerprint", sa.String(32), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("signature", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary),  # until it is in the bucket
    sa.Column("marked_at", Instant),
    sqlite_autoincrement=True,
)
sa.Index("digests_of_name", digests_table.c.trail_arn, digests_table.c.partition, digests_table.c.end)
sa.Index("digests_marked", digests_table.c.marked_at)

files_table = sa.Table(
    "digest_files",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("trail_id", sa.String(36), nullable=False),
    sa.Column("partition", sa.String(80), nullable=False),
    sa.Column("bucket", sa.String(63), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("oldest_event_s", sa.BigInteger, nullable=False),
    sa.Column("newest_event_s", sa.BigInteger, nullable=False),
    sa.Column("marked_at", Instant, nullable=False),
    sa.Column("digest_id", sa.Integer),  # null while it waits
    sqlite_autoincrement=True,
)
sa.Index("digest_files_of_stream", files_table.c.trail_id, files_table.c.partition, files_table.c.digest_id)


@dataclass(frozen=True, slots=True)
class PendingDigest:
    """A digest that was made and is not in the bucket yet."""

    digest_id: int
    partition: str
    kind: Kind
    end: datetime
    bucket: str
    key: str
    file: SignedDigest


@dataclass(frozen=True, slots=True)
class StreamName:
    """One trail's stream of log files: those of an account and region (the journal's partition)."""

    trail: Trail
    partition: str

    @property
    def account_id(self) -> str:
        """Whose log files."""
        return self.partition.partition("/")[0]

    @property
    def region(self) -> str:
        """From which region, and whose key pairs sign."""
        return self.partition.partition("/")[2]


class Digests:
    """The digests of every trail."""

    def __init__(self, database: Database) -> None:
        """Use a database whose tables exist."""
        self._database = database

    # What waits

    def delivered(self, unit: Unit, plan: Plan, *, sha256: str, marked_at: datetime) -> None:
        """A log file was delivered in this unit: it waits for the next digest of its stream."""
        values = {name: getattr(plan, name) for name in ("trail_id", "partition", "bucket", "key")}
        values |= {"oldest_event_s": plan.oldest_event_s, "newest_event_s": plan.newest_event_s}
        unit.execute(sa.insert(files_table).values(**values, sha256=sha256, marked_at=marked_at))

    def waiting(self) -> dict[tuple[str, str], datetime]:
        """When the first of the log files that wait was delivered, by trail id and partition."""
        name = (files_table.c.trail_id, files_table.c.partition)
        first = sa.func.min(files_table.c.marked_at).label("first")
        query = sa.select(*name, first).where(files_table.c.digest_id.is_(None)).group_by(*name)
        with self._database.read() as connection:
            return {(row.trail_id, row.partition): row.first for row in connection.execute(query)}

    def chains(self) -> dict[tuple[str, str], Chain]:
        """The open chains, by trail id and partition."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(chains_table)).all()
        return {(row.trail_id, row.partition): Chain(row.since, row.end) for row in rows}

    def holds(self, trail_id: str) -> bool:
        """Whether anything of the trail is still to be digested, so that it must not be forgotten."""
        found = (
            sa.select(chains_table.c.trail_id).where(chains_table.c.trail_id == trail_id),
            sa.select(files_table.c.trail_id).where(files_table.c.trail_id == trail_id),
        )
        with self._database.read() as connection:
            return any(connection.execute(query.limit(1)).first() is not None for query in found)

    def last_end(self, trail_arn: str, partition: str) -> datetime | None:
        """The latest end time of any digest that was named after the trail and the stream."""
        of_name = (digests_table.c.trail_arn == trail_arn) & (digests_table.c.partition == partition)
        with self._database.read() as connection:
            found: datetime | None = connection.execute(
                sa.select(sa.func.max(digests_table.c.end)).where(of_name)
            ).scalar()
        return found

    # Making one

    def take(self, unit: Unit, stream: StreamName, due: Due) -> int:
        """Begin a digest: its row, without bytes, and the files that it lists; answers its id."""
        row = {
            "trail_id": stream.trail.trail_id,
            "trail_arn": stream.trail.arn,
            "partition": stream.partition,
            "kind": due.kind.value,
            "start": due.start,
            "end": due.end,
            "previous_id": None if due.kind is Kind.STARTING else self._last_digest_id(unit, stream),
        }
        empty = dict.fromkeys(("bucket", "key", "fingerprint", "sha256", "signature"), "")
        inserted = unit.execute(sa.insert(digests_table).values(**row, **empty, size_bytes=0)).inserted_primary_key
        assert inserted is not None
        digest_id = int(inserted[0])
        of_stream = (files_table.c.trail_id == stream.trail.trail_id) & (files_table.c.partition == stream.partition)
        waiting = of_stream & files_table.c.digest_id.is_(None)
        taken = waiting if due.takes_all else waiting & (files_table.c.marked_at <= due.end)
        unit.execute(sa.update(files_table).where(taken).values(digest_id=digest_id))
        return digest_id

    def describe(self, unit: Unit, digest_id: int, account_id: str, bucket: str, key: str) -> Digest:
        """What a digest that was begun says, at a place."""
        row = unit.execute(sa.select(digests_table).where(digests_table.c.id == digest_id)).one()
        listed = sa.select(files_table).where(files_table.c.digest_id == digest_id).order_by(files_table.c.id)
        return Digest(
            account_id=account_id,
            start=row.start,
            end=row.end,
            bucket=bucket,
            key=key,
            previous=None if row.previous_id is None else self._previous(unit, row.previous_id),
            log_files=tuple(_digested(file) for file in unit.execute(listed)),
        )

    def plan(self, unit: Unit, digest_id: int, digest: Digest, file: SignedDigest) -> None:
        """The digest's bytes and where they go, at first or after its trail got another bucket or prefix."""
        this = digests_table.c.id == digest_id
        made = {name: getattr(file, name) for name in ("body", "size_bytes", "sha256", "signature", "fingerprint")}
        unit.execute(sa.update(digests_table).where(this).values(bucket=digest.bucket, key=digest.key, **made))

    def move_chain(self, unit: Unit, stream: StreamName, due: Due, digest_id: int) -> None:
        """The chain goes on behind this digest."""
        of_chain = _of_stream(chains_table, stream.trail.trail_id, stream.partition)
        unit.execute(sa.delete(chains_table).where(of_chain))
        name = {"trail_id": stream.trail.trail_id, "partition": stream.partition}
        values = {"since": due.since, "end": due.end, "last_digest_id": digest_id}
        unit.execute(sa.insert(chains_table).values(**name, **values))

    # Putting it

    def pending(self, trail_id: str) -> tuple[PendingDigest, ...]:
        """The digests of a trail that are not in the bucket yet, in the order in which they were made."""
        unmarked = (digests_table.c.trail_id == trail_id) & digests_table.c.marked_at.is_(None)
        query = sa.select(digests_table).where(unmarked).order_by(digests_table.c.id)
        with self._database.read() as connection:
            return tuple(_pending(row) for row in connection.execute(query))

    def trails_with_pending(self) -> frozenset[str]:
        """The ids of the trails with digests that are not in the bucket yet."""
        query = sa.select(digests_table.c.trail_id).where(digests_table.c.marked_at.is_(None)).distinct()
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def mark(self, unit: Unit, trail_id: str, pending: PendingDigest, marked_at: datetime) -> None:
        """The digest is in the bucket; with a final one the chain is at its end."""
        this = digests_table.c.id == pending.digest_id
        unit.execute(sa.update(digests_table).where(this).values(marked_at=marked_at, body=None))
        unit.execute(sa.delete(files_table).where(files_table.c.digest_id == pending.digest_id))
        if pending.kind is Kind.FINAL:
            of_chain = _of_stream(chains_table, trail_id, pending.partition)
            unit.execute(sa.delete(chains_table).where(of_chain))

    def abandon(self, unit: Unit, trail_id: str) -> None:
        """Give up a trail's chains, what waits, and what is not in the bucket; nothing is left to be delivered."""
        for table in (files_table, chains_table):
            unit.execute(sa.delete(table).where(table.c.trail_id == trail_id))
        unmarked = digests_table.c.marked_at.is_(None)
        unit.execute(sa.delete(digests_table).where(digests_table.c.trail_id == trail_id, unmarked))

    def forget_marked(self, unit: Unit, before: datetime) -> None:
        """Remove digests marked before an instant, but the last of each name and stream, and what others build on."""
        last = sa.select(sa.func.max(digests_table.c.id)).group_by(digests_table.c.trail_arn, digests_table.c.partition)
        chained = sa.select(chains_table.c.last_digest_id)
        pending = digests_table.c.marked_at.is_(None) & digests_table.c.previous_id.is_not(None)
        kept = sa.union_all(last, chained, sa.select(digests_table.c.previous_id).where(pending))
        unit.execute(
            sa.delete(digests_table).where(digests_table.c.marked_at < before, digests_table.c.id.not_in(kept))
        )

    def _last_digest_id(self, unit: Unit, stream: StreamName) -> int:
        of_chain = _of_stream(chains_table, stream.trail.trail_id, stream.partition)
        return int(unit.execute(sa.select(chains_table.c.last_digest_id).where(of_chain)).scalar_one())

    def _previous(self, unit: Unit, digest_id: int) -> PreviousDigest:
        columns = [digests_table.c[name] for name in ("bucket", "key", "sha256", "signature")]
        row = unit.execute(sa.select(*columns).where(digests_table.c.id == digest_id)).one()
        return PreviousDigest(row.bucket, row.key, row.sha256, row.signature)


def _digested(row: sa.Row[tuple[object, ...]]) -> DigestedFile:
    oldest, newest = (datetime.fromtimestamp(at_s, UTC) for at_s in (row.oldest_event_s, row.newest_event_s))
    return DigestedFile(row.bucket, row.key, row.sha256, oldest, newest)


def _of_stream(table: sa.Table, trail_id: str, partition: str) -> sa.ColumnElement[bool]:
    return (table.c.trail_id == trail_id) & (table.c.partition == partition)


def _pending(row: sa.Row[tuple[object, ...]]) -> PendingDigest:
    file = SignedDigest(row.body, row.size_bytes, row.sha256, row.signature, row.fingerprint)
    kind = Kind(row.kind)
    return PendingDigest(row.id, row.partition, kind, row.end, row.bucket, row.key, file)
