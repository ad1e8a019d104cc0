"""kill -9 at random moments: every acknowledged record is readable, exactly once, after each restart.

Run as a script this file is the child: it appends from several threads until it is killed, and prints each event id
once it was acknowledged.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from opentrail.journal import Draft, Journal, JournalOptions

OPTIONS = JournalOptions(segment_bytes=192 * 1024, max_batch_bytes=32 * 1024, max_queue_bytes=1024 * 1024)
THREADS = 6


def event_ids(journal: Journal) -> list[str]:
    """The ids of all durable records; their sequences must be contiguous."""
    found: list[str] = []
    after, previous = 0, None
    while frames := journal.read(after, max_bytes=1 << 20):
        for frame in frames:
            assert previous is None or frame.sequence == previous + 1
            assert frame.payload == frame.event_id.encode() * 30
            previous = frame.sequence
            found.append(frame.event_id)
        after = frames[-1].sequence
    return found


def _append_for_ever(journal: Journal) -> None:
    while True:
        ids = [str(uuid.uuid4()) for _ in range(random.choice((1, 1, 2, 3)))]
        group = [Draft(one, int(time.time()), "123456789012/us-east-1", ("trail",), one.encode() * 30) for one in ids]
        journal.append(group).result()
        os.write(1, "".join(f"A {one}\n" for one in ids).encode())


def _consume_for_ever(journal: Journal) -> None:
    after = 0
    while True:
        journal.wait_for(after, 10)
        if frames := journal.read(after, max_bytes=60_000):
            os.write(1, "".join(f"R {frame.event_id}\n" for frame in frames[:80]).encode())
            after = frames[:80][-1].sequence
            journal.prune(after)


def child(directory: Path, *, prune: bool) -> None:
    """Append (and consume) until killed."""
    journal = Journal.open(directory, OPTIONS)
    os.write(1, b"ready\n")
    for _ in range(THREADS):
        threading.Thread(target=_append_for_ever, args=(journal,), daemon=True).start()
    if prune:
        threading.Thread(target=_consume_for_ever, args=(journal,), daemon=True).start()
    while True:
        time.sleep(60)


def run_and_kill(directory: Path, after_s: float, *, prune: bool) -> tuple[set[str], set[str]]:
    """Start the child, kill it after a while; answers the ids it acknowledged and those it consumed."""
    argv = [sys.executable, __file__, str(directory), "prune" if prune else "keep"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        timer = threading.Timer(after_s, process.send_signal, (signal.SIGKILL,))
        timer.start()
        lines = process.stdout.read().decode().split("\n")[:-1]
        timer.join()
        assert process.wait() == -signal.SIGKILL
    return {line[2:] for line in lines if line[0] == "A"}, {line[2:] for line in lines if line[0] == "R"}


def survive(directory: Path, kills: int, seed: int, *, prune: bool) -> None:
    """Kill the child again and again; check what it acknowledged after each restart."""
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    consumed: set[str] = set()
    for number in range(kills):
        acked, read = run_and_kill(directory, chance.uniform(0.01, 0.5), prune=prune)
        acknowledged |= acked
        consumed |= read
        journal = Journal.open(directory, OPTIONS)
        found = event_ids(journal)
        journal.close()
        assert len(found) == len(set(found)), f"seed {seed}, kill {number}: a record stands twice"
        lost = acknowledged - set(found) - consumed
        assert not lost, f"seed {seed}, kill {number}: {len(lost)} acknowledged records are gone"
    assert len(acknowledged) > 20 * kills, "the test is about load"


@pytest.mark.parametrize("prune", [False, True])
def test_acknowledged_records_survive_kill_9(tmp_path: Path, prune: bool) -> None:
    """Five kills with everything kept, five while segments are recycled under way."""
    survive(tmp_path, 5, random.randrange(1 << 32), prune=prune)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("prune", [False, True])
def test_acknowledged_records_survive_many_kills(tmp_path: Path, prune: bool) -> None:
    """The same, fifty times."""
    survive(tmp_path, 50, random.randrange(1 << 32), prune=prune)


if __name__ == "__main__":
    child(Path(sys.argv[1]), prune=sys.argv[2] == "prune")
