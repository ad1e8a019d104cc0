"""From marked log files to signed digests with a real journal, state and key pairs, and time that tests move.

The AWS CLI's own `validate-logs` gives the verdict.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from opentrail.delivery.digests import Digests, digests_table
from opentrail.errors import OutboundError
from opentrail.journal import cursors
from opentrail.state.database import Unit
from opentrail.trails.store import DigestStatus
from opentrail.trails.trail import Trail
from tests.support.delivery_world import ACCOUNT, BUCKET, IRELAND, START, VIRGINIA, SteeredClock
from tests.support.memory_store import MemoryObjectStore
from tests.support.notary_world import NotaryWorld

SECOND_BUCKET = "second-bucket"


@pytest.fixture
def store() -> MemoryObjectStore:
    """Two empty buckets."""
    return MemoryObjectStore(BUCKET, SECOND_BUCKET)


@pytest.fixture
def world(tmp_path: Path, store: MemoryObjectStore) -> Iterator[NotaryWorld]:
    """A courier that delivers every minute and a notary that seals every hour."""
    made = NotaryWorld(tmp_path, store)
    yield made
    made.close()


def clock_of(world: NotaryWorld) -> SteeredClock:
    """The world's clock, to be moved."""
    assert isinstance(world.clock, SteeredClock)
    return world.clock


def started(world: NotaryWorld, **changes: Any) -> Trail:
    """A trail with validation, and its starting digest."""
    trail = world.validated_trail(**changes)
    world.run_pass()
    return trail


def busy_hours(world: NotaryWorld, count: int, partition: str = VIRGINIA) -> None:
    """Hours with some calls in each."""
    for _ in range(count):
        world.record(2, partition=partition)
        world.hours(1)


def assert_each_file_once(world: NotaryWorld, region: str = "us-east-1", bucket: str = BUCKET) -> None:
    """Every log file of a region stands in exactly one digest."""
    listed = Counter(key for digest in world.digests(region, bucket) for key in digest.log_files)
    assert set(listed) == {key for key in world.log_files(bucket) if f"/CloudTrail/{region}/" in key}
    assert set(listed.values()) <= {1}


def assert_intervals_touch(world: NotaryWorld, region: str = "us-east-1") -> None:
    """The end of one digest is the start of the next, and each names the one before."""
    digests = world.digests(region)
    for before, after in pairwise(digests):
        assert after.interval[0] == before.interval[1]
        assert after.says["previousDigestS3Object"] == before.key
        assert after.says["previousDigestSignature"] == before.metadata["signature"]


def test_every_hour_has_its_digest_also_an_empty_one(world: NotaryWorld, store: MemoryObjectStore) -> None:
    """A starting digest at the activation, then one an hour that lists the hour's log files; the AWS CLI is content."""
    trail = started(world, prefix="org")
    busy_hours(world, 2)
    world.hours(2)
    busy_hours(world, 1)
    digests = world.digests()
    assert digests[0].interval == ("2026-11-23T11:00:30Z", "2026-11-23T12:00:30Z")
    assert [len(digest.log_files) for digest in digests] == [0, 1, 1, 0, 0, 1]
    assert digests[0].says["previousDigestSignature"] is None
    assert_intervals_touch(world)
    assert_each_file_once(world)
    last = digests[-1].key
    assert last == (
        f"org/AWSLogs/{ACCOUNT}/CloudTrail-Digest/us-east-1/2026/11/23/"
        f"{ACCOUNT}_CloudTrail-Digest_us-east-1_trail-t1_us-east-1_20261123T170030Z.json.gz"
    )
    stored = store.buckets[BUCKET][last]
    assert (stored.head.content_type, stored.head.content_encoding) == ("application/json", "gzip")
    assert (stored.acl, stored.head.server_side_encryption) == ("bucket-owner-full-control", "AES256")
    verdict = world.verdict(trail)
    assert (verdict.digests_valid, verdict.logs_valid, verdict.invalid, verdict.gaps) == (6, 3, (), ())
    assert world.trails.digest_status("t1") == DigestStatus(world.clock.now())


