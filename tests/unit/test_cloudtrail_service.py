"""CloudTrail's trail operations, as handlers over a real state database and an object store in memory."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opentrail.clock import SystemEntropy
from opentrail.delivery.keyring import Keyring
from opentrail.errors import ApiError, OutboundError
from opentrail.events.call import Call
from opentrail.identity.directory import Directory
from opentrail.identity.policy import Policy, parse
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.organizations.store import Organizations
from opentrail.services.cloudtrail import trail_descriptions
from opentrail.services.cloudtrail.service import CloudTrailService
from opentrail.services.cloudtrail.trail_keys import TrailKeys
from opentrail.services.operation import handlers_of
from opentrail.state.database import Database, Unit
from opentrail.state.sealing import Seal
from opentrail.trails.bucket_access import BucketPolicyMode
from opentrail.trails.log_groups import LogGroups, NoLogGroups
from opentrail.trails.notification import Notification, Publisher
from opentrail.trails.store import DeliveryStatus, DigestStatus, Trails
from opentrail.trails.trail import Trail
from tests.support.key_commits import KeyCommits
from tests.support.memory_store import MemoryObjectStore

ACCOUNT = "123456789012"
OTHER = "210987654321"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/audit"
OPEN_POLICY = parse(
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},'
    '"Action":["s3:GetBucketAcl","s3:PutObject"],"Resource":["arn:aws:s3:::logs-bucket","arn:aws:s3:::logs-bucket/*"]}]}'
)


class StoppedClock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class OneBucketPolicy:
    """What is known of buckets: one owner and one policy for all."""

    def __init__(self) -> None:
        self.known: Policy | None = OPEN_POLICY

    def owner(self, name: str) -> str | None:
        return ACCOUNT

    def policy(self, name: str) -> Policy | None:
        return self.known


class World:
    """The service with everything behind it, and a caller."""

    def __init__(self, mode: BucketPolicyMode = BucketPolicyMode.CHECK) -> None:
        self.database = Database(None)
        self.database.create_tables()
        self.organizations = Organizations(self.database)
        self.trails = Trails(self.database, self.organizations)
        self.store = MemoryObjectStore("logs-bucket", "second-bucket")
        self.buckets = OneBucketPolicy()
        self.clock = StoppedClock()
        seal = Seal(bytes(32), SystemEntropy())
        self.keyring = Keyring(self.database, seal, self.clock, KeyCommits(self.database))
        self.directory = Directory(self.database, seal)
        self.log_groups: LogGroups = NoLogGroups()
        self._mode = mode
        self.serve()

    def serve(self, publisher: Publisher | None = None) -> None:
        """Serve, with a way to topics or without one."""
        self.handlers = handlers_of(
            CloudTrailService(
                trails=self.trails,
                organizations=self.organizations,
                buckets=self.buckets,
                store=self.store,
                keys=self.keyring,
                clock=self.clock,
                entropy=SystemEntropy(),
                mode=self._mode,
                publisher=publisher,
                trail_keys=self.trail_keys(),
                identities=self.directory,
                log_groups=self.log_groups,
            )
        )

    def trail_keys(self) -> TrailKeys | None:
        """What the service knows of KMS keys: nothing, where a test does not say otherwise."""
        return None

    def call(
        self, operation: str, *, account_id: str = ACCOUNT, region: str = "us-east-1", **request: Any
    ) -> Mapping[str, Any]:
        """Carry an operation out as the dispatcher would."""
        handler = self.handlers[operation]
        call = Call(
            request_id="r",
            received_at=NOW,
            account_id=account_id,
            region=region,
            principal=Principal(PrincipalType.ROOT, account_id=account_id),
            event_source="cloudtrail.amazonaws.com",
            event_name=operation,
            read_only=not handler.writes,
        )
        if not handler.writes:
            return handler.method(call, request)
        with self.database.unit() as unit:
            return handler.method(call, request, unit)

    def create(self, name: str = "audit", **settings: Any) -> Mapping[str, Any]:
        """Create a trail into logs-bucket."""
        return self.call("CreateTrail", **{"Name": name, "S3BucketName": "logs-bucket", **settings})

    def only_trail(self) -> Trail:
        """The one trail that there is."""
        (trail,) = self.trails.snapshot.every()
        return trail


@pytest.fixture
def world() -> World:
    """A world without trails."""
    return World()


def refusal(world: World, operation: str, **request: Any) -> tuple[str, str]:
    """Code and message of the refusal that a call must meet; nothing may have changed."""
    before = world.trails.snapshot.every()
    with pytest.raises(ApiError) as refused:
        world.call(operation, **request)
    assert world.trails.snapshot.every() == before
    return refused.value.code, refused.value.message


def test_create_trail_answers_its_settings_and_does_not_log(world: World) -> None:
    """CreateTrail answers the trail's settings with defaults, leaves the marker object, and the trail does not log."""
    assert world.create(S3KeyPrefix="org") == {
        "Name": "audit",
        "S3BucketName": "logs-bucket",
        "S3KeyPrefix": "org",
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": False,
        "TrailARN": ARN,
        "LogFileValidationEnabled": False,
        "IsOrganizationTrail": False,
        "RecursiveLogging": False,
    }
    assert world.call("GetTrailStatus", Name="audit")["IsLogging"] is False
    marker = world.store.buckets["logs-bucket"][f"org/AWSLogs/{ACCOUNT}/CloudTrail/"]
    assert (marker.body, marker.acl) == (b"", "bucket-owner-full-control")
    assert (marker.head.content_type, marker.head.content_encoding) == ("application/json", "gzip")
    assert marker.head.server_side_encryption == "AES256"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"Name": "a"}, "InvalidTrailNameException"),
        ({"Name": ARN}, "InvalidTrailNameException"),
        ({"S3BucketName": "NO"}, "InvalidS3BucketNameException"),
        ({"S3BucketName": "no-such-bucket"}, "S3BucketDoesNotExistException"),
        ({"S3KeyPrefix": "x" * 201}, "InvalidS3PrefixException"),
        ({"IsMultiRegionTrail": True, "IncludeGlobalServiceEvents": False}, "InvalidParameterCombinationException"),
        ({"IsOrganizationTrail": True}, "OrganizationsNotInUseException"),
        ({"SnsTopicName": "no-such-topic"}, "InsufficientSnsTopicPolicyException"),
        ({"SnsTopicName": "topic.fifo"}, "InvalidSnsTopicNameException"),
        ({"SnsTopicName": "arn:aws:sqs:us-east-1:123456789012:queue"}, "InvalidSnsTopicNameException"),
        ({"SnsTopicName": "x" * 257}, "InvalidSnsTopicNameException"),
        ({"KmsKeyId": "alias/key"}, "UnsupportedOperationException"),
        ({"CloudWatchLogsRoleArn": "arn:aws:iam::1:role/r"}, "InvalidCloudWatchLogsLogGroupArnException"),
        ({"RecursiveLogging": True}, "UnsupportedOperationException"),
        ({"TagsList": [{"Key": "a"}, {"Key": "a"}]}, "InvalidTagParameterException"),
        ({"TagsList": [{"Key": "aws:a"}]}, "InvalidTagParameterException"),
        ({"TagsList": [{"Key": f"k{n}"} for n in range(51)]}, "TagsLimitExceededException"),
    ],
)
def test_create_trail_refuses_what_it_cannot_do(world: World, settings: dict[str, Any], code: str) -> None:
    """Every wrong or unavailable setting is refused with its modelled code, and neither trail nor marker is left."""
    request = {"Name": "audit", "S3BucketName": "logs-bucket", **settings}
    assert refusal(world, "CreateTrail", **request)[0] == code
    assert world.store.puts == []


