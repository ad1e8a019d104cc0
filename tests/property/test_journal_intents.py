"""Any calls, any order, a disk that fills up whenever it likes: an outcome within its reservation is never refused."""

import errno
import shutil
import tempfile
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import JournalError, NoRoomError
from opentrail.journal import OUTCOME_ALLOWANCE_BYTES, Doors, Draft, Intent, Journal, JournalOptions, intents
from opentrail.journal.intake import Entry
from opentrail.journal.reservations import Promise
from opentrail.journal.room import Room
from opentrail.state.database import Database
from tests.support.bad_files import BadFiles

OPTIONS = JournalOptions(segment_bytes=32 * 1024, max_batch_bytes=24 * 1024, max_spare_segments=1, retry_s=0.01)
CAPACITY = 1000


@dataclass
class Modelled:
    """The writer's rules over numbers: segments of 1,000 bytes, and a pool that holds what a disk has left."""

    room: Room
    pool: int
    open: list[Intent] = field(default_factory=list)

    def take(self) -> Path | None:
        """A spare, while there is one."""
        if not self.pool:
            return None
        self.pool -= 1
        return Path("spare")

    def put(self, size_bytes: int, promise: Promise | None = None) -> bool:
        """One group, as the writer places it; whether it was taken."""
        entry = Entry([], size_bytes, Future(), promise=promise)
        while not self.room.fitting([entry], 0):
            self.room.held = self.room.held or self.take()
            if self.room.held is None:
                return False
            if size_bytes > self.room.tail_bytes:
                self.room.go_on()
        self.room.place(size_bytes, promise.change_bytes if promise else 0)
        assert self.room.tail_bytes >= 0, "nothing is written over the end"
        return True


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, CAPACITY), st.just(0)),
        st.tuples(st.just("intend"), st.integers(1, 300), st.integers(0, 200)),
        st.tuples(st.just("conclude"), st.integers(0, 20), st.integers(0, 100)),
        st.tuples(st.just("conclude too long"), st.integers(0, 20), st.integers(1, 400)),
        st.tuples(st.just("more disk"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(st.integers(0, CAPACITY), st.integers(0, 3), steps)
@settings(max_examples=600, deadline=None)
def test_an_outcome_within_its_reservation_always_has_a_place(
    tail_bytes: int, pool: int, sequence: list[tuple[str, int, int]]
) -> None:
    """For any sizes and segments, wherever the tail ends and however few spares there are; at the end all conclude."""
    world = Modelled(Room(tail_bytes, CAPACITY), pool)
    for verb, first, second in sequence:
        if verb == "append":
            world.put(first)
        elif verb == "more disk":
            world.pool += 1
        elif verb == "intend":
            intent = Intent((), first + second)
            within = sum(one.reserved_bytes for one in world.open) + intent.reserved_bytes <= CAPACITY
            if within and world.put(first, Promise(intent, concludes=False)):
                world.open.append(intent)
        elif world.open:
            intent = world.open[first % len(world.open)]
            within = verb == "conclude"
            size_bytes = intent.reserved_bytes * second // 100 if within else intent.reserved_bytes + second
            taken = world.put(min(size_bytes, CAPACITY), Promise(intent, concludes=True))
            assert taken or not within
            if taken:
                world.open.remove(intent)
        assert world.room.reserved_bytes == sum(one.reserved_bytes for one in world.open)
        assert world.room.held is not None or world.room.reserved_bytes <= world.room.tail_bytes
    world.pool = 0
    for intent in world.open:
        assert world.put(intent.reserved_bytes, Promise(intent, concludes=True))


@given(st.integers(1, 800), st.integers(1, 800))
@settings(max_examples=100, deadline=None)
def test_the_room_that_is_not_promised_is_used_up(reserved_bytes: int, size_bytes: int) -> None:
    """With one segment left, appends are taken down to the last byte that no outcome needs: refusal is not a habit."""
    world = Modelled(Room(CAPACITY, CAPACITY), 0)
    intent = Intent((), reserved_bytes)
    assert world.put(100, Promise(intent, concludes=False))
    while world.put(size_bytes):
        pass
    assert world.room.tail_bytes - reserved_bytes < size_bytes


@dataclass
class Lived:
    """What a journal was told, and what it said."""

    journal: Journal
    files: BadFiles
    appended: list[tuple[Draft, "Future[int]"]] = field(default_factory=list)
    open: list[Intent] = field(default_factory=list)
    outcomes: list[Draft] = field(default_factory=list)

    def append(self, size_bytes: int) -> None:
        """An ordinary record, not waited for: it is in the queue beside what follows."""
        one = draft(size_bytes)
        self.appended.append((one, self.journal.append([one])))

    def intend(self, size_bytes: int, recipients: int) -> None:
        """Announce a call; a refusal is allowed."""
        try:
            self.open.append(self.journal.intend_blocking([draft(size_bytes) for _ in range(recipients)]))
        except JournalError:
            assert self.journal.failure is None

    def conclude(self, number: int, longer_bytes: int) -> None:
        """Conclude a call; beyond the reservation it may be refused, and then within it, it may not."""
        if not self.open:
            return
        intent = self.open.pop(number % len(self.open))
        group = outcome(intent, longer_bytes)
        try:
            self.journal.conclude_blocking(intent, group)
        except NoRoomError:
            assert longer_bytes > OUTCOME_ALLOWANCE_BYTES
            group = outcome(intent, OUTCOME_ALLOWANCE_BYTES)
            self.journal.conclude_blocking(intent, group)
        self.outcomes += group

    def take_step(self, verb: str, first: int, second: int) -> None:
        """What a life is made of."""
        if verb == "append":
            self.append(first)
        elif verb == "intend":
            self.intend(first, second)
        elif verb == "conclude":
            self.conclude(first, second)
        else:
            self.files.fill_error = errno.ENOSPC if verb == "disk full" else None

    def acknowledged(self) -> dict[str, bytes]:
        """Every record that is known to be durable."""
        taken = [one for one, future in self.appended if future.exception(10) is None]
        return {one.event_id: one.payload for one in (*taken, *self.outcomes)}


def draft(size_bytes: int) -> Draft:
    """A record of a size."""
    return Draft(str(uuid.uuid4()), 1, "123456789012/us-east-1", ("t",), b"u" * size_bytes)


def outcome(intent: Intent, longer_bytes: int) -> list[Draft]:
    """The outcome of a call."""
    return [replace(one, payload=one.payload + b"o" * longer_bytes) for one in intent.group]


def records(journal: Journal) -> dict[str, bytes]:
    """Every record by event id; sequences are contiguous, and no record stands twice."""
    found: dict[str, bytes] = {}
    after = 0
    while frames := journal.read(after, max_bytes=50_000):
        assert [frame.sequence for frame in frames] == list(range(after + 1, after + 1 + len(frames)))
        for frame in frames:
            if not frame.is_intent:
                assert frame.event_id not in found
                assert frame.routes == ("t",)
                found[frame.event_id] = frame.payload
        after = frames[-1].sequence
    return found


lives = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 9000), st.just(0)),
        st.tuples(st.just("intend"), st.integers(0, 3000), st.integers(1, 3)),
        st.tuples(st.just("conclude"), st.integers(0, 9), st.integers(0, OUTCOME_ALLOWANCE_BYTES)),
        st.tuples(st.just("conclude"), st.integers(0, 9), st.integers(OUTCOME_ALLOWANCE_BYTES + 1, 9000)),
        st.tuples(st.sampled_from(["disk full", "disk free"]), st.just(0), st.just(0)),
    ),
    min_size=5,
    max_size=40,
)


