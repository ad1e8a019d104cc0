"""Event records as EventBridge's entries: the envelope of CloudTrail's events, and which records have one."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.delivery.bus_entries import RECORD_BYTES_MAX, Choice, Entry, entry_of
from opentrail.events.record import ServiceEvent, service_event

RECORD: dict[str, Any] = {
    "eventVersion": "1.11",
    "eventTime": "2019-02-01T03:18:19Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "CreateBucket",
    "awsRegion": "us-west-2",
    "readOnly": False,
    "eventType": "AwsApiCall",
    "managementEvent": True,
    "eventCategory": "Management",
}
DATA = {"managementEvent": False, "eventCategory": "Data"}


def made(choice: Choice | None = None, *, logs: bool = True, kept: bool = False, **changes: Any) -> Entry | None:
    """What becomes of the record with other members."""
    record = json.dumps({**RECORD, **changes}).encode()
    return entry_of(record, choice or Choice(), account_logs=logs, is_kept=kept)


def test_the_envelope_is_that_of_the_fact_sheet() -> None:
    """Section 10, as far as PutEvents can say it; the detail is the record's own bytes."""
    record = json.dumps(RECORD).encode()
    entry = made()
    assert entry is not None
    assert entry.parameters() == {
        "Time": int(datetime(2019, 2, 1, 3, 18, 19, tzinfo=UTC).timestamp()),
        "Source": "aws.s3",
        "Resources": [],
        "DetailType": "AWS API Call via CloudTrail",
        "Detail": record.decode(),
    }


@pytest.mark.parametrize(
    ("event_type", "detail_type"),
    [
        ("AwsApiCall", "AWS API Call via CloudTrail"),
        ("AwsConsoleSignIn", "AWS Console Signin via CloudTrail"),
        ("AwsConsoleAction", "AWS Console Action via CloudTrail"),
        ("AwsServiceEvent", "AWS Service Event via CloudTrail"),
        ("AwsCloudTrailInsight", "AWS Insight via CloudTrail"),
        ("AwsVpceEvent", "AWS Network Activity Event via CloudTrail"),
    ],
)
def test_the_detail_type_follows_the_events_type(event_type: str, detail_type: str) -> None:
    """The table of the fact sheet."""
    entry = made(kept=True, eventType=event_type)
    assert entry is not None
    assert entry.detail_type == detail_type


@pytest.mark.parametrize(
    ("arguments", "goes"),
    [
        ({}, True),
        ({"logs": False}, False),
        ({"logs": False, "kept": True}, True),
        ({"readOnly": True}, False),
        ({"readOnly": True, "choice": Choice(read_only=True)}, True),
        ({"readOnly": None}, True),
        (DATA, False),
        ({**DATA, "kept": True}, True),
        ({**DATA, "kept": True, "readOnly": True}, True),
        ({"eventType": "ActivityLog"}, False),
        ({"eventType": "ActivityLog", "kept": True}, False),
        ({"padding": "x" * RECORD_BYTES_MAX}, False),
    ],
)
def test_what_goes_to_the_bus(arguments: dict[str, Any], goes: bool) -> None:
    """Management events that change something, where the account has a trail; other events where a trail keeps them."""
    assert (made(**arguments) is not None) is goes


def test_the_source_can_begin_otherwise() -> None:
    """For buses that keep ``aws.`` to AWS."""
    entry = made(Choice(source="opentrail."))
    assert entry is not None
    assert entry.source == "opentrail.s3"


def test_our_own_service_events_have_an_envelope() -> None:
    """A record of our own builder, as it stands in the journal."""
    event = ServiceEvent(
        event_source="kms.amazonaws.com",
        event_name="RotateKey",
        account_id="123456789012",
        region="us-east-1",
        occurred_at=datetime.now(UTC),
        details={"keyId": "k"},
    )
    entry = entry_of(service_event(event, event_id="1"), Choice(), account_logs=True, is_kept=False)
    assert entry is not None
    assert (entry.source, entry.detail_type) == ("aws.kms", "AWS Service Event via CloudTrail")
