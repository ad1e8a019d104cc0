"""IAM's actions and resources of calls to upstreams."""

from typing import Any

import pytest

from opentrail.aws.model import Catalogue
from opentrail.events.resource_arns import Place
from opentrail.gateway.permissions import Permission
from opentrail.gateway.upstream_permissions import request_tags, untagged_keys, upstream_permissions

CATALOGUE = Catalogue()
ACCOUNT, REGION = "123456789012", "eu-west-1"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}:"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"


def asked(service: str, name: str, parameters: dict[str, Any] | None) -> list[Permission]:
    """The permissions of a call."""
    operation = CATALOGUE.service(service).operation(name)
    return list(upstream_permissions(operation, parameters, Place(ACCOUNT, REGION)))


@pytest.mark.parametrize(
    ("service", "name", "parameters", "expected"),
    [
        ("dynamodb", "PutItem", {"TableName": "T"}, [("dynamodb:PutItem", f"{TABLE}T")]),
        (
            "dynamodb",
            "Query",
            {"TableName": "T", "IndexName": "i"},
            [("dynamodb:Query", f"{TABLE}T/index/i")],
        ),
        (
            "dynamodb",
            "BatchGetItem",
            {"RequestItems": {"A": {}, "B": {}}},
            [("dynamodb:BatchGetItem", f"{TABLE}A"), ("dynamodb:BatchGetItem", f"{TABLE}B")],
        ),
        (
            "dynamodb",
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "A"}}, {"Delete": {"TableName": "B"}}]},
            [("dynamodb:PutItem", f"{TABLE}A"), ("dynamodb:DeleteItem", f"{TABLE}B")],
        ),
        (
            "dynamodb",
            "TransactGetItems",
            {"TransactItems": [{"Get": {"TableName": "A"}}]},
            [("dynamodb:GetItem", f"{TABLE}A")],
        ),
        ("dynamodb", "ExecuteStatement", {"Statement": "delete FROM A"}, [("dynamodb:PartiQLDelete", f"{TABLE}A")]),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "f"},
            [("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f")],
        ),
        (
            "sqs",
            "SendMessageBatch",
            {"QueueUrl": f"http://h/{ACCOUNT}/q"},
            [("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:q")],
        ),
        ("sqs", "ListQueues", {}, [("sqs:ListQueues", "*")]),
        ("cloudwatch", "PutMetricData", {"Namespace": "n"}, [("cloudwatch:PutMetricData", "*")]),
        ("resourcegroupstaggingapi", "GetResources", {}, [("tag:GetResources", "*")]),
        (
            "sesv2",
            "SendEmail",
            {"FromEmailAddress": "a@b.c"},
            [("ses:SendEmail", f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/a@b.c")],
        ),
        (
            "stepfunctions",
            "StartExecution",
            {"stateMachineArn": "arn:aws:states:r:1:stateMachine:m"},
            [("states:StartExecution", "arn:aws:states:r:1:stateMachine:m")],
        ),
        (
            "secretsmanager",
            "GetSecretValue",
            {"SecretId": "s"},
            [("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:s-??????")],
        ),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "g", "logStreamName": "s"},
            [("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:g:log-stream:s")],
        ),
        (
            "kms",
            "ReEncrypt",
            {"DestinationKeyId": "k"},
            [("kms:ReEncryptFrom", "*"), ("kms:ReEncryptTo", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k")],
        ),
        (
            "apigateway",
            "GetRestApi",
            {"restApiId": "r"},
            [("apigateway:GET", f"arn:aws:apigateway:{REGION}::/restapis/r")],
        ),
        ("apigatewayv2", "UpdateApi", {"ApiId": "a"}, [("apigateway:PATCH", f"arn:aws:apigateway:{REGION}::/apis/a")]),
        ("ec2", "DescribeInstances", {"InstanceIds": ["i-1"]}, [("ec2:DescribeInstances", "*")]),
        (
            "ec2",
            "TerminateInstances",
            {"InstanceIds": ["i-1", "i-2"]},
            [("ec2:TerminateInstances", f"{EC2}instance/i-1"), ("ec2:TerminateInstances", f"{EC2}instance/i-2")],
        ),
        (
            "ec2",
            "RunInstances",
            {"ImageId": "ami-1"},
            [
                ("ec2:RunInstances", f"arn:aws:ec2:{REGION}::image/ami-1"),
                *(("ec2:RunInstances", f"{EC2}{kind}/*") for kind in ("instance", "network-interface", "volume")),
            ],
        ),
        (
            "wafv2",
            "TagResource",
            {"ResourceARN": "arn:aws:wafv2:r:1:regional/webacl/a"},
            [("wafv2:TagResource", "arn:aws:wafv2:r:1:regional/webacl/a")],
        ),
        ("budgets", "CreateBudget", {}, [("budgets:ModifyBudget", "*")]),
        ("braket", "SearchDevices", None, [("braket:SearchDevices", "*")]),
    ],
)
def test_a_call_takes_its_action_on_what_it_names(
    service: str, name: str, parameters: dict[str, Any] | None, expected: list[tuple[str, str]]
) -> None:
    """The Service Authorization Reference's actions and ARNs; ``*`` where a request names nothing that is known."""
    assert [(permission.action, permission.resource) for permission in asked(service, name, parameters)] == expected


