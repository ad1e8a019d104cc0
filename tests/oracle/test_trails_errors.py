"""Every refusal of the trail operations, met by boto3 on a running OpenTrail, and found again in its log files."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.oracle.trail_error_row import ACCOUNT, BROKEN, CLOSED, FULL, HOME, IRELAND, LOGS, NEW, Row, arn
from tests.oracle.trail_errors import ROWS
from tests.support.gateway import Gateway, delivered, running

SERVICE = {"Service": "cloudtrail.amazonaws.com"}
INSIGHTS = [{"InsightType": "ApiErrorRateInsight"}]
SUMMARY = [{"EventCategory": "Data", "Templates": ["USER_ACTIONS"]}]


@dataclass(frozen=True)
class Outcome:
    """What came of a row: the refusal, and whether everything that it must keep was as before."""

    code: str
    message: str
    request_id: str
    kept: bool


class World:
    """A running OpenTrail with the trails, keys and topics that the rows name."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._clients: dict[str, Any] = {}
        self.names: dict[str, str] = {}

    def trails(self, region: str) -> Any:
        """CloudTrail in a region, through a client that lets every request out."""
        if region not in self._clients:
            options = {"region_name": region, "config": Config(parameter_validation=False)}
            self._clients[region] = self.gateway.client("cloudtrail", **options)
        return self._clients[region]

    def build(self) -> None:
        """Buckets, keys, a topic, trails; then some of it is taken away again."""
        for bucket in (LOGS, "trail-errors-gone", "trail-errors-revoked"):
            self._bucket(bucket)
        self.gateway.client("s3").create_bucket(Bucket=CLOSED)
        topic = self.gateway.client("sns").create_topic(Name="closed-topic")["TopicArn"]
        assert topic.endswith(":closed-topic")
        for name in ("closed_key", "disabled_key"):
            self.names[f"${name}"] = self._key(is_open=name == "disabled_key")
        self._make_trails()
        self._break()

    def _bucket(self, bucket: str) -> None:
        s3 = self.gateway.client("s3")
        s3.create_bucket(Bucket=bucket)
        allowed = {"Effect": "Allow", "Principal": SERVICE, "Action": ["s3:GetBucketAcl", "s3:PutObject"]}
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        document = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": resources}]}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))

    def _key(self, *, is_open: bool) -> str:
        kms = self.gateway.client("kms")
        made: str = kms.create_key()["KeyMetadata"]["Arn"]
        if is_open:
            kms.put_key_policy(KeyId=made, PolicyName="default", Policy=_key_policy(SERVICE))
        return made

    def _make_trails(self) -> None:
        def make(name: str, region: str, **settings: Any) -> None:
            self.trails(region).create_trail(**{"Name": name, "S3BucketName": LOGS, **settings})

        tags = [{"Key": "team", "Value": "audit"}]
        make("keeper", HOME, IsMultiRegionTrail=True)
        self.trails(HOME).start_logging(Name="keeper")
        make("single", HOME, TagsList=tags)
        make("twin", HOME)
        make("twin", IRELAND)
        make("objects", HOME)
        make("ireland", IRELAND)
        for number in range(4):
            make(f"full{number}", FULL)
        make("homeless", BROKEN, S3BucketName="trail-errors-gone")
        make("evicted", BROKEN, S3BucketName="trail-errors-revoked")
        self.names["$revoked_key"] = self._key(is_open=True)
        make("keyless", BROKEN, KmsKeyId=self.names["$revoked_key"])
        make("locked", BROKEN, KmsKeyId=self.names["$disabled_key"])
        home = self.trails(HOME)
        home.put_event_selectors(TrailName="twin", EventSelectors=[{"ReadWriteType": "ReadOnly"}])
        objects = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::data/"]}
        home.put_event_selectors(TrailName="objects", EventSelectors=[{"DataResources": [objects]}])
        home.put_insight_selectors(TrailName="keeper", InsightSelectors=INSIGHTS)
        home.put_event_configuration(TrailName="objects", AggregationConfigurations=SUMMARY)

    def _break(self) -> None:
        s3, kms = self.gateway.client("s3"), self.gateway.client("kms")
        for item in s3.list_objects_v2(Bucket="trail-errors-gone").get("Contents", []):
            s3.delete_object(Bucket="trail-errors-gone", Key=item["Key"])
        s3.delete_bucket(Bucket="trail-errors-gone")
        s3.delete_bucket_policy(Bucket="trail-errors-revoked")
        kms.put_key_policy(KeyId=self.names["$revoked_key"], PolicyName="default", Policy=_key_policy())
        kms.disable_key(KeyId=self.names["$disabled_key"])

    def meet(self, row: Row) -> Outcome:
        """Make a row's call, which must be refused, and look before and after at what it must keep."""
        parameters = {member: self.names.get(value, value) if isinstance(value, str) else value
                      for member, value in row.parameters.items() if value is not None}  # fmt: skip
        before = self._seen(row)
        with pytest.raises(ClientError) as refused:
            getattr(self.trails(row.region), xform_name(row.operation))(**parameters)
        answer: Mapping[str, Any] = refused.value.response
        error = answer["Error"]
        request_id = answer["ResponseMetadata"]["RequestId"]
        return Outcome(error["Code"], error["Message"], request_id, kept=self._seen(row) == before)

    def _seen(self, row: Row) -> list[Any]:
        return [_READERS[kept](self, row) for kept in row.keeps]


