"""How records become calls of PutLogEvents: in order, each once, within the service's limits. Pure.

A batch holds at most 10,000 events and 1 MiB, where each event counts 26 bytes besides its text (CloudWatch Logs API
reference, PutLogEvents). Records over 256 KB are passed over (cloudtrail fact sheet 10).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

RECORD_BYTES_MAX = 256 * 1024
BATCH_EVENTS_MAX = 10_000
BATCH_BYTES_MAX = 1_048_576
EVENT_EXTRA_BYTES = 26


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one call. Everything up to ``through_sequence`` is in it or was before; ``passed_over`` counts
    records that are too large.
    """

    records: tuple[bytes, ...]
    through_sequence: int
    passed_over: int = 0


def batches(records: Iterable[tuple[int, bytes]]) -> Iterator[Batch]:
    """The batches of records with their sequences. The last one has no records where the last ones are too large."""
    taken: list[bytes] = []
    taken_bytes = passed_over = last = 0
    for sequence, record in records:
        if len(record) > RECORD_BYTES_MAX:
            passed_over, last = passed_over + 1, sequence
            continue
        size_bytes = len(record) + EVENT_EXTRA_BYTES
        if taken and (len(taken) == BATCH_EVENTS_MAX or taken_bytes + size_bytes > BATCH_BYTES_MAX):
            yield Batch(tuple(taken), last, passed_over)
            taken, taken_bytes, passed_over = [], 0, 0
        taken.append(record)
        taken_bytes += size_bytes
        last = sequence
    if taken or passed_over:
        yield Batch(tuple(taken), last, passed_over)
