"""The outbox and the cursors: state and evidence commit together, and pruning never passes what is still needed."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from opentrail.errors import IntegrityError
from opentrail.journal import Draft, Journal, JournalOptions, cursors, outbox
from opentrail.state.database import Database

SMALL = JournalOptions(segment_bytes=32 * 1024, max_batch_bytes=8 * 1024)


def draft(payload: bytes = b"{}") -> Draft:
    """A record with a fresh event id."""
    return Draft(str(uuid.uuid4()), 1, "123456789012/us-east-1", ("r",), payload)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    opened = Journal.open(tmp_path / "journal", SMALL)
    yield opened
    opened.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty state database on disk."""
    opened = Database(tmp_path / "state.sqlite")
    opened.create_tables()
    yield opened
    opened.close()


def rows(database: Database) -> int:
    """How many rows the outbox has."""
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(outbox.outbox_table)).scalar() or 0)


def ids_in(journal: Journal) -> list[str]:
    """The event ids of all durable records."""
    return [frame.event_id for frame in journal.read(0, max_bytes=1 << 20)]


def test_a_row_commits_with_its_unit_or_not_at_all(database: Database) -> None:
    """A unit that fails leaves no record behind."""

    def change_and_fail() -> None:
        with database.unit() as unit:
            outbox.add(unit, [draft()], 5)
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    assert rows(database) == 0
    with database.unit() as unit:
        first = outbox.add(unit, [draft()], 5)
        assert outbox.add(unit, [draft()], 4) > first
    with database.read() as connection:
        assert outbox.oldest_noted(connection) == 4


def test_replay_appends_what_the_journal_does_not_have_and_only_that(database: Database, journal: Journal) -> None:
    """After a crash between commit and append the record is appended; one that was appended is not appended again."""
    before, done, lost = [draft(b"before")], [draft(b"done"), draft(b"copy")], [draft(b"lost"), draft(b"lost copy")]
    journal.append(before).result(10)
    with database.unit() as unit:
        outbox.add(unit, done, journal.next_sequence)
        outbox.add(unit, lost, journal.next_sequence)
    journal.append(done).result(10)
    assert outbox.replay(database, journal) == 2
    assert ids_in(journal) == [one.event_id for one in before + done + lost]
    assert rows(database) == 0
    assert outbox.replay(database, journal) == 0


def test_replay_looks_from_the_note_on(database: Database, journal: Journal) -> None:
    """An event id that stands before the note is another life's: the record is appended."""
    one = draft()
    journal.append([one]).result(10)
    with database.unit() as unit:
        outbox.add(unit, [one], journal.next_sequence)
    assert outbox.replay(database, journal) == 1


def test_replay_after_a_crash_in_the_middle_of_replay_repeats_nothing(
    database: Database, journal: Journal, tmp_path: Path
) -> None:
    """Rows that were appended but not yet deleted are found in the journal next time."""
    group = [draft(), draft()]
    with database.unit() as unit:
        outbox.add(unit, group, journal.next_sequence)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "state.sqlite", tmp_path / "old.sqlite")
    assert outbox.replay(database, journal) == 2
    crashed = Database(tmp_path / "old.sqlite")
    assert rows(crashed) == 1
    assert outbox.replay(crashed, journal) == 0
    assert rows(crashed) == 0
    assert len(ids_in(journal)) == 2
    crashed.close()


def test_a_row_that_cannot_be_read_is_a_finding(database: Database, journal: Journal) -> None:
    """A damaged row is not skipped and not deleted."""
    with database.unit() as unit:
        row = outbox.add(unit, [draft()], 1)
        unit.execute(sa.update(outbox.outbox_table).values(drafts=b"damaged"))
    with pytest.raises(IntegrityError, match=f"row {row} of the outbox"):
        outbox.replay(database, journal)
    assert rows(database) == 1


def test_sweeping_rides_on_later_units_and_forgets_only_after_the_commit(database: Database) -> None:
    """Appended rows are deleted with the next unit; if that unit fails they are deleted with the one after."""
    drain = outbox.OutboxDrain()
    ids = []
    for _ in range(3):
        with database.unit() as unit:
            ids.append(outbox.add(unit, [draft()], 1))
    drain.appended(ids[0])
    drain.appended(ids[2])

    def sweep_and_fail() -> None:
        with database.unit() as unit:
            drain.sweep(unit)
            raise KeyError

    with pytest.raises(KeyError):
        sweep_and_fail()
    assert (rows(database), len(drain)) == (3, 2)
    with database.unit() as unit:
        drain.sweep(unit)
        added = outbox.add(unit, [draft()], 9)
    assert added > max(ids), "an id is never used twice"
    assert (rows(database), len(drain)) == (2, 0)


def test_a_sweep_is_bounded(database: Database) -> None:
    """However many rows wait, one unit deletes 500 at most."""
    drain = outbox.OutboxDrain()
    with database.unit() as unit:
        for _ in range(700):
            drain.appended(outbox.add(unit, [draft()], 1))
    with database.unit() as unit:
        drain.sweep(unit)
    assert (rows(database), len(drain)) == (200, 200)


def test_cursors_are_kept_by_name(database: Database) -> None:
    """A cursor is made, moved and dropped; the minimum is the one furthest behind."""
    with database.read() as connection:
        assert cursors.minimum(connection) is None
    with database.unit() as unit:
        cursors.put(unit, "trail:a", 5)
        cursors.put(unit, "trail:b", 9)
        cursors.put(unit, "trail:a", 7)
    with database.read() as connection:
        assert cursors.every(connection) == {"trail:a": 7, "trail:b": 9}
        assert cursors.get(connection, "trail:a") == 7
        assert cursors.get(connection, "trail:c") is None
        assert cursors.minimum(connection) == 7
    with database.unit() as unit:
        cursors.drop(unit, "trail:a")
    with database.read() as connection:
        assert cursors.minimum(connection) == 9
    with database.unit() as unit, pytest.raises(ValueError, match="negative"):
        cursors.put(unit, "trail:a", -1)


@pytest.mark.parametrize(
    ("held", "noted", "durable", "bound"),
    [
        ((), None, 50, 50),
        ((10, 20), None, 50, 10),
        ((10, 20), 5, 50, 4),
        ((0,), None, 50, 0),
        ((90,), None, 50, 50),
        ((), 1, 50, 0),
        ((), 0, 50, 0),
    ],
)
def test_the_prune_bound_passes_nothing_that_is_needed(
    held: tuple[int, ...], noted: int | None, durable: int, bound: int
) -> None:
    """The bound is the lowest of the cursors, the sequence before the oldest note, and what is durable."""
    assert cursors.prune_bound(held, noted, durable) == bound


def test_a_cursor_beyond_the_journal_is_a_finding() -> None:
    """State that knows more records than the journal holds means that records are missing."""
    cursors.ensure_not_ahead({"trail:a": 10}, 10)
    with pytest.raises(IntegrityError, match="trail:a stands at sequence 11, but the journal ends at 10"):
        cursors.ensure_not_ahead({"trail:a": 11}, 10)
