"""REST at its edges: which operation a request means, where its members stand, and what answers look like."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import SERVED
from opentrail.aws.protocols.rest_routes import routes_of
from opentrail.errors import ApiError

CATALOGUE = Catalogue()
JSON, XML = SERVED["rest-json"], SERVED["rest-xml"]


def parse(service: str, name: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> dict[str, Any]:
    """The parameters of a REST-JSON request."""
    operation = CATALOGUE.service(service).operation(name)
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    return JSON.parse(operation, RequestHead(operation.http_method, path, query, named), body)


@pytest.mark.parametrize(
    ("service", "method", "path", "query", "name"),
    [
        ("lambda", "POST", "/2015-03-31/functions", "", "CreateFunction"),
        ("lambda", "GET", "/2015-03-31/functions/", "", "ListFunctions"),
        ("lambda", "GET", "/2015-03-31/functions/f", "", "GetFunction"),
        ("lambda", "GET", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax%2Fy", "", "GetFunction"),
        ("lambda", "GET", "/2015-03-31/%66unctions/f", "", "GetFunction"),
        ("lambda", "GET", "/2015-03-31/functions", "", "ListFunctions"),
        ("lambda", "GET", "/2015-03-31/functions/f/", "", "GetFunction"),
        ("lambda", "GET", "/2015-03-31/functions//", "", None),
        ("lambda", "GET", "/2015-03-31/functions//code", "", None),
        ("lambda", "GET", "/2015-03-31/functions/..", "", None),
        ("lambda", "GET", "/2015-03-31/functions/%2E%2e/policy", "", None),
        ("lambda", "GET", "/2015-03-31/functions/a%2F..%2Fb", "", None),
        ("lambda", "GET", "/2015-03-31/functions/%ff", "", None),
        ("lambda", "get", "/2015-03-31/functions/f", "", None),
        ("lambda", "GET", "/elsewhere", "", None),
        ("lambda", "GET", "", "", None),
        ("apigateway", "POST", "/restapis", "", "CreateRestApi"),
        ("apigateway", "POST", "/restapis", "mode=import", "ImportRestApi"),
        ("apigateway", "POST", "/restapis", "mode=other", "CreateRestApi"),
        ("apigateway", "POST", "/restapis", "mode=import&mode=import", None),
        ("chime", "POST", "/accounts/a/users", "operation=add", "InviteUsers"),
        ("chime", "POST", "/search", "", None),
        ("chime", "POST", "/accounts/a/users", "operation=suspend", "BatchSuspendUser"),
        ("chime", "POST", "/accounts/a/users", "operation=suspend&operation=unsuspend", None),
        ("chime", "POST", "/accounts/a/users/u", "x=1&operation=logout", "LogoutUser"),
        ("s3control", "GET", "/v20180820/mrap/instances/a/b", "", "GetMultiRegionAccessPoint"),
        ("s3control", "GET", "/v20180820/mrap/instances/a/b/policy", "", "GetMultiRegionAccessPointPolicy"),
        ("s3control", "GET", "/v20180820/mrap/instances/policy", "", "GetMultiRegionAccessPoint"),
        ("s3control", "GET", "/v20180820/mrap/instances/", "", "ListMultiRegionAccessPoints"),
        ("mediastore-data", "GET", "/", "", "ListItems"),
        ("mediastore-data", "GET", "/a/b/c", "", "GetObject"),
        ("lex-models", "PUT", "/bots/b/versions/%24LATEST", "", "PutBot"),
        ("backup", "PUT", "/backup-vaults/v/mpaApprovalTeam", "", "AssociateBackupVaultMpaApprovalTeam"),
    ],
)
def test_method_path_and_query_string_name_the_operation(
    service: str, method: str, path: str, query: str, name: str | None
) -> None:
    """The most specific template wins; what would need a guess names nothing."""
    assert routes_of(CATALOGUE.service(service)).find(method, path, query, {}) == name


@pytest.mark.parametrize(
    ("query", "headers", "name"),
    [
        ("", {}, "PutObject"),
        ("", {"x-amz-copy-source": "b/k"}, "CopyObject"),
        ("partNumber=1&uploadId=u", {}, "UploadPart"),
        ("partNumber=1&uploadId=u", {"x-amz-copy-source": "b/k"}, "UploadPartCopy"),
        ("tagging", {}, "PutObjectTagging"),
        ("tagging=", {}, "PutObjectTagging"),
    ],
)
def test_operations_of_one_template_differ_in_what_they_require(query: str, headers: dict[str, str], name: str) -> None:
    """Required headers and query parameters decide where method and path do not."""
    assert routes_of(CATALOGUE.service("s3")).find("PUT", "/bucket/a/key", query, headers) == name


def test_an_unknown_path_is_refused_as_not_found() -> None:
    """No operation, no guess: 404."""
    with pytest.raises(ApiError) as refused:
        JSON.operation_name(CATALOGUE.service("lambda"), RequestHead("GET", "/x", "", {}), b"")
    assert (refused.value.code, refused.value.status) == ("UnknownOperationException", 404)


def test_members_are_read_from_where_they_are_bound() -> None:
    """A label, a query string, headers and a body make one set of parameters, in the model's order."""
    found = parse(
        *("iot-data", "Publish", "/topics/a%2Fb%20c", "retain=true&qos=1"),
        body=b"\x00raw",
        x_amz_mqtt5_user_properties=base64.b64encode(b'[{"k":"v"}]').decode(),
        x_amz_mqtt5_payload_format_indicator="UTF8_DATA",
    )
    assert found == {
        "topic": "a/b c",
        "qos": 1,
        "retain": True,
        "payload": b"\x00raw",
        "userProperties": [{"k": "v"}],
        "payloadFormatIndicator": "UTF8_DATA",
    }
    assert list(found) == [name for name in members_of("iot-data", "Publish") if name in found]


