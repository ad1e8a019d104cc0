"""What a server behind us answers: recorded, then handed on as it came but for the addresses in it.

An answer is read whole, within a bound, since a record may show something of it and addresses may stand in it; a
stream, and what is beyond the bound, is recorded by its head and then passes through.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from opentrail.aws.http import Reply
from opentrail.aws.model import Operation
from opentrail.aws.protocols.scalars import UnreadableReplyError
from opentrail.events.classify import records_response
from opentrail.events.redaction import HIDDEN
from opentrail.gateway.exchange import Outgoing
from opentrail.gateway.service_evidence import ServiceEvidence, ServiceExchange
from opentrail.gateway.service_requests import answer_replacer
from opentrail.gateway.upstream import UpstreamAnswer

WHOLE_BYTES = 16 * 1024 * 1024
"""The largest answer that is read whole."""

_INLINE_BYTES = 64 * 1024
_REQUEST_ID_HEADERS = ("x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id")
_CORS = "access-control-"  # the upstream's word on who may read it in a browser is not ours
_REQUEST_ID = re.compile(rb"<[Rr]equestI[dD]>([A-Za-z0-9-]{1,128})</")
_REQUEST_ID_WITHIN_BYTES = 1024
_TEXT_TYPES = ("json", "xml", "text/", "x-www-form-urlencoded")
_OURS = frozenset({"server", "date", "connection", "alt-svc", "strict-transport-security"})


class Answers:
    """Records answers and hands them on."""

    def __init__(self, evidence: ServiceEvidence) -> None:
        self._evidence = evidence

    async def passed_on(self, exchange: ServiceExchange, answer: UpstreamAnswer) -> Outgoing:
        """Record an answer, then hand it on. Raises JournalError, and OutboundError where it ends early."""
        headers = _headers(exchange, answer)
        streams = _streams(exchange.known_call.operation, answer.status)
        body, rest = (b"", answer) if streams else await _whole(answer)
        if rest is not None:
            await self._record_head(exchange, Reply(answer.status, headers), too_large=bool(body))
            return Outgoing(answer.status, headers, _continued(body, rest) if body else rest)
        sent = _with_our_address(exchange, headers, body)
        if sent is not body:
            headers = {name: value for name, value in headers.items() if not _is_digest(name)}
        if exchange.incoming.head.method != "HEAD":
            headers["content-length"] = str(len(sent))
        request_id = _request_id(Reply(answer.status, headers, sent))
        headers.setdefault(_REQUEST_ID_HEADERS[0], request_id or exchange.known_call.request_id)
        await self._record(exchange, Reply(answer.status, headers, sent))
        return Outgoing(answer.status, headers, sent)

    async def _record_head(self, exchange: ServiceExchange, head: Reply, *, too_large: bool) -> None:
        """Record an answer whose body passes through."""
        if head.status >= 400:
            await self._record(exchange, head)
            return
        length = head.headers.get("content-length", "")
        if length.isdecimal():
            exchange.notes["bytesTransferredOut"] = int(length)
        if too_large and not exchange.known_call.read_only:
            exchange.notes["responseNotRead"] = f"the answer is larger than {WHOLE_BYTES} bytes"
        await self._evidence.answered(exchange, request_id=_request_id(head))

    async def _record(self, exchange: ServiceExchange, reply: Reply) -> None:
        request_id = _request_id(reply)
        if reply.status >= 400:
            text = exchange.wire.read_error(exchange.service, reply)
            # What could not be decoded may hold secrets that a message echoes, and nobody knows which.
            message = text.message if exchange.known_call.operation else HIDDEN
            await self._evidence.failed(exchange, text.code, message, request_id=request_id)
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


def _headers(exchange: ServiceExchange, answer: UpstreamAnswer) -> dict[str, str]:
    """The headers of an answer that concern the caller, with the upstream's addresses made ours."""
    headers = {
        name: value for name, value in answer.headers.items() if name not in _OURS and not name.startswith(_CORS)
    }
    replace = answer_replacer(exchange)
    if replace is not None:
        headers = {name: replace.text(value) for name, value in headers.items()}
    return headers


def _with_our_address(exchange: ServiceExchange, headers: Mapping[str, str], body: bytes) -> bytes:
    """A body of text with the upstream's addresses made ours; data, and CBOR with its counted texts, stays as it is."""
    replace = answer_replacer(exchange)
    is_text = any(word in headers.get("content-type", "") for word in _TEXT_TYPES)
    return replace.body(body) if replace is not None and is_text and "content-encoding" not in headers else body


def _request_id(reply: Reply) -> str:
    """The upstream's request id: in a header, else near an end of an XML body; empty where it gave none."""
    for name in _REQUEST_ID_HEADERS:
        if name in reply.headers:
            return reply.headers[name]
    ends = reply.body[:_REQUEST_ID_WITHIN_BYTES], reply.body[-_REQUEST_ID_WITHIN_BYTES:]
    found = next((match for part in ends if (match := _REQUEST_ID.search(part))), None)
    return found[1].decode("ascii") if found else ""


def _is_digest(name: str) -> bool:
    """Whether a header says something about bytes that have been changed."""
    return name in ("content-md5", "x-amz-crc32", "etag") or name.startswith("x-amz-checksum-")


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
