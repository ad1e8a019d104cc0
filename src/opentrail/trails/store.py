"""Where trails and the state of their delivery are kept.

Rules. Changes go through a unit of work; whoever decides on the strength of what exists (duplicates, limits) asks
``within(unit)``, which sees the unit's own transaction. Everybody else, the hot path above all, asks ``snapshot``: an
immutable set in memory that is replaced after each commit.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from opentrail.events.selectors import from_text, text_of
from opentrail.organizations.organization_set import OrganizationSet
from opentrail.organizations.store import Organizations
from opentrail.state.database import Database, Unit, metadata
from opentrail.trails.aggregation import aggregations_from, aggregations_text
from opentrail.trails.insights import insights_from, insights_text
from opentrail.trails.names import parse_reference
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import TrailSet

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime, stored as integer microseconds since 1970 (exact, sortable, the same in every engine)."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002  # SA's
        """Python to database; ValueError for a datetime without zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without time zone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002  # SA's
        """Database to Python."""
        return None if value is None else _EPOCH + value * _MICROSECOND


trails_table = sa.Table(
    "trails",
    metadata,
    sa.Column("trail_id", sa.String(36), primary_key=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("home_region", sa.String(64), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("bucket", sa.String(63), nullable=False),
    sa.Column("prefix", sa.String(200), nullable=False),
    sa.Column("include_global_service_events", sa.Boolean, nullable=False),
    sa.Column("is_multi_region", sa.Boolean, nullable=False),
    sa.Column("is_logging", sa.Boolean, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("stopped_at", Instant),
    sa.Column("deleted_at", Instant),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("selectors", sa.Text),  # as ``selectors.text_of`` writes them: null for those of a new trail
    sa.Column("validated_since", Instant),
    sa.Column("sns_topic_arn", sa.Text),
    sa.Column("kms_key_arn", sa.Text),
    sa.Column("organization_id", sa.String(34)),
    sa.Column("is_organization", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("insight_selectors", sa.Text),  # JSON text of the API's members; null where there are none
    sa.Column("aggregations", sa.Text),  # the same of aggregation configurations
    sa.Column("log_group_arn", sa.Text),
    sa.Column("logs_role_arn", sa.Text),
)
sa.Index(
    "trails_live_name",
    trails_table.c.account_id,
    trails_table.c.home_region,
    trails_table.c.name,
    unique=True,
    sqlite_where=trails_table.c.deleted_at.is_(None),
    postgresql_where=trails_table.c.deleted_at.is_(None),
)


def _status_table(name: str) -> sa.Table:
    """How something of each trail goes."""
    return sa.Table(
        name,
        metadata,
        sa.Column("trail_id", sa.String(36), primary_key=True),
        sa.Column("latest_delivery_at", Instant),
        sa.Column("latest_attempt_at", Instant),
        sa.Column("latest_error", sa.String(128)),
    )


status_table = _status_table("delivery_status")
# The same of what a trail's topic is told, and of what goes to its log group; each is written by another thread.
notification_status_table = _status_table("notification_status")
logs_status_table = _status_table("logs_status")
digest_status_table = sa.Table(
    "digest_status",
    metadata,
    sa.Column("trail_id", sa.String(36), primary_key=True),
    sa.Column("latest_delivery_at", Instant),
    sa.Column("latest_error", sa.String(128)),
)

_ALL_OF_A_TRAIL = (trails_table, status_table, digest_status_table, notification_status_table, logs_status_table)


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How a trail's delivery goes: the last success, the last attempt, and that one's error code if it failed."""

    latest_delivery_at: datetime | None = None
    latest_attempt_at: datetime | None = None
    latest_error: str | None = None

    def delivered(self, at: datetime) -> "DeliveryStatus":
        """A log file is in the bucket."""
        return DeliveryStatus(latest_delivery_at=at, latest_attempt_at=at)

    def failed(self, at: datetime, code: str) -> "DeliveryStatus":
        """An attempt ended with an error code; the last success stays known."""
        return DeliveryStatus(self.latest_delivery_at, at, code)


@dataclass(frozen=True, slots=True)
class DigestStatus:
    """How a trail's digest files are delivered: the last success, and the last attempt's error code if it failed."""

    latest_delivery_at: datetime | None = None
    latest_error: str | None = None


S = TypeVar("S", DeliveryStatus, DigestStatus)


class Trails:
    """The trails of every account."""

    def __init__(self, database: Database, organizations: Organizations | None = None) -> None:
        """Read all trails; the tables must exist. ``organizations``: whose accounts their trails keep."""
        self._database = database
        self._organizations = organizations or Organizations(database)
        self._organizations.on_change.append(self.reload)
        self._reloading = threading.Lock()
        self._snapshot = TrailSet()
        self.reload()

    @property
    def snapshot(self) -> TrailSet:
        """The trails as of the last commit."""
        return self._snapshot

    def reload(self) -> None:
        """Replace the snapshot by what is committed."""
        with self._reloading, self._database.read() as connection:  # in turns: an older view never replaces a newer one
            self._snapshot = _load(connection, self._organizations.snapshot)

    def within(self, unit: Unit) -> TrailSet:
        """The trails as the unit's transaction sees them."""
        return _load(unit.connection, self._organizations.within(unit))

    def find(self, account_id: str, region: str, name_or_arn: str) -> Trail | None:
        """The trail that a caller of ``account_id`` in ``region`` names; ApiError where the name cannot be one."""
        return self._snapshot.find(parse_reference(name_or_arn, account_id=account_id, region=region), account_id)

    def visible_to(self, account_id: str) -> tuple[Trail, ...]:
        """The account's trails and its organization's over all regions, by name."""
        return self._snapshot.visible_to(account_id)

    def is_validated(self, unit: Unit, trail_id: str) -> bool:
        """Whether log file validation is on, as the unit's transaction sees it."""
        query = sa.select(trails_table.c.validated_since).where(trails_table.c.trail_id == trail_id)
        return unit.execute(query).scalar() is not None

    def put(self, unit: Unit, trail: Trail) -> None:
        """Write a trail, new or changed."""
        row = {column.name: getattr(trail, column.name) for column in trails_table.columns}
        row["tags"] = json.dumps(trail.tags)
        row["selectors"] = text_of(trail.selectors)
        row["insight_selectors"] = insights_text(trail.insight_selectors)
        row["aggregations"] = aggregations_text(trail.aggregations)
        unit.execute(sa.delete(trails_table).where(trails_table.c.trail_id == trail.trail_id))
        unit.execute(sa.insert(trails_table).values(**row))
        unit.after_commit(self.reload)

    def forget(self, unit: Unit, trail_id: str) -> None:
        """Remove the last of a deleted trail, once its delivery has ended."""
        for table in _ALL_OF_A_TRAIL:
            unit.execute(sa.delete(table).where(table.c.trail_id == trail_id))
        unit.after_commit(self.reload)

    def delivery_status(self, trail_id: str) -> DeliveryStatus:
        """How the trail's delivery goes; an empty status before the first attempt."""
        return self._status(status_table, trail_id, DeliveryStatus)

    def put_delivery_status(self, unit: Unit, trail_id: str, status: DeliveryStatus) -> None:
        """Write down how the last attempt went."""
        _put_status(unit, status_table, trail_id, status)

    def notification_status(self, trail_id: str) -> DeliveryStatus:
        """The same of what the trail's topic is told."""
        return self._status(notification_status_table, trail_id, DeliveryStatus)

    def put_notification_status(self, unit: Unit, trail_id: str, status: DeliveryStatus) -> None:
        """Write down how the last attempt to tell the topic went."""
        _put_status(unit, notification_status_table, trail_id, status)

    def logs_status(self, trail_id: str) -> DeliveryStatus:
        """The same of what goes to the trail's log group."""
        return self._status(logs_status_table, trail_id, DeliveryStatus)

    def put_logs_status(self, unit: Unit, trail_id: str, status: DeliveryStatus) -> None:
        """Write down how the last attempt to put records into the log group went."""
        _put_status(unit, logs_status_table, trail_id, status)

    def digest_status(self, trail_id: str) -> DigestStatus:
        """How the delivery of the trail's digest files goes; an empty status before the first attempt."""
        return self._status(digest_status_table, trail_id, DigestStatus)

    def put_digest_status(self, unit: Unit, trail_id: str, status: DigestStatus) -> None:
        """Write down how the last attempt to deliver a digest file went."""
        _put_status(unit, digest_status_table, trail_id, status)

    def _status(self, table: sa.Table, trail_id: str, kind: type[S]) -> S:
        columns = [table.c[one.name] for one in fields(kind)]
        with self._database.read() as connection:
            row = connection.execute(sa.select(*columns).where(table.c.trail_id == trail_id)).one_or_none()
        return kind() if row is None else kind(*row)


def _put_status(unit: Unit, table: sa.Table, trail_id: str, status: DeliveryStatus | DigestStatus) -> None:
    unit.execute(sa.delete(table).where(table.c.trail_id == trail_id))
    unit.execute(sa.insert(table).values(trail_id=trail_id, **asdict(status)))


def _load(connection: sa.Connection, organizations: OrganizationSet) -> TrailSet:
    rows = connection.execute(sa.select(trails_table)).mappings()
    return TrailSet((_trail_of(row) for row in rows), organizations)


def _trail_of(row: Mapping[Any, Any]) -> Trail:
    texts = {
        "tags": json.loads(row["tags"]),
        "selectors": from_text(row["selectors"]),
        "insight_selectors": insights_from(row["insight_selectors"]),
        "aggregations": aggregations_from(row["aggregations"]),
    }
    return Trail(**{**row, **texts})
