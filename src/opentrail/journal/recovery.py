"""Opening a journal again: judge every segment, cut a torn tail, and deal with damage.

Damage changes nothing on disk unless the operator accepts it. Then the damaged file is kept, whole, under
``damaged/``, and a *salvaged* segment with every valid frame takes its place in one rename, so that a stop at any
moment leaves either state.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from opentrail.errors import IntegrityError
from opentrail.journal.examination import Damage, Examination, Place, examine
from opentrail.journal.files import DiskFiles
from opentrail.journal.frames import FRAME_HEAD_BYTES, FrameCodec
from opentrail.journal.header import HEADER_BYTES, SegmentHeader, find_header
from opentrail.journal.segments import Segment, segment_files

_SALVAGE = "salvage.segment"
_DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening a journal had to do.

    ``cut_bytes`` of a torn, never acknowledged write were cut from the end of ``cut_file``; ``repaired_heads`` names
    segments of which one copy of the head was damaged and written again; ``damages`` were found and accepted.
    """

    cut_bytes: int = 0
    cut_file: str | None = None
    repaired_heads: tuple[str, ...] = ()
    damages: tuple[Damage, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.cut_bytes or self.repaired_heads or self.damages)


@dataclass(slots=True)
class Recovered:
    """A journal's segments, oldest first, and what was done to have them."""

    segments: list[Segment]
    report: Recovery


@dataclass(slots=True)
class Judged:
    """One segment as it was found."""

    path: Path
    place: Place
    content_bytes: int
    found: Examination = field(repr=False)


def recover(
    directory: Path, files: DiskFiles, salt: Callable[[], int], *, accept_damage: bool, progress: Callable[[], None]
) -> Recovered:
    """Make a journal's segments usable.

    Raises IntegrityError that names file and offset where evidence is damaged and that was not accepted, and OSError
    where the disk refuses. ``salt`` draws 64 random bits; ``progress`` is called before each segment is read.
    """
    (directory / _SALVAGE).unlink(missing_ok=True)
    judged = judge_all(directory, files, progress)
    damages = tuple(damage for one in judged for damage in one.found.damages)
    if damages and not accept_damage:
        raise IntegrityError(_describe(damages))
    if damages:
        set_aside = {one.place.file: _salvage(directory, one, files, salt()) for one in judged if one.found.damages}
        damages = tuple(replace(damage, set_aside=set_aside[damage.file]) for damage in damages)
        judged = judge_all(directory, files, progress)
        if left := [damage for one in judged for damage in one.found.damages]:
            raise IntegrityError(_describe(left))
    return _repair(judged, files, damages)


def _describe(damages: "tuple[Damage, ...] | list[Damage]") -> str:
    more = f" (and {len(damages) - 1} more)" if len(damages) > 1 else ""
    return f"{damages[0]}{more}"


def judge_all(directory: Path, files: DiskFiles, progress: Callable[[], None]) -> list[Judged]:
    """Read every segment of a directory, oldest first, and change nothing. Raises OSError."""
    paths = segment_files(directory)
    heads = [find_header(files.read(path, 0, HEADER_BYTES)) for _, path in paths]
    judged: list[Judged] = []
    expected_first = heads[0].header.first_sequence if heads and heads[0] else 1
    for position, (generation, path) in enumerate(paths):
        progress()
        following = heads[position + 1] if position + 1 < len(paths) else None
        place = Place(
            str(path),
            generation,
            expected_first,
            is_last=position + 1 == len(paths),
            next_first=following.header.first_sequence if following else None,
        )
        content = files.read(path, 0, path.stat().st_size)
        found = examine(content, place)
        judged.append(Judged(path, place, len(content), found))
        resume = found.header.resume_sequence if found.header else 0
        expected_first = resume or found.last_sequence + 1
    return judged


def _repair(judged: list[Judged], files: DiskFiles, damages: tuple[Damage, ...]) -> Recovered:
    """Write damaged copies of heads again and cut the torn tail."""
    segments: list[Segment] = []
    repaired: list[str] = []
    cut_bytes, cut_file = 0, None
    for one in judged:
        found, header = one.found, one.found.header
        if header is None:
            raise IntegrityError(f"{one.path}: the segment's head is unreadable")
        if found.bad_header_offset is not None:
            write_head(files, one.path, header)
            repaired.append(str(one.path))
        if found.torn_bytes:
            _write_at(files, one.path, bytes(found.torn_bytes), found.end)
            cut_bytes, cut_file = found.torn_bytes, str(one.path)
        segments.append(Segment(one.path, header, found.end, found.last_sequence, found.marks))
    return Recovered(segments, Recovery(cut_bytes, cut_file, tuple(repaired), damages))


def write_head(files: DiskFiles, path: Path, header: SegmentHeader) -> None:
    """Write both copies of a segment's head, durably, one after the other. Raises OSError."""
    for offset, encoded in header.copies():
        _write_at(files, path, encoded, offset)


def _write_at(files: DiskFiles, path: Path, data: bytes, offset: int) -> None:
    descriptor = files.open(path)
    try:
        files.write(descriptor, data, offset)
    finally:
        files.close(descriptor)


def _salvage(directory: Path, one: Judged, files: DiskFiles, salt: int) -> str:
    """Put a segment with the valid frames in the place of a damaged one; answers where the damaged one is kept."""
    kept = _set_aside(directory, one.path, files)
    found, place = one.found, one.place
    following = place.next_first
    if (
        following is None
    ):  # how many were lost behind the last valid frame is not known: their numbers are not used again
        following = found.last_sequence + 1 + (one.content_bytes // FRAME_HEAD_BYTES if place.is_last else 0)
    first = found.header.first_sequence if found.header else place.expected_first
    header = SegmentHeader(
        generation=place.generation,
        segment_bytes=0,
        first_sequence=first,
        salt=salt,
        resume_sequence=following,
        salvaged=True,
    )
    frames = _valid_frames(files.read(one.path, 0, one.content_bytes), found, header)
    end = HEADER_BYTES + len(frames)
    block = bytearray(HEADER_BYTES)
    for offset, encoded in replace(header, segment_bytes=end, end_bytes=end).copies():
        block[offset : offset + len(encoded)] = encoded
    salvage = directory / _SALVAGE
    files.create_whole(salvage, bytes(block) + frames)
    files.rename(salvage, one.path)
    return kept


def _valid_frames(content: bytes, found: Examination, header: SegmentHeader) -> bytes:
    """The valid frames of a segment, framed anew in a row."""
    if found.header is None:
        return b""
    old, new = FrameCodec(found.header.generation, found.header.salt), FrameCodec(header.generation, header.salt)
    parts: list[bytes] = []
    target = HEADER_BYTES
    for begin, end in found.spans:
        offset = begin
        while offset < end and (placed := old.place(content, offset)) is not None:
            new.encode((old.restore(content, placed),), placed.sequence, target, parts)
            target += placed.end - placed.offset
            offset = placed.end
    return b"".join(parts)


def _set_aside(directory: Path, path: Path, files: DiskFiles) -> str:
    """Give the damaged file a second name under ``damaged/``; doing it again finds the name already there."""
    damaged = directory / _DAMAGED
    damaged.mkdir(mode=0o700, exist_ok=True)
    number = 0
    while True:
        target = damaged / (path.name if number == 0 else f"{path.name}.{number}")
        if not target.exists():
            os.link(path, target)
            break
        if target.samefile(path):
            break
        number += 1
    files.flush_directory(damaged)
    files.flush_directory(directory)
    return str(target)
