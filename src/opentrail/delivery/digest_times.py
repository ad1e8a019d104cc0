"""When a stream's next digest is due, and which time it covers. Pure decisions over what is known of one stream.

A stream is one trail's log files of one account and region; its digests form a chain whose intervals touch. A chain
begins with a starting digest when validation or logging is turned on, goes on every interval, also when nothing was
delivered, and ends with a final digest (cloudtrail fact sheet 5.2).

Rules. End times grow by at least a second within everything that shares a key name, whatever the clock does. Time is
told by the wall clock and, where that was set back, by the monotonic one. After a standstill the missed intervals are
made up one by one; only a very long one gets a first digest that covers the excess, so that catching up ends.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

MAX_MADE_UP = 200
"""How many missed intervals get a digest each after a standstill."""

_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What a digest is to its chain."""

    STARTING = "starting"
    REGULAR = "regular"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Chain:
    """A stream's open chain. ``since``: the activation that it belongs to; ``end``: where its last digest's interval
    ends.
    """

    since: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What decides about a stream.

    ``since``: when the activation that is in force now began, None where there is none. ``waiting``: when the first log
    file was delivered that is in no digest yet. ``settled``: whether a chain that ends waits for no further log file.
    """

    chain: Chain | None
    since: datetime | None
    waiting: datetime | None
    settled: bool


@dataclass(frozen=True, slots=True)
class Due:
    """A digest to be made now. ``takes_all``: it lists every file that waits; otherwise only those delivered by its
    end, because another digest follows at once and takes the rest. ``since``: its chain's activation.
    """

    kind: Kind
    start: datetime
    end: datetime
    takes_all: bool
    since: datetime


def due(stream: Stream, now: datetime, elapsed_s: float, interval: timedelta) -> Due | None:
    """The stream's next digest, if it is time for it.

    ``elapsed_s``: monotonic seconds since the chain's last digest was made, or since we began to look.
    """
    chain = stream.chain
    if chain is None:
        return _starting(stream, interval)
    if chain.since != stream.since and (stream.settled or stream.since is not None):
        return Due(Kind.FINAL, chain.end, max(_next_second(now), chain.end + _SECOND), True, chain.since)
    missed = max((now - chain.end) // interval, 1 if elapsed_s >= interval.total_seconds() else 0)
    if missed < 1:
        return None
    skipped = max(0, missed - MAX_MADE_UP)
    end = chain.end + interval * (1 + skipped)
    return Due(Kind.REGULAR, chain.end, end, missed - skipped <= 1, chain.since)


def later_than(last_end: datetime | None, found: Due, interval: timedelta) -> Due:
    """The same digest with an end time that was never used: ``last_end`` is the latest that any of its name had."""
    if last_end is None or found.end > last_end:
        return found
    end = last_end + _SECOND
    return replace(found, end=end, start=end - interval if found.kind is Kind.STARTING else found.start)


def whole_second(at: datetime) -> datetime:
    """The beginning of an instant's second."""
    return at.replace(microsecond=0)


def _starting(stream: Stream, interval: timedelta) -> Due | None:
    """The first digest looks back over one interval, in which nothing was digested: from the first file that waits (a
    region's first one, or what came after a final digest), otherwise from the activation.
    """
    begin = stream.waiting or stream.since
    if begin is None:
        return None
    end = whole_second(begin)
    return Due(Kind.STARTING, end - interval, end, False, stream.since or end)


def _next_second(at: datetime) -> datetime:
    """The instant itself where it is a whole second, otherwise the next one: never before ``at``."""
    return _EPOCH - (-(at - _EPOCH) // _SECOND) * _SECOND
