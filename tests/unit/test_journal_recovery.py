"""Opening a journal that was harmed: torn tails are cut, damage is named, and nothing valid is lost."""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from opentrail.errors import IntegrityError, JournalError
from opentrail.journal import Draft, Frame, Journal, JournalOptions
from opentrail.journal.header import HEADER_BYTES

SMALL = JournalOptions(segment_bytes=32 * 1024, max_batch_bytes=8 * 1024, max_queue_bytes=1024 * 1024)


def draft(payload: bytes = b"{}") -> Draft:
    """A record with a fresh event id."""
    return Draft(str(uuid.uuid4()), 1, "123456789012/us-east-1", ("r",), payload)


def read_all(journal: Journal) -> list[Frame]:
    """Every durable frame."""
    frames: list[Frame] = []
    while part := journal.read(frames[-1].sequence if frames else 0, max_bytes=10_000):
        frames += part
    return frames


def segments(directory: Path) -> list[Path]:
    """The segments of a journal, oldest first."""
    return sorted(path for path in directory.glob("0*.segment"))


def crashed(tmp_path: Path, drafts: list[Draft], *, close: bool = False) -> Path:
    """The directory of a journal with these records, each its own write, as a killed process leaves it."""
    journal = Journal.open(tmp_path / "live", SMALL)
    for one in drafts:
        journal.append([one]).result(10)
    if close:
        journal.close()
    shutil.copytree(tmp_path / "live", tmp_path / "crashed", ignore=shutil.ignore_patterns("preparing*"))
    journal.close()
    return tmp_path / "crashed"


def change(path: Path, harm: Callable[[bytearray], None]) -> None:
    """Edit a file's bytes."""
    content = bytearray(path.read_bytes())
    harm(content)
    path.write_bytes(content)


def flip(path: Path, offset: int) -> None:
    """Flip one bit."""
    change(path, lambda content: content.__setitem__(offset, content[offset] ^ 1))


def contents(directory: Path) -> dict[str, bytes]:
    """All files of a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_torn_tail_is_cut_zeroed_and_reported(tmp_path: Path) -> None:
    """The last write's bad frame goes; everything before stays, and numbers go on without a gap."""
    drafts = [draft(b"x" * 900) for _ in range(10)]
    directory = crashed(tmp_path, drafts)
    last = segments(directory)[-1]
    at = last.read_bytes().rfind(b"x" * 900)
    change(last, lambda content: content.__setitem__(slice(at, at + 512), bytes(512)))
    journal = Journal.open(directory, SMALL)
    assert journal.recovery.cut_file == str(last)
    assert journal.recovery.cut_bytes > 900
    assert b"xx" not in last.read_bytes()[at:]
    assert journal.append([draft()]).result(10) == 10
    assert [frame.event_id for frame in read_all(journal)][:9] == [one.event_id for one in drafts[:9]]
    journal.close()
    again = Journal.open(directory, SMALL)
    assert again.recovery.is_clean
    assert [frame.sequence for frame in read_all(again)] == list(range(1, 11))
    again.close()


def test_an_incomplete_group_at_the_tail_is_cut_whole(tmp_path: Path) -> None:
    """All copies of one call, or none."""
    journal = Journal.open(tmp_path / "live", SMALL)
    journal.append([draft(b"first")]).result(10)
    journal.append([draft(b"caller's copy"), draft(b"owner's copy" * 50)]).result(10)
    shutil.copytree(tmp_path / "live", tmp_path / "crashed", ignore=shutil.ignore_patterns("preparing*"))
    journal.close()
    last = segments(tmp_path / "crashed")[-1]
    flip(last, last.read_bytes().find(b"owner's"))
    again = Journal.open(tmp_path / "crashed", SMALL)
    assert [frame.payload for frame in read_all(again)] == [b"first"]
    assert again.next_sequence == 2
    again.close()


