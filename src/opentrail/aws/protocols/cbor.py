"""CBOR (RFC 8949), as much of it as Smithy's RPC v2 uses: no tag but 1 (epoch time), text keys, no big numbers.

Decoding takes hostile bytes: levels and values are bounded, a length is never believed before its bytes are there, and
what follows the value is refused. Encoding always writes definite lengths and double-precision floats.
"""

import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from opentrail.aws.protocols import scalars, timestamps
from opentrail.aws.protocols.scalars import Unreadable

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE = 31
_BREAK = 0xFF
_EPOCH_TAG = 1
_DEPTH_MAX = scalars.DEPTH_MAX + 2
_ITEMS_MAX = 1_000_000
_SIMPLE_VALUES: Mapping[int, bool | None] = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}


def decode(body: bytes) -> Any:
    """The value that a body holds: dict, list, str, bytes, int, float, bool, None or an aware datetime.

    Raises Unreadable for anything else, and for bytes after the value.
    """
    reader = _Reader(body)
    value = reader.item(0)
    if reader.position != len(body):
        raise Unreadable("The body goes on after its CBOR value")
    return value


def encode(value: Any) -> bytes:
    """A tree of the types that ``decode`` returns. Raises ValueError or TypeError for others."""
    parts: list[bytes] = []
    _write(parts, value)
    return b"".join(parts)


class _Reader:
    """A position in the bytes, and what can be read there."""

    __slots__ = ("_body", "_items", "position")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._items = 0
        self.position = 0

    def item(self, depth: int) -> Any:
        """The data item at the position."""
        self._items += 1
        if depth > _DEPTH_MAX or self._items > _ITEMS_MAX:
            raise Unreadable("The body is nested too deeply, or has too many values")
        major, detail = divmod(self._byte(), 32)
        if major == _SIMPLE:
            return self._simple(detail)
        if major in (_BYTES, _TEXT):
            return self._string(major, detail)
        if major == _ARRAY:
            return self._array(detail, depth)
        if major == _MAP:
            return self._map(detail, depth)
        number = self._number(detail)
        if major == _TAG:
            return self._tagged(number, depth)
        return number if major == _UNSIGNED else -1 - number

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._body):
            raise Unreadable("The body ends within a CBOR value")
        taken = self._body[self.position : end]
        self.position = end
        return taken

    def _byte(self) -> int:
        return self._take(1)[0]

    def _number(self, detail: int) -> int:
        if detail < 24:
            return detail
        if detail > 27:
            raise Unreadable("The body is not valid CBOR")
        return int.from_bytes(self._take(1 << (detail - 24)), "big")

    def _ended(self) -> bool:
        """Whether an item of indefinite length ends here; its break is consumed."""
        if self.position < len(self._body) and self._body[self.position] == _BREAK:
            self.position += 1
            return True
        return False

    def _string(self, major: int, detail: int) -> bytes | str:
        if detail != _INDEFINITE:
            raw = self._take(self._number(detail))
        else:
            chunks: list[bytes] = []
            while not self._ended():
                inner, length = divmod(self._byte(), 32)
                if inner != major or length == _INDEFINITE:
                    raise Unreadable("The body is not valid CBOR")
                chunks.append(self._take(self._number(length)))
            raw = b"".join(chunks)
        if major == _BYTES:
            return raw
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Unreadable("A text in the body is not UTF-8") from None

    def _array(self, detail: int, depth: int) -> list[Any]:
        items: list[Any] = []
        self._repeat(detail, lambda: items.append(self.item(depth + 1)))
        return items

    def _map(self, detail: int, depth: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}

        def entry() -> None:
            key = self.item(depth + 1)
            if not isinstance(key, str):
                raise Unreadable("A key in the body is no text")
            entries[key] = self.item(depth + 1)

        self._repeat(detail, entry)
        return entries

    def _repeat(self, detail: int, read: Callable[[], None]) -> None:
        if detail == _INDEFINITE:
            while not self._ended():
                read()
            return
        for _ in range(self._number(detail)):
            read()

    def _tagged(self, tag: int, depth: int) -> datetime:
        value = self.item(depth + 1)
        if tag != _EPOCH_TAG or isinstance(value, bool) or not isinstance(value, int | float):
            raise Unreadable("The body has a CBOR tag that is not understood")
        try:
            return timestamps.from_epoch(value)
        except (ValueError, OverflowError):
            raise Unreadable("A timestamp lies outside the calendar") from None

    def _simple(self, detail: int) -> float | bool | None:
        if detail in _FLOATS:
            form = _FLOATS[detail]
            number: float = form.unpack(self._take(form.size))[0]
            return number
        if detail not in _SIMPLE_VALUES:
            raise Unreadable("The body is not valid CBOR")
        return _SIMPLE_VALUES[detail]


def _write(parts: list[bytes], value: Any) -> None:
    if value is None or isinstance(value, bool):
        parts.append(_head(_SIMPLE, {False: 20, True: 21, None: 22}[value]))
    elif isinstance(value, int):
        parts.append(_head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    elif isinstance(value, float):
        parts.append(bytes([_SIMPLE << 5 | 27]) + _FLOATS[27].pack(value))
    elif isinstance(value, str):
        text = scalars.printable(value).encode()
        parts.append(_head(_TEXT, len(text)) + text)
    elif isinstance(value, bytes):
        parts.append(_head(_BYTES, len(value)) + value)
    elif isinstance(value, datetime):
        parts.append(_head(_TAG, _EPOCH_TAG))
        _write(parts, timestamps.to_epoch(value))
    elif isinstance(value, Mapping):
        parts.append(_head(_MAP, len(value)))
        for key, item in value.items():
            _write(parts, str(key))
            _write(parts, item)
    elif isinstance(value, list | tuple):
        parts.append(_head(_ARRAY, len(value)))
        for item in value:
            _write(parts, item)
    else:
        raise TypeError(f"CBOR has no type for {type(value).__name__}")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for detail, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            return bytes([major << 5 | detail]) + number.to_bytes(size, "big")
    raise ValueError("a number of more than 64 bits")
