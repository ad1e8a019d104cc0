"""What the clock calls for: which server's backup or maintenance is due at an instant. Pure.

Rules (opsworks-cm fact sheet 8.1 and 8.3). A window is due once, from the instant it opens, for a server whose state
allows the work. A backup that nobody could make in time, because nothing ran or the server was busy, is made as soon as
it can be, once however many windows have passed. Maintenance takes a server away from its nodes, so it begins within
the hour of its window or not at all.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from opentrail.opsworks.server import ALLOWED, Server
from opentrail.opsworks.windows import DAYS, TimeWindow, parse_window

MAINTENANCE_WINDOW = timedelta(hours=1)
_CLOCK_WAS_WRONG = timedelta(days=1)
_DAY = timedelta(days=1)


class Due(StrEnum):
    """What is to be begun."""

    BACKUP = "BACKUP"
    MAINTENANCE = "MAINTENANCE"


def due(server: Server, now: datetime) -> Due | None:
    """What a server needs now by its windows; backups come before maintenance."""
    if not server.disable_automated_backup and server.status in ALLOWED["CreateBackup"]:
        window = parse_window(server.preferred_backup_window, "PreferredBackupWindow")
        if opened(window, server.backup_due_after or server.created_at, now) is not None:
            return Due.BACKUP
    if server.status in ALLOWED["StartMaintenance"]:
        window = parse_window(server.preferred_maintenance_window, "PreferredMaintenanceWindow")
        at = opened(window, server.maintenance_due_after or server.created_at, now)
        if at is not None and now - at < MAINTENANCE_WINDOW:
            return Due.MAINTENANCE
    return None


def opened(window: TimeWindow, after: datetime, now: datetime) -> datetime | None:
    """When a window opened last, if that was after an instant; None if it was not.

    An instant far ahead of now was written by a clock that was wrong, and counts for nothing.
    """
    at = last_opening(window, now)
    return at if at > after or after - now > _CLOCK_WAS_WRONG else None


def last_opening(window: TimeWindow, now: datetime) -> datetime:
    """The latest instant not after now at which a window opened."""
    at = now.replace(hour=window.hour, minute=window.minute, second=0, microsecond=0)
    if window.day is not None:
        at -= _DAY * ((now.weekday() - DAYS.index(window.day)) % len(DAYS))
    if at > now:
        at -= _DAY if window.day is None else _DAY * len(DAYS)
    return at
