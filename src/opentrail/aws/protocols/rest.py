"""What REST-JSON and REST-XML share: routes, bindings, and what the body holds; ``BodyForm`` is where they differ.

A streaming blob, and an event stream, are left out when read: whoever reads them does so elsewhere, piece by piece.
Other payloads are read; an empty body is an absent payload.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols import rest_bindings, scalars
from opentrail.aws.protocols.bodies import plain_body
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.rest_routes import query_fields, routes_of, template_of
from opentrail.aws.protocols.scalars import Unreadable, UnreadableReplyError
from opentrail.errors import ApiError

_NO_CONTENT = 204


class BodyForm(Protocol):
    """How structured values stand in a body."""

    content_type: str

    def read_members(self, shapes: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        """The members in a body that is not empty. Raises Unreadable."""

    def read_payload(self, shape: Any, body: bytes) -> Any:
        """A whole body as one structured member. Raises Unreadable."""

    def write_members(self, operation: Operation, members: Mapping[str, Any]) -> bytes:
        """An output's body members. Raises ValueError or TypeError where they do not fit the model."""

    def write_payload(self, operation: Operation, name: str, shape: Any, value: Any) -> bytes:
        """One structured member as a whole body. Raises ValueError or TypeError where it does not fit the model."""

    def write_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error answer. Never fails."""

    def read_error(self, reply: Reply) -> ErrorText:
        """What a failed answer says. Never fails."""


class RestProtocol:
    """The protocols ``rest-json`` and ``rest-xml``, by the form of their bodies."""

    def __init__(self, form: BodyForm) -> None:
        self._form = form

    def operation_name(self, service: Service, head: RequestHead, body: bytes) -> str:
        """The operation that method, path and query string mean. Raises ApiError (UnknownOperationException)."""
        del body
        found = routes_of(service).find(head.method, head.path, head.query, head.headers)
        if found is None:
            raise ApiError("UnknownOperationException", "Method and path name no operation of this service", status=404)
        return found

    def parse(self, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
        """The parameters in URI, headers and body. Raises ApiError (SerializationException, RequestEntityTooLarge)."""
        scalars.check_size(body)
        shape: Any = operation.input_shape
        if shape is None:
            return {}
        try:
            found = rest_bindings.read_request(
                shape, _labels(operation, head.path), _fields(operation, head.query), head.headers
            )
            found |= self._read_body(shape, head.headers, body)
        except Unreadable as problem:
            raise ApiError("SerializationException", str(problem)) from None
        return _in_order(shape, found)

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An answer. Raises ValueError or TypeError where the result does not fit the model."""
        shape: Any = operation.output_shape
        headers = {"x-amzn-requestid": request_id}
        if shape is None:
            scalars.require_no_result(operation.name, result)
            return Reply(operation.success_status, headers)
        shapes = scalars.member_shapes(shape, result)
        status = operation.success_status
        inside: dict[str, Any] = {}
        for name, value in result.items():
            location = shapes[name].serialization.get("location")
            if value is None:
                continue
            if location == "statusCode":
                scalars.require_type(shapes[name], value)
                status = value
            elif location is not None:
                headers.update(rest_bindings.write_headers(name, shapes[name], value))
            else:
                inside[name] = value
        body, content_type = self._write_body(operation, inside) if inside or status != _NO_CONTENT else (b"", "")
        return Reply(status, {**({"content-type": content_type} if content_type else {}), **headers}, body)

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error in the protocol's form, with the status that the model gives it."""
        return self._form.write_error(service, error, request_id)

    def read(self, operation: Operation, reply: Reply) -> dict[str, Any]:
        """An answer's members in status, headers and body. Raises UnreadableReplyError."""
        shape: Any = operation.output_shape
        if shape is None:
            return {}
        try:
            found = rest_bindings.read_reply(shape, reply.status, reply.headers)
            found |= self._read_body(shape, reply.headers, reply.body)
        except Unreadable as problem:
            raise UnreadableReplyError(str(problem)) from None
        return _in_order(shape, found)

    def read_error(self, service: Service, reply: Reply) -> ErrorText:
        """What a failed answer says. Never fails."""
        del service
        return self._form.read_error(reply)

    def _read_body(self, shape: Any, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        name = shape.serialization.get("payload")
        if name is None:
            shapes = rest_bindings.body_members(shape)
            plain = plain_body(headers, body) if shapes else b""
            return self._form.read_members(shapes, plain) if plain else {}
        member = shape.members[name]
        if not body or member.serialization.get("streaming") or member.serialization.get("eventstream"):
            return {}
        if member.type_name == "blob":
            return {name: body}
        plain = plain_body(headers, body)
        if member.type_name == "string":
            return {name: _text(name, plain)}
        return {name: self._form.read_payload(member, plain)}

    def _write_body(self, operation: Operation, inside: Mapping[str, Any]) -> tuple[bytes, str]:
        """The body and its content type; empty ones where there is nothing to say."""
        shape: Any = operation.output_shape
        name = shape.serialization.get("payload")
        if name is None:
            if not rest_bindings.body_members(shape):
                return b"", ""
            return self._form.write_members(operation, inside), self._form.content_type
        member = shape.members[name]
        if inside.keys() - {name}:
            raise ValueError(f"{shape.name} has members that are bound to nothing")
        value = inside.get(name)
        if value is None:
            return b"", ""
        if member.serialization.get("eventstream"):
            raise ValueError(f"{name} is an event stream, which is not written here")
        if member.type_name == "blob":
            scalars.require_type(member, value)
            return value, ""
        if member.type_name == "string":
            scalars.require_type(member, value)
            return scalars.printable(value).encode(), "text/plain; charset=utf-8"
        return self._form.write_payload(operation, name, member, value), self._form.content_type


def _labels(operation: Operation, path: str) -> Mapping[str, str]:
    try:
        labels = template_of(operation.http_uri).labels(path)
    except UnicodeDecodeError:
        labels = None
    if labels is None:
        raise Unreadable(f"The path is not one of {operation.name}")
    return labels


def _fields(operation: Operation, query: str) -> dict[str, list[str]]:
    """The query string without the literals that only name the operation."""
    try:
        fields = query_fields(query)
    except ValueError:
        raise Unreadable("The query string is not well-formed UTF-8") from None
    for name, _ in template_of(operation.http_uri).literals:
        fields.pop(name, None)
    return fields


def _text(name: str, body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable(f"The value of {name} is not UTF-8 text") from None


def _in_order(shape: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """Members in the model's order, wherever they were found."""
    return {name: found[name] for name in shape.members if name in found}
