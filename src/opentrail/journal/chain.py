"""The segments of an open journal in their order: what is durable, where readers find it, and what may be recycled."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentrail.errors import JournalError
from opentrail.journal.copying import Extent
from opentrail.journal.files import DiskFiles
from opentrail.journal.frames import Addresses, Frame
from opentrail.journal.segments import Segment, Stretch, read_stretch
from opentrail.journal.spares import SparePool


@dataclass(frozen=True, slots=True)
class ChainFigures:
    """Sizes for metrics: segments in use, their bytes on disk, and the oldest sequence that some reader still needs."""

    segments: int
    disk_bytes: int
    oldest_undelivered: int | None


class Chain:
    """Segments, oldest first; the last one is the active one. Safe for many readers beside one writer."""

    def __init__(self, segments: list[Segment], files: DiskFiles, spares: SparePool) -> None:
        """Take over recovered segments; there is at least one."""
        self._segments = segments
        self._files = files
        self._spares = spares
        self._lock = threading.Lock()
        self._pruning = threading.Lock()
        self._holds = 0
        self._grown = threading.Condition(self._lock)
        self._waiting = 0
        self._durable_sequence = segments[-1].last_sequence
        self._newest = max((segment.last_sequence for segment in segments if segment.has_frames), default=0)
        self._pruned_through = segments[0].header.first_sequence - 1
        self._closed = False

    @property
    def active(self) -> Segment:
        """The segment that is written to."""
        return self._segments[-1]

    @property
    def durable_sequence(self) -> int:
        """The last sequence that is on disk (or was given up with accepted damage); 0 if there is none."""
        return self._durable_sequence

    def grow(self, first_sequence: int, last_sequence: int, end: int) -> None:
        """Make a batch that has just become durable visible to readers, and wake those who wait for it."""
        with self._lock:
            self._segments[-1].grow(first_sequence, last_sequence, end)
            self._durable_sequence = self._newest = last_sequence
            if self._waiting:
                self._grown.notify_all()

    def extend(self, segment: Segment) -> None:
        """Add a new, empty active segment."""
        with self._lock:
            self._segments.append(segment)

    def wait_for(self, after: int, timeout_s: float) -> bool:
        """Whether something newer than a sequence is durable, waiting for it up to a time (or the journal's end)."""
        with self._lock:
            self._waiting += 1
            try:
                self._grown.wait_for(lambda: self._newest > after or self._closed, timeout_s)
            finally:
                self._waiting -= 1
            return self._newest > after

    def wake_all(self) -> None:
        """Let nobody wait any longer: nothing more will come."""
        with self._lock:
            self._closed = True
            self._grown.notify_all()

    def read(self, after: int, max_bytes: int, addresses: Addresses) -> list[Frame]:
        """Durable frames behind a sequence, in order; at least one if there is one.

        Raises IntegrityError, JournalError.
        """
        while (pinned := self._pin(after)) is not None:
            segment, stretch, last_sequence = pinned
            frames: list[Frame] = []
            try:
                frames, stop = read_stretch(self._files, stretch, after=after, max_bytes=max_bytes, addresses=addresses)
            except OSError as error:
                raise JournalError(f"{segment.path} cannot be read: {error.strerror or error}") from error
            finally:
                with self._lock:
                    segment.readers -= 1
            if frames:
                with self._lock:
                    segment.remember(frames[-1].sequence, stop)
                return frames
            after = last_sequence
        return []

    def _pin(self, after: int) -> tuple[Segment, Stretch, int] | None:
        """The segment to read next, kept from being recycled while it is read."""
        with self._lock:
            for segment in self._segments:
                if segment.last_sequence > after and segment.has_frames:
                    segment.readers += 1
                    stretch = Stretch(segment.path, segment.codec, segment.start_for(after), segment.end)
                    return segment, stretch, segment.last_sequence
        return None

    def prune(self, through: int) -> None:
        """Give back whole segments whose frames are all needed no longer, unless somebody holds them all.

        Raises JournalError if the disk refuses.
        """
        with self._pruning:
            self._pruned_through = max(self._pruned_through, min(through, self._durable_sequence))
            while not self._holds and (segment := self._unlink_oldest(through)) is not None:
                try:
                    self._spares.give(segment.path)
                except OSError as error:
                    with self._lock:
                        self._segments.insert(0, segment)
                    raise JournalError(f"{segment.path} cannot be recycled: {error.strerror or error}") from error

    def _unlink_oldest(self, through: int) -> Segment | None:
        with self._lock:
            oldest = self._segments[0]
            if len(self._segments) == 1 or oldest.last_sequence > through or oldest.readers:
                return None
            return self._segments.pop(0)

    @contextmanager
    def unpruned(self) -> Iterator[None]:
        """Keep every segment for the length of a block; what may go then goes with a later ``prune``."""
        with self._pruning:
            self._holds += 1
        try:
            yield
        finally:
            with self._pruning:
                self._holds -= 1

    def extents(self) -> list[Extent]:
        """What every segment holds for good now, oldest first. Only within ``unpruned`` do they stay."""
        with self._lock:
            return [Extent(one.path, one.header, one.end, one.last_sequence) for one in self._segments]

    def figures(self) -> ChainFigures:
        """Sizes as they are now."""
        with self._lock:
            oldest = max(self._pruned_through + 1, self._segments[0].header.first_sequence)
            return ChainFigures(
                segments=len(self._segments),
                disk_bytes=sum(segment.header.segment_bytes for segment in self._segments),
                oldest_undelivered=oldest if oldest <= self._durable_sequence else None,
            )
