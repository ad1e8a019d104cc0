"""AWS Query at its edges: forms in, XML out."""

from typing import Any
from urllib.parse import urlencode

import pytest

from opentrail.aws.http import RequestHead
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import protocol_of
from opentrail.errors import ApiError

CATALOGUE = Catalogue()
STS = CATALOGUE.service("sts")
QUERY = protocol_of(STS)
HEAD = RequestHead("POST", "/", "", {})


def parse(operation: str, fields: dict[str, str], service: str = "sts") -> dict[str, Any]:
    """The parameters in a form."""
    return QUERY.parse(CATALOGUE.service(service).operation(operation), HEAD, urlencode(fields).encode())


def test_get_caller_identity_looks_like_aws() -> None:
    """The best known answer of the protocol, to the byte."""
    result = {"UserId": "AIDA", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/a&b"}
    reply = QUERY.serialise(STS.operation("GetCallerIdentity"), result, "id-1")
    assert reply.body.decode() == (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<UserId>AIDA</UserId><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/a&amp;b</Arn>"
        "</GetCallerIdentityResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    assert reply.headers == {"content-type": "text/xml", "x-amzn-requestid": "id-1"}


def test_errors_look_like_aws() -> None:
    """An error has type, code, message and request id; the model's code and status are used."""
    reply = QUERY.serialise_error(CATALOGUE.service("sns"), ApiError("NotFoundException", "No <topic>"), "id-1")
    assert reply.status == 404
    assert reply.body.decode() == (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>NotFound</Code>'
        "<Message>No &lt;topic&gt;</Message></Error><RequestId>id-1</RequestId></ErrorResponse>"
    )
    failure = QUERY.serialise_error(STS, ApiError("InternalFailure", "x", status=500), "id-1")
    assert failure.status == 500
    assert b"<Type>Receiver</Type>" in failure.body


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("", b"", "MissingAction"),
        ("", b"Action=&Version=2011-06-15", "MissingAction"),
        ("", b"Action=Nonsense&Version=2011-06-15", "InvalidAction"),
        ("", b"Action=GetCallerIdentity&Version=2001-01-01", "InvalidAction"),
        ("", b"Action=GetCallerIdentity", "InvalidAction"),
        ("", b"Action=%3Cb%3E&Version=2011-06-15", "InvalidAction"),
        ("", b"Action=\xff", "MalformedInput"),
        ("", b"Action=%ff", "MalformedInput"),
        ("", b"&".join(b"a%d=1" % n for n in range(10_001)), "MalformedInput"),
    ],
)
def test_bad_actions(query: str, body: bytes, code: str) -> None:
    """Each way of not naming an operation has its code."""
    with pytest.raises(ApiError) as refused:
        QUERY.operation_name(STS, RequestHead("POST", "/", query, {}), body)
    assert refused.value.code == code


def test_operations_may_come_in_the_query_string() -> None:
    """GET requests (presigned GetCallerIdentity) carry everything in the URL."""
    head = RequestHead("GET", "/", "Action=AssumeRole&Version=2011-06-15&RoleArn=a%2Fb&X-Amz-Signature=0", {})
    assert QUERY.operation_name(STS, head, b"") == "AssumeRole"
    assert QUERY.parse(STS.operation("AssumeRole"), head, b"") == {"RoleArn": "a/b"}


def test_lists_are_ordered_by_number() -> None:
    """The tenth item comes after the second, gaps are closed, and what is no number is ignored."""
    fields = {f"TransitiveTagKeys.member.{n}": str(n) for n in (10, 2, 1)} | {"TransitiveTagKeys.member.x": "0"}
    assert parse("AssumeRole", fields) == {"TransitiveTagKeys": ["1", "2", "10"]}


def test_nested_structures_and_maps() -> None:
    """Lists of structures and maps with their own entry names are read by the model."""
    assert parse("AssumeRole", {"Tags.member.1.Key": "k", "Tags.member.1.Value": "v", "Novel.a.b": "1"}) == {
        "Tags": [{"Key": "k", "Value": "v"}]
    }
    attributes = {
        "TopicArn": "t",
        "MessageAttributes.entry.1.Name": "n",
        "MessageAttributes.entry.1.Value.DataType": "Binary",
        "MessageAttributes.entry.1.Value.BinaryValue": "AAE=",
    }
    assert parse("Publish", attributes, "sns") == {
        "TopicArn": "t",
        "MessageAttributes": {"n": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}},
    }


@pytest.mark.parametrize(
    ("operation", "fields", "service"),
    [
        ("AssumeRole", {"DurationSeconds": "x"}, "sts"),
        ("AssumeRole", {"DurationSeconds": "٣"}, "sts"),
        ("AssumeRole", {"DurationSeconds": "99999999999"}, "sts"),
        ("AssumeRole", {"DurationSeconds.1": "1"}, "sts"),
        ("AssumeRole", {"Tags": "x"}, "sts"),
        ("Publish", {"MessageAttributes.entry.1.Name": "n"}, "sns"),
        ("Publish", {"MessageAttributes.entry.1.Name": "n", "MessageAttributes.entry.1.Value.BinaryValue": "!"}, "sns"),
        ("AssumeRole", {"a" + ".b" * 300: "x"}, "sts"),
        ("UpdateAccountPasswordPolicy", {"RequireSymbols": "yes"}, "iam"),
    ],
)
def test_malformed_values(operation: str, fields: dict[str, str], service: str) -> None:
    """Values that are not of the modelled type are MalformedInput."""
    with pytest.raises(ApiError) as refused:
        parse(operation, fields, service)
    assert (refused.value.code, refused.value.status) == ("MalformedInput", 400)


def test_results_that_do_not_fit_the_model_are_our_bug() -> None:
    """A misspelt member or a wrong type never leaves, nor a result where the model has none."""
    for result in ({"Nonsense": "1"}, {"Account": 1}):
        with pytest.raises((ValueError, TypeError)):
            QUERY.serialise(STS.operation("GetCallerIdentity"), result, "id-1")
    with pytest.raises(ValueError, match="answers nothing"):
        QUERY.serialise(CATALOGUE.service("sns").operation("DeleteTopic"), {"A": "1"}, "id-1")


def test_answers_are_well_formed_whatever_they_hold() -> None:
    """Characters that XML cannot carry are replaced, carriage returns survive."""
    reply = QUERY.serialise(STS.operation("GetCallerIdentity"), {"Arn": "a\x00\r\ufffe\ud800\n"}, "id-1")
    assert "<Arn>a\ufffd&#xD;\ufffd\ufffd\n</Arn>".encode() in reply.body
