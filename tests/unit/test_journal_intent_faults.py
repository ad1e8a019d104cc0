"""Intents on a disk that misbehaves: it refuses before a call is forwarded, never its outcome."""

import asyncio
import errno
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from opentrail.errors import JournalError, NoRoomError
from opentrail.journal import OUTCOME_ALLOWANCE_BYTES, Doors, Draft, Intent, Journal, JournalOptions
from tests.support.bad_files import BadFiles

SMALL = JournalOptions(segment_bytes=64 * 1024, max_batch_bytes=16 * 1024, max_queue_bytes=1024 * 1024, retry_s=0.05)


def draft(payload: bytes = b"unknown") -> Draft:
    """A record with a fresh event id."""
    return Draft(str(uuid.uuid4()), 1, "123456789012/us-east-1", ("t",), payload)


def outcome(intent: Intent, longer_bytes: int = OUTCOME_ALLOWANCE_BYTES) -> list[Draft]:
    """The outcome of a call, each record longer than the intent's: as long as is allowed, if nothing is said."""
    return [replace(one, payload=one.payload + b"o" * longer_bytes) for one in intent.group]


def payloads(journal: Journal) -> dict[str, bytes]:
    """The payload of every record (not: intent) by event id; fails where one stands twice."""
    found: dict[str, bytes] = {}
    after = 0
    while frames := journal.read(after, max_bytes=100_000):
        for frame in frames:
            if not frame.is_intent:
                assert frame.event_id not in found
                found[frame.event_id] = frame.payload
        after = frames[-1].sequence
    return found


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def fill(journal: Journal, size_bytes: int = 1000) -> int:
    """Append records until one is refused; answers how many were taken."""
    for count in range(3000):
        try:
            journal.append([draft(b"f" * size_bytes)]).result(10)
        except NoRoomError:
            return count
    raise AssertionError("nothing was refused")


def opened(directory: Path, files: BadFiles, spares: int) -> Journal:
    """A journal on a disk that is full from now on, with so many segments ready."""
    journal = Journal.open(directory, SMALL, doors=Doors(files=files))
    until(lambda: journal.stats().spare_segments)
    if spares == 2:  # one that was used joins the one that is ready
        while journal.stats().segments < 2:
            journal.append([draft(b"f" * 4000)]).result(10)
        until(lambda: journal.stats().spare_segments)
        journal.prune(journal.durable_sequence)
    files.fill_error = errno.ENOSPC
    if spares == 0:
        journal.append([draft(b"f" * 4000)]).result(10)
        while journal.stats().spare_segments:
            journal.append([draft(b"f" * 4000)]).result(10)
    assert journal.stats().spare_segments == spares
    return journal


@pytest.mark.parametrize("spares", [0, 1, 2])
@pytest.mark.parametrize("step_bytes", [10, 1000, 9000])
def test_a_full_disk_refuses_new_calls_and_no_outcome(tmp_path: Path, spares: int, step_bytes: int) -> None:
    """However many segments were ready: appends and intents are refused in time, then every outcome still fits."""
    journal = opened(tmp_path, BadFiles(), spares)
    intents = [journal.intend_blocking([draft(), draft()]) for _ in range(5)]
    fill(journal, step_bytes)
    with pytest.raises(NoRoomError):
        journal.intend_blocking([draft(b"n" * 5000)])
    assert journal.stats().open_intents == 5
    for intent in reversed(intents):
        journal.conclude_blocking(intent, outcome(intent))
    found = payloads(journal)
    for intent in intents:
        assert [found[one.event_id] for one in intent.group] == [one.payload for one in outcome(intent)]
    assert journal.failure is None
    assert journal.stats().reserved_bytes == 0
    journal.close()


def test_what_is_reserved_comes_free_for_others(tmp_path: Path) -> None:
    """A short outcome leaves the rest of its room to the next call, also on a full disk."""
    files = BadFiles()
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    files.fill_error = errno.ENOSPC
    intent = journal.intend_blocking([draft()])
    fill(journal)
    with pytest.raises(NoRoomError):
        journal.intend_blocking([draft()])
    journal.conclude_blocking(intent, intent.group)
    assert journal.append([draft(b"f" * 1000)]).result(10) > 0
    journal.close()


