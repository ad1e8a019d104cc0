"""Lifecycle rules carried out on a real SeaweedFS, by a clock that tests can set: what goes, and what stays."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opentrail.lifecycle.archive import Archive
from opentrail.lifecycle.rules import Filter, Rule
from opentrail.lifecycle.worker import LifecycleWorker, Parts
from opentrail.local.seaweedfs import SeaweedFS
from opentrail.storage.bucket import S3ObjectStore
from opentrail.storage.versions import S3Versions
from tests.support.seaweed import running_seaweed

LOG = (
    "AWSLogs/123456789012/CloudTrail/us-east-1/2026/11/23/"
    "123456789012_CloudTrail_us-east-1_20261123T1916Z_DQR6tk0lYPtdhIbL.json.gz"
)
DIGEST = (
    "AWSLogs/123456789012/CloudTrail-Digest/us-east-1/2026/11/23/"
    "123456789012_CloudTrail-Digest_us-east-1_main_us-east-1_20261123T200000Z.json.gz"
)
DAYS = Rule("days", True, Filter("AWSLogs/"), days=30)


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real server."""
    with running_seaweed(tmp_path_factory.mktemp("s3")) as server:
        yield server


@dataclass
class Later:
    """A clock that stands so many days ahead."""

    days: float = 0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self.days)

    def monotonic(self) -> float:
        return self.days


class World:
    """One bucket, its rules, and the worker."""

    def __init__(self, seaweed: SeaweedFS, name: str, *, versions: bool = False, lock: bool = False) -> None:
        self.bucket = name
        self.rules: tuple[Rule, ...] = ()
        self.clock = Later()
        self.store = seaweed.store()
        self.s3: Any = self.store.client()
        self.s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        if versions:
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.versions = S3Versions(self.store, page_entries=2)
        self.archive: Archive | None = None

    def look(self, *rules: Rule, days: float = 0) -> dict[str, int]:
        """Have the worker look, so many days later; what it did."""
        self.clock.days = days
        parts = Parts(self.versions, lambda: {self.bucket: rules}, self.clock, self.archive)
        return dict(LifecycleWorker(parts, interval_s=1).run_once())

    def put(self, key: str, body: bytes = b"body", **options: Any) -> str:
        """Put an object; its version id."""
        version: str = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **options).get("VersionId", "null")
        return version

    def keys(self) -> list[str]:
        """The keys that a plain listing shows."""
        return list(self.store.list_keys(self.bucket, ""))

    def everything(self) -> list[tuple[str, bool, bool]]:
        """Every version: key, whether it is a delete marker, whether it is the latest."""
        found = S3Versions(self.store).list_versions(self.bucket, "")
        return [(one.key, one.is_marker, one.is_latest) for one in found]


def test_a_rule_removes_what_it_should_and_nothing_else(seaweed: SeaweedFS) -> None:
    """By prefix, size and tag; after the days and not before."""
    world = World(seaweed, "lifecycle-plain")
    for key in (LOG, DIGEST, "AWSLogs-not/1", "other/1", "AWSLogs/é +&"):
        world.put(key, Tagging="keep=no")
    assert world.look(DAYS, days=29.9) == {}
    sized = Rule("size", True, Filter("other/", larger_than_bytes=4), days=1)
    tagged = Rule("tag", True, Filter("other/", (("keep", "yes"),)), days=1)
    assert world.look(DAYS, sized, tagged, days=31.1) == {"expired": 3}
    assert world.keys() == ["AWSLogs-not/1", "other/1"]
    tagged = Rule("tag", True, Filter("other/", (("keep", "no"),)), days=1)
    assert world.look(tagged, days=3) == {"expired": 1}
    assert world.keys() == ["AWSLogs-not/1"]


def test_a_date_in_the_past_expires_at_once(seaweed: SeaweedFS) -> None:
    """And one in the future does not."""
    world = World(seaweed, "lifecycle-date")
    world.put("x/1")
    now = datetime.now(UTC)
    assert world.look(Rule("r", True, Filter("x/"), date=now + timedelta(days=1))) == {}
    assert world.look(Rule("r", True, Filter("x/"), date=now - timedelta(days=1))) == {"expired": 1}
    assert world.keys() == []


