"""The unmodified AWS CLI through one endpoint, with the embedded MiniStack behind it: what one sees, and what is kept.

Each call leaves the record that AWS would write, in a delivered log file, and no secret with it.
"""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentrail.local.ministack import missing
from tests.support.gateway import Gateway, delivered, make_trail, running

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

BUCKET = "aws-cloudtrail-logs-123456789012-0000c11c"
DATA = ("AWS::S3::Object", "AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::SQS::Queue", "AWS::SNS::Topic")
SECRET = "canary-secret-value-0001"
TEMPLATE = {
    "Parameters": {"Password": {"Type": "String", "NoEcho": True}},
    "Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "from-stack"}}},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway as `opentrail up` starts it, with a trail that also asks for data events."""
    with running(tmp_path_factory.mktemp("cli") / "home") as started:
        make_trail(started, BUCKET)
        selectors = [
            {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
            *(
                {
                    "FieldSelectors": [
                        {"Field": "eventCategory", "Equals": ["Data"]},
                        {"Field": "resources.type", "Equals": [kind]},
                    ]
                }
                for kind in DATA
            ),
        ]
        started.client("cloudtrail").put_event_selectors(TrailName="main", AdvancedEventSelectors=selectors)
        yield started


def aws(gateway: Gateway, *arguments: str) -> dict[str, Any]:
    """One call of the AWS CLI; its answer."""
    endpoint = ("--endpoint-url", gateway.url) if arguments[0] == "sqs" else ()  # the CLI's own table of hosts
    done = gateway.cli(*arguments, *endpoint, "--output", "json")
    assert done.returncode == 0, (arguments, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else {}


def test_services_answer_and_every_call_is_kept(gateway: Gateway, tmp_path: Path) -> None:
    """SQS, DynamoDB, Secrets Manager, SSM, Lambda, EC2 and CloudFormation, by the AWS CLI alone."""
    queue = aws(gateway, "sqs", "create-queue", "--queue-name", "orders")["QueueUrl"]
    assert queue == f"{gateway.url}/123456789012/orders"
    aws(gateway, "sqs", "send-message", "--queue-url", queue, "--message-body", SECRET)
    (message,) = aws(gateway, "sqs", "receive-message", "--queue-url", queue)["Messages"]
    assert message["Body"] == SECRET
    _use_dynamodb(gateway)
    aws(gateway, "secretsmanager", "create-secret", "--name", "db", "--secret-string", SECRET)
    assert aws(gateway, "secretsmanager", "get-secret-value", "--secret-id", "db")["SecretString"] == SECRET
    aws(gateway, "ssm", "put-parameter", "--name", "p", "--type", "SecureString", "--value", SECRET)
    _use_lambda(gateway, tmp_path)
    aws(gateway, "ec2", "run-instances", "--image-id", "ami-12345678", "--user-data", SECRET, "--count", "1")
    aws(gateway, "ec2", "describe-instances")
    template = tmp_path / "stack.json"
    template.write_text(json.dumps(TEMPLATE))
    parameters = f"ParameterKey=Password,ParameterValue={SECRET}"
    stack = ("cloudformation", "create-stack", "--stack-name", "s", "--template-body", f"file://{template}")
    aws(gateway, *stack, "--parameters", parameters)
    _check(_records(gateway), queue)


def _use_dynamodb(gateway: Gateway) -> None:
    table = ("--table-name", "orders")
    attributes = ("--attribute-definitions", "AttributeName=id,AttributeType=S")
    key = ("--key-schema", "AttributeName=id,KeyType=HASH", "--billing-mode", "PAY_PER_REQUEST")
    aws(gateway, "dynamodb", "create-table", *table, *attributes, *key)
    item = {"id": {"S": "1"}, "card": {"S": SECRET}}
    aws(gateway, "dynamodb", "put-item", *table, "--item", json.dumps(item))
    assert aws(gateway, "dynamodb", "get-item", *table, "--key", '{"id":{"S":"1"}}')["Item"] == item


def _use_lambda(gateway: Gateway, tmp_path: Path) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "def handler(event, context):\n    return {'got': event}\n")
    (tmp_path / "f.zip").write_bytes(code.getvalue())
    function = ("--function-name", "f", "--runtime", "python3.11", "--handler", "f.handler")
    role = ("--role", "arn:aws:iam::123456789012:role/r", "--environment", f"Variables={{PASSWORD={SECRET}}}")
    aws(gateway, "lambda", "create-function", *function, *role, "--zip-file", f"fileb://{tmp_path / 'f.zip'}")
    out = tmp_path / "out.json"
    payload = ("--payload", json.dumps({"password": SECRET}))
    aws(gateway, "lambda", "invoke", "--function-name", "f", *payload, str(out))
    assert json.loads(out.read_text()) == {"got": {"password": SECRET}}


def _records(gateway: Gateway) -> dict[tuple[str, str], dict[str, Any]]:
    """The delivered records by event source and name, once the last call's is there."""
    s3, deadline = gateway.client("s3"), time.monotonic() + 40
    while time.monotonic() < deadline:
        records = delivered(s3, BUCKET)
        found = {(record["eventSource"].partition(".")[0], record["eventName"]): record for record in records}
        if ("cloudformation", "CreateStack") in found:
            assert SECRET not in json.dumps(records)
            return found
        time.sleep(0.5)
    raise AssertionError("the last call's record was not delivered")


def _check(found: dict[tuple[str, str], dict[str, Any]], queue: str) -> None:
    created = found["sqs", "CreateQueue"]
    assert created["requestParameters"] == {"queueName": "orders"}
    assert created["responseElements"] == {"queueUrl": queue}
    assert (created["readOnly"], created["managementEvent"]) == (False, True)
    sent = found["sqs", "SendMessage"]
    assert sent["requestParameters"] == {"queueUrl": queue, "messageBody": "HIDDEN_DUE_TO_SECURITY_REASONS"}
    assert (sent["managementEvent"], sent["eventCategory"]) == (False, "Data")
    assert sent["resources"][0]["ARN"] == "arn:aws:sqs:us-east-1:123456789012:orders"
    put = found["dynamodb", "PutItem"]
    assert put["requestParameters"]["tableName"] == "orders"
    assert put["resources"] == [
        {
            "accountId": "123456789012",
            "type": "AWS::DynamoDB::Table",
            "ARN": "arn:aws:dynamodb:us-east-1:123456789012:table/orders",
        }
    ]
    assert found["dynamodb", "GetItem"]["readOnly"] is True
    read = found["secretsmanager", "GetSecretValue"]
    assert (read["requestParameters"], read["responseElements"]) == ({"secretId": "db"}, None)
    assert found["ssm", "PutParameter"]["requestParameters"]["value"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert found["lambda", "CreateFunction20150331"]["requestParameters"]["functionName"] == "f"
    assert found["lambda", "Invoke"]["eventCategory"] == "Data"
    run = found["ec2", "RunInstances"]
    assert run["requestParameters"]["instancesSet"]["items"][0]["imageId"] == "ami-12345678"
    assert run["requestParameters"]["userData"] == "<sensitiveDataRemoved>"
    assert run["responseElements"]["instancesSet"]["items"][0]["imageId"] == "ami-12345678"
    assert found["ec2", "DescribeInstances"]["responseElements"] is None
    stack = found["cloudformation", "CreateStack"]
    assert stack["requestParameters"]["stackName"] == "s"
    assert stack["responseElements"]["stackId"].startswith("arn:aws:cloudformation:us-east-1:123456789012:stack/s/")
