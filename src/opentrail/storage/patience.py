"""Asking a busy store again: only for what may be repeated, with growing pauses, and not forever."""

import time
from collections.abc import Callable
from typing import TypeVar

from opentrail.errors import OutboundError

ATTEMPTS = 5
FIRST_PAUSE_S = 0.2

_Result = TypeVar("_Result")


def patiently(
    work: Callable[[], _Result], sleep: Callable[[float], None] = time.sleep, *, attempts: int = ATTEMPTS
) -> _Result:
    """The result of some work, which is repeated while its OutboundError says that this may help.

    Raises the last error after so many attempts: by default five, three seconds after the first.
    """
    for attempt in range(attempts - 1):
        try:
            return work()
        except OutboundError as error:
            if not error.retryable:
                raise
        sleep(FIRST_PAUSE_S * 2**attempt)
    return work()
