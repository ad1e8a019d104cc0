"""What is counted while we work: calls, denials, and how long the journal's writes take. Numbers only.

Rules. Counting costs well under two microseconds, takes no input of unbounded variety for a label, and never fails: it
stands on the way of every call. How the numbers are shown is ``metrics``' business.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from opentrail.events.call import Call, Outcome
from opentrail.journal.files import DiskFiles

CallOutcome = Literal["ok", "client_error", "server_error"]

OTHER = "other"
"""The service of calls for which there is no label left."""

MOST_SERVICES = 128
"""So many services get a label of their own: the first that are called."""

FLUSH_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

DENIALS = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation"}
    | {"AuthorizationError", "AuthorizationErrorException", "NotAuthorized"}
)
"""Codes by which services refuse a caller who is known but may not (cloudtrail fact sheet 1.2; SNS's own two)."""

_SERVER_CODES = ("Internal", "ServiceUnavailable", "ServiceFailure", "Server.", "OutcomeUnknown", "NotImplemented")


def outcome_of(error_code: str | None) -> CallOutcome:
    """Whose fault a call's end was, by its error code: records hold no status."""
    if error_code is None:
        return "ok"
    return "server_error" if error_code.startswith(_SERVER_CODES) else "client_error"


@dataclass(frozen=True, slots=True)
class CallCounts:
    """Calls by (service, read only, outcome), and denials by service, since the start."""

    calls: Mapping[tuple[str, bool, CallOutcome], int]
    denials: Mapping[str, int]


class CallMeter:
    """Counts calls as their records are made. Thread-safe."""

    def __init__(self, most_services: int = MOST_SERVICES) -> None:
        self._most_services = most_services
        self._lock = threading.Lock()
        self._services: dict[str, str] = {}
        self._calls: dict[tuple[str, bool, CallOutcome], int] = {}
        self._denials: dict[str, int] = {}

    def __call__(self, call: Call, outcome: Outcome) -> None:
        """Count one call."""
        code = outcome.error_code
        end = outcome_of(code)
        with self._lock:
            service = self._services.get(call.event_source) or self._label(call.event_source)
            key = (service, call.read_only, end)
            self._calls[key] = self._calls.get(key, 0) + 1
            if code is not None and code in DENIALS:
                self._denials[service] = self._denials.get(service, 0) + 1

    def counts(self) -> CallCounts:
        """The numbers now."""
        with self._lock:
            return CallCounts(dict(self._calls), dict(self._denials))

    def _label(self, event_source: str) -> str:
        if len(self._services) >= self._most_services:
            return OTHER
        self._services[event_source] = event_source
        return event_source


@dataclass(frozen=True, slots=True)
class FlushTimes:
    """How many writes took at most each bound's time (and, last, longer), and the seconds of all together."""

    counts: tuple[int, ...]
    sum_s: float

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """(upper bound, how many took at most that long), as Prometheus has it."""
        total = 0
        for bound, count in zip((*map(str, FLUSH_BOUNDS_S), "+Inf"), self.counts, strict=True):
            total += count
            yield bound, total


class TimedFiles(DiskFiles):
    """The journal's door to the disk, with a watch on every durable write."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._counts = [0] * (len(FLUSH_BOUNDS_S) + 1)
        self._sum_s = 0.0

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """As every ``DiskFiles``. Raises OSError; what failed is not counted."""
        began_s = time.perf_counter()
        super().write(descriptor, data, offset)
        took_s = time.perf_counter() - began_s
        with self._lock:
            self._counts[bisect_left(FLUSH_BOUNDS_S, took_s)] += 1
            self._sum_s += took_s

    def times(self) -> FlushTimes:
        """The numbers now."""
        with self._lock:
            return FlushTimes(tuple(self._counts), self._sum_s)


class ChefMeter:
    """Counts answers of the Chef API door by outcome. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[CallOutcome, int] = {}

    def __call__(self, status: int) -> None:
        """Count one answer by its status."""
        outcome: CallOutcome = "ok" if status < 400 else "client_error" if status < 500 else "server_error"
        with self._lock:
            self._answers[outcome] = self._answers.get(outcome, 0) + 1

    def counts(self) -> Mapping[CallOutcome, int]:
        """The numbers now."""
        with self._lock:
            return dict(self._answers)


@dataclass(frozen=True, slots=True)
class Meters:
    """What the parts report to."""

    calls: CallMeter = field(default_factory=CallMeter)
    chef: ChefMeter = field(default_factory=ChefMeter)
    files: TimedFiles = field(default_factory=TimedFiles)
