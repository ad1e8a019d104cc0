"""Insight selectors, event configuration and resource policies, as handlers over a real state database."""

from typing import Any

import pytest

from tests.unit.test_cloudtrail_service import ACCOUNT, ARN, World, refusal

STORE = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:eventdatastore/0f14d0ab-9605-4a62-a9e4-5ed26688389b"
BOTH = [
    {"InsightType": "ApiErrorRateInsight", "EventCategories": ["Management"]},
    {"InsightType": "ApiCallRateInsight"},
]
SUMMARIES = [{"Templates": ["RESOURCE_ACCESS", "API_ACTIVITY"], "EventCategory": "Data"}]
OBJECTS = [{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}]


@pytest.fixture
def world() -> World:
    """A world with one multi-region trail."""
    world = World()
    world.create(IsMultiRegionTrail=True)
    return world


def test_insight_selectors_are_shown_as_they_were_put(world: World) -> None:
    """Put echoes them, Get shows them also in another region by ARN, and the trail's description knows."""
    shown = {"TrailARN": ARN, "InsightSelectors": BOTH}
    assert world.call("PutInsightSelectors", TrailName="audit", InsightSelectors=BOTH) == shown
    assert world.call("GetInsightSelectors", TrailName="audit") == shown
    assert world.call("GetInsightSelectors", region="eu-west-1", TrailName=ARN) == shown
    assert world.call("GetTrail", Name="audit")["Trail"]["HasInsightSelectors"] is True
    world.trails.reload()
    assert world.call("GetInsightSelectors", TrailName=ARN) == shown


def test_an_empty_list_disables_insights(world: World) -> None:
    """Afterwards, as before they were ever put, asking for them is refused in CloudTrail's words."""
    remedy = "Edit the trail settings to enable Insights, and then try the operation again."
    disabled = ("InsightNotEnabledException", f"Trail {ARN} does not have Insights enabled. {remedy}")
    assert refusal(world, "GetInsightSelectors", TrailName="audit") == disabled
    world.call("PutInsightSelectors", TrailName="audit", InsightSelectors=BOTH)
    gone = world.call("PutInsightSelectors", TrailName="audit", InsightSelectors=[])
    assert gone == {"TrailARN": ARN, "InsightSelectors": []}
    assert refusal(world, "GetInsightSelectors", TrailName="audit") == disabled
    assert world.call("GetTrail", Name="audit")["Trail"]["HasInsightSelectors"] is False


def test_what_the_trail_does_not_log_has_no_insights(world: World) -> None:
    """The selectors that count are those of the trail at that moment."""
    world.call("PutEventSelectors", TrailName="audit", EventSelectors=[{"ReadWriteType": "ReadOnly"}])
    refused = refusal(world, "PutInsightSelectors", TrailName="audit", InsightSelectors=BOTH)
    assert refused[0] == "InvalidInsightSelectorsException"
    world.call("PutEventSelectors", TrailName="audit", EventSelectors=[{}])
    world.call("PutInsightSelectors", TrailName="audit", InsightSelectors=BOTH)


def test_the_bucket_is_tried_when_insights_are_enabled_and_not_when_they_are_disabled(world: World) -> None:
    """As with UpdateTrail; whoever lost his bucket can still turn Insights off."""
    world.call("PutInsightSelectors", TrailName="audit", InsightSelectors=BOTH)
    world.buckets.known = None
    refused = refusal(world, "PutInsightSelectors", TrailName="audit", InsightSelectors=BOTH)
    assert refused[0] == "InsufficientS3BucketPolicyException"
    world.call("PutInsightSelectors", TrailName="audit", InsightSelectors=[])


