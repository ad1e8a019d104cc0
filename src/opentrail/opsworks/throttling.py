"""Throttling of API calls: a bucket of tokens for each account and operation.

Rules: opsworks-cm fact sheet 2. AWS lets every operation be called 5 times a second, with bursts of 10.
"""

import threading
from dataclasses import dataclass

from opentrail.clock import Clock
from opentrail.errors import ApiError
from opentrail.events.call import Call

BURST_S = 2.0
"""A full bucket holds what this many seconds refill: AWS's 10 for 5 a second."""

_SWEEP_AT = 1024


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at_s: float


class Throttle:
    """Counts calls; thread safe. Its memory is bounded: full buckets are forgotten."""

    def __init__(self, requests_per_s: float, clock: Clock) -> None:
        """``requests_per_s`` 0 lets everything pass."""
        self._rate = requests_per_s
        self._burst = max(1.0, requests_per_s * BURST_S)
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}
        self._lock = threading.Lock()

    def admit(self, call: Call) -> None:
        """Count a call of an account in a region. Raises ApiError ThrottlingException where it is one too many."""
        if not self._rate:
            return
        now_s = self._clock.monotonic()
        with self._lock:
            if len(self._buckets) >= _SWEEP_AT:
                self._sweep(now_s)
            bucket = self._buckets.setdefault(
                (call.account_id, call.region, call.event_name), _Bucket(self._burst, now_s)
            )
            bucket.tokens = self._filled(bucket, now_s)
            bucket.filled_at_s = now_s
            if bucket.tokens < 1:
                raise ApiError("ThrottlingException", "Rate exceeded")
            bucket.tokens -= 1

    def _filled(self, bucket: _Bucket, now_s: float) -> float:
        return min(self._burst, bucket.tokens + (now_s - bucket.filled_at_s) * self._rate)

    def _sweep(self, now_s: float) -> None:
        full = [key for key, bucket in self._buckets.items() if self._filled(bucket, now_s) >= self._burst]
        for key in full:
            del self._buckets[key]
