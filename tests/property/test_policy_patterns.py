"""Policies under hostile input: matching agrees with a reference, stays fast, and reading raises nothing unexpected."""

import re
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.identity.patterns import compile_pattern
from opentrail.identity.policy import parse, parse_identity, parse_session, parse_trust

_few = st.text(alphabet="ab*?$\n", max_size=12)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_member = st.sampled_from(
    ["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition", "Sid"]
)
_value = _json | st.sampled_from(["Allow", "Deny", "*", "s3:*"]) | st.just({"StringLike": {"a": "${b}"}})


@given(_few, _few)
@settings(max_examples=400, deadline=None)
def test_matching_agrees_with_a_regular_expression(pattern: str, value: str) -> None:
    """``*`` and ``?`` mean what ``.*`` and ``.`` mean, whatever stands around them, variables in between or not."""
    translated = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    expected = re.fullmatch(translated, value, re.DOTALL) is not None
    assert compile_pattern(pattern).matches(value, {}) is expected
    varied = compile_pattern("${v}" + pattern)
    assert varied.matches("*" + value, {"v": ("*",)}) is expected
    assert not varied.matches("*" + value, {})


def test_matching_takes_no_exponential_time() -> None:
    """The pattern that ruins backtracking matchers costs milliseconds."""
    started = time.monotonic()
    assert not compile_pattern("*a" * 60 + "b").matches("a" * 1024, {})
    assert not compile_pattern("*a?" * 60 + "b").matches("a" * 1024, {})
    assert not compile_pattern("*a${v}" * 60 + "b").matches("a" * 1024, {"v": ("a",)})
    assert time.monotonic() - started < 1


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_reading_bytes_raises_value_errors_only(raw: bytes) -> None:
    """Arbitrary bytes are no policy, and say so in the one documented way."""
    text = raw.decode("latin-1")
    for read, document in ((parse, raw), (parse_identity, text), (parse_trust, text)):
        try:
            read(document)
        except ValueError:
            pass


@given(st.dictionaries(_member, _value, max_size=6))
@settings(max_examples=300, deadline=None)
def test_reading_statements_raises_value_errors_only(statement: dict[str, object]) -> None:
    """Arbitrary members of a statement are read or refused with a ValueError."""
    import json

    text = json.dumps({"Version": "2012-10-17", "Statement": statement}, allow_nan=True)
    for read in (parse, parse_identity, parse_session, parse_trust):
        try:
            read(text)
        except ValueError:
            pass
