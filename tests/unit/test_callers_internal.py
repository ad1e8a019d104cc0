"""What services of ours do by themselves, as records: the InternalCalls port on a real journal."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opentrail.app.internal import RecordedInternally
from opentrail.app.recorded_store import RecordedStore
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.errors import JournalError, OutboundError
from opentrail.events.internal_calls import Announced, InternalCall, Place, call_of, s3_call
from opentrail.events.record import ServiceEvent
from opentrail.gateway.recording import Recording
from opentrail.identity.buckets import Buckets
from opentrail.identity.principal import Principal, PrincipalType, SessionContext
from opentrail.journal import Journal, JournalOptions
from opentrail.state.database import Database
from tests.support.memory_store import MemoryObjectStore

ACCOUNT = "123456789012"
AT = datetime(2026, 11, 23, 18, 30, 31, tzinfo=UTC)
OPSWORKS = "opsworks-cm.amazonaws.com"


class World:
    """A journal, a bucket with an owner, and a service's view of the store."""

    def __init__(self, directory: Path, probe: str | None = None) -> None:
        self.journal = Journal.open(directory, JournalOptions(segment_bytes=1 << 20))
        self.database = Database(None)
        self.database.create_tables()
        buckets = Buckets(self.database)
        with self.database.unit() as unit:
            buckets.create(unit, "owned", ACCOUNT, "eu-west-1", AT)
        recording = Recording(self.journal, SystemClock(), SystemEntropy(), lambda call, outcome, recipient: ())
        self.calls = RecordedInternally(self.journal, recording, SystemClock(), SystemEntropy(), lambda event: ("t-1",))
        self.memory = MemoryObjectStore("owned", "stray")
        self.store = RecordedStore(self.memory, self.calls, buckets, OPSWORKS, probe=probe)

    def records(self) -> list[dict[str, Any]]:
        """Every record in the journal."""
        frames = self.journal.read(0, max_bytes=1 << 20)
        return [json.loads(frame.payload) for frame in frames if not frame.is_intent]

    def intents(self) -> list[dict[str, Any]]:
        """Every intent in the journal."""
        frames = self.journal.read(0, max_bytes=1 << 20)
        return [json.loads(frame.payload) for frame in frames if frame.is_intent]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world that is closed afterwards."""
    made = World(tmp_path / "journal")
    yield made
    made.journal.close()


def test_a_service_that_puts_an_object_is_recorded_as_itself(world: World) -> None:
    """PutObject by AWSService: host name in both places, sharedEventID, no TLS, the owner's account and region."""
    world.store.put("owned", "k", io.BytesIO(b"12345"), content_type="x", server_side_encryption="AES256")
    (found,) = world.records()
    assert found["userIdentity"] == {"type": "AWSService", "invokedBy": OPSWORKS}
    assert (found["sourceIPAddress"], found["userAgent"]) == (OPSWORKS, OPSWORKS)
    assert (found["eventSource"], found["eventName"]) == ("s3.amazonaws.com", "PutObject")
    assert (found["awsRegion"], found["recipientAccountId"]) == ("eu-west-1", ACCOUNT)
    assert found["requestParameters"] == {
        "bucketName": "owned",
        "Host": "s3.amazonaws.com",
        "key": "k",
        "x-amz-server-side-encryption": "AES256",
    }
    assert found["resources"] == [
        {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::owned/k"},
        {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::owned"},
    ]
    assert found["additionalEventData"]["bytesTransferredIn"] == 5
    assert found["managementEvent"] is False
    assert found["sharedEventID"] != found["eventID"]
    assert "tlsDetails" not in found
    assert world.memory.get("owned", "k") == b"12345"


def test_every_call_of_a_service_leaves_one_record(world: World) -> None:
    """Get, head, delete, list and create each have S3's name for it; asking for a bucket is private without a probe."""
    world.store.put("owned", "k", b"1", content_type="x")
    assert world.store.get("owned", "k") == b"1"
    assert world.store.head("owned", "k") is not None
    assert list(world.store.list_keys("owned", "")) == ["k"]
    world.store.delete("owned", "k")
    assert world.store.bucket_exists("owned")
    names = [record["eventName"] for record in world.records()]
    assert names == ["PutObject", "GetObject", "HeadObject", "ListObjects", "DeleteObject"]


def test_cloudtrails_probe_is_a_read_of_the_buckets_acl(tmp_path: Path) -> None:
    """GetBucketAcl: a management event that only reads, as in real files when a trail is made."""
    world = World(tmp_path / "journal", probe="GetBucketAcl")
    assert world.store.bucket_exists("owned")
    (found,) = world.records()
    assert (found["eventName"], found["readOnly"], found["managementEvent"]) == ("GetBucketAcl", True, True)
    assert found["requestParameters"]["acl"] == ""
    world.journal.close()


def test_a_failed_call_is_recorded_with_its_code(world: World) -> None:
    """The store's refusal is in the record, and reaches the service."""
    world.memory.outage = OutboundError("AccessDenied", "not allowed", retryable=False)
    with pytest.raises(OutboundError):
        world.store.create_bucket("owned")
    (found,) = world.records()
    assert (found["eventName"], found["errorCode"], found["errorMessage"]) == (
        "CreateBucket",
        "AccessDenied",
        "not allowed",
    )


def test_a_bucket_that_nobody_owns_concerns_nobody(world: World) -> None:
    """No account, no record; the call is made all the same."""
    world.store.put("stray", "k", b"1", content_type="x")
    assert world.records() == []


def test_without_a_journal_nothing_is_changed(world: World) -> None:
    """What could not be recorded is not done."""

    class Refusing(RecordedInternally):
        def intend(self, call: InternalCall) -> Announced:
            raise JournalError("the disk is full")

    recording = Recording(world.journal, SystemClock(), SystemEntropy(), lambda c, o, r: ())
    world.store._calls = Refusing(world.journal, recording, SystemClock(), SystemEntropy(), lambda event: ())
    with pytest.raises(JournalError):
        world.store.put("owned", "k", b"1", content_type="x")
    assert world.memory.puts == []


def test_a_change_is_announced_before_it_is_made(world: World) -> None:
    """The intent has the record's event id; a read leaves none."""
    world.store.put("owned", "k", b"1", content_type="x")
    world.store.get("owned", "k")
    (intent,) = world.intents()
    put, got = world.records()
    assert (intent["eventName"], intent["errorCode"]) == ("PutObject", "OutcomeUnknown")
    assert (put["eventID"], put.get("errorCode"), got["eventName"]) == (intent["eventID"], None, "GetObject")


def test_a_change_that_ends_unexpectedly_has_an_unknown_outcome(world: World) -> None:
    """It may have been made; no intent stays open behind it."""

    def broken(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    world.memory.put = broken  # type: ignore[method-assign]  # whatever can happen in between
    with pytest.raises(KeyboardInterrupt):
        world.store.put("owned", "k", b"1", content_type="x")
    (record,) = world.records()
    assert record["errorCode"] == "OutcomeUnknown"
    assert world.journal.stats().open_intents == 0


def test_a_service_event_is_routed_and_has_no_type(world: World) -> None:
    """AwsServiceEvent goes to the trails that take it."""
    event = ServiceEvent(
        event_source=OPSWORKS,
        event_name="AutomatedBackup",
        account_id=ACCOUNT,
        region="eu-west-1",
        occurred_at=AT,
        details={"serverName": "s"},
        invoked_by=OPSWORKS,
    )
    world.calls.happened(event)
    (frame,) = world.journal.read(0, max_bytes=1 << 20)
    assert list(frame.routes) == ["t-1"]
    assert json.loads(frame.payload)["eventType"] == "AwsServiceEvent"


def test_a_service_with_somebodys_credentials_says_on_whose_and_by_whom() -> None:
    """AssumedRole with invokedBy, and no access key."""
    role = Principal(PrincipalType.ASSUMED_ROLE, ACCOUNT, "AROA:s", "arn", "ASIA1", session=SessionContext(AT))
    made = s3_call(OPSWORKS, "PutObject", Place("owned", ACCOUNT, "eu-west-1", "k"))
    internal = InternalCall(
        service=made.service,
        account_id=made.account_id,
        region=made.region,
        event_source=made.event_source,
        event_name=made.event_name,
        on_behalf_of=role,
    )
    principal = call_of(internal, request_id="r", at=AT).principal
    assert (principal.type, principal.service, principal.access_key_id) == (PrincipalType.ASSUMED_ROLE, OPSWORKS, "")
