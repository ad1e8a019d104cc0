"""Rules that every protocol shares: sizes, number ranges, blobs, and what counts as a value of a modelled type.

Reading raises Unreadable, whose message never shows the value it refuses: messages are recorded, and values may be
secret. Each protocol turns it into its own refusal (a request's) or into UnreadableReplyError (an upstream's answer).
Writing raises ValueError or TypeError: our own result does not fit the model.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from botocore.model import Shape

from opentrail.errors import ApiError, OutboundError

BODY_BYTES_MAX = 16 * 1024 * 1024
"""No modelled request is larger (a DynamoDB batch comes closest); streamed bodies do not pass here."""

DEPTH_MAX = 100
"""Levels of structures, lists and maps inside each other; DynamoDB's 32 nested values are 96."""

INTEGER_BITS: Mapping[str, int] = MappingProxyType({"integer": 32, "long": 64})
TYPE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "string": "String",
        "character": "String",
        "integer": "Integer",
        "long": "Long",
        "float": "Float",
        "double": "Double",
        "boolean": "Boolean",
        "timestamp": "Date",
        "blob": "Blob",
        "list": "List",
        "map": "Map",
        "structure": "Structure",
    }
)
SPECIAL_FLOATS: Mapping[str, float] = MappingProxyType(
    {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
)
_EXPECTED: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "string": (str,),
        "character": (str,),
        "integer": (int,),
        "long": (int,),
        "float": (int, float),
        "double": (int, float),
        "boolean": (bool,),
        "timestamp": (datetime,),
        "blob": (bytes,),
        "list": (list, tuple),
        "map": (Mapping,),
        "structure": (Mapping,),
    }
)


class Unreadable(ValueError):
    """Bytes that do not say what the model expects. The message is fit for records."""


class UnreadableReplyError(OutboundError):
    """An upstream's answer that cannot be read by its model; asking again would not help."""

    def __init__(self, problem: str) -> None:
        super().__init__("UnreadableReply", problem, retryable=False)


def check_size(body: bytes) -> None:
    """Raises ApiError (RequestEntityTooLargeException, 413) for a body larger than any modelled request."""
    if len(body) > BODY_BYTES_MAX:
        raise ApiError(
            "RequestEntityTooLargeException", f"The request is larger than {BODY_BYTES_MAX} bytes", status=413
        )


def fits(kind: str, number: int) -> bool:
    """Whether a number lies in the range of the modelled integer type ``kind``."""
    limit = 1 << (INTEGER_BITS[kind] - 1)
    return -limit <= number < limit


def decode_blob(text: str) -> bytes:
    """The bytes of a base64 text. Raises ValueError where it is anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None


def encode_blob(blob: bytes) -> str:
    """A blob as base64 text."""
    return base64.b64encode(blob).decode("ascii")


def special_float(number: float) -> str | None:
    """The spelling of a float that JSON and XML have no number for; None for ordinary ones."""
    if math.isnan(number):
        return "NaN"
    return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(number)


def require_no_result(operation_name: str, result: Mapping[str, Any]) -> None:
    """Raises ValueError where an operation that answers nothing has a result."""
    if result:
        raise ValueError(f"{operation_name} answers nothing, yet there is a result")


def require_type(shape: Shape, value: Any) -> None:
    """Raises TypeError where a value of ours is not of the modelled type (a bool is not a number, a str not a list)."""
    kind = shape.type_name
    good = isinstance(value, _EXPECTED[kind])
    if good and isinstance(value, bool) and kind != "boolean":
        good = False
    if not good:
        raise TypeError(f"{shape.name} is a {kind}, not a {type(value).__name__}")
    if kind in INTEGER_BITS and not fits(kind, value):
        raise ValueError(f"{shape.name} does not fit a {kind}")


def member_shapes(shape: Any, value: Mapping[str, Any]) -> Mapping[str, Shape]:
    """The members of a structure that ``value`` is to be written as. Raises ValueError where it has others."""
    members: Mapping[str, Shape] = shape.members
    unknown = sorted(str(name) for name in value if name not in members)
    if unknown:
        raise ValueError(f"{shape.name} has no member {', '.join(unknown)}")
    return members


def wire_name(shape: Shape, default: str) -> str:
    """The name of a member on the wire: its locationName, or the model's own name."""
    name: str = shape.serialization.get("name") or default
    return name


def printable(text: str) -> str:
    """Text without lone surrogates, which no encoder takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
