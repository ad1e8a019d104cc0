"""Frames: how one event record lies in a segment.

A frame is ``marker, crc32, length, batch start, sequence, event id, time, flags, address length, address, payload``,
little-endian. The marker and the checksum's seed come from the segment's random salt: a frame left over from an
earlier life of a recycled file, or forged inside a payload, does not validate. ``batch start`` is the offset at which
the write that carried the frame began: it tells a torn write (everything after the bad frame belongs to the same
write) from damage (something was written after the bad frame, so the bad frame had been whole). A frame flagged as
an *intent* holds the record of a call that is about to be forwarded, in case its outcome never becomes known. Pure:
bytes in, values out.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from isal.isal_zlib import crc32  # zlib's checksum at eight times the speed (measured)

_MARK = struct.Struct("<II")
_REST = struct.Struct("<IIQ16sqBxH")
_HEAD = struct.Struct("<IIIIQ16sqBxH")
_CLAIM = struct.Struct("<III")
_CONTINUES = 1
_INTENT = 2
_CACHE_ENTRIES = 1024
_EVENT_ID_CHARACTERS = 36
_ADDRESS_LIMIT_BYTES = 0xFFFF
_TIME_LIMIT_S = 1 << 62

FRAME_HEAD_BYTES = _HEAD.size
"""The smallest frame there can be."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to append: its event id (uuid text), time (epoch seconds), partition ("ACCOUNT/REGION"), the routes it
    goes to (trails' ids) and its bytes, which are kept as they are."""

    event_id: str
    time_s: int
    partition: str
    routes: tuple[str, ...]
    payload: bytes


class Intended(NamedTuple):
    """What an intent's record will have once it is one: its routes, and whether its call's group goes on after it."""

    routes: tuple[str, ...]
    continues: bool


class Frame(NamedTuple):
    """A record as read back: a draft with its sequence number.

    An intent (``intended`` is set) is no record yet: it has no routes, so that whoever reads by routes passes over it.
    """

    sequence: int
    event_id: str
    time_s: int
    partition: str
    routes: tuple[str, ...]
    payload: bytes
    intended: Intended | None = None

    @property
    def is_intent(self) -> bool:
        """Whether this is the intent of a call, not a record."""
        return self.intended is not None


class Prepared(NamedTuple):
    """A draft that was checked and has the form in which it lies on disk, except for what only its place decides."""

    event_key: bytes
    time_s: int
    address: bytes
    payload: bytes
    frame_bytes: int
    intent_flag: int = 0


class Placed(NamedTuple):
    """A valid frame's place: where it begins and ends, its sequence, whether its group goes on after it, and where the
    write that carried it began."""

    offset: int
    end: int
    sequence: int
    continues: bool
    batch_start: int


class Addresses:
    """Translates (partition, routes) to bytes and back; the few that are in use are remembered, bounded."""

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._encoded: dict[tuple[str, tuple[str, ...]], bytes] = {}
        self._decoded: dict[bytes, tuple[str, tuple[str, ...]]] = {}

    def encode(self, partition: str, routes: tuple[str, ...]) -> bytes:
        """The address as bytes; raises ValueError if it is too long or holds a line feed."""
        known = self._encoded.get((partition, routes))
        if known is not None:
            return known
        lines = (partition, *routes)
        encoded = "\n".join(lines).encode()
        if encoded.count(b"\n") != len(routes) or not all(routes):
            raise ValueError("a partition or route holds a line feed, or a route is empty")
        if len(encoded) > _ADDRESS_LIMIT_BYTES:
            raise ValueError(f"partition and routes take {len(encoded)} bytes; {_ADDRESS_LIMIT_BYTES} is the limit")
        if len(self._encoded) >= _CACHE_ENTRIES:
            self._encoded.clear()
        self._encoded[partition, routes] = encoded
        return encoded

    def decode(self, address: bytes) -> tuple[str, tuple[str, ...]]:
        """The partition and routes of an address that was checked with its frame."""
        known = self._decoded.get(address)
        if known is None:
            partition, *routes = address.decode().split("\n")
            known = (partition, tuple(routes))
            if len(self._decoded) >= _CACHE_ENTRIES:
                self._decoded.clear()
            self._decoded[address] = known
        return known


def prepare(draft: Draft, addresses: Addresses) -> Prepared:
    """Check a draft and bring it into the form for the disk; raises ValueError that says what is wrong with it."""
    try:
        event_key = bytes.fromhex(draft.event_id.replace("-", ""))
    except ValueError:
        event_key = b""
    if len(event_key) != 16 or len(draft.event_id) != _EVENT_ID_CHARACTERS:
        raise ValueError(f"not an event id: {draft.event_id[:40]!r}")
    if not -_TIME_LIMIT_S < draft.time_s < _TIME_LIMIT_S:
        raise ValueError(f"not a time in seconds: {draft.time_s}")
    address, payload = addresses.encode(draft.partition, draft.routes), draft.payload
    return Prepared(event_key, draft.time_s, address, payload, FRAME_HEAD_BYTES + len(address) + len(payload))


def as_intent(prepared: Prepared) -> Prepared:
    """The same draft as an intent."""
    return prepared._replace(intent_flag=_INTENT)


class FrameCodec:
    """Writes and reads the frames of one segment."""

    __slots__ = ("_marker_number", "_seed", "marker")

    def __init__(self, generation: int, salt: int) -> None:
        """Take marker and checksum seed from the segment's generation and salt (64 random bits)."""
        self._marker_number = salt & 0xFFFFFFFF
        self.marker = self._marker_number.to_bytes(4, "little")
        self._seed = crc32(generation.to_bytes(8, "little"), salt >> 32)

    def encode(self, group: Sequence[Prepared], first_sequence: int, batch_start: int, parts: list[bytes]) -> None:
        """Append the frames of a group, in order, to the pieces of a batch."""
        sequence = first_sequence
        last = len(group) - 1
        for position, (event_key, time_s, address, payload, length, intent_flag) in enumerate(group):
            flags = intent_flag | _CONTINUES if position < last else intent_flag
            head = _REST.pack(length, batch_start, sequence, event_key, time_s, flags, len(address)) + address
            crc = crc32(payload, crc32(head, self._seed))
            parts.append(_MARK.pack(self._marker_number, crc) + head)
            parts.append(payload)
            sequence += 1

    def claimed_length(self, content: bytes, offset: int) -> int:
        """The length that a frame at this offset claims to have, not yet checked; 0 if no frame's head stands here."""
        if offset + FRAME_HEAD_BYTES > len(content):
            return 0
        marker, _, length = _CLAIM.unpack_from(content, offset)
        return int(length) if marker == self._marker_number and length >= FRAME_HEAD_BYTES else 0

    def extent(self, content: bytes, start: int) -> int:
        """Where the last thing ends that looks like a frame of this segment, valid or not; ``start`` if none does."""
        end = start
        offset = content.find(self.marker, start)
        while offset >= 0:
            end = max(end, min(offset + self.claimed_length(content, offset), len(content)))
            offset = content.find(self.marker, offset + 1)
        return end

    def place(self, content: bytes, offset: int) -> Placed | None:
        """The valid frame that begins at an offset, or None."""
        if offset + FRAME_HEAD_BYTES > len(content):
            return None
        marker, crc, length, batch_start, sequence, _, _, flags, _ = _HEAD.unpack_from(content, offset)
        end = offset + length
        if marker != self._marker_number or length < FRAME_HEAD_BYTES or end > len(content):
            return None
        with memoryview(content) as view, view[offset + _MARK.size : end] as rest:
            if crc32(rest, self._seed) != crc:
                return None
        return Placed(offset, end, sequence, bool(flags & _CONTINUES), batch_start)

    def read(self, content: bytes, offset: int, addresses: Addresses) -> tuple[Frame, int] | None:
        """The frame that begins at an offset, if it is valid, and where it ends."""
        if offset + FRAME_HEAD_BYTES > len(content):
            return None
        marker, crc, length, _, sequence, event_key, time_s, flags, address_length = _HEAD.unpack_from(content, offset)
        end = offset + length
        if marker != self._marker_number or length < FRAME_HEAD_BYTES or end > len(content):
            return None
        checked = content[offset + _MARK.size : end]
        if crc32(checked, self._seed) != crc:
            return None
        body = _REST.size + address_length
        partition, routes = addresses.decode(checked[_REST.size : body])
        text = event_key.hex()
        event_id = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
        intended = None
        if flags & _INTENT:
            intended, routes = Intended(routes, bool(flags & _CONTINUES)), ()
        return Frame(sequence, event_id, time_s, partition, routes, checked[body:], intended), end

    def restore(self, content: bytes, placed: Placed) -> Prepared:
        """The frame at a known place in the form for the disk, to be written again elsewhere."""
        _, _, _, _, _, event_key, time_s, flags, address_length = _HEAD.unpack_from(content, placed.offset)
        body = placed.offset + FRAME_HEAD_BYTES + address_length
        address, payload = content[placed.offset + FRAME_HEAD_BYTES : body], content[body : placed.end]
        return Prepared(event_key, time_s, address, payload, placed.end - placed.offset, flags & _INTENT)

    def find(self, content: bytes, start: int) -> Placed | None:
        """The first valid frame at or after an offset, wherever it begins."""
        offset = content.find(self.marker, start)
        while offset >= 0:
            placed = self.place(content, offset)
            if placed is not None:
                return placed
            offset = content.find(self.marker, offset + 1)
        return None


def pack_group(group: Sequence[Draft]) -> bytes:
    """A group of drafts as bytes, checksummed, to be kept outside a segment.

    Raises ValueError for a malformed draft.
    """
    addresses = Addresses()
    parts: list[bytes] = []
    _LOOSE.encode([prepare(draft, addresses) for draft in group], 1, 0, parts)
    return b"".join(parts)


def unpack_group(packed: bytes) -> list[Draft]:
    """The drafts that ``pack_group`` was given; raises ValueError if the bytes are anything else."""
    addresses = Addresses()
    drafts: list[Draft] = []
    offset = 0
    while offset < len(packed):
        found = _LOOSE.read(packed, offset, addresses)
        if found is None:
            raise ValueError(f"not a group of records: no valid frame at byte {offset}")
        frame, offset = found
        drafts.append(Draft(frame.event_id, frame.time_s, frame.partition, frame.routes, frame.payload))
    return drafts


_LOOSE = FrameCodec(0, 0x4F54_4652_4F55_5458)
"""Frames outside a segment: nothing recycles them, so that any fixed salt will do."""