def test_settings_that_are_off_are_no_refusal(world: World) -> None:
    """Unavailable settings that are off or empty pass, because they change nothing."""
    off: dict[str, Any] = {"EnableLogFileValidation": False, "IsOrganizationTrail": False, "RecursiveLogging": False}
    world.create(SnsTopicName="", KmsKeyId="", S3KeyPrefix="", **off)


class Topics:
    """A publisher that notes down what it is given, or refuses."""

    def __init__(self) -> None:
        self.told: list[Notification] = []
        self.problem: OutboundError | None = None

    def publish(self, unit: Unit, notification: Notification) -> None:
        if self.problem is not None:
            raise self.problem
        self.told.append(notification)


def test_a_topic_is_validated_shown_changed_and_cleared() -> None:
    """A name means the trail's account and region; each topic that is set gets the validation message."""
    world, topics = World(), Topics()
    world.serve(topics)
    logs = f"arn:aws:sns:us-east-1:{ACCOUNT}:logs"
    other = f"arn:aws:sns:eu-west-1:{OTHER}:other"
    created = world.create(SnsTopicName="logs")
    assert (created["SnsTopicName"], created["SnsTopicARN"]) == ("logs", logs)
    assert world.call("UpdateTrail", Name="audit", S3KeyPrefix="p")["SnsTopicARN"] == logs
    world.call("UpdateTrail", Name="audit", SnsTopicName=other)
    shown = world.call("GetTrail", Name="audit")["Trail"]
    assert (shown["SnsTopicName"], shown["SnsTopicARN"]) == ("other", other)
    text = "CloudTrail validation message."
    assert topics.told == [Notification(logs, text, ARN), Notification(other, text, ARN)]
    assert "SnsTopicARN" not in world.call("UpdateTrail", Name="audit", SnsTopicName="")
    assert world.only_trail().sns_topic_arn is None


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AuthorizationError", "InsufficientSnsTopicPolicyException"),
        ("NotFound", "InsufficientSnsTopicPolicyException"),
        ("RequestTimeout", "ServiceUnavailable"),
    ],
)
def test_a_topic_that_cannot_be_told_changes_nothing(code: str, told: str) -> None:
    """Neither with CreateTrail nor with UpdateTrail."""
    world, topics = World(), Topics()
    world.serve(topics)
    world.create()
    topics.problem = OutboundError(code, "no")
    assert refusal(world, "UpdateTrail", Name="audit", SnsTopicName="logs")[0] == told
    assert refusal(world, "CreateTrail", Name="second", S3BucketName="logs-bucket", SnsTopicName="logs")[0] == told


