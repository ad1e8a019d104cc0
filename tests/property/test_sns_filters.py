"""Filter policies agree with a naive evaluator, and no text breaks their compiler."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.topics.filters import attribute_values, body_values, compile_filter
from tests.support.naive_filters import naive_match

_KEYS = st.sampled_from(["a", "b", "c"])
_TEXTS = st.text("abAB.1", min_size=1, max_size=4)
_NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([-0.5, 1.5, 2.0]))
_SCALARS = st.one_of(_TEXTS, _NUMBERS, st.booleans(), st.none(), st.sampled_from(["10.0.0.7", "10.1.0.1", "fe80::1"]))
_WILDCARDS = st.lists(_TEXTS, min_size=1, max_size=3).map("*".join)
_RANGES = st.tuples(st.integers(-3, 0), st.integers(1, 3), st.sampled_from([">", ">="]), st.sampled_from(["<", "<="]))
_RULES = st.one_of(
    _SCALARS,
    st.builds(lambda text: {"prefix": text}, _TEXTS),
    st.builds(lambda text: {"suffix": text}, _TEXTS),
    st.builds(lambda text: {"equals-ignore-case": text}, _TEXTS),
    st.builds(lambda text: {"wildcard": text}, _WILDCARDS),
    st.builds(lambda texts: {"anything-but": texts}, st.lists(st.one_of(_TEXTS, _NUMBERS), min_size=1, max_size=2)),
    st.builds(lambda text: {"anything-but": {"prefix": text}}, _TEXTS),
    st.builds(lambda sign, bound: {"numeric": [sign, bound]}, st.sampled_from(["=", "<", "<=", ">", ">="]), _NUMBERS),
    st.builds(lambda r: {"numeric": [r[2], r[0], r[3], r[1]]}, _RANGES),
    st.builds(lambda wanted: {"exists": wanted}, st.booleans()),
    st.sampled_from([{"cidr": "10.0.0.0/24"}, {"cidr": "fe80::/10"}]),
)
_LEAVES = st.lists(_RULES, min_size=1, max_size=2)
_FLAT = st.dictionaries(_KEYS, _LEAVES, min_size=1, max_size=2)
_NESTED = st.recursive(
    _FLAT, lambda below: st.dictionaries(_KEYS, st.one_of(_LEAVES, below), min_size=1, max_size=2), max_leaves=3
)
_ALTERNATIVES = st.builds(
    lambda policy, one, other: {**policy, "$or": [one, other]},
    st.dictionaries(_KEYS, _LEAVES, max_size=1),
    _FLAT,
    _FLAT,
)
_BODIES = st.recursive(
    st.dictionaries(_KEYS, st.one_of(_SCALARS, st.lists(_SCALARS, max_size=2)), max_size=3),
    lambda below: st.dictionaries(_KEYS, st.one_of(_SCALARS, below, st.lists(below, max_size=2)), max_size=3),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(policy=st.one_of(_NESTED, _ALTERNATIVES), body=_BODIES)
def test_bodies_are_matched_as_the_naive_evaluator_does(policy: dict[str, Any], body: dict[str, Any]) -> None:
    """The same verdict for every policy that is taken."""
    try:
        match = compile_filter(json.dumps(policy), nested=True)
    except ValueError as refusal:
        assert "too complex" in str(refusal) or "keys" in str(refusal), refusal
        return
    values = body_values(json.dumps(body))
    assert values == body
    assert match(body) == naive_match(policy, body)


@settings(max_examples=200, deadline=None)
@given(policy=_FLAT, texts=st.dictionaries(_KEYS, _TEXTS), numbers=st.dictionaries(_KEYS, _NUMBERS), array=_SCALARS)
def test_attributes_are_matched_as_the_naive_evaluator_does(
    policy: dict[str, Any], texts: dict[str, str], numbers: dict[str, Any], array: Any
) -> None:
    """Strings, numbers and arrays become the JSON that they stand for."""
    attributes = {name: ("String", text) for name, text in texts.items()}
    attributes |= {name: ("Number", str(number)) for name, number in numbers.items()}
    attributes["c"] = ("String.Array", json.dumps([array]))
    plain = {**texts, **numbers, "c": [array]}
    try:
        match = compile_filter(json.dumps(policy), nested=False)
    except ValueError as refusal:
        assert "too complex" in str(refusal), refusal
        return
    assert match(attribute_values(attributes)) == naive_match(policy, plain)


@settings(max_examples=80, deadline=None)
@given(
    text=st.one_of(
        st.text(), st.recursive(_SCALARS, lambda b: st.lists(b) | st.dictionaries(st.text(), b)).map(json.dumps)
    )
)
def test_no_text_breaks_the_compiler(text: str) -> None:
    """A policy is taken, or refused with a reason."""
    for nested in (True, False):
        try:
            compile_filter(text, nested=nested)({"a": 1})
        except ValueError as refusal:
            assert str(refusal)


@pytest.mark.parametrize(
    ("policy", "nested"),
    [
        ({"a": "text"}, True),
        ({"a": []}, True),
        ({"a": {}}, True),
        ({"a": {"b": ["x"]}}, False),
        ({"a": [{"unknown": "x"}]}, True),
        ({"a": [{"numeric": ["<", 5, ">", 1]}]}, True),
        ({"a": [{"numeric": ["?", 5]}]}, True),
        ({"a": [{"exists": "true"}]}, True),
        ({"a": [{"cidr": "10.0.0.0/99"}]}, True),
        ({"a": [{"wildcard": "a**b"}]}, True),
        ({"a": [{"anything-but": [None]}]}, True),
        ({name: ["x"] for name in "abcdef"}, False),
        ({"a": list(range(151))}, False),
    ],
)
def test_what_the_grammar_does_not_know_is_refused(policy: dict[str, Any], nested: bool) -> None:
    """A stored policy means what it says."""
    with pytest.raises(ValueError, match=r"\w"):
        compile_filter(json.dumps(policy), nested=nested)
