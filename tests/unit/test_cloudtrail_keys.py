"""KMS keys of trails: named in four ways, tried before they are taken, recorded, removed, and used for log files."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opentrail.clock import SystemEntropy
from opentrail.errors import ApiError
from opentrail.events.internal_calls import Announced, InternalCall
from opentrail.events.record import ServiceEvent
from opentrail.kms.key import Key
from opentrail.kms.making import new_key
from opentrail.kms.store import Keys
from opentrail.services.cloudtrail.trail_keys import TrailKeys
from opentrail.state.sealing import Seal
from tests.support.delivery_world import BUCKET, DeliveryWorld
from tests.support.memory_store import MemoryObjectStore
from tests.unit.test_cloudtrail_service import ACCOUNT, ARN, NOW, World

SERVICE = {"Service": "cloudtrail.amazonaws.com"}
UNKNOWN = "11111111-2222-3333-4444-555555555555"


class Calls:
    """The calls that CloudTrail makes for itself, with the errors that they met."""

    def __init__(self) -> None:
        self.made: list[tuple[InternalCall, tuple[str, str] | None]] = []

    def require(self) -> None:
        """Nothing keeps calls from being recorded."""

    def record(self, call: InternalCall, *, error: tuple[str, str] | None = None, bytes_in: int = 0) -> None:
        self.made.append((call, error))

    def intend(self, call: InternalCall) -> Announced:
        raise AssertionError("trying a key changes nothing")

    def happened(self, event: ServiceEvent) -> None:
        """No service events here."""


def policy(trail_arn: str = ARN) -> str:
    """The key policy that CloudTrail's documentation asks for (cloudtrail fact sheet 3.6)."""
    encrypt = {
        "Sid": "AllowCloudTrailEncryptLogs",
        "Effect": "Allow",
        "Principal": SERVICE,
        "Action": "kms:GenerateDataKey*",
        "Resource": "*",
        "Condition": {
            "StringEquals": {"aws:SourceArn": trail_arn},
            "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"},
        },
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [encrypt]})


class KeyedWorld(World):
    """The CloudTrail service with keys, in a region that tests choose for all buckets."""

    bucket_region: str | None = "us-east-1"

    def trail_keys(self) -> TrailKeys:
        self.keys = Keys(self.database, Seal(b"k" * 32, SystemEntropy()))
        self.calls = Calls()
        return TrailKeys(self.keys, self.calls, lambda _bucket: self.bucket_region)

    def key(self, text: str = "", account_id: str = ACCOUNT) -> Key:
        """A new key with a policy."""
        key = new_key(SystemEntropy(), account_id, "us-east-1", text or policy(), NOW)
        self.put(key)
        return key

    def put(self, key: Key) -> None:
        """Commit a key."""
        with self.database.unit() as unit:
            self.keys.put(unit, key)


@pytest.fixture
def world() -> KeyedWorld:
    return KeyedWorld()


def refusal(world: KeyedWorld, operation: str, **request: Any) -> str:
    """The code that a call is refused with; no trail changes."""
    before = world.trails.snapshot.every()
    with pytest.raises(ApiError) as refused:
        world.call(operation, **request)
    assert world.trails.snapshot.every() == before
    return refused.value.code


def test_a_trail_with_a_key_says_so_and_puts_its_marker_with_it(world: KeyedWorld) -> None:
    """By id or ARN, answered as ARN; the probe is CloudTrail's GenerateDataKey, with the documented context."""
    key = world.key()
    assert world.create(KmsKeyId=key.key_id)["KmsKeyId"] == key.arn
    assert world.call("GetTrail", Name="audit")["Trail"]["KmsKeyId"] == key.arn
    path = f"AWSLogs/{ACCOUNT}/CloudTrail/"
    marker = world.store.buckets["logs-bucket"][path]
    context = {"aws:cloudtrail:arn": ARN, "aws:s3:arn": f"arn:aws:s3:::logs-bucket/{path}"}
    assert (marker.head.server_side_encryption, marker.head.kms_key_id) == ("aws:kms", key.arn)
    assert marker.encryption_context == context
    ((probe, error),) = world.calls.made
    assert (probe.event_name, probe.service, probe.account_id) == (
        "GenerateDataKey",
        "cloudtrail.amazonaws.com",
        ACCOUNT,
    )
    assert probe.parameters == {"keyId": key.arn, "keySpec": "AES_256", "encryptionContext": context}
    assert error is None


