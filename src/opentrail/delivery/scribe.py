"""Plan, put, mark for digest files: how the log files of one trail become signed digests in its bucket.

1. *Plan.* One transaction takes the files that wait into a digest, signs it, keeps its bytes, and moves the chain on.
2. *Put.* Those bytes are put where the key is free, as a log file is.
3. *Mark.* One transaction marks the digest and lets go of its bytes; with a final one the chain ends.

A stream's next digest is planned when the one before is marked, so that it can name it. Stopping between any two steps
repeats the same bytes under the same key. What was planned goes elsewhere only if the trail does, and is signed anew.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from opentrail.clock import Clock
from opentrail.delivery.deposits import Deposit, Deposits
from opentrail.delivery.digest import signed
from opentrail.delivery.digest_times import Chain, Due, Stream, due, later_than
from opentrail.delivery.digests import Digests, PendingDigest, StreamName
from opentrail.delivery.keyring import Keyring, SigningKey
from opentrail.delivery.object_keys import DigestFileKey
from opentrail.delivery.plans import Plans
from opentrail.errors import IntegrityError, OutboundError
from opentrail.state.database import Database, Unit
from opentrail.trails.store import DigestStatus, Trails
from opentrail.trails.trail import Trail

SETTLING_S = 2.0
"""A call that was routed just before its trail stopped may reach the journal this much later."""

StreamId = tuple[str, str]
"""Trail id and partition."""


class Deliveries(Protocol):
    """What delivers log files: ``delivery.courier.Courier``, as far as it matters here."""

    def is_settled(self, trail_id: str, through_sequence: int) -> bool:
        """Whether all of the trail's records up to a sequence are delivered, or given up."""