def test_the_status_says_how_the_topic_was_told(world: World) -> None:
    """Time and error of the last notification, beside those of the last delivery."""
    world.create()
    trail_id = world.only_trail().trail_id
    with world.database.unit() as unit:
        told = DeliveryStatus().delivered(NOW).failed(NOW + timedelta(seconds=5), "AuthorizationError")
        world.trails.put_notification_status(unit, trail_id, told)
    status = world.call("GetTrailStatus", Name="audit")
    assert (status["LatestNotificationTime"], status["LatestNotificationError"]) == (NOW, "AuthorizationError")
    assert status["LatestNotificationAttemptTime"] == "2026-11-23T12:00:05Z"
    assert status["LatestNotificationAttemptSucceeded"] == "2026-11-23T12:00:00Z"
    assert "LatestDeliveryTime" not in status


def test_a_missing_bucket_has_cloudtrails_message(world: World) -> None:
    """The message for a bucket that does not exist is CloudTrail's."""
    refused = refusal(world, "CreateTrail", Name="audit", S3BucketName="no-such-bucket")
    assert refused == ("S3BucketDoesNotExistException", "S3 bucket no-such-bucket does not exist!")


def test_an_insufficient_policy_is_refused_by_name(world: World) -> None:
    """Without the policy statements the trail is refused, and the message names what is missing."""
    world.buckets.known = None
    code, message = refusal(world, "CreateTrail", Name="audit", S3BucketName="logs-bucket")
    assert code == "InsufficientS3BucketPolicyException"
    assert message.startswith("Incorrect S3 bucket policy is detected for bucket: logs-bucket")
    assert "s3:PutObject" in message


