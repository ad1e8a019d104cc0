"""The catalogue: finding services by what requests carry, and reading their models on demand."""

import json
import threading
from pathlib import Path

import pytest

from opentrail.aws.model import MODELS_KEPT, Catalogue, UnknownOperationError, UnknownServiceError
from opentrail.errors import ApiError

CATALOGUE = Catalogue()


@pytest.mark.parametrize(
    ("carries", "name"),
    [
        ({"target": "OpsWorksCM_V2016_11_01.DescribeServers"}, "opsworkscm"),
        ({"target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListTrails"}, "cloudtrail"),
        ({"target": "CloudTrail_20131101.ListTrails"}, "cloudtrail"),
        ({"target": "CloudTrail_20131101.ListTrails", "signing_name": "sts"}, "cloudtrail"),
        ({"target": "Nonsense.ListTrails", "signing_name": "cloudtrail"}, "cloudtrail"),
        ({"target": "nonsense", "signing_name": "sts"}, "sts"),
        (
            {"target": "Timestream_20181101.Query", "host": "query.timestream.us-east-1.amazonaws.com"},
            "timestream-query",
        ),
        ({"target": "Timestream_20181101.Query", "host": "ingest.timestream.us-east-1.x.org"}, "timestream-write"),
        ({"signing_name": "opsworks-cm"}, "opsworkscm"),
        ({"signing_name": "sts", "host": "127.0.0.1:4566"}, "sts"),
        ({"signing_name": "dynamodb"}, "dynamodb"),
        ({"signing_name": "dynamodb", "host": "streams.dynamodb.us-east-1.amazonaws.com"}, "dynamodbstreams"),
        ({"signing_name": "s3", "host": "s3-control.us-east-1.amazonaws.com:443"}, "s3control"),
        ({"signing_name": "s3", "host": "bucket.localhost"}, "s3"),
        ({"signing_name": "rds"}, "rds"),
        ({"signing_name": "ses"}, "ses"),
        ({"host": "sts.amazonaws.com"}, "sts"),
        ({"host": "kms-fips.us-gov-west-1.amazonaws.com"}, "kms"),
        ({"host": "logs.s3.amazonaws.com"}, None),
        ({"host": "logs.example.org"}, None),
        ({"signing_name": "nonsense", "host": "localhost"}, None),
        ({}, None),
    ],
)
def test_requests_find_their_service(carries: dict[str, str], name: str | None) -> None:
    """The target wins over the signing name, and the host only breaks ties or names a host of AWS's."""
    found = CATALOGUE.find(**carries)
    assert (found.name if found else None) == name


def test_a_service_describes_itself() -> None:
    """The attributes of opsworks-cm are those of its fact sheet."""
    service = CATALOGUE.service("opsworkscm")
    assert (service.signing_name, service.endpoint_prefix, service.protocol) == ("opsworks-cm", "opsworks-cm", "json")
    assert (service.json_version, service.target_prefix) == ("1.1", "OpsWorksCM_V2016_11_01")
    assert (service.api_version, service.service_id) == ("2016-11-01", "OpsWorksCM")
    assert service.xml_namespace is None
    assert len(service.operation_names) == 19


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("opsworkscm", "opsworks-cm.amazonaws.com"),
        ("cloudwatch", "monitoring.amazonaws.com"),
        ("rds-data", "rdsdata.amazonaws.com"),
        ("dynamodbstreams", "dynamodb.amazonaws.com"),
        ("s3", "s3.amazonaws.com"),
    ],
)
def test_event_sources(name: str, source: str) -> None:
    """The name in event records is the signing name's, with its exceptions."""
    assert CATALOGUE.service(name).event_source == source


def test_operations_have_their_shapes() -> None:
    """An operation knows its service, HTTP binding and shapes, and is the same object each time."""
    service = CATALOGUE.service("opsworkscm")
    operation = service.operation("CreateServer")
    assert operation is service.operation("CreateServer")
    assert operation.service is service
    assert (operation.http_method, operation.http_uri) == ("POST", "/")
    assert operation.input_shape is not None
    assert "ServerName" in operation.input_shape.members
    assert operation.output_shape is not None