def test_many_objects_over_many_pages(seaweed: SeaweedFS) -> None:
    """Pages are no borders: with two entries each, every object is seen once, and removed while listing goes on."""
    world = World(seaweed, "lifecycle-pages", versions=True)
    keys = [f"AWSLogs/{folder}/{n}" for folder in "abc" for n in range(7)]
    for key in keys:
        world.put(key)
        world.put(key)
    old = Rule("old", True, Filter("AWSLogs/"), noncurrent_days=1)
    assert world.look(old, days=3) == {"version_removed": len(keys)}
    assert world.everything() == [(key, False, True) for key in keys]
    assert world.look(DAYS, days=40) == {"expired": len(keys)}
    assert world.keys() == []


def test_versions_stay_under_a_delete_marker_until_their_own_rule_takes_them(seaweed: SeaweedFS) -> None:
    """Expiry, then NoncurrentDays, then the lone marker: three looks."""
    world = World(seaweed, "lifecycle-versions", versions=True)
    world.put(LOG)
    world.put("other/1")
    rules = (DAYS, Rule("old", True, Filter("AWSLogs/"), noncurrent_days=7))
    assert world.look(*rules, days=31.1) == {"expired": 1}
    assert world.everything() == [(LOG, True, True), (LOG, False, False), ("other/1", False, True)]
    assert world.look(*rules, days=6.5) == {}
    assert world.look(*rules, days=8.1) == {"version_removed": 1}
    assert world.look(Rule("lone", True, Filter(), removes_lone_markers=True)) == {"marker_removed": 1}
    assert world.everything() == [("other/1", False, True)]


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_what_object_lock_holds_stays(seaweed: SeaweedFS, mode: str) -> None:
    """A current version gets its delete marker, as with S3; the version itself cannot be removed."""
    world = World(seaweed, f"lifecycle-lock-{mode.lower()}", versions=True, lock=True)
    until = datetime.now(UTC) + timedelta(minutes=10)
    world.put(LOG, ObjectLockMode=mode, ObjectLockRetainUntilDate=until)
    assert world.look(DAYS, days=32) == {"expired": 1}
    assert world.look(Rule("old", True, Filter(), noncurrent_days=1), days=3) == {"locked": 1}
    assert world.everything() == [(LOG, True, True), (LOG, False, False)]


def test_uploads_that_nobody_completes_are_given_up(seaweed: SeaweedFS) -> None:
    """Below the prefix, after their days."""
    world = World(seaweed, "lifecycle-uploads")
    for key in ("x/1", "x/2", "x/3", "y/1"):
        world.s3.create_multipart_upload(Bucket=world.bucket, Key=key)
    rule = Rule("mpu", True, Filter("x/"), abort_days=2)
    assert world.look(rule, days=1.9) == {}
    assert world.look(rule, days=3.1) == {"upload_aborted": 3}
    assert [one.key for one in world.versions.list_uploads(world.bucket, "")] == ["y/1"]


def test_a_log_file_moves_to_the_archive_as_it_is(seaweed: SeaweedFS) -> None:
    """Bytes, metadata, content type and encoding, under the same key; other objects just expire."""
    world = World(seaweed, "lifecycle-archived")
    world.s3.create_bucket(Bucket="lifecycle-archive")
    world.archive = Archive(world.store, "lifecycle-archive")
    options = {"ContentType": "application/json", "ContentEncoding": "gzip", "ServerSideEncryption": "AES256"}
    world.put(DIGEST, b"\x1f\x8b digest", Metadata={"signature": "ab12", "signature-algorithm": "x"}, **options)
    world.put(LOG, b"\x1f\x8b log", **options)
    world.put("AWSLogs/123456789012/Config/x", b"no log file")
    before = {key: (world.store.head(world.bucket, key), world.store.get(world.bucket, key)) for key in (DIGEST, LOG)}
    assert world.look(DAYS, days=32) == {"archived": 2, "expired": 1}
    assert world.keys() == []
    after = {
        key: (world.store.head("lifecycle-archive", key), world.store.get("lifecycle-archive", key))
        for key in world.store.list_keys("lifecycle-archive", "")
    }
    assert after == before


