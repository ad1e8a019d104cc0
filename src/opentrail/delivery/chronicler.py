"""The chronicler: one thread that puts the records of delivered log files into trails' log groups.

Rules (cloudtrail fact sheet 10). What is to be put is written down with the mark of each log file, and read from the
journal again. Each trail goes its own pace; where its log group refuses or cannot be reached, GetTrailStatus shows the
code, and it is tried again, with longer and longer pauses, for a day. A trail that has another log group by now gets
what waits there, one that has none any more nowhere. The trail's role is asked before every attempt.

A call that was answered is not repeated; one whose answer was lost is, so that an event may be there twice.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from opentrail.clock import Clock
from opentrail.delivery.lane import Backoff
from opentrail.delivery.log_event_batches import batches
from opentrail.delivery.plans import Plan
from opentrail.delivery.rounds import Rounds
from opentrail.delivery.stretches import KEPT, Stretch, Stretches
from opentrail.delivery.trail_paces import TrailPaces
from opentrail.errors import IntegrityError, OutboundError
from opentrail.identity.principal import Principal
from opentrail.journal import Journal
from opentrail.state.database import Database, Unit
from opentrail.trails.log_groups import LogGroups, LogStream, stream_of
from opentrail.trails.logs_role import Identities, RoleProblem, usable_session
from opentrail.trails.store import Trails
from opentrail.trails.trail import Trail

LOGS = "logs:"
"""What the names of readers begin with that stand for trails' log groups."""

_MISSING = "ResourceNotFoundException"
_NOBODY_ASKED = "NotReady"  # we are starting or stopping ourselves: that says nothing of the log group

log = logging.getLogger(__name__)


def reader_of(trail_id: str) -> str:
    """The reader for whom a trail's stretches are written down."""
    return f"{LOGS}{trail_id}"


def stretch_of(plan: Plan, noted_at: datetime) -> Stretch:
    """What of the journal a log file holds."""
    return Stretch(reader_of(plan.trail_id), plan.partition, plan.after_sequence, plan.through_sequence, noted_at)


class Chronicler:
    """Puts log events from ``start()`` to ``stop()``."""

    def __init__(
        self,
        *,
        journal: Journal,
        database: Database,
        trails: Trails,
        identities: Identities,
        groups: LogGroups,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._database = database
        self._trails = trails
        self._identities = identities
        self._groups = groups
        self._clock = clock
        self._stretches = Stretches(database)
        self._paces = TrailPaces(trails)
        self._rounds = Rounds("chronicler", self.run_pass)

    def start(self) -> None:
        """Begin, with what the last process left first."""
        self._rounds.start()

    def stop(self, timeout_s: float) -> None:
        """End after the call under way, at most until the time is over."""
        self._rounds.stop(timeout_s)

    def run_pass(self) -> None:
        """Put what waits for every trail that nothing keeps from it."""
        for reader in self._stretches.readers(LOGS):
            trail_id = reader.removeprefix(LOGS)
            backoff = self._paces.of(trail_id)
            if backoff.not_before_s <= self._clock.monotonic():
                self._serve(trail_id, backoff)

    def _serve(self, trail_id: str, backoff: Backoff) -> None:
        trail = self._trails.snapshot.get(trail_id)
        stream = stream_of(trail) if trail is not None else None
        for stretch in self._stretches.every(reader_of(trail_id)):
            if self._rounds.are_ending:
                return
            if trail is None or stream is None:
                self._drop(stretch)
                continue
            try:
                self._put_all(trail, stream, stretch)
            except (OutboundError, IntegrityError) as problem:
                code = problem.code if isinstance(problem, OutboundError) else "IntegrityError"
                log.warning("trail %s: records not put into %s: %s", trail.arn, stream.arn, problem)
                if code != _NOBODY_ASKED:
                    self._failed(trail, code)
                backoff.fail(self._clock.monotonic(), code)
                return
            backoff.clear()

    def _put_all(self, trail: Trail, stream: LogStream, stretch: Stretch) -> None:
        session = usable_session(self._identities, trail, stream, self._clock.now())
        if isinstance(session, RoleProblem):
            raise OutboundError("AccessDenied", session.message)
        frames = stretch.frames(self._journal, lambda frame: trail.trail_id in frame.routes)
        for batch in batches((frame.sequence, frame.payload) for frame in frames):
            if self._rounds.are_ending:
                return
            if batch.passed_over:
                log.info("trail %s: %d records are too large for CloudWatch Logs", trail.arn, batch.passed_over)
            if batch.records:
                self._put(stream, session, batch.records)
            with self._database.unit() as unit:
                self._stretches.put(unit, stretch.after(batch.through_sequence))
                if batch.records:
                    self._note(unit, trail, None)
        self._drop(stretch)

    def _put(self, stream: LogStream, session: Principal, records: Sequence[bytes]) -> None:
        """One call; a stream that is not there is made."""
        at_ms = int(self._clock.now().timestamp() * 1000)
        try:
            self._groups.put(stream, records, at_ms)
        except OutboundError as problem:
            if problem.code != _MISSING:
                raise
            self._groups.create_stream(stream, session)
            self._groups.put(stream, records, at_ms)

    def _failed(self, trail: Trail, code: str) -> None:
        with self._database.unit() as unit:
            self._note(unit, trail, code)
            given_up = self._stretches.forget(unit, reader_of(trail.trail_id), self._clock.now() - KEPT)
        if given_up:
            log.error(
                "trail %s: the records of %d log files, given up after a day, are in no log group", trail.arn, given_up
            )

    def _drop(self, stretch: Stretch) -> None:
        with self._database.unit() as unit:
            self._stretches.remove(unit, stretch)

    def _note(self, unit: Unit, trail: Trail, code: str | None) -> None:
        now, status = self._clock.now(), self._trails.logs_status(trail.trail_id)
        changed = status.delivered(now) if code is None else status.failed(now, code)
        self._trails.put_logs_status(unit, trail.trail_id, changed)
