"""What lifecycle rules ask for: which version, when, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from opentrail.lifecycle.due import Deed, due_uploads, due_versions, prefixes
from opentrail.lifecycle.rules import Filter, Rule, days_after
from opentrail.storage.versions import ObjectVersion, PendingUpload

PUT = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
EXPIRED = datetime(2026, 1, 19, tzinfo=UTC)
"""When three days are over: S3's own example."""

THREE = Rule("three", True, Filter("x/"), days=3)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def version(key: str = "x/1", at: datetime = PUT, *, latest: bool = True, marker: bool = False, size: int = 1,
            version_id: str = "v") -> ObjectVersion:  # fmt: skip
    """An entry of a listing."""
    return ObjectVersion(key, version_id, latest, marker, at, size)


def deeds(rules: list[Rule], *versions: ObjectVersion, now: datetime = LATER) -> list[tuple[Deed, str]]:
    """What is due, as (deed, version id)."""
    return [(due.deed, due.version.version_id) for due in due_versions(rules, versions, now)]


def test_days_end_at_the_midnight_after() -> None:
    """Never early: S3 rounds up to the next midnight."""
    assert days_after(PUT, 3) == EXPIRED
    assert days_after(datetime(2026, 1, 15, tzinfo=UTC), 1) == datetime(2026, 1, 17, tzinfo=UTC)
    assert days_after(PUT, 2**31 - 1) == datetime.max.replace(tzinfo=UTC)


def test_an_object_expires_when_its_days_are_over_and_not_a_moment_before() -> None:
    """The clock is an argument."""
    assert deeds([THREE], version(), now=EXPIRED - timedelta(microseconds=1)) == []
    assert deeds([THREE], version(), now=EXPIRED) == [(Deed.EXPIRE, "v")]


def test_a_date_takes_everything_from_then_on() -> None:
    """Also what comes later, as long as the rule is there."""
    rule = Rule("date", True, Filter("x/"), date=EXPIRED)
    assert deeds([rule], version(), now=EXPIRED - timedelta(seconds=1)) == []
    assert deeds([rule], version(), version("x/2", EXPIRED), now=EXPIRED) == [(Deed.EXPIRE, "v")] * 2


@pytest.mark.parametrize(
    ("taken", "key", "size", "expected"),
    [
        (Filter("x/"), "x/1", 1, True),
        (Filter("x/"), "y/1", 1, False),
        (Filter("x/1"), "x/10", 1, True),
        (Filter(larger_than_bytes=5), "k", 5, False),
        (Filter(larger_than_bytes=5), "k", 6, True),
        (Filter(smaller_than_bytes=5), "k", 5, False),
        (Filter(smaller_than_bytes=5), "k", 4, True),
    ],
)
def test_filters_take_what_they_say(taken: Filter, key: str, size: int, *, expected: bool) -> None:
    """Prefixes are no folders; sizes are exclusive."""
    rule = Rule("r", True, taken, days=1)
    assert bool(deeds([rule], version(key, size=size))) is expected


def test_disabled_rules_do_nothing() -> None:
    """They are kept, and shown."""
    assert deeds([Rule("off", False, Filter(), days=1)], version()) == []


def test_tags_have_a_say_only_where_no_rule_takes_the_object_without_them() -> None:
    """Asking for them costs a call."""
    tagged = Rule("tagged", True, Filter("x/", (("keep", "no"),)), days=1)
    (due,) = due_versions([tagged], [version()], LATER)
    assert due.needs_tags
    assert due.rule_for({"keep": "no", "more": "x"}) == tagged
    assert due.rule_for({"keep": "yes"}) is None
    (due,) = due_versions([tagged, THREE], [version()], LATER)
    assert not due.needs_tags
    assert due.rule_for({}) == THREE


def test_a_version_counts_its_days_from_when_it_was_replaced() -> None:
    """Not from when it was put: S3's NoncurrentDays."""
    rule = Rule("old", True, Filter(), noncurrent_days=3)
    replaced = PUT + timedelta(days=100)
    listing = (version(at=replaced, version_id="new"), version(latest=False, version_id="old"))
    assert deeds([rule], *listing, now=days_after(replaced, 3) - timedelta(seconds=1)) == []
    assert deeds([rule], *listing, now=days_after(replaced, 3)) == [(Deed.REMOVE_VERSION, "old")]


def test_the_youngest_noncurrent_versions_are_kept() -> None:
    """NewerNoncurrentVersions counts versions with content: a delete marker keeps nothing."""
    rule = Rule("old", True, Filter(), noncurrent_days=1, newer_noncurrent=2)
    listing = [
        version(at=PUT + timedelta(days=9), version_id="current"),
        version(at=PUT + timedelta(days=8), latest=False, version_id="first"),
        version(at=PUT + timedelta(days=7), latest=False, marker=True, version_id="marker"),
        version(at=PUT + timedelta(days=6), latest=False, version_id="second"),
        version(at=PUT + timedelta(days=5), latest=False, version_id="third"),
        version("x/2", version_id="other"),
        version("x/2", latest=False, version_id="its first"),
    ]
    assert deeds([rule], *listing) == [(Deed.REMOVE_VERSION, "third")]


def test_a_version_without_its_successor_in_the_listing_stays() -> None:
    """A listing that contradicts itself proves nothing."""
    assert deeds([Rule("old", True, Filter(), noncurrent_days=1)], version(latest=False)) == []


def test_a_delete_marker_goes_when_nothing_is_left_under_it() -> None:
    """By ExpiredObjectDeleteMarker at once, by Days when it is old enough."""
    lone = Rule("lone", True, Filter(), removes_lone_markers=True)
    marker = version(marker=True, version_id="marker")
    assert deeds([lone], marker) == [(Deed.REMOVE_MARKER, "marker")]
    assert deeds([THREE], marker, now=EXPIRED) == [(Deed.REMOVE_MARKER, "marker")]
    assert deeds([THREE], marker, now=EXPIRED - timedelta(seconds=1)) == []
    assert deeds([lone, THREE], marker, version(latest=False, version_id="under")) == []
    assert deeds([Rule("no", True, Filter(), removes_lone_markers=False)], marker) == []


def test_a_delete_marker_has_no_tags() -> None:
    """Rules that ask for some do not take it."""
    tagged = Rule("tagged", True, Filter("", (("a", "b"),)), days=1)
    assert deeds([tagged], version(marker=True)) == []


def test_uploads_are_given_up_after_their_days() -> None:
    """Below the prefix, and by an enabled rule."""
    rule = Rule("mpu", True, Filter("x/"), abort_days=3)
    uploads = [PendingUpload("x/1", "u1", PUT), PendingUpload("y/1", "u2", PUT)]
    assert list(due_uploads([rule], uploads, EXPIRED - timedelta(seconds=1))) == []
    assert [(upload.upload_id, by.rule_id) for upload, by in due_uploads([rule], uploads, EXPIRED)] == [("u1", "mpu")]


def test_nothing_is_listed_twice() -> None:
    """A prefix below another is listed with it."""
    rules = [Rule(p, True, Filter(p), days=1) for p in ("a/b", "a/", "a/", "b")]
    assert prefixes([*rules, Rule("off", False, Filter(""), days=1)]) == ["a/", "b"]
    assert prefixes([*rules, Rule("all", True, Filter(""), days=1)]) == [""]
