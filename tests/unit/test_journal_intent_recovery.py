"""What a crash leaves open: at the next start an intent without an outcome becomes the record that says so."""

import json
import logging
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opentrail.app.core import Core, World
from opentrail.clock import SystemEntropy
from opentrail.config import Settings
from opentrail.errors import ConfigError
from opentrail.journal import Draft, Frame, Intent, Journal, JournalOptions, cursors, intents, outbox
from opentrail.state import home as state_home
from opentrail.state.database import Database
from opentrail.state.home import FORMAT_VERSION, Home, format_of
from opentrail.state.migrations import prepare

SMALL = JournalOptions(segment_bytes=32 * 1024, max_batch_bytes=16 * 1024)


def draft(payload: bytes = b'{"errorCode":"OutcomeUnknown"}', routes: tuple[str, ...] = ("a", "b")) -> Draft:
    """A record with a fresh event id."""
    return Draft(str(uuid.uuid4()), 7, "123456789012/us-east-1", routes, payload)


def outcome(intent: Intent) -> list[Draft]:
    """The records of a call whose outcome is known."""
    return [replace(one, payload=b"{}") for one in intent.group]


def records(journal: Journal, after: int = 0) -> list[Draft]:
    """Every record (not: intent), in order."""
    found: list[Frame] = []
    while frames := journal.read(after, max_bytes=100_000):
        found += [frame for frame in frames if not frame.is_intent]
        after = frames[-1].sequence
    return [Draft(one.event_id, one.time_s, one.partition, one.routes, one.payload) for one in found]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty state database on disk."""
    opened = Database(tmp_path / "state.sqlite")
    opened.create_tables()
    yield opened
    opened.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the journal lies."""
    return tmp_path / "journal"


def cursor(database: Database) -> int | None:
    """The cursor of intents."""
    with database.read() as connection:
        return cursors.get(connection, intents.CURSOR)


def test_open_intents_become_their_records_and_concluded_ones_do_not(directory: Path, database: Database) -> None:
    """The record is the intent's, byte for byte, with its routes; doing it again finds nothing to do."""
    journal = Journal.open(directory, SMALL)
    first, second, third = (journal.intend_blocking([draft(), draft(routes=())]) for _ in range(3))
    journal.append([draft(b"between")]).result(10)
    journal.conclude_blocking(second, outcome(second))
    journal.close()
    again = Journal.open(directory, SMALL)
    before = again.durable_sequence
    assert intents.recover(database, again) == 2
    assert records(again, before) == [*first.group, *third.group]
    assert cursor(database) == again.durable_sequence
    assert intents.recover(database, again) == 0
    assert records(again, before) == [*first.group, *third.group]
    again.close()


def test_without_intents_there_is_nothing_to_recover(directory: Path, database: Database) -> None:
    """Not in an empty journal, and not in one that holds records only, as older releases wrote them."""
    journal = Journal.open(directory, SMALL)
    assert intents.recover(database, journal) == 0
    journal.append([draft(), draft()]).result(10)
    assert intents.recover(database, journal) == 0
    assert cursor(database) == 2
    journal.close()


def test_each_call_is_one_group_of_its_own(directory: Path, database: Database) -> None:
    """Intents of two calls that stand side by side become two groups, each with all its copies."""
    journal = Journal.open(directory, SMALL)
    for count in (2, 1, 3):
        journal.intend_blocking([draft() for _ in range(count)])
    groups: list[int] = []
    append = journal.append

    def watched(group: Sequence[Draft]) -> Future[int]:
        groups.append(len(group))
        return append(group)

    journal.append = watched  # type: ignore[method-assign]
    intents.recover(database, journal)
    assert groups == [2, 1, 3]
    journal.close()


def test_recovery_looks_from_its_cursor_on_only(directory: Path, database: Database) -> None:
    """What lies before the cursor is concluded by promise, and is not read."""
    journal = Journal.open(directory, SMALL)
    journal.intend_blocking([draft()])
    later = journal.intend_blocking([draft()])
    with database.unit() as unit:
        cursors.put(unit, intents.CURSOR, 1)
    assert intents.recover(database, journal) == 1
    assert records(journal) == list(later.group)
    journal.close()


