"""A lane: where one trail stands on its way from the journal to its bucket. State in memory and pure decisions only.

What must survive a crash (cursor, plans) is in the database; a lane is made from it. Every lane goes its own pace: one
whose bucket refuses waits longer and longer, and holds nobody else up.
"""

import threading
from dataclasses import dataclass, field

from opentrail.delivery.plans import Plan
from opentrail.delivery.window import Window, Windows
from opentrail.journal.frames import Frame

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0


@dataclass(slots=True)
class Backoff:
    """When a lane may try again: 1 s after a failure, then doubling up to 60 s. Times are monotonic seconds."""

    failures: int = 0
    not_before_s: float = 0.0
    error: str | None = None

    def fail(self, now_s: float, code: str) -> None:
        """Remember a failed attempt."""
        delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self.failures, 10))
        self.failures += 1
        self.not_before_s = now_s + delay_s
        self.error = code

    def clear(self) -> None:
        """All is well again, or something changed that makes a new attempt worth while."""
        self.failures = 0
        self.not_before_s = 0.0
        self.error = None


@dataclass(frozen=True, slots=True)
class LaneLag:
    """How far behind a trail is: records not in the bucket yet, the oldest one's event time in epoch s, what failed."""

    trail_id: str
    waiting_records: int
    oldest_event_s: int | None
    failures: int
    error: str | None


@dataclass(slots=True)
class Lane:
    """One trail's position. ``cursor``: everything up to it is delivered (durable). ``seen``: everything up to it is
    delivered, planned or in a window. ``generation``: the trail's, when the lane last looked.
    """

    trail_id: str
    cursor: int
    seen: int
    windows: Windows
    pending: list[Plan] = field(default_factory=list)
    planned_through: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    generation: int = 0
    deletion_noticed_s: float | None = None
    given_up: bool = False
    job: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_busy(self) -> bool:
        """Whether an attempt is under way."""
        return self.job is not None and self.job.is_alive()

    @property
    def has_work(self) -> bool:
        """Whether something is planned or closed and therefore to be put."""
        return bool(self.pending or self.windows.closed)

    @property
    def is_idle(self) -> bool:
        """Whether everything that was seen is delivered."""
        return not self.has_work and self.windows.open is None

    def take(self, frame: Frame, opened_s: float) -> None:
        """Count a frame that is routed to the trail, unless it was counted before."""
        if frame.sequence <= self.seen:
            return
        with self.lock:
            self.windows.add(frame, opened_s)
            self.seen = frame.sequence

    def close_if_due(self, now_s: float, interval_s: float) -> None:
        """Close the open window by age. While work waits it stays open, so that a backlog goes out in large files."""
        with self.lock:
            if not self.has_work:
                self.windows.close_if_due(now_s, interval_s)

    def close(self) -> None:
        """Close the open window whatever its age."""
        with self.lock:
            self.windows.close()

    def first_closed(self) -> Window | None:
        """The window to plan next; it stays in its place until it is planned."""
        with self.lock:
            return self.windows.closed[0] if self.windows.closed else None

    def planned(self, plans: tuple[Plan, ...], through: int) -> None:
        """The first closed window became plans."""
        with self.lock:
            del self.windows.closed[0]
            self.pending = list(plans)
            self.planned_through = through

    def marked(self, plan: Plan) -> None:
        """A plan is done; with the last one the cursor stands at the end of the window."""
        with self.lock:
            self.pending = [other for other in self.pending if other.plan_id != plan.plan_id]
            if not self.pending:
                self.cursor = max(self.cursor, self.planned_through)

    def readdressed(self, plan: Plan) -> None:
        """A pending plan goes to another bucket or key."""
        with self.lock:
            self.pending = [plan if other.plan_id == plan.plan_id else other for other in self.pending]

    def lag(self) -> LaneLag:
        """How far behind the lane is now."""
        with self.lock:
            windows = self.windows.every()
            pending = list(self.pending)
        waiting = sum(w.record_count for w in windows) + sum(p.record_count for p in pending)
        oldest = min([*(w.oldest_event_s for w in windows), *(p.oldest_event_s for p in pending)], default=None)
        return LaneLag(self.trail_id, waiting, oldest, self.backoff.failures, self.backoff.error)
