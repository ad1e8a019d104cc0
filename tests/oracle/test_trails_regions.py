"""Trails of one region and of all, on a running OpenTrail: which calls each one's bucket holds, before and after a
change from one kind to the other.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, delivered, running, trail_policy

ACCOUNT = "123456789012"
EAST, IRELAND, MUMBAI = "us-east-1", "eu-west-1", "ap-south-1"
TRAILS = {"east": EAST, "ireland": IRELAND, "wide": IRELAND}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running OpenTrail with a trail of each of two regions, and one of all regions."""
    with running(tmp_path_factory.mktemp("regions") / "home") as gateway:
        s3 = gateway.client("s3")
        for name, region in TRAILS.items():
            s3.create_bucket(Bucket=f"logs-{name}")
            s3.put_bucket_policy(Bucket=f"logs-{name}", Policy=trail_policy(f"logs-{name}", ACCOUNT, name, region))
            cloudtrail = _in(gateway, region)
            cloudtrail.create_trail(Name=name, S3BucketName=f"logs-{name}", IsMultiRegionTrail=name == "wide")
            cloudtrail.start_logging(Name=name)
        yield gateway


def _in(gateway: Gateway, region: str) -> Any:
    return gateway.client("cloudtrail", region_name=region)


def _call_everywhere(gateway: Gateway) -> dict[str, str]:
    """A call in each region and one of a global service: what it is, by its request id; the last is in every trail."""
    answers = {region: _in(gateway, region).list_trails() for region in (EAST, IRELAND, MUMBAI)}
    answers["global"] = gateway.client("iam").list_users()
    return {answer["ResponseMetadata"]["RequestId"]: name for name, answer in answers.items()}


def _kept(gateway: Gateway, trail: str, wanted: dict[str, str], ends: tuple[str, ...]) -> set[str]:
    """Which of the calls a trail's bucket holds, once it holds a later call of each region that it records."""
    last = {_in(gateway, region).list_trails()["ResponseMetadata"]["RequestId"] for region in ends}
    deadline = time.monotonic() + 180
    while True:
        held = {record.get("requestID") for record in delivered(gateway.client("s3"), f"logs-{trail}")}
        if last <= held:
            return {name for request_id, name in wanted.items() if request_id in held}
        assert time.monotonic() < deadline, f"waited for the last calls in {trail}"
        time.sleep(0.5)


def test_each_trail_keeps_the_calls_of_its_regions(gateway: Gateway) -> None:
    """One region's trail keeps its calls, those of global services in us-east-1 only; that of all regions keeps all."""
    calls = _call_everywhere(gateway)
    assert _kept(gateway, "east", calls, (EAST,)) == {EAST, "global"}
    assert _kept(gateway, "ireland", calls, (IRELAND,)) == {IRELAND}
    assert _kept(gateway, "wide", calls, (EAST, IRELAND, MUMBAI)) == {EAST, IRELAND, MUMBAI, "global"}


def test_trails_change_kind_while_they_log(gateway: Gateway) -> None:
    """From all regions to one the shadows and the global events go; from one to all both come."""
    east, ireland = _in(gateway, EAST), _in(gateway, IRELAND)
    narrowed = ireland.update_trail(Name="wide", IsMultiRegionTrail=False)
    assert (narrowed["IsMultiRegionTrail"], narrowed["IncludeGlobalServiceEvents"]) == (False, False)
    widened = east.update_trail(Name="east", IsMultiRegionTrail=True)
    assert (widened["IsMultiRegionTrail"], widened["IncludeGlobalServiceEvents"]) == (True, True)
    assert [trail["Name"] for trail in east.describe_trails()["trailList"]] == ["east"]
    assert [trail["Name"] for trail in _in(gateway, MUMBAI).describe_trails()["trailList"]] == ["east"]
    assert [trail["Name"] for trail in ireland.describe_trails()["trailList"]] == ["east", "ireland", "wide"]
    calls = _call_everywhere(gateway)
    assert _kept(gateway, "wide", calls, (IRELAND,)) == {IRELAND}
    assert _kept(gateway, "east", calls, (EAST, IRELAND, MUMBAI)) == {EAST, IRELAND, MUMBAI, "global"}


def test_the_aws_cli_puts_and_shows_insights_and_aggregation(gateway: Gateway) -> None:
    """The unmodified AWS CLI, as the documentation shows it; the records hold what was asked for."""

    def run(*arguments: str) -> Any:
        done = gateway.cli("cloudtrail", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    arn = f"arn:aws:cloudtrail:{EAST}:{ACCOUNT}:trail/east"
    objects = [{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::data/"]}]}]
    run("put-event-selectors", "--trail-name", "east", "--event-selectors", json.dumps(objects))
    insights = [
        {"InsightType": "ApiCallRateInsight", "EventCategories": ["Data"]},
        {"InsightType": "ApiErrorRateInsight", "EventCategories": ["Data", "Management"]},
    ]
    shown = {"TrailARN": arn, "InsightSelectors": insights}
    assert run("put-insight-selectors", "--trail-name", "east", "--insight-selectors", json.dumps(insights)) == shown
    assert run("get-insight-selectors", "--trail-name", arn, "--region", MUMBAI) == shown
    summaries = [{"EventCategory": "Data", "Templates": ["API_ACTIVITY", "RESOURCE_ACCESS"]}]
    put = ("put-event-configuration", "--trail-name", "east", "--aggregation-configurations", json.dumps(summaries))
    shown = {"TrailARN": arn, "AggregationConfigurations": summaries}
    assert run(*put) == shown
    assert run("get-event-configuration", "--trail-name", "east") == shown
    assert run("get-trail", "--name", "east")["Trail"]["HasInsightSelectors"] is True
    deadline = time.monotonic() + 180
    while True:
        records = {record["eventName"]: record for record in delivered(gateway.client("s3"), "logs-east")}
        if "PutEventConfiguration" in records:
            break
        assert time.monotonic() < deadline, sorted(records)
        time.sleep(0.5)
    told = records["PutInsightSelectors"]["requestParameters"]["insightSelectors"]
    assert told[0] == {"insightType": "ApiCallRateInsight", "eventCategories": ["Data"]}
    told = records["PutEventConfiguration"]["responseElements"]["aggregationConfigurations"]
    assert told == [{"eventCategory": "Data", "templates": ["API_ACTIVITY", "RESOURCE_ACCESS"]}]
