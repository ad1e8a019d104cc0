"""What is said of a call beyond its parameters: category, resources, and the ARNs that they are known by."""

from typing import Any

import pytest

from opentrail.aws.model import Catalogue
from opentrail.events.call_facts import additional_event_data, describe, named_arns
from opentrail.events.classify import records_response
from opentrail.events.resource_arns import Place

CATALOGUE = Catalogue()
ACCOUNT, OTHER, REGION = "123456789012", "210987654321", "eu-west-1"
PLACE = Place(ACCOUNT, REGION)
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"


def resources(service: str, name: str, parameters: dict[str, Any]) -> list[tuple[str, ...]]:
    """The values of the resources of a call, which are accountId, type and ARN, as far as they are there."""
    facts = describe(CATALOGUE.service(service).operation(name), parameters, PLACE)
    for resource in facts.resources:
        assert list(resource) == [key for key in ("accountId", "type", "ARN") if key in resource]
    return [tuple(resource.values()) for resource in facts.resources]


@pytest.mark.parametrize(
    ("service", "name", "reads", "management"),
    [
        ("sqs", "SendMessage", False, False),
        ("sqs", "ReceiveMessage", False, False),
        ("sqs", "CreateQueue", False, True),
        ("sns", "Publish", False, False),
        ("sns", "CreateTopic", False, True),
        ("dynamodb", "PutItem", False, False),
        ("dynamodb", "Query", True, False),
        ("dynamodb", "ExecuteStatement", False, False),
        ("dynamodb", "CreateTable", False, True),
        ("dynamodbstreams", "GetRecords", True, False),
        ("dynamodbstreams", "ListStreams", True, True),
        ("lambda", "Invoke", False, False),
        ("lambda", "CreateFunction", False, True),
        ("kinesis", "PutRecords", False, False),
        ("cognito-identity", "GetId", False, False),
        ("ebs", "PutSnapshotBlock", False, False),
        ("ebs", "StartSnapshot", False, True),
        # Management, although they touch data.
        ("kms", "Decrypt", True, True),
        ("ssm", "GetParameter", True, True),
        ("secretsmanager", "GetSecretValue", True, True),
        ("rds-data", "ExecuteStatement", False, True),
        ("bedrock-runtime", "InvokeModel", True, True),
    ],
)
def test_data_events_are_those_that_aws_documents(service: str, name: str, *, reads: bool, management: bool) -> None:
    """Item, message, record and invocation calls are data events; everything else is a management event."""
    facts = describe(CATALOGUE.service(service).operation(name), {}, PLACE)
    assert (facts.read_only, facts.management_event) == (reads, management)