def test_an_interrupted_move_is_completed_and_nothing_is_written_over(seaweed: SeaweedFS) -> None:
    """A copy that is there is compared; where something else stands, the file stays where it is."""
    world = World(seaweed, "lifecycle-interrupted")
    world.s3.create_bucket(Bucket="lifecycle-archive-2")
    world.archive = Archive(world.store, "lifecycle-archive-2")
    world.put(LOG, b"log", ContentType="application/json")
    world.put(DIGEST, b"digest", ContentType="application/json")
    world.s3.put_object(Bucket="lifecycle-archive-2", Key=LOG, Body=b"log", ContentType="application/json")
    world.s3.put_object(Bucket="lifecycle-archive-2", Key=DIGEST, Body=b"forged", ContentType="application/json")
    assert world.look(DAYS, days=32) == {"archived": 1, "conflict": 1}
    assert world.keys() == [DIGEST]
    assert world.store.get("lifecycle-archive-2", DIGEST) == b"forged"


def test_nothing_is_removed_while_the_archive_is_away(seaweed: SeaweedFS) -> None:
    """No bucket, no credentials, no server: everything stays, and the look ends."""
    world = World(seaweed, "lifecycle-no-archive")
    keys = [LOG.replace("CloudTrail_", f"CloudTrail_{n:02}") for n in range(12)]
    for key in keys:
        world.put(key)
    world.archive = Archive(world.store, "no-such-archive")
    assert world.look(DAYS, days=32) == {"failed": 10}
    world.archive = Archive(S3ObjectStore("http://127.0.0.1:1", "us-east-1", "k", "s"), "a")
    assert world.look(DAYS, days=32) == {"failed": 10}
    assert world.keys() == keys


def test_versions_of_log_files_are_archived_too(seaweed: SeaweedFS) -> None:
    """What somebody deleted, or wrote over, is a version that is not current: it does not get lost either."""
    world = World(seaweed, "lifecycle-noncurrent", versions=True)
    world.s3.create_bucket(Bucket="lifecycle-archive-3")
    world.archive = Archive(world.store, "lifecycle-archive-3")
    world.put(LOG, b"log")
    world.s3.delete_object(Bucket=world.bucket, Key=LOG)
    assert world.look(Rule("old", True, Filter(), noncurrent_days=1), days=3) == {"archived": 1}
    assert world.store.get("lifecycle-archive-3", LOG) == b"log"
    assert world.everything() == [(LOG, True, True)]


@pytest.mark.parametrize("versions", [False, True])
def test_every_version_is_listed_once_over_several_pages(seaweed: SeaweedFS, *, versions: bool) -> None:
    """Also where a folder's name begins with another's, which the server puts in another order than S3."""
    world = World(seaweed, f"lifecycle-listed-{versions}".lower(), versions=versions)
    days = [f"a/{kind}/{day}/{n}" for kind in ("CloudTrail", "CloudTrail-Digest") for day in "12" for n in range(5)]
    keys = (*days, "a/CloudTrail/", "b/1", "b/10", "b/2", "c")
    for key in keys * 2:
        world.put(key, b"" if key.endswith("/") else b"body")
    full = [one.key for one in S3Versions(world.store).list_versions(world.bucket, "")]
    assert set(full) == set(keys)
    for size in (4, 5, 7, 1000):
        found = [one.key for one in S3Versions(world.store, page_entries=size).list_versions(world.bucket, "")]
        assert sorted(found) == sorted(full), size
        below = [one.key for one in S3Versions(world.store, page_entries=size).list_versions(world.bucket, "a/Cloud")]
        assert sorted(below) == sorted(key for key in full if key.startswith("a/Cloud")), size
