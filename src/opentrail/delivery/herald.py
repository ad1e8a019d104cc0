"""The herald: one thread that reads the journal and tells accounts' default event buses what happened.

Rules (cloudtrail fact sheet 10). An event goes to its account's bus in its region, at once and apart from log files.
The herald's cursor passes over what was told; what could not be is written down in the same unit as a stretch, one for
each account and region, which grows until its bus answers again and then is told in order. So one bus that refuses
holds up no other, and what it missed is tried again, with longer and longer pauses, for a day. A call that was answered
is not repeated; one whose answer was lost is, so that an event may be told twice.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from opentrail.clock import Clock
from opentrail.delivery.bus_entries import Choice, Entry, Request, entry_of, requests
from opentrail.delivery.lane import Backoff
from opentrail.delivery.rounds import Rounds
from opentrail.delivery.stretches import KEPT, Stretch, Stretches
from opentrail.errors import IntegrityError, OutboundError
from opentrail.journal import Frame, Journal, cursors
from opentrail.state.database import Database
from opentrail.trails.store import Trails

BUSES = "event-bus"
"""The reader that stands for accounts' event buses, and the name of its cursor."""

_READ_BYTES = 512 * 1024
_RETRIES_A_ROUND = 100
"""So many calls for what one bus missed, before the others have their turn."""

log = logging.getLogger(__name__)


class EventBus(Protocol):
    """The way to accounts' default buses."""

    def put(self, account_id: str, region: str, entries: Sequence[Entry]) -> Sequence[str]:
        """Put entries; answers the codes of those that the bus will never take.

        Raises OutboundError where trying again may help.
        """


class Herald:
    """Tells buses from ``start()`` to ``stop()``."""

    def __init__(
        self,
        *,
        journal: Journal,
        database: Database,
        trails: Trails,
        bus: EventBus,
        clock: Clock,
        choice: Choice,
    ) -> None:
        """Take up where the last herald stood; the first one of a HOME begins with what happens from now on."""
        self._journal = journal
        self._database = database
        self._trails = trails
        self._bus = bus
        self._clock = clock
        self._choice = choice
        self._stretches = Stretches(database)
        self._backoffs: dict[str, Backoff] = {}
        self._failure = ""
        self._rounds = Rounds("herald", self.run_pass)
        with database.unit() as unit:
            known = cursors.get(unit.connection, BUSES)
            self._cursor = journal.durable_sequence if known is None else known
            if known is None:
                cursors.put(unit, BUSES, self._cursor)

    def start(self) -> None:
        """Begin, with what the last process left first."""
        self._rounds.start()

    def stop(self, timeout_s: float) -> None:
        """End after the call under way, at most until the time is over."""
        self._rounds.stop(timeout_s)

    def run_pass(self) -> None:
        """Tell what waits where its turn has come, then everything new."""
        try:
            self._make_round()
        except IntegrityError as problem:
            self._report(str(problem))
        else:
            self._failure = ""

    def _make_round(self) -> None:
        for stretch in self._stretches.every(BUSES):
            if self._backoff(stretch.partition).not_before_s <= self._clock.monotonic():
                self._retry(stretch)
        while not self._rounds.are_ending:
            frames = self._journal.read(self._cursor, max_bytes=_READ_BYTES)
            if not frames:
                return
            self._tell(frames)

    def _report(self, failure: str) -> None:
        if failure != self._failure:
            log.critical("event buses are not told: %s", failure)
        self._failure = failure

    # What is new

    def _tell(self, frames: Sequence[Frame]) -> None:
        through = frames[-1].sequence
        behind = {stretch.partition: stretch for stretch in self._stretches.every(BUSES)}
        grown, new = [], []
        for partition, entries in self._entries_by_partition(frames).items():
            if partition in behind:
                grown.append(replace(behind[partition], through_sequence=through))
                continue
            told = self._put(partition, entries, self._cursor)
            if told < entries[-1][0]:
                new.append(Stretch(BUSES, partition, told, through, self._clock.now()))
        with self._database.unit() as unit:
            for stretch in grown:
                self._stretches.put(unit, stretch)
            for stretch in new:
                self._stretches.add(unit, stretch)
            cursors.put(unit, BUSES, through)
        self._cursor = through

    def _entries_by_partition(self, frames: Iterable[Frame]) -> dict[str, list[tuple[int, Entry]]]:
        found: dict[str, list[tuple[int, Entry]]] = {}
        for frame in frames:
            entry = self._entry(frame)
            if entry is not None:
                found.setdefault(frame.partition, []).append((frame.sequence, entry))
        return found

    def _entry(self, frame: Frame) -> Entry | None:
        if frame.is_intent:
            return None
        visible = self._trails.snapshot.visible_to(frame.partition.partition("/")[0])
        account_logs = any(trail.is_logging for trail in visible)
        return entry_of(frame.payload, self._choice, account_logs=account_logs, is_kept=bool(frame.routes))

    # What waits

    def _retry(self, stretch: Stretch) -> None:
        frames = stretch.frames(self._journal, lambda frame: not frame.is_intent)
        entries = ((frame.sequence, entry) for frame in frames if (entry := self._entry(frame)) is not None)
        for number, request in enumerate(requests(entries)):
            if number == _RETRIES_A_ROUND:
                self._rounds.wake()
            if number == _RETRIES_A_ROUND or self._rounds.are_ending:
                return
            if not self._send(stretch.partition, request):
                self._give_up_old(stretch)
                return
            stretch = stretch.after(request.through_sequence)
            with self._database.unit() as unit:
                self._stretches.put(unit, stretch)
        with self._database.unit() as unit:
            self._stretches.remove(unit, stretch)

    def _give_up_old(self, stretch: Stretch) -> None:
        oldest_s = (self._clock.now() - KEPT).timestamp()
        through, lost = stretch.after_sequence, 0
        for frame in stretch.frames(self._journal, lambda frame: not frame.is_intent):
            if frame.time_s >= oldest_s:
                break
            through, lost = frame.sequence, lost + (self._entry(frame) is not None)
        if through > stretch.after_sequence:
            log.error("%s: %d events, given up after a day, are on no event bus", stretch.partition, lost)
            with self._database.unit() as unit:
                self._stretches.put(unit, stretch.after(through))

    # Calls

    def _put(self, partition: str, entries: Iterable[tuple[int, Entry]], after: int) -> int:
        """Tell a bus; answers the sequence through which it was told."""
        for request in requests(entries):
            if self._rounds.are_ending or not self._send(partition, request):
                break
            after = request.through_sequence
        return after

    def _send(self, partition: str, request: Request) -> bool:
        """One call; whether it was answered. What the bus will never take is given up."""
        account_id, _, region = partition.partition("/")
        try:
            refused = self._bus.put(account_id, region, request.entries)
        except OutboundError as problem:
            log.warning("%s: the event bus was not told: %s", partition, problem)
            self._backoff(partition).fail(self._clock.monotonic(), problem.code)
            return False
        self._backoff(partition).clear()
        if refused:
            log.error(
                "%s: the event bus refused %d events: %s", partition, len(refused), ", ".join(sorted(set(refused)))
            )
        return True

    def _backoff(self, partition: str) -> Backoff:
        return self._backoffs.setdefault(partition, Backoff())


def retire(database: Database) -> None:
    """No bus is told any more: nothing of the journal waits for that."""
    with database.unit() as unit:
        cursors.drop(unit, BUSES)
        Stretches(database).forget(unit, BUSES)
