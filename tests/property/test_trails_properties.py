"""Properties of names, references and trail sets: whatever callers send, and whatever trails there are."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.events.selectors import members_of, read
from opentrail.events.selectors_matching import EventFacts
from opentrail.trails.names import check_bucket_name, check_prefix, check_trail_name, parse_reference
from opentrail.trails.routing import routes
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import MAX_TRAILS_PER_REGION, TrailSet
from tests.support.naive_selectors import takes

ACCOUNT = "123456789012"
REGIONS = ["us-east-1", "eu-west-1", "ap-south-1"]
TEXT = st.one_of(st.text(max_size=300), st.from_regex(r"arn:aws:cloudtrail:[a-z0-9-]*:[0-9]*:trail/.{0,10}"))


@given(TEXT)
@settings(max_examples=300)
def test_any_text_is_a_reference_or_a_modelled_refusal(text: str) -> None:
    """A name or ARN reads back as itself, and everything else is refused with one of two codes."""
    try:
        reference = parse_reference(text, account_id=ACCOUNT, region="us-east-1")
    except ApiError as error:
        assert error.code in {"InvalidTrailNameException", "CloudTrailARNInvalidException"}
    else:
        assert text == (reference.arn if reference.by_arn else reference.name)
        check_trail_name(reference.name)


@given(st.text(max_size=250))
@settings(max_examples=200)
def test_any_bucket_or_prefix_passes_or_is_refused(text: str) -> None:
    """Checking a bucket or prefix returns or raises the one code of its kind."""
    for check, code in ((check_bucket_name, "InvalidS3BucketName"), (check_prefix, "InvalidS3Prefix")):
        try:
            check(text)
        except ApiError as error:
            assert error.code == f"{code}Exception"


READS = {"EventSelectors": [{"ReadWriteType": "ReadOnly"}]}
OBJECTS = {"EventSelectors": [{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}]}
DELETIONS = {
    "AdvancedEventSelectors": [
        {
            "FieldSelectors": [
                {"Field": "eventCategory", "Equals": ["Data"]},
                {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
                {"Field": "eventName", "StartsWith": ["Delete"]},
            ]
        }
    ]
}
MEMBERS: list[dict[str, Any]] = [{"EventSelectors": [{}]}, READS, OBJECTS, DELETIONS]
TRAILS = st.builds(
    Trail,
    trail_id=st.uuids().map(str),
    account_id=st.sampled_from([ACCOUNT, "210987654321"]),
    home_region=st.sampled_from(REGIONS),
    name=st.sampled_from([f"trail{number}" for number in range(8)]),
    bucket=st.just("logs-bucket"),
    created_at=st.just(datetime(2026, 11, 23, tzinfo=UTC)),
    is_multi_region=st.booleans(),
    is_logging=st.booleans(),
    deleted_at=st.sampled_from([None, datetime(2026, 11, 23, tzinfo=UTC)]),
    include_global_service_events=st.booleans(),
    selectors=st.sampled_from([read(members) for members in MEMBERS]),
)


@given(st.lists(TRAILS, max_size=40))
@settings(max_examples=100)
def test_trails_admitted_one_by_one_never_break_the_limits(candidates: list[Trail]) -> None:
    """If only trails without conflict and within the limit are added, names are unique where they are visible, and no
    region ever has more than five.
    """
    admitted: list[Trail] = []
    for candidate in candidates:
        existing = TrailSet(admitted)
        if not existing.has_name_conflict(candidate) and not existing.exceeds_limit(candidate):
            admitted.append(candidate)
    trails = TrailSet(admitted)
    for region in REGIONS:
        visible = [trail.name for trail in trails.of(ACCOUNT) if trail.is_visible_in(region)]
        assert len(visible) == len(set(visible))
        assert len(visible) <= MAX_TRAILS_PER_REGION


@given(
    st.lists(TRAILS, max_size=20),
    st.sampled_from([*REGIONS, "sa-east-1"]),
    st.sampled_from(["s3.amazonaws.com", "iam.amazonaws.com"]),
    st.sampled_from(["PutObject", "DeleteObject"]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=300)
def test_routes_are_the_accounts_live_logging_trails_of_the_place_that_select_the_event(
    trails: list[Trail], region: str, source: str, name: str, management: bool, read_only: bool
) -> None:
    """An event is routed exactly to the recipient's trails that live, log, are visible and select it, each once."""
    category = "Management" if management else "Data"
    resources = () if management else (("AWS::S3::Object", "arn:aws:s3:::b/k"),)
    facts = EventFacts(category, read_only, source, name, resources=resources)
    found = routes(
        TrailSet(trails),
        account_id=ACCOUNT,
        region=region,
        event_source=source,
        event_category=category,
        facts=lambda: facts,
    )
    written = {
        "eventCategory": category,
        "readOnly": read_only,
        "eventSource": source,
        "eventName": name,
        "resources": [{"type": type_, "ARN": arn} for type_, arn in resources],
    }
    is_global = source == "iam.amazonaws.com"
    where = "us-east-1" if is_global else region
    expected = {
        trail.trail_id
        for trail in trails
        if trail.account_id == ACCOUNT
        and trail.is_logging
        and trail.deleted_at is None
        and (trail.is_multi_region or trail.home_region == where)
        and (trail.include_global_service_events or not is_global)
        and takes(members_of(trail.selectors), written)
    }
    assert set(found) == expected
    assert len(found) == len(set(found))
