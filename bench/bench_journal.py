"""Durable events per second: the journal against SQLite (WAL, synchronous=FULL) behind the same group commit.

64 coroutines append records of 1,545 bytes and await each one's durability. Both stores stand behind the same queue,
one writer thread and one wake-up per batch; SQLite commits one transaction per batch. The rounds are interleaved in
one run, and the ratio quoted is the median of the rounds' ratios. ``--check`` exits with 1 below 1.8 times.
"""

import argparse
import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from opentrail.journal import Draft, Journal
from opentrail.journal.frames import Addresses, prepare
from opentrail.journal.intake import Entry, Intake, settle
from opentrail.journal.options import JournalOptions

RECORD_BYTES = 1545
WRITERS = 64
TARGET = 1.8

Write = Callable[[Draft], Awaitable[int]]


class SqliteLog:
    """The rival: one table, one writer thread, one transaction per batch."""

    def __init__(self, path: Path) -> None:
        """Create the database and start its thread."""
        self._path = path
        self._intake = Intake(32 * 1024 * 1024)
        self._addresses = Addresses()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    async def write(self, draft: Draft) -> int:
        """Append one record; resolves once its transaction is on disk."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        prepared = prepare(draft, self._addresses)
        self._intake.put(Entry([prepared], prepared.frame_bytes, future, loop))
        return await future

    def close(self) -> None:
        """Commit what waits and stop."""
        self._intake.close("closed")
        self._thread.join()

    def _run(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE log (sequence INTEGER PRIMARY KEY, event_id BLOB, time_s INTEGER, address BLOB, payload BLOB)"
        )
        sequence = 0
        while entries := self._intake.take(4 * 1024 * 1024):
            rows = []
            for entry in entries:
                for one in entry.group:
                    sequence += 1
                    rows.append((sequence, *one[:4]))
                entry.last_sequence = sequence
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
            settle(entries)
        connection.close()


def _drafts(count: int) -> list[Draft]:
    payload = random.Random(1).randbytes(RECORD_BYTES)
    route = (str(uuid.uuid4()),)
    return [Draft(str(uuid.uuid4()), 1_763_900_000, "123456789012/us-east-1", route, payload) for _ in range(count)]


async def _drive(write: Write, drafts: list[Draft]) -> None:
    async def writer(mine: list[Draft]) -> None:
        for draft in mine:
            await write(draft)

    await asyncio.gather(*[writer(drafts[number::WRITERS]) for number in range(WRITERS)])


def _measure(write: Write, drafts: list[Draft]) -> tuple[float, float]:
    """Events per second and CPU microseconds per event of this whole process."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    uvloop.run(_drive(write, drafts))  # the loop that serves in production
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return len(drafts) / took_s, cpu_s / len(drafts) * 1e6


def _journal_round(directory: Path, drafts: list[Draft]) -> tuple[float, float]:
    journal = Journal.open(directory / "journal", JournalOptions())
    while not journal.stats().spare_segments:  # a running journal has its next segment ready
        time.sleep(0.01)

    try:
        return _measure(lambda draft: journal.write((draft,)), drafts)
    finally:
        journal.close()


def _sqlite_round(directory: Path, drafts: list[Draft]) -> tuple[float, float]:
    log = SqliteLog(directory / "log.sqlite")
    try:
        return _measure(log.write, drafts)
    finally:
        log.close()


def run(rounds: int = 8, events: int = 25_600, directory: Path | None = None) -> dict[str, float]:
    """Measure interleaved rounds in a directory on a real disk (default: the system's temporary one).

    Answers medians and the two ratios (above 1: the journal is better).
    """
    drafts = _drafts(events)
    results: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=directory) as name:
            order = (_journal_round, _sqlite_round) if number % 2 == 0 else (_sqlite_round, _journal_round)
            first, second = (one(Path(name), drafts) for one in order)
        ours, theirs = (first, second) if number % 2 == 0 else (second, first)
        results.append((ours, theirs))
        print(
            f"round {number + 1}: journal {ours[0]:9,.0f} ev/s {ours[1]:5.1f} us CPU/ev"
            f"   sqlite {theirs[0]:9,.0f} ev/s {theirs[1]:5.1f} us CPU/ev   {ours[0] / theirs[0]:.2f}x"
        )
    return {
        "journal_events_per_s": statistics.median(ours[0] for ours, _ in results),
        "sqlite_events_per_s": statistics.median(theirs[0] for _, theirs in results),
        "journal_cpu_us": statistics.median(ours[1] for ours, _ in results),
        "sqlite_cpu_us": statistics.median(theirs[1] for _, theirs in results),
        "ratio": statistics.median(ours[0] / theirs[0] for ours, theirs in results),
        "cpu_ratio": statistics.median(theirs[1] / ours[1] for ours, theirs in results),
    }


def main() -> int:
    """Print the comparison; with --check, fail below the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help=f"exit with 1 below {TARGET} times")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--events", type=int, default=25_600)
    parser.add_argument("--directory", type=Path, help="where to write: a real disk, not a tmpfs")
    arguments = parser.parse_args()
    result = run(arguments.rounds, arguments.events, arguments.directory)
    print(
        f"journal {result['journal_events_per_s']:,.0f} ev/s, {result['journal_cpu_us']:.1f} us/ev; "
        f"SQLite WAL FULL {result['sqlite_events_per_s']:,.0f} ev/s, {result['sqlite_cpu_us']:.1f} us/ev; "
        f"ratio {result['ratio']:.2f}x events/s, {result['cpu_ratio']:.2f}x CPU (target {TARGET}x)"
    )
    return 1 if arguments.check and result["ratio"] < TARGET else 0


if __name__ == "__main__":
    sys.exit(main())