def test_a_trail_without_validation_has_none(world: NotaryWorld) -> None:
    """No digest, no key pair, and nothing waits for one."""
    world.trail()
    busy_hours(world, 2)
    assert (world.digests(), world.key_commits.told) == ([], [])
    assert Digests(world.database).waiting() == {}


def test_files_delivered_before_validation_are_in_no_digest(world: NotaryWorld) -> None:
    """Turned on later, the starting digest is of that moment, and lists nothing that was there before."""
    trail = world.trail(started_at=START)
    busy_hours(world, 2)
    before = set(world.log_files())
    world.put_trail(trail.validated(world.clock.now(), enabled=True))
    world.run_pass()
    busy_hours(world, 1)
    listed = {key for digest in world.digests() for key in digest.log_files}
    assert listed == set(world.log_files()) - before
    assert world.digests()[0].interval == ("2026-11-23T13:00:30Z", "2026-11-23T14:00:30Z")
    assert world.verdict(trail).is_whole


def test_each_region_has_a_chain_and_key_pairs_of_its_own(world: NotaryWorld) -> None:
    """A region's chain begins with its first log file, at that second, and is signed by the region's keys."""
    trail = started(world, is_multi_region=True)
    busy_hours(world, 1)
    busy_hours(world, 2, IRELAND)
    there = world.digests("eu-west-1")
    assert there[0].interval[1] == "2026-11-23T13:10:30Z"
    assert_each_file_once(world, "eu-west-1")
    assert_intervals_touch(world, "eu-west-1")
    fingerprints = [
        {d.says["digestPublicKeyFingerprint"] for d in world.digests(r)} for r in ("us-east-1", "eu-west-1")
    ]
    assert fingerprints[0].isdisjoint(fingerprints[1])
    assert "_eu-west-1_trail-t1_us-east-1_" in there[0].key
    for region in ("us-east-1", "eu-west-1"):
        assert world.verdict(trail, region).is_whole


def test_stopping_delivers_the_rest_and_then_a_final_digest(world: NotaryWorld) -> None:
    """What was recorded before StopLogging is delivered and in the final digest; then silence until StartLogging."""
    trail = started(world)
    busy_hours(world, 1)
    world.record(2)
    stopped = trail.stopped(world.clock.now())
    world.put_trail(stopped)
    world.minutes(5)
    final = world.digests()[-1]
    assert (final.interval[0], len(final.log_files)) == ("2026-11-23T13:00:30Z", 1)
    count = len(world.digests())
    world.hours(3)
    assert len(world.digests()) == count
    assert_intervals_touch(world)
    world.put_trail(stopped.started(world.clock.now()))
    world.run_pass()
    busy_hours(world, 1)
    again = world.digests()[count]
    assert again.interval == ("2026-11-23T15:05:30Z", "2026-11-23T16:05:30Z")
    assert again.says["previousDigestS3Object"] is None
    assert_each_file_once(world)
    verdict = world.verdict(trail)
    assert verdict.is_whole
    assert len(verdict.gaps) == 1


def test_stopped_and_started_between_two_looks_is_a_break_all_the_same(world: NotaryWorld) -> None:
    """A final digest and a starting one, with end times that differ although both are of one second."""
    trail = started(world)
    busy_hours(world, 1)
    now = world.clock.now()
    world.put_trail(trail.stopped(now).started(now))
    world.run_pass()
    final, starting = world.digests()[-2:]
    assert (final.interval[1], starting.interval[1]) == ("2026-11-23T13:00:31Z", "2026-11-23T13:00:32Z")
    assert starting.says["previousDigestS3Object"] is None
    busy_hours(world, 1)
    assert world.verdict(trail).is_whole


