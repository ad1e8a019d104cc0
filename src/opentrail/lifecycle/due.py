"""What lifecycle rules ask for, version by version, as a listing goes by. Pure: the listing and the time come in.

Rules (Amazon S3 User Guide, "How S3 Lifecycle works", "Removing expired object delete markers"): an expired current
version is deleted as a caller would, which in a bucket with versions leaves a delete marker; one that is not current is
removed for good; a delete marker goes when nothing is left under it. Where a listing contradicts itself nothing is
done: the next run sees another one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opentrail.lifecycle.rules import Rule
from opentrail.storage.versions import ObjectVersion, PendingUpload


class Deed(StrEnum):
    """What is to be done."""

    EXPIRE = "expire"
    REMOVE_VERSION = "remove_version"
    REMOVE_MARKER = "remove_marker"
    ABORT_UPLOAD = "abort_upload"


@dataclass(frozen=True, slots=True)
class Due:
    """A version for which some of ``rules`` (one at least) ask for a deed, as far as one can tell without its tags."""

    deed: Deed
    version: ObjectVersion
    rules: tuple[Rule, ...]

    @property
    def needs_tags(self) -> bool:
        """Whether the version's tags have a say."""
        return all(rule.filter.tags for rule in self.rules)

    def rule_for(self, tags: Mapping[str, str]) -> Rule | None:
        """The rule that takes an object with these tags; None: it stays."""
        return next((rule for rule in self.rules if rule.filter.takes_tags(tags)), None)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a version stands among those of its key. ``newer`` is its successor, ``newer_noncurrent`` counts the
    versions with content between it and the current one; ``is_lone``: there is no other.
    """

    newer: ObjectVersion | None
    newer_noncurrent: int
    is_lone: bool


def due_versions(rules: Sequence[Rule], versions: Iterable[ObjectVersion], now: datetime) -> Iterator[Due]:
    """What is due among versions that come as a listing has them: by key, the newest first."""
    enabled = [rule for rule in rules if rule.enabled]
    for version, place in _placed(versions):
        deed, asking = _deed(enabled, version, place, now)
        taking = tuple(rule for rule in asking if rule.filter.takes(version.key, version.size_bytes))
        if version.is_marker:
            taking = tuple(rule for rule in taking if not rule.filter.tags)  # a delete marker has none
        if taking:
            yield Due(deed, version, tuple(sorted(taking, key=lambda rule: bool(rule.filter.tags))))


def due_uploads(
    rules: Sequence[Rule], uploads: Iterable[PendingUpload], now: datetime
) -> Iterator[tuple[PendingUpload, Rule]]:
    """Multipart uploads that are to be given up, and by which rule."""
    for upload in uploads:
        for rule in rules:
            if rule.enabled and upload.key.startswith(rule.filter.prefix) and rule.aborts(upload.initiated_at, now):
                yield upload, rule
                break


def prefixes(rules: Sequence[Rule]) -> list[str]:
    """What has to be listed: the prefixes of enabled rules, without those that lie below another."""
    found: list[str] = []
    for prefix in sorted({rule.filter.prefix for rule in rules if rule.enabled}):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return found


def _deed(rules: list[Rule], version: ObjectVersion, place: _Place, now: datetime) -> tuple[Deed, list[Rule]]:
    put_at = version.modified_at
    if not version.is_latest:
        if place.newer is None:
            return Deed.REMOVE_VERSION, []
        since = max(place.newer.modified_at, put_at)
        return Deed.REMOVE_VERSION, [
            rule for rule in rules if rule.expires_noncurrent(since, place.newer_noncurrent, now)
        ]
    if not version.is_marker:
        return Deed.EXPIRE, [rule for rule in rules if rule.expires_current(put_at, now)]
    if not place.is_lone:
        return Deed.REMOVE_MARKER, []
    by_age = (rule for rule in rules if rule.days is not None and rule.expires_current(put_at, now))
    return Deed.REMOVE_MARKER, [*(rule for rule in rules if rule.removes_lone_markers), *by_age]


def _placed(versions: Iterable[ObjectVersion]) -> Iterator[tuple[ObjectVersion, _Place]]:
    """Each version with its place; looks one ahead and keeps nothing else, however many versions a key has."""
    newer: ObjectVersion | None = None
    newer_noncurrent = 0
    for version, following in _with_next(versions):
        if newer is None or newer.key != version.key:
            newer, newer_noncurrent = None, 0
        is_last = following is None or following.key != version.key
        yield version, _Place(newer, newer_noncurrent, is_lone=newer is None and is_last)
        newer_noncurrent += not version.is_latest and not version.is_marker
        newer = version


def _with_next(versions: Iterable[ObjectVersion]) -> Iterator[tuple[ObjectVersion, ObjectVersion | None]]:
    before: ObjectVersion | None = None
    for version in versions:
        if before is not None:
            yield before, version
        before = version
    if before is not None:
        yield before, None