def test_an_empty_key_removes_it_and_an_absent_one_keeps_it(world: KeyedWorld) -> None:
    """UpdateTrail with "" goes back to SSE-S3; without the member the key stays."""
    key = world.key()
    world.create(KmsKeyId=key.arn)
    assert world.call("UpdateTrail", Name="audit", IsMultiRegionTrail=True)["KmsKeyId"] == key.arn
    assert "KmsKeyId" not in world.call("UpdateTrail", Name="audit", KmsKeyId="")
    assert world.only_trail().kms_key_arn is None
    assert world.call("UpdateTrail", Name="audit", KmsKeyId=key.arn)["KmsKeyId"] == key.arn


def test_keys_that_do_not_serve_are_refused_with_cloudtrails_codes(world: KeyedWorld) -> None:
    """Nonsense, another region, no such key, a policy that lacks the trail, disabled, pending deletion."""
    other_trail = world.key(policy(ARN.replace("audit", "other")))
    disabled, pending = world.key(), world.key()
    world.put(disabled.disabled())
    world.put(pending.deleted_in(7, NOW))
    for key_id, code in (
        ("nonsense", "KmsKeyNotFoundException"),
        (f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{disabled.key_id}", "KmsKeyNotFoundException"),
        (UNKNOWN, "InsufficientEncryptionPolicyException"),
        ("alias/none", "InsufficientEncryptionPolicyException"),
        (other_trail.arn, "InsufficientEncryptionPolicyException"),
        (disabled.arn, "KmsException"),
        (pending.arn, "KmsException"),
    ):
        assert refusal(world, "CreateTrail", Name="audit", S3BucketName="logs-bucket", KmsKeyId=key_id) == code, key_id
    assert world.store.puts == []
    assert [error[0] for _, error in world.calls.made if error] == [
        *("AccessDeniedException", "DisabledException", "KMSInvalidStateException"),
    ]


def test_the_bucket_decides_about_the_region(world: KeyedWorld) -> None:
    """A bucket of another region takes neither a new trail with the key, nor an old one's log files."""
    key = world.key()
    world.create(KmsKeyId=key.arn)
    world.bucket_region = "eu-west-1"
    moved = refusal(world, "UpdateTrail", Name="audit", S3KeyPrefix="moved")
    assert moved == "KmsKeyNotFoundException"
    made = refusal(world, "CreateTrail", Name="next", S3BucketName="logs-bucket", KmsKeyId=key.arn)
    assert made == "KmsKeyNotFoundException"


def test_log_files_wait_for_a_key_that_is_disabled(tmp_path: Path) -> None:
    """Nothing is put in clear: the status says KMS.DisabledException until the key is enabled, then all arrives."""
    store = MemoryObjectStore(BUCKET)
    world = DeliveryWorld(tmp_path, store)
    keys = Keys(world.database, Seal(b"k" * 32, SystemEntropy()))
    trail_arn = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/trail-t1"
    key = new_key(SystemEntropy(), ACCOUNT, "us-east-1", policy(trail_arn), NOW)

    def put(changed: Key) -> None:
        with world.database.unit() as unit:
            keys.put(unit, changed)

    def later(seconds: float) -> None:
        world.clock.advance(seconds)
        world.run_pass()

    put(key.disabled())
    world.keys = keys
    world.restart_courier()
    world.trail(kms_key_arn=key.arn)
    ids = world.record(3)
    later(61)
    assert world.status().latest_error == "KMS.DisabledException"
    assert store.puts == []
    put(key)
    later(timedelta(hours=1).total_seconds())
    assert world.status().latest_error is None
    assert world.delivered() == sorted(ids)
    ((_, path),) = store.puts
    stored = store.buckets[BUCKET][path]
    assert stored.head.kms_key_id == key.arn
    assert stored.encryption_context == {
        "aws:cloudtrail:arn": trail_arn,
        "aws:s3:arn": f"arn:aws:s3:::{BUCKET}/{path}",
    }
    world.close()


def test_a_server_without_our_kms_takes_no_keys() -> None:
    """Then a key is refused with the reason, and nothing is accepted and ignored."""
    with pytest.raises(ApiError, match="UnsupportedOperationException: KmsKeyId: "):
        World().create(KmsKeyId="alias/logs")
