"""The Chef API door's sockets: one shared port for names, one of its own for each server that has a local endpoint.

It has its own thread and event loop, so that doors open before the gateway serves, and work can
wait for them. Requests are no calls of AWS's: they leave no event record, but a line in the log and a count.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, TypeVar

import uvloop

from opentrail.aws.http import Reply
from opentrail.clock import Clock, Entropy
from opentrail.gateway.asgi import Application, ClientGone, server
from opentrail.gateway.exchange import Incoming, Outgoing
from opentrail.opsworks.endpoints import LOCAL_HOST, Address
from opentrail.opsworks.front.door import ChefDoor, ChefRequest, failure
from opentrail.opsworks.front.refusal import ChefRefusal
from opentrail.opsworks.front.routes import Kind
from opentrail.opsworks.server import Server
from opentrail.processes.ports import free_ports

THREADS = 16
MOST_WAITING = 128
BACKLOG = 128
BODY_TIMEOUT_S = 60.0
MOST_CHOSEN = 32
_OPEN_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class ChefHandler:
    """Puts requests to the door, on threads of its own, and tells how each ended."""

    def __init__(self, door: ChefDoor, count: Callable[[int], None]) -> None:
        """``count`` gets the status of every answer."""
        self._door = door
        self._count = count
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="chef-door")
        self._waiting = 0

    async def handle(self, incoming: Incoming) -> Outgoing:
        """Answer one request; a body longer than its route allows is not read to its end."""
        head = incoming.head
        request = ChefRequest(head.method, head.path, head.query, head.headers, incoming.local_port, head.peer)
        try:
            reply = await self._answer(request, incoming.body)
        except ChefRefusal as refusal:
            reply = refusal.reply()
        self._count(reply.status)
        facts = (head.peer, request.claimed_name, head.method, head.path, reply.status)
        log.info("chef: %s as %s: %s %s: %d", *facts, extra={"requestID": incoming.request_id})
        return Outgoing(reply.status, reply.headers, reply.body)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: ChefRequest, pieces: AsyncIterator[bytes]) -> Reply:
        route = self._door.route(request)
        if self._waiting >= MOST_WAITING:
            raise ChefRefusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests at a time", retry_after_s=1)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            if route.kind is Kind.FILE:  # whoever has no link is not listened to for ten megabytes
                await loop.run_in_executor(self._threads, self._door.admit_to_file, request, route)
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _whole(pieces, request.headers.get("content-length", ""), route.body_limit_bytes)
            return await loop.run_in_executor(self._threads, self._door.answer, request, route, body)
        except (ChefRefusal, ClientGone):
            raise
        except TimeoutError:
            raise ChefRefusal(HTTPStatus.REQUEST_TIMEOUT, "The body did not arrive in time") from None
        except Exception:
            log.exception("the Chef API door failed")
            return failure()
        finally:
            self._waiting -= 1


class ChefFront:
    """Listens for Chef clients; the port of ``opsworks.doors``."""

    def __init__(self, handler: ChefHandler, tls: ssl.SSLContext | None, clock: Clock, entropy: Entropy) -> None:
        """Nothing listens until ``start``. Without ``tls`` plain HTTP is spoken."""
        self._handler = handler
        application = Application(handler, clock, entropy, writes_log=False)
        self._listening = threading.Event()
        self._server = server(application, tls, self._listening.set)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chef-front", daemon=True)
        self._shared: list[socket.socket] = []
        self._open: dict[str, asyncio.Server] = {}
        self._chosen: OrderedDict[int, socket.socket] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, shared: tuple[str, int] | None) -> None:
        """Listen at the shared address, where there is one. Raises OSError where that is taken."""
        if shared is not None:
            self._shared.append(_listener(*shared))
        self._thread.start()
        if not self._listening.wait(_OPEN_TIMEOUT_S):
            raise OSError("the Chef API door did not open in time")

    def stop(self) -> None:
        """Take no more requests, finish those under way, and close."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_STOP_TIMEOUT_S)
        self._handler.close()
        with self._lock:
            while self._chosen:
                self._chosen.popitem()[1].close()

    def choose_port(self) -> int:
        """A port for a new server, kept from everybody else until ``open``. Raises OSError where none is free."""
        port = free_ports(1)[0]
        listener = _listener(LOCAL_HOST, port)
        with self._lock:
            self._chosen[port] = listener
            while len(self._chosen) > MOST_CHOSEN:  # of servers that were refused after all
                self._chosen.popitem(last=False)[1].close()
        return port

    def open(self, server: Server) -> str | None:
        """Listen at a server's own port, where its endpoint is one; why not, where that cannot be."""
        address = Address.of(server.endpoint)
        if not address.is_local:
            return None if self._shared else f"Nothing is served at {server.endpoint}: set opsworks.front_port"
        with self._lock:
            if server.server_id in self._open:
                return None
            try:
                listener = self._chosen.pop(address.port, None) or _listener(address.host, address.port)
                self._open[server.server_id] = self._on_loop(self._server.listen_too(listener))
            except (OSError, TimeoutError, RuntimeError) as error:
                return f"The endpoint {server.endpoint} cannot be opened: {error}"
        return None

    def close(self, server: Server) -> None:
        """Listen there no more."""
        with self._lock:
            listening = self._open.pop(server.server_id, None)
            if listening is not None:
                self._on_loop(_close(listening))

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        if not self._thread.is_alive():
            work.close()
            raise RuntimeError("the Chef API door is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_OPEN_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.serve(sockets=self._shared))
        finally:
            self._loop.close()


async def _close(listening: asyncio.Server) -> None:
    listening.close()


async def _whole(pieces: AsyncIterator[bytes], announced: str, limit_bytes: int) -> bytes:
    """The body. Raises ChefRefusal 413 as soon as it is known to be too long."""
    too_long = ChefRefusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body must be no more than {limit_bytes} bytes")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise too_long
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit_bytes:
            raise too_long
    return bytes(body)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
