"""Modelled values in form fields, as the Query protocol and EC2's variety of it have them.

List and map members are numbered from 1. Absent means absent; an empty text for a list means the empty list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentrail.aws.protocols import scalars
from opentrail.aws.protocols.form_fields import FormField
from opentrail.aws.protocols.scalars import Unreadable
from opentrail.aws.protocols.text_values import read_text


@dataclass(frozen=True, slots=True)
class FormReader:
    """Reads values; ``wire_name`` is the protocol's rule for names, ``flat`` whether every list is flattened."""

    wire_name: Callable[[Any, str], str]
    flat: bool

    def structure(self, shape: Any, node: FormField, path: str = "") -> dict[str, Any]:
        """The members of a structure that have fields. Raises Unreadable."""
        result: dict[str, Any] = {}
        for name, member in shape.members.items():
            below = self._find(node, name, member)
            if below is not None:
                result[name] = self._value(member, below, f"{path}.{name}" if path else name)
        return result

    def _value(self, shape: Any, node: FormField, path: str) -> Any:
        kind = shape.type_name
        if kind == "structure":
            return self.structure(shape, node, path)
        if kind == "list":
            return self._list(shape, node, path)
        if kind == "map":
            return self._map(shape, node, path)
        if node.text is None:
            raise _refused(path, kind)
        try:
            return read_text(kind, node.text)
        except ValueError:
            raise _refused(path, kind) from None

    def _find(self, node: FormField, name: str, member: Any) -> FormField | None:
        """The field of a member. Query's flattened lists go by their items' name, except for the text for "empty"."""
        own = node.children.get(self.wire_name(member, name))
        if not self.flat and member.type_name == "list" and member.serialization.get("flattened"):
            return node.children.get(member.member.serialization.get("name", ""), own)
        return own

    def _list(self, shape: Any, node: FormField, path: str) -> list[Any]:
        items: FormField | None = node
        if not (self.flat or shape.serialization.get("flattened")):
            items = node.children.get(scalars.wire_name(shape.member, "member"))
        if items is None or not items.children:
            if node.text == "":
                return []
            raise _refused(path, "list")
        return [self._value(shape.member, item, f"{path}.{n}") for n, item in enumerate(items.numbered(), 1)]

    def _map(self, shape: Any, node: FormField, path: str) -> dict[str, Any]:
        entries = node if shape.serialization.get("flattened") else node.children.get("entry", FormField())
        result: dict[str, Any] = {}
        for n, entry in enumerate(entries.numbered(), 1):
            key = entry.children.get(scalars.wire_name(shape.key, "key"))
            value = entry.children.get(scalars.wire_name(shape.value, "value"))
            if key is None or key.text is None or value is None:
                raise _refused(f"{path}.{n}", "map entry")
            result[key.text] = self._value(shape.value, value, f"{path}.{n}")
        return result


def _refused(path: str, kind: str) -> Unreadable:
    return Unreadable(f"The value of {path[:200]} is not a valid {scalars.TYPE_WORDS.get(kind, kind)}")