def _key_policy(*more: Mapping[str, str]) -> str:
    """A key's policy for its own account, and whoever else may use it."""
    statements = [
        {"Effect": "Allow", "Principal": who, "Action": "kms:*", "Resource": "*"}
        for who in ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, *more)
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _described(world: World, row: Row) -> Any:
    listed = world.trails(HOME).list_trails()["Trails"]
    return (
        listed,
        world.trails(row.region).describe_trails()["trailList"],
        world.trails(HOME).get_trail(Name="single")["Trail"],
    )


def _of(operation: str, *trails: str, member: str = "TrailName") -> Callable[[World, Row], Any]:
    def read(world: World, _row: Row) -> Any:
        found = [getattr(world.trails(HOME), operation)(**{member: trail}) for trail in trails]
        return [{name: value for name, value in one.items() if name != "ResponseMetadata"} for one in found]

    return read


def _logging(world: World, _row: Row) -> Any:
    home = world.trails(HOME)
    return [home.get_trail_status(Name=name)["IsLogging"] for name in ("keeper", "single", "twin")]


def _tags(world: World, _row: Row) -> Any:
    return world.trails(HOME).list_tags(ResourceIdList=[arn("single"), arn("keeper")])["ResourceTagList"]


_READERS: Mapping[str, Callable[[World, Row], Any]] = {
    "trails": _described,
    "selectors": _of("get_event_selectors", "single", "keeper"),
    "insights": _of("get_insight_selectors", "keeper"),
    "configuration": _of("get_event_configuration", "objects", "single"),
    "logging": _logging,
    "tags": _tags,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world that the rows are about."""
    with running(tmp_path_factory.mktemp("trail-errors") / "home") as gateway:
        world = World(gateway)
        world.build()
        yield world


@pytest.fixture(scope="module")
def outcomes(world: World) -> dict[int, Outcome]:
    """What came of each row, by its place in the table."""
    return {number: world.meet(row) for number, row in enumerate(ROWS)}


@pytest.mark.parametrize(("number", "row"), list(enumerate(ROWS)), ids=map(str, ROWS))
def test_the_call_is_refused_and_changes_nothing(outcomes: dict[int, Outcome], number: int, row: Row) -> None:
    """The modelled code, AWS's text where it is known, and everything as before."""
    outcome = outcomes[number]
    assert outcome.code == row.code, outcome.message
    assert row.text is None or outcome.message == row.text
    assert outcome.kept


def test_every_refusal_is_in_the_delivered_log_files(world: World, outcomes: dict[int, Outcome]) -> None:
    """The trail of all regions holds a record of each row: who was refused what, where, and with which words."""
    wanted = {outcome.request_id: number for number, outcome in outcomes.items()}
    deadline = time.monotonic() + 180
    while True:
        records = {record.get("requestID"): record for record in delivered(world.gateway.client("s3"), LOGS)}
        missing = wanted.keys() - records.keys()
        if not missing:
            break
        assert time.monotonic() < deadline, [str(ROWS[wanted[each]]) for each in missing]
        time.sleep(1)
    for request_id, number in wanted.items():
        record, row, outcome = records[request_id], ROWS[number], outcomes[number]
        assert (record["eventName"], record["awsRegion"]) == (row.operation, row.region), row
        assert (record["errorCode"], record["errorMessage"]) == (row.code, outcome.message), row
        assert (record["eventSource"], record["responseElements"]) == ("cloudtrail.amazonaws.com", None), row
        assert record["readOnly"] is row.operation.startswith(("Describe", "Get", "List")), row


def test_a_region_without_a_trail_of_its_own_sees_the_shadow(world: World) -> None:
    """DescribeTrails, GetTrail and GetTrailStatus there show the multi-region trail with the ARN of its home."""
    new = world.trails(NEW)
    (shadow,) = new.describe_trails()["trailList"]
    assert (shadow["TrailARN"], shadow["HomeRegion"]) == (arn("keeper"), HOME)
    assert new.describe_trails(includeShadowTrails=False)["trailList"] == []
    assert new.describe_trails(trailNameList=["keeper"])["trailList"] == []
    assert new.describe_trails(trailNameList=[arn("keeper")])["trailList"] == [shadow]
    assert new.get_trail(Name=arn("keeper"))["Trail"] == shadow
    assert new.get_trail_status(Name=arn("keeper"))["IsLogging"] is True
    assert new.get_event_selectors(TrailName=arn("keeper"))["TrailARN"] == arn("keeper")
    assert new.get_insight_selectors(TrailName=arn("keeper"))["InsightSelectors"] == INSIGHTS
