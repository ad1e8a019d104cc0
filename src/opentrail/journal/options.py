"""Sizes and limits of a journal."""

from dataclasses import dataclass

from opentrail.journal.header import HEADER_BYTES

_SMALLEST_SEGMENT_BYTES = 16 * 1024
_LARGEST_SEGMENT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOptions:
    """How large a journal's parts are.

    ``segment_bytes`` is the size of a preallocated file, ``max_batch_bytes`` the most that one flush writes (and the
    largest group of frames), ``max_queue_bytes`` what may wait for a flush before appends are refused,
    ``max_spare_segments`` how many used segments are kept for reuse, ``retry_s`` the pause between attempts to prepare
    a segment while the disk is full. Raises ValueError where a value makes no sense.
    """

    segment_bytes: int = 64 * 1024 * 1024
    max_batch_bytes: int = 4 * 1024 * 1024
    max_queue_bytes: int = 32 * 1024 * 1024
    max_spare_segments: int = 2
    retry_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work."""
        if not _SMALLEST_SEGMENT_BYTES <= self.segment_bytes <= _LARGEST_SEGMENT_BYTES:
            raise ValueError(f"segment_bytes must lie between {_SMALLEST_SEGMENT_BYTES} and {_LARGEST_SEGMENT_BYTES}")
        if self.max_batch_bytes <= 0 or self.max_queue_bytes <= 0 or self.retry_s <= 0:
            raise ValueError("max_batch_bytes, max_queue_bytes and retry_s must be positive")
        if self.max_spare_segments < 1:
            raise ValueError("max_spare_segments must be at least 1")

    @property
    def max_group_bytes(self) -> int:
        """The largest group of frames that can be appended: it must fit the queue, one flush and one segment."""
        return min(self.max_batch_bytes, self.max_queue_bytes, self.segment_bytes - HEADER_BYTES)
