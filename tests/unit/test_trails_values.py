"""Trails as values: names, transitions, visibility, limits and routing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.errors import ApiError
from opentrail.events.selectors import DEFAULT
from opentrail.events.selectors_matching import EventFacts
from opentrail.events.selectors_request import parse_selectors
from opentrail.trails.names import check_bucket_name, check_prefix, check_trail_name, log_root, parse_reference
from opentrail.trails.routing import routes
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import TrailSet

ACCOUNT = "123456789012"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def trail(name: str = "audit", **changes: Any) -> Trail:
    """A trail that logs, in us-east-1."""
    values: dict[str, Any] = {
        "trail_id": f"id-{name}-{changes.get('home_region', 'us-east-1')}",
        "account_id": ACCOUNT,
        "home_region": "us-east-1",
        "name": name,
        "bucket": "logs-bucket",
        "created_at": NOW,
        "is_logging": True,
    }
    return Trail(**{**values, **changes})


def routed(*trails: Trail, account_id: str = ACCOUNT, region: str = "us-east-1", **changes: Any) -> tuple[str, ...]:
    """The routes of a management event in us-east-1, changed as told."""
    facts = EventFacts(
        **{
            "event_category": "Management",
            "read_only": False,
            "event_source": "opsworks-cm.amazonaws.com",
            "event_name": "CreateServer",
            **changes,
        }
    )
    return routes(
        TrailSet(trails),
        account_id=account_id,
        region=region,
        event_source=facts.event_source,
        event_category=facts.event_category,
        facts=lambda: facts,
    )


def selecting(name: str, **members: Any) -> Trail:
    """A trail with event selectors, given as members of the API."""
    return trail(name, selectors=parse_selectors(members))


@pytest.mark.parametrize("name", ["abc", "a" * 128, "My-Trail_1.x", "1.2.3", "1.2.3.4.5"])
def test_names_that_aws_allows_pass(name: str) -> None:
    """A trail name within the rules is accepted."""
    check_trail_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ab",
            "Trail name too short. Minimum allowed length: 3 characters. Specified name length: 2 characters.",
        ),
        (
            "a" * 129,
            "Trail name too long. Maximum allowed length: 128 characters. Specified name length: 129 characters.",
        ),
        ("-abc", "Trail name must starts with a letter or number."),
        ("abc-", "Trail name must ends with a letter or number."),
        ("trail!", "Trail name must ends with a letter or number."),
        (
            "a b c",
            (
                "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), "
                "hyphens (-), and underscores (_)."
            ),
        ),
        ("a._b", "Trail name must not contain two adjacent periods (.), hyphens (-), or underscores (_)."),
        ("192.168.5.4", "Trail name must not be in IP address format."),
    ],
)
def test_names_that_aws_refuses_are_refused_in_its_words(name: str, message: str) -> None:
    """A trail name outside the rules raises InvalidTrailNameException with CloudTrail's message."""
    with pytest.raises(ApiError) as refused:
        check_trail_name(name)
    assert (refused.value.code, refused.value.message) == ("InvalidTrailNameException", message)


@pytest.mark.parametrize("bucket", ["ab", "A-bucket", "a..b", "10.0.0.1", "-abc", "a/b", ""])
def test_impossible_buckets_are_refused(bucket: str) -> None:
    """A bucket name that S3 would not allow raises InvalidS3BucketNameException."""
    with pytest.raises(ApiError, match="InvalidS3BucketNameException"):
        check_bucket_name(bucket)


@pytest.mark.parametrize("prefix", ["p" * 201, "a/AWSLogs", "AWSLogs/x", "/a", "a/", "a//b", "a\nb"])
def test_impossible_prefixes_are_refused(prefix: str) -> None:
    """A prefix that is too long or would hide AWSLogs/ raises InvalidS3PrefixException."""
    with pytest.raises(ApiError, match="InvalidS3PrefixException"):
        check_prefix(prefix)


def test_the_marker_stands_below_the_prefix() -> None:
    """The marker object's key is [prefix/]AWSLogs/[o-orgid/]ACCOUNT/CloudTrail/."""
    assert trail().marker_key == "AWSLogs/123456789012/CloudTrail/"
    assert trail(prefix="org/logs").marker_key == "org/logs/AWSLogs/123456789012/CloudTrail/"
    of_organization = trail(prefix="org").for_organization("o-abcdefghij")
    assert of_organization.marker_key == "org/AWSLogs/o-abcdefghij/123456789012/CloudTrail/"
    assert of_organization.digest_marker_key == "org/AWSLogs/o-abcdefghij/123456789012/CloudTrail-Digest/"


