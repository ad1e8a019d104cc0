"""AWS JSON 1.0 and 1.1: ``POST /``, the operation in ``X-Amz-Target``, parameters and answers as one JSON object.

Rules (opsworks-cm fact sheet 2, cloudtrail fact sheet 0): unknown members are ignored, null means absent, an empty body
means no parameters. Where an answer is an event stream, nothing of it is read.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from botocore.model import Shape

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import TARGET_ALIASES, Operation, Service
from opentrail.aws.protocols import error_texts, json_values, scalars
from opentrail.aws.protocols.bodies import plain_body
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.scalars import Unreadable, UnreadableReplyError
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
        scalars.check_size(body)
        try:
            document = json_values.decode_object(plain_body(head.headers, body))
            shape: Any = operation.input_shape
            return {} if shape is None else json_values.READER.members(shape.members, document)
        except Unreadable as problem:
            raise ApiError("SerializationException", str(problem)) from None

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An answer. Raises ValueError or TypeError where the result does not fit the model."""
        headers = _headers(_content_type(operation.service), request_id)
        if operation.output_shape is None:
            scalars.require_no_result(operation.name, result)
            return Reply(200, headers)
        return Reply(200, headers, json_values.encode(operation.output_shape, result))

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error with its code as ``__type``, its text under the name that the error's shape gives it, and what else
        it has.
        """
        return json_error(
            error,
            request_id,
            message_member=message_member(service.error_shape(error.code)),
            content_type=_content_type(service),
        )

    def read(self, operation: Operation, reply: Reply) -> dict[str, Any]:
        """An answer's members. Raises UnreadableReplyError."""
        shape: Any = operation.output_shape
        if shape is None or operation.event_stream_out:
            return {}
        try:
            return json_values.READER.members(
                shape.members, json_values.decode_object(plain_body(reply.headers, reply.body))
            )
        except Unreadable as problem:
            raise UnreadableReplyError(str(problem)) from None

    def read_error(self, service: Service, reply: Reply) -> ErrorText:
        """The code in ``x-amzn-query-error``, ``x-amzn-errortype`` or ``__type``, and the message."""
        del service
        return read_json_error(reply)


def read_json_error(reply: Reply) -> ErrorText:
    """What a failed answer in JSON says. Never fails."""
    try:
        tree = json_values.decode(plain_body(reply.headers, reply.body))
    except Unreadable:
        tree = None
    return error_texts.from_tree(reply, tree)


def json_error(
    error: ApiError,
    request_id: str,
    *,
    message_member: str = "message",
    content_type: str = "application/x-amz-json-1.1",
) -> Reply:
    """An error answer in JSON; REST-JSON clients understand it as well (they read ``x-amzn-errortype``)."""
    body = {"__type": scalars.printable(error.code), message_member: scalars.printable(error.message)}
    body |= {name: scalars.printable(value) for name, value in error.members.items()}
    headers = {**_headers(content_type, request_id), "x-amzn-errortype": error.code}
    return Reply(error.status, headers, orjson.dumps(body))


def message_member(shape: Shape | None) -> str:
    """The name on the wire of an error shape's message."""
    for name, member in getattr(shape, "members", {}).items():
        if name.lower() == "message":
            return scalars.wire_name(member, name)
    return "message"


def _content_type(service: Service) -> str:
    return f"application/x-amz-json-{service.json_version or '1.1'}"


def _headers(content_type: str, request_id: str) -> dict[str, str]:
    return {"content-type": content_type, "x-amzn-requestid": request_id}
