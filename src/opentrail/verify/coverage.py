"""Log files that no digest file lists: planted ones, in a time that digest files cover.

What is listed is remembered as a keyed 64-bit hash per log file, so that a million of them take eight megabytes; nobody
who does not know the key, made for each run, can find two keys that share a hash.

Stamps of log files are delivery times (fact sheet 3.2) and precede the moment of delivery, so a file may be listed by
the digest of a later interval, and near the border of what is covered nothing can be said (``BORDER``). A file that was
put after the newest digest's end is not due yet.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum

from opentrail.verify.findings import Location

BORDER = timedelta(minutes=15)
"""How far a file's stamp may be from its delivery; ordinary delivery takes five minutes (fact sheet 3.3)."""

NEXT_DIGEST = timedelta(hours=2)
"""How long a delivered file may wait for its digest file: one interval, and as much again for lateness."""


class Standing(Enum):
    """What a log file that is not listed means."""

    UNLISTED = "unlisted"
    UNCOVERED = "uncovered"
    NOT_DUE = "not-due"


class ListedFiles:
    """The log files that digest files list; grows by eight bytes each."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._hashes = array("Q")
        self._sorted = True

    def add(self, location: Location) -> None:
        """Remember one."""
        self._hashes.append(self._hash(location))
        self._sorted = False

    def __contains__(self, location: Location) -> bool:
        if not self._sorted:
            self._hashes = array("Q", sorted(self._hashes))
            self._sorted = True
        wanted = self._hash(location)
        at = bisect_left(self._hashes, wanted)
        return at < len(self._hashes) and self._hashes[at] == wanted

    def _hash(self, location: Location) -> int:
        text = f"{location.bucket}/{location.key}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=self._key).digest())


def merged(intervals: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """The same time in as few intervals as possible, oldest first."""
    together: list[tuple[datetime, datetime]] = []
    for start, end in sorted(intervals):
        if together and start <= together[-1][1]:
            together[-1] = (together[-1][0], max(together[-1][1], end))
        else:
            together.append((start, end))
    return together


def standing_of(
    stamp: datetime, modified_at: datetime, covered: Sequence[tuple[datetime, datetime]], now: datetime
) -> Standing:
    """What it means that a log file with this stamp is not listed; ``covered`` comes from ``merged``."""
    at = bisect_left(covered, stamp, key=lambda interval: interval[1])
    if at == len(covered) or not covered[at][0] + BORDER <= stamp <= covered[at][1] - BORDER:
        return Standing.UNCOVERED
    if modified_at > covered[-1][1] and now - modified_at < NEXT_DIGEST:
        return Standing.NOT_DUE
    return Standing.UNLISTED
