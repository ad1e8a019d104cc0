"""What a request to a service behind us asks for, whether it is allowed, and what of it goes on."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import replace

from opentrail.aws.model import Service
from opentrail.aws.protocols import speaking
from opentrail.aws.sigv4 import UNSIGNED_PAYLOAD
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.events.call_facts import describe
from opentrail.events.resource_arns import Place
from opentrail.gateway.addresses import Replacer, replacer
from opentrail.gateway.authorise import Directory, authorise_behind
from opentrail.gateway.permissions import Permission
from opentrail.gateway.s3_forwarded import without_digests
from opentrail.gateway.service_evidence import ServiceExchange
from opentrail.gateway.spool import Spool
from opentrail.gateway.upstream import Payload
from opentrail.gateway.upstream_permissions import tag_context, undecoded_permission, upstream_permissions

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
_INLINE_BYTES = 64 * 1024
_HASH_HEADER = "x-amz-content-sha256"


class Decoder:
    """From bytes to operation and parameters, for every service that has a model."""

    async def settle(self, exchange: ServiceExchange, services: tuple[Service, ...], body: bytes) -> None:
        """Make out which of the services that a request may mean has the operation that it asks for, and which it is.

        Both are told from the head but for forms; ``body`` is empty otherwise. A model that is not in memory is read on
        a worker thread.
        """
        if all(service.is_in_memory for service in services):
            _settle(exchange, services, body)
        else:
            await asyncio.to_thread(_settle, exchange, services, body)

    async def decode(self, exchange: ServiceExchange, body: bytes) -> None:
        """Make the exchange's call complete; ``body`` is empty where it streams.

        Raises ApiError for what no model describes, unless the upstream takes that too: then the record says so.
        """
        if len(body) <= _INLINE_BYTES:
            _decode(exchange, body)
        else:
            await asyncio.to_thread(_decode, exchange, body)


def _settle(exchange: ServiceExchange, services: tuple[Service, ...], body: bytes) -> None:
    head = exchange.incoming.head
    for service in services:
        wire = speaking(service, head)
        try:
            exchange.operation = service.operation(wire.operation_name(service, head, body))
        except ApiError:
            continue
        exchange.service, exchange.wire = service, wire
        return


def _decode(exchange: ServiceExchange, body: bytes) -> None:
    call, head, service = exchange.known_call, exchange.incoming.head, exchange.service
    try:
        operation = exchange.operation or service.operation(exchange.wire.operation_name(service, head, body))
        parameters = exchange.wire.parse(operation, head, body)
    except ApiError as problem:
        if not exchange.behind.forwards_undecodable:
            raise
        exchange.call = replace(call, read_only=False)
        exchange.notes["undecoded"] = problem.message
        return
    facts = describe(operation, parameters, _place(call))
    exchange.resources = facts.resources
    exchange.call = replace(
        call,
        operation=operation,
        parameters=parameters,
        event_name=facts.event_name,
        read_only=facts.read_only,
        management_event=facts.management_event,
    )


def _place(call: Call) -> Place:
    return Place(call.account_id, call.region)


def streams_in(exchange: ServiceExchange) -> bool:
    """Whether the request's body is data that can be passed on while it arrives: its hash is known before, or unsigned.

    Over plain HTTP, SDKs sign the hash of a stream without saying it; then it is known only when all is here.
    """
    if exchange.operation is None or not exchange.operation.streams_in:
        return False
    declared = exchange.incoming.head.headers.get(_HASH_HEADER)
    return _is_unsigned(exchange) or (declared is not None and declared != UNSIGNED_PAYLOAD)


def signed_hash(exchange: ServiceExchange, spool: Spool) -> str:
    """What the signature must have been made over for the body: its hash, unless the operation lets it be left out."""
    return UNSIGNED_PAYLOAD if _is_unsigned(exchange) else spool.sha256


def _is_unsigned(exchange: ServiceExchange) -> bool:
    """Whether the body is not signed: the model allows it, and the request says so, or says nothing over TLS."""
    if exchange.operation is None or not exchange.operation.unsigned_payload_allowed:
        return False
    head = exchange.incoming.head
    declared = head.headers.get(_HASH_HEADER)
    return declared == UNSIGNED_PAYLOAD or (declared is None and head.tls is not None)


def permit(exchange: ServiceExchange, directory: Directory) -> None:
    """Raise ApiError, in the service's words, where the caller's policies do not allow the call."""
    call = exchange.known_call
    if call.principal.is_anonymous:  # only operations that are open to all let him in
        return
    if call.operation is None:
        needed: Iterable[Permission] = [undecoded_permission(exchange.service, call.event_name)]
    else:
        needed = upstream_permissions(call.operation, call.parameters, _place(call))
    authorise_behind(call, directory, needed, tags=tag_context(call.parameters), protocol=exchange.service.protocol)


def forwarded_body(exchange: ServiceExchange, spool: Spool) -> tuple[Payload, dict[str, str]]:
    """What of a request goes on: its body as it came but for our own address in it, and the headers that fit."""
    headers = dict(exchange.incoming.head.headers)
    if not spool.is_small:
        return Payload(spool.pieces(), spool.size_bytes, spool.sha256), headers
    data = spool.whole()
    origins = exchange.behind.origins
    ours = own_origin(exchange)
    sent = replacer((ours,), origins[0]).body(data) if origins and ours else data
    if sent is data:
        return Payload(data, len(data), spool.sha256), headers
    return Payload(sent, len(sent)), without_digests(headers)


def answer_replacer(exchange: ServiceExchange) -> Replacer | None:
    """What makes the upstream's addresses ours; None where it has none or we do not know our own."""
    ours = own_origin(exchange)
    return replacer(exchange.behind.origins, ours) if exchange.behind.origins and ours else None


def own_origin(exchange: ServiceExchange) -> str:
    """Our own address as the caller knows it; empty where his Host header cannot be one."""
    head = exchange.incoming.head
    if not _HOST.fullmatch(head.host):
        return ""
    return f"{'https' if head.tls else 'http'}://{head.host}"
