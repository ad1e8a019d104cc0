"""Whatever comes in: configurations and listings are read or refused, and what was written reads as it was."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.errors import ApiError, OutboundError
from opentrail.lifecycle.document import MAX_DAYS, read_configuration, write_configuration
from opentrail.lifecycle.due import due_versions
from opentrail.lifecycle.rules import Filter, Rule, days_after
from opentrail.storage.versions import ObjectVersion, read_versions

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20).map(
    lambda text: text.replace("\ufffe", "").replace("\uffff", "")
)
_DAYS = st.integers(1, MAX_DAYS)
_SIZES = st.one_of(
    st.just((None, None)), st.tuples(st.integers(0, 10**12), st.none()), st.tuples(st.just(3), st.integers(4, 99))
)


@st.composite
def _rules(draw: st.DrawFn) -> Rule:
    """Any rule that a document can hold."""
    plain = draw(st.booleans())
    expiration: dict[str, Any] = draw(
        st.sampled_from(
            [{}, {"days": draw(_DAYS)}, {"date": datetime(draw(st.integers(1970, 8999)), 1, 1, tzinfo=UTC)}]
            + ([{"removes_lone_markers": draw(st.booleans())}] if plain else [])
        )
    )
    newer = {"noncurrent_days": draw(_DAYS), "newer_noncurrent": draw(st.integers(0, 100))}
    noncurrent = draw(st.sampled_from([{}, newer]))
    aborts = {"abort_days": draw(_DAYS)} if plain or not (expiration or noncurrent) else {}
    tags = () if plain or aborts else tuple(draw(st.dictionaries(_TEXT.filter(bool), _TEXT, max_size=3)).items())
    larger, smaller = (None, None) if plain or aborts else draw(_SIZES)
    taken = Filter(draw(_TEXT), tags, larger, smaller)
    return Rule(draw(_TEXT.filter(bool)), draw(st.booleans()), taken, **{**expiration, **noncurrent, **aborts})


@given(st.lists(_rules(), min_size=1, max_size=4, unique_by=lambda rule: rule.rule_id))
def test_rules_survive_being_written(rules: list[Rule]) -> None:
    """What is kept is what was read."""
    assert read_configuration(write_configuration(rules)) == tuple(rules)


_NAMES = [
    "LifecycleConfiguration",
    "Rule",
    "ID",
    "Status",
    "Filter",
    "And",
    "Prefix",
    "Tag",
    "Key",
    "Value",
    "Expiration",
    "Days",
    "Date",
    "Transition",
    "Other",
    "NoncurrentVersionExpiration",
    "NoncurrentDays",
    "NewerNoncurrentVersions",
    "ObjectSizeGreaterThan",
    "AbortIncompleteMultipartUpload",
    "DaysAfterInitiation",
]
_VALUES = st.sampled_from(["", "1", "0", "-1", "9" * 30, "Enabled", "true", "0001-01-01T00:00:00+14:00", "٣", "x"])
_TREES = st.recursive(
    _VALUES,
    lambda inner: st.lists(st.tuples(st.sampled_from(_NAMES), inner), max_size=4).map(
        lambda parts: "".join(f"<{name}>{text}</{name}>" for name, text in parts)
    ),
    max_leaves=12,
)


@given(_TREES | st.binary(max_size=200))
def test_any_document_is_read_or_refused(inside: str | bytes) -> None:
    """With one of S3's codes, and never otherwise."""
    if isinstance(inside, bytes):
        body = inside
    else:
        rule = f"<Rule><Status>Enabled</Status><Filter/>{inside}</Rule>"
        body = f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>".encode()
    try:
        read_configuration(body)
    except ApiError as error:
        assert error.code in {"MalformedXML", "InvalidArgument", "InvalidRequest", "InvalidTag", "NotImplemented"}


@given(_TREES | st.binary(max_size=200))
def test_any_listing_is_read_or_refused(inside: str | bytes) -> None:
    """A server that answers nonsense is no bug of ours."""
    entry = inside if isinstance(inside, bytes) else f"<L><Version><Key>k</Key>{inside}</Version></L>".encode()
    try:
        read_versions(entry)
    except OutboundError as error:
        assert error.code == "InvalidListing"


_MOMENTS = st.integers(0, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
_ENTRIES = st.tuples(st.sampled_from("ab"), st.booleans(), st.booleans(), _MOMENTS)


@given(_MOMENTS, _DAYS)
def test_days_are_never_shorter_than_days(moment: datetime, days: int) -> None:
    """And the end is a midnight, less than a day later than asked for."""
    end = days_after(moment, days)
    if end.year < 9999:
        assert (end.hour, end.minute, end.second, end.microsecond) == (0, 0, 0, 0)
        assert 0 < (end - moment).total_seconds() - days * 86_400 <= 86_400


@pytest.mark.parametrize("now", [datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)])
@given(st.lists(_rules(), max_size=3), st.lists(_ENTRIES, max_size=8))
def test_nothing_is_due_but_what_is_listed_and_taken_by_an_enabled_rule(
    now: datetime, rules: list[Rule], entries: list[tuple[str, bool, bool, datetime]]
) -> None:
    """Whatever the listing says, however contradictory."""
    versions = [ObjectVersion(key, str(n), latest, marker, at) for n, (key, latest, marker, at) in enumerate(entries)]
    for due in due_versions(rules, versions, now):
        assert due.version in versions
        assert due.rules
        for rule in due.rules:
            assert rule.enabled
            assert rule.filter.takes(due.version.key, due.version.size_bytes)
