"""What the object store client makes of bad, missing and broken answers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from opentrail.errors import OutboundError
from opentrail.storage.bucket import ObjectStore, S3ObjectStore


@contextmanager
def answering(answer: bytes) -> Iterator[ObjectStore]:
    """A store whose server reads each request, sends these bytes and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield S3ObjectStore(
                f"http://127.0.0.1:{server.getsockname()[1]}", "us-east-1", "AKIAKEY", "secret", read_timeout_s=2
            )
        finally:
            done.set()
            thread.join()


def refusal(status: int, code: str) -> bytes:
    """An S3 error answer."""
    body = f"<Error><Code>{code}</Code><Message>says the server</Message></Error>".encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body)) + body


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (503, "SlowDown", True),
        (500, "InternalError", True),
        (429, "TooManyRequests", True),
        (400, "RequestTimeout", True),
        (409, "OperationAborted", True),
        (403, "AccessDenied", False),
        (412, "PreconditionFailed", False),
        (404, "NoSuchBucket", False),
    ],
)
def test_the_servers_code_comes_through(status: int, code: str, *, retryable: bool) -> None:
    """Code and message are the server's; what may pass by itself is told apart from what will not."""
    with answering(refusal(status, code)) as store, pytest.raises(OutboundError) as caught:
        store.put("bucket", "key", b"body", content_type="text/plain")
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert "says the server" in caught.value.message


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf", b"\x00garbage"]
)
def test_a_broken_answer_is_a_connection_error(answer: bytes) -> None:
    """An answer that is missing, cut short or no HTTP is never taken for an object."""
    with answering(answer) as store, pytest.raises(OutboundError) as caught:
        store.get("bucket", "key")
    assert (caught.value.code, caught.value.retryable) == ("ConnectionError", True)


def test_an_unreadable_refusal_is_told_by_its_status() -> None:
    """Without a body to read the HTTP status still decides whether to try again."""
    with answering(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as store:
        with pytest.raises(OutboundError) as caught:
            store.get("bucket", "key")
        assert caught.value.retryable
        with pytest.raises(OutboundError) as caught:
            store.bucket_exists("bucket")
        assert caught.value.retryable
