"""The upstream client against a server that shows the bytes it got: what is sent, and what never is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from opentrail.aws.http import RequestHead
from opentrail.aws.sigv4 import SigningKey, read_authorization, verify
from opentrail.clock import SystemClock
from opentrail.errors import OutboundError
from opentrail.gateway.upstream import (
    Payload,
    Upstream,
    UpstreamSettings,
    canonical_path,
    forwarded_headers,
    forwarded_query,
)

SECRET = "upstream-secret"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class ShowingServer:
    """Answers each request with the next prepared bytes (empty: hang up) and keeps what it received."""

    answers: list[bytes]
    received: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.received.append(head)
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                try:
                    self.received[-1] += await reader.readexactly(length)
                except asyncio.IncompleteReadError as cut:
                    self.received[-1] += cut.partial
                    return
                answer = self.answers.pop(0) if self.answers else OK
                if not answer:
                    return
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def run(server: ShowingServer, use: Callable[[Upstream], Awaitable[None]]) -> None:
    """Use an upstream client against a server."""

    async def main() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        settings = UpstreamSettings(f"http://127.0.0.1:{port}", "us-east-1", "UPKEY", SECRET, read_timeout_s=5)
        upstream = Upstream(settings, SystemClock())
        try:
            await use(upstream)
        finally:
            await upstream.close()
            listening.close()

    asyncio.run(main())


def test_a_request_is_signed_with_the_upstream_s_key_alone() -> None:
    """The caller's credentials stay here; the new signature holds for the bytes that were sent."""
    server = ShowingServer([])
    caller = {
        "authorization": "AWS4-HMAC-SHA256 Credential=CALLER/x",
        "x-amz-security-token": "token",
        "x-amz-content-sha256": "abc",
        "x-amz-meta-name": "M\u00c3\u00bcller",  # UTF-8 on the wire, seen as Latin-1
        "connection": "keep-alive, x-private",
        "x-private": "1",
        "content-encoding": "aws-chunked, gzip",
        "accept-encoding": "gzip",
        "cookie": "a=b",
    }

    async def use(upstream: Upstream) -> None:
        answer = await upstream.send("PUT", "/b/a%20b", "x-id=PutObject&X-Amz-Signature=s", caller, Payload(b"body", 4))
        assert await answer.read(10) == b"ok"

    run(server, use)
    text = server.received[0].decode()
    assert text.startswith("PUT /b/a%20b?x-id=PutObject HTTP/1.1\r\n")
    assert text.endswith("\r\n\r\nbody")
    for secret in ("CALLER", "token", "X-Amz-Signature", "x-private", "aws-chunked", "cookie", SECRET):
        assert secret not in text
    lines = [
        line.partition(": ") for line in server.received[0].decode("latin-1").split("\r\n\r\n")[0].split("\r\n")[1:]
    ]
    headers = {name.lower(): value for name, _, value in lines}
    assert headers["content-encoding"] == "gzip"
    assert headers["x-amz-meta-name"] == "M\u00c3\u00bcller"
    head = RequestHead("PUT", "/b/a%20b", "x-id=PutObject", headers)
    authorization = read_authorization(head)
    assert authorization is not None
    assert authorization.access_key_id == "UPKEY"
    key = SigningKey(SECRET, authorization.scope)
    verify(head, authorization, key, "UNSIGNED-PAYLOAD", now=SystemClock().now())


@pytest.mark.parametrize(("method", "times"), [("DELETE", 1), ("PUT", 1), ("POST", 1), ("GET", 2), ("HEAD", 2)])
def test_only_reads_are_asked_twice(method: str, times: int) -> None:
    """When a kept connection is dropped instead of answered, nothing that may change something is sent again."""
    server = ShowingServer([OK, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])

    async def use(upstream: Upstream) -> None:
        await (await upstream.send("GET", "/warm")).read(10)
        if times == 1:
            with pytest.raises(OutboundError):
                await upstream.send(method, "/b/k")
        else:
            (await upstream.send(method, "/b/k")).close()

    run(server, use)
    assert len(server.received) == 1 + times


def test_a_body_that_fails_breaks_the_request_before_its_end() -> None:
    """The server behind never gets the announced number of bytes, so it has nothing to store."""
    server = ShowingServer([])

    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise ValueError("does not agree")

    async def use(upstream: Upstream) -> None:
        with pytest.raises(OutboundError):
            await upstream.send("PUT", "/b/k", body=Payload(failing(), 2000))
        await asyncio.sleep(0.1)

    run(server, use)
    assert len(server.received) == 1
    assert len(server.received[0].split(b"\r\n\r\n", 1)[1]) < 2000


def test_answers_are_handed_on_untouched() -> None:
    """No redirect is followed, nothing inflated, hop-by-hop headers go."""
    gone = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    packed = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: keep-alive\r\nX-Amz-Meta-N: \xc3\xbc\r\n"
        b"Content-Length: 4\r\n\r\n\x1f\x8bxx"
    )
    server = ShowingServer([gone, packed])

    async def use(upstream: Upstream) -> None:
        answer = await upstream.send("GET", "/b/k")
        assert answer.status == 307
        answer.close()
        answer = await upstream.send("GET", "/b/k")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["x-amz-meta-n"] == "\u00c3\u00bc"
        assert "connection" not in answer.headers
        assert await answer.read(10) == b"\x1f\x8bxx"

    run(server, use)


def test_an_upstream_that_is_down_or_too_talkative_is_told_as_such() -> None:
    """Nobody listening, an answer cut short and one above the limit are OutboundErrors without secrets."""
    server = ShowingServer(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"]
    )

    async def use(upstream: Upstream) -> None:
        answer = await upstream.send("GET", "/b/k")
        with pytest.raises(OutboundError):
            await asyncio.wait_for(answer.read(100), 10)
        with pytest.raises(OutboundError, match="more than 3 bytes"):
            await (await upstream.send("GET", "/b/k")).read(3)
        upstream.endpoint = "http://127.0.0.1:1"
        with pytest.raises(OutboundError) as error:
            await upstream.send("GET", "/b/k")
        assert error.value.code == "ServiceUnavailable"
        assert SECRET not in str(error.value)

    run(server, use)
    assert SECRET not in repr(UpstreamSettings("http://x", "r", "K", SECRET))


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("acl", "acl"),
        ("x-id=GetObject&X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Signature=s&X-Amz-Expires=1", "x-id=GetObject"),
        ("x%2Damz%2Dsignature=s&versionId=1", "versionId=1"),
        ("prefix=a+b%2Fc&delimiter=/", "prefix=a%20b%2Fc&delimiter=%2F"),
        ("versionId=a;b", "versionId=a%3Bb"),
        ("versionId=%zz", "versionId=%25zz"),
        ("", ""),
    ],
)
def test_queries_go_on_without_signatures_and_in_one_spelling(sent: str, forwarded: str) -> None:
    """A presigned query's authentication goes; the rest is spelt so that every parser reads what we read."""
    assert forwarded_query(sent) == forwarded


def test_paths_keep_their_bytes() -> None:
    """Spelling changes, what is decoded from it does not."""
    assert canonical_path("/b/a%2fb+c d%C3%BC~") == "/b/a/b%2Bc%20d%C3%BC~"
    assert canonical_path("") == "/"


def test_content_encoding_is_dropped_where_only_the_framing_was_named() -> None:
    """``aws-chunked`` alone leaves no Content-Encoding."""
    assert "content-encoding" not in forwarded_headers({"content-encoding": "aws-chunked"})
