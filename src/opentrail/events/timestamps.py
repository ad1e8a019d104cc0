"""How points in time are written: the record's own, and those inside parameters, which differ by service.

Rules: UTC always; nothing here depends on the machine's locale. A service that the table does not name uses ISO
8601, as the cloudtrail fact sheet 12.3 advises for new implementations.
"""

from collections.abc import Callable
from datetime import UTC, datetime

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


_BY_SOURCE: dict[str, Callable[[datetime], str]] = {
    "opsworks-cm.amazonaws.com": us_medium,  # opsworks-cm fact sheet 11, the public sample of 2017
    "cloudtrail.amazonaws.com": us_medium,  # the same default form of the same runtime; no sample with a time is public
    "iam.amazonaws.com": us_medium,  # cloudtrail fact sheet 12.3, measured
    "rds.amazonaws.com": us_medium,  # measured
    "sts.amazonaws.com": us_medium_comma,  # measured
    "secretsmanager.amazonaws.com": us_medium_comma,  # measured
    "health.amazonaws.com": us_medium_comma,  # measured
    "ssm.amazonaws.com": us_medium_comma,  # measured since 2024
}


def form_of(event_source: str) -> Callable[[datetime], str]:
    """How this event source writes points in time inside requestParameters and responseElements."""
    return _BY_SOURCE.get(event_source, iso_8601)