def test_turning_validation_off_ends_the_chain(world: NotaryWorld) -> None:
    """The final digest is of that moment; what is delivered until validation is on again is in none."""
    trail = started(world)
    busy_hours(world, 1)
    world.record(1)
    off = trail.validated(world.clock.now(), enabled=False)
    world.put_trail(off)
    world.run_pass()
    count = len(world.digests())
    assert world.digests()[-1].interval == ("2026-11-23T13:00:30Z", "2026-11-23T13:00:31Z")
    busy_hours(world, 2)
    assert len(world.digests()) == count
    digested = {key for digest in world.digests() for key in digest.log_files}
    undigested = set(world.log_files()) - digested
    assert len(undigested) == 2
    world.put_trail(off.validated(world.clock.now(), enabled=True))
    world.run_pass()
    busy_hours(world, 1)
    assert undigested.isdisjoint(key for digest in world.digests() for key in digest.log_files)
    assert world.verdict(trail).is_whole


def test_a_deleted_trail_gets_its_final_digest_and_is_forgotten(world: NotaryWorld) -> None:
    """The last log file and the final digest are delivered; then nothing is left but the last end time of the name."""
    trail = started(world)
    busy_hours(world, 1)
    world.record(2)
    world.put_trail(trail.deleted(world.clock.now()))
    for _ in range(8):
        world.pass_after(1.5)
    assert len(world.digests()[-1].log_files) == 1
    assert_each_file_once(world)
    assert world.trails.snapshot.every() == ()
    digests = Digests(world.database)
    assert (digests.chains(), digests.waiting(), digests.holds("t1")) == ({}, {}, False)
    with world.database.read() as connection:
        assert cursors.get(connection, "trail:t1") is None
    assert world.verdict(trail).is_whole


def test_a_new_trail_with_an_old_name_never_meets_the_old_ones_keys(world: NotaryWorld) -> None:
    """Deleted and made again within a second, no digest of the second has the name of one of the first."""
    trail = started(world)
    world.put_trail(trail.deleted(world.clock.now()))
    again = world.validated_trail("t2", name=trail.name)
    for _ in range(8):
        world.pass_after(1.5)
    keys = [digest.key for digest in world.digests()]
    assert len(keys) == len(set(keys)) == 3
    assert world.trails.digest_status("t2").latest_error is None
    world.hours(2)
    assert world.verdict(again).is_whole


def test_key_pairs_rotate_within_a_chain(tmp_path: Path, store: MemoryObjectStore) -> None:
    """Over sixty days three pairs sign, each from a day before the last one expires; everything stays valid, and of
    what is in the bucket only a week's is kept beside it.
    """
    world = NotaryWorld(tmp_path, store, digest_interval_s=43_200)
    trail = started(world)
    for _ in range(60):
        world.record(1)
        world.minutes(2, each=720)
    fingerprints = [digest.says["digestPublicKeyFingerprint"] for digest in world.digests()]
    pairs = list(dict.fromkeys(fingerprints))
    assert [("us-east-1", pair) for pair in pairs] == world.key_commits.told
    assert [fingerprints.count(pair) for pair in pairs] == [29 * 2, 29 * 2, 2 * 2 + 1]
    assert_intervals_touch(world)
    world.restart()
    verdict = world.verdict(trail)
    assert (verdict.digests_valid, verdict.logs_valid, verdict.invalid) == (60 * 2 + 1, 60, ())
    with world.database.read() as connection:
        kept = connection.execute(digests_table.select()).all()
    assert len(kept) <= 7 * 2 + 2
    assert all(row.body is None for row in kept)
    recent = world.verdict(trail, start=START + timedelta(days=40))
    assert (recent.digests_valid, recent.invalid) == (20 * 2 + 1, ())
    world.close()


def test_a_standstill_is_made_up_hour_by_hour(world: NotaryWorld) -> None:
    """Down for five hours: each has its digest afterwards. The first lists what was delivered before the stop, the last
    what waits by then.
    """
    trail = started(world)
    world.record(1)
    world.minutes(2)
    clock_of(world).advance(5 * 3600)
    world.restart()
    world.record(1)
    world.minutes(2)
    assert [len(digest.log_files) for digest in world.digests()] == [0, 1, 0, 0, 0, 1]
    world.hours(1)
    assert_intervals_touch(world)
    assert_each_file_once(world)
    assert world.verdict(trail).is_whole


