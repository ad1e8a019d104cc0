"""What waits for the next flush, and telling those who wait.

The queue is bounded in bytes. Threads wait on a ``concurrent.futures.Future``; coroutines on a future of their loop,
and each loop is woken once per batch, however many of its coroutines were waiting.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from opentrail.errors import JournalError
from opentrail.journal.frames import Prepared
from opentrail.journal.reservations import Promise


@dataclass(slots=True)
class Entry:
    """A group of frames on its way to the disk, who waits for it, and what it means to the reservations, if it is an
    intent or an outcome."""

    group: list[Prepared]
    size_bytes: int
    future: "Future[int] | asyncio.Future[int]"
    loop: asyncio.AbstractEventLoop | None = None
    promise: Promise | None = None
    last_sequence: int = 0
    settled: bool = False


class Intake:
    """The bounded queue in front of the writer thread."""

    def __init__(self, max_queue_bytes: int) -> None:
        """Begin empty."""
        self._limit_bytes = max_queue_bytes
        self._entries: deque[Entry] = deque()
        self._queued_bytes = 0
        self._lock = threading.Lock()  # taken directly: entering a Condition costs twice as much
        self._arrived = threading.Condition(self._lock)
        self._writer_waits = False
        self._refusal: str | None = None

    @property
    def queued_bytes(self) -> int:
        """How much waits."""
        return self._queued_bytes

    def put(self, entry: Entry) -> None:
        """Queue a group. Raises JournalError if the queue is full or closed; nothing was queued then.

        Outcomes are taken into a full queue, too: they are bounded by the open intents.
        """
        with self._lock:
            if self._refusal is not None:
                raise JournalError(self._refusal)
            if self._queued_bytes + entry.size_bytes > self._limit_bytes and not _is_outcome(entry):
                raise JournalError("too many records are waiting for the disk")
            self._entries.append(entry)
            self._queued_bytes += entry.size_bytes
            if self._writer_waits:
                self._writer_waits = False
                self._arrived.notify()

    def take(self, max_bytes: int) -> list[Entry]:
        """Everything that waits, up to a batch's size (at least one group); empty once the queue is closed and
        drained.
        """
        with self._lock:
            while not self._entries and self._refusal is None:
                self._writer_waits = True
                self._arrived.wait()
            batch: list[Entry] = []
            size_bytes = 0
            while self._entries and (not batch or size_bytes + self._entries[0].size_bytes <= max_bytes):
                entry = self._entries.popleft()
                size_bytes += entry.size_bytes
                batch.append(entry)
            self._queued_bytes -= size_bytes
            return batch

    def close(self, refusal: str) -> None:
        """Take nothing more; later calls are refused with this reason. The first reason stays."""
        with self._lock:
            self._refusal = self._refusal or refusal
            self._arrived.notify_all()

    def drop_all(self) -> list[Entry]:
        """Everything that still waits, taken out."""
        with self._lock:
            left = list(self._entries)
            self._entries.clear()
            self._queued_bytes = 0
            return left


def _is_outcome(entry: Entry) -> bool:
    return entry.promise is not None and entry.promise.concludes


def settle(entries: Iterable[Entry], refusal: str | None = None, family: type[JournalError] = JournalError) -> None:
    """Tell everybody who waits: their last sequence, or that the record could not be written."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Entry]] = {}
    for entry in entries:
        entry.settled = True
        if entry.loop is not None:
            by_loop.setdefault(entry.loop, []).append(entry)
        elif refusal is None:
            entry.future.set_result(entry.last_sequence)
        else:
            entry.future.set_exception(family(refusal))
    for loop, waiting in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, waiting, refusal, family)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            continue


def _settle_all(entries: list[Entry], refusal: str | None, family: type[JournalError]) -> None:
    for entry in entries:
        future = entry.future
        if future.done():  # its coroutine was cancelled
            continue
        if refusal is None:
            future.set_result(entry.last_sequence)
        else:
            future.set_exception(family(refusal))
