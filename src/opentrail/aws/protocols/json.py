"""AWS JSON 1.0 and 1.1: ``POST /``, the operation in ``X-Amz-Target``, parameters and answers as one JSON object.

Rules (opsworks-cm fact sheet 2, cloudtrail fact sheet 0): unknown members are ignored, null means absent, an empty body
means no parameters, of duplicate keys the last counts; timestamps are epoch seconds with fraction, blobs base64 text.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import orjson
from botocore.model import Shape

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import TARGET_ALIASES, Operation, Service
from opentrail.aws.protocols import scalars, timestamps
from opentrail.errors import ApiError

_OPERATION = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")


class JsonProtocol:
    """The protocol ``json``; the version (1.0 or 1.1) shows in the content type only."""

    def operation_name(self, service: Service, head: RequestHead, body: bytes) -> str:
        """The operation in ``X-Amz-Target``. Raises ApiError (UnknownOperationException)."""
        del body
        prefix, _, name = head.headers.get("x-amz-target", "").rpartition(".")
        if TARGET_ALIASES.get(prefix, prefix) != service.target_prefix or not _OPERATION.fullmatch(name):
            raise ApiError("UnknownOperationException", "The X-Amz-Target header names no operation of this service")
        return service.operation(name).name

    def parse(self, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
        """The parameters in a body. Raises ApiError (SerializationException, RequestEntityTooLargeException)."""
        del head
        scalars.check_size(body)
        try:
            document = orjson.loads(body) if body else {}
        except orjson.JSONDecodeError:
            raise _refused("The request body is not valid JSON") from None
        if not isinstance(document, dict):
            raise _refused("Unexpected field type: the request body must be a JSON object")
        shape = operation.input_shape
        return {} if shape is None else _read_structure(shape, document, 0)

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An answer. Raises ValueError or TypeError where the result does not fit the model."""
        headers = _headers(_content_type(operation.service), request_id)
        if operation.output_shape is None:
            if result:
                raise ValueError(f"{operation.name} answers nothing, yet there is a result")
            return Reply(200, headers)
        return Reply(200, headers, orjson.dumps(_write(operation.output_shape, result)))

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error with its code as ``__type`` and its text under the name that the error's shape gives it."""
        return json_error(
            error,
            request_id,
            message_member=_message_member(service.error_shape(error.code)),
            content_type=_content_type(service),
        )


def json_error(
    error: ApiError,
    request_id: str,
    *,
    message_member: str = "message",
    content_type: str = "application/x-amz-json-1.1",
) -> Reply:
    """An error answer in JSON; REST-JSON clients understand it as well (they read ``x-amzn-errortype``)."""
    body = {"__type": scalars.printable(error.code), message_member: scalars.printable(error.message)}
    headers = {**_headers(content_type, request_id), "x-amzn-errortype": error.code}
    return Reply(error.status, headers, orjson.dumps(body))


def _refused(message: str) -> ApiError:
    return ApiError("SerializationException", message)


def _content_type(service: Service) -> str:
    return f"application/x-amz-json-{service.json_version or '1.1'}"


def _headers(content_type: str, request_id: str) -> dict[str, str]:
    return {"content-type": content_type, "x-amzn-requestid": request_id}


def _message_member(shape: Shape | None) -> str:
    for name, member in getattr(shape, "members", {}).items():
        if name.lower() == "message":
            return scalars.wire_name(member, name)
    return "message"


def _read(shape: Any, value: Any, depth: int) -> Any:
    if depth > scalars.DEPTH_MAX:
        raise _refused(f"The request body is nested deeper than {scalars.DEPTH_MAX} levels")
    read: Callable[[Any, Any, int], Any] = _READERS.get(shape.type_name, _read_string)
    return read(shape, value, depth)


def _read_structure(shape: Any, value: Any, depth: int) -> Any:
    if shape.is_document_type:
        return _read_document(value, depth)
    if not isinstance(value, dict):
        raise _mismatch(shape, value)
    result: dict[str, Any] = {}
    for name, member in shape.members.items():
        given = value.get(scalars.wire_name(member, name))
        if given is not None:
            result[name] = _read(member, given, depth + 1)
    return result


