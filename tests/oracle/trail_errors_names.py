"""Refusals of names, ARNs and regions, which most trail operations share, and of trails' settings."""

from collections.abc import Mapping
from typing import Any

from tests.oracle.trail_error_row import (
    ACCOUNT,
    CLOSED,
    FULL,
    HOME,
    IRELAND,
    LOGS,
    NEW,
    NO_KEY,
    NOT_TRAIL_ARNS,
    STRANGER,
    Row,
    arn,
    unknown,
)

KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/"
TAG = {"Key": "team", "Value": "other"}
ADJACENT = "Trail name must not contain two adjacent periods (.), hyphens (-), or underscores (_)."
CHARACTERS = (
    "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and "
    "underscores (_)."
)


def _length(adjective: str, limit: str, found: int) -> str:
    return f"Trail name too {adjective}. {limit} characters. Specified name length: {found} characters."


# Names that no trail can have, with the texts of cloudtrail fact sheet 6.1.
_NAMES: tuple[tuple[str, str], ...] = (
    ("ab", _length("short", "Minimum allowed length: 3", 2)),
    ("a" * 129, _length("long", "Maximum allowed length: 128", 129)),
    ("-abc", "Trail name must starts with a letter or number."),
    ("abc-", "Trail name must ends with a letter or number."),
    ("a b", CHARACTERS),
    ("a.-b", ADJACENT),
    ("192.168.5.4", "Trail name must not be in IP address format."),
)


def _about_a_trail(operation: str, member: str, keeps: tuple[str, ...], more: Mapping[str, Any]) -> list[Row]:
    """What every operation refuses that takes a trail's name or ARN; GetTrail alone shows the name as it was given."""
    shown = "nobody" if operation == "GetTrail" else arn("nobody")
    rows = [
        Row(operation, {member: "ab", **more}, "InvalidTrailNameException", _NAMES[0][1], keeps=keeps),
        Row(operation, {member: "nobody", **more}, "TrailNotFoundException", unknown(shown), keeps=keeps),
        Row(operation, {member: arn("nobody"), **more}, "TrailNotFoundException", unknown(arn("nobody")), keeps=keeps),
        Row(
            *(operation, {member: arn("single", account=STRANGER), **more}, "TrailNotFoundException"),
            *(unknown(arn("single", account=STRANGER)), HOME, keeps),
        ),
    ]
    rows += [
        Row(operation, {member: text, **more}, "CloudTrailARNInvalidException", keeps=keeps) for text in NOT_TRAIL_ARNS
    ]
    return rows


def _home_region_only(operation: str, member: str, keeps: tuple[str, ...], more: Mapping[str, Any]) -> list[Row]:
    """Shadow trails by name and by ARN, and another region's single-region trail by ARN; its name is unknown there."""
    names = ("keeper", arn("keeper"), arn("single"))
    rows = [
        Row(operation, {member: name, **more}, "InvalidHomeRegionException", region=IRELAND, keeps=keeps)
        for name in names
    ]
    text = unknown(arn("single", IRELAND))
    return [*rows, Row(operation, {member: "single", **more}, "TrailNotFoundException", text, IRELAND, keeps)]


def _in_the_region_by_name(operation: str, member: str) -> list[Row]:
    """A name means a trail of the region that is asked: neither a shadow trail nor another region's."""
    found = []
    for name in ("keeper", "single"):
        shown = name if operation == "GetTrail" else arn(name, IRELAND)
        found.append(Row(operation, {member: name}, "TrailNotFoundException", unknown(shown), IRELAND))
    return found


_CHANGES: tuple[tuple[str, str, tuple[str, ...], Mapping[str, Any]], ...] = (
    ("DeleteTrail", "Name", ("trails",), {}),
    ("StartLogging", "Name", ("logging",), {}),
    ("StopLogging", "Name", ("logging",), {}),
    ("UpdateTrail", "Name", ("trails",), {"S3KeyPrefix": "changed"}),
    ("PutEventSelectors", "TrailName", ("selectors",), {"EventSelectors": [{"ReadWriteType": "ReadOnly"}]}),
    ("PutInsightSelectors", "TrailName", ("insights",), {"InsightSelectors": []}),
    ("PutEventConfiguration", "TrailName", ("configuration",), {"AggregationConfigurations": []}),
)
_LOOKS = (
    ("GetTrail", "Name"),
    ("GetTrailStatus", "Name"),
    ("GetEventSelectors", "TrailName"),
    ("GetInsightSelectors", "TrailName"),
    ("GetEventConfiguration", "TrailName"),
)


def of_names() -> list[Row]:
    rows: list[Row] = []
    for operation, member, keeps, more in _CHANGES:
        rows += _about_a_trail(operation, member, keeps, more) + _home_region_only(operation, member, keeps, more)
    for operation, member in _LOOKS:
        rows += _about_a_trail(operation, member, (), {}) + _in_the_region_by_name(operation, member)
    rows += [_create("InvalidTrailNameException", text, Name=name) for name, text in _NAMES]
    rows.append(_create("InvalidTrailNameException", CHARACTERS, Name=arn("fresh", NEW)))
    rows.append(Row("DescribeTrails", {"trailNameList": ["single", "ab"]}, "InvalidTrailNameException", _NAMES[0][1]))
    rows += [
        Row("DescribeTrails", {"trailNameList": ["single", x]}, "CloudTrailARNInvalidException") for x in NOT_TRAIL_ARNS
    ]
    return rows


