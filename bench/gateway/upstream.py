"""A server behind the proxies that costs next to nothing: DynamoDB's two answers, always the same, from memory.

python -m bench.gateway.upstream PORT
"""

import asyncio
import sys
from typing import cast

import httptools
import uvloop

_ITEM = (
    b'{"Item":{"id":{"S":"order-0001"},"customer":{"S":"c-77812"},"total":{"N":"129.90"},'
    b'"lines":{"L":[{"S":"2 x lamp"},{"S":"1 x desk"}]},"state":{"S":"PAID"}}}'
)
_ANSWERS = {"GetItem": _ITEM, "PutItem": b"{}"}


def _answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = (
        b"HTTP/1.1 " + status + b"\r\ncontent-type: application/x-amz-json-1.0\r\n"
        b"x-amzn-requestid: HBV7TKO2QF4L1N0A3CDPBG6RJNVV4KQNSO5AEMVJF66Q9ASUAAJG\r\nx-amz-crc32: 2745614147\r\n"
    )
    return head + f"content-length: {len(body)}\r\n\r\n".encode() + body


_READY = {f"DynamoDB_20120810.{name}".encode(): _answer(body) for name, body in _ANSWERS.items()}
_UNKNOWN = _answer(b'{"__type":"UnknownOperationException"}', b"400 Bad Request")


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._answer = _UNKNOWN

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amz-target":
            self._answer = _READY.get(value, _UNKNOWN)

    def on_message_complete(self) -> None:
        self._transport.write(self._answer)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
