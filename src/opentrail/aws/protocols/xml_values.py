"""Modelled values in XML, read: requests of REST-XML, and answers of every protocol that answers in XML.

Names are compared without their namespace; elements that the model does not know are ignored. An element that comes
twice counts once (the first), except in flattened lists and maps.
"""

from typing import Any
from xml.etree.ElementTree import Element

from opentrail.aws.protocols import scalars
from opentrail.aws.protocols.scalars import Unreadable
from opentrail.aws.protocols.text_values import read_text
from opentrail.aws.protocols.xml_documents import children, local_name, read_document


def document(body: bytes) -> Element:
    """The root of a document. Raises Unreadable."""
    try:
        return read_document(body, depth_max=scalars.DEPTH_MAX)
    except ValueError as problem:
        raise Unreadable(f"The body cannot be read: {problem}") from None


def child(parent: Element, name: str) -> Element | None:
    """The first child of that name."""
    return next(children(parent, name), None)


def structure(shape: Any, node: Element) -> dict[str, Any]:
    """The members that an element has. Raises Unreadable."""
    return members(shape.members, node)


def members(shapes: Any, node: Element) -> dict[str, Any]:
    """Those of the members ``shapes`` (by name) that an element has. Raises Unreadable."""
    elements: dict[str, list[Element]] = {}
    for element in node:
        elements.setdefault(local_name(element), []).append(element)
    result: dict[str, Any] = {}
    for name, shape in shapes.items():
        if shape.serialization.get("xmlAttribute"):
            attribute = _attribute(node, scalars.wire_name(shape, name))
            if attribute is not None:
                result[name] = _scalar(shape, attribute)
            continue
        found = _elements_of(shape, name, elements)
        if found:
            result[name] = _member(shape, found)
    return result


def _elements_of(shape: Any, name: str, elements: dict[str, list[Element]]) -> list[Element]:
    """The elements of a member. A flattened list goes by its own name or by its items' (in answers of Query)."""
    found = elements.get(scalars.wire_name(shape, name), [])
    if not found and shape.type_name == "list" and shape.serialization.get("flattened"):
        found = elements.get(shape.member.serialization.get("name", ""), [])
    return found


def _member(shape: Any, found: list[Element]) -> Any:
    if shape.serialization.get("flattened"):
        if shape.type_name == "list":
            return [_value(shape.member, item) for item in found]
        if shape.type_name == "map":
            return _map(shape, found)
    return _value(shape, found[0])


def _value(shape: Any, node: Element) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return structure(shape, node)
    if kind == "list":
        return [_value(shape.member, item) for item in node]
    if kind == "map":
        return _map(shape, list(node))
    return _scalar(shape, node.text or "")


def _map(shape: Any, entries: list[Element]) -> dict[str, Any]:
    key_name, value_name = scalars.wire_name(shape.key, "key"), scalars.wire_name(shape.value, "value")
    result: dict[str, Any] = {}
    for entry in entries:
        key, value = child(entry, key_name), child(entry, value_name)
        if key is None or value is None:
            raise Unreadable("An entry of a map lacks its key or value")
        result[key.text or ""] = _value(shape.value, value)
    return result


def _attribute(node: Element, name: str) -> str | None:
    """An attribute by its name without namespace: ``xsi:type`` is stored with the namespace in place of the prefix."""
    local = name.rpartition(":")[2]
    return next((value for key, value in node.attrib.items() if key.rpartition("}")[2] == local), None)


def _scalar(shape: Any, text: str) -> Any:
    kind = shape.type_name
    if kind not in ("string", "character"):
        text = "".join(text.split()) if kind == "blob" else text.strip()
    try:
        return read_text(kind, text)
    except ValueError:
        raise Unreadable(f"{shape.name} is not a valid {scalars.TYPE_WORDS.get(kind, kind)}") from None
