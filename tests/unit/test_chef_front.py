"""The door's sockets and bodies: limits, time, failures of ours, and ports that are kept for new servers."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from opentrail.aws.http import Reply, RequestHead
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.gateway import chef_front
from opentrail.gateway.asgi import ClientGone
from opentrail.gateway.chef_front import MOST_CHOSEN, MOST_WAITING, ChefFront, ChefHandler
from opentrail.gateway.exchange import Incoming
from opentrail.opsworks.front.door import ChefRequest
from opentrail.opsworks.front.refusal import ChefRefusal
from opentrail.opsworks.front.routes import JSON_LIMIT_BYTES, Kind, Route
from opentrail.processes.ports import is_free
from tests.support.opsworks import create_request, fake_world


class FakeDoor:
    """Lets everybody in; says how long the body was, or fails."""

    problem: Exception | None = None

    def route(self, request: ChefRequest) -> Route:
        return Route(Kind.FILE if "file" in request.path else Kind.PLAIN, request.path)

    def admit_to_file(self, request: ChefRequest, route: Route) -> None:
        raise ChefRefusal(HTTPStatus.FORBIDDEN, "no link")

    def answer(self, request: ChefRequest, route: Route, body: bytes) -> Reply:
        if self.problem is not None:
            raise self.problem
        return Reply(200, {}, str(len(body)).encode())


def ask(body: AsyncIterator[bytes], path: str = "/nodes", door: FakeDoor | None = None, **headers: str) -> Any:
    statuses: list[int] = []
    fake: Any = door or FakeDoor()

    async def run() -> Any:
        handler = ChefHandler(fake, statuses.append)
        head = RequestHead("POST", path, "", {name.replace("_", "-"): value for name, value in headers.items()})
        try:
            return await handler.handle(Incoming(head, body, "id", datetime.now(UTC)))
        finally:
            handler.close()

    found = asyncio.run(run())
    assert statuses == [found.status]
    return found


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 100_000


async def stuck() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.sleep(3600)


async def gone() -> AsyncIterator[bytes]:
    yield b"x"
    raise ClientGone


def test_bodies_are_read_whole_and_no_further_than_allowed() -> None:
    """Up to the limit and not beyond, announced or not."""
    assert ask(pieces(b"ab", b"c")).body == b"3"
    assert ask(pieces(b"x" * JSON_LIMIT_BYTES)).status == 200
    assert ask(pieces(b"x" * JSON_LIMIT_BYTES, b"x")).status == 413
    assert ask(endless()).status == 413
    assert ask(stuck(), content_length=str(JSON_LIMIT_BYTES + 1)).status == 413


def test_whoever_has_no_link_is_not_listened_to() -> None:
    """A stranger's ten megabytes are refused before they are read."""
    assert ask(stuck(), "/file_store/x").status == 403


def test_slow_bodies_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """408, so that nobody holds a place for good."""
    monkeypatch.setattr(chef_front, "BODY_TIMEOUT_S", 0.05)
    assert ask(stuck()).status == 408


def test_clients_that_leave_are_let_go() -> None:
    """No answer is made up for them."""
    with pytest.raises(ClientGone):
        ask(gone())


def test_failures_of_ours_are_told_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    """500 without a word of what happened."""
    door = FakeDoor()
    door.problem = ValueError("a detail of ours")
    with caplog.at_level(logging.ERROR):
        found = ask(pieces(b""), door=door)
    assert (found.status, b"detail" in found.body) == (500, False)
    assert "a detail of ours" in caplog.text


def test_too_many_at_a_time_are_told_to_come_back() -> None:
    """503 with Retry-After instead of a queue without end."""
    fake: Any = FakeDoor()

    async def run() -> Any:
        handler = ChefHandler(fake, lambda _: None)
        head = RequestHead("POST", "/nodes", "", {})
        waiting = [
            asyncio.ensure_future(handler.handle(Incoming(head, stuck(), "id", datetime.now(UTC))))
            for _ in range(MOST_WAITING)
        ]
        await asyncio.sleep(0)
        found = await handler.handle(Incoming(head, pieces(), "id", datetime.now(UTC)))
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        handler.close()
        return found

    found = asyncio.run(run())
    assert (found.status, found.headers["retry-after"]) == (503, "1")


def test_chosen_ports_are_kept_until_they_are_opened_or_too_many(tmp_path: Path) -> None:
    """Nobody can take a port between CreateServer's answer and its server; those of refused servers come back."""
    fake: Any = FakeDoor()
    front = ChefFront(ChefHandler(fake, lambda _: None), None, SystemClock(), SystemEntropy())
    ports = [front.choose_port() for _ in range(MOST_CHOSEN + 1)]
    assert len(set(ports)) == len(ports)
    assert is_free(ports[0])
    assert not any(is_free(port) for port in ports[1:])
    front.stop()
    assert all(is_free(port) for port in ports)
    with fake_world(tmp_path / "world") as world:
        world.ask("CreateServer", create_request())
        with world.database.read() as connection:
            (server,) = world.store.all_servers(connection)
    assert "set opsworks.front_port" in (front.open(server) or "")


def test_a_shared_port_that_is_taken_is_an_error() -> None:
    """At the start, not later."""
    fake: Any = FakeDoor()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        front = ChefFront(ChefHandler(fake, lambda _: None), None, SystemClock(), SystemEntropy())
        with pytest.raises(OSError, match="in use"):
            front.start(("127.0.0.1", taken.getsockname()[1]))
        front.stop()
