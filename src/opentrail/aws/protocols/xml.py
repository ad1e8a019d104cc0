"""XML answers from results, by the model: element names, flattened lists, map entries, nothing else.

Text is always well-formed: characters that XML 1.0 cannot carry become U+FFFD, and carriage returns are written as
references because readers would turn them into line feeds.
"""

import re
from collections.abc import Mapping
from typing import Any

from opentrail.aws.protocols import scalars, timestamps

_UNSAFE = re.compile('[&<>"\r]|[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}


def escape(text: str) -> str:
    """Text as the content of an element or attribute."""
    return _UNSAFE.sub(lambda found: _REFERENCES.get(found[0], "\ufffd"), text)


def members(parts: list[str], shape: Any, value: Mapping[str, Any]) -> None:
    """Append the elements of a structure's members; members that are None are left out.

    Raises ValueError or TypeError where the value does not fit the model.
    """
    scalars.require_type(shape, value)
    shapes = scalars.member_shapes(shape, value)
    for name, item in value.items():
        if item is not None:
            _element(parts, scalars.wire_name(shapes[name], name), shapes[name], item)


def _element(parts: list[str], name: str, shape: Any, value: Any) -> None:
    kind = shape.type_name
    flattened = shape.serialization.get("flattened")
    if kind == "list" and flattened:
        scalars.require_type(shape, value)
        for item in value:
            _element(parts, scalars.wire_name(shape.member, name), shape.member, item)
    elif kind == "map" and flattened:
        scalars.require_type(shape, value)
        for key, item in value.items():
            _wrapped(parts, name, shape, (key, item))
    else:
        _wrapped(parts, name, shape, value)


def _wrapped(parts: list[str], name: str, shape: Any, value: Any) -> None:
    parts.append(f"<{name}>")
    kind = shape.type_name
    if kind == "structure":
        members(parts, shape, value)
    elif kind == "list":
        scalars.require_type(shape, value)
        for item in value:
            _element(parts, scalars.wire_name(shape.member, "member"), shape.member, item)
    elif kind == "map" and isinstance(value, tuple):
        _entry(parts, shape, *value)
    elif kind == "map":
        scalars.require_type(shape, value)
        for key, item in value.items():
            parts.append("<entry>")
            _entry(parts, shape, key, item)
            parts.append("</entry>")
    else:
        parts.append(escape(_text(shape, value)))
    parts.append(f"</{name}>")


def _entry(parts: list[str], shape: Any, key: str, value: Any) -> None:
    _element(parts, scalars.wire_name(shape.key, "key"), shape.key, key)
    _element(parts, scalars.wire_name(shape.value, "value"), shape.value, value)


def _text(shape: Any, value: Any) -> str:
    scalars.require_type(shape, value)
    kind = shape.type_name
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        form = shape.serialization.get("timestampFormat", "iso8601")
        return str(timestamps.to_epoch(value)) if form == "unixTimestamp" else timestamps.to_text(value, form)
    if kind == "blob":
        return scalars.encode_blob(value)
    if kind in ("float", "double"):
        return scalars.special_float(value) or str(value)
    return str(value)
