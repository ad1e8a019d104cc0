"""Requests of PutEvents: within the limits, in order, every entry once."""

from hypothesis import given
from hypothesis import strategies as st

from opentrail.delivery.bus_entries import ENTRIES_MAX, REQUEST_BYTES_MAX, Entry, requests

_BLOCK = b"x" * REQUEST_BYTES_MAX

sizes = st.one_of(st.integers(0, 3000), st.integers(REQUEST_BYTES_MAX - 100, REQUEST_BYTES_MAX), st.just(60_000))


@given(st.lists(st.tuples(st.integers(1, 4), sizes), max_size=60))
def test_requests_keep_limits_and_order_and_lose_nothing(steps: list[tuple[int, int]]) -> None:
    """An entry that alone is over the limit of a request goes alone: the bus has to say what it makes of it."""
    entries, sequence = [], 0
    for step, size in steps:
        sequence += step
        entries.append((sequence, Entry(0, "aws.s3", "AWS API Call via CloudTrail", _BLOCK[:size])))
    made = list(requests(entries))
    assert [entry for request in made for entry in request.entries] == [entry for _, entry in entries]
    done = 0
    for request in made:
        assert 1 <= len(request.entries) <= ENTRIES_MAX
        assert len(request.entries) == 1 or sum(entry.size_bytes for entry in request.entries) <= REQUEST_BYTES_MAX
        done += len(request.entries)
        assert request.through_sequence == entries[done - 1][0]
