"""From journal to bucket with a real journal and state, an object store in memory, and time that tests move."""

import gzip
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from opentrail.delivery.object_keys import parse as parse_key
from opentrail.delivery.plans import Plans, plans_table
from opentrail.errors import IntegrityError, OutboundError
from opentrail.identity.policy import parse as parse_policy
from opentrail.journal import Draft, Intent, cursors, intents
from opentrail.trails.bucket_access import BucketPolicyMode
from tests.support.delivery_world import ACCOUNT, BUCKET, IRELAND, START, VIRGINIA, DeliveryWorld, SteeredClock
from tests.support.memory_store import MemoryObjectStore

OPEN_POLICY = parse_policy(
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},'
    '"Action":["s3:GetBucketAcl","s3:PutObject"],"Resource":["arn:aws:s3:::logs-bucket","arn:aws:s3:::logs-bucket/*"]}]}'
)


@pytest.fixture
def store() -> MemoryObjectStore:
    """Two empty buckets."""
    return MemoryObjectStore(BUCKET, "second-bucket")


@pytest.fixture
def world(tmp_path: Path, store: MemoryObjectStore) -> Iterator[DeliveryWorld]:
    """A courier that delivers every 60 seconds."""
    made = DeliveryWorld(tmp_path, store)
    yield made
    made.close()


def advance(world: DeliveryWorld, seconds: float) -> None:
    """Move the test's clock and let the courier make a round."""
    world.pass_after(seconds)


def steered(world: DeliveryWorld) -> SteeredClock:
    """The world's clock, to be moved."""
    assert isinstance(world.clock, SteeredClock)
    return world.clock


