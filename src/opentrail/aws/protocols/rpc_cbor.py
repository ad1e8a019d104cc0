"""Smithy's RPC v2 with CBOR: ``POST /service/NAME/operation/OPERATION``, one CBOR map in and one out.

``NAME`` is the prefix that JSON clients put before the operation in ``X-Amz-Target``. Timestamps are tag 1 (a bare
number is read as one), blobs byte strings. Where an answer is an event stream, nothing of it is read.
Source: Smithy specification, "Smithy RPC v2 CBOR protocol".
"""

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols import cbor, error_texts, scalars
from opentrail.aws.protocols.bodies import plain_body
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.scalars import Unreadable, UnreadableReplyError
from opentrail.aws.protocols.value_trees import (
    ScalarReader,
    TreeReader,
    mismatch,
    read_boolean,
    read_epoch,
    read_float,
    read_integer,
    write_tree,
)
from opentrail.errors import ApiError

PROTOCOL_HEADER = "smithy-protocol"
PROTOCOL_NAME = "rpc-v2-cbor"
_PATH = re.compile(r"/service/(?P<service>[A-Za-z0-9_.]{1,128})/operation/(?P<operation>[A-Za-z][A-Za-z0-9_]{0,127})")


class RpcCborProtocol:
    """The protocol ``smithy-rpc-v2-cbor``."""

    def operation_name(self, service: Service, head: RequestHead, body: bytes) -> str:
        """The operation that the path names. Raises ApiError (UnknownOperationException)."""
        del body
        found = _PATH.fullmatch(head.path)
        if head.method != "POST" or found is None or found["service"] != service.target_prefix:
            raise ApiError("UnknownOperationException", "The path names no operation of this service", status=404)
        return service.operation(found["operation"]).name

    def parse(self, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
        """The parameters in a body. Raises ApiError (SerializationException, RequestEntityTooLargeException)."""
        scalars.check_size(body)
        try:
            return _read(operation.input_shape, plain_body(head.headers, body))
        except Unreadable as problem:
            raise ApiError("SerializationException", str(problem)) from None

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An answer. Raises ValueError or TypeError where the result does not fit the model."""
        if operation.output_shape is None:
            scalars.require_no_result(operation.name, result)
            return _reply(200, {}, request_id)
        return _reply(200, write_tree(operation.output_shape, result, _write_scalar), request_id)

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error with its code as ``__type``."""
        del service
        return cbor_error(error, request_id)

    def read(self, operation: Operation, reply: Reply) -> dict[str, Any]:
        """An answer's members. Raises UnreadableReplyError."""
        if operation.event_stream_out:
            return {}
        try:
            return _read(operation.output_shape, plain_body(reply.headers, reply.body))
        except Unreadable as problem:
            raise UnreadableReplyError(str(problem)) from None

    def read_error(self, service: Service, reply: Reply) -> ErrorText:
        """The code in ``x-amzn-query-error`` or ``__type``, and the message."""
        del service
        try:
            tree = cbor.decode(plain_body(reply.headers, reply.body))
        except Unreadable:
            tree = None
        return error_texts.from_tree(reply, tree)


def cbor_error(error: ApiError, request_id: str) -> Reply:
    """An error answer in CBOR."""
    return _reply(error.status, {"__type": error.code, "message": error.message}, request_id)


def _reply(status: int, tree: Any, request_id: str) -> Reply:
    headers = {PROTOCOL_HEADER: PROTOCOL_NAME, "content-type": "application/cbor", "x-amzn-requestid": request_id}
    return Reply(status, headers, cbor.encode(tree))


def _read(shape: Any, body: bytes) -> dict[str, Any]:
    tree = cbor.decode(body) if body else {}
    return {} if shape is None else _READER.members(shape.members, tree)


def _write_scalar(shape: Any, value: Any) -> Any:
    return float(value) if shape.type_name in ("float", "double") else value


def _read_timestamp(shape: Any, value: Any) -> datetime:
    return value if isinstance(value, datetime) else read_epoch(shape, value)


def _read_blob(_shape: Any, value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise mismatch("Blob", value)
    return value


_SCALARS: Mapping[str, ScalarReader] = MappingProxyType(
    {
        "boolean": read_boolean,
        "integer": read_integer,
        "long": read_integer,
        "float": read_float,
        "double": read_float,
        "timestamp": _read_timestamp,
        "blob": _read_blob,
    }
)
_READER = TreeReader(_SCALARS)
