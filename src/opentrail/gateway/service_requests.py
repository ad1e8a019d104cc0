"""What a request to a service behind us asks for, whether it is allowed, and what of it goes on."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols import speaking
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.events.classify import is_read_only
from opentrail.gateway.addresses import Replacer, replacer
from opentrail.gateway.authorise import Directory, authorise_behind
from opentrail.gateway.calls import parsed
from opentrail.gateway.permissions import Permission, service_of
from opentrail.gateway.s3_forwarded import without_digests
from opentrail.gateway.service_evidence import ServiceExchange
from opentrail.gateway.spool import Spool
from opentrail.gateway.upstream import Payload

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
_REST = frozenset({"rest-json", "rest-xml"})
_INLINE_BYTES = 64 * 1024


@dataclass(frozen=True)
class _Facts:
    event_name: str
    read_only: bool
    management_event: bool
    resources: tuple[Mapping[str, str], ...]


def describe(operation: Operation, parameters: Mapping[str, Any], *, account_id: str, region: str) -> _Facts:
    return _Facts(operation.name, is_read_only(operation.service.event_source, operation.name), True, ())


def permissions_of(call: Call) -> list[Permission]:
    return [Permission(f"{service_of(call)}:{call.event_name}")]


class Decoder:
    """From bytes to operation and parameters, for every service that has a model."""

    def __init__(self) -> None:
        self._read: set[str] = set()

    async def settle(self, exchange: ServiceExchange, services: tuple[Service, ...], body: bytes) -> bool:
        """Make out which of the services that a request may mean has the operation that it asks for.

        Answers whether the request's body is a stream of data. Both are told from the head but for forms; ``body`` is
        empty otherwise.
        """
        if len(services) == 1 and exchange.service.protocol not in _REST:
            return False
        if all(service.name in self._read for service in services):
            return _settle(exchange, services, body)
        streams = await asyncio.to_thread(_settle, exchange, services, body)
        self._read.update(service.name for service in services)
        return streams

    async def decode(self, exchange: ServiceExchange, body: bytes) -> None:
        """Make the exchange's call complete; ``body`` is empty where it streams.

        Raises ApiError for what no model describes, unless the upstream takes that too: then the record says so. A
        model that has not been read yet is read on a worker thread, and so is a large body.
        """
        if exchange.service.name in self._read and len(body) <= _INLINE_BYTES:
            self._decode(exchange, body)
        else:
            await asyncio.to_thread(self._decode, exchange, body)
            self._read.add(exchange.service.name)

    def _decode(self, exchange: ServiceExchange, body: bytes) -> None:
        call, head = exchange.known_call, exchange.incoming.head
        try:
            name = exchange.wire.operation_name(exchange.service, head, body)
            operation = exchange.service.operation(name)
            parameters = exchange.wire.parse(operation, head, body)
        except ApiError as problem:
            if not exchange.behind.forwards_undecodable:
                raise
            exchange.call = replace(call, read_only=False)
            exchange.notes["undecoded"] = problem.message
            return
        facts = describe(operation, parameters, account_id=call.account_id, region=call.region)
        exchange.resources = facts.resources
        exchange.call = replace(
            parsed(call, operation, parameters),
            event_name=facts.event_name,
            read_only=facts.read_only,
            management_event=facts.management_event,
        )


def _settle(exchange: ServiceExchange, services: tuple[Service, ...], body: bytes) -> bool:
    head = exchange.incoming.head
    for service in services:
        wire = speaking(service, head)
        try:
            operation = service.operation(wire.operation_name(service, head, body))
        except ApiError:
            continue
        exchange.service, exchange.wire = service, wire
        return operation.streams_in
    return False


def permit(exchange: ServiceExchange, directory: Directory) -> None:
    """Raise ApiError, in the service's words, where the caller's policies do not allow the call."""
    call = exchange.known_call
    authorise_behind(call, directory, permissions_of(call), protocol=exchange.service.protocol)


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
