"""Dozens of services through one endpoint: boto3 asks, an upstream answers by the model, and every call has its record.

What judges: botocore makes the requests and reads the answers. What boto3 sent must arrive byte for byte, what the
upstream answered must come back equal, and the delivered log files must hold one record for each call, with the
parameters that were given.
"""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from opentrail.aws.model import Catalogue, Operation
from opentrail.errors import ApiError
from opentrail.events.call_facts import describe
from opentrail.events.classify import records_response
from opentrail.events.data_events import DATA_EVENTS
from opentrail.events.elements import request_elements, response_elements
from opentrail.events.encoding import encode
from opentrail.events.resource_arns import Place
from tests.support.gateway import Gateway, delivered, make_trail, running
from tests.support.model_upstream import Arrived, ModelUpstream, running_model_upstream
from tests.support.wire_values import Values

BUCKET = "aws-cloudtrail-logs-123456789012-0000ffff"
SERVICES = (
    *(
        "acm",
        "apigateway",
        "apigatewayv2",
        "appsync",
        "athena",
        "autoscaling",
        "backup",
        "batch",
        "ce",
        "cloudformation",
    ),
    *(
        "cloudfront",
        "cloudwatch",
        "codebuild",
        "codecommit",
        "cognito-idp",
        "config",
        "dms",
        "dynamodb",
        "ec2",
    ),
    *("ecr", "ecs", "efs", "eks", "elasticache", "elb", "elbv2", "emr", "events", "firehose", "glue", "iot", "kafka"),
    *("kinesis", "lambda", "logs", "opensearch", "rds", "redshift", "route53", "secretsmanager", "ses", "sesv2"),
    *("sns", "sqs", "ssm", "stepfunctions", "transfer", "wafv2"),
)
OPERATIONS_EACH = 5

EVERYTHING = [
    {"Name": "management", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
    *(
        {
            "Name": kind,
            "FieldSelectors": [
                {"Field": "eventCategory", "Equals": ["Data"]},
                {"Field": "resources.type", "Equals": [kind]},
            ],
        }
        for kind in sorted({data.type for data in DATA_EVENTS.values()})
    ),
]

Asked = tuple[Operation, dict[str, Any], dict[str, Any]]
"""An operation, what it was asked with, and what was answered."""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """All models."""
    return Catalogue()


@pytest.fixture(scope="module")
def upstream(catalogue: Catalogue) -> Iterator[ModelUpstream]:
    """A server that plays every service."""
    with running_model_upstream(catalogue) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: ModelUpstream) -> Iterator[Gateway]:
    """A gateway in front of it, with a trail that takes everything that trails can take."""
    settings = {
        "OPENTRAIL_UPSTREAM_DEFAULT_ENDPOINT": upstream.endpoint,
        "OPENTRAIL_UPSTREAM_DEFAULT_CREDENTIALS": "account",
        "OPENTRAIL_UPSTREAM_DEFAULT_SERVICES": "*, sns",  # which OpenTrail would serve itself
    }
    home: Path = tmp_path_factory.mktemp("services") / "home"
    with running(home, settings) as started:
        make_trail(started, BUCKET)
        started.client("cloudtrail").put_event_selectors(TrailName="main", AdvancedEventSelectors=EVERYTHING)
        yield started


