"""Intents under way: calls that were announced and not concluded, and the journal's bytes promised to their outcomes.

An intent is *proposed* while its group waits for the disk, *open* once that is durable, and concluded once the
outcome's group is. What is promised in total never exceeds what one segment holds: a single spare segment can then back
all of it (the proof is in ``room``). Rules: a promise is given back only by an outcome on disk, or by an intent that
was never written; an outcome that is refused leaves its intent open.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from opentrail.errors import JournalError
from opentrail.journal.frames import Draft

OUTCOME_ALLOWANCE_BYTES = 4096
"""How much longer than its intent each record of an outcome may be and still be sure of its room."""


@dataclass(frozen=True, slots=True, eq=False)
class Intent:
    """A call that is about to be forwarded: the records that stand for it while its outcome is unknown, and the bytes
    kept free for those that will say it.

    ``group`` itself always fits as the outcome. So does every group of which each record has the intent's partition
    and routes and is at most ``OUTCOME_ALLOWANCE_BYTES`` longer.
    """

    group: tuple[Draft, ...]
    reserved_bytes: int


@dataclass(frozen=True, slots=True)
class Promise:
    """What a group means to the reservations once it stands on disk: an intent's beginning, or its end."""

    intent: Intent
    concludes: bool

    @property
    def change_bytes(self) -> int:
        """By how much the reservations grow."""
        return -self.intent.reserved_bytes if self.concludes else self.intent.reserved_bytes


@dataclass(frozen=True, slots=True)
class OpenIntents:
    """Figures: intents whose outcome is not on disk, the bytes promised (to those that still wait for the disk, too),
    and the first sequence of the oldest intent (None if there is none)."""

    count: int
    reserved_bytes: int
    oldest_sequence: int | None


class Reservations:
    """Every intent of this process that is not concluded. Thread-safe."""

    def __init__(self, limit_bytes: int, max_group_bytes: int) -> None:
        """Begin with none; ``limit_bytes`` bounds what is promised in total, ``max_group_bytes`` each outcome."""
        self._limit_bytes = limit_bytes
        self._max_group_bytes = max_group_bytes
        self._lock = threading.Lock()
        self._promised_bytes = 0
        self._open: dict[Intent, int] = {}  # with its first sequence, in the order of the journal
        self._concluding: set[Intent] = set()

    def propose(self, group: Sequence[Draft], size_bytes: int) -> Promise:
        """Promise room for the outcome of a group that takes ``size_bytes``. Raises JournalError beyond a limit."""
        intent = Intent(tuple(group), size_bytes + OUTCOME_ALLOWANCE_BYTES * len(group))
        if intent.reserved_bytes > self._max_group_bytes:
            raise JournalError(
                f"{intent.reserved_bytes} bytes for the outcome of one call; {self._max_group_bytes} is the limit"
            )
        with self._lock:
            if self._promised_bytes + intent.reserved_bytes > self._limit_bytes:
                raise JournalError(
                    f"{len(self._open)} calls wait for their outcome; the journal keeps no room for another"
                )
            self._promised_bytes += intent.reserved_bytes
        return Promise(intent, concludes=False)

    def conclude(self, intent: Intent, group: Sequence[Draft]) -> Promise:
        """Take an outcome for an open intent. Raises ValueError where the intent is not open, or where one of its
        event ids has no record: recovery could not tell then that it was concluded."""
        missing = {draft.event_id for draft in intent.group} - {draft.event_id for draft in group}
        if missing:
            raise ValueError(f"the outcome has no record for {min(missing)}")
        with self._lock:
            if intent not in self._open:
                raise ValueError("the intent is not open: it was concluded, or belongs to another journal")
            if intent in self._concluding:
                raise ValueError("the intent is being concluded already")
            self._concluding.add(intent)
        return Promise(intent, concludes=True)

    def refused(self, promise: Promise) -> None:
        """Note that a group was not written: a proposed intent gives its promise back, an outcome's stays open."""
        with self._lock:
            if promise.concludes:
                self._concluding.discard(promise.intent)
            else:
                self._promised_bytes -= promise.intent.reserved_bytes

    def opened(self, intent: Intent, first_sequence: int) -> None:
        """Note that an intent is on disk; to be called before its sequence counts as durable."""
        with self._lock:
            self._open[intent] = first_sequence

    def concluded(self, intent: Intent) -> None:
        """Note that an outcome is on disk; to be called after its sequence counts as durable."""
        with self._lock:
            del self._open[intent]
            self._concluding.discard(intent)
            self._promised_bytes -= intent.reserved_bytes

    def is_open(self, intent: Intent) -> bool:
        """Whether an intent is on disk and its outcome neither there nor on its way."""
        with self._lock:
            return intent in self._open and intent not in self._concluding

    def figures(self) -> OpenIntents:
        """What is under way now."""
        with self._lock:
            return OpenIntents(len(self._open), self._promised_bytes, next(iter(self._open.values()), None))