@dataclass(slots=True)
class _Ending:
    """A trail that logs no more: when that was noticed, and up to where the journal may hold records of it."""

    noticed_s: float
    through_sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scribe:
    """What making digests needs; ``advance`` does it for one trail. ``stopping`` is asked between two digests.

    ``durable_sequence`` answers how far the journal reaches now.
    """

    database: Database
    trails: Trails
    plans: Plans
    digests: Digests
    deposits: Deposits
    keyring: Keyring
    deliveries: Deliveries
    durable_sequence: Callable[[], int]
    clock: Clock
    interval: timedelta
    stopping: Callable[[], bool]
    _planning: threading.Lock = field(default_factory=threading.Lock)
    _made_s: dict[StreamId, float] = field(default_factory=dict)
    _endings: dict[str, _Ending] = field(default_factory=dict)

    def advance(self, trail_id: str) -> None:
        """Deliver every digest of a trail that is due, oldest first.

        Raises OutboundError where the bucket refuses or cannot be reached, IntegrityError where a key holds something
        else, which holds up no other stream. Either way what is planned stays planned.
        """
        while (trail := self.trails.snapshot.get(trail_id)) is not None and not self.stopping():
            stuck = self._carry_pending(trail)
            found = self.due(trail, self.digests.chains(), self.digests.waiting())
            wanted = [(stream, interval) for stream, interval in found if stream.partition not in stuck]
            for stream, interval in wanted:
                self._plan(stream, interval)
            if wanted:
                continue
            if stuck:
                raise next(iter(stuck.values()))
            return

    def due(
        self, trail: Trail, chains: Mapping[StreamId, Chain], waiting: Mapping[StreamId, datetime]
    ) -> Iterable[tuple[StreamName, Due]]:
        """The digests that it is time for, at most one for each stream of the trail."""
        now, now_s = self.clock.now(), self.clock.monotonic()
        if trail.is_logging:
            self._endings.pop(trail.trail_id, None)
        for partition in sorted(self._partitions(trail, chains, waiting)):
            name, stream_id = StreamName(trail, partition), (trail.trail_id, partition)
            is_kept = trail.is_visible_in(name.region) and self.trails.snapshot.covers(trail, name.account_id)
            since = trail.digests_since if is_kept else None
            chain = chains.get(stream_id)
            ends = chain is not None and since is None
            stream = Stream(
                chain=chain,
                since=since,
                waiting=waiting.get(stream_id),
                settled=ends and self._is_settled(trail, now_s),
            )
            elapsed_s = now_s - self._made_s.setdefault(stream_id, now_s)
            found = due(stream, now, elapsed_s, self.interval)
            if found is not None:
                yield name, found

    def forget(self, trail_id: str) -> None:
        """Give up what a trail that is gone, or goes, can no longer deliver."""
        with self.database.unit() as unit:
            self.digests.abandon(unit, trail_id)
        self._endings.pop(trail_id, None)
        for stream_id in [known for known in tuple(self._made_s) if known[0] == trail_id]:
            self._made_s.pop(stream_id, None)

    def _partitions(self, trail: Trail, chains: Mapping[StreamId, Chain], waiting: Iterable[StreamId]) -> set[str]:
        """The streams with a chain or with files that wait; with a new activation also the home region's, and those
        that were delivered before.
        """
        found = {partition for trail_id, partition in (*chains, *waiting) if trail_id == trail.trail_id}
        home = f"{trail.account_id}/{trail.home_region}"
        since = trail.digests_since
        chain = chains.get((trail.trail_id, home))
        if since is not None and (chain is None or chain.since != since):
            found |= {home, *self.plans.partitions(trail.trail_id)}
        return found

    def _is_settled(self, trail: Trail, now_s: float) -> bool:
        """Whether a chain that ends waits for no further log file.

        Without validation no further file is digested. A trail that stopped still delivers what was recorded before.
        """
        if trail.validated_since is None or trail.is_logging:
            return True
        ending = self._endings.setdefault(trail.trail_id, _Ending(now_s))
        if now_s - ending.noticed_s < SETTLING_S:
            return False
        if ending.through_sequence is None:
            ending.through_sequence = self.durable_sequence()
        return self.deliveries.is_settled(trail.trail_id, ending.through_sequence)

    def _plan(self, stream: StreamName, wanted: Due) -> None:
        trail = stream.trail
        with self._planning:
            wanted = later_than(self.digests.last_end(trail.arn, stream.partition), wanted, self.interval)
            signer = self.keyring.signer(stream.region, wanted.end)
            key = _key_of(stream, wanted)
            with self.database.unit() as unit:
                digest_id = self.digests.take(unit, stream, wanted)
                self._sign(unit, digest_id, stream, (trail.bucket, key), signer)
                self.digests.move_chain(unit, stream, wanted, digest_id)
        self._made_s[trail.trail_id, stream.partition] = self.clock.monotonic()

    def _sign(self, unit: Unit, digest_id: int, stream: StreamName, place: tuple[str, str], signer: SigningKey) -> None:
        digest = self.digests.describe(unit, digest_id, stream.account_id, *place)
        self.digests.plan(unit, digest_id, digest, signed(digest, signer))

    def _carry_pending(self, trail: Trail) -> dict[str, IntegrityError]:
        """Put what is planned; answers what was found where a key holds something else, by partition."""
        stuck: dict[str, IntegrityError] = {}
        for pending in self.digests.pending(trail.trail_id):
            try:
                self._carry(trail, pending)
            except IntegrityError as error:
                stuck[pending.partition] = error
        return stuck

    def _carry(self, trail: Trail, pending: PendingDigest) -> None:
        file = pending.file
        try:
            self.deposits.check_access(trail, pending.bucket, pending.key)
            deposit = Deposit(pending.bucket, pending.key, file.body, file.sha256, file.size_bytes, file.metadata)
            self.deposits.put(trail, deposit)
        except OutboundError:
            self._follow_trail(trail, pending)
            raise
        now = self.clock.now()
        with self.database.unit() as unit:
            self.digests.mark(unit, trail.trail_id, pending, now)
            self.trails.put_digest_status(unit, trail.trail_id, DigestStatus(latest_delivery_at=now))

    def _follow_trail(self, trail: Trail, pending: PendingDigest) -> None:
        """After a failed put: where the trail has another bucket or prefix by now, the next attempt goes there."""
        stream = StreamName(trail, pending.partition)
        place = (trail.bucket, _key_of(stream, pending))
        if place == (pending.bucket, pending.key):
            return
        signer = self.keyring.signer(stream.region, pending.end)
        with self.database.unit() as unit:
            self._sign(unit, pending.digest_id, stream, place, signer)


def _key_of(stream: StreamName, interval: Due | PendingDigest) -> str:
    trail = stream.trail
    key = DigestFileKey(
        root=trail.log_root(stream.account_id),
        region=stream.region,
        trail_name=trail.name,
        home_region=trail.home_region,
        end=interval.end,
    )
    return str(key)
