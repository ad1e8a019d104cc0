"""The journal on a disk that misbehaves: short writes, failed flushes, no room for another segment."""

import errno
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from opentrail.clock import SystemEntropy
from opentrail.errors import JournalError
from opentrail.journal import OUTCOME_ALLOWANCE_BYTES, Doors, Draft, Journal, JournalOptions
from tests.support.bad_files import BadFiles

SMALL = JournalOptions(segment_bytes=64 * 1024, max_batch_bytes=16 * 1024, max_queue_bytes=1024 * 1024, retry_s=0.05)


def draft(payload: bytes = b"{}") -> Draft:
    """A record with a fresh event id."""
    return Draft(str(uuid.uuid4()), 1, "123456789012/us-east-1", (), payload)


def ids_in(journal: Journal) -> list[str]:
    """The event ids of all durable records, in order."""
    found: list[str] = []
    after = 0
    while frames := journal.read(after, max_bytes=100_000):
        found += [frame.event_id for frame in frames]
        after = frames[-1].sequence
    return found


@pytest.fixture
def files() -> BadFiles:
    """A file system without faults so far."""
    return BadFiles()


@pytest.mark.parametrize("longest", [1, 7, 1000])
def test_short_writes_are_continued_until_everything_is_on_disk(tmp_path: Path, files: BadFiles, longest: int) -> None:
    """However few bytes a call takes, an acknowledged record is whole."""
    files.longest_write = longest
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    drafts = [draft(bytes([number]) * 40) for number in range(4)]  # few bytes: each call of one byte is a flush
    for future in [journal.append([one]) for one in drafts]:
        future.result(60)
    journal.close()
    again = Journal.open(tmp_path, SMALL)
    assert ids_in(again) == [one.event_id for one in drafts]
    again.close()


def test_without_the_flag_every_batch_is_followed_by_a_flush(tmp_path: Path, files: BadFiles) -> None:
    """Where the file system does not know RWF_DSYNC, write and fdatasync do the same."""
    files.knows_flag = False
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    before = files.flushes
    for _ in range(5):
        journal.append([draft()]).result(10)
    assert files.flushes == before + 5
    assert len(ids_in(journal)) == 5
    journal.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_is_final(tmp_path: Path, files: BadFiles, number: int) -> None:
    """Everybody waiting and later is refused, the reason is told once, and the file is never written again."""
    told: list[str] = []
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files, on_failure=told.append))
    acknowledged = [draft(b"kept") for _ in range(3)]
    for one in acknowledged:
        journal.append([one]).result(10)
    files.write_error = number
    lost = journal.append([draft(b"never acknowledged" * 20)])
    with pytest.raises(JournalError, match=os.strerror(number)):
        lost.result(10)
    files.write_error = None  # the disk is well again, but nobody knows what it holds
    for _ in range(3):
        with pytest.raises(JournalError, match=os.strerror(number)):
            journal.append([draft()])
    assert told == [journal.failure]
    assert files.writes_after_error == 1
    assert ids_in(journal) == [one.event_id for one in acknowledged], "readers go on"
    assert journal.wait_for(3, 5) is False
    journal.close()
    again = Journal.open(tmp_path, SMALL)
    assert ids_in(again) == [one.event_id for one in acknowledged]
    assert again.recovery.cut_bytes > 0
    again.append([draft()]).result(10)
    again.close()


def test_every_waiting_group_hears_of_the_failure(tmp_path: Path, files: BadFiles) -> None:
    """Futures behind the failed batch do not hang."""
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    files.write_error = errno.EIO
    futures = []
    for _ in range(200):
        try:
            futures.append(journal.append([draft(b"x" * 2000)]))
        except JournalError:
            break
    assert futures
    for future in futures:
        assert isinstance(future.exception(10), JournalError)
    journal.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_the_writer_leaves_nobody_waiting(tmp_path: Path) -> None:
    """If the writer's thread ends in any other way, that is a failure like any other, not silence."""

    class Exhausted(SystemEntropy):
        spent = False

        def token(self, size_bytes: int) -> bytes:
            if self.spent:
                raise RuntimeError("no randomness left")
            self.spent = True
            return super().token(size_bytes)

    told: list[str] = []
    journal = Journal.open(tmp_path, SMALL, doors=Doors(entropy=Exhausted(), on_failure=told.append))
    futures = []
    for _ in range(30):  # more than one segment holds
        try:
            futures.append(journal.append([draft(b"q" * 4000)]))
        except JournalError:  # the writer has ended already
            break
    answers = [future.exception(10) for future in futures]
    assert answers[0] is None
    assert isinstance(answers[-1], JournalError)
    assert told == ["the journal's writer stopped unexpectedly"]
    journal.close()


