"""Bytes from anywhere, in every protocol: read, or refused in the one way that is promised, and never shown."""

from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Catalogue, Operation
from opentrail.aws.protocols import SERVED, cbor, speaking
from opentrail.aws.protocols.rest_routes import routes_of, template_of
from opentrail.aws.protocols.scalars import UnreadableReplyError
from opentrail.errors import ApiError
from tests.support.botocore_wire import request_of_botocore
from tests.support.wire_values import Values

CATALOGUE = Catalogue()
OPERATIONS = {
    "json": [("dynamodb", "PutItem"), ("kinesis", "SubscribeToShard")],
    "query": [("rds", "CreateDBInstance"), ("iam", "ListRoles")],
    "ec2": [("ec2", "RunInstances"), ("ec2", "DescribeVpcs")],
    "rest-json": [("lambda", "CreateFunction"), ("iot-data", "Publish"), ("dataexchange", "SendApiAsset")],
    "rest-xml": [("cloudfront", "CreateDistribution"), ("route53", "ListHostedZones"), ("s3control", "TagResource")],
    "smithy-rpc-v2-cbor": [("cloudwatch", "PutMetricData"), ("health", "DescribeEvents")],
}
CASES = [(protocol, service, name) for protocol, pairs in OPERATIONS.items() for service, name in pairs]
ROUTED = [CATALOGUE.service(name) for name in ("lambda", "s3control", "chime", "workspaces-web", "apigateway", "s3")]

LATIN = st.text(st.characters(codec="latin-1"), max_size=12)
HEADER_NAMES = (
    *("content-type", "content-encoding", "x-amzn-errortype", "x-amzn-query-error", "x-amz-account-id", "date"),
    *("x-amzn-iot-mqtt5-user-properties", "x-amz-mqtt5-user-properties", "x-amz-target", "etag"),
)
HEADERS = st.dictionaries(
    st.sampled_from(HEADER_NAMES), LATIN | st.sampled_from(["gzip", "application/json", ";", "a#b:c"]), max_size=3
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=6), below, max_size=3),
    max_leaves=6,
)
BODIES = (
    st.binary(max_size=60)
    | TREES.map(lambda tree: orjson.dumps(tree))
    | TREES.map(cbor.encode)
    | st.text("<>/aE &;!?[]-rok=\"'", max_size=30).map(lambda text: f"<R>{text}</R>".encode())
)


def operation_of(service: str, name: str) -> Operation:
    """An operation by its names."""
    return CATALOGUE.service(service).operation(name)


@pytest.mark.parametrize(("protocol", "service", "name"), CASES)
def test_arbitrary_requests_raise_nothing_but_api_errors(protocol: str, service: str, name: str) -> None:
    """Any head and body is read, or refused as the caller's fault."""
    operation, wire = operation_of(service, name), SERVED[protocol]

    @settings(max_examples=40, deadline=None, database=None)
    @given(path=LATIN, query=LATIN, headers=HEADERS, body=BODIES, method=st.sampled_from(["GET", "POST", "PUT", "x"]))
    def holds(path: str, query: str, headers: dict[str, str], body: bytes, method: str) -> None:
        for head in (
            RequestHead(method, path, query, headers),
            RequestHead(method, own_path(operation), query, headers),
        ):
            for attempt in (wire.operation_name, lambda _, *given: wire.parse(operation, *given)):
                try:
                    attempt(operation.service, head, body)
                except ApiError as error:
                    assert 400 <= error.status < 500

    holds()


@pytest.mark.parametrize(("protocol", "service", "name"), CASES)
def test_damaged_requests_raise_nothing_but_api_errors(protocol: str, service: str, name: str) -> None:
    """A real request with some bytes changed or cut is read, or refused."""
    operation, wire = operation_of(service, name), SERVED[protocol]
    parameters = Values("damaged", protocol, answers=False).top(operation.input_shape, everything=True)
    head, body = request_of_botocore(CATALOGUE.loaded(service).model.operation_model(name), protocol, parameters)

    @settings(max_examples=40, deadline=None, database=None)
    @given(damage=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4), cut=st.integers(0))
    def holds(damage: list[tuple[int, int]], cut: int) -> None:
        changed = bytearray(body)
        for place, byte in damage if body else ():
            changed[place % len(body)] = byte
        try:
            wire.parse(operation, head, bytes(changed[: cut % (2 * len(body) + 1)]))
        except ApiError as error:
            assert error.status == 400

    holds()


