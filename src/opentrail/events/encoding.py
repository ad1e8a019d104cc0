"""Values to JSON bytes, whatever is in them.

Rules: compact UTF-8, ``<``, ``>``, ``&`` and ``/`` unescaped, keys in the order given, never an exception: what
JSON cannot say (lone surrogates, bytes, integers beyond 64 bits, nesting beyond the encoder's limit) is written as
its nearest form and never dropped in silence.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from opentrail.events.timestamps import iso_8601

_DEPTH_MAX = 200
"""orjson refuses nesting beyond 254 levels; the record itself takes a few."""

_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1

TOO_DEEP: Mapping[str, Any] = {"reason": "nested too deeply", "omitted": True}
"""Stands in place of values nested beyond what can be written (the stub of cloudtrail fact sheet 1.4)."""


def encode(value: object) -> bytes:
    """The JSON text of a value, exactly one line, without a line end."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_writable(value, 0))


def valid_text(text: str) -> str:
    """The text with lone surrogates replaced by question marks; anything else is kept."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def scalar(value: object) -> object:
    """A JSON value for a scalar; numbers and booleans keep their type, what no form exists for becomes None."""
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, int):
        return value if _INTEGER_MIN <= value <= _INTEGER_MAX else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOT_FINITE.get(str(value))
    if isinstance(value, datetime):
        return iso_8601(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return size_of(value)
    return None


def size_of(blob: bytes | bytearray | memoryview) -> dict[str, int]:
    """How binary content is shown: by its size only."""
    return {"sizeBytes": memoryview(blob).nbytes}


# AWS's JSON writes the three by these names.
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _writable(value: object, depth: int) -> object:
    """A copy of a value that orjson accepts."""
    if depth > _DEPTH_MAX:
        return TOO_DEEP
    if isinstance(value, orjson.Fragment):
        return value
    if isinstance(value, str):
        return valid_text(str(value))
    if isinstance(value, Mapping):
        return {_key(key): _writable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray | memoryview):
        return [_writable(item, depth + 1) for item in value]
    return scalar(value)


def _key(key: object) -> str:
    """A member name for whatever stood as a key."""
    return valid_text(key) if isinstance(key, str) else repr(key)
