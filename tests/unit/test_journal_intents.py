"""Intents: announced before a call is forwarded, with room for its outcome; concluded once; not pruned while open."""

import asyncio
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from opentrail.errors import JournalError, NoRoomError
from opentrail.journal import OUTCOME_ALLOWANCE_BYTES, Draft, Frame, Intent, Journal, JournalOptions
from opentrail.journal.frames import FRAME_HEAD_BYTES, Intended

SMALL = JournalOptions(segment_bytes=64 * 1024, max_batch_bytes=16 * 1024, max_queue_bytes=1024 * 1024)
ROUTES = ("trail-a", "trail-b")


def draft(payload: bytes = b"unknown", *, routes: tuple[str, ...] = ROUTES) -> Draft:
    """A record with a fresh event id."""
    return Draft(str(uuid.uuid4()), 1_763_900_000, "123456789012/us-east-1", routes, payload)


def outcome(intent: Intent, payload: bytes = b"outcome") -> list[Draft]:
    """The records of a call whose outcome is known."""
    return [replace(one, payload=payload) for one in intent.group]


def read_all(journal: Journal) -> list[Frame]:
    """Every durable frame."""
    frames: list[Frame] = []
    while part := journal.read(frames[-1].sequence if frames else 0, max_bytes=10_000):
        frames += part
    return frames


async def nothing_open(journal: Journal) -> None:
    """Let the loop turn until nothing is reserved."""
    for _ in range(2000):
        if not journal.stats().reserved_bytes:
            return
        await asyncio.sleep(0.002)
    raise AssertionError("an intent stayed open")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal with small segments."""
    opened = Journal.open(tmp_path / "journal", SMALL)
    yield opened
    opened.close()


def test_an_intent_is_durable_when_it_resolves_and_has_no_routes(journal: Journal) -> None:
    """Readers by routes pass over it; what its records will have stands beside, and its group's extent."""
    group = [draft(b"one"), draft(b"two", routes=())]
    journal.intend_blocking(group)
    assert journal.durable_sequence == 2
    assert read_all(journal) == [
        Frame(1, group[0].event_id, group[0].time_s, group[0].partition, (), b"one", Intended(ROUTES, True)),
        Frame(2, group[1].event_id, group[1].time_s, group[1].partition, (), b"two", Intended((), False)),
    ]
    assert all(frame.is_intent for frame in read_all(journal))


def test_an_outcome_is_an_ordinary_group(journal: Journal) -> None:
    """It gives its last sequence; its frames have routes and are no intents; nothing is reserved any more."""
    intent = journal.intend_blocking([draft(), draft()])
    assert journal.conclude_blocking(intent, outcome(intent)) == 4
    found = read_all(journal)[2:]
    assert [(frame.event_id, frame.routes, frame.payload) for frame in found] == [
        (one.event_id, ROUTES, b"outcome") for one in intent.group
    ]
    assert not any(frame.is_intent for frame in found)
    assert (journal.stats().open_intents, journal.stats().reserved_bytes) == (0, 0)


def test_coroutines_intend_and_conclude(journal: Journal) -> None:
    """Many calls at once, each with two recipients: every one is announced, then concluded, in its own order."""

    async def call() -> tuple[Intent, int]:
        intent = await journal.intend([draft(), draft()])
        return intent, await journal.conclude(intent, outcome(intent))

    async def work() -> list[tuple[Intent, int]]:
        return [found for _ in range(10) for found in await asyncio.gather(call(), call(), call())]

    calls = asyncio.run(work())
    by_sequence = {frame.sequence: frame for frame in read_all(journal)}
    assert sorted(by_sequence) == list(range(1, 121))
    for intent, last in calls:
        assert [by_sequence[last - 1].event_id, by_sequence[last].event_id] == [one.event_id for one in intent.group]
    assert journal.stats().open_intents == 0


def test_the_figures_say_what_is_open_and_reserved(journal: Journal) -> None:
    """Each intent keeps its own size and the allowance for each of its records."""
    sizes = [FRAME_HEAD_BYTES + len("123456789012/us-east-1\ntrail-a\ntrail-b") + len(b"unknown")] * 3
    journal.intend_blocking([draft(), draft()])
    intent = journal.intend_blocking([draft()])
    assert intent.reserved_bytes == sizes[0] + OUTCOME_ALLOWANCE_BYTES
    assert journal.stats().open_intents == 2
    assert journal.stats().reserved_bytes == sum(sizes) + 3 * OUTCOME_ALLOWANCE_BYTES
    journal.conclude_blocking(intent, intent.group)
    assert journal.stats().open_intents == 1
    assert journal.stats().reserved_bytes == sum(sizes[:2]) + 2 * OUTCOME_ALLOWANCE_BYTES


