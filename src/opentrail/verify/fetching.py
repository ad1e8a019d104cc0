"""Objects fetched and handed to the judges: in parallel, in order, in bounded memory, patient with a busy store.

Threads wait for the network; inflating and hashing release the interpreter lock, so they use all cores.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar

from opentrail.errors import OutboundError
from opentrail.storage.patience import patiently
from opentrail.storage.reading import ObjectReader
from opentrail.verify.digest import MAX_DIGEST_BYTES, Digest, DigestProblem, Found, LogEntry, judge, read_digest
from opentrail.verify.findings import Finding, Kind
from opentrail.verify.inflate import Flaw, FlawedGzip, inflate
from opentrail.verify.keys import KeyRing
from opentrail.verify.log_files import check_log, missing_log, unreadable_log

_GONE = "NoSuchKey"
_NOT_THERE = frozenset({_GONE, "NoSuchBucket"})

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Examined:
    """A digest file that was fetched. ``digest`` only where it is authentic, else ``finding`` says why not; neither
    where it is gone. ``signature`` is the one of its metadata.
    """

    found: Found
    digest: Digest | None = None
    signature: str = ""
    finding: Finding | None = None

    @property
    def gone(self) -> bool:
        """Listed, and deleted before it was fetched."""
        return self.digest is None and self.finding is None


class Fetcher:
    """Fetches from one reader with a number of threads. Use as a context manager: leaving it drops what is waiting."""

    def __init__(self, reader: ObjectReader, workers: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self._reader = reader
        self._sleep = sleep
        self._in_flight = 4 * workers
        self._pool = ThreadPoolExecutor(workers, "validate")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def in_order(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """Results in the order of the items, a bounded number of which is under way at a time."""
        under_way: deque[Future[_Result]] = deque()
        for item in items:
            under_way.append(self._pool.submit(work, item))
            if len(under_way) >= self._in_flight:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def digest(self, found: Found, ring: KeyRing) -> Examined:
        """Fetch a digest file and judge it. Raises OutboundError where the store does not answer."""
        try:
            content, metadata = patiently(lambda: self._digest_content(found), self._sleep)
            digest = read_digest(content)
        except OutboundError as error:
            if error.retryable:
                raise
            if error.code == _GONE:
                return Examined(found)
            return _refused(found, Kind.DIGEST_UNREADABLE, f"the bucket refuses to give it: {error.code}")
        except FlawedGzip as error:
            return _refused(found, *_FLAWS.get(error.flaw, (Kind.DIGEST_MALFORMED, "it is not one gzip member")))
        except DigestProblem as problem:
            return _refused(found, Kind.DIGEST_MALFORMED, f"it cannot be a digest file: {problem}")
        finding = judge(digest, found, metadata, ring)
        if finding is not None:
            return Examined(found, finding=finding)
        return Examined(found, digest, bytes.fromhex(metadata["signature"]).hex())

    def log(self, entry: LogEntry, when: datetime) -> Finding | None:
        """Fetch a log file and judge it. Raises OutboundError where the store does not answer."""
        try:
            return patiently(lambda: self._check_log(entry, when), self._sleep)
        except OutboundError as error:
            if error.retryable:
                raise
            return missing_log(entry, when) if error.code in _NOT_THERE else unreadable_log(entry, when, error.code)

    def _digest_content(self, found: Found) -> tuple[bytes, dict[str, str]]:
        with self._reader.open(found.location.bucket, found.location.key) as opened:
            return b"".join(inflate(opened.pieces, MAX_DIGEST_BYTES)), dict(opened.metadata)

    def _check_log(self, entry: LogEntry, when: datetime) -> Finding | None:
        with self._reader.open(entry.location.bucket, entry.location.key) as opened:
            return check_log(entry, when, opened.pieces)


_FLAWS = {
    Flaw.SECOND_MEMBER: (Kind.DIGEST_TRAILING_DATA, "a second gzip member follows the delivered one"),
    Flaw.TRAILING_BYTES: (Kind.DIGEST_TRAILING_DATA, "bytes follow the delivered ones: somebody appended to it"),
}


def _refused(found: Found, kind: Kind, sentence: str) -> Examined:
    return Examined(found, finding=Finding(kind, str(found.location), found.stamp, sentence))
