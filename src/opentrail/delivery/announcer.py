"""The announcer: one thread that tells trails' topics of the log files that were delivered.

Rules (cloudtrail fact sheet 4). Each trail goes its own pace, oldest log file first; where its topic refuses or cannot
be reached, GetTrailStatus shows the code, and it is tried again, with longer and longer pauses, for a day. A trail that
has another topic by now is told there, one that has none any more nowhere.
"""

import logging
from datetime import timedelta

from opentrail.clock import Clock
from opentrail.delivery.announcements import Announcement, Announcements
from opentrail.delivery.lane import Backoff
from opentrail.delivery.rounds import Rounds
from opentrail.delivery.trail_paces import TrailPaces
from opentrail.errors import OutboundError
from opentrail.state.database import Database, Unit
from opentrail.trails.notification import Notification, Publisher
from opentrail.trails.store import DeliveryStatus, Trails

KEPT = timedelta(days=1)
log = logging.getLogger(__name__)


class Announcer:
    """Publishes announcements from ``start()`` to ``stop()``."""

    def __init__(self, database: Database, trails: Trails, publisher: Publisher, clock: Clock) -> None:
        self.announcements = Announcements(database)
        self._database = database
        self._trails = trails
        self._publisher = publisher
        self._clock = clock
        self._paces = TrailPaces(trails)
        self._rounds = Rounds("announcer", self.run_pass)

    def start(self) -> None:
        """Begin, with what the last process left first."""
        self._rounds.start()

    def stop(self, timeout_s: float) -> None:
        """End after the message under way, at most until the time is over."""
        self._rounds.stop(timeout_s)

    def wake(self) -> None:
        """Look soon; for ``Unit.after_commit``."""
        self._rounds.wake()

    def run_pass(self) -> None:
        """Tell every topic that nobody waits for what it is to be told."""
        now_s = self._clock.monotonic()
        for trail_id in self.announcements.trail_ids():
            backoff = self._paces.of(trail_id)
            if backoff.not_before_s <= now_s:
                self._tell(trail_id, backoff)

    def _tell(self, trail_id: str, backoff: Backoff) -> None:
        for announcement in self.announcements.of(trail_id):
            if self._rounds.are_ending:
                return
            topic_arn = self._topic(announcement)
            if topic_arn is None:
                self._drop(announcement)
                continue
            try:
                self._publish(announcement, topic_arn)
            except OutboundError as problem:
                self._failed(announcement, problem)
                backoff.fail(self._clock.monotonic(), problem.code)
                return
            backoff.clear()

    def _topic(self, announcement: Announcement) -> str | None:
        """Where an announcement goes by now; None: nowhere."""
        trail = self._trails.snapshot.get(announcement.trail_id)
        if trail is None or trail.deleted_at is not None:
            return announcement.topic_arn
        return trail.sns_topic_arn

    def _publish(self, announcement: Announcement, topic_arn: str) -> None:
        notification = Notification(topic_arn, announcement.text, announcement.trail_arn)
        with self._database.unit() as unit:
            self._publisher.publish(unit, notification)
            self.announcements.remove(unit, announcement)
            self._note(announcement.trail_id, unit, None)

    def _failed(self, announcement: Announcement, problem: OutboundError) -> None:
        log.warning("%s: the topic was not told of a log file: %s", announcement.trail_arn, problem)
        with self._database.unit() as unit:
            self._note(announcement.trail_id, unit, problem.code)
            if self._clock.now() - announcement.marked_at > KEPT:
                log.error("%s: given up after a day: %s", announcement.trail_arn, announcement.text)
                self.announcements.remove(unit, announcement)

    def _drop(self, announcement: Announcement) -> None:
        with self._database.unit() as unit:
            self.announcements.remove(unit, announcement)

    def _note(self, trail_id: str, unit: Unit, code: str | None) -> None:
        if self._trails.snapshot.get(trail_id) is None:
            return
        now = self._clock.now()
        status: DeliveryStatus = self._trails.notification_status(trail_id)
        changed = status.delivered(now) if code is None else status.failed(now, code)
        self._trails.put_notification_status(unit, trail_id, changed)
