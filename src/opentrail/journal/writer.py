"""The one thread that writes: it takes everything that waits and flushes it with one system call.

A write that fails is final. What reached the disk is then unknown, and a second flush of the same descriptor may
report success for pages that were dropped, so that the descriptor is never flushed again: everybody waiting, and
everybody after, is refused, and ``on_failure`` tells the process to stop. No room for a *new* segment is different:
nothing was written, so that group is refused and the next one is tried again; outcomes of intents have their room.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from opentrail.errors import JournalError, NoRoomError
from opentrail.journal.chain import Chain
from opentrail.journal.files import DiskFiles
from opentrail.journal.frames import FrameCodec
from opentrail.journal.header import HEADER_BYTES, SegmentHeader
from opentrail.journal.intake import Entry, Intake, settle
from opentrail.journal.options import JournalOptions
from opentrail.journal.recovery import write_head
from opentrail.journal.reservations import Reservations
from opentrail.journal.room import Room
from opentrail.journal.segments import Segment, segment_name
from opentrail.journal.spares import SparePool


def start_segment(directory: Path, spare: Path, header: SegmentHeader, files: DiskFiles) -> Segment:
    """Turn a spare into an empty segment: its head first, then, with its name, its place in the journal.

    Raises OSError.
    """
    write_head(files, spare, header)
    path = directory / segment_name(header.generation)
    files.rename(spare, path)
    return Segment(path, header, HEADER_BYTES, header.first_sequence - 1, [])


class Writer:
    """Group commit: owns the active segment's descriptor and the sequence numbers."""

    def __init__(
        self,
        directory: Path,
        options: JournalOptions,
        *,
        files: DiskFiles,
        chain: Chain,
        spares: SparePool,
        salt: Callable[[], int],
        on_failure: Callable[[str], None],
    ) -> None:
        """Open the active segment for writing. Raises OSError."""
        self.intake = Intake(options.max_queue_bytes)
        self.reservations = Reservations(options.segment_bytes - HEADER_BYTES, options.max_group_bytes)
        self.failure: str | None = None
        self._directory = directory
        self._options = options
        self._files = files
        self._chain = chain
        self._spares = spares
        self._salt = salt
        self._on_failure = on_failure
        self.next_sequence = chain.active.last_sequence + 1
        self._use(chain.active)
        tail_bytes = self._active.header.segment_bytes - self._active.end
        self._room = Room(tail_bytes, options.segment_bytes - HEADER_BYTES)
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    @property
    def held_spares(self) -> int:
        """How many spares are kept for outcomes, out of the pool: one at most."""
        return int(self._room.held is not None)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, then stop. A journal in good order says so in its last head. Raises OSError."""
        self.intake.close("the journal is closed")
        self._thread.join()
        try:
            if self.failure is None:
                active = self._chain.active
                write_head(self._files, active.path, active.header.sealed(active.end, active.last_sequence + 1))
        finally:
            self._files.close(self._descriptor)

    def _use(self, segment: Segment) -> None:
        self._active = segment
        self._descriptor = self._files.open(segment.path)
        self._codec: FrameCodec = segment.codec

    def _run(self) -> None:
        entries: list[Entry] = []
        finished = False
        try:
            while entries := self.intake.take(self._options.max_batch_bytes):
                self._commit(entries)
            finished = True
        except OSError as error:
            self._fail(entries, f"the journal could not write {self._active.path}: {error.strerror or error}")
            finished = True
        finally:
            if not finished:  # a bug: nobody may wait for a thread that is gone
                self._fail(entries, "the journal's writer stopped unexpectedly")

    def _commit(self, entries: list[Entry]) -> None:
        begin = 0
        while begin < len(entries):
            end = self._room.fitting(entries, begin)
            if end > begin:
                batch = entries[begin:end]
                self._flush(batch)
                settle(batch)
                begin = end
            elif not self._make_room(entries[begin]):
                refusal = self._spares.problem or "no room for another segment"
                self._refuse(entries[begin : begin + 1], refusal, NoRoomError)
                begin += 1

    def _flush(self, batch: list[Entry]) -> None:
        parts: list[bytes] = []
        start, first = self._active.end, self.next_sequence
        sequence = first
        for entry in batch:
            self._codec.encode(entry.group, sequence, start, parts)
            sequence += len(entry.group)
            entry.last_sequence = sequence - 1
        data = b"".join(parts)
        self._files.write(self._descriptor, data, start)
        self.next_sequence = sequence
        promises = [(entry.promise, entry) for entry in batch if entry.promise is not None]
        self._room.place(len(data), sum(promise.change_bytes for promise, _ in promises))
        for promise, entry in promises:
            if not promise.concludes:
                self.reservations.opened(promise.intent, entry.last_sequence - len(entry.group) + 1)
        self._chain.grow(first, sequence - 1, start + len(data))
        for promise, _ in promises:
            if promise.concludes:
                self.reservations.concluded(promise.intent)

    def _make_room(self, entry: Entry) -> bool:
        """Hold a spare for a group that does not fit, and go on in it if need be; False if there is none at present."""
        room = self._room
        room.held = room.held or self._spares.take()
        if room.held is None:
            return False
        if entry.size_bytes > room.tail_bytes:
            self._roll(room.held)
            room.go_on()
        return True

    def _roll(self, spare: Path) -> None:
        """Go on in a new segment."""
        header = SegmentHeader(
            generation=self._active.header.generation + 1,
            segment_bytes=self._options.segment_bytes,
            first_sequence=self.next_sequence,
            salt=self._salt(),
        )
        segment = start_segment(self._directory, spare, header, self._files)
        self._chain.extend(segment)
        self._files.close(self._descriptor)
        self._use(segment)

    def _refuse(self, entries: list[Entry], refusal: str, family: type[JournalError] = JournalError) -> None:
        for entry in entries:
            if entry.promise is not None:
                self.reservations.refused(entry.promise)
        settle(entries, refusal, family)

    def _fail(self, entries: list[Entry], reason: str) -> None:
        self.failure = reason
        self.intake.close(reason)
        waiting = [entry for entry in entries if not entry.settled] + self.intake.drop_all()
        self._refuse(waiting, reason)
        self._chain.wake_all()
        self._on_failure(reason)