def test_a_statement_without_a_known_verb_takes_every_partiql_action() -> None:
    """A statement that cannot be read is allowed only to those who may do anything with statements."""
    permissions = asked("dynamodb", "ExecuteStatement", {"Statement": "/* x */ SELECT 1"})
    actions = {f"dynamodb:PartiQL{verb}" for verb in ("Select", "Insert", "Update", "Delete")}
    assert {permission.action for permission in permissions} == actions
    assert {permission.resource for permission in permissions} == {f"{TABLE}*"}


@pytest.mark.parametrize(
    ("service", "name", "parameters", "passed_to"),
    [
        ("lambda", "CreateFunction", {"FunctionName": "f", "Role": ROLE}, "lambda.amazonaws.com"),
        ("events", "PutTargets", {"Rule": "r", "Targets": [{"RoleArn": ROLE}]}, "events.amazonaws.com"),
        ("glue", "CreateJob", {"Role": "r"}, "glue.amazonaws.com"),
        ("ecs", "RunTask", {"overrides": {"taskRoleArn": ROLE}}, "ecs-tasks.amazonaws.com"),
    ],
)
def test_handing_a_role_to_a_service_takes_pass_role(
    service: str, name: str, parameters: dict[str, Any], passed_to: str
) -> None:
    """iam:PassRole on the role, for the service that gets it, besides the call's own permissions."""
    *_, last = asked(service, name, parameters)
    assert last == Permission("iam:PassRole", ROLE, passed_to=passed_to)


@pytest.mark.parametrize(
    "parameters",
    [
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b"}]},
        {"tags": [{"key": "a", "value": "1"}, {"key": "b", "value": ""}]},
        {"Tags": {"a": "1", "b": ""}},
        {"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": None}]},
        {"TagSpecifications": [{"Tags": [{"Key": "a", "Value": "1"}]}, {"Tags": [{"Key": "b", "Value": ""}]}]},
    ],
)
def test_tags_are_found_in_every_usual_form(parameters: dict[str, Any]) -> None:
    """Lists in either case, maps and EC2's specifications all give the same pairs."""
    assert request_tags(parameters) == (("a", "1"), ("b", ""))


def test_what_is_no_tag_is_left_out() -> None:
    """Values of other kinds give no tags, and no error."""
    assert request_tags({"Tags": [1, {"Key": 2}, {"Value": "x"}, {"Key": "k", "Value": 3}], "tags": "no"}) == ()
    assert untagged_keys({"TagKeys": ["a", 1], "tagKeys": ["b"]}) == ("a", "b")
