"""Bodies built to harm, and how far they get: compressed, nested, endless, or with entities."""

import gzip

import pytest

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Catalogue, Operation
from opentrail.aws.protocols import SERVED, cbor
from opentrail.aws.protocols.scalars import BODY_BYTES_MAX, Unreadable, UnreadableReplyError
from opentrail.aws.protocols.xml_documents import ELEMENTS_MAX, read_document
from opentrail.errors import ApiError

CATALOGUE = Catalogue()
ZIPPED = {"content-encoding": "gzip"}
BOMB = gzip.compress(b" " * (4 * BODY_BYTES_MAX), 1)


def operation(service: str, name: str) -> Operation:
    """An operation by its names."""
    return CATALOGUE.service(service).operation(name)


ONE_OF_EACH = [
    ("json", operation("dynamodb", "PutItem")),
    ("query", operation("iam", "ListRoles")),
    ("ec2", operation("ec2", "DescribeVpcs")),
    ("rest-json", operation("lambda", "CreateFunction")),
    ("rest-xml", operation("cloudfront", "CreateDistribution")),
    ("smithy-rpc-v2-cbor", operation("cloudwatch", "PutMetricAlarm")),
]


def head(described: Operation, **headers: str) -> RequestHead:
    """A request's head with the operation's own path."""
    return RequestHead(
        described.http_method, described.http_uri, "", {k.replace("_", "-"): v for k, v in headers.items()}
    )


@pytest.mark.parametrize(("protocol", "described"), ONE_OF_EACH)
def test_a_small_body_that_unpacks_to_a_large_one_is_refused(protocol: str, described: Operation) -> None:
    """Unpacking stops at the size that no modelled body has, in requests and answers."""
    assert len(BOMB) < BODY_BYTES_MAX / 50
    with pytest.raises(ApiError, match="larger than"):
        SERVED[protocol].parse(described, head(described, content_encoding="gzip"), BOMB)
    if described.output_shape is not None and protocol != "smithy-rpc-v2-cbor":
        with pytest.raises(UnreadableReplyError, match="larger than"):
            SERVED[protocol].read(described, Reply(200, ZIPPED, BOMB))
    assert SERVED[protocol].read_error(described.service, Reply(503, ZIPPED, BOMB)).code == "ServiceUnavailable"


@pytest.mark.parametrize(("protocol", "described"), ONE_OF_EACH)
@pytest.mark.parametrize("body", [b"plain", gzip.compress(b"{}", mtime=0)[:-9], gzip.compress(b"{}", mtime=0) * 2])
def test_a_body_that_is_not_one_gzip_stream_is_refused(protocol: str, described: Operation, body: bytes) -> None:
    """Not gzip, cut off, or followed by more: none of it is read half."""
    with pytest.raises(ApiError, match="gzip"):
        SERVED[protocol].parse(described, head(described, content_encoding="gzip"), body)


def test_compressed_bodies_are_read() -> None:
    """Botocore compresses large PutMetricData calls, in whatever protocol it speaks."""
    for protocol, body in (("smithy-rpc-v2-cbor", cbor.encode({"Namespace": "a"})), ("json", b'{"Namespace":"a"}')):
        request = RequestHead("POST", "/", "", ZIPPED)
        parsed = SERVED[protocol].parse(operation("cloudwatch", "PutMetricData"), request, gzip.compress(body))
        assert parsed == {"Namespace": "a"}
    form = gzip.compress(b"Action=PutMetricData&Version=2010-08-01&Namespace=a")
    query = SERVED["query"]
    assert query.operation_name(CATALOGUE.service("cloudwatch"), request, form) == "PutMetricData"
    assert query.parse(operation("cloudwatch", "PutMetricData"), request, form) == {"Namespace": "a"}


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" * 101 + b"</a>" * 101,
        b"<a>" * 5_000_000,
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><R>&a;</R>',
        b"<R>&undefined;</R>",
        b"\xff\xfe<\x00R\x00/\x00>\x00",
        b"",
    ],
)
def test_documents_built_to_harm_are_refused(body: bytes) -> None:
    """Depth, entities and other encodings end in a refusal."""
    for protocol, described in ONE_OF_EACH[1:3]:
        with pytest.raises(UnreadableReplyError):
            SERVED[protocol].read(described, Reply(200, {}, body))
        assert SERVED[protocol].read_error(described.service, Reply(400, {}, body)).code == "BadRequest"


def test_the_parts_of_a_forms_names_are_counted() -> None:
    """Few fields with long names would make a tree much larger than the form."""
    form = b"&".join(b"%d" % n + b".a" * 150 + b"=" for n in range(2_000))
    with pytest.raises(ApiError, match="parts together"):
        SERVED["query"].parse(operation("iam", "ListRoles"), RequestHead("POST", "/", "", {}), form)


def test_the_elements_of_a_document_are_counted() -> None:
    """A few megabytes of empty elements would be hundreds of megabytes in memory."""
    assert len(read_document(b"<r>" + b"<a/>" * 1000 + b"</r>", depth_max=2)) == 1000
    with pytest.raises(ValueError, match="too many elements"):
        read_document(b"<r>" + b"<a/>" * ELEMENTS_MAX + b"</r>", depth_max=2)


@pytest.mark.parametrize(
    "body",
    [
        b"\x81" * 1000 + b"\x00",
        b"\x9f" + b"\x00" * 1_000_000 + b"\xff",
        b"\x9f" * 1000,
        b"\xc1" * 1000 + b"\x00",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x61a\x00",
        b"\xa0\x00",
        b"\xff",
        b"\xa1\x00\x00",
        b"\xc2\x41\x00",
        b"\xc1\x61a",
        b"\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",
        b"\xc1\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5f\x61a\xff",
        b"\x5f\x5f\xff\xff",
        b"\x61\xff",
        b"\xf8\x20",
        b"\x1c",
        b"",
    ],
)
def test_bad_cbor_is_refused(body: bytes) -> None:
    """Depth, lengths without bytes, foreign tags, wrong keys, chunks and endings: each is unreadable."""
    with pytest.raises(Unreadable):
        cbor.decode(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\xf9\x3e\x00", 1.5),
        (b"\xfa\x3f\xc0\x00\x00", 1.5),
        (b"\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5),
        (b"\xf9\x7c\x00", float("inf")),
        (b"\x7f\x61a\x62bc\xff", "abc"),
        (b"\x5f\x41a\x40\xff", b"a"),
        (b"\xbf\x61a\x9f\x01\x20\xff\xff", {"a": [1, -1]}),
        (b"\xf7", None),
        (b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", -(2**64)),
    ],
)
def test_all_of_cbor_that_rpc_v2_uses_is_read(body: bytes, value: object) -> None:
    """Floats of three widths, indefinite lengths, undefined, and the widest numbers."""
    assert cbor.decode(body) == value