def test_an_intent_is_concluded_once(journal: Journal, tmp_path: Path) -> None:
    """A second outcome, or one for an intent of another journal, is a ValueError and writes nothing."""
    intent = journal.intend_blocking([draft()])
    journal.conclude_blocking(intent, outcome(intent))
    with pytest.raises(ValueError, match="not open"):
        journal.conclude_blocking(intent, outcome(intent))
    other = Journal.open(tmp_path / "other", SMALL)
    foreign = other.intend_blocking([draft()])
    with pytest.raises(ValueError, match="not open"):
        journal.conclude_blocking(foreign, outcome(foreign))
    other.close()
    assert journal.durable_sequence == 2


def test_only_one_outcome_is_on_its_way(journal: Journal) -> None:
    """While one outcome waits for the disk another is a ValueError; the first is written."""
    intent = journal.intend_blocking([draft()])

    async def both() -> tuple[int | BaseException, int | BaseException]:
        first, second = journal.conclude(intent, outcome(intent)), journal.conclude(intent, intent.group)
        return await asyncio.gather(first, second, return_exceptions=True)

    first, second = asyncio.run(both())
    assert first == 2
    assert isinstance(second, ValueError)
    assert read_all(journal)[-1].payload == b"outcome"


def test_an_outcome_has_a_record_for_each_event_of_its_intent(journal: Journal) -> None:
    """One that lacks an event is a ValueError, as recovery would add it again; further records are welcome."""
    intent = journal.intend_blocking([draft(), draft()])
    with pytest.raises(ValueError, match=intent.group[1].event_id):
        journal.conclude_blocking(intent, outcome(intent)[:1])
    with pytest.raises(ValueError, match="at least one"):
        journal.conclude_blocking(intent, [])
    assert journal.stats().open_intents == 1
    journal.conclude_blocking(intent, [*outcome(intent), draft(b"for the owner")])
    assert journal.stats().open_intents == 0


def test_an_outcome_within_its_allowance_fits_and_may_be_longer_where_there_is_room(journal: Journal) -> None:
    """The allowance is what is promised, not a limit, unless it is more than any group may have."""
    allowed, longer, too_long = (journal.intend_blocking([draft()]) for _ in range(3))
    journal.conclude_blocking(allowed, outcome(allowed, b"u" * (len(b"unknown") + OUTCOME_ALLOWANCE_BYTES)))
    journal.conclude_blocking(longer, outcome(longer, b"u" * 10_000))
    with pytest.raises(NoRoomError, match="is the limit"):
        journal.conclude_blocking(too_long, outcome(too_long, b"u" * SMALL.max_group_bytes))
    journal.conclude_blocking(too_long, too_long.group)
    assert journal.stats().open_intents == 0


def test_promises_are_bounded_by_a_segment(journal: Journal) -> None:
    """Beyond that calls are refused, nothing of the refused one is written, and each conclusion lets another in."""
    intents: list[Intent] = []
    with pytest.raises(JournalError, match="keeps no room"):
        for _ in range(100):
            intents.append(journal.intend_blocking([draft()]))
    assert len(intents) == (SMALL.segment_bytes - 4096) // intents[0].reserved_bytes
    assert journal.durable_sequence == len(intents)
    journal.conclude_blocking(intents[3], outcome(intents[3]))
    journal.intend_blocking([draft()])
    with pytest.raises(JournalError, match="keeps no room"):
        journal.intend_blocking([draft()])


def test_an_intent_whose_outcome_could_not_be_one_group_is_refused(journal: Journal) -> None:
    """What is promised must be appendable: the group and its allowance are held to the limit of a group."""
    with pytest.raises(JournalError, match="outcome of one call"):
        journal.intend_blocking([draft(b"u" * (SMALL.max_group_bytes - OUTCOME_ALLOWANCE_BYTES))])
    assert journal.stats().reserved_bytes == 0


