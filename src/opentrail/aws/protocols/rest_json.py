"""REST-JSON's bodies and errors. Lambda, API Gateway and most newer services speak it."""

from collections.abc import Mapping
from typing import Any

from opentrail.aws.http import Reply
from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols import json_values
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.json import json_error, message_member, read_json_error
from opentrail.aws.protocols.query import as_modelled
from opentrail.errors import ApiError


class JsonBodies:
    """Bodies as one JSON text."""

    content_type = "application/json"

    def read_members(self, shapes: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        """The members of a JSON object. Raises Unreadable."""
        return json_values.READER.members(shapes, json_values.decode_object(body))

    def read_payload(self, shape: Any, body: bytes) -> Any:
        """A JSON text as one member. Raises Unreadable."""
        return json_values.READER.value(shape, json_values.decode(body))

    def write_members(self, operation: Operation, members: Mapping[str, Any]) -> bytes:
        """An output's members as a JSON object. Raises ValueError or TypeError where they do not fit the model."""
        return json_values.encode(operation.output_shape, members)

    def write_payload(self, operation: Operation, name: str, shape: Any, value: Any) -> bytes:
        """A member as a JSON text. Raises ValueError or TypeError where it does not fit the model."""
        del operation, name
        return json_values.encode(shape, value)

    def write_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error with its code in ``x-amzn-errortype``."""
        shape = service.error_shape(error.code)
        sent = ApiError(error.code, error.message, status=as_modelled(service, error).status)
        return json_error(sent, request_id, message_member=message_member(shape), content_type=self.content_type)

    def read_error(self, reply: Reply) -> ErrorText:
        """The code in ``x-amzn-errortype`` or the body, and the message."""
        return read_json_error(reply)
