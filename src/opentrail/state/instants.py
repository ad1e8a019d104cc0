"""Instants as tables of the control state hold them: integer milliseconds since 1970 in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def from_ms(value: int) -> datetime:
    """The instant, in UTC."""
    return _EPOCH + timedelta(milliseconds=value)
