"""Log files and what a trail's log group gets of them: the courier with a real journal and state, time by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opentrail.delivery.chronicler import LOGS, Chronicler, reader_of
from opentrail.delivery.stretches import KEPT, Stretches
from opentrail.errors import OutboundError
from opentrail.trails.store import DeliveryStatus
from tests.support.delivery_world import ACCOUNT, IRELAND, DeliveryWorld, event_ids, payload
from tests.support.iam_world import IamWorld
from tests.support.log_groups import GROUP_ARN, ROLE_ARN, STREAM, MemoryLogGroups, make_role, role_policy
from tests.support.memory_store import MemoryObjectStore


class World(DeliveryWorld):
    """A courier and a chronicler with log groups in memory, and a role made by a real IAM service."""

    def __init__(self, directory: Path) -> None:
        self.objects = MemoryObjectStore("logs-bucket")
        super().__init__(directory, self.objects, interval_s=60.0)
        self.roles = IamWorld()
        make_role(self.roles.client())
        self.groups = MemoryLogGroups()
        self.stretches = Stretches(self.database)
        self.restart_chronicler()

    def restart_chronicler(self) -> None:
        """A new chronicler over what the last one left."""
        self.chronicler = Chronicler(
            journal=self.journal,
            database=self.database,
            trails=self.trails,
            identities=self.roles.directory,
            groups=self.groups,
            clock=self.clock,
        )

    def trail_with_logs(self, trail_id: str = "t1") -> None:
        """A trail with a log group."""
        self.trail(trail_id, is_multi_region=True, log_group_arn=GROUP_ARN, logs_role_arn=ROLE_ARN)

    def deliver(self) -> None:
        """Log files of all that is recorded, with their marks."""
        self.run_pass()
        self.pass_after(61)

    def put(self, stream: str = STREAM) -> list[bytes]:
        """The messages in a stream."""
        return [message for _, message in self.groups.streams.get(stream, [])]

    def error(self, trail_id: str = "t1") -> str | None:
        """The last attempt's error."""
        return self.trails.logs_status(trail_id).latest_error


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with a trail that has a log group."""
    made = World(tmp_path)
    made.trail_with_logs()
    yield made
    made.close()


def test_each_record_of_the_log_files_is_one_event_of_the_home_regions_stream(world: World) -> None:
    """Its own bytes, once, at the time of delivery; the records of other regions and after restarts too."""
    ids = world.record(3) + world.record(2, partition=IRELAND)
    world.deliver()
    world.restart_courier()
    world.restart_chronicler()
    world.clock.advance(5)
    world.chronicler.run_pass()
    world.chronicler.run_pass()
    assert sorted(world.put()) == sorted(payload(event_id) for event_id in ids)
    assert {at_ms for at_ms, _ in world.groups.streams[STREAM]} == {int(world.clock.now().timestamp() * 1000)}
    assert sorted(ids) == world.delivered()
    status = world.trails.logs_status("t1")
    assert (status.latest_delivery_at, status.latest_error) == (world.clock.now(), None)
    assert world.stretches.first(reader_of("t1")) is None


def test_nothing_is_put_before_the_log_file_is_in_the_bucket(world: World) -> None:
    """What waits is written down with the mark."""
    world.objects.outage = OutboundError("SlowDown", "come back later")
    world.record()
    world.deliver()
    world.chronicler.run_pass()
    assert world.put() == []
    world.objects.outage = None
    world.pass_after(61)
    world.chronicler.run_pass()
    assert len(world.put()) == 1


def test_log_groups_that_are_down_hold_no_log_file_back_and_nothing_is_lost(world: World) -> None:
    """The bucket gets its files; the journal keeps what the log group has not got, and no more."""
    world.groups.problem = OutboundError("ServiceUnavailable", "down")
    ids = []
    for _ in range(4):
        ids += world.record(40, size_bytes=10_000)
        world.deliver()
        world.chronicler.run_pass()
    world.courier.flush()
    assert world.delivered() == sorted(ids)
    assert (world.error(), world.put()) == ("ServiceUnavailable", [])
    first = world.stretches.first(reader_of("t1"))
    assert first is not None
    assert world.stretches.waiting_since(LOGS) == first.noted_at
    assert world.stretches.waiting_since("event-bus") is None
    kept = len(list((world.directory / "journal").iterdir()))
    world.groups.problem = None
    world.restart_chronicler()
    world.chronicler.run_pass()
    assert world.put() == [payload(event_id, 10_000) for event_id in ids]
    assert world.error() is None
    world.courier.flush()
    assert len(list((world.directory / "journal").iterdir())) <= kept
    assert world.journal.read(0, max_bytes=1)[0].sequence > 1


def test_a_stop_between_two_calls_repeats_none(world: World) -> None:
    """How far it came is durable after each call; a call whose answer was lost is made again."""
    ids = world.record(5, size_bytes=250_000)
    world.deliver()
    put, calls = world.groups.put, []

    def dying(stream: object, records: object, at_ms: int) -> None:
        calls.append(records)
        if len(calls) == 3:  # the first finds no stream
            raise KeyboardInterrupt
        put(stream, records, at_ms)  # type: ignore[arg-type]

    world.groups.put = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.chronicler.run_pass()
    world.groups.put = put  # type: ignore[method-assign]
    assert world.groups.batches == [4]
    world.restart_chronicler()
    world.chronicler.run_pass()
    assert world.put() == [payload(event_id, 250_000) for event_id in ids]


def test_too_large_records_are_passed_over(world: World) -> None:
    """They are in the log file; the stream goes on behind them."""
    large = world.record(size_bytes=256 * 1024)
    world.deliver()
    world.chronicler.run_pass()
    assert world.trails.logs_status("t1") == DeliveryStatus()
    small = world.record()
    world.deliver()
    world.chronicler.run_pass()
    assert world.put() == [payload(small[0])]
    assert world.delivered() == sorted(large + small)
    assert world.stretches.first(reader_of("t1")) is None


def test_a_role_that_may_no_longer_is_shown_and_asked_again(world: World) -> None:
    """AccessDenied in the status, and the log group is not called meanwhile."""
    make_role(world.roles.client(), role_policy(STREAM, "logs:CreateLogStream"))
    world.record()
    world.deliver()
    world.chronicler.run_pass()
    assert (world.error(), world.groups.sessions) == ("AccessDenied", [])
    make_role(world.roles.client())
    world.clock.advance(2)
    world.chronicler.run_pass()
    assert (world.error(), len(world.put())) == (None, 1)


def test_a_log_group_that_is_gone_is_given_up_after_a_day(world: World) -> None:
    """All that waited that long at once; what is younger goes on waiting."""
    world.groups.groups.clear()
    for _ in range(3):
        world.record()
        world.deliver()
        world.chronicler.run_pass()
    assert world.error() == "ResourceNotFoundException"
    world.clock.advance(KEPT.total_seconds() + 1)
    world.record()
    world.deliver()
    world.chronicler.run_pass()
    assert len(world.stretches.every(reader_of("t1"))) == 1


def test_a_trail_that_has_no_log_group_any_more_puts_nothing(world: World) -> None:
    """Also not what waited."""
    world.record()
    world.deliver()
    (trail,) = world.trails.snapshot.every()
    world.put_trail(trail.configured(log_group_arn="", logs_role_arn=""))
    world.record()
    world.deliver()
    world.chronicler.run_pass()
    assert world.groups.streams == {}
    assert world.stretches.first(reader_of("t1")) is None


def test_a_deleted_trail_is_forgotten_when_its_log_group_has_everything(world: World) -> None:
    """As with its digest files."""
    world.record()
    world.deliver()
    (trail,) = world.trails.snapshot.every()
    world.put_trail(trail.deleted(world.clock.now()))
    for _ in range(3):
        world.pass_after(61)
    assert world.trails.snapshot.get("t1") is not None
    world.chronicler.run_pass()
    assert len(world.put()) == 1
    world.pass_after(61)
    assert world.trails.snapshot.get("t1") is None


def test_one_trail_that_is_refused_holds_no_other_up(world: World) -> None:
    """Each goes its own pace."""
    other = ROLE_ARN.replace("CloudTrail_", "Other_")
    world.trail("t0", log_group_arn=GROUP_ARN, logs_role_arn=other)
    world.record(routes=("t0", "t1"))
    world.deliver()
    world.chronicler.run_pass()
    assert (world.error("t0"), world.error("t1"), len(world.put())) == ("AccessDenied", None, 1)
    files = world.log_files()
    assert len(files) == 2
    assert all(event_ids(world.store.get("logs-bucket", key)) for key in files)
    assert STREAM.startswith(ACCOUNT)


def test_our_own_start_and_stop_are_no_error_of_the_log_group(world: World) -> None:
    """While no call can be made, the status says what it said."""
    world.groups.problem = OutboundError("NotReady", "OpenTrail is starting or stopping")
    world.record()
    world.deliver()
    world.chronicler.run_pass()
    assert world.trails.logs_status("t1") == DeliveryStatus()
    world.groups.problem = None
    world.clock.advance(2)
    world.chronicler.run_pass()
    assert len(world.put()) == 1


def test_an_organizations_members_records_go_to_its_own_stream(world: World) -> None:
    """One stream, named after the organization, in the management account's group."""
    world.trail("t2", log_group_arn=GROUP_ARN, logs_role_arn=ROLE_ARN, name="all")
    trail = world.trails.snapshot.get("t2")
    assert trail is not None
    world.put_trail(trail.for_organization("o-exampleorgid"))
    make_role(world.roles.client(), role_policy("o-exampleorgid_"))
    ids = world.record(routes=("t2",), partition="210987654321/eu-west-1") + world.record(routes=("t2",))
    world.deliver()
    world.chronicler.run_pass()
    assert sorted(world.put(f"o-exampleorgid_{STREAM}")) == sorted(payload(event_id) for event_id in ids)
    assert list(world.groups.streams) == [f"o-exampleorgid_{STREAM}"]
