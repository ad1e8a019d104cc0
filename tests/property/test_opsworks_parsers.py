"""Parsers of callers' bytes in OpsWorks CM: any input gives a value or the documented error."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.opsworks.attributes import read_create_attributes, read_maintenance_attributes
from opentrail.opsworks.keys import read_public_key
from opentrail.opsworks.paging import PageTokens
from opentrail.opsworks.tags import TAG_LIMIT, read_tags
from opentrail.opsworks.windows import parse_window
from tests.support.opsworks import KEY_PAIR

TOKENS = PageTokens(b"0123456789abcdef")
SCOPES = st.lists(st.text(max_size=8), max_size=4).map(tuple)
NAMES = ["CHEF_AUTOMATE_PIVOTAL_KEY", "CHEF_PIVOTAL_KEY", "CHEF_AUTOMATE_ADMIN_PASSWORD", "X"]


@given(SCOPES, st.integers(min_value=0, max_value=2**63 - 1))
def test_opsworks_tokens_come_back(scope: tuple[str, ...], place: int) -> None:
    """A token is read as the place that it was made for."""
    assert TOKENS.read(scope, TOKENS.make(scope, place)) == place


@given(SCOPES, SCOPES, st.integers(min_value=0, max_value=1000))
def test_opsworks_tokens_belong_to_one_list(scope: tuple[str, ...], other: tuple[str, ...], place: int) -> None:
    """A token of one list is refused for every other list, however their parts are cut."""
    if scope != other:
        with pytest.raises(ApiError, match="InvalidNextTokenException"):
            TOKENS.read(other, TOKENS.make(scope, place))


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_opsworks_foreign_tokens_are_refused(token: str) -> None:
    """Nothing that we did not make is read."""
    with pytest.raises(ApiError, match="InvalidNextTokenException"):
        TOKENS.read(("a",), token)


@given(st.integers(min_value=0, max_value=31), st.integers(min_value=0, max_value=7))
def test_opsworks_any_flipped_bit_spoils_a_token(position: int, bit: int) -> None:
    """A token with one changed bit is refused."""
    raw = bytearray(base64.urlsafe_b64decode(TOKENS.make(("a",), 7)))
    raw[position] ^= 1 << bit
    with pytest.raises(ApiError, match="InvalidNextTokenException"):
        TOKENS.read(("a",), base64.urlsafe_b64encode(raw).decode())


@given(st.text(max_size=20))
def test_opsworks_windows_never_raise_anything_else(text: str) -> None:
    """Any text is a window that prints as itself, or a ValidationException."""
    try:
        assert str(parse_window(text, "PreferredBackupWindow")) == text
    except ApiError as problem:
        assert problem.code == "ValidationException"


@settings(max_examples=60)
@given(st.text(max_size=400) | st.integers(0, 440).flatmap(lambda at: st.just(KEY_PAIR.public_pem[:at] + "A")))
def test_opsworks_keys_never_raise_anything_else(text: str) -> None:
    """Any text is a key in SPKI form, or a ValueError that does not repeat it."""
    try:
        assert read_public_key(text).startswith("-----BEGIN PUBLIC KEY-----")
    except ValueError as problem:
        assert len(text) < 16 or text not in str(problem)


@settings(max_examples=60)
@given(st.lists(st.fixed_dictionaries({"Name": st.sampled_from(NAMES), "Value": st.text(max_size=40)}), max_size=4))
def test_opsworks_attributes_never_raise_anything_else(given_attributes: list[dict[str, str]]) -> None:
    """Any attributes are read, or refused with a ValidationException that repeats no longer value."""
    try:
        read_create_attributes(given_attributes)
    except ApiError as problem:
        assert problem.code == "ValidationException"


@given(
    st.lists(st.fixed_dictionaries({"Key": st.text(max_size=6), "Value": st.text(max_size=6)}), max_size=TAG_LIMIT + 2)
)
def test_opsworks_tags_are_trimmed_unique_and_few(tags: list[dict[str, str]]) -> None:
    """Read tags have trimmed, non-empty, unreserved keys and are at most fifty; others are refused."""
    try:
        read = read_tags(tags)
    except ApiError as problem:
        assert problem.code == "ValidationException"
    else:
        assert len(read) == len(tags) <= TAG_LIMIT
        assert all(key == key.strip() != "" and not key.lower().startswith("aws:") for key in read)


@given(
    st.lists(st.dictionaries(st.sampled_from(["Name", "Value"]), st.sampled_from(["CHEF_MAJOR_UPGRADE", "true", "x"])))
)
def test_opsworks_maintenance_attributes_are_one_upgrade_or_nothing(given_attributes: list[dict[str, str]]) -> None:
    """Nothing, or the one attribute with its one value; everything else is a ValidationException."""
    try:
        asked = read_maintenance_attributes(given_attributes)
    except ApiError as problem:
        assert problem.code == "ValidationException"
    else:
        assert given_attributes == ([{"Name": "CHEF_MAJOR_UPGRADE", "Value": "true"}] if asked else [])
