"""A small server that speaks as much S3 and CloudTrail as a validation needs, over objects in memory.

For strangers' tools and for benchmarks: it is a process of its own, fast (httptools), and every answer can be held back
for a round-trip time. Signatures are not checked.
"""

import asyncio
import json
import multiprocessing
import socket
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import httptools

from tests.support.digest_world import Stored

PAGE = 1000


class Answers:
    """What is answered to which request: pure, bytes in and bytes out."""

    def __init__(
        self,
        objects: Mapping[tuple[str, str], Stored],
        public_keys: Sequence[Mapping[str, Any]],
        trails: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._objects = objects
        self._keys: dict[str, list[str]] = {}
        for bucket, key in sorted(objects):
            self._keys.setdefault(bucket, []).append(key)
        listed = [
            {name: _epoch(value) if name.startswith("Validity") else value for name, value in entry.items()}
            for entry in public_keys
        ]
        self._documents = {"ListPublicKeys": {"PublicKeyList": listed}, "DescribeTrails": {"trailList": list(trails)}}

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """The whole answer to a request."""
        if method == "POST":
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            return _message(200, json.dumps(self._documents[operation]).encode(), "application/x-amz-json-1.1")
        parts = urlsplit(target)
        bucket, _, key = unquote(parts.path[1:]).partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if key:
            return self._object(bucket, key)
        if "location" in query:
            return _message(200, b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>')
        return self._listing(bucket, query)

    def _object(self, bucket: str, key: str) -> bytes:
        stored = self._objects.get((bucket, key))
        if stored is None:
            return _message(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
        metadata = "".join(f"x-amz-meta-{name}: {value}\r\n" for name, value in stored.metadata.items())
        return _message(200, stored.body, "application/json", metadata + "Content-Encoding: gzip\r\n")

    def _listing(self, bucket: str, query: Mapping[str, str]) -> bytes:
        keys, prefix, delimiter = self._keys.get(bucket, []), query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after") or query.get("marker") or ""
        at = max(
            bisect_right(keys, after), bisect_right(keys, prefix[:-1] + chr(ord(prefix[-1]) - 1) if prefix else "")
        )
        found: list[str] = []
        folders: dict[str, None] = {}
        while at < len(keys) and len(found) < PAGE and keys[at][: len(prefix)] <= prefix:
            key = keys[at]
            at += 1
            if not key.startswith(prefix):
                continue
            folder, slash, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if slash:
                folders[f"{prefix}{folder}{slash}"] = None
            else:
                found.append(key)
        more = at < len(keys) and keys[at].startswith(prefix)
        last = found[-1] if found else ""
        return _message(200, _listing_document(more, last, [self._line(bucket, key) for key in found], list(folders)))

    def _line(self, bucket: str, key: str) -> str:
        stored = self._objects[bucket, key]
        modified = f"{stored.modified_at:%Y-%m-%dT%H:%M:%S.000Z}"
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
            f'<ETag>"x"</ETag><Size>{len(stored.body)}</Size></Contents>'
        )


def _listing_document(more: bool, last: str, lines: list[str], folders: list[str]) -> bytes:
    prefixes = "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders)
    token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
    text = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(lines)}{prefixes}"
    return f"{text}</ListBucketResult>".encode()


def _message(status: int, body: bytes, content_type: str = "application/xml", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} -\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def _epoch(value: str) -> float:
    return datetime.fromisoformat(value).timestamp()


class _Connection(asyncio.Protocol):
    def __init__(self, answers: Answers, delay_s: float) -> None:
        self._answers, self._delay_s = answers, delay_s
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[str, str] = {}
        self._target = ""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target = url.decode()
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_message_complete(self) -> None:
        answer = self._answers.answer(self._parser.get_method().decode(), self._target, self._headers)
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _serve(listener: socket.socket, make: Callable[[], Answers], delay_s: float) -> None:
    async def forever() -> None:
        answers = make()
        server = await asyncio.get_running_loop().create_server(lambda: _Connection(answers, delay_s), sock=listener)
        await server.serve_forever()

    asyncio.run(forever())


@contextmanager
def running_stub(make: Callable[[], Answers], delay_s: float = 0.0) -> Iterator[str]:
    """The server in a process of its own, which makes its answers itself; gives the endpoint."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener, make, delay_s), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.kill()
        process.join()
        listener.close()
