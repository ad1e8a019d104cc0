"""Subscription filter policies: which messages a subscription takes. Pure.

Rules (SNS Developer Guide, "Amazon SNS subscription filter policies"). All keys of a policy must match; the values of
a key are alternatives. A policy is about the message's attributes (one level) or its body (a JSON object, nested). A
key whose value is an array matches where one of its elements does; in an array of objects one of these must match the
whole policy below the key. A key that is absent matches ``{"exists": false}`` and nothing else. What the grammar does
not know is refused when the policy is set (ValueError), so that a stored policy means what it says.
"""

import ipaddress
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

KEYS_MAX = 5
COMBINATIONS_MAX = 150
POLICY_BYTES_MAX = 256 * 1024
_DEPTH_MAX = 10

Test = Callable[[Any], bool]
"""Whether one value of a message agrees with one value of the policy."""

Match = Callable[[Mapping[str, Any]], bool]
"""Whether a JSON object agrees with (a part of) a policy."""

_NUMERIC: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@lru_cache(maxsize=1024)
def compile_filter(text: str, *, nested: bool) -> Match:
    """Read a filter policy; ``nested`` for the scope MessageBody. Raises ValueError with the reason it is refused."""
    if len(text.encode("utf-8", "surrogatepass")) > POLICY_BYTES_MAX:
        raise ValueError("Filter policy is too long")
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("failed to parse JSON.") from None
    if not isinstance(document, dict):
        raise ValueError("Filter policy must be an object")  # noqa: TRY004 - one family of error for a policy
    compiler = _Compiler(nested=nested)
    match = compiler.object(document, 1)
    compiler.check_size()
    return match


def attribute_values(attributes: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """A message's attributes (type and text by name) as the JSON object that policies are about.

    Binary attributes are not matched; a String.Array whose text is no JSON array holds nothing that is.
    """
    found: dict[str, Any] = {}
    for name, (kind, text) in attributes.items():
        if kind == "String.Array":
            found[name] = _array(text)
        elif kind.partition(".")[0] == "Number":
            found[name] = _number(text)
        elif kind.partition(".")[0] == "String":
            found[name] = text
    return found


def body_values(text: str) -> dict[str, Any] | None:
    """A message's body as the JSON object that policies are about; None where it is none: nothing matches it."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _array(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("Filter policy has the same key twice")
    return found


class _Compiler:
    """Counts what it reads: SNS bounds keys and combinations of values."""

    def __init__(self, *, nested: bool) -> None:
        self._nested = nested
        self._keys: set[tuple[str, ...]] = set()
        self._combinations = 1

    def check_size(self) -> None:
        if len(self._keys) > KEYS_MAX:
            raise ValueError(f"Filter policy can not have more than {KEYS_MAX} keys")
        if self._combinations > COMBINATIONS_MAX:
            raise ValueError(f"Filter policy is too complex: more than {COMBINATIONS_MAX} combinations of values")

    def object(self, policy: Mapping[str, Any], depth: int, path: tuple[str, ...] = ()) -> Match:
        if not policy and depth > 1:
            raise ValueError("Empty objects are not allowed")
        if depth > _DEPTH_MAX:
            raise ValueError("Filter policy is nested too deeply")
        parts = [self._key(key, value, depth, path) for key, value in policy.items()]
        return lambda values: all(part(values) for part in parts)

    def _key(self, key: str, value: Any, depth: int, path: tuple[str, ...]) -> Match:
        if key == "$or" and _is_or(value):
            alternatives = [self.object(item, depth + 1, path) for item in value]
            return lambda values: any(alternative(values) for alternative in alternatives)
        if isinstance(value, dict):
            if not self._nested:
                raise ValueError("Filter policy scope MessageAttributes does not support nested filter policy")
            below = self.object(value, depth + 1, (*path, key))
            return lambda values: any(below(item) for item in _objects(values.get(key)))
        if not isinstance(value, list) or not value:
            raise ValueError(f'"{key[:60]}" must be an object or a non-empty array')
        self._keys.add((*path, key))
        self._combinations *= len(value) * (depth if self._nested else 1)
        return _leaf(key, value)


def _is_or(value: Any) -> bool:
    """Whether ``$or`` is the operator and not a key of that name: two or more objects, none of them a value's rule."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(item, dict) and item for item in value)


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return [item for item in found if isinstance(item, dict)]


def _leaf(key: str, rules: Sequence[Any]) -> Match:
    presence = [rule["exists"] for rule in rules if _is_rule(rule, "exists")]
    if not all(isinstance(wanted, bool) for wanted in presence):
        raise ValueError("exists match pattern must be either true or false.")
    tests = [_test(rule) for rule in rules if not _is_rule(rule, "exists")]

    def matches(values: Mapping[str, Any]) -> bool:
        is_there = key in values and not isinstance(values[key], dict)
        if is_there in presence:
            return True
        if not is_there:
            return False
        found = values[key] if isinstance(values[key], list) else [values[key]]
        return any(test(value) for value in found for test in tests)

    return matches


def _is_rule(rule: Any, name: str) -> bool:
    return isinstance(rule, dict) and rule.keys() == {name}


def _test(rule: Any) -> Test:
    if isinstance(rule, dict):
        if len(rule) != 1:
            raise ValueError("Only one key allowed in match expression")
        name, wanted = next(iter(rule.items()))
        if name not in _RULES:
            raise ValueError(f"Unrecognized match type {name[:60]}")
        return _RULES[name](wanted)
    if isinstance(rule, list):
        raise ValueError("Match value must be String, number, true, false, or null")  # noqa: TRY004 - as above
    return _equal(rule)


def _equal(wanted: Any) -> Test:
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, str):
        return lambda value: isinstance(value, str) and value == wanted
    return lambda value: _is_number(value) and value == wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(name: str, wanted: Any) -> str:
    if not isinstance(wanted, str) or not wanted:
        raise ValueError(f"{name} match pattern must be a string")
    return wanted


