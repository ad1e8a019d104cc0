"""XML answers from results, by the model: element names, attributes, namespaces, flattened lists, map entries.

Text is always well-formed: characters that XML 1.0 cannot carry become U+FFFD, and carriage returns are written as
references because readers would turn them into line feeds.
"""

import re
from collections.abc import Mapping
from typing import Any

from opentrail.aws.protocols import scalars
from opentrail.aws.protocols.text_values import write_text

_UNSAFE = re.compile('[&<>"\r]|[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}


def escape(text: str) -> str:
    """Text as the content of an element or attribute."""
    return _UNSAFE.sub(lambda found: _REFERENCES.get(found[0], "\ufffd"), text)


def open_root(name: str, namespace: str | None) -> str:
    """A document's opening tag."""
    return f'<{name} xmlns="{escape(namespace)}">' if namespace else f"<{name}>"


def root(name: str, shape: Any, value: Mapping[str, Any], namespace: str | None = None) -> str:
    """A structure as a document of its own. Raises ValueError or TypeError where the value does not fit the model."""
    parts: list[str] = []
    own = shape.serialization.get("xmlNamespace") or namespace
    _wrapped(parts, name, shape, value, own)
    return "".join(parts)


def members(parts: list[str], shape: Any, value: Mapping[str, Any]) -> None:
    """Append the elements of a structure's members; members that are None are left out.

    Raises ValueError or TypeError where the value does not fit the model.
    """
    scalars.require_type(shape, value)
    shapes = scalars.member_shapes(shape, value)
    for name, item in value.items():
        if item is not None and not shapes[name].serialization.get("xmlAttribute"):
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


def _wrapped(parts: list[str], name: str, shape: Any, value: Any, namespace: Any = None) -> None:
    parts.append(f"<{name}{_attributes(shape, value, namespace or shape.serialization.get('xmlNamespace'))}>")
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
        parts.append(escape(write_text(shape, value)))
    parts.append(f"</{name}>")


def _attributes(shape: Any, value: Any, namespace: Any) -> str:
    """What stands in an opening tag: the namespace (a text, or URI and prefix) and the members that are attributes."""
    written = ""
    if namespace:
        prefix, uri = (namespace.get("prefix"), namespace["uri"]) if isinstance(namespace, Mapping) else ("", namespace)
        written = f' xmlns{":" + prefix if prefix else ""}="{escape(uri)}"'
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if member.serialization.get("xmlAttribute") and value.get(name) is not None:
                written += f' {scalars.wire_name(member, name)}="{escape(write_text(member, value[name]))}"'
    return written


def _entry(parts: list[str], shape: Any, key: str, value: Any) -> None:
    _element(parts, scalars.wire_name(shape.key, "key"), shape.key, key)
    _element(parts, scalars.wire_name(shape.value, "value"), shape.value, value)
