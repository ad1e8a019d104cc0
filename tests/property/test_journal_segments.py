"""Any segment, any harm: frames before it are kept, nothing is invented, and torn is told from damaged."""

import uuid
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.journal.examination import Examination, Place, examine
from opentrail.journal.frames import (
    FRAME_HEAD_BYTES,
    Addresses,
    Draft,
    Frame,
    FrameCodec,
    Prepared,
    pack_group,
    prepare,
    unpack_group,
)
from opentrail.journal.header import HEADER_BYTES, SegmentHeader, find_header

SIZE = 24 * 1024
SALT = 0x1122_3344_5566_7788
HEADER = SegmentHeader(generation=7, segment_bytes=SIZE, first_sequence=100, salt=SALT)

names = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=30)
drafts = st.builds(
    Draft,
    st.uuids().map(str),
    st.integers(-(1 << 40), 1 << 40),
    names,
    st.lists(names, max_size=4).map(tuple),
    st.binary(max_size=300),
)
shapes = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=6)
"""A segment's writes: each a list of group sizes."""


@dataclass(frozen=True)
class Known:
    """A frame whose place in the segment is known."""

    begin: int
    end: int
    group_begin: int
    sequence: int
    batch: int


def prepared(event_key: bytes, payload: bytes) -> Prepared:
    """A record in the form for the disk."""
    return Prepared(event_key, 5, b"p", payload, FRAME_HEAD_BYTES + 1 + len(payload))


def build(shape: list[list[int]], header: SegmentHeader = HEADER, old: bytes = b"") -> tuple[bytes, list[Known]]:
    """A segment with these writes over what an earlier life left in the file."""
    content = bytearray(old or bytes(header.segment_bytes))
    for offset, encoded in header.copies():
        content[offset : offset + len(encoded)] = encoded
    codec, known = FrameCodec(header.generation, header.salt), []
    end, sequence = HEADER_BYTES, header.first_sequence
    for number, groups in enumerate(shape):
        batch_start = end
        for size in groups:
            group = [prepared(uuid.uuid4().bytes, bytes(range(sequence % 200, 256))) for _ in range(size)]
            group_begin = end
            for position, one in enumerate(group):
                known.append(Known(end, end + one.frame_bytes, group_begin, sequence + position, number))
                end += one.frame_bytes
            parts: list[bytes] = []
            codec.encode(group, sequence, batch_start, parts)
            content[group_begin:end] = b"".join(parts)
            sequence += size
    return bytes(content), known


def place(*, is_last: bool = True, next_first: int | None = None) -> Place:
    """Where the segment stands."""
    return Place("seven", HEADER.generation, HEADER.first_sequence, is_last, next_first)


def sequences(content: bytes, found: Examination) -> list[int]:
    """The sequences of the frames that were kept; each is checked to be valid."""
    assert found.header is not None
    codec, kept = FrameCodec(found.header.generation, found.header.salt), []
    for begin, end in found.spans:
        while begin < end:
            placed = codec.place(content, begin)
            assert placed is not None
            kept.append(placed.sequence)
            begin = placed.end
    return kept


@given(st.lists(drafts, max_size=5), st.integers(1, 1 << 60), st.integers(0, (1 << 64) - 1))
@settings(max_examples=150, deadline=None)
def test_a_group_comes_back_as_it_was_encoded(group: list[Draft], first: int, salt: int) -> None:
    """Every field of every draft survives, whatever it holds, and the last frame alone ends the group."""
    addresses, codec, parts = Addresses(), FrameCodec(3, salt), [b"before"]
    codec.encode([prepare(one, addresses) for one in group], first, 6, parts)
    content, offset, fresh = b"".join(parts), 6, Addresses()
    for number, one in enumerate(group):
        placed = codec.place(content, offset)
        assert placed is not None
        assert placed.continues == (number < len(group) - 1)
        frame = Frame(first + number, one.event_id, one.time_s, one.partition, one.routes, one.payload)
        assert codec.read(content, offset, fresh) == (frame, placed.end)
        offset = placed.end
    assert offset == len(content)
    assert unpack_group(pack_group(group)) == group


@given(st.lists(drafts, min_size=1, max_size=3), st.data())
@settings(max_examples=150, deadline=None)
def test_a_packed_group_with_any_changed_byte_is_refused(group: list[Draft], data: st.DataObject) -> None:
    """A flipped byte or a missing end is a ValueError, never another record."""
    packed = pack_group(group)
    at = data.draw(st.integers(0, len(packed) - 1))
    flipped = bytearray(packed)
    flipped[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="not a group"):
        unpack_group(bytes(flipped))
    cut = packed[:at]
    try:
        assert unpack_group(cut) == group[: len(unpack_group(cut))]
    except ValueError:
        pass


@given(shapes)
@settings(max_examples=60, deadline=None)
def test_a_whole_segment_is_found_whole(shape: list[list[int]]) -> None:
    """Open, closed in order or followed by another: every frame is found and nothing is reported."""
    content, known = build(shape)
    following, end = known[-1].sequence + 1, known[-1].end
    sealed, _ = build(shape, HEADER.sealed(end, following))
    for bytes_, where in (
        (content, place()),
        (content, place(is_last=False, next_first=following)),
        (content, place(is_last=False)),
        (sealed, place()),
    ):
        found = examine(bytes_, where)
        assert not found.damages
        assert (found.torn_bytes, found.end, found.last_sequence) == (0, end, following - 1)
        assert sequences(bytes_, found) == [one.sequence for one in known]


