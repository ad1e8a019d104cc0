"""Carries out the lifecycle rules of buckets: lists, removes what is due, and nothing else.

Rules. Where there is an archive, a log file or digest file is removed only after its copy there was verified. Right
before a current version is deleted it is asked once more whether it is still the one that expired. What the server
holds (Object Lock) stays, as with S3. As with S3, what is done here leaves no event record (User Guide, "Lifecycle and
other bucket configurations": CloudTrail does not capture it); it is told in the log, and counted.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from opentrail.clock import Clock
from opentrail.errors import IntegrityError, OutboundError
from opentrail.lifecycle.archive import MAX_FILE_BYTES, Archive, ArchiveError, is_evidence
from opentrail.lifecycle.due import Deed, Due, due_uploads, due_versions, prefixes
from opentrail.lifecycle.rules import Rule
from opentrail.storage.bucket import CONNECTION_ERROR
from opentrail.storage.versions import ObjectVersion, VersionStore

log = logging.getLogger(__name__)

ACTIONS = (
    "expired",
    "version_removed",
    "marker_removed",
    "upload_aborted",
    "archived",
    "locked",
    "conflict",
    "failed",
)
"""What can become of a version that is due; the labels of the metric."""

_DONE = {
    Deed.EXPIRE: "expired",
    Deed.REMOVE_VERSION: "version_removed",
    Deed.REMOVE_MARKER: "marker_removed",
    Deed.ABORT_UPLOAD: "upload_aborted",
}
_LOCKED = "AccessDenied"  # S3's answer for a version that Object Lock holds, and SeaweedFS's (measured)
_REFUSALS_IN_A_ROW = 10
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchBucket"})


@dataclass(frozen=True, slots=True)
class Parts:
    """What the worker works with. ``rules`` gives the rules of every bucket that has some, as they are now."""

    store: VersionStore
    rules: Callable[[], Mapping[str, tuple[Rule, ...]]]
    clock: Clock
    archive: Archive | None = None


class LifecycleWorker:
    """A thread that looks every so often; ``run_once`` is one look."""

    def __init__(self, parts: Parts, *, interval_s: float, before: Callable[[], None] = lambda: None) -> None:
        """``before`` is done once, on the thread, before the first look; while it fails nothing is removed."""
        self._parts = parts
        self._interval_s = interval_s
        self._before: Callable[[], None] | None = before
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name="lifecycle", daemon=True)

    def start(self) -> None:
        """Begin; the first look is at once."""
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """End after the object at hand, at most so long."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(limit_s)

    def counts(self) -> Mapping[str, int]:
        """How many of each action there have been since the start."""
        with self._lock:
            return dict(self._counts)

    def run_once(self) -> Mapping[str, int]:
        """Carry out what is due in every bucket now; what became of how many. Never raises what a bucket does."""
        now = self._parts.clock.now()
        found: Counter[str] = Counter()
        for bucket, rules in self._parts.rules().items():
            here: Counter[str] = Counter()
            try:
                self._carry_out(bucket, rules, now, here)
            except OutboundError as problem:
                if problem.code != "NoSuchBucket" or isinstance(problem, ArchiveError):
                    self._count(here, "failed")
                    log.warning("lifecycle: bucket %s: %s; the next look goes on", bucket, problem)
            if here:
                log.info("lifecycle: bucket %s: %s", bucket, ", ".join(f"{n} {what}" for what, n in here.items()))
            found += here
        return found

    def _run(self) -> None:
        while True:
            try:
                if self._before is not None:
                    self._before()
                    self._before = None
                self.run_once()
            except Exception:
                log.exception("lifecycle rules could not be carried out")
            if self._stopping.wait(self._interval_s):
                return

    def _carry_out(self, bucket: str, rules: tuple[Rule, ...], now: datetime, here: Counter[str]) -> None:
        store = self._parts.store
        for prefix in prefixes(rules):
            self._settle_all(bucket, due_versions(rules, store.list_versions(bucket, prefix), now), here)
            if self._stopping.is_set() or not any(rule.abort_days for rule in rules if rule.enabled):
                continue
            for upload, rule in due_uploads(rules, store.list_uploads(bucket, prefix), now):
                if self._stopping.is_set():
                    return
                store.abort(bucket, upload)
                where = f"s3://{bucket}/{upload.key}"
                log.info("lifecycle: the upload of %r given up by rule %r", where, rule.rule_id)
                self._count(here, _DONE[Deed.ABORT_UPLOAD])

    def _settle_all(self, bucket: str, dues: Iterable[Due], here: Counter[str]) -> None:
        """Do deeds one by one. One file that an archive does not take keeps nobody from the others; when it takes
        several in a row not, it is away. Raises OutboundError.
        """
        refused = 0
        for due in dues:
            if self._stopping.is_set():
                return
            try:
                action = self._settle(bucket, due)
                refused = 0
            except ArchiveError as problem:
                refused += 1
                if refused == _REFUSALS_IN_A_ROW:
                    raise
                log.warning("lifecycle: %r stays: %s", f"s3://{bucket}/{due.version.key}", problem)
                action = "failed"
            self._count(here, action)

    def _settle(self, bucket: str, due: Due) -> str | None:
        """Do one deed; the action that it was, None where nothing had to be done after all.

        Raises ArchiveError, and OutboundError where the server itself does not answer.
        """
        version = due.version
        try:
            rule = self._rule(bucket, due)
            return self._remove(bucket, due, rule) if rule is not None else None
        except IntegrityError as finding:
            log.error("lifecycle: %r stays: %s", f"s3://{bucket}/{version.key}", finding)  # noqa: TRY400 - a finding
            return "conflict"
        except OutboundError as problem:
            if problem.code == CONNECTION_ERROR or isinstance(problem, ArchiveError):
                raise
            if problem.code in _GONE:
                return None
            locked = problem.code == _LOCKED and due.deed is Deed.REMOVE_VERSION
            log.warning("lifecycle: %r (%s) stays: %s", f"s3://{bucket}/{version.key}", version.version_id, problem)
            return "locked" if locked else "failed"

    def _rule(self, bucket: str, due: Due) -> Rule | None:
        if not due.needs_tags:
            return due.rule_for({})
        return due.rule_for(self._parts.store.tags(bucket, due.version.key, due.version.version_id))

    def _remove(self, bucket: str, due: Due, rule: Rule) -> str | None:
        version, store = due.version, self._parts.store
        action = _DONE[due.deed]
        if self._parts.archive is not None and is_evidence(version.key) and not version.is_marker:
            self._archive(self._parts.archive, bucket, version)
            action = "archived"
        if due.deed is Deed.EXPIRE:
            if store.put_at(bucket, version.key) != version.modified_at.replace(microsecond=0):
                return None
            store.remove(bucket, version.key, None)
        elif due.deed is Deed.REMOVE_MARKER and not self._is_lone(bucket, version):
            return None
        else:
            store.remove(bucket, version.key, version.version_id)
        where = f"s3://{bucket}/{version.key}"  # shown by %r: a key may hold line breaks
        log.info("lifecycle: %r (%s) %s by rule %r", where, version.version_id, action, rule.rule_id)
        return action

    def _is_lone(self, bucket: str, marker: ObjectVersion) -> bool:
        """Whether a delete marker hides nothing: asked for its key alone, where no page can end in between."""
        others = self._parts.store.list_versions(bucket, marker.key)
        return not any(one.key == marker.key and one.version_id != marker.version_id for one in others)

    def _archive(self, archive: Archive, bucket: str, version: ObjectVersion) -> None:
        if version.size_bytes > MAX_FILE_BYTES:
            message = f"it has {version.size_bytes} bytes, which is more than an archive takes"
            raise OutboundError("EntityTooLarge", message, retryable=False)
        file = self._parts.store.read(bucket, version.key, version.version_id)
        if file.put_at != version.modified_at.replace(microsecond=0):
            raise OutboundError("NoSuchVersion", "it is another object by now", retryable=False)
        archive.keep(version.key, file)

    def _count(self, here: Counter[str], action: str | None) -> None:
        if action is None:
            return
        here[action] += 1
        with self._lock:
            self._counts[action] += 1