def test_malformed_intents_are_refused(journal: Journal) -> None:
    """ValueError at once; nothing is written and nothing reserved."""
    with pytest.raises(ValueError, match="not an event id"):
        journal.intend_blocking([replace(draft(), event_id="no")])
    with pytest.raises(ValueError, match="at least one"):
        journal.intend_blocking([])
    assert (journal.durable_sequence, journal.stats().reserved_bytes) == (0, 0)


def test_a_full_queue_refuses_intents_and_takes_outcomes(tmp_path: Path) -> None:
    """While the disk is slow, new calls are refused at once; those that were forwarded are recorded."""
    options = JournalOptions(segment_bytes=1024 * 1024, max_batch_bytes=20_000, max_queue_bytes=50_000)
    journal = Journal.open(tmp_path, options)
    intents = [journal.intend_blocking([draft()]) for _ in range(8)]
    gate = threading.Event()
    flush = journal._writer._flush
    journal._writer._flush = lambda batch: (gate.wait(20), flush(batch))[1]  # type: ignore[method-assign]  # slow disk
    futures = []
    with pytest.raises(JournalError, match="waiting for the disk"):
        for _ in range(100):
            futures.append(journal.append([draft(b"z" * 4000)]))
    with pytest.raises(JournalError, match="waiting for the disk"):
        journal.intend_blocking([draft(b"z" * 4000)])
    threads = [
        threading.Thread(target=journal.conclude_blocking, args=(one, outcome(one, b"o" * 4000))) for one in intents
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(20)
    assert all(future.result(10) for future in futures)
    journal.close()
    assert journal.stats().open_intents == 0
    assert journal.stats().reserved_bytes == 0
    assert journal.durable_sequence == 8 + len(futures) + 8


@pytest.mark.parametrize("is_on_disk", [False, True])
def test_a_call_that_is_cancelled_before_it_was_forwarded_leaves_nothing_open(
    journal: Journal, is_on_disk: bool
) -> None:
    """Its intent is concluded as unknown, whether it was on disk already or not."""

    async def cancel() -> None:
        task = asyncio.create_task(journal.intend([draft()]))
        await asyncio.sleep(0)
        if is_on_disk:
            journal.wait_for(0, 10)  # the loop stands still: the task does not hear of it before it is cancelled
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await nothing_open(journal)

    asyncio.run(cancel())
    frames = read_all(journal)
    assert [(frame.is_intent, frame.routes) for frame in frames] == [(True, ()), (False, ROUTES)]
    assert frames[0].event_id == frames[1].event_id


def test_a_cancelled_outcome_is_written_all_the_same(journal: Journal) -> None:
    """A client that goes away does not leave its call open."""

    async def cancel() -> None:
        intent = await journal.intend([draft()])
        task = asyncio.create_task(journal.conclude(intent, outcome(intent)))
        await asyncio.sleep(0)
        task.cancel()
        await nothing_open(journal)

    asyncio.run(cancel())
    assert [frame.payload for frame in read_all(journal)] == [b"unknown", b"outcome"]


def test_pruning_stops_before_the_oldest_open_intent(journal: Journal) -> None:
    """Whatever the bound, an open intent and what lies behind it stay; they go when it is concluded."""
    for _ in range(20):
        journal.append([draft(b"p" * 4000)]).result(10)
    intent = journal.intend_blocking([draft()])
    later = journal.intend_blocking([draft()])
    for _ in range(60):
        journal.append([draft(b"p" * 4000)]).result(10)
    assert journal.concluded_through == 20
    journal.prune(journal.durable_sequence)
    assert {21, 22, 23} <= {frame.sequence for frame in read_all(journal)}
    assert journal.stats().oldest_undelivered == 21
    journal.conclude_blocking(intent, outcome(intent))
    assert journal.concluded_through == 21
    journal.conclude_blocking(later, outcome(later))
    assert journal.concluded_through == journal.durable_sequence
    journal.prune(journal.durable_sequence)
    assert journal.stats().segments == 1


def test_a_closed_journal_takes_neither_intents_nor_outcomes(journal: Journal) -> None:
    """Both are a JournalError; the intent stays open, for the next start."""
    intent = journal.intend_blocking([draft()])
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.intend_blocking([draft()])
    with pytest.raises(JournalError, match="closed"):
        journal.conclude_blocking(intent, outcome(intent))
    assert journal.stats().open_intents == 1
    assert journal.stats().reserved_bytes == intent.reserved_bytes