@given(shapes, st.integers(0, SIZE - 1), st.integers(1, 255), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_flipped_byte_is_named_and_costs_only_its_own_frame(
    shape: list[list[int]], at: int, mask: int, is_last: bool
) -> None:
    """A flip in the last write of an open segment is torn; any other is damage; every other frame is kept."""
    content, known = build(shape)
    following = known[-1].sequence + 1
    at = at if at % 3 else HEADER_BYTES + at % (known[-1].end - HEADER_BYTES)  # aim at frames, mostly
    harmed = bytearray(content)
    harmed[at] ^= mask
    content = bytes(harmed)
    found = examine(content, place(is_last=is_last, next_first=None if is_last else following))
    hit = next((one for one in known if one.begin <= at < one.end), None)
    if hit is None:
        assert not found.damages
        assert sequences(content, found) == [one.sequence for one in known]
    elif is_last and hit.batch == known[-1].batch:
        assert not found.damages
        assert sequences(content, found) == [one.sequence for one in known if one.end <= hit.group_begin]
        assert found.end == hit.group_begin
    else:
        assert sequences(content, found) == [one.sequence for one in known if one is not hit]
        assert [(one.file, one.offset) for one in found.damages] == [("seven", hit.begin)]
        assert found.damages[0].missing == (hit.sequence, hit.sequence)


@given(shapes, st.integers(0, SIZE - 1), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_segment_cut_short_is_damage_and_keeps_what_is_left(shape: list[list[int]], size: int, is_last: bool) -> None:
    """A file that is shorter than its head says was never written so by us; all frames before its end are kept."""
    content, known = build(shape)
    following = None if is_last else known[-1].sequence + 1
    found = examine(content[:size], place(is_last=is_last, next_first=following))
    assert found.damages
    if find_header(content[:size]) is not None:
        assert sequences(content[:size], found) == [one.sequence for one in known if one.end <= size]


@given(shapes, st.lists(st.booleans(), min_size=48, max_size=48), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_torn_last_write_keeps_every_earlier_write(shape: list[list[int]], arrived: list[bool], stale: bool) -> None:
    """Whichever sectors of the last write arrived, whole groups from the front are kept and the rest is cut as torn."""
    old, _ = build([[3, 3, 3]] * 6, replace(HEADER, generation=6, salt=SALT + 1))
    before, _ = build(shape[:-1], old=old if stale else b"")
    after, known = build(shape)
    start = min(one.begin for one in known if one.batch == len(shape) - 1)
    content = bytearray(before)
    for sector in range(start // 512, SIZE // 512):
        if arrived[sector % len(arrived)]:
            content[sector * 512 : sector * 512 + 512] = after[sector * 512 : sector * 512 + 512]
    earlier = [one for one in known if one.batch < len(shape) - 1]
    content[HEADER_BYTES:start] = after[HEADER_BYTES:start]
    found = examine(bytes(content), place())
    assert not found.damages
    kept = sequences(bytes(content), found)
    assert kept == [one.sequence for one in known][: len(kept)]
    assert len(kept) >= len(earlier)
    assert found.end in {HEADER_BYTES, known[-1].end, *(one.group_begin for one in known)}
    rest = bytearray(content)
    rest[found.end : found.end + found.torn_bytes] = bytes(found.torn_bytes)
    assert FrameCodec(7, SALT).find(bytes(rest), found.end) is None, "what is cut cannot come back"


@given(st.binary(max_size=2000), st.integers(0, 3000), shapes, st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_bytes_make_the_examination_fail_or_invent_a_frame(
    noise: bytes, at: int, shape: list[list[int]], is_last: bool
) -> None:
    """Arbitrary bytes in place of a head, or poured over frames, give a report, and only frames that were written."""
    assert examine(noise, place()).damages
    content, known = build(shape)
    poured = content[: HEADER_BYTES + at] + noise + content[HEADER_BYTES + at + len(noise) :]
    found = examine(poured, place(is_last=is_last))
    assert set(sequences(poured, found)) <= {one.sequence for one in known}


def test_a_frame_inside_a_payload_is_not_taken_for_one() -> None:
    """A caller who embeds a whole frame (of a guessed salt) in a payload cannot make recovery read it."""
    forged: list[bytes] = []
    FrameCodec(7, SALT ^ 1).encode([prepared(b"f" * 16, b"forged")], 200, 9999, forged)
    parts: list[bytes] = []
    FrameCodec(7, SALT).encode([prepared(b"g" * 16, b"".join(forged))], 100, HEADER_BYTES, parts)
    content = bytearray(build([])[0])
    frame = bytearray(b"".join(parts))
    frame[8] ^= 1  # the real frame is harmed, so that the search goes through its payload
    content[HEADER_BYTES : HEADER_BYTES + len(frame)] = frame
    found = examine(bytes(content), place())
    assert found.spans == []
    assert not found.damages
