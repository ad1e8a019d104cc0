"""Announcements: what a trail's topic is still to be told, written down with the mark of each log file.

An announcement exists exactly if its log file is marked: a kill neither loses nor invents one. It is removed in the
unit that publishes it where the topic is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from opentrail.state.database import Database, Unit, metadata
from opentrail.trails.notification import log_file_text
from opentrail.trails.store import Instant
from opentrail.trails.trail import Trail

_LIMIT = 100

announcements_table = sa.Table(
    "delivery_announcements",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("trail_id", sa.String(36), nullable=False, index=True),
    sa.Column("trail_arn", sa.Text, nullable=False),
    sa.Column("topic_arn", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("marked_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message to a topic. ``topic_arn`` is the trail's when its log file was marked."""

    number: int
    trail_id: str
    trail_arn: str
    topic_arn: str
    text: str
    marked_at: datetime


class Announcements:
    """The announcements of every trail."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, unit: Unit, trail: Trail, bucket: str, key: str, marked_at: datetime) -> None:
        """A log file is in the bucket; nothing to do for a trail without a topic."""
        if trail.sns_topic_arn is None:
            return
        unit.execute(
            sa.insert(announcements_table).values(
                trail_id=trail.trail_id,
                trail_arn=trail.arn,
                topic_arn=trail.sns_topic_arn,
                text=log_file_text(bucket, [key]),
                marked_at=marked_at,
            )
        )

    def trail_ids(self) -> Sequence[str]:
        """The trails whose topics are to be told something."""
        with self._database.read() as connection:
            return list(connection.execute(sa.select(announcements_table.c.trail_id).distinct()).scalars())

    def of(self, trail_id: str) -> Sequence[Announcement]:
        """A trail's oldest announcements."""
        query = sa.select(announcements_table).where(announcements_table.c.trail_id == trail_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(announcements_table.c.number).limit(_LIMIT))
            return [Announcement(*row) for row in rows]

    def remove(self, unit: Unit, announcement: Announcement) -> None:
        """It was published, or given up."""
        unit.execute(sa.delete(announcements_table).where(announcements_table.c.number == announcement.number))