@pytest.mark.parametrize(
    ("service", "name", "parameters", "expected"),
    [
        (
            "sqs",
            "SendMessage",
            {"QueueUrl": f"http://127.0.0.1:4566/{OTHER}/jobs.fifo"},
            [(OTHER, "AWS::SQS::Queue", f"arn:aws:sqs:{REGION}:{OTHER}:jobs.fifo")],
        ),
        (
            "sns",
            "Publish",
            {"TopicArn": f"arn:aws:sns:us-east-1:{OTHER}:t"},
            [(OTHER, "AWS::SNS::Topic", f"arn:aws:sns:us-east-1:{OTHER}:t")],
        ),
        (
            "sns",
            "Publish",
            {"TargetArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:endpoint/APNS/app/1"},
            [(ACCOUNT, "AWS::SNS::PlatformEndpoint", f"arn:aws:sns:{REGION}:{ACCOUNT}:endpoint/APNS/app/1")],
        ),
        # A data event always has its type, so that a selector can choose it.
        ("sns", "Publish", {"PhoneNumber": "+1"}, [(ACCOUNT, "AWS::SNS::Topic")]),
        ("kinesis", "GetRecords", {"ShardIterator": "AAAA"}, [(ACCOUNT, "AWS::Kinesis::Stream")]),
        (
            "kinesis",
            "PutRecord",
            {"StreamName": "s"},
            [(ACCOUNT, "AWS::Kinesis::Stream", f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s")],
        ),
        ("dynamodb", "GetItem", {"TableName": "T"}, [(ACCOUNT, "AWS::DynamoDB::Table", f"{TABLE}T")]),
        ("dynamodb", "Query", {"TableName": "T", "IndexName": "i"}, [(ACCOUNT, "AWS::DynamoDB::Table", f"{TABLE}T")]),
        ("dynamodb", "UpdateTable", {"TableName": "T"}, [(ACCOUNT, "AWS::DynamoDB::Table", f"{TABLE}T")]),
        (
            "dynamodb",
            "BatchWriteItem",
            {"RequestItems": {"A": [], "B": [], f"{TABLE}A": []}},
            [(ACCOUNT, "AWS::DynamoDB::Table", f"{TABLE}{name}") for name in "AB"],
        ),
        (
            "dynamodb",
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"Put": {"TableName": "A"}},
                    {"ConditionCheck": {"TableName": f"arn:aws:dynamodb:{REGION}:{OTHER}:table/B"}},
                ]
            },
            [
                (ACCOUNT, "AWS::DynamoDB::Table", f"{TABLE}A"),
                (OTHER, "AWS::DynamoDB::Table", f"arn:aws:dynamodb:{REGION}:{OTHER}:table/B"),
            ],
        ),
        (
            "dynamodb",
            "BatchExecuteStatement",
            {"Statements": [{"Statement": 'UPDATE "Music" SET a=1'}, {"Statement": "INSERT INTO Art VALUE {}"}]},
            [(ACCOUNT, "AWS::DynamoDB::Table", f"{TABLE}Music"), (ACCOUNT, "AWS::DynamoDB::Table", f"{TABLE}Art")],
        ),
        (
            "dynamodbstreams",
            "GetRecords",
            {"ShardIterator": f"{TABLE}Music/stream/2021-04-15T04:02:47.428|1|AAAA"},
            [
                (ACCOUNT, "AWS::DynamoDB::Stream", f"{TABLE}Music/stream/2021-04-15T04:02:47.428"),
                (ACCOUNT, "AWS::DynamoDB::Table", f"{TABLE}Music"),
            ],
        ),
        # SSM's entries have no type (cloudtrail fact sheet 1.5, and a public record of GetParameters).
        (
            "ssm",
            "GetParameters",
            {"Names": ["/credentials/c-1", "plain:3"]},
            [
                (ACCOUNT, f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/credentials/c-1"),
                (ACCOUNT, f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/plain"),
            ],
        ),
        ("ssm", "GetDocument", {"Name": "d"}, []),
        (
            "kms",
            "CreateAlias",
            {"AliasName": "alias/a", "TargetKeyId": "1234"},
            [
                (ACCOUNT, "AWS::KMS::Alias", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/a"),
                (ACCOUNT, "AWS::KMS::Key", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"),
            ],
        ),
        # Services whose management records have no resources.
        ("sqs", "DeleteQueue", {"QueueUrl": f"http://h/{ACCOUNT}/q"}, []),
        ("lambda", "DeleteFunction", {"FunctionName": "f"}, []),
        ("ec2", "StopInstances", {"InstanceIds": ["i-1"]}, []),
    ],
)
def test_resources_are_listed_as_their_service_lists_them(
    service: str, name: str, parameters: dict[str, Any], expected: list[tuple[str, ...]]
) -> None:
    """accountId, type and ARN, in that order; each resource once; the owner's account where an ARN names it."""
    assert resources(service, name, parameters) == expected


FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"


@pytest.mark.parametrize(
    ("parameters", "arn"),
    [
        ({"FunctionName": "f"}, FUNCTION),
        ({"FunctionName": "f:live"}, f"{FUNCTION}:live"),
        ({"FunctionName": "f", "Qualifier": "7"}, f"{FUNCTION}:7"),
        ({"FunctionName": FUNCTION}, FUNCTION),
        ({"FunctionName": f"{FUNCTION}:live"}, f"{FUNCTION}:live"),
        ({"FunctionName": f"{ACCOUNT}:function:f"}, FUNCTION),
        ({"FunctionName": f"{OTHER}:function:f:1"}, f"arn:aws:lambda:{REGION}:{OTHER}:function:f:1"),
        ({"FunctionName": "function:f"}, FUNCTION),
    ],
)
def test_functions_are_known_by_every_form_of_their_name(parameters: dict[str, Any], arn: str) -> None:
    """Names, partial ARNs and ARNs, with a qualifier or without; records leave the qualifier out."""
    operation = CATALOGUE.service("lambda").operation("Invoke")
    assert named_arns(operation, parameters, PLACE) == [arn]
    (resource,) = describe(operation, parameters, PLACE).resources
    assert resource["ARN"] == ":".join(arn.split(":")[:7])


def test_an_invocation_names_the_version_that_ran() -> None:
    """additionalEventData.functionVersion, as in the public record; other services say nothing."""
    invoke = CATALOGUE.service("lambda").operation("Invoke")
    said = additional_event_data(invoke, {"FunctionName": "f:live"}, {"ExecutedVersion": "23"}, PLACE)
    assert said == {"functionVersion": f"{FUNCTION}:23"}
    assert additional_event_data(invoke, {"FunctionName": "f"}, {}, PLACE) == {}
    send = CATALOGUE.service("sqs").operation("SendMessage")
    assert additional_event_data(send, {}, {"ExecutedVersion": "23"}, PLACE) == {}


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ('SELECT * FROM "Music"."index" WHERE a = 1', ["Music"]),
        ('update"T" SET a=1', ["T"]),
        ("INSERT INTO T VALUE {'a': 'greetings from bob'}", ["T"]),
        ("SELECT * FROM a WHERE EXISTS(SELECT * FROM b WHERE x='it''s from c')", ["a", "b"]),
        # Nothing hides a table: what could be one counts as one, and what cannot be read is about any.
        ('SELECT "from allowed" FROM "secret"', ["allowed", "secret"]),
        ("""SELECT "a'" FROM "secret" WHERE "b'" = 1 AND "from allowed" = 2""", ["secret", "allowed"]),
        ("SELECT * FROM/**/secret", ["*"]),
        ("SELECT * /* ' */ FROM secret /* ' */", ["*"]),
        ("SELECT * FROM --'\n secret --'", ["*"]),
        ("nonsense", ["*"]),
    ],
)
def test_a_statement_is_about_every_table_it_could_mean(statement: str, tables: list[str]) -> None:
    """Permissions are asked for on the tables found, so none may be hidden by quotes or comments."""
    operation = CATALOGUE.service("dynamodb").operation("ExecuteStatement")
    assert named_arns(operation, {"Statement": statement}, PLACE) == [f"{TABLE}{name}" for name in tables]


def test_responses_that_are_data_are_not_recorded() -> None:
    """Items and payloads stay out of records although their calls are writes."""
    assert not records_response("dynamodb.amazonaws.com", "UpdateItem", read_only=False)
    assert not records_response("lambda.amazonaws.com", "Invoke", read_only=False)
    assert records_response("dynamodb.amazonaws.com", "CreateTable", read_only=False)
    assert records_response("sns.amazonaws.com", "Publish", read_only=False)
