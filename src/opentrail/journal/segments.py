"""Segments: the files a journal consists of, their names, and reading one of them.

A segment is called ``<generation, 20 digits>.segment``; files waiting to become one are ``spare-<number>.segment``.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from opentrail.errors import IntegrityError
from opentrail.journal.examination import INDEX_EVERY_BYTES
from opentrail.journal.files import DiskFiles
from opentrail.journal.frames import Addresses, Frame, FrameCodec
from opentrail.journal.header import HEADER_BYTES, SegmentHeader

_NAME = re.compile(r"(\d{20})\.segment")
_READ_BYTES = 256 * 1024
_LARGEST_READ_BYTES = 4 * 1024 * 1024
_RECENT_PLACES = 16


def segment_name(generation: int) -> str:
    """The file name of a segment."""
    return f"{generation:020d}.segment"


def segment_files(directory: Path) -> list[tuple[int, Path]]:
    """The segments of a journal, oldest first, with their generations."""
    found = ((_NAME.fullmatch(path.name), path) for path in directory.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


@dataclass(slots=True)
class Segment:
    """One segment in use.

    ``end`` and ``last_sequence`` cover what is durable; ``readers`` keeps it from being recycled.
    """

    path: Path
    header: SegmentHeader
    end: int
    last_sequence: int
    marks: list[tuple[int, int]]
    readers: int = 0
    _recent: dict[int, int] = field(default_factory=dict)

    @property
    def codec(self) -> FrameCodec:
        """What reads and writes its frames."""
        return FrameCodec(self.header.generation, self.header.salt)

    @property
    def has_frames(self) -> bool:
        """Whether anything stands in it."""
        return self.last_sequence >= self.header.first_sequence

    def grow(self, first_sequence: int, last_sequence: int, end: int) -> None:
        """Note that a batch became durable at the end."""
        if not self.marks or self.end - self.marks[-1][1] >= INDEX_EVERY_BYTES:
            self.marks.append((first_sequence, self.end))
        self.last_sequence = last_sequence
        self.end = end

    def start_for(self, after: int) -> int:
        """An offset, close before the first frame behind a sequence, at which a frame begins."""
        recent = self._recent.get(after)
        if recent is not None:
            return recent
        position = bisect_right(self.marks, after + 1, key=lambda mark: mark[0]) - 1
        return self.marks[position][1] if position >= 0 else HEADER_BYTES

    def remember(self, sequence: int, offset: int) -> None:
        """Keep the place behind a frame: readers usually go on where they stopped. Bounded."""
        while len(self._recent) >= _RECENT_PLACES:
            self._recent.pop(next(iter(self._recent)), None)
        self._recent[sequence] = offset


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a segment that a reader may look at, as it was when the reader came: frames begin at ``start``, and
    those before ``end`` are durable."""

    path: Path
    codec: FrameCodec
    start: int
    end: int


def read_stretch(
    files: DiskFiles, stretch: Stretch, *, after: int, max_bytes: int, addresses: Addresses
) -> tuple[list[Frame], int]:
    """The frames of a stretch with a sequence above ``after``, in order, and the offset behind the last one looked
    at.

    Stops once ``max_bytes`` of frames are taken, but takes at least one if there is one. Raises IntegrityError, with
    file and offset, where a durable frame does not validate, and OSError where the disk does not answer.
    """
    frames: list[Frame] = []
    start, taken_bytes, piece_bytes = stretch.start, 0, max(_READ_BYTES, min(max_bytes, _LARGEST_READ_BYTES))
    while start < stretch.end and taken_bytes < max_bytes:
        content = files.read(stretch.path, start, min(piece_bytes, stretch.end - start))
        offset = 0
        while taken_bytes < max_bytes and (found := stretch.codec.read(content, offset, addresses)) is not None:
            frame, end = found
            if frame.sequence > after:
                frames.append(frame)
                taken_bytes += end - offset
            offset = end
        start += offset
        if offset == 0:  # the frame is larger than the piece, or not valid
            if len(content) < piece_bytes or piece_bytes >= stretch.end - start:
                raise IntegrityError(f"{stretch.path}: damaged at offset {start}: a frame is not valid")
            piece_bytes *= 4
    return frames, start
