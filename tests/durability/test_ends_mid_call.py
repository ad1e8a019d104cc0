"""Clients that go away and gateways that are stopped, mid-call: what was sent on has its record, with its outcome."""

import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.behind import World, running_world
from tests.support.callers import STREAMED_BYTES, Callers, Request, Seen, fresh_mark, s3, signed, sqs
from tests.support.gateway import Gateway
from tests.support.ledger import CHANGES, Ledger
from tests.support.reckoning import UNKNOWN, name_of

SLOW_S = 0.6


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway in front of a server that takes its time."""
    directory = tmp_path_factory.mktemp("ends")
    with running_world(directory, Ledger(directory / "ledger", slow_s=SLOW_S)) as world:
        yield world


def _begin(gateway: Gateway, request: Request, share: float = 1.0) -> socket.socket:
    """A connection on which a call was sent, or a share of its body, and whose answer nobody has read."""
    where = urlsplit(gateway.url)
    connection = socket.create_connection((where.hostname, where.port or 0), timeout=30)
    headers = signed(gateway, request) | {"Host": where.netloc, "Content-Length": str(len(request.body))}
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + request.body[: int(share * len(request.body))])
    return connection


def _until_arrived(world: World, requests: list[Request]) -> None:
    deadline = time.monotonic() + 30
    while not {request.name for request in requests} <= set(world.ledger.arrived()):
        assert time.monotonic() < deadline, "the calls are not sent on"
        time.sleep(0.02)


def test_a_client_that_goes_away_leaves_the_real_outcome(world: World) -> None:
    """Gone while the server behind works on it: its change happens, and is recorded as done."""
    requests = [sqs(event, fresh_mark()) for event in sorted(CHANGES) for _ in range(3)]
    connections = [_begin(world.gateway, request) for request in requests]
    _until_arrived(world, requests)
    assert not {request.name for request in requests} & set(world.ledger.done()), "they are under way"
    for connection in connections:
        connection.close()
    records = world.reckon({request.name: Seen(request) for request in requests})
    assert {name_of(record) for record in records if "errorCode" not in record} == {one.name for one in requests}


def test_clients_that_go_away_at_any_moment_leave_no_doubt(world: World) -> None:
    """Gone at random moments, in the middle of the request or after its last byte: nothing is recorded as unknown, and
    what has an effect is recorded as done.
    """
    requests = [s3("PutObject", fresh_mark(), body_bytes=random.choice((20, STREAMED_BYTES))) for _ in range(60)]

    def leave_early(some: list[Request]) -> None:
        for request in some:
            connection = _begin(world.gateway, request, random.choice((0.5, 1.0)))
            time.sleep(random.choice((0, 0.002, 0.01, 0.03)))
            connection.close()

    threads = [threading.Thread(target=leave_early, args=(requests[number::6],)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = world.reckon({request.name: Seen(request) for request in requests})
    assert {record.get("errorCode") for record in records} == {"IncompleteBody", None}


def test_a_stop_waits_for_the_outcome_of_what_was_sent_on(world: World) -> None:
    """SIGTERM under 32 callers: exit code 0, whose change reached the server behind got his answer, and nothing is
    recorded as unknown.
    """
    callers = Callers(world.gateway, 32)
    callers.wait_for_calls(64)
    assert world.gateway.stop() == 0
    callers.stop()
    arrived = world.ledger.arrived()
    assert not [seen for name, seen in callers.seen.items() if seen.reply is None and name in arrived]
    world.restart_gateway()
    records = world.reckon(callers.seen)
    assert UNKNOWN not in {record.get("errorCode") for record in records}


@pytest.mark.soak
def test_a_stop_does_not_wait_for_ever_and_says_what_is_unknown(tmp_path: Path) -> None:
    """Servers that take longer than a stop may: exit code 0, no status, and the next start records what was sent on as
    unknown, since nobody can say what comes of it.
    """
    slow_s = 70
    with running_world(tmp_path, Ledger(tmp_path / "ledger", slow_s=slow_s)) as world:
        queues = [sqs(event, fresh_mark()) for event in sorted(CHANGES) for _ in range(2)]
        objects = [s3("PutObject", fresh_mark(), body_bytes=size) for size in (20, STREAMED_BYTES) for _ in range(3)]
        world.signal_seaweed(signal.SIGSTOP)
        connections = [_begin(world.gateway, request) for request in (*queues, *objects)]
        _until_arrived(world, queues)
        time.sleep(1)
        began = time.monotonic()
        assert world.gateway.stop() == 0
        assert time.monotonic() - began < slow_s, "the stop is bounded"
        answers = [_answer(connection) for connection in connections]
        assert not any(answers), f"no status would be true: {answers}"
        world.signal_seaweed(signal.SIGCONT)
        world.restart_gateway()
        time.sleep(max(0.0, began + slow_s - time.monotonic()) + 1)
        assert {request.name for request in queues} == set(world.ledger.done())
        records = world.reckon({request.name: Seen(request) for request in (*queues, *objects)})
        assert Counter(record["errorCode"] for record in records) == {UNKNOWN: len(queues) + len(objects)}


def _answer(connection: socket.socket) -> bytes:
    with connection:
        try:
            return connection.recv(4096)
        except ConnectionResetError:
            return b""
