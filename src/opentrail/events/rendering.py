"""The nodes that ``elements`` compiles shapes into: each shows one kind of value, and knows where secrets are in it.

Rules: a node never fails on a value of the wrong kind (a call may be recorded because its parameters were wrong):
it shows nothing in its place. A secret is replaced whole, whatever it is made of.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from opentrail.events.encoding import encode, scalar, size_of

ABSENT: Final = object()
"""Shown by nodes whose member is to be left out."""

_BINARY = (bytes, bytearray, memoryview)


class Node(Protocol):
    """How one kind of value is shown."""

    def render(self, value: Any, /) -> Any:
        """The value in record form, or ``ABSENT``."""

    def collect(self, value: Any, into: list[str], /) -> None:
        """Add the text of every secret in the value."""


class Content:
    """A scalar, or a free-form document: shown as it is."""

    __slots__ = ()

    def render(self, value: Any, /) -> Any:
        """Scalars by type; documents keep their form and are made writable by the encoder where needed."""
        kind = type(value)
        if kind is str or kind is bool:
            return value
        return value if isinstance(value, Mapping | list | tuple) else scalar(value)

    def collect(self, _value: Any, _into: list[str], /) -> None:
        """Nothing secret here."""


class Time:
    """A timestamp in the service's form."""

    __slots__ = ("_form",)

    def __init__(self, form: Callable[[datetime], str | int | float]) -> None:
        self._form = form

    def render(self, value: Any, /) -> Any:
        """The form's text or number for points in time; whatever else a caller sent stays as it is."""
        return self._form(value) if isinstance(value, datetime) else scalar(value)

    def collect(self, _value: Any, _into: list[str], /) -> None:
        """Nothing secret here."""


class Blob:
    """Binary content: its size is all that is shown."""

    __slots__ = ()

    def render(self, value: Any, /) -> Any:
        """``{"sizeBytes": N}``; text that was not decoded counts by its UTF-8 length."""
        if isinstance(value, str):
            value = value.encode("utf-8", "replace")
        return size_of(value) if isinstance(value, _BINARY) else None

    def collect(self, _value: Any, _into: list[str], /) -> None:
        """Nothing that the model calls secret."""


class Secret:
    """A value that is never shown."""

    __slots__ = ("_replacement",)

    def __init__(self, replacement: str | None) -> None:
        self._replacement = ABSENT if replacement is None else replacement

    def render(self, _value: Any, /) -> Any:
        """The replacement, whatever the value is."""
        return self._replacement

    def collect(self, value: Any, into: list[str], /) -> None:
        """Every leaf of the value, keys included, as text."""
        if isinstance(value, str):
            into.append(value)
        elif isinstance(value, _BINARY):
            into.extend((base64.b64encode(value).decode(), bytes(value).decode("utf-8", "replace")))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                into.append(str(key))
                self.collect(item, into)
        elif isinstance(value, Sequence):
            for item in value:
                self.collect(item, into)
        elif value is not None and not isinstance(value, bool):
            into.append(encode(scalar(value)).decode().strip('"'))


_LEAVES: Final = Secret(None)


class Items:
    """A list."""

    __slots__ = ("_item",)

    def __init__(self, item: Node) -> None:
        self._item = item

    def render(self, value: Any, /) -> Any:
        """Each item in order; secret items that are left out leave an empty list."""
        if not isinstance(value, list | tuple):
            return None
        render = self._item.render
        return [shown for shown in map(render, value) if shown is not ABSENT]

    def collect(self, value: Any, into: list[str], /) -> None:
        """What the items hold."""
        if isinstance(value, list | tuple):
            for item in value:
                self._item.collect(item, into)


class Entries:
    """A map: its keys are the caller's and stay as they are."""

    __slots__ = ("_value",)

    def __init__(self, value: Node) -> None:
        self._value = value

    def render(self, value: Any, /) -> Any:
        """Each value under its key."""
        if not isinstance(value, Mapping):
            return None
        render = self._value.render
        return {key: shown for key, item in value.items() if (shown := render(item)) is not ABSENT}

    def collect(self, value: Any, into: list[str], /) -> None:
        """What the values hold."""
        if isinstance(value, Mapping):
            for item in value.values():
                self._value.collect(item, into)


class Keys:
    """A map whose values are secret and whose keys are told as a list (cloudtrail fact sheet 12.4, ``redaction``)."""

    __slots__ = ()

    def render(self, value: Any, /) -> Any:
        """The keys in order."""
        return list(value) if isinstance(value, Mapping) else None

    def collect(self, value: Any, into: list[str], /) -> None:
        """Every leaf of the values."""
        if isinstance(value, Mapping):
            for item in value.values():
                _LEAVES.collect(item, into)


class Members:
    """A structure."""

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[str, tuple[str, Node]] = {}

    def add(self, wire_name: str, record_name: str, node: Node) -> None:
        """Know a member."""
        self._members[wire_name] = (record_name, node)

    def render(self, value: Any, /) -> Any:
        """Known members that have a value, in the order given."""
        if not isinstance(value, Mapping):
            return None
        shown: dict[str, Any] = {}
        members = self._members
        for name, item in value.items():
            member = members.get(name)
            if member is None or item is None:
                continue
            rendered = member[1].render(item)
            if rendered is not ABSENT:
                shown[member[0]] = rendered
        return shown

    def collect(self, value: Any, into: list[str], /) -> None:
        """What the known members hold."""
        if isinstance(value, Mapping):
            for name, item in value.items():
                member = self._members.get(name)
                if member is not None:
                    member[1].collect(item, into)
