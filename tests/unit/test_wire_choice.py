"""Which protocol a request speaks, and in which one it is refused."""

import json
from typing import Any

import pytest

from opentrail.aws.http import RequestHead
from opentrail.aws.model import Catalogue, Service
from opentrail.aws.protocols import SERVED, protocol_of, refusal, speaking
from opentrail.aws.service_table import ServiceEntry
from opentrail.errors import ApiError
from tests.support.botocore_wire import error_to_botocore, request_of_botocore

CATALOGUE = Catalogue()
DENIED = ApiError("AccessDenied", "No <entry> & \u00fc", status=403)
ONE_OF_EACH = {
    "json": ("dynamodb", "ListTables"),
    "query": ("sts", "GetCallerIdentity"),
    "ec2": ("ec2", "DescribeVpcs"),
    "rest-json": ("lambda", "ListFunctions"),
    "rest-xml": ("route53", "ListHostedZones"),
    "smithy-rpc-v2-cbor": ("health", "DescribeEvents"),
}


def request(service: str, operation: str, protocol: str) -> RequestHead:
    """The head of botocore's request."""
    return request_of_botocore(CATALOGUE.loaded(service).model.operation_model(operation), protocol, {})[0]


@pytest.mark.parametrize("protocol", ["smithy-rpc-v2-cbor", "json", "query"])
def test_cloudwatch_is_heard_in_the_protocol_of_each_sdk(protocol: str) -> None:
    """The same operation is recognised in CBOR, JSON and Query, whichever the SDK's age prefers."""
    service = CATALOGUE.service("cloudwatch")
    model = CATALOGUE.loaded("cloudwatch").model.operation_model("ListMetrics")
    head, body = request_of_botocore(model, protocol, {"Namespace": "a/b", "Dimensions": [{"Name": "n"}]})
    spoken = speaking(service, head)
    assert spoken is SERVED[protocol]
    assert spoken.operation_name(service, head, body) == "ListMetrics"
    assert spoken.parse(service.operation("ListMetrics"), head, body) == {
        "Namespace": "a/b",
        "Dimensions": [{"Name": "n"}],
    }


def test_a_request_that_says_nothing_gets_the_models_first_choice() -> None:
    """Neither headers nor query string decide, so the service's own order does."""
    head = RequestHead("POST", "/", "", {})
    for name in ("cloudwatch", "lambda", "sqs", "s3control"):
        service = CATALOGUE.service(name)
        assert speaking(service, head) is protocol_of(service) is SERVED[service.protocol]


def test_a_request_cannot_choose_a_protocol_that_its_service_lacks() -> None:
    """Markers of another protocol change nothing."""
    marked = {
        "smithy-protocol": "rpc-v2-cbor",
        "x-amz-target": "x.y",
        "content-type": "application/x-www-form-urlencoded",
    }
    assert speaking(CATALOGUE.service("lambda"), RequestHead("POST", "/", "Action=x", marked)) is SERVED["rest-json"]
    assert (
        speaking(CATALOGUE.service("health"), RequestHead("GET", "/", "Action=x", {})) is SERVED["smithy-rpc-v2-cbor"]
    )


@pytest.mark.parametrize("protocol", ONE_OF_EACH)
def test_refusals_reach_clients_of_every_protocol(protocol: str) -> None:
    """Botocore raises code, message and request id of a refusal in the protocol that the request spoke."""
    name, operation = ONE_OF_EACH[protocol]
    reply = refusal(DENIED, "id-1", CATALOGUE.service(name), request(name, operation, protocol))
    assert reply.status == 403
    parsed = error_to_botocore(protocol, reply)
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == (DENIED.code, DENIED.message)
    assert parsed["ResponseMetadata"]["RequestId"] == "id-1"


@pytest.mark.parametrize("protocol", ["smithy-rpc-v2-cbor", "json", "query"])
def test_a_service_of_several_protocols_refuses_in_the_one_that_is_spoken(protocol: str) -> None:
    """An old SDK's call to CloudWatch is refused in Query, a new one's in CBOR."""
    reply = refusal(DENIED, "id-1", CATALOGUE.service("cloudwatch"), request("cloudwatch", "ListMetrics", protocol))
    assert error_to_botocore(protocol, reply)["Error"]["Code"] == DENIED.code


@pytest.mark.parametrize("protocol", ["rest-json", "json", "query", "smithy-rpc-v2-cbor"])
def test_refusals_without_a_service_go_by_the_head(protocol: str) -> None:
    """Where no service was found, the request's own marks decide."""
    name, operation = ONE_OF_EACH[protocol]
    reply = refusal(DENIED, "id-1", None, request(name, operation, protocol))
    assert error_to_botocore(protocol, reply)["Error"]["Code"] == DENIED.code


def test_ec2_errors_look_like_ec2() -> None:
    """EC2 has its own form, to the byte."""
    reply = SERVED["ec2"].serialise_error(
        CATALOGUE.service("ec2"), ApiError("UnauthorizedOperation", "No", status=403), "i"
    )
    assert reply.body == (
        b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>No</Message></Error></Errors>"
        b"<RequestID>i</RequestID></Response>"
    )


def test_rest_errors_have_their_modelled_status() -> None:
    """What handlers raise as 400 by default is sent with the status that the model knows."""
    error = ApiError("ResourceNotFoundException", "No function")
    reply = SERVED["rest-json"].serialise_error(CATALOGUE.service("lambda"), error, "id-1")
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (404, "ResourceNotFoundException")
    assert reply.headers["content-type"] == "application/json"
    body: Any = json.loads(reply.body)
    assert body["Message"] == "No function"
    zone = ApiError("NoSuchHostedZone", "No zone")
    assert SERVED["rest-xml"].serialise_error(CATALOGUE.service("route53"), zone, "id-1").status == 404


def test_a_protocol_of_the_future_is_refused_and_still_answered() -> None:
    """A model that speaks something else is no reason to fail: the refusal is in JSON, which most clients read."""
    entry = ServiceEntry.from_metadata(
        "new", {"endpointPrefix": "new", "protocol": "morse", "apiVersion": "2030-01-01", "serviceId": "New"}
    )
    service = Service(CATALOGUE, entry)
    with pytest.raises(ApiError) as refused:
        protocol_of(service)
    assert refused.value.code == "UnknownOperationException"
    assert json.loads(refusal(DENIED, "id-1", service).body)["__type"] == DENIED.code
