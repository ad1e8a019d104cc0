"""Whatever botocore sends we read, whatever we answer botocore reads, for every operation of many services."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import protocol_of
from opentrail.errors import ApiError

CATALOGUE = Catalogue()
SERVICES = ("opsworkscm", "cloudtrail", "sts", "kms", "sns", "sqs", "dynamodb", "iam", "organizations")
OPERATIONS = [(name, operation) for name in SERVICES for operation in CATALOGUE.service(name).operation_names]
FEW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), database=None)
DEEPEST = 5

XML_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn"), include_characters="\t\n\r<>&\"'"), max_size=6
)
JSON_TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
MOMENTS = st.integers(0, 4_000_000_000_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "timestamp": MOMENTS,
    "blob": st.binary(max_size=6),
}


@st.composite
def fitting(draw: st.DrawFn, shape: Any, text: st.SearchStrategy[str], depth: int = 0) -> Any:
    """A value of a modelled shape. Maps and structures below the top are not empty: Query cannot say "empty map"."""
    kind = shape.type_name
    if kind == "structure":
        return draw(structures(shape, text, depth))
    flat = shape.serialization.get("flattened")
    if kind == "list":
        items = fitting(shape.member, text, depth + 1)
        return draw(st.lists(items, min_size=1 if flat else 0, max_size=2)) if not too_deep(shape.member, depth) else []
    if kind == "map":
        return draw(st.dictionaries(text, fitting(shape.value, text, depth + 1), min_size=1, max_size=2))
    if kind in SCALARS:
        moment = draw(SCALARS[kind])
        whole = kind == "timestamp" and shape.serialization.get("timestampFormat") == "rfc822"
        return moment.replace(microsecond=0) if whole else moment
    return draw(st.sampled_from(shape.enum) if shape.enum else text)


@st.composite
def structures(draw: st.DrawFn, shape: Any, text: st.SearchStrategy[str], depth: int = 0) -> Any:
    """A structure with some of its members: exactly one for a union, at least one below the top where possible."""
    names = [name for name, member in shape.members.items() if not too_deep(member, depth)]
    most = 1 if shape.is_tagged_union else 4
    least = 1 if depth or shape.is_tagged_union else 0
    chosen = draw(st.lists(st.sampled_from(names), unique=True, min_size=least, max_size=most)) if names else []
    return {name: draw(fitting(shape.members[name], text, depth + 1)) for name in chosen}


def too_deep(shape: Any, depth: int) -> bool:
    """Whether a member nests further than these tests go."""
    return depth >= DEEPEST and shape.type_name in ("structure", "list", "map")


def request_for(service: str, operation: str, parameters: dict[str, Any]) -> tuple[RequestHead, bytes]:
    """The request that botocore makes."""
    model = CATALOGUE.loaded(service).model.operation_model(operation)
    made = create_serializer(CATALOGUE.service(service).protocol, include_validation=False).serialize_to_request(
        parameters, model
    )
    body = made["body"] if isinstance(made["body"], bytes) else urlencode(made["body"], doseq=True).encode()
    headers = {name.lower(): value for name, value in made["headers"].items()}
    return RequestHead("POST", "/", "", headers), body


def parsed_by_botocore(service: str, reply: Reply, shape: Any) -> dict[str, Any]:
    """An answer as botocore understands it."""
    response = {"status_code": reply.status, "headers": HeadersDict(reply.headers), "body": reply.body}
    parsed: dict[str, Any] = create_parser(CATALOGUE.service(service).protocol).parse(response, shape)
    return parsed


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_requests_of_botocore_come_back_equal(service: str, name: str) -> None:
    """Parameters that botocore serialised are read back unchanged, and the operation is recognised."""
    operation = CATALOGUE.service(service).operation(name)
    protocol = protocol_of(operation.service)

    @FEW
    @given(structures(operation.input_shape, JSON_TEXT) if operation.input_shape else st.just({}))
    def holds(parameters: dict[str, Any]) -> None:
        head, body = request_for(service, name, parameters)
        assert protocol.operation_name(operation.service, head, body) == name
        assert protocol.parse(operation, head, body) == parameters

    holds()


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_answers_reach_botocore_equal(service: str, name: str) -> None:
    """A result that we serialised is what botocore hands to its caller, with our request id."""
    operation = CATALOGUE.service(service).operation(name)
    protocol = protocol_of(operation.service)
    text = XML_TEXT if operation.service.protocol == "query" else JSON_TEXT

    @FEW
    @given(structures(operation.output_shape, text) if operation.output_shape else st.just({}))
    def holds(result: dict[str, Any]) -> None:
        reply = protocol.serialise(operation, result, "0a1b2c3d-0000-4000-8000-000000000001")
        parsed = parsed_by_botocore(service, reply, operation.output_shape)
        assert parsed.pop("ResponseMetadata")["RequestId"] == "0a1b2c3d-0000-4000-8000-000000000001"
        assert parsed == result

    holds()


@pytest.mark.parametrize("service", SERVICES)
@settings(max_examples=30, deadline=None)
@given(message=XML_TEXT, status=st.sampled_from([400, 403, 500, 503]), data=st.data())
def test_errors_reach_botocore_with_code_and_message(
    service: str, message: str, status: int, data: st.DataObject
) -> None:
    """Modelled and unmodelled errors arrive with the code that the model gives them, and with our words."""
    loaded = CATALOGUE.loaded(service)
    code = data.draw(st.sampled_from([*loaded.errors, "ThrottlingException", "InternalFailure"]))
    described = CATALOGUE.service(service)
    reply = protocol_of(described).serialise_error(described, ApiError(code, message, status=status), "id-1")
    parsed = parsed_by_botocore(service, reply, None)
    shape = loaded.errors.get(code)
    renamed = shape.metadata.get("error", {}).get("code", code) if shape and described.protocol == "query" else code
    assert parsed["Error"]["Code"] == renamed
    assert (parsed["Error"]["Message"] or "") == message
    assert parsed["ResponseMetadata"]["RequestId"] == "id-1"


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    where=st.sampled_from(OPERATIONS),
    body=st.binary(max_size=80) | JSONISH.map(lambda value: json.dumps(value).encode()),
    query=st.text(st.characters(codec="latin-1"), max_size=20),
    target=st.text(st.characters(codec="latin-1"), max_size=20),
)
def test_arbitrary_bytes_raise_nothing_but_api_errors(
    where: tuple[str, str], body: bytes, query: str, target: str
) -> None:
    """Hostile requests are refused with an ApiError or read; nothing else happens."""
    operation = CATALOGUE.service(where[0]).operation(where[1])
    protocol = protocol_of(operation.service)
    head = RequestHead("POST", "/", query, {"x-amz-target": target})
    for attempt in (
        lambda: protocol.operation_name(operation.service, head, body),
        lambda: protocol.parse(operation, head, body),
    ):
        try:
            attempt()
        except ApiError as error:
            assert 400 <= error.status < 500


@settings(max_examples=300, deadline=None)
@given(where=st.sampled_from(OPERATIONS), data=st.data())
def test_wrong_types_are_refused_without_showing_the_value(where: tuple[str, str], data: st.DataObject) -> None:
    """A member of the wrong type is a refusal of the protocol's own code, and the message does not echo the value."""
    operation = CATALOGUE.service(where[0]).operation(where[1])
    shape: Any = operation.input_shape
    if shape is None or not shape.members:
        return
    name = data.draw(st.sampled_from(list(shape.members)))
    member = shape.members[name]
    wire = member.serialization.get("name", name)
    if operation.service.protocol == "query":
        body = urlencode({wire: "S3cr3tCanary!"}).encode()
        readable = member.type_name == "string" or member.type_name in ("map", "structure")
    else:
        canary: Any = {"S3cr3tCanary!": 1} if member.type_name == "string" else "S3cr3tCanary!"
        body = json.dumps({wire: canary}).encode()
        readable = member.type_name == "structure" and member.is_document_type
    if readable:
        return
    with pytest.raises(ApiError) as refused:
        protocol_of(operation.service).parse(operation, RequestHead("POST", "/", "", {}), body)
    assert refused.value.code in ("SerializationException", "MalformedInput")
    assert "S3cr3tCanary!" not in refused.value.message
