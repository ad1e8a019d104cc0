"""S3 requests by name: which bucket and key an address means, and which operation a request is.

Rules: nothing is decoded that is sent on (``locate`` gives the key as it was on the wire); a request that is not
clearly one operation is marked unsupported rather than taken for the nearest one, because the upstream might see it
differently and the permission asked for would be the wrong one. Nothing here raises, whatever the bytes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from opentrail.events.classify import is_read_only
from opentrail.events.s3_operations import (
    COPY_OBJECT,
    LIST_CONFIGURATIONS,
    OPERATIONS,
    SELECTORS,
    UPLOAD_PART_COPY,
    Level,
    S3Operation,
)

EVENT_SOURCE = "s3.amazonaws.com"
UNSUPPORTED_EVENT_NAME = "UnsupportedOperation"

# s3.amazonaws.com, s3.eu-west-1.amazonaws.com, s3-eu-west-1..., s3.dualstack.eu-west-1..., s3-fips...; with a
# bucket before.
_AWS_HOST = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:-fips)?(?:[.-](?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-[0-9])?\.amazonaws\.com(?:\.cn)?"
)
_HOST_LENGTH_MAX = 512
_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# Query names that select nothing and may come without a value. Another name without one might be a sub-resource
# that only the upstream knows, so it is refused; a name with a value that nobody knows is ignored, as S3 does.
_VALUELESS = frozenset(
    {"prefix", "delimiter", "marker", "key-marker", "version-id-marker", "upload-id-marker", "start-after", "versionId"}
    | {
        "encoding-type",
        "continuation-token",
        "fetch-owner",
        "max-keys",
        "max-parts",
        "max-uploads",
        "part-number-marker",
    }
    | {"max-buckets", "bucket-region"}
)
_IGNORED = ("x-", "response-")
_NAME_LENGTH_SHOWN = 64


@dataclass(frozen=True, slots=True)
class S3Call:
    """What one S3 request asks for.

    ``operation`` is the API's name, ``event_name`` CloudTrail's, ``iam_action`` what permission it needs (empty for
    a CORS preflight, which needs none). ``key`` is decoded, for the record. ``unsupported`` says what was asked for
    where that is no operation served here; ``operation`` and ``iam_action`` are then empty.
    """

    operation: str
    event_name: str
    iam_action: str
    bucket: str
    key: str
    read_only: bool
    management: bool
    version_id: str = ""
    unsupported: str = ""


class Location(NamedTuple):
    """Bucket and key of an address; both empty for the service itself. The key is still percent-encoded."""

    bucket: str
    key: str


class CopySource(NamedTuple):
    """The object that ``x-amz-copy-source`` names, decoded; ``version_id`` is empty where none is given."""

    bucket: str
    key: str
    version_id: str


def locate(host: str, path: str, base_hosts: Sequence[str] = ()) -> Location:
    """Bucket and raw key of an address, in path style or virtual-host style.

    ``host`` is the Host header, its port included or not; ``path`` is raw. A host that is one of ``base_hosts``,
    AWS's own or none known is path style; what stands before a base host, the longest that fits, is the bucket.
    """
    rest = path.removeprefix("/")
    bucket = _host_bucket(host, base_hosts)
    if bucket:
        return Location(bucket, rest)
    name, _, key = rest.partition("/")
    return Location(unquote(name, errors="replace"), key)


def _host_bucket(host: str, base_hosts: Sequence[str]) -> str:
    """The bucket that the Host header names; empty in path style."""
    name = host if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")[:_HOST_LENGTH_MAX]
    for base in sorted((base.lower() for base in base_hosts), key=len, reverse=True):
        if name == base:
            return ""
        if name.endswith(f".{base}"):
            return name.removesuffix(f".{base}")
    on_aws = _AWS_HOST.fullmatch(name)
    return (on_aws["bucket"] or "") if on_aws else ""


def identify(method: str, location: Location, query: str, headers: Mapping[str, str]) -> S3Call:
    """What a request asks for. ``query`` is raw; header names are lower case."""
    pairs = list(query_pairs(query))
    row = _refusal(location, pairs) or _row(method, _level(location), dict(pairs), headers)
    return _call(method, location, dict(pairs), row)


def copy_source(headers: Mapping[str, str]) -> CopySource | None:
    """The source of a copy; None where the header is absent or names no object."""
    text = headers.get("x-amz-copy-source")
    if text is None:
        return None
    path, _, version = text.partition("?versionId=")
    bucket, _, key = unquote(path.removeprefix("/"), errors="replace").partition("/")
    return CopySource(bucket, key, unquote(version, errors="replace")) if bucket and key else None


def query_pairs(query: str) -> Iterator[tuple[str, str]]:
    """The decoded names and values of a query string, in order."""
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if name:
            yield unquote_plus(name, errors="replace"), unquote_plus(value, errors="replace")


def _level(location: Location) -> Level:
    """What an address names."""
    if location.key:
        return Level.OBJECT
    return Level.BUCKET if location.bucket else Level.SERVICE


def _refusal(location: Location, pairs: Sequence[tuple[str, str]]) -> str:
    """Why an address or its query has no clear meaning; empty where it has."""
    if location.key and not location.bucket:
        return "a key without a bucket"
    if len({name for name, _ in pairs}) < len(pairs):
        return "a query parameter given twice"
    for name, value in pairs:
        if ";" in name or not (value or name in SELECTORS or name in _VALUELESS or name.lower().startswith(_IGNORED)):
            return f"the query parameter {name[:_NAME_LENGTH_SHOWN]}"
    return ""


def _row(method: str, level: Level, parameters: Mapping[str, str], headers: Mapping[str, str]) -> S3Operation | str:
    """The row of the table that a request means, or a text saying why none fits."""
    selectors = [name for name in parameters if name in SELECTORS]
    if "select" in selectors and parameters.get("select-type") != "2":
        return f"{method} {level} ?select without select-type=2"
    if level is Level.BUCKET and parameters.get("list-type", "2") != "2":
        selectors.remove("list-type")
    if len(selectors) > 1:
        return f"{method} {level} ?{'&'.join(sorted(selectors))}"
    selector = selectors[0] if selectors else ""
    row = OPERATIONS.get((level, method, selector))
    if row is None:
        return f"{method} {level}{' ?' if selector else ''}{selector}"
    if method == "GET" and selector in LIST_CONFIGURATIONS and "id" not in parameters:
        return LIST_CONFIGURATIONS[selector]
    return _upload(row, parameters, headers) if method == "PUT" and level is Level.OBJECT else row


def _upload(row: S3Operation, parameters: Mapping[str, str], headers: Mapping[str, str]) -> S3Operation | str:
    """Tell copies and parts from plain uploads. A part needs both of its names."""
    copies = "x-amz-copy-source" in headers
    if row.operation == "UploadPart":
        if "partNumber" not in parameters:
            return "PUT object ?uploadId without partNumber"
        return UPLOAD_PART_COPY if copies else row
    if row.operation == "PutObject":
        if "partNumber" in parameters:
            return "PUT object ?partNumber without uploadId"
        return COPY_OBJECT if copies else row
    return row


def _call(method: str, location: Location, parameters: Mapping[str, str], row: S3Operation | str) -> S3Call:
    """The value for a row, or for the lack of one."""
    bucket, key = location.bucket, unquote(location.key, errors="replace")
    version_id = parameters.get("versionId", "")
    if isinstance(row, str):
        return S3Call(
            operation="",
            event_name=UNSUPPORTED_EVENT_NAME,
            iam_action="",
            bucket=bucket,
            key=key,
            read_only=method in _READING_METHODS,
            management=not key,
            version_id=version_id,
            unsupported=row,
        )
    action = row.versioned_action if version_id and row.versioned_action else row.iam_action
    return S3Call(
        operation=row.operation,
        event_name=row.event_name,
        iam_action="" if row.operation == "PreflightRequest" else action,
        bucket=bucket,
        key=key,
        read_only=is_read_only(EVENT_SOURCE, row.event_name),
        management=row.management,
        version_id=version_id,
    )
