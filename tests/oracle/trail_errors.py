"""Every refusal of the trail operations that can be produced, as a table: a row for each way to be refused.

A row is a call of boto3's with what must come of it: the code, the text where a source gives it, and what must not have
changed. The trails that the rows are about are made by ``tests.oracle.test_trails_errors``.
"""

from collections.abc import Mapping
from typing import Any

from tests.oracle.trail_error_row import (
    BROKEN,
    HOME,
    IRELAND,
    NOT_TRAIL_ARNS,
    STORE,
    STRANGER,
    UUID,
    Row,
    arn,
)
from tests.oracle.trail_errors_names import TAG, of_names, of_settings

FOREIGN = "Region in ARN is wrong, you can only access resources in region us-east-1."
CALLS = [{"InsightType": "ApiCallRateInsight"}]
SUMMARY = [{"EventCategory": "Data", "Templates": ["API_ACTIVITY"]}]
DOCUMENT = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}'


def _put(operation: str, code: str, text: str | None = None, /, *, region: str = HOME, **parameters: Any) -> Row:
    keeps = {
        "PutEventSelectors": "selectors",
        "PutInsightSelectors": "insights",
        "PutEventConfiguration": "configuration",
    }
    return Row(operation, parameters, code, text, region, (keeps[operation],))


def _of_selectors() -> list[Row]:
    events, invalid = "PutEventSelectors", "InvalidEventSelectorsException"
    bare = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::bucket"]}
    incomplete = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]
    management = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]
    insights, wrong = "PutInsightSelectors", "InvalidInsightSelectorsException"
    disabled = "does not have Insights enabled. Edit the trail settings to enable Insights, and then try the operation"
    return [
        _put(events, invalid, TrailName="single"),
        _put(events, invalid, TrailName="single", EventSelectors=[]),
        _put(events, invalid, TrailName="single", EventSelectors=[{}] * 6),
        _put(events, invalid, TrailName="single", EventSelectors=[{}], AdvancedEventSelectors=management),
        _put(events, invalid, TrailName="single", EventSelectors=[{"DataResources": [bare]}]),
        _put(events, invalid, TrailName="single", AdvancedEventSelectors=incomplete),
        _put(events, "ValidationException", TrailName="single", EventSelectors=[{"ReadWriteType": "None"}]),
        _put(insights, wrong, TrailName="single", InsightSelectors=[{}]),
        _put(insights, wrong, TrailName="single", InsightSelectors=CALLS * 2),
        _put(insights, wrong, TrailName="single", InsightSelectors=[CALLS[0] | {"EventCategories": []}]),
        _put(insights, wrong, TrailName="single", InsightSelectors=[CALLS[0] | {"EventCategories": ["Data"]}]),
        _put(insights, wrong, TrailName="twin", InsightSelectors=CALLS),
        _put(insights, "ValidationException", TrailName="single", InsightSelectors=[{"InsightType": "Other"}]),
        _put(insights, "S3BucketDoesNotExistException", TrailName="homeless", InsightSelectors=CALLS, region=BROKEN),
        _put(
            insights, "InsufficientS3BucketPolicyException", TrailName="evicted", InsightSelectors=CALLS, region=BROKEN
        ),
        _put(
            insights,
            "InsufficientEncryptionPolicyException",
            TrailName="keyless",
            InsightSelectors=CALLS,
            region=BROKEN,
        ),
        _put(insights, "KmsException", TrailName="locked", InsightSelectors=CALLS, region=BROKEN),
        Row(
            "GetInsightSelectors",
            {"TrailName": "single"},
            "InsightNotEnabledException",
            f"Trail {arn('single')} {disabled} again.",
        ),
        *_of_stores(),
    ]


def _of_stores() -> list[Row]:
    """Requests that are about a trail or about an event data store, of which there are none."""
    more: Mapping[str, Mapping[str, Any]] = {
        "PutInsightSelectors": {"InsightSelectors": CALLS},
        "PutEventConfiguration": {"AggregationConfigurations": SUMMARY},
        "GetInsightSelectors": {},
        "GetEventConfiguration": {},
    }
    rows = []
    for name, given in more.items():
        keeps = ("insights", "configuration") if given else ()
        for which in ({}, {"TrailName": "single", "EventDataStore": STORE}):
            rows.append(Row(name, {**which, **given}, "InvalidParameterCombinationException", keeps=keeps))
        rows.append(Row(name, {"EventDataStore": STORE, **given}, "UnsupportedOperationException", keeps=keeps))
    put, combination = "PutEventConfiguration", "InvalidParameterCombinationException"
    context = [{"Type": "TagContext", "Equals": ["team"]}]
    rows += [
        Row(
            "PutInsightSelectors",
            {"TrailName": "single", "InsightsDestination": STORE, "InsightSelectors": CALLS},
            combination,
        ),
        _put(put, combination, TrailName="objects", MaxEventSize="Large"),
        _put(put, combination, TrailName="objects", ContextKeySelectors=context, AggregationConfigurations=[]),
        _put(put, "InvalidParameterException", TrailName="objects"),
        _put(put, "InvalidParameterException", TrailName="single", AggregationConfigurations=SUMMARY),
        _put(
            *(put, "InvalidParameterException"),
            TrailName="objects",
            AggregationConfigurations=[{"EventCategory": "Data", "Templates": ["API_ACTIVITY"] * 2}],
        ),
        _put(put, "ValidationException", TrailName="objects", AggregationConfigurations=SUMMARY * 2),
    ]
    return rows


