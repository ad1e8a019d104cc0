"""What a server behind us answers: recorded, then handed on as it came but for the addresses in it.

An answer is read whole, within a bound, since a record may show something of it and addresses may stand in it; a
stream, and what is beyond the bound, is recorded by its head and then passes through.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from opentrail.aws.http import Reply
from opentrail.aws.model import Operation
from opentrail.aws.protocols.scalars import UnreadableReplyError
from opentrail.events.classify import records_response
from opentrail.gateway.exchange import Outgoing
from opentrail.gateway.service_evidence import ServiceEvidence, ServiceExchange
from opentrail.gateway.service_requests import answer_replacer
from opentrail.gateway.upstream import UpstreamAnswer

WHOLE_BYTES = 16 * 1024 * 1024
"""The largest answer that is read whole."""

_INLINE_BYTES = 64 * 1024
_REQUEST_ID_HEADERS = ("x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id")
_CORS = "access-control-"  # the upstream's word on who may read it in a browser is not ours
_OURS = frozenset({"server", "date", "connection", "alt-svc", "strict-transport-security"})


class Answers:
    """Records answers and hands them on."""

    def __init__(self, evidence: ServiceEvidence) -> None:
        self._evidence = evidence

    async def passed_on(self, exchange: ServiceExchange, answer: UpstreamAnswer) -> Outgoing:
        """Record an answer, then hand it on. Raises JournalError, and OutboundError where it ends early."""
        operation = exchange.known_call.operation
        replace = answer_replacer(exchange)
        headers = {
            name: value for name, value in answer.headers.items() if name not in _OURS and not name.startswith(_CORS)
        }
        if replace is not None:
            headers = {name: replace.text(value) for name, value in headers.items()}
        request_id = next((headers[name] for name in _REQUEST_ID_HEADERS if name in headers), "")
        if not request_id:
            headers["x-amzn-requestid"] = exchange.known_call.request_id
        body, rest = (b"", answer) if _streams(operation, answer.status) else await _whole(answer)
        if rest is not None:
            await self._record_head(exchange, answer, request_id, too_large=bool(body))
            return Outgoing(answer.status, headers, _continued(body, rest) if body else rest)
        sent = body if replace is None else replace.body(body)
        if exchange.incoming.head.method != "HEAD":
            headers["content-length"] = str(len(sent))
        await self._record(exchange, Reply(answer.status, headers, sent), request_id)
        return Outgoing(answer.status, headers, sent)

    async def _record_head(
        self, exchange: ServiceExchange, answer: UpstreamAnswer, request_id: str, *, too_large: bool
    ) -> None:
        length = answer.headers.get("content-length", "")
        if length.isdecimal():
            exchange.notes["bytesTransferredOut"] = int(length)
        if too_large and not exchange.known_call.read_only:
            exchange.notes["responseNotRead"] = f"the answer is larger than {WHOLE_BYTES} bytes"
        await self._evidence.answered(exchange, request_id=request_id)

    async def _record(self, exchange: ServiceExchange, reply: Reply, request_id: str) -> None:
        if reply.status >= 400:
            text = exchange.wire.read_error(exchange.service, reply)
            await self._evidence.failed(exchange, text.code, text.message, request_id=request_id)
            return
        response = await self._elements(exchange, reply)
        await self._evidence.answered(exchange, response=response, request_id=request_id)

    async def _elements(self, exchange: ServiceExchange, reply: Reply) -> Mapping[str, Any] | None:
        """What an answer says, where its record shows it."""
        call = exchange.known_call
        if call.operation is None:
            return None
        if not records_response(call.event_source, call.event_name, read_only=call.read_only):
            return None
        try:
            if len(reply.body) <= _INLINE_BYTES:
                return exchange.wire.read(call.operation, reply)
            return await asyncio.to_thread(exchange.wire.read, call.operation, reply)
        except UnreadableReplyError as problem:
            # It was carried out all the same, and the caller gets what was answered.
            exchange.notes["responseNotRead"] = problem.message
            return None


def _streams(operation: Operation | None, status: int) -> bool:
    """Whether what follows a head is data for the caller alone."""
    return status < 400 and operation is not None and (operation.streams_out or operation.event_stream_out)


async def _whole(answer: UpstreamAnswer) -> tuple[bytes, UpstreamAnswer | None]:
    """An answer's body, and the rest of it where there is more than the bound."""
    found = bytearray()
    async for piece in answer:
        found += piece
        if len(found) > WHOLE_BYTES:
            return bytes(found), answer
    return bytes(found), None


async def _continued(begun: bytes, rest: UpstreamAnswer) -> AsyncIterator[bytes]:
    try:
        yield begun
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()
