"""Things that count once: one-time codes of MFA devices, and SAML assertions.

What was used is remembered in memory for as long as it would be valid, and no longer. Safe for threads.
"""

from datetime import datetime
from threading import Lock

from opentrail.errors import ApiError


class SingleUse:
    """Remembers names until their time is over."""

    def __init__(self, capacity: int = 100_000) -> None:
        """``capacity``: how many are remembered; beyond it nothing more is accepted, because a name forgotten too early
        could be used again.
        """
        self._capacity = capacity
        self._until: dict[str, datetime] = {}
        self._lock = Lock()

    def use(self, name: str, until: datetime, now: datetime) -> bool:
        """Use a name that is valid until then; False where it was used before.

        Raises ApiError Throttling where too many are remembered.
        """
        with self._lock:
            if self._until.get(name, now) > now:
                return False
            if len(self._until) >= self._capacity:
                self._until = {known: end for known, end in self._until.items() if end > now}
            if len(self._until) >= self._capacity:
                raise ApiError("Throttling", "Rate exceeded", status=503)
            self._until[name] = until
        return True
