"""Calls to our own services: which permissions they take, under which conditions, and how a refusal reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.aws.model import Catalogue
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.events.resource_arns import Place
from opentrail.gateway.authorise import authorise, authorise_behind
from opentrail.gateway.permissions import Resource, permissions
from opentrail.gateway.upstream_permissions import tag_context, upstream_permissions
from opentrail.identity.authorization import NamedPolicy, PolicySet
from opentrail.identity.context import Values, principal_context
from opentrail.identity.policy import parse_identity
from opentrail.identity.principal import Principal, PrincipalType

HOME = "111111111111"
USER = Principal(PrincipalType.IAM_USER, HOME, "AIDA1", f"arn:aws:iam::{HOME}:user/ada", user_name="ada")
ROOT = Principal(PrincipalType.ROOT, HOME, HOME, f"arn:aws:iam::{HOME}:root")
CATALOGUE = Catalogue()
SERVER = f"arn:aws:opsworks-cm:eu-west-1:{HOME}:server/chef/6b1d"
ROLE = f"arn:aws:iam::{HOME}:role/service-role/cm"


@dataclass
class FixedDirectory:
    """One user with one policy; roles and users with paths."""

    statements: list[Mapping[str, Any]] = field(default_factory=list)

    def policies_of(self, principal: Principal) -> PolicySet:
        """The policy, whoever asks; root's needs none."""
        if not self.statements or principal.type is PrincipalType.ROOT:
            return PolicySet()
        text = json.dumps({"Version": "2012-10-17", "Statement": self.statements})
        return PolicySet((NamedPolicy("inline:x", parse_identity(text)),))

    def context_of(self, principal: Principal) -> Values:
        """The user's tags count."""
        return principal_context(principal, {"team": "red"})

    def arn_of(self, account_id: str, kind: str, name: str) -> str | None:
        """Everybody known lives under a path."""
        return f"arn:aws:iam::{account_id}:{kind}/path/{name}" if name.startswith("known") else None

    def tags_of_resource(self, arn: str) -> tuple[tuple[str, str], ...]:
        """Known users are red."""
        return (("team", "red"),) if "/path/" in arn else ()


def call_of(service: str, name: str, principal: Principal = USER, **parameters: Any) -> Call:
    """A parsed call."""
    return Call(
        request_id="r",
        received_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
        account_id=HOME,
        region="eu-west-1",
        principal=principal,
        event_source=f"{service}.amazonaws.com",
        event_name=name,
        read_only=False,
        operation=CATALOGUE.service(service.replace("-", "")).operation(name),
        parameters=parameters,
        source_ip="10.0.0.1",
        user_agent="aws-cli/2.31.0",
    )


def find(kind: str, _account_id: str, _region: str, name: str) -> Resource | None:
    """One server is known, by name and by ARN."""
    return Resource(SERVER, (("team", "red"),)) if kind == "server" and name in ("chef", SERVER) else None


def needed(call: Call) -> list[tuple[str, str]]:
    """Action and resource of every permission."""
    return [(one.action, one.resource) for one in permissions(call, FixedDirectory(), find)]


def refused(call: Call, *statements: Mapping[str, Any]) -> ApiError | None:
    """The refusal under a policy of these statements; None where the call is allowed."""
    try:
        authorise(call, FixedDirectory(list(statements)), find=find)
    except ApiError as error:
        return error
    return None


IAM, CM = f"arn:aws:iam::{HOME}", f"arn:aws:opsworks-cm:eu-west-1:{HOME}"
TOPIC = f"arn:aws:sns:eu-west-1:{HOME}:logs"
TRAIL = f"arn:aws:cloudtrail:eu-west-1:{HOME}:trail/audit"