def _read_document(value: Any, depth: int) -> Any:
    if depth > scalars.DEPTH_MAX:
        raise _refused(f"The request body is nested deeper than {scalars.DEPTH_MAX} levels")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _read_document(child, depth + 1)
    return value


def _read_list(shape: Any, value: Any, depth: int) -> list[Any]:
    if not isinstance(value, list):
        raise _mismatch(shape, value)
    member = shape.member
    return [None if item is None else _read(member, item, depth + 1) for item in value]


def _read_map(shape: Any, value: Any, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _mismatch(shape, value)
    member = shape.value
    return {key: None if item is None else _read(member, item, depth + 1) for key, item in value.items()}


def _read_string(shape: Any, value: Any, _depth: int) -> str:
    if not isinstance(value, str):
        raise _mismatch(shape, value)
    return value


def _read_boolean(shape: Any, value: Any, _depth: int) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(shape, value)
    return value


def _read_integer(shape: Any, value: Any, _depth: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _mismatch(shape, value)
    if not scalars.fits(shape.type_name, value):
        raise _refused(f"Numeric value out of range of {shape.type_name}")
    return value


def _read_float(shape: Any, value: Any, _depth: int) -> float:
    if isinstance(value, str) and value in scalars.SPECIAL_FLOATS:
        return scalars.SPECIAL_FLOATS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(shape, value)
    return float(value)


def _read_timestamp(shape: Any, value: Any, _depth: int) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _mismatch(shape, value)
    try:
        return timestamps.from_text(value) if isinstance(value, str) else timestamps.from_epoch(value)
    except ValueError:
        raise _mismatch(shape, value) from None


def _read_blob(shape: Any, value: Any, _depth: int) -> bytes:
    if not isinstance(value, str):
        raise _mismatch(shape, value)
    try:
        return scalars.decode_blob(value)
    except ValueError:
        raise _refused("A Blob must be base64 text") from None


_READERS: Mapping[str, Callable[[Any, Any, int], Any]] = MappingProxyType(
    {
        "structure": _read_structure,
        "list": _read_list,
        "map": _read_map,
        "boolean": _read_boolean,
        "integer": _read_integer,
        "long": _read_integer,
        "float": _read_float,
        "double": _read_float,
        "timestamp": _read_timestamp,
        "blob": _read_blob,
    }
)


def _mismatch(shape: Any, value: Any) -> ApiError:
    wanted = scalars.TYPE_WORDS.get(shape.type_name, "String")
    if isinstance(value, dict):
        return _refused("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return _refused("Start of list found where not expected")
    if isinstance(value, bool):
        found = "TRUE_VALUE" if value else "FALSE_VALUE"
    elif isinstance(value, str):
        found = "STRING_VALUE"
    else:
        found = "DECIMAL_VALUE" if isinstance(value, float) else "NUMBER_VALUE"
    return _refused(f"{found} cannot be converted to {wanted}")


def _write(shape: Any, value: Any) -> Any:
    kind = shape.type_name
    if kind == "structure" and shape.is_document_type:
        return value
    scalars.require_type(shape, value)
    if kind == "structure":
        members = scalars.member_shapes(shape, value)
        return {
            scalars.wire_name(members[name], name): _write(members[name], item)
            for name, item in value.items()
            if item is not None
        }
    if kind == "list":
        return [_write(shape.member, item) for item in value]
    if kind == "map":
        return {key: _write(shape.value, item) for key, item in value.items()}
    return _write_scalar(shape, value)


def _write_scalar(shape: Any, value: Any) -> Any:
    kind = shape.type_name
    if kind == "timestamp":
        form = shape.serialization.get("timestampFormat", "unixTimestamp")
        return timestamps.to_epoch(value) if form == "unixTimestamp" else timestamps.to_text(value, form)
    if kind == "blob":
        return scalars.encode_blob(value)
    if kind in ("float", "double"):
        return scalars.special_float(value) or value
    return str(value) if isinstance(value, str) else value
