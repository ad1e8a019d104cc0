"""Tags of trails, as handlers over a real state database: by ARN, in the home region, within the limits."""

import pytest

from tests.unit.test_cloudtrail_service import ACCOUNT, ARN, OTHER, World, refusal


@pytest.fixture
def world() -> World:
    """A world without trails."""
    return World()


def test_tags_are_added_overwritten_listed_and_removed_by_arn(world: World) -> None:
    """AddTags overwrites by key, RemoveTags goes by key, ListTags shows all; a tag may have no value."""
    world.create(TagsList=[{"Key": "team", "Value": "audit"}])
    world.call("AddTags", ResourceId=ARN, TagsList=[{"Key": "team", "Value": "security"}, {"Key": "bare"}])
    listed = world.call("ListTags", ResourceIdList=[ARN])["ResourceTagList"]
    tags = [{"Key": "team", "Value": "security"}, {"Key": "bare"}]
    assert listed == [{"ResourceId": ARN, "TagsList": tags}]
    world.call("RemoveTags", ResourceId=ARN, TagsList=[{"Key": "team", "Value": "whatever"}, {"Key": "absent"}])
    assert world.call("ListTags", ResourceIdList=[ARN])["ResourceTagList"][0]["TagsList"] == [{"Key": "bare"}]


def _arn(region: str = "us-east-1", account: str = ACCOUNT, resource: str = "trail/audit") -> str:
    return f"arn:aws:cloudtrail:{region}:{account}:{resource}"


_NO_STORE = "EXAMPLEf-852a-4e8f-8bd1-bcf6cEXAMPLE"
_UUID = "0f14d0ab-9605-4a62-a9e4-5ed26688389b"


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("audit", "CloudTrailARNInvalidException"),
        (_arn(resource="trail/a"), "CloudTrailARNInvalidException"),
        (_arn().replace("arn:aws:", "arn:aws-cn:"), "CloudTrailARNInvalidException"),
        (_arn().replace(":cloudtrail:", ":s3:"), "CloudTrailARNInvalidException"),
        (_arn(region=""), "CloudTrailARNInvalidException"),
        (_arn(region="eu-west-1"), "CloudTrailARNInvalidException"),
        (_arn(account=OTHER), "CloudTrailARNInvalidException"),
        (_arn(resource="trail/nobody"), "ResourceNotFoundException"),
        (_arn(resource=f"eventdatastore/{_NO_STORE}"), "EventDataStoreARNInvalidException"),
        (_arn(resource=f"eventdatastore/{_UUID}"), "EventDataStoreNotFoundException"),
        (_arn(resource="channel/01234567890"), "ChannelARNInvalidException"),
        (_arn(resource=f"channel/{_UUID}"), "ChannelNotFoundException"),
        (_arn(resource="dashboard/nobody"), "ResourceNotFoundException"),
        (_arn(resource="query/nobody"), "ResourceTypeNotSupportedException"),
    ],
)
def test_tags_refuse_what_is_no_trail_of_the_region(world: World, arn: str, code: str) -> None:
    """Each thing that is no trail of the caller's account and region has its own refusal, whatever is asked."""
    world.create()
    one = [{"Key": "one"}]
    assert refusal(world, "AddTags", ResourceId=arn, TagsList=one)[0] == code
    assert refusal(world, "RemoveTags", ResourceId=arn, TagsList=one)[0] == code
    unlisted = {"ChannelNotFoundException": "ResourceNotFoundException"}.get(code, code)
    assert refusal(world, "ListTags", ResourceIdList=[ARN, arn])[0] == unlisted


def test_tags_of_another_region_are_refused_in_cloudtrails_words(world: World) -> None:
    """The region that was asked is the one that can be; another account's trail is not to be asked for."""
    world.create(IsMultiRegionTrail=True)
    wrong = "Region in ARN is wrong, you can only access resources in region eu-west-1."
    refused = refusal(world, "ListTags", region="eu-west-1", ResourceIdList=[ARN])
    assert refused == ("CloudTrailARNInvalidException", wrong)
    refused = refusal(world, "ListTags", account_id=OTHER, ResourceIdList=[ARN])
    assert refused[1] == "You must specify an ARN that the caller account can access."


def test_tags_have_limits(world: World) -> None:
    """Fifty tags per trail, one value per key, one to twenty trails per ListTags."""
    world.create(TagsList=[{"Key": f"k{n}"} for n in range(50)])
    assert refusal(world, "AddTags", ResourceId=ARN, TagsList=[{"Key": "one"}])[0] == "TagsLimitExceededException"
    twice = [{"Key": "k1"}, {"Key": "k1"}]
    for operation in ("AddTags", "RemoveTags"):
        assert refusal(world, operation, ResourceId=ARN, TagsList=twice)[0] == "InvalidTagParameterException"
    for count in (0, 21):
        assert refusal(world, "ListTags", ResourceIdList=[ARN] * count)[0] == "ValidationException"
    assert len(world.call("ListTags", ResourceIdList=[ARN] * 20)["ResourceTagList"]) == 20
    assert refusal(world, "ListTags", ResourceIdList=[ARN], NextToken="x")[0] == "InvalidTokenException"
