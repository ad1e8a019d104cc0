"""The server adapter: ASGI under uvicorn (uvloop, httptools) in front of the pipeline.

Raw paths and header bytes are kept as they came. What the HTTP parser does not bound is bounded here: the size of the
head, and the time a client may take to send it.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from opentrail.aws.http import RequestHead, TlsDetails, folded
from opentrail.clock import Clock, Entropy
from opentrail.gateway.client_address import Networks, client_address
from opentrail.gateway.exchange import CUT, Incoming, Outgoing

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
_TLS_KEY = "opentrail.tls"
_ABORT_KEY = "opentrail.abort"
_HEAD_TIMEOUT_S = 30.0

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client closed its connection before its request was complete."""


class Handler(Protocol):
    """What answers requests: the pipeline."""

    async def handle(self, incoming: Incoming) -> Outgoing:
        """Answer one request."""


class Application:
    """The ASGI application."""

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        entropy: Entropy,
        *,
        trusted_proxies: Networks = (),
        writes_log: bool = True,
    ) -> None:
        """``trusted_proxies``: networks whose X-Forwarded-For is believed. Without ``writes_log`` the handler does."""
        self._writes_log = writes_log
        self._handler = handler
        self._clock = clock
        self._entropy = entropy
        self._trusted_proxies = trusted_proxies

    def trust(self, trusted_proxies: Networks) -> None:
        """Believe these networks' X-Forwarded-For from now on."""
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; nothing else is spoken."""
        if scope["type"] != "http":
            return
        socket_address = scope["client"][0] if scope.get("client") else ""
        head = _head(scope, socket_address, self._trusted_proxies)
        local_port = scope["server"][1] if scope.get("server") else 0
        now, request_id = self._clock.now(), self._entropy.uuid()
        incoming = Incoming(head, _pieces(receive), request_id, now, socket_address, local_port or 0)
        try:
            outgoing = await self._handler.handle(incoming)
        except ClientGone:
            return
        except asyncio.CancelledError:  # the server stops, and its own 500 would claim what nobody knows
            scope[_ABORT_KEY]()
            raise
        if outgoing is CUT:
            log.warning("cut: the outcome cannot be recorded", extra={"requestID": incoming.request_id})
            await _cut(scope, receive)
            return
        level = logging.INFO if outgoing.status >= 400 else logging.DEBUG
        if self._writes_log and log.isEnabledFor(level):  # the path alone: a query may hold a signature
            facts = (head.peer, head.method, head.path, outgoing.status)
            log.log(level, "%s %s %s: %d", *facts, extra={"requestID": incoming.request_id})
        await _send(outgoing, send)


def _head(scope: Scope, socket_address: str, trusted_proxies: Networks) -> RequestHead:
    headers = folded(scope["headers"])
    return RequestHead(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        peer=client_address(socket_address, headers.get("x-forwarded-for", ""), trusted_proxies),
        tls=scope.get(_TLS_KEY),
    )


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises ClientGone."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def _cut(scope: Scope, receive: Receive) -> None:
    """Close the connection without an answer; returns once it is closed, or the server would answer by itself."""
    scope[_ABORT_KEY]()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(outgoing: Outgoing, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in outgoing.headers.items()]
    body = outgoing.body
    if isinstance(body, bytes):
        if b"content-length" not in {name for name, _ in headers}:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": outgoing.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    try:
        await send({"type": "http.response.start", "status": outgoing.status, "headers": headers})
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await cast("Any", body).aclose()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a limit on the head's size and time, and with the TLS facts put into the scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own narrowing
        super().connection_made(transport)
        self._tls = _tls_details(transport.get_extra_info("ssl_object"))
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_done()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._head_complete = False
        self._await_head()
        scope = cast("dict[str, Any]", self.scope)
        scope[_TLS_KEY] = self._tls
        scope[_ABORT_KEY] = self.transport.abort

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        if not self._head_complete:  # what comes later are trailers, which must not pass for headers
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_done()
        self._head_complete = True
        super().on_headers_complete()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")
            raise ValueError("the request's head is too large")  # stops the parser

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def _await_head(self) -> None:
        self._head_done()
        self._head_timer = self.loop.call_later(_HEAD_TIMEOUT_S, self._too_slow)

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _tls_details(handshake: ssl.SSLObject | None) -> TlsDetails | None:
    if handshake is None:
        return None
    cipher = handshake.cipher()
    return TlsDetails(handshake.version() or "", cipher[0] if cipher else "")


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its owner, says when it listens, and can listen at further sockets."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the owner's: it decides what a clean stop is and which exit code it has."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    async def listen_too(self, listener: socket.socket) -> asyncio.Server:
        """Serve the same at one more socket, until the server stops or what is answered is closed."""

        def protocol() -> BoundedProtocol:
            return BoundedProtocol(self.config, self.server_state, self.lifespan.state)

        loop = asyncio.get_running_loop()
        added = await loop.create_server(protocol, sock=listener, ssl=self.config.ssl, backlog=self.config.backlog)
        self.servers.append(added)
        return added


def server(
    application: Application, tls: tuple[str, str] | ssl.SSLContext | None, on_listening: Callable[[], None]
) -> Server:
    """The server for an application; ``tls``: paths of certificate chain and key, or a context that chooses them."""
    certificate, key = tls if isinstance(tls, tuple) else (None, None)
    config = uvicorn.Config(
        cast("Any", application),
        http=BoundedProtocol,
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=20,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    if isinstance(tls, ssl.SSLContext):
        config.load()
        config.ssl = tls
    return Server(config, on_listening)