def test_a_clock_set_back_breaks_nothing(world: NotaryWorld) -> None:
    """Set back by a day, digests go on every hour with end times that grow; all is valid when time is right again."""
    trail = started(world)
    busy_hours(world, 2)
    clock_of(world).wall -= timedelta(days=1)
    busy_hours(world, 2)
    world.restart()
    busy_hours(world, 2)
    clock_of(world).wall += timedelta(days=1)
    busy_hours(world, 2)
    assert len(world.digests()) >= 8
    assert_intervals_touch(world)
    assert_each_file_once(world)
    assert world.verdict(trail).is_whole


def test_an_outage_shows_in_the_status_and_is_made_up(world: NotaryWorld, store: MemoryObjectStore) -> None:
    """While the bucket refuses, the last success and the error's code are shown; after it all hours follow."""
    trail = started(world)
    at = world.clock.now()
    store.outage = OutboundError("SlowDown", "later")
    busy_hours(world, 3)
    assert world.trails.digest_status("t1") == DigestStatus(at, "SlowDown")
    store.outage = None
    world.hours(1)
    assert world.trails.digest_status("t1").latest_error is None
    assert [digest.interval[1][11:13] for digest in world.digests()] == ["12", "13", "14", "15", "16"]
    assert_intervals_touch(world)
    assert_each_file_once(world)
    assert world.verdict(trail).is_whole


def test_a_trail_pointed_elsewhere_takes_its_chain_along(world: NotaryWorld, store: MemoryObjectStore) -> None:
    """Planned for a bucket that is gone, a digest goes to the new bucket, signed anew; the chain leads back."""
    trail = started(world)
    busy_hours(world, 1)
    kept = store.buckets.pop(BUCKET)
    world.record(1)
    world.hours(1)
    assert world.trails.digest_status("t1").latest_error == "NoSuchBucket"
    world.put_trail(trail.configured(bucket=SECOND_BUCKET, prefix="moved"))
    world.hours(1)
    store.buckets[BUCKET] = kept
    moved = world.digests(bucket=SECOND_BUCKET)
    assert [len(digest.log_files) for digest in moved] == [0, 1]
    assert moved[0].says["previousDigestS3Bucket"] == BUCKET
    assert_each_file_once(world, bucket=SECOND_BUCKET)
    verdict = world.verdict(trail)
    assert (verdict.digests_valid, verdict.logs_valid, verdict.invalid) == (4, 2, ())


def test_a_deleted_trail_whose_bucket_is_gone_is_given_up(world: NotaryWorld, store: MemoryObjectStore) -> None:
    """Neither its digests nor its log files hold anything up once they cannot be put."""
    trail = started(world)
    world.record(1)
    world.minutes(2)
    del store.buckets[BUCKET]
    world.put_trail(trail.deleted(world.clock.now()))
    world.minutes(3)
    assert world.trails.snapshot.every() == ()
    assert not Digests(world.database).holds("t1")


@pytest.mark.parametrize("unsigned", [False, True])
def test_a_strange_object_at_the_key_is_a_finding(
    world: NotaryWorld, store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch, unsigned: bool
) -> None:
    """Neither other content nor the right one without its signature is taken for ours, and nothing is overwritten."""
    trail = started(world)
    known, put = {digest.key for digest in world.digests()}, store.put

    def put_second(bucket: str, key: str, body: bytes, **headers: Any) -> str:
        if key not in store.buckets[bucket]:
            put(bucket, key, body if unsigned else store.get(bucket, next(iter(known))), content_type="text/plain")
        return put(bucket, key, body, **headers)

    monkeypatch.setattr(store, "put", put_second)  # somebody is quicker than we are
    world.hours(1)
    assert world.trails.digest_status("t1").latest_error == "IntegrityError"
    (strange,) = {digest.key for digest in world.digests()} - known
    assert not store.buckets[BUCKET][strange].head.metadata
    monkeypatch.setattr(store, "put", put)
    store.delete(BUCKET, strange)
    world.hours(1)
    assert world.trails.digest_status("t1").latest_error is None
    assert world.verdict(trail).is_whole


