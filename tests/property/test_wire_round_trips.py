"""Every operation that botocore knows, in every protocol that its service lists: requests, answers and errors.

Requests are botocore's own; answers are judged by botocore's parsers and by our own reading. A sample runs always, all
of it in the soak. What is left out stands in the tables below, each line with its reason.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from opentrail.aws.http import RequestHead
from opentrail.aws.model import Catalogue, Operation
from opentrail.aws.protocols import SERVED, speaking
from opentrail.errors import ApiError
from tests.support.botocore_wire import answer_to_botocore, error_to_botocore, request_of_botocore
from tests.support.wire_values import Values

CATALOGUE = Catalogue()

NOT_HERE: Mapping[str, str] = MappingProxyType(
    {
        "s3": "has its own code at the S3 door: several of its operations share method, path and query string",
    }
)
NOT_COMPARED: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {
        ("dataexchange", "SendApiAsset", "ResponseHeaders"): (
            "takes every header of the answer, also those that no result had"
        ),
    }
)
BOTOCORES_OWN: Mapping[str, str] = MappingProxyType(
    {
        "content-type": "is application/json where the body is JSON and the caller gave no other",
    }
)
TRICKIEST = (
    *("amp", "apigateway", "appconfig", "bedrock-agentcore", "bedrock-runtime", "chime", "chime-sdk-messaging"),
    *("clouddirectory", "cloudfront", "cloudsearchdomain", "cloudwatch", "codeartifact", "connecthealth"),
    *("dataexchange", "dynamodb", "ebs", "ec2", "entityresolution", "geo-maps", "glacier", "groundstation", "health"),
    *("importexport", "iot", "iot-data", "kinesis", "lambda", "lex-runtime", "mediastore-data", "opensearch", "polly"),
    *("rds", "route53", "route53globalresolver", "s3control", "sdb", "securityhub", "sqs", "workspaces-web"),
)
SAMPLE = sorted({*TRICKIEST, *CATALOGUE.names[::12]} - NOT_HERE.keys())
OPERATIONS_SAMPLED = 12


@pytest.fixture(scope="module", params=SAMPLE)
def name(request: pytest.FixtureRequest) -> str:
    """A service of the sample; all that is asked of it is asked before its model leaves memory."""
    service: str = request.param
    return service


def test_the_sample_is_large_and_has_every_protocol() -> None:
    """What runs always is at least 60 services and 600 operations."""
    assert len(SAMPLE) >= 60
    assert sum(len(sampled(name)) for name in SAMPLE) >= 600
    assert {protocol for name in SAMPLE for protocol in CATALOGUE.service(name).protocols} == set(SERVED)


def test_what_botocore_sends_is_read_back_equal(name: str) -> None:
    """Requests name their operation and carry their parameters, whatever characters stand in them."""
    for operation, protocol in spoken(name, sampled(name)):
        request_round_trip(operation, protocol, "sample")


def test_what_we_answer_is_read_back_equal(name: str) -> None:
    """A result reaches botocore's callers as it was, and our own reading of another server's answer too."""
    for operation, protocol in spoken(name, sampled(name)):
        answer_round_trip(operation, protocol, "sample")


def test_errors_are_read_back_equal(name: str) -> None:
    """Modelled and unmodelled errors keep code and message in every protocol of a service."""
    error_round_trips(name)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_operation_of_every_model_is_read_back_equal() -> None:
    """All of it, three times with other values: requests, answers, errors."""
    count = 0
    for name in sorted(set(CATALOGUE.names) - NOT_HERE.keys()):
        error_round_trips(name)
        for operation, protocol in spoken(name, CATALOGUE.service(name).operation_names):
            for seed in ("first", "second", "third"):
                request_round_trip(operation, protocol, seed)
                answer_round_trip(operation, protocol, seed)
            count += 1
    print(f"{count} operations in their protocols, three times")
    assert count > 21_000


def sampled(name: str) -> tuple[str, ...]:
    """Some operations of a service, spread over the model."""
    names = CATALOGUE.service(name).operation_names
    return names[:: max(1, len(names) // OPERATIONS_SAMPLED)]


def spoken(name: str, operations: tuple[str, ...]) -> Iterator[tuple[Operation, str]]:
    """Each operation with each protocol of its service."""
    service = CATALOGUE.service(name)
    for operation in operations:
        for protocol in service.protocols:
            yield service.operation(operation), protocol


def request_round_trip(operation: Operation, protocol: str, seed: str) -> None:
    """Parameters, through botocore's request, and back."""
    values = Values(f"{seed} {protocol} {operation.service.name} {operation.name}", protocol, answers=False)
    parameters = values.top(operation.input_shape)
    head, body = request_of_botocore(model_of(operation), protocol, parameters)
    wire = speaking(operation.service, head)
    assert wire is SERVED[protocol], operation
    assert wire.operation_name(operation.service, head, body) == operation.name
    sent = {**botocores_own(operation, head), **parameters}
    assert wire.parse(operation, head, body) == without_stream(operation.input_shape, sent), operation


