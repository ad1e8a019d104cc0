"""What basic event selectors may say (cloudtrail fact sheet 6.5): counts, types, and the form of each ARN value.

Pure; refusals are InvalidEventSelectorsException. AWS's own sentence for a value that has not the form of its type is
``Value V for DataResources.Values is invalid.``; public reports show it for a bucket's ARN without a slash, for an
empty bucket name and for wildcards in it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentrail.errors import ApiError
from opentrail.events.selectors import BasicSelector, DataResource, ReadWriteType

MAX_SELECTORS = 5
MAX_DATA_RESOURCE_VALUES = 250
EXCLUDABLE_SOURCES = ("kms.amazonaws.com", "rdsdata.amazonaws.com")
"""The only sources whose management events can be left out, of the many they have."""

_READ_WRITE_TYPES = tuple(known.value for known in ReadWriteType)
_SHOWN_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class DataType:
    """One type of resource in basic selectors: the values that mean every such resource, and the form of the others.

    ``is_prefix``: whether a value stands for all ARNs that begin with it, or for exactly one.
    """

    every: frozenset[str]
    form: re.Pattern[str]
    hint: str
    is_prefix: bool = False


_ACCOUNT_AND_REGION = r"[a-z0-9-]+:[0-9]{12}"
# Bucket names as S3 had them before 2018, with capitals and underscores, still exist.
DATA_TYPES: Mapping[str, DataType] = {
    "AWS::S3::Object": DataType(
        frozenset({"arn:aws:s3", "arn:aws:s3:::"}),
        re.compile(r"arn:aws:s3:::[A-Za-z0-9._-]{3,255}/[^*\x00-\x1f\x7f]*"),
        "arn:aws:s3 for every bucket, arn:aws:s3:::BUCKET/ for a bucket, arn:aws:s3:::BUCKET/PREFIX for a prefix",
        is_prefix=True,
    ),
    "AWS::Lambda::Function": DataType(
        frozenset({"arn:aws:lambda"}),
        re.compile(rf"arn:aws:lambda:{_ACCOUNT_AND_REGION}:function:[A-Za-z0-9_-]{{1,140}}(:[A-Za-z0-9$_-]{{1,128}})?"),
        "arn:aws:lambda for every function, or a function's ARN",
    ),
    "AWS::DynamoDB::Table": DataType(
        frozenset({"arn:aws:dynamodb"}),
        re.compile(rf"arn:aws:dynamodb:{_ACCOUNT_AND_REGION}:table/[A-Za-z0-9_.-]{{1,255}}"),
        "arn:aws:dynamodb for every table, or a table's ARN",
    ),
}
"""What basic selectors know of data events."""


def check_basic(selectors: Sequence[BasicSelector]) -> None:
    """Raise InvalidEventSelectorsException where basic selectors break a rule of cloudtrail fact sheet 6.5."""
    if not 1 <= len(selectors) <= MAX_SELECTORS:
        raise invalid(f"A trail can have 1 to {MAX_SELECTORS} event selectors; {len(selectors)} were given.")
    for selector in selectors:
        _check_selector(selector)
    count = sum(_counted(resource) for selector in selectors for resource in selector.data_resources)
    if count > MAX_DATA_RESOURCE_VALUES:
        raise invalid(
            f"The event selectors name {count} data resources; a trail can name {MAX_DATA_RESOURCE_VALUES} over all "
            "its event selectors."
        )


def invalid(message: str) -> ApiError:
    """The refusal of event selectors."""
    return ApiError("InvalidEventSelectorsException", message)


def shown(text: str) -> str:
    """A caller's value for a message: cut where it is long."""
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}..."


def _check_selector(selector: BasicSelector) -> None:
    if selector.read_write_type not in _READ_WRITE_TYPES:
        known = ", ".join(_READ_WRITE_TYPES)
        raise invalid(f"Value {shown(selector.read_write_type)} for ReadWriteType is invalid. It can be {known}.")
    for source in selector.exclude_management_event_sources:
        if source not in EXCLUDABLE_SOURCES:
            raise invalid(
                f"Value {shown(source)} for ExcludeManagementEventSources is invalid. "
                f"It can be {' or '.join(EXCLUDABLE_SOURCES)}."
            )
    if selector.exclude_management_event_sources and not selector.include_management_events:
        raise invalid("ExcludeManagementEventSources can only be given where IncludeManagementEvents is true.")
    for resource in selector.data_resources:
        _check_resource(resource)


def _check_resource(resource: DataResource) -> None:
    kind = DATA_TYPES.get(resource.type)
    if kind is None:
        raise invalid(
            f"Value {shown(resource.type)} for DataResources.Type is invalid. Event selectors know "
            f"{', '.join(sorted(DATA_TYPES))}; advanced event selectors know further types."
        )
    if not resource.values:
        raise invalid(f"DataResources.Values must name at least one resource of type {resource.type}: {kind.hint}.")
    for value in resource.values:
        if value not in kind.every and not kind.form.fullmatch(value):
            raise invalid(
                f"Value {shown(value)} for DataResources.Values is invalid. For {resource.type} give {kind.hint}; "
                "wildcards are not supported."
            )


def _counted(resource: DataResource) -> int:
    every = DATA_TYPES[resource.type].every
    return sum(value not in every for value in resource.values)
