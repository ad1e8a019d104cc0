"""REST-XML's bodies and errors. CloudFront, Route 53 and S3 Control speak it; S3 itself has its own code.

A body's root element goes by the name that the model gives the payload or the output; when read, any name will do.
"""

from collections.abc import Mapping
from typing import Any

from opentrail.aws.http import Reply
from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols import scalars, xml, xml_values
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.query import as_modelled, query_error, read_xml_error
from opentrail.errors import ApiError

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class XmlBodies:
    """Bodies as one XML document."""

    content_type = "text/xml"

    def read_members(self, shapes: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        """The members below a document's root. Raises Unreadable."""
        return xml_values.members(shapes, xml_values.document(body))

    def read_payload(self, shape: Any, body: bytes) -> Any:
        """A document as one member. Raises Unreadable."""
        return xml_values.structure(shape, xml_values.document(body))

    def write_members(self, operation: Operation, members: Mapping[str, Any]) -> bytes:
        """An output's members as a document. Raises ValueError or TypeError where they do not fit the model."""
        shape: Any = operation.output_shape
        name = scalars.wire_name(shape, shape.name)
        return _DECLARATION + xml.root(name, shape, members, operation.service.xml_namespace).encode()

    def write_payload(self, operation: Operation, name: str, shape: Any, value: Any) -> bytes:
        """A member as a document. Raises ValueError or TypeError where it does not fit the model."""
        return (
            _DECLARATION
            + xml.root(scalars.wire_name(shape, name), shape, value, operation.service.xml_namespace).encode()
        )

    def write_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error in an ``ErrorResponse``, as the Query protocol has it."""
        return query_error(as_modelled(service, error), request_id, service.xml_namespace)

    def read_error(self, reply: Reply) -> ErrorText:
        """Code and message in the ``Error`` element."""
        return read_xml_error(reply)
