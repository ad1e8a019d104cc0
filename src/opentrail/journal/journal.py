"""The journal: where an event record becomes durable before anybody is answered.

``append`` (threads) and ``write`` (coroutines) resolve once the bytes are on disk; everything that waits shares one
flush. Readers see durable frames only, in the order of their sequence numbers, beside the writing. Sequences are
contiguous except across damage that the operator accepted. What cannot be written is refused with JournalError, and
nothing that was acknowledged is ever lost or reordered. One process at a time has a journal open.
"""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from opentrail.errors import JournalError
from opentrail.journal.frames import Addresses, Draft, Frame, prepare
from opentrail.journal.intake import Entry
from opentrail.journal.opening import Doors, Parts, open_parts
from opentrail.journal.options import JournalOptions
from opentrail.journal.recovery import Recovery

__all__ = ["Doors", "Draft", "Frame", "Journal", "JournalOptions", "JournalStats", "Recovery"]


@dataclass(frozen=True, slots=True)
class JournalStats:
    """Figures for metrics and readiness.

    ``disk_bytes`` covers segments in use and spares; ``oldest_undelivered`` is the oldest sequence that some reader
    still needs (None: all is delivered); ``failure`` and ``problem`` are as on the journal.
    """

    disk_bytes: int
    segments: int
    spare_segments: int
    queued_bytes: int
    durable_sequence: int
    oldest_undelivered: int | None
    failure: str | None
    problem: str | None


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
            raise JournalError(f"{size_bytes} bytes for one call; {self._max_group_bytes} is the limit")
        return Entry(prepared, size_bytes, future, loop)

    def read(self, after: int, *, max_bytes: int) -> list[Frame]:
        """Durable frames behind a sequence, in order: at least one if there is one, and about ``max_bytes`` at most.

        Safe while others append, read and prune. Raises IntegrityError, with file and offset, where a frame's
        checksum fails.
        """
        return self._chain.read(after, max_bytes, self._addresses)

    def wait_for(self, after: int, timeout_s: float) -> bool:
        """Wait until something behind a sequence is durable; False if the time is over or the journal has ended."""
        return self._chain.wait_for(after, timeout_s)

    def prune(self, through: int) -> None:
        """Say that frames up to a sequence are needed no longer; whole segments are then recycled.

        Raises JournalError.
        """
        self._chain.prune(through)

    def stats(self) -> JournalStats:
        """Figures as they are now."""
        figures = self._chain.figures()
        return JournalStats(
            disk_bytes=figures.disk_bytes + self._spares.disk_bytes,
            segments=figures.segments,
            spare_segments=len(self._spares),
            queued_bytes=self._writer.intake.queued_bytes,
            durable_sequence=self.durable_sequence,
            oldest_undelivered=figures.oldest_undelivered,
            failure=self.failure,
            problem=self.problem,
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
