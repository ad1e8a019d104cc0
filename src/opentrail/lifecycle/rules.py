"""Lifecycle rules as values: which objects a rule is about, and what it does with them when. Pure.

Rules (Amazon S3 User Guide, "Setting lifecycle configuration rules", "Lifecycle configuration elements"): days count
from when an object was put (a version: from when it stopped being current) and end at the midnight (UTC) that comes
next, so nothing is ever taken early. A date holds from that moment on, for objects that come later too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects: keys that start so, all of these tags, and sizes in bytes above and below (both exclusive)."""

    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    larger_than_bytes: int | None = None
    smaller_than_bytes: int | None = None

    def takes(self, key: str, size_bytes: int) -> bool:
        """Whether key and size fit; what ``tags`` ask for is another question, because it takes a call to answer."""
        return (
            key.startswith(self.prefix)
            and (self.larger_than_bytes is None or size_bytes > self.larger_than_bytes)
            and (self.smaller_than_bytes is None or size_bytes < self.smaller_than_bytes)
        )

    def takes_tags(self, tags: Mapping[str, str]) -> bool:
        """Whether an object with these tags fits."""
        return all(tags.get(name) == value for name, value in self.tags)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``legacy_prefix``: its prefix stands beside the rule's elements, not in a Filter, as it was written
    before 2016.
    """

    rule_id: str
    enabled: bool
    filter: Filter
    legacy_prefix: bool = False
    days: int | None = None
    date: datetime | None = None
    removes_lone_markers: bool | None = None
    noncurrent_days: int | None = None
    newer_noncurrent: int = 0
    abort_days: int | None = None

    def expires_current(self, put_at: datetime, now: datetime) -> bool:
        """Whether a current version that was put then is expired."""
        if self.date is not None:
            return now >= self.date
        return self.days is not None and now >= days_after(put_at, self.days)

    def expires_noncurrent(self, noncurrent_since: datetime, newer_noncurrent: int, now: datetime) -> bool:
        """Whether a version is expired that is not current since then, with so many younger ones that are not either.

        ``newer_noncurrent`` of the rule are kept, however old (S3's NewerNoncurrentVersions).
        """
        return (
            self.noncurrent_days is not None
            and newer_noncurrent >= self.newer_noncurrent
            and now >= days_after(noncurrent_since, self.noncurrent_days)
        )

    def aborts(self, initiated_at: datetime, now: datetime) -> bool:
        """Whether a multipart upload that was begun then is to be given up."""
        return self.abort_days is not None and now >= days_after(initiated_at, self.abort_days)


def days_after(moment: datetime, days: int) -> datetime:
    """When so many days are over: the midnight (UTC) after that."""
    try:
        day = (moment.astimezone(UTC) + timedelta(days=days)).date() + timedelta(days=1)
    except OverflowError:  # S3 takes numbers of days that lead beyond any calendar
        return datetime.max.replace(tzinfo=UTC)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