def test_members_files_stay_where_the_organization_s_are() -> None:
    """A trail that is of its account alone again still puts there what members did before."""
    left = trail().for_organization("o-abcdefghij").for_organization(None)
    assert not left.is_organization
    assert left.log_root(ACCOUNT) == log_root("", ACCOUNT) == "AWSLogs/123456789012/"
    assert left.log_root("210987654321") == "AWSLogs/o-abcdefghij/210987654321/"


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:cloudtrail:us-east-1:123456789012:trail/",
        "arn:aws:cloudtrail:us-east-1:12:trail/abc",
        "arn:aws:s3:::bucket",
        "arn:aws:cloudtrail:us-east-1:123456789012:trail/a b",
        "arn:",
    ],
)
def test_an_arn_of_no_trail_is_refused(arn: str) -> None:
    """Something that begins like an ARN and names no trail raises CloudTrailARNInvalidException."""
    with pytest.raises(ApiError, match="CloudTrailARNInvalidException"):
        parse_reference(arn, account_id=ACCOUNT, region="us-east-1")


def test_a_reference_reads_back_as_its_arn() -> None:
    """An ARN read from a request gives the same ARN again, and a name takes account and region from the caller."""
    arn = "arn:aws:cloudtrail:eu-west-1:210987654321:trail/audit"
    assert parse_reference(arn, account_id=ACCOUNT, region="us-east-1").arn == arn
    named = parse_reference("audit", account_id=ACCOUNT, region="us-east-1")
    assert named.arn == trail().arn


def test_starting_and_stopping_twice_changes_nothing_more() -> None:
    """StartLogging and StopLogging are idempotent: times and generation stay."""
    started = trail(is_logging=False).started(NOW)
    assert started.started(NOW.replace(hour=13)) is started
    stopped = started.stopped(NOW)
    assert stopped.stopped(NOW.replace(hour=13)) is stopped
    assert (stopped.is_logging, stopped.started_at, stopped.stopped_at) == (False, NOW, NOW)


def test_a_trail_that_becomes_single_region_loses_global_events_unless_asked() -> None:
    """Turning off multi-region turns off global service events, except where the same request wants them."""
    multi = trail(is_multi_region=True)
    assert not multi.configured(is_multi_region=False).include_global_service_events
    assert multi.configured(is_multi_region=False, include_global_service_events=True).include_global_service_events
    assert trail().configured(is_multi_region=False).include_global_service_events


def test_a_name_finds_the_own_trail_before_a_shadow() -> None:
    """By name, the region's own trail comes first, then another region's multi-region trail; by ARN only itself."""
    here = trail("audit")
    shadow = trail("wide", home_region="eu-west-1", is_multi_region=True)
    trails = TrailSet([here, shadow, trail("far", home_region="eu-west-1")])

    def find(name_or_arn: str, region: str = "us-east-1") -> Trail | None:
        return trails.find(parse_reference(name_or_arn, account_id=ACCOUNT, region=region), ACCOUNT)

    assert find("audit") == here
    assert find("wide") == shadow
    assert find("far") is None
    assert find(shadow.arn) == shadow
    assert find(shadow.arn.replace("eu-west-1", "us-east-1")) is None
    assert find(here.arn.replace(ACCOUNT, "210987654321")) is None


def test_names_conflict_where_trails_meet() -> None:
    """Two trails of one name conflict if either is visible in the other's home region."""
    trails = TrailSet([trail("audit")])
    assert trails.has_name_conflict(trail("audit", trail_id="other"))
    assert not trails.has_name_conflict(trail("audit", home_region="eu-west-1"))
    assert trails.has_name_conflict(trail("audit", home_region="eu-west-1", is_multi_region=True))
    assert not trails.has_name_conflict(trail("audit"))


def test_five_trails_fill_a_region_and_multi_region_ones_count_everywhere() -> None:
    """The sixth trail visible in a region is one too many."""
    four = [trail(f"single{n}") for n in range(4)]
    wide = trail("wide", home_region="eu-west-1", is_multi_region=True)
    full = TrailSet([*four, wide])
    assert full.exceeds_limit(trail("sixth"))
    assert not full.exceeds_limit(trail("sixth", home_region="eu-west-1"))
    assert full.exceeds_limit(trail("sixth", home_region="eu-west-1", is_multi_region=True))
    assert not TrailSet(four).exceeds_limit(trail("fifth"))


