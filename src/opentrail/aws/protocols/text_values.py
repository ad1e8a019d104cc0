"""Single values as text, by the model: form fields, URI labels, query strings, headers and XML text are all of these.

Reading is strict about what AWS's own clients never send (``1e3`` for an integer, ``yes`` for a boolean).
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from opentrail.aws.protocols import scalars, timestamps

_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?", re.ASCII)


def read_text(kind: str, text: str) -> Any:
    """The value that a text stands for in the modelled type ``kind``. Raises ValueError, without the text."""
    return _READERS.get(kind, str)(text)


def write_text(shape: Any, value: Any, *, timestamp_form: str = "iso8601") -> str:
    """A value as text; ``timestamp_form`` counts where the model names none.

    Raises ValueError or TypeError where the value does not fit the model.
    """
    scalars.require_type(shape, value)
    kind = shape.type_name
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        form = shape.serialization.get("timestampFormat", timestamp_form)
        return str(timestamps.to_epoch(value)) if form == "unixTimestamp" else timestamps.to_text(value, form)
    if kind == "blob":
        return scalars.encode_blob(value)
    if kind in ("float", "double"):
        return scalars.special_float(value) or str(value)
    return str(value)


def _integer(text: str, kind: str) -> int:
    if not _INTEGER.fullmatch(text) or not scalars.fits(kind, int(text)):
        raise ValueError(f"not {kind}")
    return int(text)


def _float(text: str) -> float:
    if text in scalars.SPECIAL_FLOATS:
        return scalars.SPECIAL_FLOATS[text]
    if not _FLOAT.fullmatch(text):
        raise ValueError("not a number")
    return float(text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("not a boolean")
    return text.lower() == "true"


_READERS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "integer": lambda text: _integer(text, "integer"),
        "long": lambda text: _integer(text, "long"),
        "float": _float,
        "double": _float,
        "boolean": _boolean,
        "timestamp": timestamps.from_text,
        "blob": scalars.decode_blob,
    }
)
