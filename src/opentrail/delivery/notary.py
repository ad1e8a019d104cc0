"""The notary: one thread that looks which digests are due, and short-lived ones that deliver them, one for each trail.

Rules. Every trail goes its own pace: one whose bucket refuses waits longer and longer, and holds nobody else up. How
the last attempt went stands in the trail's status. A deleted trail whose bucket refuses is given up at the first
failure; so is a chain that meets a strange object at its key, once validation is turned off.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta

from opentrail.clock import Clock
from opentrail.delivery.deposits import Deposits
from opentrail.delivery.digests import Digests
from opentrail.delivery.keyring import Keyring
from opentrail.delivery.lane import Backoff
from opentrail.delivery.plans import Plans
from opentrail.delivery.scribe import Deliveries, Scribe
from opentrail.errors import IntegrityError, OutboundError
from opentrail.journal import Journal
from opentrail.state.database import Database
from opentrail.trails.store import DigestStatus, Trails
from opentrail.trails.trail import Trail

_INTEGRITY = "IntegrityError"
_LONGEST_TICK_S = 1.0
_KEEP_MARKED = timedelta(days=7)
_TIDY_EVERY_S = 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NotaryOptions:
    """``interval_s``: seconds from one digest to the next. ``workers`` bounds how many trails deliver at a time."""

    interval_s: int = 3600
    workers: int = 4


@dataclass(slots=True)
class _Desk:
    """Where one trail's digests are worked on. ``generation``: the trail's, when the notary last looked."""

    backoff: Backoff = field(default_factory=Backoff)
    generation: int = 0
    job: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an attempt is under way."""
        return self.job is not None and self.job.is_alive()


class Notary:
    """Delivers the digest files of every trail with log file validation, from ``start()`` to ``stop()``."""

    def __init__(
        self,
        *,
        journal: Journal,
        database: Database,
        trails: Trails,
        deposits: Deposits,
        keyring: Keyring,
        deliveries: Deliveries,
        clock: Clock,
        options: NotaryOptions | None = None,
    ) -> None:
        """Take up where the database says that the last notary stood. Nothing is put yet."""
        self._options = options or NotaryOptions()
        self._database, self._trails, self._clock = database, trails, clock
        self._digests = Digests(database)
        self._stopping = threading.Event()
        self._scribe = Scribe(
            database=database,
            trails=trails,
            plans=Plans(database),
            digests=self._digests,
            deposits=deposits,
            keyring=keyring,
            deliveries=deliveries,
            durable_sequence=lambda: journal.durable_sequence,
            clock=clock,
            interval=timedelta(seconds=self._options.interval_s),
            stopping=self._stopping.is_set,
        )
        self._desks: dict[str, _Desk] = {}
        self._thread: threading.Thread | None = None
        self._tidied_s = clock.monotonic()
        self._failure: str | None = None

    @property
    def failure(self) -> str | None:
        """Why the notary itself cannot go on, if it cannot."""
        return self._failure

    def start(self) -> None:
        """Begin, on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="notary", daemon=True)
        self._thread.start()

    def stop(self, deadline_s: float = 10.0) -> None:
        """Finish the puts under way, at most until the deadline, and start no more; the next notary goes on."""
        until_s = time.monotonic() + deadline_s
        self._stopping.set()
        jobs = [desk.job for desk in tuple(self._desks.values())]
        for thread in (self._thread, *jobs):
            if thread is not None:
                thread.join(max(0.0, until_s - time.monotonic()))

    def wait_for_jobs(self) -> None:
        """Wait until no attempt is under way."""
        for desk in tuple(self._desks.values()):
            if desk.job is not None:
                desk.job.join()

    def run_pass(self) -> None:
        """One round: look at every trail, and begin what is due (each trail on a thread of its own)."""
        chains, waiting, pending = self._digests.chains(), self._digests.waiting(), self._digests.trails_with_pending()
        snapshot = self._trails.snapshot
        for trail in snapshot.every():
            has_work = trail.trail_id in pending or any(self._scribe.due(trail, chains, waiting))
            if has_work:
                self._begin_if_possible(trail)
        for trail_id in {*self._desks, *(trail_id for trail_id, _ in chains)}:
            if snapshot.get(trail_id) is None:
                self._scribe.forget(trail_id)
                self._desks.pop(trail_id, None)
        self._tidy()

    def _run(self) -> None:
        tick_s = min(_LONGEST_TICK_S, self._options.interval_s / 10)
        while not self._stopping.wait(tick_s):
            try:
                self.run_pass()
                self._failure = None
            except Exception as error:  # the state database failed, or a bug: say so, and try again
                log.exception("a pass of the notary failed")
                self._failure = f"{type(error).__name__}: {error}"

    def _begin_if_possible(self, trail: Trail) -> None:
        desk = self._desks.setdefault(trail.trail_id, _Desk())
        if desk.generation != trail.generation:  # somebody changed it: what failed before may work now
            desk.generation = trail.generation
            desk.backoff.not_before_s = 0.0
        if desk.is_busy or self._clock.monotonic() < desk.backoff.not_before_s:
            return
        if sum(other.is_busy for other in self._desks.values()) >= self._options.workers:
            return
        desk.job = threading.Thread(
            target=self._attempt, args=(desk, trail), name=f"scribe-{trail.trail_id}", daemon=True
        )
        desk.job.start()

    def _attempt(self, desk: _Desk, trail: Trail) -> None:
        try:
            self._scribe.advance(trail.trail_id)
            desk.backoff.clear()
        except OutboundError as error:
            log.warning("trail %s: digest file not delivered: %s", trail.trail_id, error)
            self._failed(desk, trail, error.code)
        except IntegrityError as error:
            log.critical("trail %s: %s", trail.trail_id, error)
            self._failed(desk, trail, _INTEGRITY)
        except Exception:  # the state database failed, or a bug: what is planned stands, so trying again is safe
            log.exception("trail %s: the delivery of digest files failed", trail.trail_id)
            desk.backoff.fail(self._clock.monotonic(), "InternalFailure")

    def _failed(self, desk: _Desk, trail: Trail, code: str) -> None:
        desk.backoff.fail(self._clock.monotonic(), code)
        known = self._trails.snapshot.get(trail.trail_id)
        is_gone = known is None or known.deleted_at is not None
        if is_gone or (code == _INTEGRITY and known is not None and known.validated_since is None):
            log.warning("trail %s: digest files that its bucket does not take are given up", trail.arn)
            self._scribe.forget(trail.trail_id)
        if is_gone:
            return
        latest = self._trails.digest_status(trail.trail_id).latest_delivery_at
        with self._database.unit() as unit:
            self._trails.put_digest_status(unit, trail.trail_id, DigestStatus(latest, code))

    def _tidy(self) -> None:
        """Forget old digests, now and then."""
        now_s = self._clock.monotonic()
        if now_s - self._tidied_s < _TIDY_EVERY_S:
            return
        self._tidied_s = now_s
        with self._database.unit() as unit:
            self._digests.forget_marked(unit, self._clock.now() - _KEEP_MARKED)
