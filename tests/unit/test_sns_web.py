"""Deliveries over HTTP: what counts as delivered, and where nothing is sent."""

import ipaddress
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from opentrail.errors import OutboundError
from opentrail.topics.message import Message
from opentrail.topics.parcels import Parcel
from opentrail.topics.web import Limits, WebSender, networks
from tests.support.subscriber import Received, Subscriber

BLOCKED = networks(["169.254.0.0/16", "fe80::/10"])


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    """A web server that takes everything."""
    server = Subscriber(confirms=False)
    server.start()
    yield server
    server.stop()


def parcel(endpoint: str) -> Parcel:
    """A raw message for an endpoint."""
    at = datetime(2026, 11, 23, tzinfo=UTC)
    message = Message(message_id="m", topic_arn="arn", published_at=at, bodies={"default": "text ä"})
    return Parcel(endpoint, "subscription", message, "text ä", raw=True)


def send(endpoint: str, **limits: object) -> None:
    """Send one, with short patience."""
    WebSender(Limits(BLOCKED, **limits), timeout_s=1.0).send(parcel(endpoint))  # type: ignore[arg-type] # by the tests


def problem(endpoint: str, **limits: object) -> OutboundError:
    """What goes wrong with a delivery."""
    with pytest.raises(OutboundError) as found:
        send(endpoint, **limits)
    return found.value


def test_a_delivery_has_snss_headers(subscriber: Subscriber) -> None:
    """And the body as it is, in UTF-8."""
    send(f"http://localhost:{subscriber.port}/path?query=1")
    (got,) = subscriber.received
    assert got.body == "text ä"
    assert got.headers["x-amz-sns-message-id"] == "m"
    assert got.headers["x-amz-sns-rawdelivery"] == "true"
    assert got.headers["content-type"] == "text/plain; charset=UTF-8"
    assert got.headers["host"] == f"localhost:{subscriber.port}"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(301, True), (307, True), (400, False), (404, False), (429, True), (500, True), (503, True)],
)
def test_a_status_says_whether_to_try_again(subscriber: Subscriber, status: int, retryable: bool) -> None:
    """4xx but 429 is final; a redirect is not followed."""
    asked: list[int] = []

    def answer(_found: Received) -> int:
        asked.append(status)
        return status

    subscriber.answer = answer
    found = problem(f"http://127.0.0.1:{subscriber.port}/")
    assert (found.code, found.retryable) == (str(status), retryable)
    assert len(asked) == 1


def test_who_does_not_answer_in_time_is_tried_again(subscriber: Subscriber) -> None:
    """The time is for the whole exchange."""
    released = threading.Event()
    subscriber.answer = lambda _found: 200 if released.wait(10) else 500
    began = time.monotonic()
    assert problem(f"http://127.0.0.1:{subscriber.port}/").retryable
    assert time.monotonic() - began < 8
    released.set()


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://224.0.0.1/",
        "http://0.0.0.0/",
        "http://2852039166/",  # 169.254.169.254, as getaddrinfo reads it
    ],
)
def test_nothing_is_sent_to_blocked_addresses(endpoint: str) -> None:
    """However they are written; it is final."""
    found = problem(endpoint)
    assert (found.code, found.retryable) == ("BlockedAddress", False)


def test_nothing_is_sent_to_our_own_endpoint(subscriber: Subscriber) -> None:
    """By loopback address, by name, by the address we listen on; another port of this machine is somebody else's."""
    for host in ("127.0.0.1", "localhost", "127.7.7.7"):
        found = problem(f"http://{host}:{subscriber.port}/_opentrail/ready", own_port=subscriber.port)
        assert (found.code, found.retryable) == ("BlockedAddress", False)
    limits = Limits((), 4566, frozenset({"192.0.2.7", "gateway.example"}))
    assert limits.refusal("192.0.2.7", 4566, ipaddress.ip_address("192.0.2.7"))
    assert limits.refusal("gateway.example", 4566, ipaddress.ip_address("192.0.2.8"))
    assert limits.refusal("gateway.example", 443, ipaddress.ip_address("192.0.2.8")) is None
    send(f"http://127.0.0.1:{subscriber.port}/", own_port=1)


def test_a_name_that_means_nothing_is_tried_again() -> None:
    """DNS may be down."""
    assert problem("http://no-such-host.invalid/").retryable