@pytest.mark.parametrize("victim", [0, 1, -1])
def test_damage_is_named_nothing_changes_and_accepting_it_keeps_every_valid_frame(tmp_path: Path, victim: int) -> None:
    """A flipped bit: refused with file and offset; accepted: one record less, and the damaged file kept."""
    drafts = [draft(bytes([65 + number]) * 1200) for number in range(60)]
    directory = crashed(tmp_path, drafts)
    path = segments(directory)[victim]
    content = path.read_bytes()
    letter = next(value for value in range(65, 125) if content.find(bytes([value]) * 1200) > HEADER_BYTES + 3000)
    at = content.find(bytes([letter]) * 1200)
    flip(path, at + 600)
    before = contents(directory)
    for _ in range(2):
        with pytest.raises(IntegrityError, match=rf"{path}: damaged at offset \d+.*sequences (\d+) to \1 are missing"):
            Journal.open(directory, SMALL)
    assert contents(directory) == before, "a refused opening changes nothing"
    journal = Journal.open(directory, SMALL, accept_damage=True)
    expected = [one.event_id for one in drafts if one.payload[0] != letter]
    assert [frame.event_id for frame in read_all(journal)] == expected
    (damage,) = journal.recovery.damages
    assert damage.offset < at < damage.until
    assert damage.missing == (letter - 64, letter - 64)
    assert damage.set_aside is not None
    assert Path(damage.set_aside).read_bytes() == before[path.name]
    new = journal.append([draft()]).result(10)
    assert new > 60, "lost numbers are not used again"
    assert journal.wait_for(60, 1)
    journal.close()
    again = Journal.open(directory, SMALL)
    assert again.recovery.is_clean, "accepted once, it is settled"
    assert [frame.event_id for frame in read_all(again)][:-1] == expected
    again.prune(new)
    again.close()
    Journal.open(directory, SMALL).close()


def test_after_a_clean_stop_even_the_last_record_is_known_to_have_been_there(tmp_path: Path) -> None:
    """A closed journal says where it ends: a flip in its last write is damage, not a torn tail."""
    directory = crashed(tmp_path, [draft(b"y" * 100) for _ in range(5)], close=True)
    last = segments(directory)[-1]
    flip(last, last.read_bytes().rfind(b"y" * 100))
    with pytest.raises(IntegrityError, match="damaged at offset"):
        Journal.open(directory, SMALL)
    journal = Journal.open(directory, SMALL, accept_damage=True)
    assert [frame.sequence for frame in read_all(journal)] == [1, 2, 3, 4]
    assert journal.wait_for(4, 0.01) is False, "a reader does not wait for numbers that were given up"
    journal.close()


def test_one_bad_copy_of_a_head_is_repaired_and_two_are_damage(tmp_path: Path) -> None:
    """The second copy of a head saves everything; without both, the segment's sequences are known to be missing."""
    drafts = [draft(b"z" * 1200) for _ in range(60)]
    directory = crashed(tmp_path, drafts)
    path = segments(directory)[1]
    flip(path, 40)
    journal = Journal.open(directory, SMALL)
    assert journal.recovery.repaired_heads == (str(path),)
    assert len(read_all(journal)) == 60
    journal.close()
    flip(path, 40)
    flip(path, 2048 + 40)
    with pytest.raises(IntegrityError, match="head is unreadable"):
        Journal.open(directory, SMALL)
    journal = Journal.open(directory, SMALL, accept_damage=True)
    (damage,) = journal.recovery.damages
    assert damage.missing is not None
    kept = [frame.sequence for frame in read_all(journal)]
    assert kept == [number for number in range(1, 61) if not damage.missing[0] <= number <= damage.missing[1]]
    journal.close()