def _create(code: str, text: str | None = None, /, *, region: str = NEW, **settings: Any) -> Row:
    request = {"Name": "fresh", "S3BucketName": LOGS, **settings}
    return Row("CreateTrail", request, code, text, region, ("trails",))


def _update(code: str, text: str | None = None, /, *, name: str = "single", **settings: Any) -> Row:
    return Row("UpdateTrail", {"Name": name, **settings}, code, text, HOME, ("trails",))


_LOG_GROUP = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:trail:*"
_LOGS_ROLE = f"arn:aws:iam::{ACCOUNT}:role/logs"

# What CreateTrail and UpdateTrail refuse alike: settings, code, text.
_SETTINGS: tuple[tuple[Mapping[str, Any], str, str | None], ...] = (
    ({"S3BucketName": "NO"}, "InvalidS3BucketNameException", None),
    ({"S3BucketName": "192.168.5.4"}, "InvalidS3BucketNameException", None),
    (
        {"S3BucketName": "trail-errors-none"},
        "S3BucketDoesNotExistException",
        "S3 bucket trail-errors-none does not exist!",
    ),
    ({"S3BucketName": CLOSED}, "InsufficientS3BucketPolicyException", None),
    ({"S3KeyPrefix": "x" * 201}, "InvalidS3PrefixException", None),
    ({"S3KeyPrefix": "logs/AWSLogs/x"}, "InvalidS3PrefixException", None),
    ({"SnsTopicName": "no topic"}, "InvalidSnsTopicNameException", None),
    ({"SnsTopicName": "logs.fifo"}, "InvalidSnsTopicNameException", None),
    ({"SnsTopicName": f"arn:aws-cn:sns:us-east-1:{ACCOUNT}:logs"}, "InvalidSnsTopicNameException", None),
    ({"SnsTopicName": "no-such-topic"}, "InsufficientSnsTopicPolicyException", None),
    ({"SnsTopicName": "closed-topic"}, "InsufficientSnsTopicPolicyException", None),
    ({"KmsKeyId": "no key"}, "KmsKeyNotFoundException", None),
    ({"KmsKeyId": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{NO_KEY}"}, "KmsKeyNotFoundException", None),
    ({"KmsKeyId": KEY.replace("arn:aws:", "arn:aws-cn:") + NO_KEY}, "KmsKeyNotFoundException", None),
    ({"KmsKeyId": KEY + NO_KEY}, "InsufficientEncryptionPolicyException", None),
    ({"KmsKeyId": "$closed_key"}, "InsufficientEncryptionPolicyException", None),
    ({"KmsKeyId": "$disabled_key"}, "KmsException", None),
    ({"RecursiveLogging": True}, "UnsupportedOperationException", None),
    ({"IsOrganizationTrail": True}, "OrganizationsNotInUseException", None),
    ({"CloudWatchLogsRoleArn": _LOGS_ROLE}, "InvalidCloudWatchLogsLogGroupArnException", None),
    ({"CloudWatchLogsLogGroupArn": _LOG_GROUP}, "InvalidCloudWatchLogsRoleArnException", None),
    (
        {"CloudWatchLogsLogGroupArn": _LOG_GROUP.removesuffix(":*"), "CloudWatchLogsRoleArn": _LOGS_ROLE},
        *("InvalidCloudWatchLogsLogGroupArnException", None),
    ),
    (
        {"IsMultiRegionTrail": True, "IncludeGlobalServiceEvents": False},
        *("InvalidParameterCombinationException", "Multi-Region trail must include global service events."),
    ),
)


def of_settings() -> list[Row]:
    rows = [_create(code, text, **settings) for settings, code, text in _SETTINGS]
    rows += [_update(code, text, **settings) for settings, code, text in _SETTINGS]
    no_role, role = "InvalidCloudWatchLogsRoleArnException", {"CloudWatchLogsRoleArn": _LOGS_ROLE}
    rows.append(_create(no_role, CloudWatchLogsLogGroupArn=_LOG_GROUP.replace(HOME, NEW), **role))
    rows.append(_update(no_role, CloudWatchLogsLogGroupArn=_LOG_GROUP, **role))
    taken = f"Trail {{}} already exists for customer: {ACCOUNT}"
    rows += [
        _create("TrailAlreadyExistsException", taken.format("keeper"), Name="keeper"),
        _create("TrailAlreadyExistsException", taken.format("single"), Name="single", region=HOME),
        _create("TrailAlreadyExistsException", taken.format("ireland"), Name="ireland", IsMultiRegionTrail=True),
        _create("MaximumNumberOfTrailsExceededException", region=FULL),
        _create("MaximumNumberOfTrailsExceededException", IsMultiRegionTrail=True),
        _create("InvalidTagParameterException", TagsList=[TAG, TAG]),
        _create("InvalidTagParameterException", TagsList=[{"Key": "aws:team"}]),
        _create("TagsLimitExceededException", TagsList=[{"Key": f"k{n}"} for n in range(51)]),
        _create("ValidationException", S3BucketName=None),
        _update("ConflictException", name="twin", IsMultiRegionTrail=True),
        _update("InvalidParameterCombinationException", IsMultiRegionTrail=True),
        _update("InvalidS3BucketNameException", S3BucketName=""),
    ]
    return rows
