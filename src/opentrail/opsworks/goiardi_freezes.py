"""Waiting for goiardi's freezes: until everything is on disk, or at least what was written before now.

Rules: opsworks-cm fact sheet 12.2, measured; see ``goiardi_files``.
"""

import threading
from collections.abc import Callable

from opentrail.clock import Clock
from opentrail.errors import OutboundError
from opentrail.opsworks.goiardi_files import QUIET_S, GoiardiFiles

SETTLE_LIMIT_S = 30.0
_POLL_S = 0.1
_FREEZES_UNTIL_DURABLE = 2  # the first one may have begun before the write
_never = threading.Event()


def pause() -> None:
    """The time between two looks."""
    _never.wait(_POLL_S)


def settle(files: GoiardiFiles, clock: Clock, written_at_s: Callable[[], float]) -> None:
    """Wait until the files hold everything: QUIET_S since the last write and the last change of a file.

    A server that is never quiet is waited for no longer than SETTLE_LIMIT_S: a live copy works too (measured).
    """
    begun_s = clock.monotonic()
    quiet_since_s = written_at_s()
    stamp = files.stamp()
    while clock.monotonic() - begun_s < SETTLE_LIMIT_S:
        quiet_since_s = max(quiet_since_s, written_at_s())
        if clock.monotonic() - quiet_since_s >= QUIET_S:
            return
        pause()
        if (now := files.stamp()) != stamp:
            stamp, quiet_since_s = now, max(quiet_since_s, clock.monotonic() - QUIET_S / 2)


def await_freeze(files: GoiardiFiles, clock: Clock) -> None:
    """Wait until a freeze that began later than now has replaced the data file: that is the second one to end, or none
    for QUIET_S. Other than ``settle`` it does not wait for others' writes to end.

    Raises OutboundError where the file is not replaced in time.
    """
    begun_s = changed_s = clock.monotonic()
    stamp, freezes = files.stamp()[0], 0
    while clock.monotonic() - begun_s < SETTLE_LIMIT_S:
        if freezes == _FREEZES_UNTIL_DURABLE or clock.monotonic() - changed_s >= QUIET_S:
            return
        pause()
        if (now := files.stamp()[0]) != stamp:
            stamp, freezes, changed_s = now, freezes + 1, clock.monotonic()
    raise OutboundError("EngineFiles", "the Chef engine does not write its files")