def test_event_configuration_is_shown_as_it_was_put(world: World) -> None:
    """A trail that logs data events can ask for their summaries; an empty list ends that."""
    assert world.call("GetEventConfiguration", TrailName="audit") == {"TrailARN": ARN, "AggregationConfigurations": []}
    put: dict[str, Any] = {"TrailName": "audit", "AggregationConfigurations": SUMMARIES}
    assert refusal(world, "PutEventConfiguration", **put)[0] == "InvalidParameterException"
    world.call("PutEventSelectors", TrailName="audit", EventSelectors=OBJECTS)
    shown = {"TrailARN": ARN, "AggregationConfigurations": SUMMARIES}
    assert world.call("PutEventConfiguration", **put) == shown
    world.trails.reload()
    assert world.call("GetEventConfiguration", region="eu-west-1", TrailName=ARN) == shown
    world.call("PutEventConfiguration", TrailName="audit", AggregationConfigurations=[])
    assert world.call("GetEventConfiguration", TrailName="audit")["AggregationConfigurations"] == []


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, "InvalidParameterException"),
        ({"MaxEventSize": "Large"}, "InvalidParameterCombinationException"),
        ({"ContextKeySelectors": [{"Type": "TagContext", "Equals": ["k"]}]}, "InvalidParameterCombinationException"),
        ({"MaxEventSize": "Large", "AggregationConfigurations": []}, "InvalidParameterCombinationException"),
    ],
)
def test_the_configuration_of_stores_is_none_of_trails(world: World, settings: dict[str, Any], code: str) -> None:
    """Event size and context belong to event data stores; a trail must be told something."""
    assert refusal(world, "PutEventConfiguration", TrailName="audit", **settings)[0] == code


@pytest.mark.parametrize("operation", ["GetInsightSelectors", "PutInsightSelectors", "GetEventConfiguration"])
def test_a_trail_or_a_store_is_meant_and_stores_there_are_none(world: World, operation: str) -> None:
    """Both and neither are a wrong combination; a store alone is refused because there is no CloudTrail Lake."""
    insights = {"InsightSelectors": BOTH} if operation.startswith("Put") else {}
    for both in ({}, {"TrailName": "audit", "EventDataStore": STORE}):
        assert refusal(world, operation, **both, **insights)[0] == "InvalidParameterCombinationException"
    assert refusal(world, operation, EventDataStore=STORE, **insights)[0] == "UnsupportedOperationException"


def test_neither_is_changed_outside_the_home_region(world: World) -> None:
    """By name and by ARN."""
    for name in ("audit", ARN):
        where = {"region": "eu-west-1", "TrailName": name}
        assert refusal(world, "PutInsightSelectors", InsightSelectors=BOTH, **where)[0] == "InvalidHomeRegionException"
        refused = refusal(world, "PutEventConfiguration", AggregationConfigurations=[], **where)
        assert refused[0] == "InvalidHomeRegionException"


_POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}'
)


@pytest.mark.parametrize(
    ("arn", "policy", "code"),
    [
        ("audit", _POLICY, "ResourceARNNotValidException"),
        (STORE.replace("arn:aws:", "arn:aws-cn:"), _POLICY, "ResourceARNNotValidException"),
        ("arn:aws:s3:::bucket", _POLICY, "ResourceARNNotValidException"),
        (ARN, _POLICY, "ResourceTypeNotSupportedException"),
        (STORE, "{", "ResourcePolicyNotValidException"),
        (STORE, '{"Version": "2012-10-17"}', "ResourcePolicyNotValidException"),
        (STORE, _POLICY, "ResourceNotFoundException"),
        (STORE.replace("eventdatastore/", "channel/"), _POLICY, "ResourceNotFoundException"),
        (STORE.replace("eventdatastore/", "dashboard/"), _POLICY, "ResourceNotFoundException"),
    ],
)
def test_resource_policies_are_of_what_does_not_exist(world: World, arn: str, policy: str, code: str) -> None:
    """Trails cannot have one; what could have one is not there."""
    assert refusal(world, "PutResourcePolicy", ResourceArn=arn, ResourcePolicy=policy)[0] == code
    if code != "ResourcePolicyNotValidException":
        assert refusal(world, "GetResourcePolicy", ResourceArn=arn)[0] == code
        assert refusal(world, "DeleteResourcePolicy", ResourceArn=arn)[0] == code