def test_mode_trust_needs_no_policy_on_own_buckets() -> None:
    """In mode trust a bucket of the own account is accepted without a policy."""
    world = World(BucketPolicyMode.TRUST)
    world.buckets.known = None
    world.create()


def test_an_unreachable_bucket_is_said_to_be_unreachable(world: World) -> None:
    """When the bucket's server does not answer, the caller hears 503, and the trail is not created."""
    world.store.outage = OutboundError("ConnectionError", "refused")
    with pytest.raises(ApiError) as refused:
        world.create()
    assert (refused.value.code, refused.value.status) == ("ServiceUnavailable", 503)
    assert world.trails.snapshot.every() == ()


def test_a_taken_name_is_refused(world: World) -> None:
    """A second trail of the name is refused in the region, and in every region if either is multi-region."""
    world.create(IsMultiRegionTrail=True)
    request = {"Name": "audit", "S3BucketName": "logs-bucket"}
    assert refusal(world, "CreateTrail", **request)[0] == "TrailAlreadyExistsException"
    assert refusal(world, "CreateTrail", region="eu-west-1", **request)[0] == "TrailAlreadyExistsException"
    world.call("CreateTrail", account_id=OTHER, **request)


def test_the_sixth_trail_of_a_region_is_refused(world: World) -> None:
    """Five trails per region, multi-region trails counting everywhere."""
    world.call("CreateTrail", region="eu-west-1", Name="wide", S3BucketName="logs-bucket", IsMultiRegionTrail=True)
    for number in range(4):
        world.create(f"trail{number}")
    code, _ = refusal(world, "CreateTrail", Name="sixth", S3BucketName="logs-bucket")
    assert code == "MaximumNumberOfTrailsExceededException"


def test_start_and_stop_are_idempotent_and_shown_in_the_status(world: World) -> None:
    """StartLogging and StopLogging take effect once; the status shows times, and texts in the legacy fields."""
    world.create()
    world.call("StartLogging", Name="audit")
    world.clock.at += timedelta(minutes=1)
    world.call("StartLogging", Name=ARN)
    status = world.call("GetTrailStatus", Name=ARN)
    assert status == {
        "IsLogging": True,
        "StartLoggingTime": NOW,
        "LatestDeliveryAttemptTime": "",
        "LatestDeliveryAttemptSucceeded": "",
        "LatestNotificationAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
        "TimeLoggingStarted": "2026-11-23T12:00:00Z",
        "TimeLoggingStopped": "",
    }
    world.call("StopLogging", Name="audit")
    world.clock.at += timedelta(minutes=1)
    world.call("StopLogging", Name="audit")
    status = world.call("GetTrailStatus", Name="audit")
    assert (status["IsLogging"], status["StopLoggingTime"]) == (False, NOW + timedelta(minutes=1))


def test_the_status_shows_delivery(world: World) -> None:
    """Last delivery, last attempt and its error code come from the courier's status."""
    world.create()
    trail_id = world.only_trail().trail_id
    with world.database.unit() as unit:
        failed = DeliveryStatus().delivered(NOW).failed(NOW + timedelta(minutes=5), "AccessDenied")
        world.trails.put_delivery_status(unit, trail_id, failed)
    status = world.call("GetTrailStatus", Name="audit")
    assert (status["LatestDeliveryTime"], status["LatestDeliveryError"]) == (NOW, "AccessDenied")
    assert status["LatestDeliveryAttemptTime"] == "2026-11-23T12:05:00Z"
    assert status["LatestDeliveryAttemptSucceeded"] == "2026-11-23T12:00:00Z"


def test_unknown_trails_are_named_as_cloudtrail_names_them(world: World) -> None:
    """The message shows the ARN that a name stands for, and for GetTrail the name itself."""
    for operation in ("StartLogging", "StopLogging", "GetTrailStatus", "UpdateTrail", "DeleteTrail"):
        expected = ("TrailNotFoundException", f"Unknown trail: {ARN} for the user: {ACCOUNT}")
        assert refusal(world, operation, Name="audit") == expected
    expected = ("TrailNotFoundException", f"Unknown trail: audit for the user: {ACCOUNT}")
    assert refusal(world, "GetTrail", Name="audit") == expected


