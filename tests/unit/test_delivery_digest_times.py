"""When digests are due and which time they cover."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.delivery.digest_times import MAX_MADE_UP, Chain, Due, Kind, Stream, due, later_than

START = datetime(2026, 11, 23, 14, 1, 31, 400_000, tzinfo=UTC)
FIRST_END = START.replace(microsecond=0)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
NEW = Stream(chain=None, since=START, waiting=None, settled=False)
OPEN = Stream(chain=Chain(START, FIRST_END), since=START, waiting=None, settled=False)


def at(stream: Stream, now: datetime, elapsed_s: float = 0.0) -> Due | None:
    """What is due of an hourly stream."""
    return due(stream, now, elapsed_s, HOUR)


def test_a_chain_begins_at_the_activation_and_looks_back_an_hour() -> None:
    """The starting digest covers [activation - 1 h, activation], however late it is made."""
    for late in (timedelta(), timedelta(seconds=1), HOUR):
        assert at(NEW, START + late) == Due(Kind.STARTING, FIRST_END - HOUR, FIRST_END, False, START)
    assert at(replace(NEW, since=None), START) is None


def test_a_region_s_chain_begins_with_its_first_file() -> None:
    """Where a file waits already, the chain begins when it was delivered, so that an interval covers it."""
    first = START + 5 * HOUR
    found = at(replace(NEW, waiting=first), first + SECOND)
    assert found == Due(Kind.STARTING, FIRST_END + 4 * HOUR, FIRST_END + 5 * HOUR, False, START)
    leftover = at(replace(NEW, since=None, waiting=first), first + SECOND)
    assert leftover is not None
    assert (leftover.kind, leftover.end) == (Kind.STARTING, FIRST_END + 5 * HOUR)


def test_intervals_touch_and_keep_minute_and_second() -> None:
    """Nothing before the hour is over; then the digest covers exactly that hour, also when it is made late."""
    assert at(OPEN, FIRST_END + HOUR - timedelta(microseconds=1)) is None
    for late_s in (0, 1, 3599):
        found = at(OPEN, FIRST_END + HOUR + late_s * SECOND)
        assert found == Due(Kind.REGULAR, FIRST_END, FIRST_END + HOUR, True, START)


def test_missed_hours_are_made_up_one_by_one_and_the_last_takes_all() -> None:
    """After three hours of standstill there are three digests; only the last takes files whatever their time."""
    now, stream, found = FIRST_END + 3.5 * HOUR, OPEN, []
    while (made := at(stream, now)) is not None:
        found.append(made)
        stream = replace(stream, chain=Chain(START, made.end))
    assert [made.end for made in found] == [FIRST_END + n * HOUR for n in (1, 2, 3)]
    assert [made.takes_all for made in found] == [False, False, True]


def test_a_very_long_standstill_gets_one_long_digest_first() -> None:
    """What exceeds the limit is covered by the first one, on the hour, so that catching up ends."""
    now, stream, found = FIRST_END + (MAX_MADE_UP + 1000) * HOUR, OPEN, []
    while (made := at(stream, now)) is not None:
        found.append(made)
        stream = replace(stream, chain=Chain(START, made.end))
    assert len(found) == MAX_MADE_UP
    assert found[0].end == FIRST_END + 1001 * HOUR
    assert found[-1].end == now


def test_a_clock_set_back_does_not_stop_the_chain() -> None:
    """An hour of the monotonic clock is an hour; the chain's own time goes on from where it stood."""
    back = FIRST_END - timedelta(days=1)
    assert at(OPEN, back, 3599.0) is None
    assert at(OPEN, back, 3600.0) == Due(Kind.REGULAR, FIRST_END, FIRST_END + HOUR, True, START)


def test_a_final_digest_waits_until_everything_is_delivered() -> None:
    """Off and unsettled, hours go on; settled, the chain ends now, in a second that is over, with all that waits."""
    off = replace(OPEN, since=None)
    now = FIRST_END + timedelta(minutes=5, milliseconds=1)
    assert at(off, now) is None
    hourly = at(off, FIRST_END + HOUR)
    assert hourly is not None
    assert hourly.kind is Kind.REGULAR
    final = Due(Kind.FINAL, FIRST_END, FIRST_END + timedelta(minutes=5, seconds=1), True, START)
    assert at(replace(off, settled=True), now) == final


def test_another_activation_ends_the_chain_at_once() -> None:
    """Stopped and started again between two looks, there is still a final digest, before the next starting one."""
    again = replace(OPEN, since=START + timedelta(minutes=1))
    found = at(again, START + timedelta(minutes=2))
    assert found is not None
    assert (found.kind, found.since) == (Kind.FINAL, START)


def test_a_final_digest_covers_a_second_at_least() -> None:
    """Ended in the second in which it began, or before it by a clock set back, the end still grows."""
    for now in (FIRST_END, FIRST_END - HOUR):
        found = at(replace(OPEN, since=None, settled=True), now)
        assert found is not None
        assert found.end == FIRST_END + SECOND


@pytest.mark.parametrize("kind", list(Kind))
def test_no_end_time_is_used_twice_for_a_name(kind: Kind) -> None:
    """What would fall at or behind the last end of the name moves a second beyond it; a starting digest looks back."""
    wanted = Due(kind, FIRST_END - HOUR, FIRST_END, False, START)
    assert later_than(None, wanted, HOUR) == wanted
    assert later_than(FIRST_END - SECOND, wanted, HOUR) == wanted
    moved = later_than(FIRST_END, wanted, HOUR)
    assert moved.end == FIRST_END + SECOND
    assert moved.start == (FIRST_END + SECOND - HOUR if kind is Kind.STARTING else wanted.start)


@given(
    st.lists(st.tuples(st.integers(-7200, 20_000), st.booleans(), st.booleans()), max_size=40),
    st.integers(1, 7200),
)
@settings(max_examples=200)
def test_whatever_the_clock_does_intervals_touch_and_ends_grow(
    steps: list[tuple[int, bool, bool]], interval_s: int
) -> None:
    """A life of a stream: the clock jumps, logging stops and starts; each chain is without gap or overlap."""
    interval = timedelta(seconds=interval_s)
    now, since, chain = START, START, None
    active, last_end, elapsed_s = True, None, 0.0
    for jump_s, toggles, settled in steps:
        now, elapsed_s = now + timedelta(seconds=jump_s), elapsed_s + max(0, jump_s)
        if toggles:
            active, since = not active, now
        for _ in range(MAX_MADE_UP + 3):
            stream = Stream(chain=chain, since=since if active else None, waiting=None, settled=settled)
            found = due(stream, now, elapsed_s, interval)
            if found is None:
                break
            found = later_than(last_end, found, interval)
            assert last_end is None or found.end > last_end
            assert found.start < found.end
            assert (chain is None) == (found.kind is Kind.STARTING)
            assert chain is None or found.start == chain.end
            last_end, elapsed_s = found.end, 0.0
            chain = None if found.kind is Kind.FINAL else Chain(found.since, found.end)
        else:
            pytest.fail("catching up does not end")
