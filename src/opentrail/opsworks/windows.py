"""Weekly and daily time windows: ``DDD:HH:MM`` or ``HH:MM``, in UTC.

Rules: opsworks-cm fact sheet 8.1. Any minute is accepted; ``Thr``, which AWS's prose lists, is not a day. A missing
maintenance window becomes a random hour on Tuesday, Wednesday or Friday, a missing backup window a random daily hour.
"""

import re
from dataclasses import dataclass

from opentrail.clock import Entropy
from opentrail.errors import ApiError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DEFAULT_MAINTENANCE_DAYS = ("Tue", "Wed", "Fri")
_FORM = re.compile(r"(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun):)?([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """When something may happen; ``day`` is None for every day."""

    day: str | None
    hour: int
    minute: int

    def __str__(self) -> str:
        clock = f"{self.hour:02d}:{self.minute:02d}"
        return clock if self.day is None else f"{self.day}:{clock}"


def parse_window(text: str, member: str) -> TimeWindow:
    """Read a window given in the request member of that name.

    Raises ApiError ValidationException where it is not one.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        shown = text[:64]
        raise ApiError(
            "ValidationException",
            f"{member} must be DDD:HH:MM or HH:MM in UTC, with a day of {', '.join(DAYS)}; it is '{shown}'",
        )
    return TimeWindow(match[1], int(match[2]), int(match[3]))


def default_maintenance_window(entropy: Entropy) -> TimeWindow:
    """A random hour on one of the days that AWS draws from."""
    return TimeWindow(DEFAULT_MAINTENANCE_DAYS[_draw(3, entropy)], _draw(24, entropy), 0)


def default_backup_window(entropy: Entropy) -> TimeWindow:
    """A random hour of every day."""
    return TimeWindow(None, _draw(24, entropy), 0)


def _draw(limit: int, entropy: Entropy) -> int:
    return int.from_bytes(entropy.token(8), "big") % limit
