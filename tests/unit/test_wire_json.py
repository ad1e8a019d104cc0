"""AWS JSON at its edges: what is tolerated, what is refused and how, and what an answer must not contain."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from opentrail.aws.http import RequestHead
from opentrail.aws.model import Catalogue, Operation
from opentrail.aws.protocols import protocol_of
from opentrail.errors import ApiError

CATALOGUE = Catalogue()
OPSWORKS = CATALOGUE.service("opsworkscm")
JSON = protocol_of(OPSWORKS)


def operation(name: str, service: str = "opsworkscm") -> Operation:
    """An operation of the catalogue."""
    return CATALOGUE.service(service).operation(name)


def head(target: str = "") -> RequestHead:
    """A request's head with that target."""
    return RequestHead("POST", "/", "", {"x-amz-target": target} if target else {})


def parse(name: str, body: bytes, service: str = "opsworkscm") -> dict[str, Any]:
    """The parameters in a body."""
    return JSON.parse(operation(name, service), head(), body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"{}", {}),
        (b'{"ServerName":null}', {}),
        (b'{"ServerName":"a","Novel":{"deep":[1]}}', {"ServerName": "a"}),
        (b'{"ServerName":"a","ServerName":"b"}', {"ServerName": "b"}),
        (b'{"MaxResults":5.0}', {"MaxResults": 5}),
        (b'{"servername":"a"}', {}),
    ],
)
def test_tolerated_bodies(body: bytes, expected: dict[str, Any]) -> None:
    """Empty bodies, nulls, unknown members, duplicates and whole floats are read; names are case-sensitive."""
    assert parse("DescribeServers", body) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The body is not valid JSON"),
        (b'\xff{"ServerName":"a"}', "The body is not valid JSON"),
        (b'{"ServerName":"\\ud800"}', "The body is not valid JSON"),
        (b"[1]", "Unexpected field type: the body must be a JSON object"),
        (b'{"ServerName":1}', "NUMBER_VALUE cannot be converted to String"),
        (b'{"ServerName":true}', "TRUE_VALUE cannot be converted to String"),
        (b'{"ServerName":["a"]}', "Start of list found where not expected"),
        (b'{"ServerName":{}}', "Start of structure or map found where not expected."),
        (b'{"MaxResults":"5"}', "STRING_VALUE cannot be converted to Integer"),
        (b'{"MaxResults":1.5}', "DECIMAL_VALUE cannot be converted to Integer"),
        (b'{"MaxResults":false}', "FALSE_VALUE cannot be converted to Integer"),
        (b'{"MaxResults":2147483648}', "Numeric value out of range of integer"),
        (b'{"MaxResults":99999999999999999999999}', "Numeric value out of range of integer"),
    ],
)
def test_refused_bodies(body: bytes, message: str) -> None:
    """What cannot be read is a SerializationException that says what was found."""
    with pytest.raises(ApiError) as refused:
        parse("DescribeServers", body)
    assert (refused.value.code, refused.value.status) == ("SerializationException", 400)
    assert refused.value.message == message


def test_depth_and_size_are_bounded() -> None:
    """Neither a body nested a thousand times nor one of 17 MiB reaches the recursion or the parser."""
    attribute = b'{"M":{"a":' * 200 + b'{"S":"x"}' + b"}}" * 200
    with pytest.raises(ApiError, match="nested deeper"):
        parse("PutItem", b'{"Item":{"a":' + attribute + b"}}", "dynamodb")
    with pytest.raises(ApiError, match="not valid JSON"):
        parse("PutItem", b'{"Item":' + b"[" * 100_000, "dynamodb")
    with pytest.raises(ApiError, match="larger than") as refused:
        parse("DescribeServers", b" " * (17 * 1024 * 1024))
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "text", ["1569229584.842", '"2019-09-23T09:06:24.842Z"', '"2019-09-23T11:06:24.842+02:00"', '"1569229584.842"']
)
def test_timestamps_are_read_in_every_usual_form(text: str) -> None:
    """Numbers and ISO 8601 texts name the same instant."""
    found = parse("LookupEvents", b'{"StartTime":' + text.encode() + b"}", "cloudtrail")
    assert found == {"StartTime": datetime(2019, 9, 23, 9, 6, 24, 842000, tzinfo=UTC)}


@pytest.mark.parametrize("text", ["1e300", "-1e300", '"yesterday"', '"9999-12-31T23:59:59-01:00"', "true", '""'])
def test_impossible_timestamps_are_refused(text: str) -> None:
    """Instants outside the calendar and other texts are refused."""
    with pytest.raises(ApiError) as refused:
        parse("LookupEvents", b'{"StartTime":' + text.encode() + b"}", "cloudtrail")
    assert refused.value.code == "SerializationException"


