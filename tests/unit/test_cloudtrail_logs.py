"""A trail's log group and role: named together, tried before they are taken, shown, and cleared."""

from dataclasses import replace
from typing import Any

import pytest

from opentrail.errors import OutboundError
from opentrail.identity.principal import PrincipalType
from opentrail.trails.log_groups import stream_of
from opentrail.trails.store import DeliveryStatus
from tests.support.iam_world import IamWorld
from tests.support.log_groups import (
    GROUP,
    GROUP_ARN,
    PAIR,
    ROLE_ARN,
    STREAM,
    MemoryLogGroups,
    make_role,
    role_policy,
    trust_policy,
)
from tests.unit.test_cloudtrail_service import ACCOUNT, NOW, OTHER, World, refusal

NO_GROUP, NO_ROLE = "InvalidCloudWatchLogsLogGroupArnException", "InvalidCloudWatchLogsRoleArnException"


class LogsWorld(World):
    """The service with log groups, and roles made by a real IAM service."""

    def __init__(self) -> None:
        super().__init__()
        self.roles = IamWorld()
        self.iam = self.roles.client()
        make_role(self.iam)
        self.groups = MemoryLogGroups()
        self.directory, self.log_groups = self.roles.directory, self.groups
        self.serve()


@pytest.fixture
def world() -> LogsWorld:
    """A world in which everything that a trail needs is there."""
    return LogsWorld()


def test_the_pair_is_taken_shown_kept_and_cleared(world: LogsWorld) -> None:
    """In every answer, until empty texts take it away; the stream is there at once, made by the role's session."""
    assert PAIR.items() <= world.create(**PAIR).items()
    assert PAIR.items() <= world.call("GetTrail", Name="audit")["Trail"].items()
    assert PAIR.items() <= world.call("DescribeTrails")["trailList"][0].items()
    assert PAIR.items() <= world.call("UpdateTrail", Name="audit", S3KeyPrefix="p").items()
    assert list(world.groups.streams) == [STREAM]
    (session,) = world.groups.sessions
    assert (session.type, session.arn.rpartition("/")[2]) == (PrincipalType.ASSUMED_ROLE, "CloudTrail")
    cleared = world.call("UpdateTrail", Name="audit", CloudWatchLogsLogGroupArn="", CloudWatchLogsRoleArn="")
    assert not PAIR.keys() & cleared.keys()
    assert not PAIR.keys() & world.call("GetTrail", Name="audit")["Trail"].keys()


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"CloudWatchLogsRoleArn": ""}, NO_ROLE, "You must specify a role ARN as well as a log group."),
        ({"CloudWatchLogsLogGroupArn": ""}, NO_GROUP, "log group ARN as well as a role"),
        ({"CloudWatchLogsLogGroupArn": GROUP_ARN.removesuffix(":*")}, NO_GROUP, "end in :*"),
        ({"CloudWatchLogsLogGroupArn": "CloudTrail/logs:*"}, NO_GROUP, "CloudTrail cannot validate"),
        ({"CloudWatchLogsLogGroupArn": GROUP_ARN.replace("us-east-1", "eu-west-1")}, NO_GROUP, "us-east-1"),
        ({"CloudWatchLogsLogGroupArn": GROUP_ARN.replace(ACCOUNT, OTHER)}, NO_GROUP, ACCOUNT),
        ({"CloudWatchLogsLogGroupArn": GROUP_ARN.replace(GROUP, "no one")}, NO_GROUP, "CloudTrail cannot validate"),
        ({"CloudWatchLogsLogGroupArn": GROUP_ARN.replace(GROUP, "other")}, NO_GROUP, "there is no log group other"),
        ({"CloudWatchLogsRoleArn": "role"}, NO_ROLE, "not the ARN of a role"),
        ({"CloudWatchLogsRoleArn": ROLE_ARN.replace(ACCOUNT, OTHER)}, NO_ROLE, "not the ARN of a role"),
        ({"CloudWatchLogsRoleArn": f"{ROLE_ARN}2"}, NO_ROLE, "there is no role"),
    ],
)
def test_what_cannot_be_the_trails_is_refused(world: LogsWorld, changes: dict[str, str], code: str, said: str) -> None:
    """With the code of the member that is wrong; no trail is made and none is changed."""
    if GROUP_ARN.replace(GROUP, "other") in changes.values():
        make_role(world.iam, role_policy().replace(GROUP, "*"))
    request = {"Name": "audit", "S3BucketName": "logs-bucket", **PAIR, **changes}
    found = refusal(world, "CreateTrail", **request)
    assert found[0] == code
    assert said in found[1]
    world.create(**PAIR)
    assert refusal(world, "UpdateTrail", Name="audit", **changes)[0] == code


