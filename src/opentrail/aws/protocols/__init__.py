"""How requests and answers look on the wire, one module per protocol, all driven by the service model.

Values inside are the model's: member names as the model spells them, timestamps as aware UTC datetimes, blobs as bytes.
Header names of replies are lower case. Content-Length is left to the server.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols.json import JsonProtocol, json_error
from opentrail.aws.protocols.query import QueryProtocol, query_error
from opentrail.errors import ApiError


class WireProtocol(Protocol):
    """One protocol's reading of requests and writing of answers. Implementations keep no state."""

    def operation_name(self, service: Service, head: RequestHead, body: bytes) -> str:
        """The operation that a request asks for; always one that the service has. Raises ApiError."""

    def parse(self, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
        """A request's parameters. Absent and null members are left out, unknown ones ignored. Raises ApiError."""

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An operation's answer; members that are None are left out.

        Raises ValueError or TypeError where the result does not fit the model: a bug of ours, not the caller's.
        """

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An answer that clients raise as ``error``. Never fails."""


_SERVED: Mapping[str, WireProtocol] = MappingProxyType({"json": JsonProtocol(), "query": QueryProtocol()})
_XML_PROTOCOLS = frozenset({"query", "ec2", "rest-xml"})


def protocol_of(service: Service) -> WireProtocol:
    """The protocol to speak for a service: the model's first choice among those served.

    Raises ApiError (UnknownOperationException) for a service that has none of them.
    """
    for name in (service.protocol, *service.protocols):
        if name in _SERVED:
            return _SERVED[name]
    raise ApiError("UnknownOperationException", f"{service.name} speaks {service.protocol}, which is not served here")


def refusal(error: ApiError, request_id: str, service: Service | None = None) -> Reply:
    """An answer that clients raise as ``error``, whatever protocol they speak; also where no service could be found."""
    if service is None:
        return json_error(error, request_id)
    for name in (service.protocol, *service.protocols):
        if name in _SERVED:
            return _SERVED[name].serialise_error(service, error, request_id)
    if service.protocol in _XML_PROTOCOLS:
        return query_error(error, request_id, service.xml_namespace)
    return json_error(error, request_id)