def test_operation_comes_from_the_target() -> None:
    """The operation is the target's last part, also behind the historic prefix of CloudTrail."""
    assert JSON.operation_name(OPSWORKS, head("OpsWorksCM_V2016_11_01.DescribeServers"), b"") == "DescribeServers"
    assert (
        JSON.operation_name(CATALOGUE.service("cloudtrail"), head("CloudTrail_20131101.ListTrails"), b"")
        == "ListTrails"
    )


@pytest.mark.parametrize(
    "target", ["", "DescribeServers", "Other.DescribeServers", "OpsWorksCM_V2016_11_01.Nonsense", "."]
)
def test_other_targets_are_unknown_operations(target: str) -> None:
    """A missing, foreign or unknown target is an UnknownOperationException."""
    with pytest.raises(ApiError) as refused:
        JSON.operation_name(OPSWORKS, head(target), b"")
    assert refused.value.code == "UnknownOperationException"


def test_answers_carry_numbers_for_times_and_no_nulls() -> None:
    """Timestamps are epoch seconds to the millisecond, None is left out, and the headers name request and version."""
    moment = datetime(2019, 9, 23, 11, 6, 24, 842999, tzinfo=timezone(timedelta(hours=2)))
    reply = JSON.serialise(
        operation("CreateServer"), {"Server": {"ServerName": "a", "CreatedAt": moment, "Status": None}}, "id-1"
    )
    assert reply.status == 200
    assert reply.body == b'{"Server":{"ServerName":"a","CreatedAt":1569229584.842}}'
    assert reply.headers == {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": "id-1"}


def test_operations_without_output_answer_nothing() -> None:
    """An operation whose model has no output has an empty body; one with an empty output has an empty object."""
    assert JSON.serialise(operation("DisableKey", "kms"), {}, "id-1").body == b""
    assert JSON.serialise(operation("DeleteServer"), {}, "id-1").body == b"{}"
    with pytest.raises(ValueError, match="answers nothing"):
        JSON.serialise(operation("DisableKey", "kms"), {"KeyId": "k"}, "id-1")


def test_special_floats_are_texts() -> None:
    """What JSON has no number for is spelled out, both ways."""
    metric = {"Values": [float("inf"), float("-inf"), 0.5]}
    reply = JSON.serialise(operation("ListInsightsMetricData", "cloudtrail"), metric, "id-1")
    assert json.loads(reply.body) == {"Values": ["Infinity", "-Infinity", 0.5]}
    body = b'{"Key":{},"TableName":"t"}'
    assert parse("GetItem", body, "dynamodb") == {"Key": {}, "TableName": "t"}


@pytest.mark.parametrize(
    "result",
    [
        {"Nonsense": 1},
        {"Server": {"Servername": "a"}},
        {"Server": {"ServerName": 1}},
        {"Server": {"DisableAutomatedBackup": "true"}},
        {"Server": {"BackupRetentionCount": True}},
        {"Server": {"BackupRetentionCount": 2**40}},
        {"Server": {"CreatedAt": "2019"}},
        {"Server": {"CreatedAt": datetime(2019, 1, 1)}},  # noqa: DTZ001 - a naive time is the mistake under test
        {"Server": {"SubnetIds": "abc"}},
        {"Server": []},
    ],
)
def test_results_that_do_not_fit_the_model_are_our_bug(result: dict[str, Any]) -> None:
    """A misspelt member or a wrong type in a handler's result never leaves."""
    with pytest.raises((ValueError, TypeError)):
        JSON.serialise(operation("CreateServer"), result, "id-1")


@pytest.mark.parametrize(
    ("service", "code", "member"),
    [
        ("opsworkscm", "ResourceNotFoundException", "Message"),
        ("cloudtrail", "TrailNotFoundException", "message"),
        ("opsworkscm", "ThrottlingException", "message"),
    ],
)
def test_errors_name_their_text_as_the_model_does(service: str, code: str, member: str) -> None:
    """The text's member is spelled as in the error's shape, and `message` where there is none."""
    described = CATALOGUE.service(service)
    reply = JSON.serialise_error(described, ApiError(code, "No such thing"), "id-1")
    assert json.loads(reply.body) == {"__type": code, member: "No such thing"}
    assert reply.status == 400
    assert reply.headers["x-amzn-errortype"] == code
    assert reply.headers["x-amzn-requestid"] == "id-1"


def test_errors_carry_what_else_their_shape_has() -> None:
    """Clients read the reason beside the text."""
    error = ApiError("ConstraintViolationException", "Too many", members={"Reason": "OU_DEPTH_LIMIT_EXCEEDED"})
    reply = JSON.serialise_error(CATALOGUE.service("organizations"), error, "id-1")
    assert json.loads(reply.body) == {
        "__type": "ConstraintViolationException",
        "Message": "Too many",
        "Reason": "OU_DEPTH_LIMIT_EXCEEDED",
    }


def test_errors_survive_text_that_no_encoder_takes() -> None:
    """A lone surrogate in a message does not break the error answer."""
    assert b"?" in JSON.serialise_error(OPSWORKS, ApiError("InternalFailure", "\ud800", status=500), "id-1").body