@pytest.mark.parametrize("victim", [1, -1])
def test_a_shortened_or_missing_file_is_damage(tmp_path: Path, victim: int) -> None:
    """Bytes cut off a segment are missed, in the middle of the journal as at its end."""
    directory = crashed(tmp_path, [draft(b"w" * 1200) for _ in range(60)])
    path = segments(directory)[victim]
    change(path, lambda content: content.__delitem__(slice(HEADER_BYTES + 4000, None)))
    with pytest.raises(IntegrityError, match="shorter than its head says"):
        Journal.open(directory, SMALL)
    journal = Journal.open(directory, SMALL, accept_damage=True)
    assert len(read_all(journal)) < 60
    new = journal.append([draft()]).result(10)
    assert new > 60
    assert read_all(journal)[-1].sequence == new
    journal.close()
    again = Journal.open(directory, SMALL)
    assert read_all(again)[-1].sequence == new
    again.close()


def test_a_segment_that_vanished_from_the_middle_is_missed(tmp_path: Path) -> None:
    """The gap between two segments' numbers is damage and is reported as such."""
    directory = crashed(tmp_path, [draft(b"v" * 1200) for _ in range(90)])
    segments(directory)[1].unlink()
    with pytest.raises(IntegrityError, match=r"sequences \d+ to \d+ are missing"):
        Journal.open(directory, SMALL)
    journal = Journal.open(directory, SMALL, accept_damage=True)
    assert [frame.sequence for frame in read_all(journal)][-1] == 90
    journal.close()


def test_several_damages_are_all_listed_and_a_stop_while_salvaging_is_harmless(tmp_path: Path) -> None:
    """Each bad place is in the report; what an interrupted salvage left behind does not matter."""
    directory = crashed(tmp_path, [draft(bytes([48 + number]) * 1200) for number in range(60)])
    for path, offsets in zip(segments(directory), ((6000, 12_000), (9000,)), strict=False):
        for offset in offsets:
            flip(path, offset)
    (directory / "salvage.segment").write_bytes(b"half made")
    (directory / "damaged").mkdir()
    first = segments(directory)[0]
    (directory / "damaged" / first.name).hardlink_to(first)
    journal = Journal.open(directory, SMALL, accept_damage=True)
    assert len(journal.recovery.damages) == 3
    assert len(read_all(journal)) == 57
    assert len(list((directory / "damaged").iterdir())) == 2
    journal.close()


def test_damage_that_appears_while_running_is_raised_to_the_reader(tmp_path: Path) -> None:
    """Each read checks the checksums again and names file and offset."""
    journal = Journal.open(tmp_path, SMALL)
    for _ in range(5):
        journal.append([draft(b"u" * 500)]).result(10)
    path = segments(tmp_path)[0]
    at = path.read_bytes().rfind(b"u" * 500)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"U")
    assert len(journal.read(0, max_bytes=2000)) == 4
    with pytest.raises(IntegrityError, match=rf"{path}: damaged at offset \d+"):
        journal.read(4, max_bytes=2000)
    journal.close()


def test_a_directory_that_cannot_be_used_is_told_as_such(tmp_path: Path) -> None:
    """A file in the directory's place is a JournalError with the reason."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal.open(tmp_path / "file", SMALL)


def test_spares_of_another_size_and_half_made_ones_are_removed(tmp_path: Path) -> None:
    """After the segment size was changed in the configuration, old segments are read and new ones have the new size."""
    directory = crashed(tmp_path, [draft(b"t" * 1200) for _ in range(30)], close=True)
    (directory / "preparing.segment").write_bytes(b"\0" * 100)
    larger = JournalOptions(segment_bytes=128 * 1024, max_batch_bytes=8 * 1024)
    journal = Journal.open(directory, larger)
    for _ in range(60):
        last = journal.append([draft(b"s" * 1200)]).result(10)
    assert len(read_all(journal)) == 90
    journal.prune(last)
    journal.close()
    sizes = {path.stat().st_size for path in directory.glob("*.segment") if path.name != "preparing.segment"}
    assert sizes == {128 * 1024}
