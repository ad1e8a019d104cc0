"""AWS Query: form fields in (``Action``, ``Version``, ``Tags.member.1.Key``), XML out. STS, IAM and SNS speak it."""

import re
from collections.abc import Mapping
from typing import Any

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Operation, Service, UnknownOperationError
from opentrail.aws.protocols import error_texts, scalars, xml, xml_values
from opentrail.aws.protocols.bodies import plain_body
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.form_fields import build_tree, parse_fields
from opentrail.aws.protocols.form_values import FormReader
from opentrail.aws.protocols.scalars import Unreadable, UnreadableReplyError
from opentrail.errors import ApiError

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_READER = FormReader(scalars.wire_name, flat=False)


class QueryProtocol:
    """The protocol ``query``."""

    def operation_name(self, service: Service, head: RequestHead, body: bytes) -> str:
        """The operation in the ``Action`` field. Raises ApiError (MissingAction, InvalidAction, MalformedInput)."""
        return form_action(service, head, body)

    def parse(self, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
        """The parameters among the form fields. Raises ApiError (MalformedInput, RequestEntityTooLargeException)."""
        return form_parameters(_READER, operation, head, body)

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An answer. Raises ValueError or TypeError where the result does not fit the model."""
        shape: Any = operation.output_shape
        parts = [xml.open_root(f"{operation.name}Response", operation.service.xml_namespace)]
        if shape is not None:
            wrapper = _result_wrapper(operation)
            parts.append(f"<{wrapper}>")
            xml.members(parts, shape, result)
            parts.append(f"</{wrapper}>")
        else:
            scalars.require_no_result(operation.name, result)
        parts.append(f"<ResponseMetadata><RequestId>{xml.escape(request_id)}</RequestId></ResponseMetadata>")
        parts.append(f"</{operation.name}Response>")
        return _reply(200, parts, request_id)

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error with the code and status that the model gives it (``NotFoundException`` is sent as NotFound)."""
        return query_error(as_modelled(service, error), request_id, service.xml_namespace)

    def read(self, operation: Operation, reply: Reply) -> dict[str, Any]:
        """The members in an answer's result element, or below the root without one. Raises UnreadableReplyError."""
        if operation.output_shape is None:
            return {}
        try:
            root = xml_values.document(plain_body(reply.headers, reply.body))
            result = xml_values.child(root, _result_wrapper(operation))
            return xml_values.structure(operation.output_shape, root if result is None else result)
        except Unreadable as problem:
            raise UnreadableReplyError(str(problem)) from None

    def read_error(self, service: Service, reply: Reply) -> ErrorText:
        """Code and message in an answer's ``Error`` element."""
        del service
        return read_xml_error(reply)


def form_action(service: Service, head: RequestHead, body: bytes) -> str:
    """The operation that a form's ``Action`` names. Raises ApiError (MissingAction, InvalidAction, MalformedInput)."""
    fields = _fields(head, body)
    action = fields.get("Action", "")
    version = fields.get("Version", "NO_VERSION_SPECIFIED")
    if not action:
        raise ApiError("MissingAction", "The request is missing an action or a required parameter")
    if not (_NAME.fullmatch(action) and _NAME.fullmatch(version)):
        raise ApiError("InvalidAction", "The action or operation requested is invalid")
    try:
        known = version == service.api_version and service.operation(action)
    except UnknownOperationError:
        known = False
    if not known:
        raise ApiError("InvalidAction", f"Could not find operation {action} for version {version}")
    return action


def form_parameters(reader: FormReader, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
    """A form's parameters. Raises ApiError (MalformedInput, RequestEntityTooLargeException)."""
    tree = build_tree(_fields(head, body))
    try:
        return {} if operation.input_shape is None else reader.structure(operation.input_shape, tree)
    except Unreadable as problem:
        raise ApiError("MalformedInput", str(problem)) from None


def as_modelled(service: Service, error: ApiError) -> ApiError:
    """An error with its modelled code on the wire, and its modelled status where the handler chose none."""
    shape = service.error_shape(error.code)
    modelled = shape.metadata.get("error", {}) if shape is not None else {}
    # 400 is what handlers raise by default; only then may the model know better.
    status = modelled.get("httpStatusCode", 400) if error.status == 400 else error.status
    return ApiError(modelled.get("code", error.code), error.message, status=status)


def read_xml_error(reply: Reply) -> ErrorText:
    """What a failed answer in XML says. Never fails."""
    try:
        body = plain_body(reply.headers, reply.body)
    except Unreadable:
        body = b""
    return error_texts.from_xml(reply, body)


def query_error(error: ApiError, request_id: str, namespace: str | None = None) -> Reply:
    """An error answer in the Query protocol's XML. The fault is the Receiver's from status 500 on."""
    parts = [
        xml.open_root("ErrorResponse", namespace),
        f"<Error><Type>{'Receiver' if error.status >= 500 else 'Sender'}</Type>",
        f"<Code>{xml.escape(error.code)}</Code><Message>{xml.escape(error.message)}</Message></Error>",
        f"<RequestId>{xml.escape(request_id)}</RequestId></ErrorResponse>",
    ]
    return _reply(error.status, parts, request_id)


def _fields(head: RequestHead, body: bytes) -> dict[str, str]:
    scalars.check_size(body)
    try:
        return parse_fields(head.query, plain_body(head.headers, body))
    except Unreadable as problem:
        raise ApiError("MalformedInput", str(problem)) from None


def _result_wrapper(operation: Operation) -> str:
    shape: Any = operation.output_shape
    wrapper: str = shape.serialization.get("resultWrapper", f"{operation.name}Result")
    return wrapper


def _reply(status: int, parts: list[str], request_id: str) -> Reply:
    headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
    return Reply(status, headers, "".join(parts).encode())
