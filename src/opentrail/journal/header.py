"""The head of a segment: what the file is, and the secret of its frames.

A segment opens with 4,096 bytes that hold two copies of the head, so that one bad sector costs nothing. The head of an
open segment says nothing about its end; a segment that was closed in order (or salvaged) also says where its frames end
and which sequence comes next, so that whatever is missing before that point is known to be missing.
"""

import struct
import zlib
from dataclasses import dataclass, replace

HEADER_BYTES = 4096
"""Where the frames begin."""

_COPY_OFFSETS = (0, 2048)
_LAYOUT = struct.Struct("<8sHHIQQQQQQ")  # magic, version, flags, 0, generation, size, first, salt, end, resume
_CRC = struct.Struct("<I")
_MAGIC = b"OTJOURNL"
_FORMAT_VERSION = 1
_SALVAGED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """The head of a segment.

    ``generation`` numbers the segments of a journal and is never reused; ``salt`` is random, so that no frame of
    another generation (and nothing a caller puts into a payload) passes for a frame of this one. ``end_bytes`` and
    ``resume_sequence`` are 0 while the segment is open. A ``salvaged`` segment holds what was left of a damaged one:
    its sequences have gaps.
    """

    generation: int
    segment_bytes: int
    first_sequence: int
    salt: int
    end_bytes: int = 0
    resume_sequence: int = 0
    salvaged: bool = False

    def opened(self) -> "SegmentHeader":
        """The head of the same segment while it is written to."""
        return replace(self, end_bytes=0, resume_sequence=0)

    def sealed(self, end_bytes: int, resume_sequence: int) -> "SegmentHeader":
        """The head of the same segment once nothing more will be written."""
        return replace(self, end_bytes=end_bytes, resume_sequence=resume_sequence)

    def encode(self) -> bytes:
        """One copy of the head, with its checksum."""
        head = _LAYOUT.pack(
            _MAGIC,
            _FORMAT_VERSION,
            _SALVAGED if self.salvaged else 0,
            0,
            self.generation,
            self.segment_bytes,
            self.first_sequence,
            self.salt,
            self.end_bytes,
            self.resume_sequence,
        )
        return head + _CRC.pack(zlib.crc32(head))

    def copies(self) -> tuple[tuple[int, bytes], ...]:
        """Where the copies of the head go: (offset, bytes), to be written in this order."""
        encoded = self.encode()
        return tuple((offset, encoded) for offset in _COPY_OFFSETS)


@dataclass(frozen=True, slots=True)
class FoundHeader:
    """What the first bytes of a segment hold: its head, and the offset of a copy that is damaged (None if none is)."""

    header: SegmentHeader
    bad_copy_offset: int | None


def find_header(content: bytes) -> FoundHeader | None:
    """Read the head from the beginning of a segment; None if no copy is whole.

    Copies that are whole but differ come from a stop between the two writes: the segment then counts as open, which
    is the reading that trusts the frames only.
    """
    copies = [_decode(content, offset) for offset in _COPY_OFFSETS]
    whole = [copy for copy in copies if copy is not None]
    if not whole:
        return None
    chosen = next((copy for copy in whole if not copy.end_bytes), whole[0])
    bad = next((offset for offset, copy in zip(_COPY_OFFSETS, copies, strict=True) if copy is None), None)
    return FoundHeader(chosen, bad)


def _decode(content: bytes, offset: int) -> SegmentHeader | None:
    raw = bytes(content[offset : offset + _LAYOUT.size + _CRC.size])
    if len(raw) < _LAYOUT.size + _CRC.size or _CRC.unpack_from(raw, _LAYOUT.size)[0] != zlib.crc32(raw[: _LAYOUT.size]):
        return None
    magic, version, flags, _, generation, size, first, salt, end, resume = _LAYOUT.unpack_from(raw)
    if magic != _MAGIC or version != _FORMAT_VERSION:
        return None
    return SegmentHeader(
        generation=generation,
        segment_bytes=size,
        first_sequence=first,
        salt=salt,
        end_bytes=end,
        resume_sequence=resume,
        salvaged=bool(flags & _SALVAGED),
    )
