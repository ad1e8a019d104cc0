"""Timestamps in the three forms that models name: ``unixTimestamp``, ``iso8601`` and ``rfc822``.

Inside, a timestamp is an aware UTC datetime. Answers carry milliseconds at most, as AWS's do (opsworks-cm fact
sheet 2).
"""

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO8601 = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_RFC822_CHARS_MAX = 40


def from_epoch(seconds: float) -> datetime:
    """The instant that many seconds after 1970, to the microsecond. Raises ValueError outside the years 1 to 9999."""
    if not math.isfinite(seconds):
        raise ValueError("not a finite number")
    try:
        return EPOCH + timedelta(microseconds=round(seconds * 1_000_000))
    except OverflowError:
        raise ValueError("outside the calendar") from None


def from_text(text: str) -> datetime:
    """An instant written as ISO 8601 (UTC if it names no zone), as RFC 822 or as epoch seconds. Raises ValueError."""
    if _NUMBER.fullmatch(text):
        return from_epoch(float(text))
    if _ISO8601.fullmatch(text):
        moment = datetime.fromisoformat(text)
    elif len(text) <= _RFC822_CHARS_MAX:
        moment = _from_rfc822(text)
    else:
        raise ValueError("not a timestamp")
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the calendar") from None


def _from_rfc822(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text)
    except OverflowError:
        raise ValueError("outside the calendar") from None


def to_epoch(moment: datetime) -> int | float:
    """Seconds after 1970, cut to the millisecond; an int where there is no fraction. Raises ValueError if not aware."""
    milliseconds = (_aware(moment) - EPOCH) // timedelta(milliseconds=1)
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def to_text(moment: datetime, form: str) -> str:
    """An instant as ``iso8601`` (milliseconds only if there are some) or ``rfc822``. Raises ValueError if not aware."""
    utc = _aware(moment).astimezone(UTC)
    if form == "rfc822":
        return format_datetime(utc, usegmt=True)
    if form != "iso8601":
        raise ValueError(f"no timestamp format is called {form!r}")
    timespec = "milliseconds" if utc.microsecond >= 1000 else "seconds"
    return utc.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a timestamp without a time zone")
    return moment