def chosen(catalogue: Catalogue, name: str) -> list[Operation]:
    """A few operations of a service, reads and changes, always the same; those that boto3 can call over HTTP/1."""
    service = catalogue.service(name)
    operations = [service.operation(each) for each in service.operation_names]
    fit = [each for each in operations if not (each.event_stream_in or each.event_stream_out or each.streams_in)]
    step = max(1, len(fit) // OPERATIONS_EACH)
    return fit[::step][:OPERATIONS_EACH]


def client_of(gateway: Gateway, service: str) -> Any:
    """A client without boto3's own checks of values, since these were made from the shapes."""
    config = Config(parameter_validation=False, inject_host_prefix=False, endpoint_discovery_enabled=False)
    return gateway.client(service, config=config)


def test_every_call_to_every_service_passes_and_is_recorded(
    gateway: Gateway, upstream: ModelUpstream, catalogue: Catalogue
) -> None:
    """At least 40 services and 200 operations: requests and answers pass unchanged, records are delivered."""
    expected: dict[str, Asked] = {}
    for name in SERVICES:
        client = client_of(gateway, name)
        sent: list[AWSPreparedRequest] = []
        client.meta.events.register("before-send", lambda request, sent=sent, **_: sent.append(request))
        for operation in chosen(catalogue, name):
            protocol = operation.service.protocol
            parameters = Values(f"in/{name}/{operation.name}", protocol, answers=False).top(operation.input_shape)
            result = Values(f"out/{name}/{operation.name}", protocol, answers=True).top(operation.output_shape)
            upstream.results[name, operation.name] = result
            answer = client._make_api_call(operation.name, parameters)
            _assert_arrived_as_sent(upstream.arrived[-1], sent[-1])
            metadata = answer.pop("ResponseMetadata")
            expected[metadata["RequestId"]] = (operation, parameters, result)
            _assert_same_answer(operation, answer, result)
    assert len({operation.service.name for operation, _, _ in expected.values()}) >= 40
    assert len(expected) >= 200
    _assert_recorded(gateway, expected)


def _assert_arrived_as_sent(arrived: Arrived, sent: AWSPreparedRequest) -> None:
    """Path and body byte for byte; the query with the same parameters; no credentials of the caller's."""
    url = urlsplit(sent.url)
    body = sent.body.read() if hasattr(sent.body, "read") else sent.body or b""
    assert arrived.body == (body.encode() if isinstance(body, str) else bytes(body))
    assert arrived.head.path == (url.path or "/")
    assert parse_qsl(arrived.head.query, keep_blank_values=True) == parse_qsl(url.query, keep_blank_values=True)
    authorization = arrived.head.headers["authorization"]
    assert authorization != str(sent.headers["Authorization"], "latin-1")
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=123456789012/")


def _assert_same_answer(operation: Operation, answer: dict[str, Any], result: dict[str, Any]) -> None:
    for name, value in result.items():
        found = answer.get(name)
        found = found.read() if isinstance(found, StreamingBody) else found
        assert found == value or not (found or value), (operation.service.name, operation.name, name)


def _assert_recorded(gateway: Gateway, expected: dict[str, Asked]) -> None:
    """Each call has one record, of the right form, which names it by the request id that the caller got."""
    s3 = gateway.client("s3")
    deadline = time.monotonic() + 60
    found: dict[str, list[dict[str, Any]]] = {}
    while found.keys() != expected.keys() and time.monotonic() < deadline:
        time.sleep(1)
        found = {}
        for record in delivered(s3, BUCKET):
            if record["requestID"] in expected:
                found.setdefault(record["requestID"], []).append(record)
    missing = [expected[each][0].name for each in expected.keys() - found.keys()]
    assert not missing
    for request_id, (operation, parameters, result) in expected.items():
        (record,) = found[request_id]
        _assert_form(operation, parameters, result, record)


def _assert_form(
    operation: Operation, parameters: dict[str, Any], result: dict[str, Any], record: dict[str, Any]
) -> None:
    facts = describe(operation, parameters, Place("123456789012", "us-east-1"))
    assert "errorCode" not in record, (operation.name, record["errorMessage"])
    assert record["eventSource"] == operation.service.event_source
    assert record["eventName"] == facts.event_name
    assert record["readOnly"] == facts.read_only
    assert record["managementEvent"] == facts.management_event
    assert record["userIdentity"]["type"] == "Root"
    assert record["requestParameters"] == _as_json(request_elements(operation, parameters)), operation.name
    if not records_response(operation.service.event_source, facts.event_name, read_only=facts.read_only):
        assert record["responseElements"] is None, operation.name
    elif operation.service.protocol != "ec2":  # EC2's begin with the upstream's request id
        expected = _as_json(response_elements(operation, result))
        assert record["responseElements"] == expected, (operation.name, record.get("additionalEventData"))


def _as_json(elements: dict[str, Any]) -> Any:
    return json.loads(encode(elements)) or None


@pytest.mark.parametrize(
    ("service", "operation", "code", "recorded"),
    [
        ("dynamodb", "PutItem", "ConditionalCheckFailedException", None),
        ("sqs", "SendMessage", "AWS.SimpleQueueService.NonExistentQueue", None),
        ("ec2", "RunInstances", "InvalidAMIID.NotFound", "Client.InvalidAMIID.NotFound"),
        ("lambda", "CreateFunction", "ResourceConflictException", None),
        ("route53", "CreateHostedZone", "HostedZoneAlreadyExists", None),
        ("rds", "CreateDBInstance", "DBInstanceAlreadyExists", None),
        ("cloudwatch", "PutMetricAlarm", "LimitExceeded", None),
    ],
)
def test_errors_of_an_upstream_reach_the_caller_and_the_record(
    gateway: Gateway,
    upstream: ModelUpstream,
    catalogue: Catalogue,
    service: str,
    operation: str,
    code: str,
    recorded: str,
) -> None:
    """Code and message, in every protocol; what the record says of it is CloudTrail's word."""
    asked = catalogue.service(service).operation(operation)
    message = f"refused {uuid.uuid4()}"
    upstream.results[service, operation] = ApiError(code, message)
    parameters = Values(f"error/{operation}", asked.service.protocol, answers=False).top(asked.input_shape)
    with pytest.raises(ClientError) as caught:
        client_of(gateway, service)._make_api_call(operation, parameters)
    assert caught.value.response["Error"]["Message"] == message
    assert caught.value.response["Error"]["Code"] in {code, code.rpartition(".")[2]} or service == "sqs"
    (record,) = _records_with(gateway, message)
    assert record["errorCode"] == (recorded or code)
    assert record["responseElements"] is None


def _records_with(gateway: Gateway, message: str) -> list[dict[str, Any]]:
    s3, deadline = gateway.client("s3"), time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [record for record in delivered(s3, BUCKET) if record.get("errorMessage") == message]
        if found:
            return found
        time.sleep(0.5)
    return []
