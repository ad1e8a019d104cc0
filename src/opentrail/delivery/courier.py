"""The courier: one thread that reads the journal once for all trails, and short-lived ones that carry their log files.

Rules. The scan keeps numbers, never records. A trail without a cursor begins where the scan stands when its first frame
(or the trail itself) is noticed; the scan's own cursor is written down too, so a restart notices the same. Cursors only
move over what is delivered or belongs to nobody, and the journal is pruned no further than the lowest of them.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from opentrail.clock import Clock, Entropy
from opentrail.delivery.announcer import Announcer
from opentrail.delivery.carrier import READ_BYTES, Carrier, DeliveryOptions, cursor_name
from opentrail.delivery.chronicler import reader_of
from opentrail.delivery.deposits import Deposits
from opentrail.delivery.digests import Digests
from opentrail.delivery.lane import Lane, LaneLag
from opentrail.delivery.plans import Plans
from opentrail.delivery.stretches import Stretches, oldest_after
from opentrail.delivery.window import Windows, opened_s
from opentrail.errors import IntegrityError, JournalError, OutboundError
from opentrail.journal import Frame, Journal, cursors, intents, outbox
from opentrail.kms.store import Keys
from opentrail.state.database import Database
from opentrail.storage.bucket import ObjectStore
from opentrail.trails.bucket_access import BucketDirectory
from opentrail.trails.notification import NoTopics, Publisher
from opentrail.trails.store import Trails
from opentrail.trails.trail import Trail

__all__ = ["Courier", "DeliveryLag", "DeliveryOptions"]

SCAN_CURSOR = "courier"
DELETION_GRACE_S = 2.0
"""A call that was routed just before a trail was deleted may reach the journal this much later."""

_LONGEST_TICK_S = 1.0
_SHORTEST_TICK_S = 0.02
_KEEP_MARKED = timedelta(days=7)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryLag:
    """How far delivery is behind the journal. ``failure`` says why the courier itself cannot go on, if it cannot."""

    scanned_sequence: int
    durable_sequence: int
    lanes: tuple[LaneLag, ...]
    failure: str | None


class Courier:
    """Delivers the log files of every trail, from ``start()`` to ``stop()``."""

    def __init__(
        self,
        *,
        journal: Journal,
        database: Database,
        trails: Trails,
        store: ObjectStore,
        buckets: BucketDirectory,
        clock: Clock,
        entropy: Entropy,
        options: DeliveryOptions | None = None,
        drain: outbox.OutboxDrain | None = None,
        publisher: Publisher | None = None,
        keys: Keys | None = None,
    ) -> None:
        """Take up where the database says that the last courier stood. Nothing is read or put yet.

        ``keys`` are the KMS keys that trails encrypt with.

        Raises IntegrityError where the database knows of frames that the journal does not have.
        """
        self._options = options or DeliveryOptions()
        self._drain = drain or outbox.OutboxDrain()
        self._journal, self._database, self._trails, self._clock = journal, database, trails, clock
        self._plans = Plans(database)
        self._digests = Digests(database)
        self._stretches = Stretches(database)
        self._stopping = threading.Event()
        self.announcer = Announcer(database, trails, publisher or NoTopics(), clock)
        self._carrier = Carrier(
            journal=journal,
            database=database,
            trails=trails,
            plans=self._plans,
            digests=self._digests,
            deposits=Deposits(store, buckets, self._options.bucket_policy, keys),
            clock=clock,
            entropy=entropy,
            options=self._options,
            stopping=self._stopping.is_set,
            announcer=self.announcer,
            stretches=self._stretches,
        )
        self._passing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._lanes: dict[str, Lane] = {}
        self._failure: str | None = None
        self._settled_s = clock.monotonic()
        self._restore()

    @property
    def lag(self) -> DeliveryLag:
        """How far delivery is behind, for readiness and metrics."""
        lanes = tuple(lane.lag() for lane in tuple(self._lanes.values()))
        return DeliveryLag(self._scanned, self._journal.durable_sequence, lanes, self._failure)

    def is_settled(self, trail_id: str, through_sequence: int) -> bool:
        """Whether all of the trail's records up to a sequence are delivered, or given up with the deleted trail."""
        lane = self._lanes.get(trail_id)
        if lane is None or lane.given_up:
            return lane is not None
        return self._scanned >= through_sequence and lane.is_idle and not lane.is_busy

    def start(self) -> None:
        """Begin to deliver, on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()
        self.announcer.start()

    def stop(self, deadline_s: float = 10.0) -> None:
        """Finish the puts under way, at most until the deadline, and start no more. Open windows go on after a restart.

        A put that does not end in time is left behind; its plan is finished by the next courier.
        """
        until_s = time.monotonic() + deadline_s
        self._stopping.set()
        jobs = [lane.job for lane in tuple(self._lanes.values())]
        for thread in (self._thread, *jobs):
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, until_s - time.monotonic()))
        self.announcer.stop(max(0.0, until_s - time.monotonic()))

    def wait_for_carriers(self) -> None:
        """Wait until no attempt is under way."""
        for lane in tuple(self._lanes.values()):
            if lane.job is not None:
                lane.job.join()

    def flush(self) -> None:
        """Deliver everything that is in the journal now, whatever its age and whoever backs off; returns when tried."""
        with self._passing:
            self._notice_trails()
            self._scan()
            self.wait_for_carriers()
            for lane in self._lanes.values():
                lane.close()
                if lane.has_work:
                    self._attempt(lane)
            self._settle()

    def run_pass(self) -> None:
        """One round: read what is new, close what is due, carry what is closed (each trail on a thread of its own)."""
        with self._passing:
            self._notice_trails()
            self._scan()
            now_s = self._clock.monotonic()
            for lane in tuple(self._lanes.values()):
                lane.close_if_due(now_s, self._options.interval_s)
                self._carry_if_possible(lane, now_s)
                self._end_if_deleted(lane, now_s)
            if now_s - self._settled_s >= self._options.interval_s:
                self._settle()

    def _run(self) -> None:
        tick_s = min(_LONGEST_TICK_S, max(_SHORTEST_TICK_S, self._options.interval_s / 10))
        while not self._stopping.wait(tick_s):
            try:
                self.run_pass()
            except Exception as error:  # the state database failed, or a bug: say so, and try again
                log.exception("a pass of the courier failed")
                self._failure = f"{type(error).__name__}: {error}"

    def _report(self, failure: str) -> None:
        if failure != self._failure:
            log.error("delivery cannot go on: %s", failure)
        self._failure = failure

    # What survives a restart

    def _restore(self) -> None:
        with self._database.read() as connection:
            known = cursors.every(connection)
        cursors.ensure_not_ahead(known, self._journal.durable_sequence)
        self._scanned = known.get(SCAN_CURSOR, 0)
        for trail in self._trails.snapshot.every():
            self._open_lane(trail.trail_id, known.get(cursor_name(trail.trail_id)))
        self._scanned = min([self._scanned, *(lane.seen for lane in self._lanes.values())])

    def _open_lane(self, trail_id: str, cursor: int | None) -> Lane:
        if cursor is None:
            cursor = self._scanned
            with self._database.unit() as unit:
                cursors.put(unit, cursor_name(trail_id), cursor)
        planned = self._plans.planned_through(trail_id)
        lane = Lane(trail_id, cursor, max(cursor, planned), Windows(self._options.max_bytes))
        lane.pending = list(self._plans.pending(trail_id))
        lane.planned_through = planned
        self._lanes[trail_id] = lane
        return lane

    # Reading

    def _notice_trails(self) -> None:
        for trail in self._trails.snapshot.every():
            lane = self._lanes.get(trail.trail_id) or self._open_lane(trail.trail_id, None)
            if lane.generation != trail.generation:  # somebody changed it: what failed before may work now
                lane.generation = trail.generation
                lane.backoff.not_before_s = 0.0

    def _scan(self) -> None:
        durable = self._journal.durable_sequence
        try:
            while self._scanned < durable and not self._stopping.is_set():
                frames = self._journal.read(self._scanned, max_bytes=READ_BYTES)
                if not frames:
                    break
                self._tally(frames)
        except (IntegrityError, JournalError) as error:
            self._report(str(error))
        else:
            self._failure = None

    def _tally(self, frames: list[Frame]) -> None:
        now_s, now_epoch_s = self._clock.monotonic(), self._clock.now().timestamp()
        for frame in frames:
            for route in frame.routes:
                lane = self._lanes.get(route) or self._lane_of_new(route)
                if lane is not None:
                    lane.take(frame, opened_s(frame, now_s=now_s, now_epoch_s=now_epoch_s))
            self._scanned = frame.sequence

    def _lane_of_new(self, route: str) -> Lane | None:
        """A lane for a trail made since the pass began; None for one that is forgotten."""
        return self._open_lane(route, None) if self._trails.snapshot.get(route) is not None else None

    # Carrying

    def _carry_if_possible(self, lane: Lane, now_s: float) -> None:
        if not lane.has_work or lane.is_busy or lane.given_up or now_s < lane.backoff.not_before_s:
            return
        if sum(other.is_busy for other in self._lanes.values()) >= self._options.workers:
            return
        lane.job = threading.Thread(target=self._attempt, args=(lane,), name=f"carrier-{lane.trail_id}", daemon=True)
        lane.job.start()

    def _attempt(self, lane: Lane) -> None:
        try:
            self._advance(lane)
        except Exception:  # the state database failed, or a bug: the plans stand, so trying again is safe
            log.exception("trail %s: delivery failed", lane.trail_id)
            lane.backoff.fail(self._clock.monotonic(), "InternalFailure")

    def _advance(self, lane: Lane) -> None:
        try:
            self._carrier.advance(lane)
            lane.backoff.clear()
        except OutboundError as error:
            log.warning("trail %s: log file not delivered: %s", lane.trail_id, error)
            self._failed(lane, error.code)
        except IntegrityError as error:
            log.critical("trail %s: %s", lane.trail_id, error)
            self._failed(lane, "IntegrityError")

    def _failed(self, lane: Lane, code: str) -> None:
        lane.backoff.fail(self._clock.monotonic(), code)
        trail = self._trails.snapshot.get(lane.trail_id)
        lane.given_up = trail is None or trail.deleted_at is not None
        status = self._trails.delivery_status(lane.trail_id).failed(self._clock.now(), code)
        with self._database.unit() as unit:
            self._trails.put_delivery_status(unit, lane.trail_id, status)

    # Ending and tidying

    def _end_if_deleted(self, lane: Lane, now_s: float) -> None:
        trail = self._trails.snapshot.get(lane.trail_id)
        if trail is None or trail.deleted_at is None or lane.is_busy or self._failure:
            return
        if lane.deletion_noticed_s is None:
            lane.deletion_noticed_s = now_s
        if now_s - lane.deletion_noticed_s < DELETION_GRACE_S:
            return
        if not (lane.is_idle or lane.given_up):
            lane.close()
        elif not self._digests.holds(lane.trail_id) and self._stretches.first(reader_of(lane.trail_id)) is None:
            self._forget(lane, trail)

    def _forget(self, lane: Lane, trail: Trail) -> None:
        if not lane.is_idle:
            log.warning("trail %s was deleted and its bucket refuses: %s", trail.arn, lane.lag())
        with self._database.unit() as unit:
            self._plans.forget_trail(unit, lane.trail_id)
            cursors.drop(unit, cursor_name(lane.trail_id))
            self._trails.forget(unit, lane.trail_id)
        del self._lanes[lane.trail_id]

    def _settle(self) -> None:
        """Move the cursors of trails that wait for nothing, forget old plans, and prune the journal."""
        self._settled_s = self._clock.monotonic()
        idle = [lane for lane in self._lanes.values() if lane.is_idle and not lane.is_busy]
        moved = {lane.trail_id: max(lane.seen, self._scanned) for lane in idle}
        concluded = self._journal.concluded_through
        with self._database.unit() as unit:
            cursors.put(unit, intents.CURSOR, concluded)
            self._drain.sweep(unit)  # or the last state change would hold the pruning back until the next one
            cursors.put(unit, SCAN_CURSOR, self._scanned)
            for trail_id, position in moved.items():
                if position > self._lanes[trail_id].cursor:
                    cursors.put(unit, cursor_name(trail_id), position)
            self._plans.forget_marked(unit, self._clock.now() - _KEEP_MARKED)
        for lane in idle:
            lane.cursor = lane.seen = moved[lane.trail_id]
        durable = self._journal.durable_sequence
        with self._database.read() as connection:
            noted = outbox.oldest_noted(connection)
            waiting = oldest_after(connection)
            held = [*cursors.every(connection).values(), *([] if waiting is None else [waiting])]
            bound = cursors.prune_bound(held, noted, durable)
        self._journal.prune(bound)
