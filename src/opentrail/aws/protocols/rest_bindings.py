"""Where REST puts the members of inputs and outputs besides the body: URI, query string, headers, status.

Shared by REST-JSON and REST-XML. Rules (Smithy specification, "HTTP bindings"): timestamps are RFC 822 in headers and
ISO 8601 elsewhere; a list in a header is separated by commas, texts with commas quoted; a map bound to the query string
takes every parameter that nothing else is bound to; a map bound to headers takes those with its prefix.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from opentrail.aws.protocols import scalars
from opentrail.aws.protocols.scalars import Unreadable
from opentrail.aws.protocols.text_values import read_text, write_text

_PRESIGNED = "x-amz-"
"""Presigned URLs carry their signature in the query string, in parameters that start like this."""


def body_members(shape: Any) -> dict[str, Any]:
    """The members of an input or output that stand in the body, by name."""
    return {name: member for name, member in shape.members.items() if "location" not in member.serialization}


def read_request(
    shape: Any, labels: Mapping[str, str], fields: Mapping[str, Sequence[str]], headers: Mapping[str, str]
) -> dict[str, Any]:
    """The members of an input that are not in the body. Raises Unreadable."""
    result: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire = scalars.wire_name(member, name)
        value: Any = None
        if location == "uri":
            value = _scalar(name, member, labels.get(wire))
        elif location == "querystring":
            value = _query_value(shape, name, member, fields)
        elif location in ("header", "headers"):
            value = _header_value(name, member, headers)
        if value is not None:
            result[name] = value
    return result


def read_reply(shape: Any, status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    """The members of an output that are not in the body. Raises Unreadable."""
    result: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        value: Any = None
        if location == "statusCode":
            value = status
        elif location in ("header", "headers"):
            value = _header_value(name, member, headers)
        if value is not None:
            result[name] = value
    return result


def write_headers(name: str, member: Any, value: Any) -> Iterator[tuple[str, str]]:
    """The headers of an output's member. Raises ValueError or TypeError where its value fits no model or header."""
    if member.serialization["location"] == "header":
        yield scalars.wire_name(member, name).lower(), _sendable(name, _written(member, value))
        return
    scalars.require_type(member, value)
    for key, text in value.items():
        yield _prefix(member) + key.lower(), _sendable(name, write_text(member.value, text))


def _query_value(shape: Any, name: str, member: Any, fields: Mapping[str, Sequence[str]]) -> Any:
    if member.type_name == "map":
        return _query_map(shape, member, fields) or None
    given = fields.get(scalars.wire_name(member, name))
    if given is None:
        return None
    if member.type_name == "list":
        return [_scalar(name, member.member, text) for text in given]
    if len(given) > 1:
        raise Unreadable(f"The query parameter of {name} comes more than once")
    return _scalar(name, member, given[0])


def _query_map(shape: Any, member: Any, fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    bound = {
        scalars.wire_name(other, name)
        for name, other in shape.members.items()
        if other.serialization.get("location") == "querystring" and other.type_name != "map"
    }
    lists = member.value.type_name == "list"
    return {
        key: list(values) if lists else values[0]
        for key, values in fields.items()
        if key not in bound and not key.lower().startswith(_PRESIGNED)
    }


def _prefix(member: Any) -> str:
    """The prefix of a map of headers; one without a name takes every header."""
    prefix: str = member.serialization.get("name", "")
    return prefix.lower()


def _header_value(name: str, member: Any, headers: Mapping[str, str]) -> Any:
    if member.serialization["location"] == "headers":
        prefix = _prefix(member)
        return {key[len(prefix) :]: text for key, text in headers.items() if key.startswith(prefix)} or None
    text = headers.get(scalars.wire_name(member, name).lower())
    if text is None:
        return None
    if member.type_name == "list":
        return [_scalar(name, member.member, item) for item in _split(text)]
    if member.serialization.get("jsonvalue"):
        return _json_value(name, text)
    return _scalar(name, member, text)


def _scalar(name: str, shape: Any, text: str | None) -> Any:
    if text is None:
        return None
    kind = shape.type_name
    try:
        return read_text(kind, text)
    except ValueError:
        raise Unreadable(f"The value of {name} is not a valid {scalars.TYPE_WORDS.get(kind, kind)}") from None


def _split(text: str) -> list[str]:
    """The items of a list in a header: separated by commas, quoted where they hold one, quotes within escaped."""
    items: list[str] = []
    item: list[str] = []
    quoted = False
    characters = iter(text)
    for character in characters:
        if quoted and character == "\\":
            item.append(next(characters, ""))
        elif character == '"' and (quoted or not "".join(item).strip()):
            quoted = not quoted
        elif character == "," and not quoted:
            items.append("".join(item).strip())
            item = []
        else:
            item.append(character)
    return [*items, "".join(item).strip()]


def _json_value(name: str, text: str) -> Any:
    try:
        return orjson.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise Unreadable(f"The value of {name} is not JSON in base64") from None


def _written(member: Any, value: Any) -> str:
    if member.serialization.get("jsonvalue"):
        return base64.b64encode(orjson.dumps(value)).decode("ascii")
    if member.type_name != "list":
        return write_text(member, value, timestamp_form="rfc822")
    scalars.require_type(member, value)
    return ",".join(_quoted(write_text(member.member, item, timestamp_form="rfc822")) for item in value)


def _quoted(item: str) -> str:
    if '"' not in item and "," not in item:
        return item
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _sendable(name: str, text: str) -> str:
    if not text.isprintable() or not text.isascii():
        raise ValueError(f"{name} cannot be sent in a header")
    return text