@pytest.mark.parametrize(
    ("service", "name", "parameters", "resource"),
    [
        ("iam", "CreateUser", {"UserName": "new", "Path": "/team/"}, f"{IAM}:user/team/new"),
        ("iam", "DeleteUser", {"UserName": "known"}, f"{IAM}:user/path/known"),
        ("iam", "DeleteUser", {"UserName": "gone"}, f"{IAM}:user/gone"),
        ("iam", "GetUser", {}, USER.arn),
        ("iam", "ChangePassword", {"OldPassword": "a", "NewPassword": "b"}, USER.arn),
        ("iam", "ListAccessKeys", {"UserName": "known"}, f"{IAM}:user/path/known"),
        ("iam", "AddUserToGroup", {"GroupName": "g", "UserName": "known"}, f"{IAM}:group/g"),
        ("iam", "AttachUserPolicy", {"UserName": "u", "PolicyArn": f"{IAM}:policy/p"}, f"{IAM}:user/u"),
        ("iam", "PutRolePolicy", {"RoleName": "known-r", "PolicyName": "p"}, f"{IAM}:role/path/known-r"),
        ("iam", "CreatePolicy", {"PolicyName": "p", "PolicyDocument": "{}"}, f"{IAM}:policy/p"),
        ("iam", "DeletePolicy", {"PolicyArn": f"{IAM}:policy/a/p"}, f"{IAM}:policy/a/p"),
        ("iam", "EnableMFADevice", {"UserName": "u", "SerialNumber": f"{IAM}:mfa/m"}, f"{IAM}:user/u"),
        ("iam", "DeleteVirtualMFADevice", {"SerialNumber": f"{IAM}:mfa/m"}, f"{IAM}:mfa/m"),
        ("iam", "CreateVirtualMFADevice", {"VirtualMFADeviceName": "m"}, f"{IAM}:mfa/m"),
        ("iam", "CreateSAMLProvider", {"Name": "idp", "SAMLMetadataDocument": ""}, f"{IAM}:saml-provider/idp"),
        ("iam", "CreateOpenIDConnectProvider", {"Url": "https://idp.org/"}, f"{IAM}:oidc-provider/idp.org/"),
        ("iam", "ListUsers", {"PathPrefix": "/team/"}, f"{IAM}:user/team/"),
        ("iam", "ListRoles", {}, f"{IAM}:role/"),
        ("iam", "GetAccountSummary", {}, "*"),
        ("sts", "GetFederationToken", {"Name": "guest"}, f"arn:aws:sts::{HOME}:federated-user/guest"),
        ("sts", "AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "s"}, ROLE),
        ("sts", "GetSessionToken", {}, "*"),
        ("cloudtrail", "StopLogging", {"Name": "audit"}, TRAIL),
        ("cloudtrail", "StopLogging", {"Name": TRAIL}, TRAIL),
        ("cloudtrail", "GetEventSelectors", {"TrailName": "audit"}, TRAIL),
        ("cloudtrail", "AddTags", {"ResourceId": TRAIL, "TagsList": []}, TRAIL),
        ("cloudtrail", "CreateDashboard", {"Name": "d"}, f"arn:aws:cloudtrail:eu-west-1:{HOME}:dashboard/d"),
        ("cloudtrail", "LookupEvents", {}, "*"),
        ("sns", "ListTopics", {}, "*"),
        ("sns", "CreateTopic", {"Name": "t"}, f"arn:aws:sns:eu-west-1:{HOME}:t"),
        ("sns", "Publish", {"TargetArn": TOPIC, "Message": "m"}, TOPIC),
        ("sns", "TagResource", {"ResourceArn": TOPIC, "Tags": []}, TOPIC),
        ("sns", "Unsubscribe", {"SubscriptionArn": f"{TOPIC}:id"}, TOPIC),
        ("opsworks-cm", "DescribeServers", {}, "*"),
        ("opsworks-cm", "DescribeServers", {"ServerName": "chef"}, SERVER),
        ("opsworks-cm", "DeleteServer", {"ServerName": "other"}, f"{CM}:server/other/*"),
        ("opsworks-cm", "DeleteBackup", {"BackupId": "chef-2026"}, f"{CM}:backup/chef-2026"),
        ("opsworks-cm", "TagResource", {"ResourceArn": SERVER, "Tags": []}, SERVER),
    ],
)  # fmt: skip
def test_a_call_is_about_the_resource_that_it_names(
    service: str, name: str, parameters: dict[str, Any], resource: str
) -> None:
    """The action is signing name and operation; the resource is found, or has the ARN that it would have."""
    prefix = "SNS" if service == "sns" else service
    assert needed(call_of(service, name, **parameters)) == [(f"{prefix}:{name}", resource)]


def test_a_batch_takes_the_permission_to_publish_and_conditions_see_the_endpoint() -> None:
    """PublishBatch has no action of its own; sns:Protocol and sns:Endpoint hold for Subscribe; SNS has its own code."""
    assert needed(call_of("sns", "PublishBatch", TopicArn=TOPIC)) == [("SNS:Publish", TOPIC)]
    only_https = {
        "Effect": "Allow",
        "Action": "sns:Subscribe",
        "Resource": TOPIC,
        "Condition": {"StringEquals": {"sns:Protocol": "https"}, "StringLike": {"sns:Endpoint": "https://x/*"}},
    }
    assert (
        refused(call_of("sns", "Subscribe", TopicArn=TOPIC, Protocol="https", Endpoint="https://x/y"), only_https)
        is None
    )
    error = refused(call_of("sns", "Subscribe", TopicArn=TOPIC, Protocol="http", Endpoint="http://x/y"), only_https)
    assert error is not None
    assert (error.code, error.status) == ("AuthorizationErrorException", 403)
    assert "is not authorized to perform: SNS:Subscribe on resource" in error.message


def test_several_resources_are_all_asked_for() -> None:
    """ListTags on two trails takes the permission for both."""
    call = call_of("cloudtrail", "ListTags", ResourceIdList=[TRAIL, f"{TRAIL}-2"])
    assert [resource for _, resource in needed(call)] == [TRAIL, f"{TRAIL}-2"]
    only_one = {"Effect": "Allow", "Action": "cloudtrail:ListTags", "Resource": TRAIL}
    error = refused(call, only_one)
    assert error is not None
    assert f"on resource: {TRAIL}-2 " in error.message


def test_handing_a_role_to_a_service_takes_a_permission_of_its_own() -> None:
    """CreateServer with a service role, and a role in an instance profile, need iam:PassRole to that service."""
    create = call_of("opsworks-cm", "CreateServer", ServerName="new", ServiceRoleArn=ROLE)
    assert needed(create) == [("opsworks-cm:CreateServer", f"{CM}:server/new/*"), ("iam:PassRole", ROLE)]
    add = call_of("iam", "AddRoleToInstanceProfile", InstanceProfileName="p", RoleName="known-r")
    assert needed(add)[1] == ("iam:PassRole", f"{IAM}:role/path/known-r")
    allowed = {"Effect": "Allow", "Action": "opsworks-cm:*", "Resource": "*"}
    error = refused(create, allowed)
    assert error is not None
    assert "is not authorized to perform: iam:PassRole on resource: " in error.message
    condition = {"StringEquals": {"iam:PassedToService": "opsworks-cm.amazonaws.com"}}
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*", "Condition": condition}
    assert refused(create, allowed, passing) is None
    ec2 = {**passing, "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}}
    assert refused(create, allowed, ec2) is not None


@pytest.mark.parametrize(
    ("service", "name", "parameters", "code", "status"),
    [
        ("cloudtrail", "LookupEvents", {}, "AccessDeniedException", 403),
        ("opsworks-cm", "DescribeServers", {}, "AccessDeniedException", 400),
        ("iam", "ListUsers", {}, "AccessDenied", 403),
        ("sts", "GetFederationToken", {"Name": "guest"}, "AccessDenied", 403),
    ],
)
def test_refusals_speak_the_service_s_language(
    service: str, name: str, parameters: dict[str, Any], code: str, status: int
) -> None:
    """Query services say AccessDenied, the others AccessDeniedException; the sentence is AWS's. Root is allowed."""
    call = call_of(service, name, **parameters)
    error = refused(call)
    assert error is not None
    assert (error.code, error.status) == (code, status)
    resource = needed(call)[0][1]
    said = f"User: {USER.arn} is not authorized to perform: {service}:{name} on resource: {resource}"
    assert error.message == f"{said} because no identity-based policy allows the {service}:{name} action"
    error = refused(call, {"Effect": "Deny", "Action": "*", "Resource": "*"})
    assert error is not None
    assert error.message == f"{said} with an explicit deny in an identity-based policy"
    assert refused(replace(call, principal=ROOT)) is None


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"opsworks-cm:ResourceTag/team": "${aws:PrincipalTag/team}"}}, True),
        ({"StringEquals": {"aws:ResourceTag/Team": "blue"}}, False),
        ({"StringEquals": {"aws:RequestTag/cost": "7"}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"StringLike": {"aws:UserAgent": "Boto3*"}}, False),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-23T12:00:01Z"}}, True),
    ],
)
def test_conditions_see_the_whole_call(condition: Mapping[str, Any], allowed: bool) -> None:
    """Tags of caller, request and resource, where from, when and how: all reach the policy."""
    call = call_of("opsworks-cm", "TagResource", ResourceArn=SERVER, Tags=[{"Key": "cost", "Value": "7"}])
    statement = {"Effect": "Allow", "Action": "opsworks-cm:TagResource", "Resource": "*", "Condition": condition}
    assert (refused(call, statement) is None) is allowed