def test_another_accounts_trail_does_not_exist(world: World) -> None:
    """An account cannot see, change or delete another's trail, even by ARN."""
    world.create()
    for operation in ("GetTrail", "GetTrailStatus", "StartLogging", "StopLogging", "DeleteTrail", "UpdateTrail"):
        assert refusal(world, operation, account_id=OTHER, Name=ARN)[0] == "TrailNotFoundException"
    assert world.call("DescribeTrails", account_id=OTHER, trailNameList=[ARN]) == {"trailList": []}
    assert world.call("ListTrails", account_id=OTHER) == {"Trails": []}


def test_shadow_trails_are_seen_but_not_changed(world: World) -> None:
    """In another region a multi-region trail is seen by its ARN, and changing it raises InvalidHomeRegionException."""
    world.create(IsMultiRegionTrail=True)
    assert world.call("GetTrail", region="eu-west-1", Name=ARN)["Trail"]["HomeRegion"] == "us-east-1"
    assert world.call("GetTrailStatus", region="eu-west-1", Name=ARN)["IsLogging"] is False
    here = ARN.replace("us-east-1", "eu-west-1")
    for operation in ("GetTrailStatus", "GetEventSelectors"):
        member = "Name" if operation == "GetTrailStatus" else "TrailName"
        refused = refusal(world, operation, region="eu-west-1", **{member: "audit"})
        assert refused == ("TrailNotFoundException", f"Unknown trail: {here} for the user: {ACCOUNT}")
    for operation in ("StartLogging", "StopLogging", "DeleteTrail", "UpdateTrail"):
        for name in ("audit", ARN):
            assert refusal(world, operation, region="eu-west-1", Name=name)[0] == "InvalidHomeRegionException"


def test_describe_trails_shows_the_region_and_its_shadows(world: World) -> None:
    """DescribeTrails shows the region's trails and shadows, drops unknown names, and refuses malformed ones."""
    world.create("wide", IsMultiRegionTrail=True)
    world.call("CreateTrail", region="eu-west-1", Name="ireland", S3BucketName="logs-bucket")

    def names(**request: Any) -> list[str]:
        return [trail["Name"] for trail in world.call("DescribeTrails", **request)["trailList"]]

    assert names(region="eu-west-1") == ["ireland", "wide"]
    assert names(region="eu-west-1", includeShadowTrails=False) == ["ireland"]
    assert names() == ["wide"]
    assert names(trailNameList=["wide", "nobody", "ireland", "wide"]) == ["wide"]
    assert names(region="eu-west-1", trailNameList=["wide", "ireland"]) == ["ireland"]
    wide = ARN.replace("audit", "wide")
    assert names(region="eu-west-1", trailNameList=["ireland", wide]) == ["ireland", "wide"]
    assert names(region="eu-west-1", trailNameList=["ireland", wide], includeShadowTrails=False) == ["ireland"]
    assert names(trailNameList=[ARN.replace("us-east-1", "eu-west-1").replace("audit", "ireland")]) == ["ireland"]
    assert refusal(world, "DescribeTrails", trailNameList=["x"])[0] == "InvalidTrailNameException"
    assert refusal(world, "DescribeTrails", trailNameList=["arn:x"])[0] == "CloudTrailARNInvalidException"


def test_a_described_trail_has_its_whole_structure(world: World) -> None:
    """GetTrail and DescribeTrails show the same structure, without optional texts that are not set."""
    world.create()
    described = world.call("GetTrail", Name="audit")["Trail"]
    assert world.call("DescribeTrails")["trailList"] == [described]
    assert (described["HomeRegion"], described["HasCustomEventSelectors"]) == ("us-east-1", False)
    assert "S3KeyPrefix" not in described