def test_no_room_for_a_new_segment_refuses_for_a_while_and_is_not_a_failure(tmp_path: Path, files: BadFiles) -> None:
    """Appends go on in the active segment, are refused when it is used up, and succeed again once there is room."""
    told: list[str] = []
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files, on_failure=told.append))
    _wait_until(lambda: journal.stats().spare_segments > 0)
    files.fill_error = errno.ENOSPC
    acknowledged, refusals = _append_until_refused(journal)
    assert "No space left" in refusals[-1]
    assert journal.failure is None
    assert journal.problem is not None
    assert len(acknowledged) > 20, "two segments' worth was taken"
    for _ in range(20):
        with pytest.raises(JournalError, match="no room"):
            journal.append([draft(b"d" * 4000)]).result(10)
    files.fill_error = None
    _wait_until(lambda: journal.problem is None)
    last = draft(b"d" * 4000)
    assert journal.append([last]).result(10) == len(acknowledged) + 1
    assert ids_in(journal) == [*acknowledged, last.event_id]
    assert told == []
    assert not list(tmp_path.glob("preparing*")) or journal.stats().spare_segments == 0
    journal.close()
    again = Journal.open(tmp_path, SMALL)
    assert ids_in(again) == [*acknowledged, last.event_id]
    again.close()


def test_pruning_makes_room_when_the_disk_is_full(tmp_path: Path, files: BadFiles) -> None:
    """A recycled segment ends the shortage without a byte of new space."""
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    _wait_until(lambda: journal.stats().spare_segments > 0)
    files.fill_error = errno.ENOSPC
    _append_until_refused(journal)
    journal.prune(journal.durable_sequence)
    assert journal.append([draft(b"d" * 4000)]).result(10) > 0
    assert journal.failure is None
    journal.close()


def test_a_disk_too_full_for_the_first_segment_is_told_at_opening(tmp_path: Path, files: BadFiles) -> None:
    """Opening fails with JournalError, leaves no half-made file, and works once there is room."""
    files.fill_error = errno.ENOSPC
    with pytest.raises(JournalError, match="No space left"):
        Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    files.fill_error = None
    Journal.open(tmp_path, SMALL, doors=Doors(files=files)).close()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mount = tmp_path / "tiny"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(mount)], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_really_full_disk_refuses_and_recovers(tiny_disk: Path) -> None:
    """On a file system with room for three segments the fourth is refused until another file goes away."""
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"b" * 65_536)
    journal = Journal.open(tiny_disk / "journal", SMALL)
    acknowledged, refusals = _append_until_refused(journal)
    assert "No space left" in refusals[-1]
    assert journal.failure is None
    ballast.unlink()
    deadline = time.monotonic() + 10
    while True:
        one = draft(b"d" * 4000)
        try:
            journal.append([one]).result(10)
            break
        except JournalError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert ids_in(journal) == [*acknowledged, one.event_id]
    journal.close()
    again = Journal.open(tiny_disk / "journal", SMALL)
    assert ids_in(again) == [*acknowledged, one.event_id]
    again.close()


def test_on_a_really_full_disk_every_outcome_finds_its_room(tiny_disk: Path) -> None:
    """With not a block left on the file system, calls that were announced are recorded at their full allowance."""
    journal = Journal.open(tiny_disk / "journal", SMALL)
    intents = [journal.intend_blocking([draft(b"unknown")]) for _ in range(8)]
    acknowledged, refusals = _append_until_refused(journal)
    (tiny_disk / "ballast").write_bytes(b"b" * (os.statvfs(tiny_disk).f_bavail * 4096))
    assert "No space left" in refusals[-1]
    assert os.statvfs(tiny_disk).f_bavail == 0
    longer = b"unknown" + b"o" * OUTCOME_ALLOWANCE_BYTES
    outcomes = [replace(one, payload=longer) for intent in reversed(intents) for one in intent.group]
    for intent, record in zip(reversed(intents), outcomes, strict=True):
        journal.conclude_blocking(intent, [record])
    announced = [one.event_id for intent in intents for one in intent.group]
    assert ids_in(journal) == [*announced, *acknowledged, *(one.event_id for one in outcomes)]
    journal.close()


def _append_until_refused(journal: Journal) -> tuple[list[str], list[str]]:
    acknowledged: list[str] = []
    for _ in range(200):
        one = draft(b"d" * 4000)
        try:
            journal.append([one]).result(10)
        except JournalError as error:
            return acknowledged, [str(error)]
        acknowledged.append(one.event_id)
    raise AssertionError("nothing was refused")


def _wait_until(condition) -> None:  # type: ignore[no-untyped-def]  # any callable that can be asked
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
