"""Rounds: a thread that does what waits when it is woken, and looks every second without."""

import logging
import threading
from collections.abc import Callable

_LONGEST_WAIT_S = 1.0

log = logging.getLogger(__name__)


class Rounds:
    """Calls ``make`` from ``start()`` to ``stop()``; what it raises is told in the log, and the next round is made."""

    def __init__(self, name: str, make: Callable[[], None]) -> None:
        self._name = name
        self._make = make
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def are_ending(self) -> bool:
        """Whether the round under way is to end soon."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Begin, with what the last process left first."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End after what is under way, at most until the time is over."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Look soon; for ``Unit.after_commit``."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._make()
            except Exception:
                log.exception("a round of the %s failed", self._name)
            self._wake.wait(_LONGEST_WAIT_S)
