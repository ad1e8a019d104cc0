"""What a segment's bytes say: which frames are valid, where they end, and whether the end is torn or damaged.

The rule: a bad frame is a *torn tail* only if the segment is the last, is still open, has its full size, and no valid
frame was written by a later write than the bad one. What follows it was then never acknowledged and may be cut.
Otherwise the bad frame had been whole once and is *damage*. Pure: bytes in, values out.
"""

from dataclasses import dataclass, field

from opentrail.journal.frames import FrameCodec
from opentrail.journal.header import HEADER_BYTES, SegmentHeader, find_header

INDEX_EVERY_BYTES = 256 * 1024
"""How far apart the places lie from which a reader can start."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that cannot be trusted: from ``offset`` up to ``until`` in a file, and why.

    ``missing`` is the first and last sequence that are gone, where that is known; ``set_aside`` where the damaged
    file is kept once the damage was accepted.
    """

    file: str
    offset: int
    until: int
    reason: str
    missing: tuple[int, int] | None = None
    set_aside: str | None = None

    def __str__(self) -> str:
        """One sentence for the operator."""
        gone = f"; sequences {self.missing[0]} to {self.missing[1]} are missing" if self.missing else ""
        return f"{self.file}: damaged at offset {self.offset}: {self.reason}{gone}"


@dataclass(slots=True)
class Examination:
    """What was found in one segment.

    ``end`` is where the next frame would go; ``torn_bytes`` counts what lies beyond it and has to be cut; ``header``
    is None where no copy of the head is whole. ``spans`` are the (begin, end) offsets of rows of valid frames;
    ``marks`` are (sequence, offset) pairs from which a reader can start.
    """

    header: SegmentHeader | None
    end: int = HEADER_BYTES
    last_sequence: int = 0
    torn_bytes: int = 0
    bad_header_offset: int | None = None
    spans: list[tuple[int, int]] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment stands in its journal: the name of its file, the generation in that name, the first sequence it
    should hold, whether it is the last, and the first sequence of the segment after it (None where that is not
    known).
    """

    file: str
    generation: int
    expected_first: int
    is_last: bool
    next_first: int | None = None


def examine(content: bytes, place: Place) -> Examination:
    """Judge one segment's bytes; never raises, whatever they are."""
    found = find_header(content)
    if found is None or found.header.generation != place.generation:
        reason = "the segment's head is unreadable" if found is None else "the segment's head belongs to another file"
        lost = Damage(place.file, 0, len(content), reason, _between(place.expected_first, place.next_first))
        return Examination(None, last_sequence=place.expected_first - 1, damages=[lost])
    return _Walk(content, found.header, place, found.bad_copy_offset).result()


def _between(first: int, following: int | None) -> tuple[int, int] | None:
    return (first, following - 1) if following is not None and following > first else None


class _Walk:
    """One pass over a segment's frames."""

    def __init__(self, content: bytes, header: SegmentHeader, place: Place, bad_header_offset: int | None) -> None:
        self._content = content if len(content) <= header.segment_bytes else content[: header.segment_bytes]
        self._is_short = len(content) < header.segment_bytes
        self._header = header
        self._place = place
        self._is_sealed = not place.is_last or header.end_bytes > 0
        self._codec = FrameCodec(header.generation, header.salt)
        self._found = Examination(header, last_sequence=header.first_sequence - 1, bad_header_offset=bad_header_offset)
        self._whole_groups = (HEADER_BYTES, header.first_sequence - 1)  # end and last sequence of the complete groups

    def result(self) -> Examination:
        stop = self._run(HEADER_BYTES)
        self._found.end = stop
        if self._is_short:
            self._resume_after(stop, "the file is shorter than its head says")
        elif self._ends_in_order(stop):
            pass
        elif self._is_sealed or self._was_written_later(stop):
            self._resume_after(stop, "a frame is not valid")
        else:
            self._cut()
        return self._found

    def _run(self, offset: int) -> int:
        """Take valid frames in a row; answers where the row ends."""
        found, place_at, content = self._found, self._codec.place, self._content
        begin, sequence, gaps_allowed = offset, found.last_sequence, self._header.salvaged
        while (placed := place_at(content, offset)) is not None:
            in_order = placed.sequence > sequence if gaps_allowed else placed.sequence == sequence + 1
            if not in_order:
                break
            sequence, offset = placed.sequence, placed.end
            if not found.marks or placed.offset - found.marks[-1][1] >= INDEX_EVERY_BYTES:
                found.marks.append((sequence, placed.offset))
            if not placed.continues:
                self._whole_groups = (offset, sequence)
        if offset > begin:
            found.spans.append((begin, offset))
            found.last_sequence = sequence
        return offset

    def _ends_in_order(self, stop: int) -> bool:
        """A sealed segment ends where its head, or the next segment, says that it does."""
        header, following = self._header, self._place.next_first
        if header.end_bytes:
            return stop == header.end_bytes and following in (None, header.resume_sequence)
        if following is not None:
            return following == self._found.last_sequence + 1
        return not self._place.is_last and not self._was_written_later(stop)

    def _was_written_later(self, stop: int) -> bool:
        """Whether a valid frame stands after the stop that a later write carried."""
        placed = self._codec.find(self._content, stop)
        while placed is not None:
            if placed.batch_start > stop or placed.offset == stop:
                return True
            placed = self._codec.find(self._content, placed.end)
        return False

    def _cut(self) -> None:
        """Leave out a group whose end is missing, and everything after it."""
        found = self._found
        found.end, found.last_sequence = self._whole_groups
        found.spans = [(HEADER_BYTES, found.end)] if found.end > HEADER_BYTES else []
        found.marks = [mark for mark in found.marks if mark[1] < found.end]
        found.torn_bytes = self._codec.extent(self._content, found.end) - found.end

    def _resume_after(self, stop: int, reason: str) -> None:
        """Note the damage at the stop and gather every valid frame behind it, and behind the next, to the end."""
        found, place = self._found, self._place
        while (placed := self._codec.find(self._content, stop)) is not None:
            if placed.sequence > found.last_sequence:
                self._report(stop, placed.offset, "a frame is not valid", placed.sequence)
                found.last_sequence = placed.sequence - 1  # the gap is reported: the row goes on behind it
            stop = max(self._run(placed.offset), placed.end)
        found.end = stop
        at_end = self._ends_in_order(stop) if self._is_sealed else bool(found.damages)
        if self._is_short or not at_end:
            self._report(stop, len(self._content), reason, place.next_first or self._header.resume_sequence or None)

    def _report(self, offset: int, until: int, reason: str, following: int | None) -> None:
        missing = _between(self._found.last_sequence + 1, following)
        self._found.damages.append(Damage(self._place.file, offset, until, reason, missing))