# What has no tags that could be listed or changed.
_UNTAGGED: tuple[tuple[str, str, str | None], ...] = (
    ("single", "CloudTrailARNInvalidException", None),
    *((text, "CloudTrailARNInvalidException", None) for text in NOT_TRAIL_ARNS if "channel" not in text),
    (arn("ireland", IRELAND), "CloudTrailARNInvalidException", FOREIGN),
    (
        *(arn("single", account=STRANGER), "CloudTrailARNInvalidException"),
        "You must specify an ARN that the caller account can access.",
    ),
    (arn("nobody"), "ResourceNotFoundException", None),
    (arn("nobody", kind="dashboard"), "ResourceNotFoundException", None),
    (arn("nobody", kind="query"), "ResourceTypeNotSupportedException", None),
    (arn("nobody", kind="eventdatastore"), "EventDataStoreARNInvalidException", None),
    (STORE, "EventDataStoreNotFoundException", None),
    (arn("nobody", kind="channel"), "ChannelARNInvalidException", None),
)


def _of_tags() -> list[Row]:
    rows = []
    for operation in ("AddTags", "RemoveTags"):
        for resource, code, text in (*_UNTAGGED, (arn(UUID, kind="channel"), "ChannelNotFoundException", None)):
            rows.append(Row(operation, {"ResourceId": resource, "TagsList": [TAG]}, code, text, keeps=("tags",)))
        twice = {"ResourceId": arn("single"), "TagsList": [TAG, TAG]}
        rows.append(Row(operation, twice, "InvalidTagParameterException", keeps=("tags",)))
    for resource, code, text in _UNTAGGED:
        rows.append(Row("ListTags", {"ResourceIdList": [arn("single"), resource]}, code, text))
    full = {"ResourceId": arn("single"), "TagsList": [{"Key": f"k{n}"} for n in range(50)]}
    there = {"ResourceId": arn("keeper"), "TagsList": [TAG]}
    wrong = FOREIGN.replace("us-east-1", IRELAND)
    return [
        *rows,
        Row("AddTags", full, "TagsLimitExceededException", keeps=("tags",)),
        Row("AddTags", there, "CloudTrailARNInvalidException", wrong, IRELAND, ("tags",)),
        Row("ListTags", {"ResourceIdList": [arn("keeper")]}, "CloudTrailARNInvalidException", wrong, IRELAND),
        Row("ListTags", {"ResourceIdList": [arn("single")] * 21}, "ValidationException"),
        Row("ListTags", {"ResourceIdList": [arn("single")], "NextToken": "none"}, "InvalidTokenException"),
    ]


def _of_others() -> list[Row]:
    policy, missing = {"ResourcePolicy": DOCUMENT}, "ResourceNotFoundException"
    rows = []
    for operation, more in (("GetResourcePolicy", {}), ("DeleteResourcePolicy", {}), ("PutResourcePolicy", policy)):
        for resource, code in (
            ("single", "ResourceARNNotValidException"),
            ("arn:aws:s3:::bucket", "ResourceARNNotValidException"),
            (STORE.replace("arn:aws:", "arn:aws-cn:"), "ResourceARNNotValidException"),
            (arn("single"), "ResourceTypeNotSupportedException"),
            (STORE, missing),
            (arn(UUID, kind="channel"), missing),
            (arn("nobody", kind="dashboard"), missing),
        ):
            rows.append(Row(operation, {"ResourceArn": resource, **more}, code))
    administrators, lonely = "OrganizationDelegatedAdmin", "OrganizationsNotInUseException"
    return [
        *rows,
        Row("PutResourcePolicy", {"ResourceArn": STORE, "ResourcePolicy": "{"}, "ResourcePolicyNotValidException"),
        Row("ListPublicKeys", {"StartTime": 1800000000, "EndTime": 1700000000}, "InvalidTimeRangeException"),
        Row("ListPublicKeys", {"NextToken": "none"}, "InvalidTokenException"),
        Row("ListTrails", {"NextToken": "none"}, "InvalidNextTokenException"),
        Row(f"Register{administrators}", {"MemberAccountId": STRANGER}, lonely),
        Row(f"Deregister{administrators}", {"DelegatedAdminAccountId": STRANGER}, lonely),
    ]


ROWS: tuple[Row, ...] = (*of_names(), *of_settings(), *_of_selectors(), *_of_tags(), *_of_others())