def test_turning_validation_off_and_on_is_the_way_out_of_a_taken_key(
    world: NotaryWorld, store: MemoryObjectStore
) -> None:
    """A HOME that was restored finds digests in the bucket that it does not know of; it can begin another chain."""
    trail = started(world)
    world.hours(1)
    taken = world.digests()[-1].key.replace("T130030Z", "T140030Z")
    store.put(BUCKET, taken, b"what another life put there", content_type="text/plain")
    world.record(1)
    world.hours(2)
    assert world.trails.digest_status("t1").latest_error == "IntegrityError"
    off = trail.validated(world.clock.now(), enabled=False)
    world.put_trail(off)
    world.run_pass()
    assert Digests(world.database).chains() == {}
    on = off.validated(world.clock.now(), enabled=True)
    world.put_trail(on)
    world.run_pass()
    busy_hours(world, 1)
    assert world.trails.digest_status("t1").latest_error is None
    assert store.get(BUCKET, taken) == b"what another life put there"
    store.delete(BUCKET, taken)
    verdict = world.verdict(trail)
    assert (verdict.digests_valid, verdict.logs_valid, verdict.invalid) == (4, 1, ())


def test_a_strange_object_in_one_region_holds_no_other_up(world: NotaryWorld, store: MemoryObjectStore) -> None:
    """The finding is shown, and the other region's chain goes on every hour."""
    trail = started(world, is_multi_region=True)
    busy_hours(world, 1, IRELAND)
    last = world.digests("eu-west-1")[-1]
    taken = last.key.replace("20261123T121030Z", "20261123T131030Z")
    store.put(BUCKET, taken, b"strange", content_type="text/plain")
    busy_hours(world, 3)
    assert world.trails.digest_status("t1").latest_error == "IntegrityError"
    store.delete(BUCKET, taken)
    assert [digest.key for digest in world.digests("eu-west-1")] == [last.key]
    assert [digest.interval[1][11:13] for digest in world.digests()] == ["12", "13", "14", "15", "16"]
    world.hours(1)
    assert world.trails.digest_status("t1").latest_error is None
    for region in ("us-east-1", "eu-west-1"):
        assert world.verdict(trail, region).is_whole


class Crash(Exception):
    """The process ends here."""


class Faults:
    """Counts commits and puts, before and after each; at the one that is armed it raises."""

    def __init__(self, world: NotaryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.attempted: dict[str, set[tuple[bytes, str]]] = {}
        self._put, self._unit = world.store.put, world.database.unit
        monkeypatch.setattr(world.store, "put", self.put)
        monkeypatch.setattr(world.database, "unit", self.unit)

    def put(self, bucket: str, key: str, body: bytes, **headers: Any) -> str:
        """A put with a fault on either side."""
        if "/CloudTrail-Digest/" in key:
            self.attempted.setdefault(key, set()).add((body, headers["metadata"]["signature"]))
        self._step()
        etag = self._put(bucket, key, body, **headers)
        self._step()
        return etag

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """A unit with a fault on either side."""
        self._step()
        with self._unit() as unit:
            yield unit
        self._step()

    def _step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash


def test_a_crash_at_any_step_repeats_the_same_bytes(world: NotaryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended before or after any commit or put, the next notary puts the same object or finds it put; none is lost."""
    trail = started(world, is_multi_region=True)
    faults = Faults(world, monkeypatch)
    steps_of_an_hour = 2 * 6  # two regions; before and after planning, putting and marking
    for step in range(1, steps_of_an_hour + 1):
        for partition in (VIRGINIA, IRELAND):
            world.record(2, partition=partition)
        world.pass_after(61)
        clock_of(world).advance(3600)
        faults.left = step
        with pytest.raises(Crash):
            world.notary._scribe.advance(trail.trail_id)
        faults.left = 0
        world.restart()
        world.run_pass()
    assert len(faults.attempted) == len(world.digests()) + len(world.digests("eu-west-1")) - 1
    assert all(len(bodies) == 1 for bodies in faults.attempted.values())
    for region in ("us-east-1", "eu-west-1"):
        assert_each_file_once(world, region)
        assert_intervals_touch(world, region)
        assert world.verdict(trail, region).is_whole
