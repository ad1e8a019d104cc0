"""Values in a decoded tree of dicts, lists and scalars, by the model; JSON and CBOR differ in their scalars only.

Unknown members are ignored and null means absent, except as an item of a list or map. Depth is bounded here, whatever
the decoder allows.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from opentrail.aws.protocols import scalars, timestamps
from opentrail.aws.protocols.scalars import Unreadable

ScalarReader = Callable[[Any, Any], Any]
"""From a shape and what stands for its value to the value. Raises Unreadable."""
ScalarWriter = Callable[[Any, Any], Any]
"""From a shape and a value, which is of its type, to what stands for it."""


class TreeReader:
    """Reads structures, lists, maps and documents; ``scalar_readers`` (by type name, else text) read what they hold."""

    def __init__(self, scalar_readers: Mapping[str, ScalarReader]) -> None:
        self._scalars = scalar_readers

    def members(self, shapes: Mapping[str, Any], tree: Any, depth: int = 0) -> dict[str, Any]:
        """The members among ``shapes`` that an object has. Raises Unreadable."""
        if not isinstance(tree, dict):
            raise mismatch("Structure", tree)
        result: dict[str, Any] = {}
        for name, shape in shapes.items():
            given = tree.get(scalars.wire_name(shape, name))
            if given is not None:
                result[name] = self.value(shape, given, depth + 1)
        return result

    def value(self, shape: Any, tree: Any, depth: int = 0) -> Any:
        """A value of a shape. Raises Unreadable."""
        _check_depth(depth)
        kind = shape.type_name
        if kind == "structure":
            return _document(tree, depth) if shape.is_document_type else self.members(shape.members, tree, depth)
        if kind == "list":
            if not isinstance(tree, list):
                raise mismatch("List", tree)
            member = shape.member
            return [None if item is None else self.value(member, item, depth + 1) for item in tree]
        if kind == "map":
            if not isinstance(tree, dict):
                raise mismatch("Map", tree)
            member = shape.value
            return {key: None if item is None else self.value(member, item, depth + 1) for key, item in tree.items()}
        read: ScalarReader = self._scalars.get(kind, read_string)
        return read(shape, tree)


def write_tree(shape: Any, value: Any, scalar: ScalarWriter) -> Any:
    """A value as a tree whose leaves are what ``scalar`` makes of them; what is None is left out of structures.

    Raises ValueError or TypeError where it does not fit the model.
    """
    kind = shape.type_name
    if kind == "structure" and shape.is_document_type:
        return value
    scalars.require_type(shape, value)
    if kind == "structure":
        members = scalars.member_shapes(shape, value)
        return {
            scalars.wire_name(members[name], name): write_tree(members[name], item, scalar)
            for name, item in value.items()
            if item is not None
        }
    if kind == "list":
        return [write_tree(shape.member, item, scalar) for item in value]
    if kind == "map":
        return {key: write_tree(shape.value, item, scalar) for key, item in value.items()}
    return scalar(shape, value)


def read_string(_shape: Any, value: Any) -> str:
    """A text. Raises Unreadable."""
    if not isinstance(value, str):
        raise mismatch("String", value)
    return value


def read_boolean(_shape: Any, value: Any) -> bool:
    """A truth value. Raises Unreadable."""
    if not isinstance(value, bool):
        raise mismatch("Boolean", value)
    return value


def read_integer(shape: Any, value: Any) -> int:
    """A whole number in the range of its type; ``5.0`` is one. Raises Unreadable."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise mismatch(scalars.TYPE_WORDS[shape.type_name], value)
    if not scalars.fits(shape.type_name, value):
        raise Unreadable(f"Numeric value out of range of {shape.type_name}")
    return value


def read_float(_shape: Any, value: Any) -> float:
    """A number. Raises Unreadable."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch("Float", value)
    return float(value)


def read_epoch(_shape: Any, value: Any) -> datetime:
    """A point in time from its epoch seconds. Raises Unreadable."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch("Date", value)
    try:
        return timestamps.from_epoch(value)
    except ValueError:
        raise mismatch("Date", value) from None


def mismatch(wanted: str, value: Any) -> Unreadable:
    """What to raise for a value of the wrong type, in the words of AWS's servers."""
    if isinstance(value, dict):
        return Unreadable("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return Unreadable("Start of list found where not expected")
    return Unreadable(f"{_found(value)} cannot be converted to {wanted}")


def _found(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    if isinstance(value, bytes):
        return "BLOB_VALUE"
    if isinstance(value, datetime):
        return "TIMESTAMP_VALUE"
    if value is None:
        return "NULL_VALUE"
    return "DECIMAL_VALUE" if isinstance(value, float) else "NUMBER_VALUE"


def _document(tree: Any, depth: int) -> Any:
    """A document is any tree; only its depth is looked at."""
    _check_depth(depth)
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for child in children:
        _document(child, depth + 1)
    return tree


def _check_depth(depth: int) -> None:
    if depth > scalars.DEPTH_MAX:
        raise Unreadable(f"The body is nested deeper than {scalars.DEPTH_MAX} levels")
