"""Trails and delivery against a real SeaweedFS: marker, conditional put, encryption, and what a reader finds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentrail.clock import SystemEntropy
from opentrail.delivery.plans import Plans
from opentrail.errors import OutboundError
from opentrail.services.cloudtrail.preflight import Preflight
from opentrail.storage.bucket import S3ObjectStore
from opentrail.trails.bucket_access import BucketPolicyMode
from tests.support.delivery_world import ACCOUNT, BUCKET, IRELAND, DeliveryWorld
from tests.support.seaweed import running_seaweed


@pytest.fixture(scope="module")
def server_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3ObjectStore]:
    """A client of a fresh SeaweedFS."""
    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server.store()


@pytest.fixture
def bucket(server_store: S3ObjectStore) -> str:
    """A fresh bucket."""
    name = f"{BUCKET}-{SystemEntropy().uuid()[:8]}"
    server_store.create_bucket(name)
    return name


@pytest.fixture
def world(tmp_path: Path, server_store: S3ObjectStore, bucket: str) -> Iterator[DeliveryWorld]:
    """A courier over SeaweedFS, with the bucket owned by the trail's account."""
    made = DeliveryWorld(tmp_path, server_store)
    made.buckets.owners[bucket] = ACCOUNT
    yield made
    made.close()


def test_log_files_and_marker_arrive_with_their_headers(world: DeliveryWorld, bucket: str) -> None:
    """The marker and a log file per region stand in the bucket; files are encrypted and have CloudTrail's headers."""
    trail = world.trail(bucket=bucket, prefix="org", is_multi_region=True)
    Preflight(world.buckets, world.store, BucketPolicyMode.TRUST).check(trail)
    ids = world.record(50) + world.record(20, partition=IRELAND)
    world.pass_after(61)
    assert world.status().latest_error is None
    assert world.delivered(bucket) == sorted(ids)
    keys = list(world.store.list_keys(bucket, "org/AWSLogs/"))
    assert len(keys) == 3
    assert "org/AWSLogs/123456789012/CloudTrail/" in keys
    for key in world.log_files(bucket):
        head = world.store.head(bucket, key)
        assert head is not None
        assert (head.content_type, head.content_encoding) == ("application/json", "gzip")
        assert head.server_side_encryption == "AES256"


def test_a_lost_answer_is_recognised_by_content(world: DeliveryWorld, bucket: str) -> None:
    """The server refuses the second put of a key, and the courier finds that the object there is its own."""
    world.trail(bucket=bucket)
    ids = world.record(5)
    world.store = store = _ForgetfulStore(world.store)
    world.courier.stop()
    world.restart_courier()
    world.pass_after(61)
    assert world.status().latest_error == "ConnectionError"
    (plan,) = Plans(world.database).pending("t1")
    assert store.head(bucket, plan.key) is not None
    world.pass_after(5)
    assert (world.status().latest_error, Plans(world.database).pending("t1")) == (None, ())
    assert world.delivered(bucket) == sorted(ids)


def test_a_bucket_that_does_not_exist_shows_in_the_status(world: DeliveryWorld) -> None:
    """The server's own error code is the trail's LatestDeliveryError."""
    world.buckets.owners["no-such-bucket-here"] = ACCOUNT
    world.trail(bucket="no-such-bucket-here")
    world.record(1)
    world.pass_after(61)
    assert world.status().latest_error == "NoSuchBucket"


class _ForgetfulStore:
    """The real store, whose first answer to a put is lost."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._forgets = True

    def put(self, *args: Any, **kwargs: Any) -> str:
        """Put, and lose the first answer."""
        etag: str = self._real.put(*args, **kwargs)
        if self._forgets:
            self._forgets = False
            raise OutboundError("ConnectionError", "the answer was lost")
        return etag

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
