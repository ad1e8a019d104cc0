"""What failed answers say, in the many forms that servers give them."""

import pytest

from opentrail.aws.http import Reply
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import SERVED, cbor

CATALOGUE = Catalogue()
ANY = CATALOGUE.service("sts")


@pytest.mark.parametrize(
    ("headers", "body", "code", "message"),
    [
        ({}, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"No"}', "QueueDoesNotExist", "No"),
        ({}, b'{"__type":"Missing","Message":"No"}', "Missing", "No"),
        ({}, b'{"code":"Missing","errorMessage":"No"}', "Missing", "No"),
        ({"x-amzn-errortype": "Gone:http://internal.amazon.com/coral/"}, b'{"message":"No"}', "Gone", "No"),
        ({"x-amzn-errortype": "ns#Gone:x"}, b'{"__type":"Other"}', "Gone", ""),
        (
            {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
            b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"No"}',
            "AWS.SimpleQueueService.NonExistentQueue",
            "No",
        ),
        ({"x-amzn-query-error": "nonsense"}, b'{"__type":"A","message":null}', "A", ""),
        ({}, b'{"__type":["A"],"message":{"a":1}}', "NotFound", ""),
        ({}, b"<html><body>404</body></html>", "NotFound", ""),
        ({}, b"", "NotFound", ""),
        ({"x-amzn-errortype": "no code\x00"}, b"", "NotFound", ""),
    ],
)
def test_errors_in_json(headers: dict[str, str], body: bytes, code: str, message: str) -> None:
    """Header or body, with or without namespace; the status speaks where neither does."""
    for protocol in ("json", "rest-json"):
        told = SERVED[protocol].read_error(ANY, Reply(404, headers, body))
        assert (told.code, told.message) == (code, message)


def test_errors_in_cbor() -> None:
    """The same rules, another encoding."""
    told = SERVED["smithy-rpc-v2-cbor"].read_error(
        ANY, Reply(400, {}, cbor.encode({"__type": "com.amazonaws.health#InvalidPaginationToken", "message": "No"}))
    )
    assert (told.code, told.message) == ("InvalidPaginationToken", "No")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("<ErrorResponse xmlns='x'><Error><Code>A</Code><Message>No</Message></Error></ErrorResponse>", "A", "No"),
        ("<Response><Errors><Error><Code>A.B</Code><Message>No</Message></Error></Errors></Response>", "A.B", "No"),
        ("<Error><Code> A </Code><Message/></Error>", "A", ""),
        ("<Response><Errors/></Response>", "ServiceUnavailable", ""),
        ("<Error><Code></Code></Error>", "ServiceUnavailable", ""),
        ("<html/>", "ServiceUnavailable", ""),
        ("Service Unavailable", "ServiceUnavailable", ""),
    ],
)
def test_errors_in_xml(body: str, code: str, message: str) -> None:
    """Query's, EC2's and S3's forms are read whichever protocol is spoken."""
    for protocol in ("query", "ec2", "rest-xml"):
        told = SERVED[protocol].read_error(ANY, Reply(503, {}, body.encode()))
        assert (told.code, told.message) == (code, message)


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDeniedException"), (418, "BadRequest"), (599, "InternalFailure")]
)
def test_a_status_without_words_stands_for_an_error(status: int, code: str) -> None:
    """Every status has a code."""
    assert SERVED["json"].read_error(ANY, Reply(status, {}, b"")).code == code


def test_long_messages_are_cut() -> None:
    """A record does not grow with what an upstream sends."""
    told = SERVED["json"].read_error(ANY, Reply(500, {}, b'{"message":"' + b"x" * 100_000 + b'"}'))
    assert len(told.message) == 8192
