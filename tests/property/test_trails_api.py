"""Properties of what the trail operations read: tokens, ARNs, insight selectors, whatever callers send."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.events.selectors import Category, read
from opentrail.events.selectors_matching import EventFacts, compile_selectors
from opentrail.trails.insights import check_insights, insight_members, insights_from, insights_text, logs, read_insights
from tests.unit.test_cloudtrail_service import ACCOUNT, World

CATEGORIES = ["Management", "Data"]
INSIGHTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "InsightType": st.sampled_from(["ApiCallRateInsight", "ApiErrorRateInsight"]),
            "EventCategories": st.lists(st.sampled_from(CATEGORIES), max_size=3),
        },
    ),
    max_size=4,
)
READ_ONLY = st.sampled_from([[], *([{"Field": "readOnly", "Equals": [value]}] for value in ("true", "false"))])
ADVANCED = st.tuples(st.sampled_from([*CATEGORIES, "NetworkActivity"]), READ_ONLY).map(
    lambda pair: {"FieldSelectors": [{"Field": "eventCategory", "Equals": [pair[0]]}, *pair[1]]}
)
OBJECTS = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}
BASIC = st.fixed_dictionaries(
    {
        "ReadWriteType": st.sampled_from(["All", "ReadOnly", "WriteOnly"]),
        "IncludeManagementEvents": st.booleans(),
        "DataResources": st.sampled_from([[], [OBJECTS]]),
    }
)
SELECTORS = st.one_of(
    st.lists(BASIC, min_size=1, max_size=3).map(lambda items: read({"EventSelectors": items})),
    st.lists(ADVANCED, min_size=1, max_size=3).map(lambda items: read({"AdvancedEventSelectors": items})),
)


@given(INSIGHTS)
def test_insight_selectors_come_back_as_they_were_given(items: list[dict[str, Any]]) -> None:
    """Through values, text and members nothing is added, lost or reordered but a type that is missing."""
    kept = insight_members(insights_from(insights_text(read_insights(items))))
    assert kept == [{"InsightType": "", **item} for item in items]


@given(INSIGHTS, SELECTORS)
def test_insight_selectors_pass_or_are_refused_with_one_code(items: list[dict[str, Any]], selectors: Any) -> None:
    """What passes has each type once, and only categories that the trail logs."""
    insights = read_insights(items)
    try:
        check_insights(insights, selectors)
    except ApiError as refused:
        assert refused.code == "InvalidInsightSelectorsException"
    else:
        assert len({insight.insight_type for insight in insights}) == len(insights)
        for insight in insights:
            assert all(logs(selectors, Category(category)) for category in insight.watched)


@given(SELECTORS, st.sampled_from(CATEGORIES), st.booleans())
@settings(max_examples=300)
def test_what_selectors_take_they_are_said_to_log(selectors: Any, category: str, read_only: bool) -> None:
    """No event is kept of a kind that the trail is said not to log; and with these selectors, the other way round."""
    resources = (("AWS::S3::Object", "arn:aws:s3:::bucket/key"),) if category == "Data" else ()
    facts = EventFacts(category, read_only, "s3.amazonaws.com", "Call", resources=resources)
    taken = compile_selectors(selectors).matches(facts)
    if taken:
        assert logs(selectors, Category(category), writes=not read_only)
    if not read_only:
        assert taken is logs(selectors, Category(category), writes=True)


@pytest.fixture(scope="module")
def world() -> World:
    """A world with two trails."""
    world = World()
    world.create()
    world.create("other")
    return world


@given(token=st.one_of(st.text(max_size=80), st.from_regex(r"[A-Za-z0-9_-]{1,60}={0,2}", fullmatch=True)))
@settings(max_examples=300)
def test_any_token_is_a_place_or_refused(world: World, token: str) -> None:
    """ListTrails goes on after some place, or answers InvalidNextTokenException; an empty token is none."""
    try:
        listed = world.call("ListTrails", NextToken=token)["Trails"]
    except ApiError as refused:
        assert refused.code == "InvalidNextTokenException"
    else:
        assert {trail["Name"] for trail in listed} <= {"audit", "other"}


PARTS = st.sampled_from(["aws", "aws-cn", "", "s3", "cloudtrail", "us-east-1", "eu-west-1", ACCOUNT, "1"])
RESOURCES = st.tuples(
    st.sampled_from(["trail", "eventdatastore", "channel", "dashboard", "query", ""]), st.text(max_size=40)
).map("/".join)
ARNS = st.one_of(
    st.text(max_size=100),
    st.tuples(st.just("arn"), PARTS, PARTS, PARTS, PARTS, RESOURCES).map(":".join),
    RESOURCES.map(lambda resource: f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:{resource}"),
)
OF_TAGS = frozenset(
    f"{name}Exception"
    for name in (
        *("CloudTrailARNInvalid", "ResourceNotFound", "ResourceTypeNotSupported", "ChannelARNInvalid"),
        *("EventDataStoreARNInvalid", "EventDataStoreNotFound", "ChannelNotFound"),
    )
)
OF_POLICIES = frozenset(
    {"ResourceARNNotValidException", "ResourceTypeNotSupportedException", "ResourceNotFoundException"}
)


@given(text=ARNS)
@settings(max_examples=300)
def test_any_text_for_a_resource_is_found_or_refused_with_a_modelled_code(world: World, text: str) -> None:
    """Tags are listed of trails only; resource policies are of nothing that there is."""
    with pytest.raises(ApiError) as refused:
        world.call("GetResourcePolicy", ResourceArn=text)
    assert refused.value.code in OF_POLICIES
    try:
        (listed,) = world.call("ListTags", ResourceIdList=[text])["ResourceTagList"]
    except ApiError as error:
        assert error.code in OF_TAGS
    else:
        assert listed["ResourceId"] == text