def _prefix(wanted: Any) -> Test:
    text = _text("prefix", wanted)
    return lambda value: isinstance(value, str) and value.startswith(text)


def _suffix(wanted: Any) -> Test:
    text = _text("suffix", wanted)
    return lambda value: isinstance(value, str) and value.endswith(text)


def _ignoring_case(wanted: Any) -> Test:
    folded = _text("equals-ignore-case", wanted).casefold()
    return lambda value: isinstance(value, str) and value.casefold() == folded


def _wildcard(wanted: Any) -> Test:
    """``*`` stands for any text; a backslash makes the next ``*`` or backslash itself."""
    text = _text("wildcard", wanted)
    if "**" in text.replace("\\*", ""):
        raise ValueError("wildcard match pattern must not have two wildcards in a row")
    pieces, piece, at = [], "", 0
    while at < len(text):
        escaped = text[at] == "\\" and text[at + 1 : at + 2] in ("*", "\\")
        if text[at] == "*":
            pieces.append(piece)
            piece = ""
        else:
            piece += text[at + escaped]
        at += 1 + escaped
    return lambda value: isinstance(value, str) and _glob((*pieces, piece), value)


def _glob(pieces: Sequence[str], value: str) -> bool:
    """Whether the pieces stand in a text in this order, the first at its start and the last at its end."""
    first, *middle = pieces
    if not middle:
        return value == first
    last = middle.pop()
    if not value.startswith(first) or len(value) < len(first) + len(last) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in middle:  # leftmost each time: what is left for the others is longest
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _anything_but(wanted: Any) -> Test:
    if isinstance(wanted, dict):
        allowed = ("prefix", "suffix", "wildcard", "equals-ignore-case")
        if len(wanted) != 1 or next(iter(wanted)) not in allowed:
            raise ValueError(f"anything-but can only be combined with {', '.join(allowed)}")
        name, inner = next(iter(wanted.items()))
        excluded = [_RULES[name](item) for item in (inner if isinstance(inner, list) else [inner])]
    else:
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values or not all(isinstance(value, str) or _is_number(value) for value in values):
            raise ValueError("Inside anything-but list, values must be strings or numbers")
        excluded = [_equal(value) for value in values]
    return lambda value: not any(test(value) for test in excluded)


def _numeric(wanted: Any) -> Test:
    if not isinstance(wanted, list) or len(wanted) not in (2, 4):
        raise ValueError("Value of numeric must be an array of an operator and a number, or of two of each")
    pairs = list(zip(wanted[::2], wanted[1::2], strict=True))
    for name, bound in pairs:
        if not isinstance(name, str) or name not in _NUMERIC:
            raise ValueError("Unrecognized numeric range operator")
        if not _is_number(bound):
            raise ValueError(f"Value of {name} must be numeric")
    if len(pairs) == 2:
        (low, least), (high, greatest) = pairs
        if low not in (">", ">=") or high not in ("<", "<=") or least >= greatest:
            raise ValueError("Bottom must be less than top in a numeric range")
    return lambda value: _is_number(value) and all(_NUMERIC[name](value, bound) for name, bound in pairs)


def _cidr(wanted: Any) -> Test:
    try:
        network = ipaddress.ip_network(_text("cidr", wanted), strict=False)
    except ValueError:
        raise ValueError("Malformed CIDR, one of IPv4 or IPv6 with a prefix length is needed") from None

    def within(value: Any) -> bool:
        if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f.:]{2,45}", value):
            return False
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return within


_RULES: Mapping[str, Callable[[Any], Test]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _ignoring_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
}
