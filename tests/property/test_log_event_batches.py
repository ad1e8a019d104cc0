"""Batches of log events: within the limits of PutLogEvents, in order, every record once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from opentrail.delivery.log_event_batches import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    EVENT_EXTRA_BYTES,
    RECORD_BYTES_MAX,
    batches,
)

_BLOCK = b"x" * (RECORD_BYTES_MAX + 2)

sizes = st.one_of(
    st.integers(0, 2000),
    st.integers(RECORD_BYTES_MAX - 30, RECORD_BYTES_MAX + 2),
    st.just(RECORD_BYTES_MAX // 2),
)


@given(st.lists(st.tuples(st.integers(1, 5), sizes), max_size=60))
def test_batches_keep_limits_and_order_and_lose_nothing(steps: list[tuple[int, int]]) -> None:
    """Whatever sizes come in whatever order; a position never passes a record that is not in a batch by then."""
    records, sequence = [], 0
    for step, size in steps:
        sequence += step
        records.append((sequence, _BLOCK[:size]))
    made = list(batches(records))
    small = [record for _, record in records if len(record) <= RECORD_BYTES_MAX]
    assert [record for batch in made for record in batch.records] == small
    assert sum(batch.passed_over for batch in made) == len(records) - len(small)
    for batch in made:
        assert len(batch.records) <= BATCH_EVENTS_MAX
        assert sum(len(record) + EVENT_EXTRA_BYTES for record in batch.records) <= BATCH_BYTES_MAX
    done = 0
    for batch in made:
        done += len(batch.records) + batch.passed_over
        assert batch.through_sequence == records[done - 1][0]
    if made:
        assert made[-1].through_sequence == records[-1][0]


@given(st.integers(BATCH_EVENTS_MAX - 1, 2 * BATCH_EVENTS_MAX + 1))
def test_a_batch_has_ten_thousand_events_at_most(count: int) -> None:
    """Also where they are small."""
    made = list(batches((number, b"{}") for number in range(1, count + 1)))
    assert [len(batch.records) for batch in made][:-1] == [BATCH_EVENTS_MAX] * (len(made) - 1)
    assert made[-1].through_sequence == count
    assert all(one.through_sequence < other.through_sequence for one, other in pairwise(made))
