"""The size rules of event records (cloudtrail fact sheet 1.4)."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from opentrail.events.call import Call, Outcome
from opentrail.events.limits import RECORD_BYTES_MAX, cut
from opentrail.events.record import KEY_ORDER, ServiceEvent, build, service_event
from opentrail.identity.principal import Principal, PrincipalType

ACCOUNT = "123456789012"
AT = datetime(2026, 11, 23, tzinfo=UTC)
USER = Principal(PrincipalType.IAM_USER, account_id=ACCOUNT, principal_id="AIDA", arn="a", user_name="u")


def record(outcome: Outcome, **changes: Any) -> tuple[bytes, dict[str, Any]]:
    """A record of a call whose parameters are in record form already, as bytes and parsed."""
    defaults: dict[str, Any] = {
        "request_id": "r",
        "received_at": AT,
        "account_id": ACCOUNT,
        "region": "us-east-1",
        "principal": USER,
        "event_source": "s3.amazonaws.com",
        "event_name": "PutObject",
        "read_only": False,
    }
    text = build(Call(**defaults | changes), outcome, event_id="e", recipient_account_id=ACCOUNT)
    return text, json.loads(text)


def object_of(size_bytes: int) -> dict[str, str]:
    """An object whose JSON text has this size."""
    return {"p": "x" * (size_bytes - len(b'{"p":""}'))}


def test_parameters_of_exactly_100_kb_are_kept() -> None:
    """102,400 bytes stay; one more is replaced by the stub, and the hash of what was omitted is recorded."""
    kept = object_of(102_400)
    assert record(Outcome(completed_at=AT), parameters=kept)[1]["requestParameters"] == kept
    dropped = object_of(102_401)
    _, found = record(Outcome(completed_at=AT), parameters=dropped)
    assert found["requestParameters"] == {
        "reason": "requestParameters too large",
        "omitted": True,
        "originalSize": 102_401,
    }
    digest = hashlib.sha256(orjson.dumps(dropped)).hexdigest()
    assert found["additionalEventData"] == {"omittedRequestParametersSha256": digest}
    assert list(found) == [key for key in KEY_ORDER if key in found]


def test_a_forged_stub_does_not_escape_the_limit() -> None:
    """Parameters that look like the stub are measured like any others."""
    forged = {"reason": "x" * 200_000, "omitted": True, "originalSize": 1}
    _, found = record(Outcome(completed_at=AT), parameters=forged)
    assert found["requestParameters"]["reason"] == "requestParameters too large"


def test_large_responses_and_details_are_omitted_too() -> None:
    """Responses and service event details have the same limit."""
    _, found = record(Outcome(completed_at=AT, response=object_of(150_000)), parameters=object_of(90_000))
    assert found["responseElements"]["originalSize"] == 150_000
    assert "omittedResponseElementsSha256" in found["additionalEventData"]
    assert len(found["requestParameters"]["p"]) > 89_000
    event = ServiceEvent(
        event_source="s", event_name="n", account_id=ACCOUNT, region="r", occurred_at=AT, details=object_of(110_000)
    )
    details = json.loads(service_event(event, event_id="e"))
    assert details["serviceEventDetails"]["originalSize"] == 110_000
    assert "omittedServiceEventDetailsSha256" in details["additionalEventData"]


def test_additional_event_data_over_28_kb_keeps_only_the_notes() -> None:
    """additionalEventData has the limit of 28 KB; the hashes of other omissions survive it."""
    data = object_of(28 * 1024 + 1)
    outcome = Outcome(completed_at=AT, additional_event_data=data)
    found = record(outcome)[1]["additionalEventData"]
    assert found["reason"] == "additionalEventData too large"
    assert found["originalSize"] == 28 * 1024 + 1
    assert found["omittedAdditionalEventDataSha256"] == hashlib.sha256(orjson.dumps(data)).hexdigest()
    both = record(outcome, parameters=object_of(200_000))[1]["additionalEventData"]
    assert {"reason", "omittedRequestParametersSha256", "omittedAdditionalEventDataSha256"} <= set(both)


def test_many_resources_are_cut_and_counted() -> None:
    """Resources beyond their limit are dropped from the end; how many, and their hash, is recorded."""
    resources = tuple({"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::b/{'k' * 900}{n}"} for n in range(1000))
    text, found = record(Outcome(completed_at=AT, resources=resources))
    assert len(text) <= RECORD_BYTES_MAX
    assert found["additionalEventData"]["omittedResources"] == 1000 - len(found["resources"])
    assert found["resources"] == list(resources[: len(found["resources"])])


def test_a_record_of_worst_cases_is_at_most_256_kb() -> None:
    """When everything is at its limit, and each character takes six bytes of JSON, the record still fits."""
    worst = "\x00" * 1_000_000
    principal = Principal(PrincipalType.IAM_USER, ACCOUNT, worst, worst, worst, worst)
    text, found = record(
        Outcome(
            completed_at=AT,
            response=object_of(102_400),
            additional_event_data=object_of(28_000),
            resources=tuple({"ARN": "a" * 1000} for _ in range(1000)),
        ),
        principal=principal,
        parameters=object_of(102_400),
        request_id=worst,
        region=worst,
        event_name=worst,
        event_source=worst,
        source_ip=worst,
        user_agent=worst,
    )
    assert len(text) <= RECORD_BYTES_MAX
    assert found["responseElements"]["omitted"] is True
    assert len(found["requestParameters"]["p"]) > 102_000


@pytest.mark.parametrize("text", ["é" * 2000, "😀" * 2000, "a" * 1025, "ab" + "€" * 1000])
def test_texts_are_cut_at_1_kb_between_characters(text: str) -> None:
    """A text over 1 KB is cut to at most 1,024 bytes of UTF-8, and no character is split."""
    short = cut(text)
    assert text.startswith(short)
    assert 1021 <= len(short.encode()) <= 1024
    assert cut("a" * 1024) == "a" * 1024


def test_error_texts_and_agents_are_cut() -> None:
    """errorCode, errorMessage, userAgent and requestID hold at most 1 KB each."""
    long = "é" * 1_000_000
    outcome = Outcome(completed_at=AT, error_code=long, error_message=long)
    _, found = record(outcome, user_agent=long, request_id=long)
    for key in ("errorCode", "errorMessage", "userAgent", "requestID"):
        assert 1022 <= len(found[key].encode()) <= 1024