@pytest.mark.parametrize("examples", [60, pytest.param(1500, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])])
def test_a_journal_keeps_its_word_whenever_the_disk_fills_up(examples: int) -> None:
    """No conclusion within its reservation is refused, nothing acknowledged is lost, numbers have no gaps; and what a
    crash leaves open is concluded by the next process on the same full disk.
    """

    @given(lives)
    @settings(max_examples=examples, deadline=None)
    def check(life: list[tuple[str, int, int]]) -> None:
        with tempfile.TemporaryDirectory() as name:
            live_and_crash(Path(name), life)

    check()


def live_and_crash(directory: Path, life: list[tuple[str, int, int]]) -> None:
    """One life of a journal, the crash at its end, and the start after it."""
    files = BadFiles()
    lived = Lived(Journal.open(directory / "journal", OPTIONS, doors=Doors(files=files)), files)
    for step in life:
        lived.take_step(*step)
    acknowledged = lived.acknowledged()
    assert records(lived.journal) == acknowledged
    files.fill_error = errno.ENOSPC
    lived.journal._spares.close()  # nothing is in the making while the files are copied
    shutil.copytree(directory / "journal", directory / "crashed")
    unknown = {one.event_id: one.payload for intent in lived.open for one in intent.group}
    while lived.open:
        lived.conclude(0, OUTCOME_ALLOWANCE_BYTES)
    assert records(lived.journal) == lived.acknowledged()
    lived.journal.close()
    start_again(directory, files, acknowledged, unknown)


def start_again(directory: Path, files: BadFiles, acknowledged: dict[str, bytes], unknown: dict[str, bytes]) -> None:
    """The next process, on the same full disk, finds what was acknowledged and records what is not known."""
    journal = Journal.open(directory / "crashed", OPTIONS, doors=Doors(files=files))
    database = Database(directory / "state.sqlite")
    database.create_tables()
    assert (intents.recover(database, journal) > 0) == bool(unknown)
    assert records(journal) == {**acknowledged, **unknown}
    assert intents.recover(database, journal) == 0
    database.close()
    journal.close()