def test_list_trails_covers_all_regions(world: World) -> None:
    """ListTrails names every trail of the account with ARN and home region; a token it never gave is refused."""
    world.create()
    world.call("CreateTrail", region="eu-west-1", Name="ireland", S3BucketName="logs-bucket")
    listed = world.call("ListTrails", region="ap-south-1")["Trails"]
    assert listed[0] == {"TrailARN": ARN, "Name": "audit", "HomeRegion": "us-east-1"}
    assert len(listed) == 2
    for token in ("forged", "\u00e9", "Zm9yZ2Vk"):
        assert refusal(world, "ListTrails", NextToken=token)[0] == "InvalidNextTokenException"


def test_list_trails_goes_on_where_a_page_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are full, the last one has no token, and no trail is lost or shown twice, also when one is deleted."""
    monkeypatch.setattr(trail_descriptions, "PAGE", 2)
    for region in ("us-east-1", "eu-west-1", "ap-south-1"):
        for name in ("one", "two"):
            world.call("CreateTrail", region=region, Name=name, S3BucketName="logs-bucket")
    first = world.call("ListTrails")
    assert [(t["Name"], t["HomeRegion"]) for t in first["Trails"]] == [("one", "ap-south-1"), ("one", "eu-west-1")]
    world.call("DeleteTrail", region="eu-west-1", Name="one")
    second = world.call("ListTrails", NextToken=first["NextToken"])
    assert [(t["Name"], t["HomeRegion"]) for t in second["Trails"]] == [("one", "us-east-1"), ("two", "ap-south-1")]
    last = world.call("ListTrails", NextToken=second["NextToken"])
    assert [(t["Name"], t["HomeRegion"]) for t in last["Trails"]] == [("two", "eu-west-1"), ("two", "us-east-1")]
    assert "NextToken" not in last


def test_update_trail_changes_what_is_given_only(world: World) -> None:
    """Absent members keep their value, an empty prefix clears it, and the new destination gets its marker."""
    world.create(S3KeyPrefix="org")
    world.call("StartLogging", Name="audit")
    updated = world.call("UpdateTrail", Name="audit", S3KeyPrefix="")
    assert "S3KeyPrefix" not in updated
    assert updated["S3BucketName"] == "logs-bucket"
    assert world.only_trail().is_logging
    assert f"AWSLogs/{ACCOUNT}/CloudTrail/" in world.store.buckets["logs-bucket"]
    assert refusal(world, "UpdateTrail", Name="audit", S3BucketName="second-bucket")[0] == (
        "InsufficientS3BucketPolicyException"
    )


def test_update_trail_keeps_the_rules_of_regions(world: World) -> None:
    """Global events belong to multi-region trails, and a name taken elsewhere forbids becoming one."""
    world.create()
    world.call("UpdateTrail", Name="audit", IsMultiRegionTrail=True)
    code, _ = refusal(world, "UpdateTrail", Name="audit", IncludeGlobalServiceEvents=False)
    assert code == "InvalidParameterCombinationException"
    single = world.call("UpdateTrail", Name="audit", IsMultiRegionTrail=False)
    assert single["IncludeGlobalServiceEvents"] is False
    world.call("CreateTrail", region="eu-west-1", Name="audit", S3BucketName="logs-bucket")
    wide = {"IsMultiRegionTrail": True, "IncludeGlobalServiceEvents": True}
    assert refusal(world, "UpdateTrail", Name="audit", **wide)[0] == "ConflictException"


def test_update_trail_refuses_what_is_unavailable(world: World) -> None:
    """UpdateTrail refuses unavailable settings like CreateTrail."""
    world.create()
    assert refusal(world, "UpdateTrail", Name="audit", KmsKeyId="alias/key")[0] == "UnsupportedOperationException"


def test_validation_is_on_where_it_is_asked_for_and_leaves_its_marker(world: World) -> None:
    """EnableLogFileValidation in, LogFileValidationEnabled out; digest files get a marker object of their own."""
    assert world.create(EnableLogFileValidation=True)["LogFileValidationEnabled"] is True
    assert world.call("GetTrail", Name="audit")["Trail"]["LogFileValidationEnabled"] is True
    root = f"AWSLogs/{ACCOUNT}/"
    assert list(world.store.buckets["logs-bucket"]) == [f"{root}CloudTrail/", f"{root}CloudTrail-Digest/"]


def test_update_trail_turns_validation_on_and_off(world: World) -> None:
    """Absent it stays as it is; turned on, the destination is checked first; on again, it goes on as it was."""
    world.create()
    assert f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/" not in world.store.buckets["logs-bucket"]
    world.buckets.known = None
    refused = refusal(world, "UpdateTrail", Name="audit", EnableLogFileValidation=True)
    assert refused[0] == "InsufficientS3BucketPolicyException"
    world.buckets.known = OPEN_POLICY
    assert world.call("UpdateTrail", Name="audit", EnableLogFileValidation=True)["LogFileValidationEnabled"] is True
    assert f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/" in world.store.buckets["logs-bucket"]
    world.clock.at += timedelta(hours=1)
    unchanged: tuple[dict[str, Any], ...] = ({}, {"EnableLogFileValidation": True})
    for again in unchanged:
        assert world.call("UpdateTrail", Name="audit", **again)["LogFileValidationEnabled"] is True
    assert world.only_trail().validated_since == NOW
    off = world.call("UpdateTrail", Name="audit", EnableLogFileValidation=False)
    assert off["LogFileValidationEnabled"] is False


def test_the_status_shows_the_delivery_of_digests(world: World) -> None:
    """Absent until it happened once; an error's code stands beside the last success."""
    world.create()
    assert not any("Digest" in member for member in world.call("GetTrailStatus", Name="audit"))
    with world.database.unit() as unit:
        world.trails.put_digest_status(unit, world.only_trail().trail_id, DigestStatus(NOW, "NoSuchBucket"))
    status = world.call("GetTrailStatus", Name="audit")
    assert (status["LatestDigestDeliveryTime"], status["LatestDigestDeliveryError"]) == (NOW, "NoSuchBucket")