def test_a_crash_in_the_middle_of_recovery_repeats_nothing(directory: Path, database: Database) -> None:
    """Whatever number of calls was recorded before the stop, the next start adds the others."""
    journal = Journal.open(directory, SMALL)
    calls = [journal.intend_blocking([draft(), draft()]) for _ in range(3)]
    journal.append(calls[0].group).result(10)  # as far as the first attempt came
    assert intents.recover(database, journal) == 2
    assert records(journal) == [one for call in calls for one in call.group]
    journal.close()


def test_recovery_follows_the_journal_across_segments(directory: Path, database: Database) -> None:
    """An intent, its outcome and recovery's own reading may each lie in another segment."""
    journal = Journal.open(directory, SMALL)
    lost = journal.intend_blocking([draft()])
    known = journal.intend_blocking([draft()])
    for _ in range(30):
        journal.append([draft(b"f" * 4000)]).result(10)
    journal.conclude_blocking(known, outcome(known))
    assert journal.stats().segments > 3
    assert intents.recover(database, journal) == 1
    assert records(journal)[-2:] == [*outcome(known), *lost.group]
    journal.close()


def test_an_outcome_in_the_outbox_counts_as_one(directory: Path, database: Database) -> None:
    """A call that also changed our state has its record there: the replay adds it, and takes no intent for it."""
    journal = Journal.open(directory, SMALL)
    noted = journal.next_sequence  # before the intent, as a careless caller might
    intent = journal.intend_blocking([draft()])
    with database.unit() as unit:
        outbox.add(unit, outcome(intent), noted)
    assert outbox.replay(database, journal) == 1
    assert intents.recover(database, journal) == 0
    assert records(journal) == outcome(intent)
    journal.close()


def test_accepted_damage_keeps_intents_intents(directory: Path, database: Database) -> None:
    """Frames that are saved from a damaged segment stay what they were; a lost outcome leaves its call unknown."""
    journal = Journal.open(directory, SMALL)
    open_call = journal.intend_blocking([draft(b"open"), draft(b"open, too")])
    lost_call = journal.intend_blocking([draft(b"unknown")])
    journal.append([draft(b"kept")]).result(10)
    journal.conclude_blocking(lost_call, [replace(one, payload=b"lost outcome") for one in lost_call.group])
    journal.append([draft(b"kept, too")]).result(10)
    journal.close()
    (segment,) = directory.glob("0*.segment")
    content = bytearray(segment.read_bytes())
    content[content.index(b"lost outcome")] ^= 1
    segment.write_bytes(content)
    again = Journal.open(directory, SMALL, accept_damage=True)
    assert len(again.recovery.damages) == 1
    assert [one.payload for one in records(again)] == [b"kept", b"kept, too"]
    before = again.durable_sequence
    assert intents.recover(database, again) == 3, "of the two copies of a call each is one frame now"
    assert records(again, before) == [*open_call.group, *lost_call.group]
    again.close()


class Clock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """The time."""
        return datetime(2026, 11, 23, 18, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        """The time, in seconds."""
        return 0.0


def core(home: Home) -> Core:
    """OpenTrail without its servers."""
    return Core(World(home, Settings(), Clock(), SystemEntropy()))


def test_starting_records_what_the_last_process_left_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Before anything is served the call has its record, and the operator is told."""
    home = Home(tmp_path / "home")
    first = core(home)
    intent = first.journal.intend_blocking([draft()])
    shutil.copytree(home.root, tmp_path / "crashed", ignore=shutil.ignore_patterns("preparing*"))
    first.close()
    with caplog.at_level(logging.WARNING):
        second = core(Home(tmp_path / "crashed"))
    found = [one for one in records(second.journal) if one.event_id == intent.group[0].event_id]
    assert found == list(intent.group)
    assert json.loads(found[0].payload) == {"errorCode": "OutcomeUnknown"}
    assert "1 call was under way" in caplog.text
    second.close()


def test_an_older_release_refuses_a_home_that_may_hold_intents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would deliver them as records. A HOME of format 2 is taken over as it is."""
    home = Home(tmp_path)
    home.format_file.write_text("2\n")
    home.database.parent.mkdir()
    prepare(home)
    assert format_of(home) == FORMAT_VERSION
    monkeypatch.setattr(state_home, "FORMAT_VERSION", 2)
    with pytest.raises(ConfigError, match="newer OpenTrail"):
        format_of(home)
