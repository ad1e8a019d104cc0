"""The journal: where an event record becomes durable before anybody is answered.

``append`` (threads) and ``write`` (coroutines) resolve once the bytes are on disk; everything that waits shares one
flush. Readers see durable frames only, in the order of their sequence numbers, beside the writing. Sequences are
contiguous except across damage that the operator accepted. What cannot be written is refused with JournalError, and
nothing that was acknowledged is ever lost or reordered. One process at a time has a journal open.

``intend`` announces a call that may have an effect elsewhere, and keeps room for its outcome; ``conclude`` takes it.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opentrail.errors import JournalError, NoRoomError
from opentrail.journal.copying import SequenceRange, copy_segments
from opentrail.journal.files import DiskFiles
from opentrail.journal.frames import Addresses, Draft, Frame, as_intent, prepare
from opentrail.journal.intake import Entry
from opentrail.journal.opening import Doors, Parts, open_parts
from opentrail.journal.options import JournalOptions
from opentrail.journal.recovery import Recovery
from opentrail.journal.reservations import Intent, Promise

__all__ = ["Doors", "Draft", "Frame", "Journal", "JournalOptions", "JournalStats", "Recovery"]


@dataclass(frozen=True, slots=True)
class JournalStats:
    """Figures for metrics and readiness.

    ``disk_bytes`` covers segments in use and spares; ``oldest_undelivered`` is the oldest sequence that some reader
    still needs (None: all is delivered); ``failure`` and ``problem`` are as on the journal; ``reserved_bytes`` is kept
    free for the outcomes of ``open_intents``.
    """

    disk_bytes: int
    segments: int
    spare_segments: int
    queued_bytes: int
    durable_sequence: int
    oldest_undelivered: int | None
    failure: str | None
    problem: str | None
    open_intents: int
    reserved_bytes: int


class Journal:
    """An open journal; made by ``open``."""

    def __init__(self, parts: Parts, options: JournalOptions) -> None:
        """Take over the parts that ``open`` has put together."""
        self.recovery = parts.recovery
        self._chain = parts.chain
        self._writer = parts.writer
        self._spares = parts.spares
        self._lock = parts.lock
        self._addresses = Addresses()
        self._max_group_bytes = options.max_group_bytes
        self._segment_bytes = options.segment_bytes
        self._closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        options: JournalOptions | None = None,
        *,
        accept_damage: bool = False,
        doors: Doors | None = None,
    ) -> "Journal":
        """Open the journal in a directory, which is made if need be, and recover what the last process left.

        Raises IntegrityError that names file and offset where evidence is damaged (nothing was changed; open with
        ``accept_damage`` to go on with what is whole: the report is in ``recovery``), and JournalError if the journal
        is in use or the disk refuses.
        """
        options = options or JournalOptions()
        return cls(open_parts(directory, options, doors or Doors(), accept_damage=accept_damage), options)

    @property
    def next_sequence(self) -> int:
        """The first sequence number that is not used yet."""
        return self._writer.next_sequence

    @property
    def durable_sequence(self) -> int:
        """The last durable sequence number; 0 if there is none."""
        return self._chain.durable_sequence

    @property
    def concluded_through(self) -> int:
        """The sequence up to which no intent of this process waits for its outcome, and which may be pruned.

        What an earlier process left open is for ``intents.recover``, before anybody prunes.
        """
        durable = self.durable_sequence  # read first: an intent that is durable by then is known to be open
        oldest = self._writer.reservations.figures().oldest_sequence
        return durable if oldest is None else min(durable, oldest - 1)

    @property
    def failure(self) -> str | None:
        """Why nothing can be written any more; None while the journal is in order."""
        return self._writer.failure

    @property
    def problem(self) -> str | None:
        """Why no further segment can be prepared at present (the disk is full); appends are refused once the active
        one is used up.
        """
        return self._spares.problem

    def append(self, group: Sequence[Draft]) -> "Future[int]":
        """Queue all copies of one call as one atomic group; the future gives the group's last sequence once it is on
        disk.

        The future fails with JournalError if the group could not be written. Raises JournalError at once if it cannot
        even be queued (journal failed or closed, too much waiting, group too large), ValueError for a malformed
        draft.
        """
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # what is queued is written: there is no way back
        self._writer.intake.put(self._entry(group, future, None))
        return future

    async def write(self, group: Sequence[Draft]) -> int:
        """``append`` for coroutines: answers the last sequence. A cancelled caller's group is written all the same."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._writer.intake.put(self._entry(group, future, loop))
        return await future

    def _entry(
        self,
        group: Sequence[Draft],
        future: "Future[int] | asyncio.Future[int]",
        loop: asyncio.AbstractEventLoop | None,
    ) -> Entry:
        if not group:
            raise ValueError("a group holds at least one record")
        addresses = self._addresses
        prepared, size_bytes = [], 0
        for draft in group:
            one = prepare(draft, addresses)
            size_bytes += one.frame_bytes
            prepared.append(one)
        if size_bytes > self._max_group_bytes:
            raise NoRoomError(f"{size_bytes} bytes for one call; {self._max_group_bytes} is the limit")
        return Entry(prepared, size_bytes, future, loop)

    async def intend(self, group: Sequence[Draft]) -> Intent:
        """Make the intent of a call durable, and keep room for its outcome; only then may the call be forwarded.

        ``group`` holds the records that stand for the call should its outcome never become known: they have the event
        ids, partitions and routes that its records will have. Raises JournalError where it could not be written, or
        where too much is promised already; nothing is open then. A cancelled caller's intent is concluded as unknown.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        intent = self._propose(group, future, loop)
        await self._even_if_cancelled(intent, future)
        return intent

    def intend_blocking(self, group: Sequence[Draft]) -> Intent:
        """``intend`` for threads."""
        future: Future[int] = Future()
        intent = self._propose(group, future, None)
        future.result()
        return intent

    async def conclude(self, intent: Intent, group: Sequence[Draft]) -> int:
        """Append the outcome of an intent; answers its last sequence. Nobody waits for the intent any more.

        ``group`` holds a record for each of the intent's event ids, and may hold others. ``intent.group`` is the
        outcome that says that it is unknown. Raises NoRoomError where the group takes more than was kept for it and
        there is no other room: the intent stays open, and a group within ``intent.reserved_bytes`` is never refused
        so. Raises JournalError where the journal failed or is closed (the next start concludes the intent), ValueError
        where the intent is not open. A cancelled caller's outcome is written all the same, as unknown if need be.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._take_outcome(intent, self._entry(group, future, loop), group)
        return await self._even_if_cancelled(intent, future)

    def conclude_blocking(self, intent: Intent, group: Sequence[Draft]) -> int:
        """``conclude`` for threads."""
        future: Future[int] = Future()
        self._take_outcome(intent, self._entry(group, future, None), group)
        return future.result()

    def _propose(
        self,
        group: Sequence[Draft],
        future: "Future[int] | asyncio.Future[int]",
        loop: asyncio.AbstractEventLoop | None,
    ) -> Intent:
        entry = self._entry(group, future, loop)
        entry.group = [as_intent(one) for one in entry.group]
        promise = self._writer.reservations.propose(group, entry.size_bytes)
        self._put(entry, promise)
        return promise.intent

    def _take_outcome(self, intent: Intent, entry: Entry, group: Sequence[Draft]) -> None:
        self._put(entry, self._writer.reservations.conclude(intent, group))

    def _put(self, entry: Entry, promise: Promise) -> None:
        entry.promise = promise
        try:
            self._writer.intake.put(entry)
        except JournalError:
            self._writer.reservations.refused(promise)
            raise

    async def _even_if_cancelled(self, intent: Intent, future: "asyncio.Future[int]") -> int:
        """Wait for an intent's or outcome's group; if nobody waits any more, no intent stays open behind it."""
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(lambda _: self._forsake(intent))
            raise

    def _forsake(self, intent: Intent) -> None:
        """Conclude as unknown, unless it is concluded, an intent whose caller is gone."""
        if not self._writer.reservations.is_open(intent):
            return
        try:
            self._take_outcome(intent, self._entry(intent.group, Future(), None), intent.group)
        except JournalError:  # failed or closed: the next start concludes it
            return

    def read(self, after: int, *, max_bytes: int) -> list[Frame]:
        """Durable frames behind a sequence, in order: at least one if there is one, and about ``max_bytes`` at most.

        Safe while others append, read and prune. Raises IntegrityError, with file and offset, where a frame's
        checksum fails.
        """
        return self._chain.read(after, max_bytes, self._addresses)

    def frames(self, after: int, *, max_bytes: int) -> Iterator[Frame]:
        """Durable frames behind a sequence, in order, read about ``max_bytes`` at a time. Raises IntegrityError."""
        while found := self.read(after, max_bytes=max_bytes):
            yield from found
            after = found[-1].sequence

    def wait_for(self, after: int, timeout_s: float) -> bool:
        """Wait until something behind a sequence is durable; False if the time is over or the journal has ended."""
        return self._chain.wait_for(after, timeout_s)

    def prune(self, through: int) -> None:
        """Say that frames up to a sequence are needed no longer; whole segments are then recycled.

        Never goes beyond an open intent. Raises JournalError.
        """
        self._chain.prune(min(through, self.concluded_through))

    @contextmanager
    def unpruned(self) -> Iterator[None]:
        """Prune nothing for the length of a block; ``prune`` may be called, and takes effect when called again."""
        with self._chain.unpruned():
            yield

    def copy(self, directory: Path) -> SequenceRange:
        """Write everything that is durable now into an empty directory, while others append; ``unpruned`` only.

        Raises JournalError where a disk refuses.
        """
        try:
            return copy_segments(self._chain.extents(), directory, DiskFiles())
        except OSError as error:
            raise JournalError(f"the journal cannot be copied to {directory}: {error.strerror or error}") from error

    def stats(self) -> JournalStats:
        """Figures as they are now."""
        figures, intents = self._chain.figures(), self._writer.reservations.figures()
        held = self._writer.held_spares
        return JournalStats(
            disk_bytes=figures.disk_bytes + self._spares.disk_bytes + held * self._segment_bytes,
            segments=figures.segments,
            spare_segments=len(self._spares) + held,
            queued_bytes=self._writer.intake.queued_bytes,
            durable_sequence=self.durable_sequence,
            oldest_undelivered=figures.oldest_undelivered,
            failure=self.failure,
            problem=self.problem,
            open_intents=intents.count,
            reserved_bytes=intents.reserved_bytes,
        )

    def close(self) -> None:
        """Write what waits, stop the threads, and leave the journal to others. Doing it again does nothing.

        Raises JournalError if the last head could not be written; nothing acknowledged is lost by that.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._writer.close()
        except OSError as error:
            raise JournalError(f"the journal could not be closed in order: {error.strerror or error}") from error
        finally:
            self._spares.close()
            self._chain.wake_all()
            os.close(self._lock)
