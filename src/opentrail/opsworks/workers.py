"""A bounded pool of threads that works on one key at a time.

Work is level-triggered: ``look_at(key)`` asks for somebody to look at what a key needs now. However often it is asked,
one key is never worked on twice at once, and a request during the work makes it be looked at once more.
"""

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
_log = logging.getLogger(__name__)


class KeyedWorkers(Generic[K]):
    """Calls ``perform(key)`` on its threads; an exception there is logged and ends that look only."""

    def __init__(self, perform: Callable[[K], None], threads: int, name: str) -> None:
        self._perform = perform
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._again: dict[K, bool] = {}  # every key being worked on or waiting; whether to look once more
        self._changed = threading.Condition()
        self._stopped = False

    def look_at(self, key: K) -> None:
        """Have a key looked at soon; ignored after ``stop``."""
        with self._changed:
            if self._stopped:
                return
            if key in self._again:
                self._again[key] = True
                return
            self._again[key] = False
            self._pool.submit(self._work, key)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is worked on or waiting; False when time ran out first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._again, timeout_s)

    def stop(self) -> None:
        """Take no more work, drop what has not begun, and wait for what has."""
        with self._changed:
            self._stopped = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._changed:
            self._again.clear()
            self._changed.notify_all()

    def _work(self, key: K) -> None:
        while True:
            with self._changed:
                self._again[key] = False
            try:
                self._perform(key)
            except Exception:  # noqa: BLE001 - a bug in one piece of work must not end the thread or block its key
                _log.exception("background work on %s failed", key)
            with self._changed:
                if not self._again[key] or self._stopped:
                    del self._again[key]
                    self._changed.notify_all()
                    return