def test_records_are_delivered_when_the_first_is_old_enough(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """Nothing is put before the interval has passed since the first record; then one file has all records in order."""
    world.trail(prefix="org")
    ids = world.record(3)
    world.run_pass()
    advance(world, 30)
    ids += world.record(2)
    advance(world, 29)
    assert world.log_files() == {}
    advance(world, 2)
    ((key, found),) = world.log_files().items()
    assert found == ids
    assert key.startswith(f"org/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/11/23/{ACCOUNT}_CloudTrail_us-east-1_")
    assert "_20261123T1201Z_" in key
    stored = store.buckets[BUCKET][key]
    assert (stored.head.content_type, stored.head.content_encoding) == ("application/json", "gzip")
    assert (stored.acl, stored.head.server_side_encryption) == ("bucket-owner-full-control", "AES256")
    assert world.status().latest_delivery_at == world.clock.now()
    assert world.status().latest_error is None


def test_nothing_is_put_for_a_time_without_events(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """No file is ever empty: idle intervals put nothing, and cursors move on all the same."""
    world.trail()
    world.record(2, routes=("someone-else",))
    advance(world, 61)
    advance(world, 61)
    assert store.puts == []
    with world.database.read() as connection:
        assert cursors.get(connection, "trail:t1") == world.journal.durable_sequence


def test_each_partition_has_its_own_file(world: DeliveryWorld) -> None:
    """Records of two regions go into two files, each under its region, of one pass."""
    world.trail(is_multi_region=True)
    here, there = world.record(3), world.record(2, partition=IRELAND)
    advance(world, 61)
    by_region = {parse_key(key).region: ids for key, ids in world.log_files().items()}  # type: ignore[union-attr]  # listed because it parses
    assert by_region == {"us-east-1": here, "eu-west-1": there}


def test_a_record_of_two_trails_reaches_both_and_strangers_none(world: DeliveryWorld) -> None:
    """Each trail gets exactly the frames whose routes name it."""
    world.trail("t1")
    world.trail("t2", bucket="second-bucket")
    both, one, none = world.record(2, routes=("t1", "t2")), world.record(1, routes=("t2",)), world.record(1, routes=())
    advance(world, 61)
    assert world.delivered() == sorted(both)
    assert world.delivered("second-bucket") == sorted(both + one)
    assert none[0] not in world.delivered()


def test_files_stay_below_the_size_limit(tmp_path: Path, store: MemoryObjectStore) -> None:
    """A window closes before a file's content would exceed the limit; all records arrive, in order."""
    world = DeliveryWorld(tmp_path, store, max_bytes=2000)
    world.trail()
    ids = world.record(20, size_bytes=300)
    world.run_pass()
    advance(world, 61)
    files = world.log_files()
    contents = [gzip.decompress(store.buckets[BUCKET][key].body) for key in files]
    assert len(files) == 4
    assert max(map(len, contents)) <= 2000
    assert world.delivered() == sorted(ids)
    world.close()


def test_a_restart_delivers_what_was_open(world: DeliveryWorld) -> None:
    """Windows that were open when the courier ended are found again, aged by their records' times."""
    world.trail()
    ids = world.record(3)
    world.run_pass()
    world.restart_courier()
    steered(world).advance(61)
    world.run_pass()
    assert world.delivered() == sorted(ids)
    world.restart_courier()
    advance(world, 61)
    assert world.delivered() == sorted(ids)


def test_a_trail_made_while_running_gets_its_records(world: DeliveryWorld) -> None:
    """Records routed to a trail that the courier has not seen yet are delivered, also across a restart in between."""
    advance(world, 61)
    world.trail("t1")
    ids = world.record(2)
    world.restart_courier()
    world.trail("t2", bucket="second-bucket")
    others = world.record(1, routes=("t2",))
    advance(world, 61)
    assert world.delivered() == sorted(ids)
    assert world.delivered("second-bucket") == sorted(others)


def test_a_dead_bucket_blocks_only_its_own_trail(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """One trail's missing bucket shows in its status, with ever longer pauses; the other trail goes on."""
    world.trail("t1")
    world.trail("t2", bucket="second-bucket")
    del store.buckets["second-bucket"]
    ids = world.record(2, routes=("t1", "t2"))
    advance(world, 61)
    assert world.delivered() == sorted(ids)
    assert world.status("t2").latest_error == "NoSuchBucket"
    assert world.status("t1").latest_error is None
    (lag,) = [lane for lane in world.courier.lag.lanes if lane.trail_id == "t2"]
    assert (lag.waiting_records, lag.failures, lag.error) == (2, 1, "NoSuchBucket")
    for expected_failures, pause_s in ((2, 1.1), (2, 1.0), (3, 1.1), (4, 4.1)):
        advance(world, pause_s)
        (lag,) = [lane for lane in world.courier.lag.lanes if lane.trail_id == "t2"]
        assert lag.failures == expected_failures
    store.buckets["second-bucket"] = {}
    advance(world, 60)
    assert world.delivered("second-bucket") == sorted(ids)
    assert world.status("t2").latest_error is None


def test_a_backlog_goes_out_in_large_files(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """After an outage of many intervals the records that piled up arrive in few files, none twice."""
    world.trail()
    store.outage = OutboundError("ConnectionError", "refused")
    ids = []
    for _ in range(30):
        ids += world.record(5)
        advance(world, 61)
    assert world.status().latest_error == "ConnectionError"
    store.outage = None
    advance(world, 61)
    advance(world, 61)
    assert len(world.log_files()) == 2
    assert world.delivered() == sorted(ids)


def test_a_taken_key_with_the_same_content_is_a_success(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """When the answer to a put was lost, the next attempt finds its own object, marks it, and puts nothing again."""
    world.trail()
    ids = world.record(2)
    real_put = store.put

    def put_and_lose_the_answer(*args: object, **kwargs: object) -> str:
        real_put(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came
        raise OutboundError("ConnectionError", "the answer was lost")

    store.put = put_and_lose_the_answer  # type: ignore[method-assign]  # a network that breaks after the put
    advance(world, 61)
    assert world.status().latest_error == "ConnectionError"
    store.put = real_put  # type: ignore[method-assign]  # the network is back
    advance(world, 5)
    assert world.status().latest_error is None
    assert world.delivered() == sorted(ids)
    assert len(store.puts) == 1


def test_a_taken_key_with_other_content_is_a_finding(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """A strange object at the planned key stays and is shown as IntegrityError; once it is gone, all is well."""
    world.trail()
    ids = world.record(2)
    store.failures = [OutboundError("SlowDown", "later")]
    advance(world, 61)
    (plan,) = Plans(world.database).pending("t1")
    store.put(BUCKET, plan.key, b"something else", content_type="text/plain")
    advance(world, 5)
    assert world.status().latest_error == "IntegrityError"
    assert store.get(BUCKET, plan.key) == b"something else"
    store.delete(BUCKET, plan.key)
    advance(world, 61)
    assert world.delivered() == sorted(ids)


def test_a_store_without_conditional_puts_is_looked_at_first(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """Where If-None-Match is not implemented, the courier looks whether the key is free and then puts."""
    world.trail()
    ids = world.record(2)
    real_put = store.put

    def unconditional_only(*args: object, **kwargs: object) -> str:
        if kwargs.get("only_if_absent"):
            raise OutboundError("NotImplemented", "no conditional puts here", retryable=False)
        return real_put(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came

    store.put = unconditional_only  # type: ignore[method-assign]  # an older server
    advance(world, 61)
    assert world.delivered() == sorted(ids)
    advance(world, 61)
    assert len(store.puts) == 1


def test_a_revoked_policy_stops_delivery_with_access_denied(tmp_path: Path, store: MemoryObjectStore) -> None:
    """In mode check the policy is asked before each delivery; revoked, nothing is put, and the status says so."""
    world = DeliveryWorld(tmp_path, store, bucket_policy=BucketPolicyMode.CHECK)
    world.buckets.policies[BUCKET] = OPEN_POLICY
    world.trail()
    ids = world.record(1)
    advance(world, 61)
    del world.buckets.policies[BUCKET]
    ids += world.record(1)
    advance(world, 61)
    assert (len(store.puts), world.status().latest_error) == (1, "AccessDenied")
    world.buckets.policies[BUCKET] = OPEN_POLICY
    advance(world, 61)
    assert world.delivered() == sorted(ids)
    world.close()


def test_a_bucket_that_is_gone_is_told_from_a_closed_one(tmp_path: Path, store: MemoryObjectStore) -> None:
    """In mode check a deleted bucket shows as NoSuchBucket, not as AccessDenied."""
    world = DeliveryWorld(tmp_path, store, bucket_policy=BucketPolicyMode.CHECK)
    del world.buckets.owners[BUCKET], store.buckets[BUCKET]
    world.trail()
    world.record(1)
    advance(world, 61)
    assert world.status().latest_error == "NoSuchBucket"
    world.close()


def test_a_trail_pointed_elsewhere_takes_its_backlog_along(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """Records planned for a bucket that is gone go to the trail's new bucket and prefix, soon after UpdateTrail."""
    trail = world.trail()
    del store.buckets[BUCKET]
    ids = world.record(2)
    advance(world, 61)
    assert world.status().latest_error == "NoSuchBucket"
    world.put_trail(trail.configured(bucket="second-bucket", prefix="moved"))
    world.run_pass()
    advance(world, 3)
    assert world.delivered("second-bucket") == sorted(ids)
    assert all(key.startswith("moved/AWSLogs/") for key in world.log_files("second-bucket"))


def test_key_stamps_never_go_back(world: DeliveryWorld) -> None:
    """When the wall clock is set back, later files of a trail and region keep the highest stamp used."""
    world.trail()
    world.record(1)
    advance(world, 61)
    steered(world).wall = START - timedelta(days=1)
    world.restart_courier()
    world.record(1)
    advance(world, 61)
    stamps = [parse_key(key).stamp for key in world.log_files()]  # type: ignore[union-attr]  # listed because it parses
    assert len(stamps) == 2
    assert len(set(stamps)) == 1


def test_a_clock_set_back_does_not_hold_delivery_up(world: DeliveryWorld) -> None:
    """A window's age is monotonic: setting the wall clock back an hour delays nothing."""
    world.trail()
    ids = world.record(1)
    world.run_pass()
    steered(world).wall -= timedelta(hours=1)
    advance(world, 61)
    assert world.delivered() == sorted(ids)


def test_a_stopped_trail_still_delivers_what_it_recorded(world: DeliveryWorld) -> None:
    """StopLogging ends recording, not delivery."""
    trail = world.trail()
    ids = world.record(2)
    world.put_trail(trail.stopped(world.clock.now()))
    advance(world, 61)
    assert world.delivered() == sorted(ids)


def test_a_deleted_trail_delivers_the_rest_and_is_forgotten(world: DeliveryWorld) -> None:
    """After DeleteTrail the last records are delivered without waiting for the interval, and nothing is left of it."""
    trail = world.trail()
    ids = world.record(2)
    world.put_trail(trail.deleted(world.clock.now()))
    for _ in range(6):
        advance(world, 1.5)
    assert world.delivered() == sorted(ids)
    assert world.trails.snapshot.every() == ()
    with world.database.read() as connection:
        assert cursors.get(connection, "trail:t1") is None
    world.record(1)
    advance(world, 61)
    assert world.delivered() == sorted(ids)


def test_a_deleted_trail_with_a_dead_bucket_is_given_up(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """A deleted trail whose bucket refuses is dropped after the first failure, so that it holds no journal back."""
    trail = world.trail()
    world.record(2)
    del store.buckets[BUCKET]
    world.put_trail(trail.deleted(world.clock.now()))
    for _ in range(6):
        advance(world, 1.5)
    assert world.trails.snapshot.every() == ()
    assert world.courier.lag.lanes == ()


def test_the_journal_is_pruned_behind_the_slowest_reader(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """Delivered segments are recycled; a dead bucket keeps what it still needs, until it is delivered."""
    world.trail("t1")
    world.trail("t2", bucket="second-bucket")
    del store.buckets["second-bucket"]
    needed = world.record(1, routes=("t2",))
    for _ in range(3):
        world.record(1000, size_bytes=1000)
        advance(world, 61)
    held = world.journal.stats().segments
    assert held > 2
    store.buckets["second-bucket"] = {}
    for _ in range(3):
        advance(world, 61)
    assert world.delivered("second-bucket") == needed
    assert world.journal.stats().segments < held


def announced(world: DeliveryWorld, *payloads: bytes) -> Intent:
    """A call that is about to be forwarded, with a record for each payload."""
    time_s = int(world.clock.now().timestamp())
    return world.journal.intend_blocking(
        [Draft(str(uuid.uuid4()), time_s, VIRGINIA, ("t1",), payload) for payload in payloads]
    )


def test_intents_are_not_delivered_and_their_outcomes_are(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """The courier passes over what was only announced, with its cursors, and delivers what came of it."""
    world.trail()
    intent = announced(world, b'{"eventID":"unknown"}')
    ids = world.record(1)
    for _ in range(2):
        advance(world, 61)
    assert world.delivered() == ids
    with world.database.read() as connection:
        assert cursors.get(connection, "courier") == 2
    known = replace(intent.group[0], payload=b'{"eventID":"known"}')
    world.journal.conclude_blocking(intent, [known])
    for _ in range(2):
        advance(world, 61)
    assert world.delivered() == sorted([*ids, "known"])


def test_the_journal_is_not_pruned_behind_an_open_intent(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """However far delivery is, the cursor of intents stays before the oldest open one, and moves on with it."""
    world.trail()
    intent = announced(world, b'{"eventID":"unknown"}')
    for _ in range(3):
        world.record(1000, size_bytes=1000)
        advance(world, 61)
    assert world.journal.stats().segments > 2
    assert world.journal.read(0, max_bytes=1)[0].is_intent
    with world.database.read() as connection:
        assert cursors.get(connection, intents.CURSOR) == 0
    world.journal.conclude_blocking(intent, intent.group)
    for _ in range(3):
        advance(world, 61)
    assert world.journal.stats().segments == 1
    with world.database.read() as connection:
        assert cursors.get(connection, intents.CURSOR) == world.journal.durable_sequence


def test_recovered_intents_are_delivered(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """A call whose outcome is lost with its process is delivered once, as unknown."""
    world.trail()
    announced(world, b'{"eventID":"one"}', b'{"eventID":"two"}')
    assert intents.recover(world.database, world.journal) == 1
    for _ in range(2):
        advance(world, 61)
    assert world.delivered() == ["one", "two"]


def test_flush_delivers_at_once(world: DeliveryWorld) -> None:
    """flush() waits for nothing: what is in the journal is delivered when it returns, also beside the thread."""
    world.trail()
    world.courier.start()
    ids = world.record(3)
    world.courier.flush()
    assert world.delivered() == sorted(ids)


def test_a_stopped_courier_puts_nothing_more(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """After stop() no further file is put; a new courier goes on."""
    world.trail()
    ids = world.record(1)
    world.courier.start()
    world.courier.stop()
    advance(world, 61)
    assert store.puts == []
    world.restart_courier()
    advance(world, 1)
    assert world.delivered() == sorted(ids)


def test_lag_says_what_waits(world: DeliveryWorld) -> None:
    """The lag counts records that are not in the bucket yet, and knows the oldest one's time."""
    world.trail()
    world.record(3)
    world.run_pass()
    lag = world.courier.lag
    assert (lag.scanned_sequence, lag.durable_sequence, lag.failure) == (3, 3, None)
    assert [(lane.waiting_records, lane.oldest_event_s) for lane in lag.lanes] == [(3, int(START.timestamp()))]
    advance(world, 61)
    assert [(lane.waiting_records, lane.oldest_event_s) for lane in world.courier.lag.lanes] == [(0, None)]


def test_a_state_ahead_of_its_journal_is_refused(world: DeliveryWorld) -> None:
    """A courier does not start over a state that knows of frames which the journal does not have."""
    world.trail()
    with world.database.unit() as unit:
        cursors.put(unit, "trail:t1", 99)
    with pytest.raises(IntegrityError):
        world.restart_courier()


def test_a_bucket_that_hangs_holds_nobody_else_up(world: DeliveryWorld, store: MemoryObjectStore) -> None:
    """While one trail's put does not return, the other trail's files are delivered."""
    world.trail("t1")
    world.trail("t2", bucket="second-bucket")
    released, real_put = threading.Event(), store.put

    def hang_for_the_second(bucket: str, *args: object, **kwargs: object) -> str:
        if bucket == "second-bucket":
            released.wait(30)
        return real_put(bucket, *args, **kwargs)  # type: ignore[arg-type]  # passed on as it came

    store.put = hang_for_the_second  # type: ignore[method-assign]  # a server that accepts and then says nothing
    stuck = world.record(1, routes=("t2",))
    steered(world).advance(61)
    world.courier.run_pass()
    ids = world.record(1)
    steered(world).advance(61)
    until = time.monotonic() + 10
    while world.delivered() != ids and time.monotonic() < until:
        world.courier.run_pass()
    assert world.delivered() == ids
    assert world.delivered("second-bucket") == []
    released.set()
    world.courier.wait_for_carriers()
    assert world.delivered("second-bucket") == stuck


def test_a_plan_whose_records_are_gone_is_a_finding_until_the_damage_is_accepted(
    world: DeliveryWorld, store: MemoryObjectStore
) -> None:
    """Less in the journal than was planned shows as IntegrityError; once the operator accepted the damage, what is left
    of each plan is delivered, and a plan of which nothing is left is dropped.
    """
    world.trail(is_multi_region=True)
    ids = world.record(2)
    world.record(1, partition=IRELAND)
    store.failures = [OutboundError("SlowDown", "later")]
    advance(world, 61)
    here = plans_table.c.partition != IRELAND
    with world.database.unit() as unit:
        unit.execute(sa.update(plans_table).where(here).values(record_count=5))
        unit.execute(sa.update(plans_table).where(~here).values(partition="123456789012/gone"))
    world.restart_courier()
    advance(world, 5)
    assert (world.status().latest_error, world.delivered()) == ("IntegrityError", [])
    world.options = replace(world.options, accept_damage=True)
    world.restart_courier()
    advance(world, 61)
    assert world.delivered() == sorted(ids)
    assert Plans(world.database).pending("t1") == ()
    advance(world, 61)
    assert world.delivered() == sorted(ids)


def test_old_marked_plans_are_forgotten_except_the_last(world: DeliveryWorld) -> None:
    """Plans are kept for a week after their delivery, the last one of a partition for good."""
    world.trail()
    for _ in range(3):
        world.record(1)
        advance(world, 61)
    advance(world, 8 * 24 * 3600)
    with world.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(plans_table)).scalar() == 1
    world.restart_courier()
    advance(world, 61)
    assert len(world.delivered()) == 3