@pytest.mark.parametrize(
    ("role", "code", "said"),
    [
        ({"trust": trust_policy("lambda.amazonaws.com")}, NO_ROLE, "Check the trust relationships for your role"),
        ({"policy": role_policy(STREAM, "logs:CreateLogStream")}, NO_GROUP, "do not allow logs:PutLogEvents"),
        ({"policy": role_policy(STREAM, "logs:PutLogEvents")}, NO_GROUP, "do not allow logs:CreateLogStream"),
        ({"policy": role_policy("elsewhere")}, NO_GROUP, "Check the permissions for your role"),
    ],
)
def test_a_role_that_may_not_is_refused(world: LogsWorld, role: dict[str, str], code: str, said: str) -> None:
    """And the log group is not touched."""
    make_role(world.iam, **role)
    found = refusal(world, "CreateTrail", Name="audit", S3BucketName="logs-bucket", **PAIR)
    assert found[0] == code
    assert said in found[1]
    assert world.groups.streams == {}


def test_a_role_may_ask_for_the_trail_by_its_arn(world: LogsWorld) -> None:
    """A trust policy may name whose sake it is for: aws:SourceArn is the trail."""
    for trail, is_trusted in (("another", False), ("audit", True)):
        condition = (
            f'"Condition":{{"StringEquals":{{"aws:SourceArn":"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{trail}"}}}}'
        )
        make_role(world.iam, trust=trust_policy().replace('"Action"', f'{condition},"Action"'))
        if is_trusted:
            world.create(**PAIR)
        else:
            assert refusal(world, "CreateTrail", Name="audit", S3BucketName="logs-bucket", **PAIR)[0] == NO_ROLE


@pytest.mark.parametrize(
    ("problem", "code"),
    [("RequestTimeout", "ServiceUnavailable"), ("AccessDeniedException", NO_GROUP)],
)
def test_a_group_that_cannot_be_asked_is_refused(world: LogsWorld, problem: str, code: str) -> None:
    """By what kept it from being asked."""
    world.groups.problem = OutboundError(problem, "no")
    assert refusal(world, "CreateTrail", Name="audit", S3BucketName="logs-bucket", **PAIR)[0] == code


def test_without_an_upstream_the_words_say_what_to_configure() -> None:
    """CloudWatchLogsDeliveryUnavailableException."""
    code, message = refusal(World(), "CreateTrail", Name="audit", S3BucketName="logs-bucket", **PAIR)
    assert code == "CloudWatchLogsDeliveryUnavailableException"
    assert 'services = ["logs"]' in message


def test_the_status_shows_the_last_delivery_and_error(world: LogsWorld) -> None:
    """LatestCloudWatchLogsDeliveryTime and ...Error are absent until there are any."""
    world.create(**PAIR)
    names = ("LatestCloudWatchLogsDeliveryTime", "LatestCloudWatchLogsDeliveryError")

    def shown() -> list[Any]:
        status = world.call("GetTrailStatus", Name="audit")
        return [status.get(name) for name in names]

    assert shown() == [None, None]
    good = DeliveryStatus().delivered(NOW)
    for status, expected in ((good, [NOW, None]), (good.failed(NOW, "AccessDenied"), [NOW, "AccessDenied"])):
        with world.database.unit() as unit:
            world.trails.put_logs_status(unit, world.only_trail().trail_id, status)
        assert shown() == expected


def test_an_organization_trails_stream_begins_with_the_organization(world: LogsWorld) -> None:
    """``o-ID_ACCOUNT_CloudTrail_REGION``; the region is the trail's, whatever region a record is from."""
    world.create(IsMultiRegionTrail=True, **PAIR)
    trail = world.only_trail()
    stream = stream_of(trail)
    assert stream is not None
    assert stream.arn == f"{GROUP_ARN.removesuffix('*')}log-stream:{STREAM}"
    of_organization = stream_of(trail.for_organization("o-exampleorgid"))
    assert of_organization == replace(stream, name=f"o-exampleorgid_{STREAM}")
