"""The journal in good order: appending, reading, pruning, closing and its limits."""

import asyncio
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from opentrail.errors import JournalError
from opentrail.journal import Draft, Frame, Journal, JournalOptions

SMALL = JournalOptions(segment_bytes=64 * 1024, max_batch_bytes=16 * 1024, max_queue_bytes=1024 * 1024)


def draft(payload: bytes = b'{"eventVersion":"1.11"}', *, routes: tuple[str, ...] = ("trail-a",)) -> Draft:
    """A record with a fresh event id."""
    return Draft(str(uuid.uuid4()), 1_763_900_000, "123456789012/us-east-1", routes, payload)


def frame_of(one: Draft, sequence: int) -> Frame:
    """What reading that record has to give."""
    return Frame(sequence, one.event_id, one.time_s, one.partition, one.routes, one.payload)


def read_all(journal: Journal, after: int = 0, max_bytes: int = 20_000) -> list[Frame]:
    """Everything behind a sequence, in as many reads as it takes."""
    frames: list[Frame] = []
    while part := journal.read(after, max_bytes=max_bytes):
        frames += part
        after = part[-1].sequence
    return frames


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal with small segments."""
    opened = Journal.open(tmp_path / "journal", SMALL)
    yield opened
    opened.close()


def test_append_gives_the_last_sequence_of_the_group_and_read_gives_it_back(journal: Journal) -> None:
    """A group gets consecutive numbers; every field of every record comes back as it was given."""
    first = [draft(b"one"), draft(b"", routes=()), draft(b"\x00\xff" * 100, routes=("a", "b"))]
    second = [draft(b"four")]
    assert journal.append(first).result(10) == 3
    assert journal.append(second).result(10) == 4
    assert read_all(journal) == [frame_of(one, number) for number, one in enumerate(first + second, 1)]
    assert (journal.durable_sequence, journal.next_sequence) == (4, 5)


def test_an_empty_journal_has_nothing_to_read(journal: Journal) -> None:
    """Before the first append there is no durable sequence and no frame."""
    assert (journal.durable_sequence, journal.next_sequence) == (0, 1)
    assert journal.read(0, max_bytes=1000) == []
    assert journal.wait_for(0, 0.01) is False


def test_records_survive_closing_and_numbers_go_on(tmp_path: Path) -> None:
    """Opening again finds every record, reports nothing, and continues with the next number."""
    drafts = [draft(bytes([number]) * 3000) for number in range(100)]
    for begin in range(0, 100, 20):
        journal = Journal.open(tmp_path, SMALL)
        assert journal.recovery.is_clean
        for one in drafts[begin : begin + 20]:
            journal.append([one]).result(10)
        journal.close()
    journal = Journal.open(tmp_path, SMALL)
    assert read_all(journal) == [frame_of(one, number) for number, one in enumerate(drafts, 1)]
    assert journal.next_sequence == 101
    journal.close()


def test_read_takes_one_frame_at_least_and_stops_at_its_limit(journal: Journal) -> None:
    """A limit below a frame gives one frame; otherwise frames add up to about the limit, without gap or repeat."""
    for _ in range(30):
        journal.append([draft(b"x" * 5000)]).result(10)
    assert [frame.sequence for frame in journal.read(4, max_bytes=1)] == [5]
    assert len(journal.read(0, max_bytes=20_000)) == 4
    assert [frame.sequence for frame in read_all(journal, 7)] == list(range(8, 31))
    assert journal.read(30, max_bytes=1000) == []


def test_frames_larger_than_a_read_piece_come_back_whole(tmp_path: Path) -> None:
    """A record of the largest size that a group may have is appended and read; one byte more is refused."""
    options = JournalOptions(segment_bytes=2 * 1024 * 1024, max_batch_bytes=1024 * 1024)
    journal = Journal.open(tmp_path, options)
    overhead = 52 + len("123456789012/us-east-1\ntrail-a")
    largest = draft(b"y" * (options.max_group_bytes - overhead))
    journal.append([draft(b"small")]).result(10)
    assert journal.append([largest]).result(10) == 2
    with pytest.raises(JournalError, match="is the limit"):
        journal.append([draft(largest.payload + b"y")])
    assert journal.read(0, max_bytes=10)[0].payload == b"small"
    assert journal.read(1, max_bytes=10) == [frame_of(largest, 2)]
    journal.close()


@pytest.mark.parametrize(
    "bad",
    [
        Draft("not-a-uuid", 1, "p", (), b""),
        Draft("", 1, "p", (), b""),
        Draft(str(uuid.uuid4())[:-1], 1, "p", (), b""),
        Draft(str(uuid.uuid4()), 1, "p\nq", (), b""),
        Draft(str(uuid.uuid4()), 1, "p", ("",), b""),
        Draft(str(uuid.uuid4()), 1, "p", ("r" * 70_000,), b""),
        Draft(str(uuid.uuid4()), 1 << 63, "p", (), b""),
    ],
)
def test_a_malformed_draft_is_refused_and_its_whole_group_with_it(journal: Journal, bad: Draft) -> None:
    """ValueError says so at once; nothing of the group is written and no number is used."""
    with pytest.raises(ValueError):
        journal.append([draft(), bad])
    with pytest.raises(ValueError, match="at least one"):
        journal.append([])
    assert journal.append([draft()]).result(10) == 1


def test_a_full_queue_refuses_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """While the disk is slow the queue fills up to its bound; what was taken in becomes durable all the same."""
    options = JournalOptions(segment_bytes=1024 * 1024, max_batch_bytes=10_000, max_queue_bytes=50_000)
    journal = Journal.open(tmp_path, options)
    gate = threading.Event()
    flush = journal._writer._flush
    journal._writer._flush = lambda batch: (gate.wait(20), flush(batch))[1]  # type: ignore[method-assign]  # slow disk
    futures = []
    with pytest.raises(JournalError, match="waiting for the disk"):
        for _ in range(100):
            futures.append(journal.append([draft(b"z" * 4000)]))
    assert 10 <= len(futures) <= 16
    gate.set()
    assert [future.result(10) for future in futures] == list(range(1, len(futures) + 1))
    journal.close()


def test_write_serves_coroutines_of_several_loops(journal: Journal) -> None:
    """Coroutines get their own group's last sequence; a cancelled one's record is written all the same."""
    results: list[int] = []

    async def work() -> None:
        results.extend(await asyncio.gather(*[journal.write([draft(), draft()]) for _ in range(50)]))
        task = asyncio.create_task(journal.write([draft()]))
        await asyncio.sleep(0)
        task.cancel()

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert len(set(results)) == 150
    assert journal.durable_sequence == 303


def test_readers_see_whole_prefixes_while_writers_append_and_segments_are_recycled(tmp_path: Path) -> None:
    """Four writers, two readers and a pruner at once: each reader gets every record once, in order, unharmed."""
    journal = Journal.open(tmp_path, SMALL)
    total, pruned, seen = 1200, [0, 0], [[], []]  # type: ignore[var-annotated]  # two lists of frames

    def write() -> None:
        for _ in range(total // 4):
            journal.append([draft(uuid.uuid4().bytes * 60)]).result(20)

    def read(number: int) -> None:
        while len(seen[number]) < total:
            assert journal.wait_for(len(seen[number]), 20)
            frames = journal.read(len(seen[number]), max_bytes=9000)
            seen[number] += frames
            pruned[number] = len(seen[number])
            journal.prune(min(pruned))

    threads = [threading.Thread(target=write) for _ in range(4)]
    threads += [threading.Thread(target=read, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [frame.sequence for frame in seen[0]] == list(range(1, total + 1))
    assert seen[0] == seen[1]
    stats = journal.stats()
    assert stats.segments <= 2
    assert stats.oldest_undelivered is None
    assert len(list(tmp_path.iterdir())) <= 2 + 3 + 2, "spares are bounded"
    journal.close()


def test_recycled_segments_never_bring_old_records_back(tmp_path: Path) -> None:
    """Files are reused with all their old bytes in them; only what was appended after the reuse is ever read."""
    journal = Journal.open(tmp_path, SMALL)
    for _ in range(3):
        for _ in range(40):
            last = journal.append([draft(b"old" * 1000)]).result(10)
        journal.prune(last)
    reused = journal._chain.active
    crashed = tmp_path.parent / f"{tmp_path.name}-crashed"
    shutil.copytree(tmp_path, crashed, ignore=shutil.ignore_patterns("preparing*"))  # what a killed process leaves
    journal.close()
    again = Journal.open(crashed, SMALL)
    assert again.recovery.is_clean, again.recovery
    assert b"oldold" in (crashed / reused.path.name).read_bytes()[reused.end :], "the test is about reused bytes"
    assert again.next_sequence == last + 1
    assert read_all(again)[-1].sequence == last
    again.close()


def test_pruning_removes_whole_segments_only_and_never_the_active_one(journal: Journal, tmp_path: Path) -> None:
    """Frames behind the bound stay readable; pruning everything leaves the active segment."""
    for _ in range(60):
        last = journal.append([draft(b"p" * 4000)]).result(10)
    before = journal.stats()
    journal.prune(30)
    assert {frame.sequence for frame in read_all(journal)} >= set(range(31, 61))
    assert journal.stats().oldest_undelivered is not None
    assert journal.stats().segments < before.segments
    journal.prune(last + 100)
    assert journal.stats().segments == 1
    assert journal.append([draft()]).result(10) == last + 1


def test_wait_for_wakes_a_waiting_reader(journal: Journal) -> None:
    """A reader that waits goes on as soon as something newer is durable, and when the journal closes."""
    woken: list[tuple[bool, float]] = []

    def wait(after: int) -> None:
        began = time.monotonic()
        woken.append((journal.wait_for(after, 20), time.monotonic() - began))

    first = threading.Thread(target=wait, args=(0,))
    second = threading.Thread(target=wait, args=(1,))
    first.start()
    second.start()
    journal.append([draft()]).result(10)
    first.join(10)
    journal.close()
    second.join(10)
    assert [answer for answer, _ in woken] == [True, False]
    assert all(took < 10 for _, took in woken)


def test_files_are_private_and_only_one_process_may_open(journal: Journal, tmp_path: Path) -> None:
    """Every file has mode 0600, the directory 0700; a second opening is refused while the first lasts."""
    journal.append([draft()]).result(10)
    directory = tmp_path / "journal"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    lasting = [path for path in directory.iterdir() if not path.name.startswith("preparing")]  # that one may be gone
    assert {stat.S_IMODE(path.stat().st_mode) for path in lasting} == {0o600}
    with pytest.raises(JournalError, match="another process"):
        Journal.open(directory, SMALL)
    journal.close()
    Journal.open(directory, SMALL).close()


def test_a_closed_journal_refuses_and_closing_twice_is_harmless(journal: Journal) -> None:
    """What was queued before the end is durable; later appends say that the journal is closed."""
    futures = [journal.append([draft()]) for _ in range(20)]
    journal.close()
    journal.close()
    assert [future.result(0) for future in futures] == list(range(1, 21))
    with pytest.raises(JournalError, match="closed"):
        journal.append([draft()])
    assert journal.failure is None


@pytest.mark.parametrize(
    "sizes", [{"segment_bytes": 100}, {"max_batch_bytes": 0}, {"max_spare_segments": 0}, {"retry_s": 0}]
)
def test_options_that_cannot_work_are_refused(sizes: dict[str, int]) -> None:
    """Sizes without sense are a ValueError, not a journal that fails later."""
    with pytest.raises(ValueError, match="must"):
        JournalOptions(**sizes)
