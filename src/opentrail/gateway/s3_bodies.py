"""The bodies of S3 requests: checked against what was signed while they pass, never let through whole when they differ.

Rules (D12). The last piece is held back until payload hash, chunk signatures, trailing checksums and length agree; a
body that does not agree ends in an error instead, so that the server behind never sees a complete upload. Small bodies
are read whole and checked before anything is sent. aws-chunked framing ends here: what goes on is the payload, with
its trailing checksum (which then is a trailer again, or a header where it is known in time).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from opentrail.aws.chunked import UNSIGNED_TRAILER
from opentrail.aws.http import RequestHead
from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.errors import ApiError, OpenTrailError
from opentrail.gateway.exchange import Caller
from opentrail.gateway.s3_framing import BLOCK_BYTES, BodyCheck, ChunkCheck, Framing, PlainCheck, framed_size, framing
from opentrail.gateway.upstream import Payload

MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
WHOLE_BYTES = 1024 * 1024
_DRAINED_BYTES = 8 * 1024 * 1024
_DRAINED_S = 10.0


class ClientLeft(OpenTrailError):
    """The client went away before its request was complete."""


class Arrival:
    """The raw body of a request as the server adapter hands it over; ``ended`` once there is no more to come.

    Whatever the adapter raises means that the client is gone: ClientLeft.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._broken = False
        self.ended = False

    def __aiter__(self) -> "Arrival":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            self.ended = True
            raise
        except Exception as error:
            self.ended = True
            raise ClientLeft("the client closed its connection before its request was complete") from error
        except BaseException:  # whoever was reading was cancelled, and the adapter's generator with it
            self._broken = True
            raise

    async def drain(self, limit_bytes: int, limit_s: float) -> bool:
        """Read and drop what is left, within limits; whether that was all.

        A connection that is closed while the client still sends may lose the answer on its way.
        """
        try:
            async with asyncio.timeout(limit_s):
                async for piece in self:
                    limit_bytes -= len(piece)
                    if limit_bytes < 0:
                        return False
        except (ClientLeft, TimeoutError):
            return False
        return not self._broken


@dataclass(slots=True)
class CheckedBody:
    """A body on its way. ``problem`` is set where it did not agree, and then the pieces end in that error."""

    source: AsyncIterator[bytes]
    check: BodyCheck
    framing: Framing
    received_bytes: int = 0
    problem: OpenTrailError | None = field(default=None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The payload; its last piece comes when all is verified. Raises ApiError, or ClientLeft."""
        try:
            async for data in self.source:
                self.received_bytes += len(data)
                free = self.check.feed(data)
                if free:
                    yield free
            rest = self.check.finish()
        except (ApiError, ClientLeft) as problem:
            self.problem = problem
            raise
        if rest:
            yield rest

    async def whole(self, limit_bytes: int) -> bytes:
        """The whole payload, verified. Raises ApiError (EntityTooLarge above the limit) or ClientLeft."""
        if self.framing.payload_bytes > limit_bytes:
            raise s3_error("EntityTooLarge")
        return b"".join([piece async for piece in self.pieces()])


def checked_body(head: RequestHead, arrival: Arrival, caller: Caller, *, needs_length: bool) -> CheckedBody:
    """The body of a request, to be read through the checks that its signature calls for. Raises ApiError."""
    authorization = caller.authorization
    form = authorization.payload_hash if authorization else None
    announced = framing(head.headers, form, needs_length=needs_length)
    check: BodyCheck = ChunkCheck(announced, caller) if announced.is_chunked else PlainCheck(announced)
    return CheckedBody(arrival, check, announced)


async def upload_payload(body: CheckedBody) -> tuple[Payload, dict[str, str]]:
    """What to send on for an upload, and headers to add: whole where small, else as it arrives.

    Raises ApiError or ClientLeft for a small body that does not agree.
    """
    expected = body.framing
    if expected.payload_bytes <= WHOLE_BYTES:
        data = await body.whole(WHOLE_BYTES)
        return Payload(data, len(data)), dict(body.check.trailers)
    if not expected.trailer_names:
        return Payload(body.pieces(), expected.payload_bytes), {}
    name = expected.trailer_names[0]
    size_bytes = framed_size(expected.payload_bytes, name)
    headers = {"x-amz-trailer": name, "x-amz-decoded-content-length": str(expected.payload_bytes)}
    return Payload(framed(body, name), size_bytes, UNSIGNED_TRAILER), headers


async def framed(body: CheckedBody, trailer_name: str) -> AsyncIterator[bytes]:
    """A payload in unsigned aws-chunked framing; the checksum follows once it is verified."""
    waiting = bytearray()
    async for piece in body.pieces():
        waiting += piece
        while len(waiting) >= BLOCK_BYTES:
            yield b"%x\r\n%b\r\n" % (BLOCK_BYTES, bytes(waiting[:BLOCK_BYTES]))
            del waiting[:BLOCK_BYTES]
    if waiting:
        yield b"%x\r\n%b\r\n" % (len(waiting), bytes(waiting))
    value = body.check.trailers[trailer_name]
    yield f"0\r\n{trailer_name}:{value}\r\n\r\n".encode()


async def is_connection_fit(headers: Mapping[str, str], arrival: Arrival, *, started: bool) -> bool:
    """Whether another request may follow on the connection after the answer; reads what is left, within limits.

    ``started``: whether reading has begun. A client that waits for 100 Continue has not sent its body and will not:
    what it sends next would be taken for it.
    """
    if arrival.ended or (headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers):
        return True
    return (started or "expect" not in headers) and await arrival.drain(_DRAINED_BYTES, _DRAINED_S)