def test_deleted_trails_are_known_by_id_only() -> None:
    """A deleted trail is not listed, found, counted or routed to; its id still finds it for the courier."""
    gone = trail().deleted(NOW)
    trails = TrailSet([gone])
    assert trails.of(ACCOUNT) == ()
    assert trails.get(gone.trail_id) == gone
    assert routed(gone) == ()


def test_management_events_go_to_logging_trails_that_see_the_region() -> None:
    """Single-region trails take their region's events, multi-region trails all; stopped ones and others' none."""
    single, wide = trail("single"), trail("wide", home_region="eu-west-1", is_multi_region=True)
    assert routed(single, wide) == (single.trail_id, wide.trail_id)
    assert routed(single, wide, region="eu-central-1") == (wide.trail_id,)
    assert routed(single.stopped(NOW), wide) == (wide.trail_id,)
    assert routed(single, wide, account_id="210987654321") == ()


UPLOAD: dict[str, Any] = {
    "event_category": "Data",
    "event_source": "s3.amazonaws.com",
    "event_name": "PutObject",
    "resources": (("AWS::S3::Object", "arn:aws:s3:::ledger/k"), ("AWS::S3::Bucket", "arn:aws:s3:::ledger")),
}
LEDGER = [{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::ledger/"]}]}]


def test_data_events_go_to_trails_that_ask_for_them_only() -> None:
    """The default selector has none; a trail that selects the bucket has them, by the same rules of regions."""
    plain, ledger = trail("plain"), selecting("ledger", EventSelectors=LEDGER)
    assert routed(plain, **UPLOAD) == ()
    assert routed(plain, ledger, **UPLOAD) == (ledger.trail_id,)
    assert routed(plain, ledger) == (ledger.trail_id, plain.trail_id)
    assert routed(plain, ledger, region="eu-west-1", **UPLOAD) == ()
    assert routed(plain, ledger, account_id="210987654321", **UPLOAD) == ()
    assert routed(ledger.stopped(NOW), plain, **UPLOAD) == ()


def test_management_events_go_where_a_selector_wants_them() -> None:
    """Beside a trail that takes all, one takes reads only and one nothing of the kind."""
    reads = selecting("reads", EventSelectors=[{"ReadWriteType": "ReadOnly"}])
    none = selecting("none", EventSelectors=[{**LEDGER[0], "IncludeManagementEvents": False}])
    assert routed(reads, none, trail("whole")) == (trail("whole").trail_id,)
    assert routed(reads, none, trail("whole"), read_only=True) == (reads.trail_id, trail("whole").trail_id)


def test_the_facts_of_an_event_are_gathered_only_where_a_selector_asks() -> None:
    """Events that every trail takes, or none wants, cost no look at their facts."""

    def unasked() -> EventFacts:
        raise AssertionError

    for category, expected in (("Management", ("id-audit-us-east-1",)), ("Data", ())):
        found = routes(
            TrailSet([trail()]),
            account_id=ACCOUNT,
            region="us-east-1",
            event_source="s3.amazonaws.com",
            event_category=category,
            facts=unasked,
        )
        assert found == expected


def test_new_selectors_are_a_new_generation() -> None:
    """Putting selectors counts as a change, and only custom ones are called so."""
    changed = trail().selecting(parse_selectors({"EventSelectors": LEDGER}))
    assert (changed.generation, changed.has_custom_selectors, trail().has_custom_selectors) == (2, True, False)
    assert not changed.selecting(DEFAULT).has_custom_selectors


def test_global_service_events_belong_to_us_east_1() -> None:
    """IAM events reach a single-region trail in us-east-1 only, and only if it includes global service events."""
    iam = {"event_source": "iam.amazonaws.com", "region": "eu-west-1"}
    virginia, ireland = trail("virginia"), trail("ireland", home_region="eu-west-1")
    assert routed(virginia, ireland, **iam) == (virginia.trail_id,)
    assert routed(trail(include_global_service_events=False), **iam) == ()
    assert routed(trail("wide", home_region="eu-west-1", is_multi_region=True), **iam) != ()
