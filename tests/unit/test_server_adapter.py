"""The server adapter: what reaches the pipeline is the head that was sent, and nothing that came later."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from opentrail.aws.http import RequestHead
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.gateway.asgi import MAX_HEAD_BYTES, Application, server
from opentrail.gateway.exchange import Incoming, Outgoing


class Echo:
    """Keeps the heads it saw, and reads the bodies."""

    def __init__(self) -> None:
        self.heads: list[RequestHead] = []

    async def handle(self, incoming: Incoming) -> Outgoing:
        """Answer with the body."""
        body = b"".join([piece async for piece in incoming.body])
        self.heads.append(incoming.head)
        return Outgoing(200, {"x-seen": "yes"}, body)


@pytest.fixture
def echo() -> Iterator[tuple[Echo, int]]:
    """A real server around it."""
    handler, ready = Echo(), threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        serving = server(Application(handler, SystemClock(), SystemEntropy()), None, ready.set)
        thread = threading.Thread(target=lambda: asyncio.run(serving.serve([listener])))
        thread.start()
        assert ready.wait(10)
        yield handler, listener.getsockname()[1]
        serving.should_exit = True
        thread.join()


def _send(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_trailers_do_not_pass_for_headers(echo: tuple[Echo, int]) -> None:
    """A field behind a chunked body changes nothing in the head."""
    handler, port = echo
    head = b"POST /a%2Fb?x=%20 HTTP/1.1\r\nHost: h\r\nUser-Agent: real\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = _send(port, head + b"3\r\nabc\r\n0\r\nUser-Agent: forged\r\nAuthorization: T\r\n\r\n")
    assert answer.endswith(b"abc")
    seen = handler.heads[0]
    assert (seen.path, seen.query) == ("/a%2Fb", "x=%20")
    assert seen.headers["user-agent"] == "real"
    assert "authorization" not in seen.headers


def test_repeated_headers_are_joined_in_order(echo: tuple[Echo, int]) -> None:
    """As signatures count them."""
    handler, port = echo
    _send(port, b"GET / HTTP/1.1\r\nHost: h\r\nX-Amz-Meta: a\r\nX-Amz-Meta: b\r\nConnection: close\r\n\r\n")
    assert handler.heads[0].headers["x-amz-meta"] == "a,b"


def test_a_head_that_is_too_large_is_refused(echo: tuple[Echo, int]) -> None:
    """Nothing reaches the pipeline, and the connection ends."""
    handler, port = echo
    try:
        answer = _send(port, b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * (MAX_HEAD_BYTES + 10) + b"\r\n\r\n")
    except ConnectionResetError:
        answer = b""
    assert b" 200 " not in answer
    assert handler.heads == []


class Endless:
    """Never answers."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    async def handle(self, incoming: Incoming) -> Outgoing:
        """Wait."""
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


def test_a_stop_that_waits_no_longer_claims_no_status() -> None:
    """A call that is still under way then may have had its effect: its connection is cut, not answered with a 500."""
    handler, ready = Endless(), threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        serving = server(Application(handler, SystemClock(), SystemEntropy()), None, ready.set)
        serving.config.timeout_graceful_shutdown = 1
        thread = threading.Thread(target=lambda: asyncio.run(serving.serve([listener])))
        thread.start()
        assert ready.wait(10)
        with socket.create_connection(listener.getsockname(), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert handler.asked.wait(10)
            serving.should_exit = True
            with suppress(ConnectionResetError):
                assert connection.recv(4096) == b""
        thread.join()
