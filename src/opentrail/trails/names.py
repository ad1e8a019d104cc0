"""What a trail, its bucket, its prefix and its ARN may be called; wrong names are refused in CloudTrail's own words.

Rules: cloudtrail fact sheet 6.1. Everything here is pure and raises ``ApiError`` with the modelled code of the member.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from itertools import pairwise

from opentrail.aws.arn import parse_arn
from opentrail.errors import ApiError

MIN_NAME_LENGTH = 3
MAX_NAME_LENGTH = 128
MAX_PREFIX_LENGTH = 200

_NAME_CHARACTERS = re.compile(r"[A-Za-z0-9._-]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ARN_PARTITION = "aws"
_ARN_RESOURCE = "trail/"


@dataclass(frozen=True, slots=True)
class TrailReference:
    """Which trail a caller means: by its ARN (account and home region known) or by a name visible in a region."""

    account_id: str
    region: str
    name: str
    by_arn: bool

    @property
    def arn(self) -> str:
        """The ARN that this reference stands for, taking the caller's region as home where only a name was given."""
        return trail_arn(self.account_id, self.region, self.name)


def trail_arn(account_id: str, home_region: str, name: str) -> str:
    """The ARN of a trail."""
    return f"arn:{_ARN_PARTITION}:cloudtrail:{home_region}:{account_id}:{_ARN_RESOURCE}{name}"


def log_root(prefix: str, account_id: str, organization_id: str | None = None) -> str:
    """Where an account's objects stand in a bucket: ``[prefix/]AWSLogs/[o-orgid/]ACCOUNT/`` (cloudtrail fact sheet
    3.2).
    """
    above = f"{prefix}/AWSLogs/" if prefix else "AWSLogs/"
    return f"{above}{organization_id}/{account_id}/" if organization_id else f"{above}{account_id}/"


def check_trail_name(name: str) -> None:
    """Raise InvalidTrailNameException where ``name`` breaks a rule of cloudtrail fact sheet 6.1."""
    problem = _name_problem(name)
    if problem:
        raise ApiError("InvalidTrailNameException", problem)


def _name_problem(name: str) -> str | None:
    if len(name) < MIN_NAME_LENGTH:
        return _length_problem("short", f"Minimum allowed length: {MIN_NAME_LENGTH}", name)
    if len(name) > MAX_NAME_LENGTH:
        return _length_problem("long", f"Maximum allowed length: {MAX_NAME_LENGTH}", name)
    if not name[0].isalnum():
        return "Trail name must starts with a letter or number."
    if not name[-1].isalnum():
        return "Trail name must ends with a letter or number."
    if not _NAME_CHARACTERS.fullmatch(name):
        return (
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), "
            "hyphens (-), and underscores (_)."
        )
    if any(a in "._-" and b in "._-" for a, b in pairwise(name)):
        return "Trail name must not contain two adjacent periods (.), hyphens (-), or underscores (_)."
    if _is_ipv4(name):
        return "Trail name must not be in IP address format."
    return None


def _length_problem(adjective: str, limit: str, name: str) -> str:
    return f"Trail name too {adjective}. {limit} characters. Specified name length: {len(name)} characters."


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def check_bucket_name(bucket: str) -> None:
    """Raise InvalidS3BucketNameException unless ``bucket`` follows S3's rules for bucket names."""
    if not _BUCKET.fullmatch(bucket) or ".." in bucket or _is_ipv4(bucket):
        raise ApiError("InvalidS3BucketNameException", f"Bucket name {bucket[:80]} is invalid.")


def check_prefix(prefix: str) -> None:
    """Raise InvalidS3PrefixException for a key prefix that is too long, unprintable, or would hide ``AWSLogs/``."""
    if len(prefix) > MAX_PREFIX_LENGTH:
        problem = f"S3 prefix is longer than maximum length of {MAX_PREFIX_LENGTH} characters."
    elif "AWSLogs/" in f"{prefix}/":
        problem = "S3 prefix must not contain AWSLogs/."
    elif prefix.startswith("/") or prefix.endswith("/") or "//" in prefix:
        problem = "S3 prefix must not begin or end with a slash or contain an empty part."
    elif not prefix.isprintable():
        problem = "S3 prefix must consist of printable characters."
    else:
        return
    raise ApiError("InvalidS3PrefixException", problem)


def parse_reference(name_or_arn: str, *, account_id: str, region: str) -> TrailReference:
    """What a request's ``Name`` refers to.

    Raises CloudTrailARNInvalidException for something that begins like an ARN but is none of a trail, and
    InvalidTrailNameException for an impossible name.
    """
    if not name_or_arn.startswith("arn:"):
        check_trail_name(name_or_arn)
        return TrailReference(account_id, region, name_or_arn, by_arn=False)
    try:
        arn = parse_arn(name_or_arn)
    except ValueError as error:
        raise _invalid_arn() from error
    name = arn.resource.removeprefix(_ARN_RESOURCE)
    is_trail = (arn.partition, arn.service) == (_ARN_PARTITION, "cloudtrail") and arn.resource == _ARN_RESOURCE + name
    if not is_trail or not arn.region or not arn.account_id or _name_problem(name):
        raise _invalid_arn()
    return TrailReference(arn.account_id, arn.region, name, by_arn=True)


def _invalid_arn() -> ApiError:
    return ApiError(
        "CloudTrailARNInvalidException",
        "An ARN is not valid. The following is the format of a trail ARN: "
        "arn:aws:cloudtrail:us-east-2:123456789012:trail/MyTrail",
    )
