"""Modelled values in JSON, as the ``json`` and ``rest-json`` protocols have them.

Timestamps are epoch seconds unless the model says otherwise, blobs base64 text, special floats text; of duplicate keys
the last counts (opsworks-cm fact sheet 2).
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import orjson

from opentrail.aws.protocols import scalars, timestamps
from opentrail.aws.protocols.scalars import Unreadable
from opentrail.aws.protocols.value_trees import (
    ScalarReader,
    TreeReader,
    mismatch,
    read_boolean,
    read_epoch,
    read_float,
    read_integer,
    write_tree,
)


def decode(body: bytes) -> Any:
    """A JSON text as a tree; an empty body is an empty object. Raises Unreadable."""
    try:
        return orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        raise Unreadable("The body is not valid JSON") from None


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty body is an empty one. Raises Unreadable."""
    tree = decode(body)
    if not isinstance(tree, dict):
        raise Unreadable("Unexpected field type: the body must be a JSON object")
    return tree


def encode(shape: Any, value: Any) -> bytes:
    """A value as a JSON text. Raises ValueError or TypeError where it does not fit the model."""
    return orjson.dumps(write(shape, value))


def write(shape: Any, value: Any) -> Any:
    """A value as a tree that JSON has types for. Raises ValueError or TypeError where it does not fit the model."""
    return write_tree(shape, value, _write_scalar)


def _write_scalar(shape: Any, value: Any) -> Any:
    kind = shape.type_name
    if kind == "timestamp":
        form = shape.serialization.get("timestampFormat", "unixTimestamp")
        return timestamps.to_epoch(value) if form == "unixTimestamp" else timestamps.to_text(value, form)
    if kind == "blob":
        return scalars.encode_blob(value)
    if kind in ("float", "double"):
        return scalars.special_float(value) or value
    return str(value) if isinstance(value, str) else value


def _read_float(shape: Any, value: Any) -> float:
    if isinstance(value, str) and value in scalars.SPECIAL_FLOATS:
        return scalars.SPECIAL_FLOATS[value]
    return read_float(shape, value)


def _read_timestamp(shape: Any, value: Any) -> datetime:
    if not isinstance(value, str):
        return read_epoch(shape, value)
    try:
        return timestamps.from_text(value)
    except ValueError:
        raise mismatch("Date", value) from None


def _read_blob(_shape: Any, value: Any) -> bytes:
    if not isinstance(value, str):
        raise mismatch("Blob", value)
    try:
        return scalars.decode_blob(value)
    except ValueError:
        raise Unreadable("A Blob must be base64 text") from None


_SCALARS: Mapping[str, ScalarReader] = MappingProxyType(
    {
        "boolean": read_boolean,
        "integer": read_integer,
        "long": read_integer,
        "float": _read_float,
        "double": _read_float,
        "timestamp": _read_timestamp,
        "blob": _read_blob,
    }
)
READER = TreeReader(_SCALARS)
"""Reads what ``decode`` made."""