def test_unknown_names_are_modelled_errors() -> None:
    """An unknown operation is the caller's error, an unknown service is not."""
    with pytest.raises(UnknownOperationError) as refused:
        CATALOGUE.service("sts").operation("Nonsense")
    assert isinstance(refused.value, ApiError)
    assert (refused.value.code, refused.value.status) == ("UnknownOperationException", 400)
    with pytest.raises(UnknownServiceError):
        CATALOGUE.service("nonsense")


def test_error_shapes_are_found_by_name_and_by_code() -> None:
    """SNS's NotFoundException goes by NotFound on the wire; both find the shape."""
    service = CATALOGUE.service("sns")
    assert service.error_shape("NotFoundException") is service.error_shape("NotFound") is not None
    assert service.error_shape("Nonsense") is None


def test_only_recent_models_stay_in_memory() -> None:
    """Reading more models than are kept forgets the oldest, and it can be read again."""
    catalogue = Catalogue()
    small = [n for n in catalogue.names if n.startswith(("s", "t")) and n not in ("ssm", "sagemaker", "sesv2", "s3")]
    for name in small[: MODELS_KEPT + 3]:
        assert catalogue.service(name).operation_names
    assert len(catalogue._loaded) == MODELS_KEPT
    assert small[0] not in catalogue._loaded
    assert catalogue.service(small[0]).operation_names


def test_threads_share_one_model() -> None:
    """Threads that ask at the same moment get the same operation object."""
    catalogue = Catalogue()
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(catalogue.service("sts").operation("GetCallerIdentity")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_further_folders_add_services(tmp_path: Path) -> None:
    """A model of our own in botocore's layout is found like any other, and wins over botocore's of the same name."""
    metadata = {
        "apiVersion": "2026-11-23",
        "endpointPrefix": "opentrail",
        "jsonVersion": "1.1",
        "protocol": "json",
        "serviceFullName": "Example",
        "serviceId": "Example",
        "signatureVersion": "v4",
        "targetPrefix": "Example_20261123",
        "uid": "example-2026-11-23",
    }
    model = {"version": "2.0", "metadata": metadata, "operations": {"Ping": {"name": "Ping", "http": {}}}, "shapes": {}}
    for name in ("example", "sts"):
        folder = tmp_path / name / "2026-11-23"
        folder.mkdir(parents=True)
        (folder / "service-2.json").write_text(json.dumps(model))
    catalogue = Catalogue([tmp_path])
    found = catalogue.find(target="Example_20261123.Ping")
    assert found is not None
    assert found.name == "example"
    assert found.event_source == "opentrail.amazonaws.com"
    assert found.operation("Ping").input_shape is None
    assert catalogue.service("sts").operation_names == ("Ping",)


@pytest.mark.parametrize(
    ("service", "operation", "facts"),
    [
        ("lambda", "Invoke", set()),
        ("lambda", "InvokeWithResponseStream", {"event_stream_out"}),
        ("polly", "SynthesizeSpeech", {"streams_out"}),
        ("ebs", "PutSnapshotBlock", {"streams_in", "unsigned_payload_allowed"}),
        ("lexv2-runtime", "StartConversation", {"event_stream_in", "event_stream_out"}),
        ("kinesis", "SubscribeToShard", {"event_stream_out"}),
        ("sqs", "SendMessage", set()),
        ("apigateway", "ImportRestApi", set()),
    ],
)
def test_operations_say_what_their_bodies_are(service: str, operation: str, facts: set[str]) -> None:
    """Streams of bytes and of events, and bodies that no signature need cover, are known per operation."""
    described = CATALOGUE.service(service).operation(operation)
    names = ("streams_in", "streams_out", "event_stream_in", "event_stream_out", "unsigned_payload_allowed")
    assert {name for name in names if getattr(described, name)} == facts


def test_operations_say_what_the_model_says_of_them() -> None:
    """The read-only trait is given, missing, and never made up; a successful answer's status is the model's."""
    assert CATALOGUE.service("account").operation("GetAccountInformation").readonly_trait is True
    assert CATALOGUE.service("sqs").operation("ListQueues").readonly_trait is None
    assert CATALOGUE.service("lambda").operation("CreateFunction").success_status == 201
    assert CATALOGUE.service("lambda").operation("DeleteAlias").success_status == 204
    assert CATALOGUE.service("sqs").operation("SendMessage").success_status == 200
