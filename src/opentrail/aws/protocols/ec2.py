"""EC2's variety of the Query protocol: its own rule for names, every list flattened, answers without a wrapper.

A member goes by its ``queryName``, else by its ``locationName`` with a capital first letter, else by its own name. An
empty list cannot be said, so it is absent.
"""

from collections.abc import Mapping
from typing import Any

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols import scalars, xml, xml_values
from opentrail.aws.protocols.bodies import plain_body
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.form_values import FormReader
from opentrail.aws.protocols.query import as_modelled, form_action, form_parameters, read_xml_error
from opentrail.aws.protocols.scalars import Unreadable, UnreadableReplyError
from opentrail.errors import ApiError


class Ec2Protocol:
    """The protocol ``ec2``."""

    def operation_name(self, service: Service, head: RequestHead, body: bytes) -> str:
        """The operation in the ``Action`` field. Raises ApiError (MissingAction, InvalidAction, MalformedInput)."""
        return form_action(service, head, body)

    def parse(self, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
        """The parameters among the form fields. Raises ApiError (MalformedInput, RequestEntityTooLargeException)."""
        return form_parameters(_READER, operation, head, body)

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An answer. Raises ValueError or TypeError where the result does not fit the model."""
        root = f"{operation.name}Response"
        parts = [xml.open_root(root, operation.service.xml_namespace)]
        parts.append(f"<requestId>{xml.escape(request_id)}</requestId>")
        if operation.output_shape is not None:
            xml.members(parts, operation.output_shape, result)
        else:
            scalars.require_no_result(operation.name, result)
        parts.append(f"</{root}>")
        return _reply(200, parts)

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error in EC2's own form, which has no namespace and spells ``RequestID``."""
        sent = as_modelled(service, error)
        parts = [
            f"<Response><Errors><Error><Code>{xml.escape(sent.code)}</Code>",
            f"<Message>{xml.escape(sent.message)}</Message></Error></Errors>",
            f"<RequestID>{xml.escape(request_id)}</RequestID></Response>",
        ]
        return _reply(sent.status, parts)

    def read(self, operation: Operation, reply: Reply) -> dict[str, Any]:
        """The members below an answer's root. Raises UnreadableReplyError."""
        if operation.output_shape is None:
            return {}
        try:
            root = xml_values.document(plain_body(reply.headers, reply.body))
            return xml_values.structure(operation.output_shape, root)
        except Unreadable as problem:
            raise UnreadableReplyError(str(problem)) from None

    def read_error(self, service: Service, reply: Reply) -> ErrorText:
        """Code and message in an answer's ``Errors``."""
        del service
        return read_xml_error(reply)


def _wire_name(member: Any, name: str) -> str:
    given = member.serialization
    own: str = given.get("queryName", "")
    located: str = given.get("name", "")
    return own or (located[0].upper() + located[1:] if located else name)


_READER = FormReader(_wire_name, flat=True)


def _reply(status: int, parts: list[str]) -> Reply:
    return Reply(status, {"content-type": "text/xml;charset=UTF-8"}, "".join(parts).encode())