def test_iam_s_own_keys() -> None:
    """Which policy is attached can be limited; a resource's tags are known by its ARN."""
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    call = call_of("iam", "AttachUserPolicy", UserName="known", PolicyArn=administrator)
    allow = {"Effect": "Allow", "Action": "iam:AttachUserPolicy", "Resource": "*"}
    red = {**allow, "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}}
    assert refused(call, red) is None
    deny = {**allow, "Effect": "Deny", "Condition": {"ArnEquals": {"iam:PolicyARN": administrator}}}
    assert refused(call, allow, deny) is not None
    keys = call_of("cloudtrail", "RemoveTags", ResourceId=TRAIL, TagsList=[{"Key": "cost"}])
    only = {"ForAnyValue:StringEquals": {"aws:TagKeys": "cost"}}
    untag = {"Effect": "Allow", "Action": "cloudtrail:RemoveTags", "Resource": TRAIL, "Condition": only}
    assert refused(keys, untag) is None
    assert refused(keys, {**untag, "Condition": {"Null": {"aws:RequestTag/cost": "false"}}}) is not None


def allowed_behind(statement: Mapping[str, Any], service: str, name: str, **parameters: Any) -> bool:
    """Whether a call to a service behind us is allowed."""
    call = call_of(service, name, **parameters)
    assert call.operation is not None
    needed = upstream_permissions(call.operation, parameters, Place(HOME, "eu-west-1"))
    try:
        authorise_behind(call, FixedDirectory([statement]), needed, tags=tag_context(parameters), protocol="json")
    except ApiError as refusal:
        assert refusal.code == "AccessDeniedException"
        return False
    return True


def test_a_call_behind_us_is_allowed_on_what_it_names_alone() -> None:
    """A policy on one queue allows that queue under any address, and no other; one on tables counts every table."""
    queue = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": f"arn:aws:sqs:eu-west-1:{HOME}:jobs"}
    assert allowed_behind(queue, "sqs", "SendMessageBatch", QueueUrl=f"http://localhost:4566/{HOME}/jobs", Entries=[])
    assert not allowed_behind(queue, "sqs", "SendMessage", QueueUrl=f"http://localhost:4566/{HOME}/other")
    table = f"arn:aws:dynamodb:eu-west-1:{HOME}:table/mine"
    tables = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": table}
    assert allowed_behind(tables, "dynamodb", "BatchGetItem", RequestItems={"mine": {}})
    assert not allowed_behind(tables, "dynamodb", "BatchGetItem", RequestItems={"mine": {}, "yours": {}})
    assert not allowed_behind(tables, "dynamodb", "ExecuteStatement", Statement='SELECT "from mine" FROM yours')


def test_tags_in_any_form_are_conditions_of_calls_behind_us() -> None:
    """Tags in a map are request tags, and tags that are none at all are no error."""
    tagged = {
        "Effect": "Allow",
        "Action": "sqs:TagQueue",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestTag/team": "red"}},
    }
    url = f"http://localhost:4566/{HOME}/jobs"
    assert allowed_behind(tagged, "sqs", "TagQueue", QueueUrl=url, Tags={"team": "red"})
    assert not allowed_behind(tagged, "sqs", "TagQueue", QueueUrl=url, Tags={"team": "blue"})
    assert not allowed_behind(tagged, "sqs", "TagQueue", QueueUrl=url, Tags=[1, "x"])
