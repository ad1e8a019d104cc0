"""The times of digest files: read strictly as CloudTrail writes them, and kindly as people type them.

Everything is an aware UTC datetime. Years outside 1970 to 8999 are refused, so that nobody's planted file name makes
arithmetic overflow.
"""

import re
from datetime import UTC, datetime

_WIRE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_SECONDS = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_YEARS = range(1970, 9000)
_MINUTES = re.compile(r"[0-9]{8}T[0-9]{4}Z")


def parse_wire(text: str) -> datetime:
    """``2026-11-25T10:00:00Z``, as inside a digest file (fact sheet 5.2). Raises ValueError for anything else."""
    return _parse(text, _WIRE, "%Y-%m-%dT%H:%M:%SZ")


def parse_stamp(text: str) -> datetime:
    """``20261125T100000Z``, as in a digest file's key (fact sheet 5.1). Raises ValueError for anything else."""
    return _parse(text, _SECONDS, "%Y%m%dT%H%M%SZ")


def parse_minute_stamp(text: str) -> datetime:
    """``20261125T1000Z``, as in a log file's key (fact sheet 3.2). Raises ValueError for anything else."""
    return _parse(text, _MINUTES, "%Y%m%dT%H%MZ")


def parse_asked(text: str) -> datetime:
    """A time as somebody types it: ISO 8601, a date alone being its midnight; UTC where no offset is given.

    Raises ValueError for anything else.
    """
    try:
        asked = datetime.fromisoformat(text)
        return _bounded((asked if asked.tzinfo else asked.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError):
        raise ValueError(f"not a time: {text!r} (write 2026-11-25T10:00:00Z)") from None


def display(instant: datetime) -> str:
    """An instant as it is shown: as on the wire."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _parse(text: str, pattern: re.Pattern[str], form: str) -> datetime:
    if not pattern.fullmatch(text):
        raise ValueError("not a time in CloudTrail's form")
    return _bounded(datetime.strptime(text, form).replace(tzinfo=UTC))


def _bounded(instant: datetime) -> datetime:
    if instant.year not in _YEARS:
        raise ValueError("a year that no file is of")
    return instant