def answer_round_trip(operation: Operation, protocol: str, seed: str) -> None:
    """A result, through our answer, and back: by botocore (which cannot be asked about event streams), and by us."""
    values = Values(f"{seed} answer {protocol} {operation.service.name} {operation.name}", protocol, answers=True)
    result = values.top(operation.output_shape)
    if operation.event_stream_out:
        result = {name: value for name, value in result.items() if location(operation.output_shape, name) == "header"}
    reply = SERVED[protocol].serialise(operation, result, "id-1")
    expected = compared(operation, with_status(operation, result))
    assert compared(operation, SERVED[protocol].read(operation, reply)) == without_stream(
        operation.output_shape, expected
    ), operation
    if not operation.event_stream_out:
        parsed = answer_to_botocore(operation, model_of(operation), protocol, reply)
        parsed.pop("ResponseMetadata", None)
        assert compared(operation, parsed) == expected, operation


def error_round_trips(name: str) -> None:
    """Errors, through our answer, to botocore and to ourselves."""
    service = CATALOGUE.service(name)
    errors = CATALOGUE.loaded(name).errors
    for protocol in service.protocols:
        for code in (*list(errors)[:8], "ThrottlingException"):
            error = ApiError(code, "No <entry> of \u00fc & \u20ac")
            reply = SERVED[protocol].serialise_error(service, error, "id-1")
            xml = protocol in ("query", "ec2", "rest-xml")
            sent = errors[code].metadata.get("error", {}).get("code", code) if xml and code in errors else code
            parsed = error_to_botocore(protocol, reply)["Error"]
            assert (parsed["Code"], parsed["Message"]) == (sent, error.message), (name, protocol)
            told = SERVED[protocol].read_error(service, reply)
            assert (told.code, told.message) == (sent, error.message), (name, protocol)


def botocores_own(operation: Operation, head: RequestHead) -> dict[str, str]:
    """Members that no caller gave, because botocore sets the header that they are bound to."""
    shape: Any = operation.input_shape
    named = (
        {name: member.serialization.get("name", name).lower() for name, member in shape.members.items()}
        if shape
        else {}
    )
    return {
        name: head.headers[header]
        for name, header in named.items()
        if location(shape, name) == "header" and header in BOTOCORES_OWN and header in head.headers
    }


def model_of(operation: Operation) -> Any:
    """Botocore's own view of an operation."""
    return CATALOGUE.loaded(operation.service.name).model.operation_model(operation.name)


def location(shape: Any, name: str) -> Any:
    """Where a member is bound to; None for the body."""
    return shape.members[name].serialization.get("location")


def without_stream(shape: Any, members: Mapping[str, Any]) -> dict[str, Any]:
    """What is read of a request or answer: everything but the streaming blob."""
    return {name: value for name, value in members.items() if not shape.members[name].serialization.get("streaming")}


def with_status(operation: Operation, result: Mapping[str, Any]) -> dict[str, Any]:
    """A result with the members that every answer has: those bound to its status."""
    shape: Any = operation.output_shape
    names = [name for name in shape.members if location(shape, name) == "statusCode"] if shape is not None else []
    return {**dict.fromkeys(names, operation.success_status), **result}


def compared(operation: Operation, members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that can be compared, and none that is empty because no header has its prefix."""
    service = operation.service.name
    return {
        name: value
        for name, value in members.items()
        if (service, operation.name, name) not in NOT_COMPARED
        and not (value == {} and location(operation.output_shape, name) == "headers")
    }