def test_lists_in_query_strings_repeat_and_lists_in_headers_are_separated_by_commas() -> None:
    """Order is kept; a comma within a quoted item separates nothing."""
    found = parse("lambda", "UntagResource", "/2017-03-31/tags/arn", "tagKeys=b&tagKeys=a&tagKeys=")
    assert found == {"Resource": "arn", "TagKeys": ["b", "a", ""]}
    quoted = parse(
        *("polly", "StartSpeechSynthesisStream", "/v1/synthesisStream"),
        x_amzn_lexiconnames='one, "two, \\"2\\"",three',
    )
    assert quoted["LexiconNames"] == ["one", 'two, "2"', "three"]


def test_a_map_of_query_parameters_leaves_out_signatures_and_what_is_bound() -> None:
    """A presigned URL's signature is no parameter of the operation, and neither is the literal that names it."""
    found = parse(
        *("apigateway", "ImportRestApi", "/restapis"),
        "mode=import&failonwarnings=true&endpoint=x&X-Amz-Signature=s&X-Amz-Security-Token=t",
        body=b"{}",
    )
    assert found == {"failOnWarnings": True, "parameters": {"endpoint": "x"}, "body": b"{}"}


@pytest.mark.parametrize("query", ["Qualifier=a&Qualifier=b", "Qualifier=%ff"])
def test_a_query_parameter_that_could_be_read_twice_is_refused(query: str) -> None:
    """What the upstream would make of it is not known, so the record could be wrong."""
    with pytest.raises(ApiError) as refused:
        parse("lambda", "GetFunction", "/2015-03-31/functions/f", query)
    assert refused.value.code == "SerializationException"


def test_a_request_on_another_path_is_refused() -> None:
    """Labels are not invented where the path is not the operation's."""
    with pytest.raises(ApiError, match="The path is not one of GetFunction"):
        parse("lambda", "GetFunction", "/2015-03-31/layers")


def test_streaming_bodies_are_left_out() -> None:
    """A streaming blob is no parameter, whatever stands in the body."""
    operation = CATALOGUE.service("glacier").operation("UploadArchive")
    found = JSON.parse(operation, RequestHead("POST", "/-/vaults/v/archives", "", {}), b"x" * 100)
    assert found == {"vaultName": "v", "accountId": "-"}
    reply = Reply(206, {"content-type": "text/plain"}, b"x" * 100)
    assert JSON.read(CATALOGUE.service("glacier").operation("GetJobOutput"), reply) == {
        "status": 206,
        "contentType": "text/plain",
    }


def test_answers_of_route53_look_like_route53() -> None:
    """Root element, namespaces, lists and the location header, as the service sends them."""
    operation = CATALOGUE.service("route53").operation("CreateHostedZone")
    zone = {"Id": "/hostedzone/Z1", "Name": "a.test.", "CallerReference": "<&>", "Config": {"PrivateZone": False}}
    result = {
        "HostedZone": zone,
        "ChangeInfo": {
            "Id": "/change/C1",
            "Status": "PENDING",
            "SubmittedAt": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        },
        "DelegationSet": {"NameServers": ["ns-1.test", "ns-2.test"]},
        "Location": "https://route53.amazonaws.com/2013-04-01/hostedzone/Z1",
    }
    reply = XML.serialise(operation, result, "id-1")
    assert (reply.status, reply.headers["location"]) == (201, result["Location"])
    assert reply.body.decode().partition("\n")[2] == (
        "<CreateHostedZoneResponse><HostedZone><Id>/hostedzone/Z1</Id><Name>a.test.</Name><CallerReference>&lt;&amp;&gt;"
        "</CallerReference><Config><PrivateZone>false</PrivateZone></Config></HostedZone><ChangeInfo><Id>/change/C1</Id>"
        "<Status>PENDING</Status><SubmittedAt>2026-01-02T03:04:05Z</SubmittedAt></ChangeInfo><DelegationSet><NameServers>"
        "<NameServer>ns-1.test</NameServer><NameServer>ns-2.test</NameServer></NameServers></DelegationSet>"
        "</CreateHostedZoneResponse>"
    )
    assert XML.read(operation, reply) == result


def test_xml_attributes_and_prefixes_survive() -> None:
    """S3's grantee has its type in an attribute with a namespace of its own; both directions keep it."""
    operation = CATALOGUE.service("s3").operation("GetBucketAcl")
    result = {
        "Owner": {"ID": "o"},
        "Grants": [{"Grantee": {"Type": "Group", "URI": 'http://x/"y'}, "Permission": "READ"}],
    }
    reply = XML.serialise(operation, result, "id-1")
    assert b'<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">' in reply.body
    assert XML.read(operation, reply) == result


def test_nothing_is_sent_with_a_status_that_has_no_body() -> None:
    """204 means no body and no content type."""
    operation = CATALOGUE.service("apigatewayv2").operation("DeleteApi")
    assert operation.success_status == 204
    assert JSON.serialise(operation, {}, "id-1") == Reply(204, {"x-amzn-requestid": "id-1"}, b"")


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x", "\u00e4", "\x00"])
def test_no_header_is_smuggled_into_an_answer(value: str) -> None:
    """A value that a header cannot carry is a bug of ours, not another header."""
    operation = CATALOGUE.service("route53").operation("CreateHostedZone")
    with pytest.raises(ValueError, match="Location cannot be sent in a header"):
        XML.serialise(operation, {"Location": value}, "id-1")


def members_of(service: str, name: str) -> list[str]:
    """An operation's input members in the model's order."""
    shape: Any = CATALOGUE.service(service).operation(name).input_shape
    return list(shape.members)
