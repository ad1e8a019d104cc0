"""The reckoning of the kill tests finds each way in which the promise can be broken, and nothing where it is kept."""

from collections import Counter
from typing import Any

import pytest

from tests.support.callers import Name, Reply, Request, Seen, s3, sqs
from tests.support.reckoning import UNKNOWN, Effects, findings, objects_effects

MARK = f"m{1:032x}"
OTHER = f"m{2:032x}"
CREATE = sqs("CreateQueue", MARK)
DONE, FAILED = Reply(200, "r-1"), Reply(503, "r-1")
HAPPENED = Effects(Counter([CREATE.name]))
NOTHING = Effects(Counter())


def _record(request: Request = CREATE, request_id: str = "r-1", event_id: str = "e-1", **more: Any) -> dict[str, Any]:
    parameters = {"queueName": request.mark}
    return {
        "eventName": request.event,
        "requestParameters": parameters,
        "requestID": request_id,
        "eventID": event_id,
    } | more


def _seen(reply: Reply | None, request: Request = CREATE) -> dict[Name, Seen]:
    return {request.name: Seen(request, reply)}


@pytest.mark.parametrize(
    ("reply", "effects", "records"),
    [
        (DONE, HAPPENED, [_record()]),
        (FAILED, NOTHING, [_record(errorCode="ServiceUnavailable")]),
        (FAILED, HAPPENED, [_record(errorCode=UNKNOWN)]),
        (None, HAPPENED, [_record(errorCode=UNKNOWN)]),
        (None, NOTHING, [_record(errorCode=UNKNOWN)]),
        (None, HAPPENED, [_record()]),
        (None, NOTHING, []),
    ],
)
def test_a_kept_promise_is_no_finding(reply: Reply | None, effects: Effects, records: list[dict[str, Any]]) -> None:
    """With a reply or without, an effect has its record, and a call without effect may have none."""
    assert findings(_seen(reply), effects, records) == []


@pytest.mark.parametrize(
    ("reply", "effects", "records", "finding"),
    [
        (None, HAPPENED, [], "has an effect and no record"),
        (DONE, HAPPENED, [], "its request id stands in 0 records"),
        (DONE, HAPPENED, [_record(), _record(event_id="e-2")], "has 2 records"),
        (DONE, HAPPENED, [_record(request_id="r-2")], "its request id stands in 0 records"),
        (DONE, HAPPENED, [_record(errorCode=UNKNOWN)], "was answered with success and is recorded as OutcomeUnknown"),
        (FAILED, NOTHING, [_record()], "was answered with an error and is recorded as done"),
        (Reply(200, None), HAPPENED, [_record()], "was answered without a request id"),
        (None, HAPPENED, [_record(errorCode="ServiceUnavailable")], "has an effect and is recorded as"),
        (None, NOTHING, [_record()], "is recorded as done and has no effect"),
        (DONE, NOTHING, [_record()], "was answered with success and has no effect"),
        (DONE, Effects(Counter([CREATE.name] * 2)), [_record()], "reached the server 2 times"),
        (DONE, HAPPENED, [_record(), _record(sqs("CreateQueue", OTHER))], "event e-1 stands 2 times"),
        (DONE, HAPPENED, [_record(), _record(sqs("TagQueue", MARK), "r-2", "e-2")], "is recorded and was never sent"),
        (DONE, HAPPENED, [_record(sqs("TagQueue", MARK))], "the record of another call"),
    ],
)
def test_each_breach_is_found(
    reply: Reply | None, effects: Effects, records: list[dict[str, Any]], finding: str
) -> None:
    """Lost, doubled, contradicted and invented evidence, each by its own sentence."""
    assert any(finding in one for one in findings(_seen(reply), effects, records))


def test_what_was_never_sent_has_no_effect() -> None:
    """An effect that no call explains is found."""
    assert findings({}, HAPPENED, []) == [f"{CREATE.name} was never sent and has an effect"]


def test_a_bucket_tells_what_was_put_and_what_was_deleted() -> None:
    """An object that is there was put; one that is gone was deleted, and its put may then be done without a trace."""
    put, delete, kept = s3("PutObject", MARK), s3("DeleteObject", MARK), s3("PutObject", OTHER)
    seen = _seen(DONE, put) | _seen(None, delete) | _seen(None, kept)
    effects = objects_effects(seen, {OTHER})
    assert effects == Effects(Counter([delete.name, kept.name]), frozenset([put.name]))
    put_record, kept_record = _record(put), _record(kept, "r-3", "e-3", errorCode=UNKNOWN)
    found = findings(seen, effects, [put_record, kept_record])
    assert found == [f"{delete.name} (reply: None): has an effect and no record"]
