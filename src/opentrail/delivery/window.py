"""Windows: which records of a trail go into its next log files. Pure decisions, no clock.

A window is a run of sequences of one trail over all its partitions; when it closes, each partition with records in it
becomes one log file. It closes when its first record is old enough, or before a file would outgrow the size limit
(50 MB before compression, cloudtrail fact sheet 3.1). A window without records does not exist, so no file is empty.
"""

from dataclasses import dataclass, field

from opentrail.delivery.logfile import ENVELOPE_BYTES, SEPARATOR_BYTES
from opentrail.journal.frames import Frame


@dataclass(slots=True)
class Tally:
    """What a window holds of one partition, in numbers only: the records themselves stay in the journal."""

    first_sequence: int
    last_sequence: int
    oldest_event_s: int
    newest_event_s: int
    record_count: int
    size_bytes: int

    @classmethod
    def of(cls, frame: Frame) -> "Tally":
        """The tally of a first record."""
        size_bytes = ENVELOPE_BYTES + len(frame.payload)
        return cls(frame.sequence, frame.sequence, frame.time_s, frame.time_s, 1, size_bytes)

    def grown_bytes(self, frame: Frame) -> int:
        """The content's size if this record were added."""
        return self.size_bytes + SEPARATOR_BYTES + len(frame.payload)

    def add(self, frame: Frame) -> None:
        """Count one more record."""
        self.last_sequence = frame.sequence
        self.oldest_event_s = min(self.oldest_event_s, frame.time_s)
        self.newest_event_s = max(self.newest_event_s, frame.time_s)
        self.record_count += 1
        self.size_bytes = self.grown_bytes(frame)


@dataclass(slots=True)
class Window:
    """Consecutive records of one trail. ``opened_s`` is on the monotonic clock: when its first record was made."""

    opened_s: float
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def through_sequence(self) -> int:
        """The last sequence with a record in the window."""
        return max(tally.last_sequence for tally in self.tallies.values())

    @property
    def record_count(self) -> int:
        """How many records it holds, over all partitions."""
        return sum(tally.record_count for tally in self.tallies.values())

    @property
    def oldest_event_s(self) -> int:
        """The earliest event time in it, epoch seconds."""
        return min(tally.oldest_event_s for tally in self.tallies.values())

    def has_room(self, frame: Frame, max_bytes: int) -> bool:
        """Whether the record fits without a file outgrowing ``max_bytes``; a partition's first record always fits."""
        tally = self.tallies.get(frame.partition)
        return tally is None or tally.grown_bytes(frame) <= max_bytes

    def add(self, frame: Frame) -> None:
        """Count a record into its partition."""
        tally = self.tallies.get(frame.partition)
        if tally is None:
            self.tallies[frame.partition] = Tally.of(frame)
        else:
            tally.add(frame)

    def is_due(self, now_s: float, interval_s: float) -> bool:
        """Whether the first record has waited long enough; ``now_s`` is monotonic."""
        return now_s - self.opened_s >= interval_s


def opened_s(frame: Frame, *, now_s: float, now_epoch_s: float) -> float:
    """When a window whose first record is ``frame`` opened, on the monotonic clock.

    A record found late (after a restart) has aged already; one that seems to come from the future, because the wall
    clock was set back, counts as new.
    """
    return now_s - max(0.0, now_epoch_s - frame.time_s)


@dataclass(slots=True)
class Windows:
    """The windows of one trail that are not planned yet: closed ones in order, and the one that still takes records."""

    max_bytes: int
    closed: list[Window] = field(default_factory=list)
    open: Window | None = None

    def add(self, frame: Frame, opened: float) -> None:
        """Count a record, closing the open window before it where it would not fit. ``opened``: see ``opened_s``."""
        if self.open is not None and not self.open.has_room(frame, self.max_bytes):
            self.close()
        if self.open is None:
            self.open = Window(opened)
        self.open.add(frame)

    def close(self) -> None:
        """Let the open window take no more."""
        if self.open is not None:
            self.closed.append(self.open)
            self.open = None

    def close_if_due(self, now_s: float, interval_s: float) -> None:
        """Close the open window if its first record is old enough."""
        if self.open is not None and self.open.is_due(now_s, interval_s):
            self.close()

    def every(self) -> list[Window]:
        """All of them, oldest first."""
        return [*self.closed, *([self.open] if self.open is not None else [])]
