"""A copy of a journal while it is written to, and judging a journal that nobody has open.

A copy holds every frame that was durable when it began. Its last segment is closed behind its last frame, so that the
copy is as small as what it holds; whoever opens it goes on in a new segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opentrail.errors import IntegrityError
from opentrail.journal.files import DiskFiles
from opentrail.journal.header import HEADER_BYTES, SegmentHeader
from opentrail.journal.recovery import judge_all
from opentrail.journal.segments import segment_files, segment_name

_PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Extent:
    """What one segment holds for good: its file, head, the end of its durable frames and the last one's sequence."""

    path: Path
    header: SegmentHeader
    end: int
    last_sequence: int


@dataclass(frozen=True, slots=True)
class SequenceRange:
    """The first and the last sequence that a journal has; the last is one less than the first where it is empty."""

    first: int
    last: int


def copy_segments(extents: Sequence[Extent], directory: Path, files: DiskFiles) -> SequenceRange:
    """Write segments, the last one open, into an empty directory. They must not be recycled meanwhile.

    Raises OSError.
    """
    for extent in extents[:-1]:
        _copy(extent.path, directory / extent.path.name, b"", extent.path.stat().st_size, files)
    last = extents[-1]
    header = replace(last.header, segment_bytes=last.end).sealed(last.end, last.last_sequence + 1)
    head = bytearray(HEADER_BYTES)
    for offset, encoded in header.copies():
        head[offset : offset + len(encoded)] = encoded
    _copy(last.path, directory / segment_name(header.generation), bytes(head), last.end, files)
    files.flush_directory(directory)
    return SequenceRange(extents[0].header.first_sequence, last.last_sequence)


def _copy(source: Path, target: Path, head: bytes, end: int, files: DiskFiles) -> None:
    """A file up to an end, with another beginning."""
    files.create_whole(target, head)
    descriptor = files.open(target)
    try:
        offset = len(head)
        while offset < end:
            piece = files.read(source, offset, min(_PIECE_BYTES, end - offset))
            if not piece:
                raise IntegrityError(f"{source}: ends at {offset} instead of {end}")
            files.write(descriptor, piece, offset)
            offset += len(piece)
    finally:
        files.close(descriptor)


def check_segments(directory: Path, files: DiskFiles | None = None) -> SequenceRange:
    """Read every frame of a journal that nobody has open; nothing is changed.

    Raises IntegrityError, with file and offset, where one is not valid or a torn tail was left; OSError.
    """
    if not segment_files(directory):
        raise IntegrityError(f"{directory}: there is no segment")
    judged = judge_all(directory, files or DiskFiles(), lambda: None)
    for one in judged:
        if one.found.damages:
            raise IntegrityError(str(one.found.damages[0]))
        if one.found.torn_bytes:
            raise IntegrityError(f"{one.path}: torn at offset {one.found.end}")
    first, last = judged[0].found, judged[-1].found
    return SequenceRange(first.header.first_sequence if first.header else 1, last.last_sequence)