def test_too_long_an_outcome_is_told_and_a_shorter_one_is_taken(tmp_path: Path) -> None:
    """On a full disk an outcome beyond its reservation is NoRoomError; the intent stays open and keeps its room."""
    files = BadFiles()
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    files.fill_error = errno.ENOSPC
    intents = [journal.intend_blocking([draft()]) for _ in range(4)]
    fill(journal, size_bytes=10)
    durable = journal.durable_sequence
    for intent in intents:
        with pytest.raises(NoRoomError, match="No space left"):
            journal.conclude_blocking(intent, outcome(intent, OUTCOME_ALLOWANCE_BYTES + 200))
    assert journal.durable_sequence == durable
    assert journal.stats().open_intents == 4
    for intent in intents:
        journal.conclude_blocking(intent, outcome(intent))
    assert journal.stats().open_intents == 0
    journal.close()


def test_an_outcome_that_is_too_long_and_that_nobody_waits_for_is_unknown(tmp_path: Path) -> None:
    """A cancelled caller cannot try again with less: what the intent holds is recorded in his place."""
    files = BadFiles()
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    files.fill_error = errno.ENOSPC

    async def cancel() -> Intent:
        intent = await journal.intend([draft()])
        fill(journal, size_bytes=10)
        task = asyncio.create_task(journal.conclude(intent, outcome(intent, OUTCOME_ALLOWANCE_BYTES + 200)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.to_thread(until, lambda: not journal.stats().open_intents)
        return intent

    (record,) = asyncio.run(cancel()).group
    assert payloads(journal)[record.event_id] == record.payload
    journal.close()


def test_a_refused_intent_leaves_no_trace(tmp_path: Path) -> None:
    """Nothing was written and nothing is promised: the disk that comes free takes the next call."""
    files = BadFiles()
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    files.fill_error = errno.ENOSPC
    fill(journal)
    durable = journal.durable_sequence
    for _ in range(30):
        with pytest.raises(NoRoomError):
            journal.intend_blocking([draft(b"n" * 1000)])
    assert (journal.durable_sequence, journal.stats().reserved_bytes) == (durable, 0)
    files.fill_error = None
    until(lambda: journal.problem is None)
    journal.intend_blocking([draft(b"n" * 1000)])
    journal.close()


def test_a_held_spare_counts_as_disk_and_lasts(tmp_path: Path) -> None:
    """The segment kept for outcomes shows in the figures, and is a spare like any other after the next start."""
    files = BadFiles()
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    until(lambda: journal.stats().spare_segments)
    files.fill_error = errno.ENOSPC
    journal.intend_blocking([draft()])
    while journal._writer.held_spares == 0:
        journal.append([draft(b"f" * 1000)]).result(10)
    assert (journal.stats().segments, journal.stats().spare_segments) == (1, 1)
    assert journal.stats().disk_bytes == 2 * SMALL.segment_bytes
    journal.close()
    again = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    assert again.stats().spare_segments == 1
    again.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_an_intent_that_fails_to_be_written_forbids_the_call(tmp_path: Path, number: int) -> None:
    """A failed write is a JournalError and final, as for records."""
    files = BadFiles()
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    files.write_error = number
    with pytest.raises(JournalError, match=os.strerror(number)):
        journal.intend_blocking([draft()])
    files.write_error = None
    with pytest.raises(JournalError, match=os.strerror(number)):
        journal.intend_blocking([draft()])
    assert (journal.stats().open_intents, journal.stats().reserved_bytes) == (0, 0)
    journal.close()


def test_an_outcome_that_fails_to_be_written_leaves_its_intent_open(tmp_path: Path) -> None:
    """It is a JournalError that is no NoRoomError: a shorter outcome would not help, and none is taken."""
    files = BadFiles()
    journal = Journal.open(tmp_path, SMALL, doors=Doors(files=files))
    intent, other = journal.intend_blocking([draft()]), journal.intend_blocking([draft()])
    files.write_error = errno.EIO
    for one in (intent, other, intent):
        with pytest.raises(JournalError) as raised:
            journal.conclude_blocking(one, one.group)
        assert not isinstance(raised.value, NoRoomError)
    assert journal.stats().open_intents == 2
    assert journal.concluded_through == 0
    journal.close()
