"""The redaction file's own form, and how secrets look in records."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from opentrail.aws.model import Catalogue
from opentrail.errors import ConfigError
from opentrail.events.call import Call, Outcome
from opentrail.events.record import build
from opentrail.events.redaction import HIDDEN, Part, read_redactions
from opentrail.identity.principal import Principal, PrincipalType

AT = datetime(2026, 11, 23, tzinfo=UTC)
CATALOGUE = Catalogue()


def test_lines_are_read_with_what_they_mean() -> None:
    """Words stand for their way of hiding, texts for themselves; what no line names is hidden by the default text."""
    found = read_redactions(
        """
        ["a.amazonaws.com"]
        "*" = ["dropped", "s"]
        "In.Secret" = ["hidden", "s"]
        "In.Map" = ["values", "s"]
        "In.Item" = ["keys", "s"]
        "In.Data" = ["<sensitiveDataRemoved>", "s"]
        ["b.amazonaws.com"]
        "In.Gone" = ["dropped", "s"]
        """
    )
    one, other = found["a.amazonaws.com"], found["b.amazonaws.com"]
    assert (one.marked, other.marked) == (None, HIDDEN)
    assert one.members == {
        ("In", "Secret"): HIDDEN,
        ("In", "Map"): Part.VALUES,
        ("In", "Item"): Part.KEYS,
        ("In", "Data"): "<sensitiveDataRemoved>",
    }
    assert other.hides("In", "Gone")
    assert other.shown_for("In", "Gone") is None
    assert other.shown_for("In", "Marked") == HIDDEN


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('["a.amazonaws.com"]\n"A.B" = ["hiden", "s"]', "'hiden'"),
        ('["a.amazonaws.com"]\n"A.B" = ["hidden"]', "the source"),
        ('["a.amazonaws.com"]\n"A.B" = ["hidden", " "]', "the source"),
        ('["a.amazonaws.com"]\n"A.B" = "hidden"', "the source"),
        ('["a.amazonaws.com"]\n"AB" = ["hidden", "s"]', "Shape.Member"),
        ('["a.amazonaws.com"]\n"*" = ["values", "s"]', "not shown in part"),
        ('["a.amazonaws.com"]\n"A.B" = ["hidden", "s"]\n"A.B" = ["dropped", "s"]', "overwrite"),
        ('["iam"]\n"A.B" = ["hidden", "s"]', '"iam"'),
        ('"a.amazonaws.com" = 1', "no table"),
        ("[", "redaction"),
    ],
)
def test_a_mistake_in_the_file_is_told(text: str, complaint: str) -> None:
    """Unknown words, lines without a source, names of nothing and lines that stand there twice are refused."""
    with pytest.raises(ConfigError) as caught:
        read_redactions(text)
    assert complaint in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    """Whoever edits the file sees every problem."""
    with pytest.raises(ConfigError) as caught:
        read_redactions('["a.amazonaws.com"]\n"A.B" = ["no", "s"]\n"C" = ["hidden", "s"]\n["x"]\n')
    assert len(caught.value.problems) == 3


def shown(
    service: str, operation: str, parameters: dict[str, Any], response: dict[str, Any] | None = None
) -> tuple[Any, Any]:
    """requestParameters and responseElements of a call that changed something."""
    modelled = CATALOGUE.service(service).operation(operation)
    call = Call(
        request_id="r",
        received_at=AT,
        account_id="123456789012",
        region="us-east-1",
        principal=Principal(PrincipalType.ROOT, "123456789012"),
        event_source=modelled.service.event_source,
        event_name=operation,
        read_only=False,
        operation=modelled,
        parameters=parameters,
    )
    outcome = Outcome(completed_at=AT, response=response)
    found = orjson.loads(build(call, outcome, event_id="e", recipient_account_id="123456789012"))
    return found["requestParameters"], found["responseElements"]


SECRET = "d0 not show"
FORMS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    # Expected as in the samples that the lines of redaction.toml name.
    (
        "dynamodb",
        "PutItem",
        {"TableName": "Music", "Item": {"Artist": {"S": SECRET}, "SongTitle": {"S": SECRET}}},
        {"tableName": "Music", "item": ["Artist", "SongTitle"]},
    ),
    (
        "dynamodb",
        "UpdateItem",
        {"TableName": "Music", "UpdateExpression": "SET #Y = :y", "ExpressionAttributeValues": {":y": {"S": SECRET}}},
        {"tableName": "Music", "updateExpression": "SET #Y = :y"},
    ),
    (
        "cloudformation",
        "CreateStack",
        {"StackName": "s", "Parameters": [{"ParameterKey": "password", "ParameterValue": SECRET}]},
        {"stackName": "s", "parameters": [{"parameterKey": "password"}]},
    ),
    (
        "ses",
        "SendEmail",
        {
            "Source": "sender@example.com",
            "Destination": {"ToAddresses": [SECRET, SECRET]},
            "Message": {"Subject": {"Charset": "UTF-8", "Data": SECRET}},
        },
        {
            "source": "sender@example.com",
            "destination": {"toAddresses": [HIDDEN, HIDDEN]},
            "message": {"subject": {"charset": "UTF-8", "data": HIDDEN}},
        },
    ),
    (
        "lambda",
        "CreateFunction",
        {"FunctionName": "f", "Environment": {"Variables": {"PASSWORD": SECRET}}, "Code": {"ZipFile": SECRET.encode()}},
        {"functionName": "f", "environment": {}, "code": {}},
    ),
    (
        "codebuild",
        "CreateProject",
        {"name": "p", "environment": {"environmentVariables": [{"name": "TOKEN", "value": SECRET}]}},
        {"name": "p", "environment": {"environmentVariables": [{"name": "TOKEN", "value": HIDDEN}]}},
    ),
    (
        "glue",
        "CreateConnection",
        {"ConnectionInput": {"Name": "c", "ConnectionProperties": {"USERNAME": SECRET, "PASSWORD": SECRET}}},
        {"connectionInput": {"name": "c", "connectionProperties": {"USERNAME": HIDDEN, "PASSWORD": HIDDEN}}},
    ),
    ("ec2", "RunInstances", {"UserData": SECRET}, {"userData": "<sensitiveDataRemoved>"}),
    ("redshift-data", "ExecuteStatement", {"Sql": SECRET}, {"sql": "***OMITTED***"}),
    ("rds-data", "ExecuteStatement", {"sql": SECRET, "schema": SECRET}, {"sql": "**********", "schema": "**********"}),
    (
        "ssm",
        "PutParameter",
        {"Name": "n", "Type": "String", "Value": SECRET},
        {"name": "n", "type": "String", "value": HIDDEN},
    ),
    ("sqs", "SendMessage", {"QueueUrl": "q", "MessageBody": SECRET}, {"queueUrl": "q", "messageBody": HIDDEN}),
    ("rds", "CreateDBInstance", {"MasterUserPassword": SECRET}, {"masterUserPassword": HIDDEN}),
    ("neptune", "CreateDBCluster", {"MasterUserPassword": SECRET}, {"masterUserPassword": HIDDEN}),
    ("redshift", "CreateCluster", {"MasterUserPassword": SECRET}, {"masterUserPassword": HIDDEN}),
    ("iam", "CreateLoginProfile", {"UserName": "u", "Password": SECRET}, {"userName": "u"}),
    ("secretsmanager", "PutSecretValue", {"SecretId": "s", "SecretString": SECRET}, {"secretId": "s"}),
    ("stepfunctions", "StartExecution", {"name": "n", "input": SECRET}, {"name": "n", "input": HIDDEN}),
    (
        "cognito-idp",
        "InitiateAuth",
        {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"PASSWORD": SECRET}, "ClientMetadata": {"k": SECRET}},
        {"authFlow": "USER_PASSWORD_AUTH", "authParameters": HIDDEN, "clientMetadata": {"k": HIDDEN}},
    ),
    (
        "events",
        "PutEvents",
        {"Entries": [{"Source": "s", "Detail": SECRET}]},
        {"entries": [{"source": "s", "detail": HIDDEN}]},
    ),
    (
        "bedrock-runtime",
        "Converse",
        {"modelId": "m", "messages": [{"role": "user", "content": [{"text": SECRET}]}]},
        {"modelId": "m"},
    ),
]


@pytest.mark.parametrize(("service", "operation", "parameters", "expected"), FORMS)
def test_secrets_look_as_aws_shows_them(
    service: str, operation: str, parameters: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Each way of hiding, by the record that AWS's guides, or real log files, have of the call."""
    assert shown(service, operation, parameters)[0] == expected


def test_secrets_of_responses_are_hidden_the_same_way() -> None:
    """Session tokens of Systems Manager, keys of EC2, and answers that are secret as a whole."""
    _, session = shown("ssm", "StartSession", {}, {"SessionId": "s", "TokenValue": SECRET})
    assert session == {"sessionId": "s", "tokenValue": "Value hidden due to security reasons."}
    _, pair = shown("ec2", "CreateKeyPair", {}, {"KeyName": "k", "KeyMaterial": SECRET})
    assert pair["keyMaterial"] == "<sensitiveDataRemoved>"
    assert shown("deadline", "AssumeQueueRoleForWorker", {}, {"credentials": {"secretAccessKey": SECRET}})[1] is None


def test_values_of_the_wrong_kind_are_not_shown_either() -> None:
    """What stands where a map was expected may be the secret itself."""
    request, _ = shown("glue", "CreateConnection", {"ConnectionInput": {"ConnectionProperties": SECRET}})
    assert SECRET not in str(request)
    request, _ = shown("dynamodb", "PutItem", {"TableName": "t", "Item": [SECRET]})
    assert SECRET not in str(request)
