"""What accounts' event buses are told: the herald with a real journal and state, time by hand."""

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from opentrail.delivery.bus_entries import Choice, Entry
from opentrail.delivery.herald import Herald, retire
from opentrail.delivery.stretches import KEPT
from opentrail.errors import OutboundError
from opentrail.journal import Draft, cursors
from tests.support.delivery_world import ACCOUNT, IRELAND, VIRGINIA, DeliveryWorld
from tests.support.memory_store import MemoryObjectStore

OTHER = "210987654321/us-east-1"


class MemoryBuses:
    """Every account's bus; ``down`` are the partitions whose bus does not answer."""

    def __init__(self) -> None:
        self.told: dict[str, list[str]] = {}
        self.down: set[str] = set()
        self.refused: Sequence[str] = ()
        self.calls = 0

    def put(self, account_id: str, region: str, entries: Sequence[Entry]) -> Sequence[str]:
        """Note what was said."""
        self.calls += 1
        partition = f"{account_id}/{region}"
        if partition in self.down:
            raise OutboundError("ServiceUnavailable", "down")
        self.told.setdefault(partition, []).extend(json.loads(entry.detail)["eventID"] for entry in entries)
        return self.refused


class World(DeliveryWorld):
    """A courier and a herald with buses in memory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, MemoryObjectStore("logs-bucket"), interval_s=60.0)
        self.buses = MemoryBuses()
        self.restart_herald()

    def restart_herald(self, **choice: Any) -> None:
        """A new herald over what the last one left."""
        self.herald = Herald(
            journal=self.journal,
            database=self.database,
            trails=self.trails,
            bus=self.buses,
            clock=self.clock,
            choice=Choice(**choice),
        )

    def happen(
        self,
        count: int = 1,
        partition: str = VIRGINIA,
        routes: tuple[str, ...] = (),
        size_bytes: int = 0,
        **members: Any,
    ) -> list[str]:
        """Append records of management events that change something, or of others."""
        ids = [str(uuid.uuid4()) for _ in range(count)]
        at = self.clock.now()
        for event_id in ids:
            record = {
                "eventID": event_id,
                "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "eventSource": "sqs.amazonaws.com",
                "eventType": "AwsApiCall",
                "readOnly": False,
                "managementEvent": True,
                "padding": "x" * size_bytes,
                **members,
            }
            draft = Draft(event_id, int(at.timestamp()), partition, routes, json.dumps(record).encode())
            self.journal.append([draft]).result(timeout=10)
        return ids


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world whose account has a trail that logs."""
    made = World(tmp_path)
    made.trail()
    yield made
    made.close()


def test_events_go_to_their_accounts_bus_in_their_region_once(world: World) -> None:
    """In order, also over restarts; those of accounts without a trail nowhere."""
    here, there = world.happen(25), world.happen(3, IRELAND)
    world.happen(2, OTHER)
    world.herald.run_pass()
    world.restart_herald()
    here += world.happen(1)
    world.herald.run_pass()
    world.herald.run_pass()
    assert world.buses.told == {VIRGINIA: here, IRELAND: there}


def test_a_first_herald_does_not_tell_of_the_past(world: World) -> None:
    """It begins with what happens from then on, and so does one that comes back after a time without."""
    with world.database.unit() as unit:
        cursors.drop(unit, "event-bus")
    world.happen()
    world.restart_herald()
    world.happen()
    world.herald.run_pass()
    assert len(world.buses.told[VIRGINIA]) == 1
    retire(world.database)
    world.happen()
    world.restart_herald()
    world.herald.run_pass()
    assert len(world.buses.told[VIRGINIA]) == 1


def test_a_bus_that_is_down_holds_no_other_up_and_misses_nothing(world: World) -> None:
    """It is told everything in order when it is back, whatever restarted meanwhile; the journal is kept for it."""
    world.buses.down = {VIRGINIA}
    missed, told = [], []
    for _ in range(4):
        missed += world.happen(40, size_bytes=10_000)
        told += world.happen(1, IRELAND)
        world.herald.run_pass()
        world.restart_herald()
        world.pass_after(61)
        world.courier.flush()
    assert world.buses.told == {IRELAND: told}
    assert world.journal.read(0, max_bytes=1)[0].sequence == 1
    world.buses.down = set()
    missed += world.happen(5)
    world.restart_herald()
    world.herald.run_pass()
    assert world.buses.told[VIRGINIA] == missed
    world.courier.flush()
    assert world.journal.read(0, max_bytes=1)[0].sequence > 1


def test_attempts_pause_longer_and_longer(world: World) -> None:
    """A bus that is down is not called with every round, nor for every new event."""
    world.buses.down = {VIRGINIA}
    for _ in range(100):
        world.happen()
        world.herald.run_pass()
        world.clock.advance(1)
    assert world.buses.calls <= 8


def test_what_a_bus_missed_for_a_day_is_given_up(world: World) -> None:
    """What is younger is still told."""
    world.buses.down = {VIRGINIA}
    world.happen(3)
    world.herald.run_pass()
    world.clock.advance(KEPT.total_seconds() + 1)
    young = world.happen(2)
    world.herald.run_pass()
    world.herald.run_pass()
    world.buses.down = set()
    world.clock.advance(120)
    world.herald.run_pass()
    assert world.buses.told == {VIRGINIA: young}


def test_what_a_bus_will_never_take_is_given_up(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log, and the next ones go on."""
    world.buses.refused = ["NotAuthorizedForSourceException"]
    world.happen(11)
    world.herald.run_pass()
    assert "NotAuthorizedForSourceException" in caplog.text
    assert len(world.buses.told[VIRGINIA]) == 11
    world.herald.run_pass()
    assert world.buses.calls == 2


def test_reads_are_told_where_they_are_asked_for(world: World) -> None:
    """And data events where a trail keeps them."""
    world.happen(readOnly=True)
    world.happen(managementEvent=False)
    kept = world.happen(routes=("t1",), managementEvent=False)
    world.herald.run_pass()
    assert world.buses.told == {VIRGINIA: kept}
    world.restart_herald(read_only=True)
    kept += world.happen(readOnly=True)
    world.herald.run_pass()
    assert world.buses.told == {VIRGINIA: kept}


def test_a_stop_between_two_calls_tells_again_only_what_the_first_round_had(world: World) -> None:
    """At least once: nothing is missing after a kill."""
    ids = world.happen(30)
    put = world.buses.put

    def dying(account_id: str, region: str, entries: Sequence[Entry]) -> Sequence[str]:
        if world.buses.calls == 2:
            raise KeyboardInterrupt
        return put(account_id, region, entries)

    world.buses.put = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.herald.run_pass()
    world.buses.put = put  # type: ignore[method-assign]
    world.restart_herald()
    world.herald.run_pass()
    assert set(world.buses.told[VIRGINIA]) == set(ids)
    assert world.buses.told[VIRGINIA][-30:] == ids
    assert ACCOUNT in VIRGINIA
