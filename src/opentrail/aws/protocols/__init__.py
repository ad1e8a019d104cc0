"""How requests and answers look on the wire, one module per protocol, all driven by the service model.

Values inside are the model's: member names as the model spells them, timestamps as aware UTC datetimes, blobs as bytes.
Header names of replies are lower case. Content-Length is left to the server.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols.ec2 import Ec2Protocol
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.json import JsonProtocol, json_error
from opentrail.aws.protocols.query import QueryProtocol, query_error
from opentrail.aws.protocols.rest import RestProtocol
from opentrail.aws.protocols.rest_json import JsonBodies
from opentrail.aws.protocols.rest_xml import XmlBodies
from opentrail.aws.protocols.rpc_cbor import PROTOCOL_HEADER, PROTOCOL_NAME, RpcCborProtocol, cbor_error
from opentrail.errors import ApiError


class WireProtocol(Protocol):
    """One protocol's reading and writing of requests and answers. Implementations keep no state."""

    def operation_name(self, service: Service, head: RequestHead, body: bytes) -> str:
        """The operation that a request asks for; always one that the service has. Raises ApiError."""

    def parse(self, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
        """A request's parameters. Absent and null members are left out, unknown ones ignored. Raises ApiError.

        A streaming blob and an event stream are left out: the body need not be there for them.
        """

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An operation's answer; members that are None are left out.

        Raises ValueError or TypeError where the result does not fit the model: a bug of ours, not the caller's.
        """

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An answer that clients raise as ``error``. Never fails."""

    def read(self, operation: Operation, reply: Reply) -> dict[str, Any]:
        """The members of a successful answer, wherever they stand; by the rules of ``parse``.

        ``reply`` has lower-case header names, and its whole body unless ``operation.streams_out`` or
        ``event_stream_out``. Raises UnreadableReplyError for whatever the model cannot explain, and nothing else.
        """

    def read_error(self, service: Service, reply: Reply) -> ErrorText:
        """The code and message of a failed answer; what its status means where it says nothing. Never fails."""


SERVED: Mapping[str, WireProtocol] = MappingProxyType(
    {
        "json": JsonProtocol(),
        "query": QueryProtocol(),
        "ec2": Ec2Protocol(),
        "rest-json": RestProtocol(JsonBodies()),
        "rest-xml": RestProtocol(XmlBodies()),
        "smithy-rpc-v2-cbor": RpcCborProtocol(),
    }
)
"""The protocols by the names that models give them."""


def protocol_of(service: Service) -> WireProtocol:
    """The protocol to speak for a service: the model's first choice among those served.

    Raises ApiError (UnknownOperationException) for a service that has none of them.
    """
    for name in (service.protocol, *service.protocols):
        if name in SERVED:
            return SERVED[name]
    raise ApiError("UnknownOperationException", f"{service.name} speaks {service.protocol}, which is not served here")


def speaking(service: Service, head: RequestHead) -> WireProtocol:
    """The protocol that a request speaks, among those that its service's model lists.

    SDKs change protocols with their age: CloudWatch is called in Query, JSON and CBOR. ``smithy-protocol`` says CBOR,
    ``X-Amz-Target`` JSON, a form or an ``Action`` in the query string Query; else it is the model's first choice.
    Raises ApiError as ``protocol_of``.
    """
    if len(service.protocols) > 1:
        name = _spoken(head)
        if name in service.protocols and name in SERVED:
            return SERVED[name]
    return protocol_of(service)


def refusal(error: ApiError, request_id: str, service: Service | None = None, head: RequestHead | None = None) -> Reply:
    """An answer that clients raise as ``error``, in the protocol that the request speaks as far as that is known.

    Without a service the head decides between Query, CBOR and JSON, which REST clients understand as well. Never fails.
    """
    if service is None:
        spoken = _spoken(head) if head is not None else ""
        if spoken == "query":
            return query_error(error, request_id)
        return cbor_error(error, request_id) if spoken == "smithy-rpc-v2-cbor" else json_error(error, request_id)
    try:
        protocol = speaking(service, head) if head is not None else protocol_of(service)
    except ApiError:
        return json_error(error, request_id)
    return protocol.serialise_error(service, error, request_id)


def _spoken(head: RequestHead) -> str:
    """What a head says of its protocol; empty where it says nothing."""
    if head.headers.get(PROTOCOL_HEADER) == PROTOCOL_NAME:
        return "smithy-rpc-v2-cbor"
    if "x-amz-target" in head.headers:
        return "json"
    form = head.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if form or head.query.startswith("Action=") or "&Action=" in head.query:
        return "query"
    return ""
