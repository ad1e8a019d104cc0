"""How points in time are written: the record's own, and those inside parameters, which differ by service.

Rules: UTC always; nothing here depends on the machine's locale. A service that the table does not name uses ISO
8601, as the cloudtrail fact sheet 12.3 advises for new implementations.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _in_utc(moment: datetime) -> datetime:
    """The same instant in UTC; a time without a zone is taken for UTC."""
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def event_time(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ``: whole seconds, for ``eventTime`` and ``creationDate`` (cloudtrail fact sheet 1.2)."""
    return _in_utc(moment).isoformat()[:19] + "Z"


def iso_8601(moment: datetime) -> str:
    """``2023-07-10T12:03:18.000Z``: milliseconds, for services without a form of their own."""
    return _in_utc(moment).isoformat(timespec="milliseconds")[:23] + "Z"


def us_medium(moment: datetime, separator: str = " ") -> str:
    """``Jan 5, 2017 10:18:22 PM``: 12 hours, no leading zeros in day and hour, no zone (opsworks-cm fact sheet 11)."""
    at = _in_utc(moment)
    hour = at.hour % 12 or 12
    half = "AM" if at.hour < 12 else "PM"
    return f"{_MONTHS[at.month - 1]} {at.day}, {at.year}{separator}{hour}:{at.minute:02}:{at.second:02} {half}"


def us_medium_comma(moment: datetime) -> str:
    """``Jul 10, 2023, 12:47:00 PM``: the form of newer locale data (cloudtrail fact sheet 12.3)."""
    return us_medium(moment, ", ")


def iso_8601_microseconds(moment: datetime) -> str:
    """``2023-07-10T12:27:13.230465Z`` (cloudtrail fact sheet 12.3)."""
    return _in_utc(moment).isoformat(timespec="microseconds")[:26] + "Z"


def iso_8601_offset(moment: datetime) -> str:
    """``2023-07-10T12:28:24.000+0000`` (cloudtrail fact sheet 12.3)."""
    return iso_8601(moment)[:-1] + "+0000"


def epoch_milliseconds(moment: datetime) -> int:
    """``1688990604000``, a number (cloudtrail fact sheet 12.3)."""
    return (_in_utc(moment) - _EPOCH) // timedelta(milliseconds=1)


def epoch_seconds(moment: datetime) -> float:
    """``1688905708.62``, a number with what fraction there is (cloudtrail fact sheet 12.3)."""
    return round((_in_utc(moment) - _EPOCH).total_seconds(), 3)


Form: TypeAlias = Callable[[datetime], str | int | float]
"""A way to write points in time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BY_SOURCE: dict[str, Form] = {
    "opsworks-cm.amazonaws.com": us_medium,  # opsworks-cm fact sheet 11, the public sample of 2017
    "cloudtrail.amazonaws.com": us_medium,  # the same default form of the same runtime; no sample with a time is public
    "iam.amazonaws.com": us_medium,  # cloudtrail fact sheet 12.3, measured
    "organizations.amazonaws.com": us_medium,  # Organizations User Guide, CloudTrail entry CreateAccount (2018)
    "rds.amazonaws.com": us_medium,  # measured
    "cloudfront.amazonaws.com": us_medium,  # CloudFront Developer Guide, CloudTrail entry UpdateDistribution (2024)
    "cognito-identity.amazonaws.com": us_medium,  # Cognito Developer Guide, CloudTrail entry GetCredentialsForIdentity
    "sts.amazonaws.com": us_medium_comma,  # measured
    "secretsmanager.amazonaws.com": us_medium_comma,  # measured
    "health.amazonaws.com": us_medium_comma,  # measured
    "ssm.amazonaws.com": us_medium_comma,  # measured since 2024
    "ec2.amazonaws.com": epoch_milliseconds,  # measured: launchTime, createTime, startTime
    "devops-guru.amazonaws.com": epoch_seconds,  # measured
    "lambda.amazonaws.com": iso_8601_offset,  # measured: lastModified, which is text in the model already
    "rolesanywhere.amazonaws.com": iso_8601_microseconds,  # measured
}


def form_of(event_source: str) -> Form:
    """How this event source writes points in time inside requestParameters and responseElements."""
    return _BY_SOURCE.get(event_source, iso_8601)


def sources_with_a_form() -> frozenset[str]:
    """The event sources that the table names: for the test that holds them against the models."""
    return frozenset(_BY_SOURCE)