def test_public_keys_are_listed_by_region_and_time(world: World) -> None:
    """Now where no time is given; keys of other regions and times stay out; any account may ask."""
    assert world.call("ListPublicKeys") == {"PublicKeyList": []}
    here = world.keyring.signer("us-east-1", NOW)
    world.keyring.signer("eu-west-1", NOW)
    (listed,) = world.call("ListPublicKeys", account_id=OTHER)["PublicKeyList"]
    assert listed["Fingerprint"] == here.fingerprint
    assert (listed["ValidityStartTime"], listed["ValidityEndTime"]) == (NOW, NOW + timedelta(days=30))
    assert len(listed["Value"]) == 270
    for start, end, count in ((-2, -1, 0), (-1, 0, 1), (5, 6, 1), (30, 99, 1), (31, 99, 0)):
        times: dict[str, Any] = {"StartTime": NOW + timedelta(days=start), "EndTime": NOW + timedelta(days=end)}
        assert len(world.call("ListPublicKeys", **times)["PublicKeyList"]) == count, (start, end)


def test_public_keys_refuse_turned_times_and_strange_tokens(world: World) -> None:
    """The start must not be after the end, which is now where it is not given; no answer has a second page."""
    later = NOW + timedelta(seconds=1)
    for times in ({"StartTime": later, "EndTime": NOW}, {"StartTime": later}, {"EndTime": NOW - timedelta(days=1)}):
        assert refusal(world, "ListPublicKeys", **times)[0] == "InvalidTimeRangeException"
    assert refusal(world, "ListPublicKeys", NextToken="x")[0] == "InvalidTokenException"


def test_a_deleted_trail_frees_its_name(world: World) -> None:
    """After DeleteTrail the trail is unknown and another may take its name, with another id."""
    world.create()
    first = world.only_trail().trail_id
    world.call("DeleteTrail", Name="audit")
    assert refusal(world, "GetTrail", Name="audit")[0] == "TrailNotFoundException"
    world.create()
    assert world.trails.snapshot.of(ACCOUNT)[0].trail_id != first