@pytest.mark.parametrize(("protocol", "service", "name"), CASES)
def test_arbitrary_answers_raise_nothing_but_what_is_promised(protocol: str, service: str, name: str) -> None:
    """An upstream's answer is read or is an UnreadableReplyError; an error of its always has a code."""
    operation, wire = operation_of(service, name), SERVED[protocol]
    members = set(operation.output_shape.members) if operation.output_shape else set()

    @settings(max_examples=60, deadline=None, database=None)
    @given(status=st.integers(200, 599), headers=HEADERS, body=BODIES)
    def holds(status: int, headers: dict[str, str], body: bytes) -> None:
        reply = Reply(status, headers, body)
        try:
            assert set(wire.read(operation, reply)) <= members
        except UnreadableReplyError as problem:
            assert not problem.retryable
        told = wire.read_error(operation.service, reply)
        assert told.code
        assert told.code.isascii()
        assert len(told.code) <= 200
        told.message.encode()

    holds()


@settings(max_examples=400, deadline=None)
@given(
    service=st.sampled_from(ROUTED),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.lists(
        st.sampled_from(
            ["", ".", "..", "%2e%2E", "%2F..", "functions", "tags", "accounts", "v20180820", "%ff", "a%2Fb"]
        )
        | st.text(max_size=4).map(quote),
        max_size=7,
    ).map(lambda segments: "/" + "/".join(segments)),
    query=st.sampled_from(["", "operation=add", "operation=add&operation=create", "mode=import", "delete", "%ff"]),
)
def test_routing_never_fails_and_never_guesses(service: Any, method: str, path: str, query: str) -> None:
    """Whatever operation a path is taken for, its template is the path's own, and no label climbs."""
    found = routes_of(service).find(method, path, query, {})
    if found is None:
        return
    operation = service.operation(found)
    assert operation.http_method == method
    labels = template_of(operation.http_uri).labels(path)
    assert labels is not None
    assert all(text and {".", ".."}.isdisjoint(text.split("/")) for text in labels.values())


@settings(max_examples=300, deadline=None)
@given(tree=TREES)
def test_cbor_reads_what_it_wrote(tree: Any) -> None:
    """Every tree of CBOR's types survives, to the bit."""
    written = cbor.encode(tree)
    assert cbor.encode(cbor.decode(written)) == written


CANARY = "S3cr3tCanary!"


@pytest.mark.parametrize(
    ("service", "name", "head", "body"),
    [
        ("lambda", "ListFunctions", RequestHead("GET", "/2015-03-31/functions", f"MaxItems={CANARY}", {}), b""),
        (
            *("lambda", "ListFunctions"),
            *(RequestHead("GET", "/2015-03-31/functions", f"MaxItems=1&MaxItems={CANARY}", {}), b""),
        ),
        ("lambda", "GetLayerVersion", RequestHead("GET", f"/2018-10-31/layers/l/versions/{CANARY}", "", {}), b""),
        ("lambda", "GetLayerVersion", RequestHead("GET", f"/{CANARY}", "", {}), b""),
        (
            *("lambda", "CreateFunction", RequestHead("POST", "/2015-03-31/functions", "", {})),
            orjson.dumps({"MemorySize": CANARY}),
        ),
        (
            *("iot-data", "Publish"),
            *(RequestHead("POST", "/topics/t", "", {"x-amz-mqtt5-user-properties": CANARY}), b""),
        ),
        (
            *("cloudfront", "CreateDistribution", RequestHead("POST", "/2020-05-31/distribution", "", {})),
            f"<D><Enabled>{CANARY}</Enabled></D>".encode(),
        ),
        ("cloudfront", "CreateDistribution", RequestHead("POST", "/2020-05-31/distribution", "", {}), CANARY.encode()),
        ("health", "DescribeEvents", RequestHead("POST", "/", "", {}), cbor.encode({"maxResults": CANARY})),
        ("ec2", "RunInstances", RequestHead("POST", "/", "", {}), urlencode({"MaxCount": CANARY}).encode()),
    ],
)
def test_refusals_do_not_show_what_they_refuse(service: str, name: str, head: RequestHead, body: bytes) -> None:
    """A value of the wrong type, wherever it stands, is in no message."""
    with pytest.raises(ApiError) as refused:
        speaking(CATALOGUE.service(service), head).parse(operation_of(service, name), head, body)
    assert refused.value.code in ("SerializationException", "MalformedInput")
    assert CANARY not in refused.value.message


def own_path(operation: Operation) -> str:
    """A path that the operation's template takes."""
    return operation.http_uri.partition("?")[0].replace("{", "").replace("+", "").replace("}", "")
