"""The callers: so many connections, each with one signed request under way at a time, for a bounded while.

Requests are made and signed by botocore beforehand; a signature is good for minutes (its clock skew allowance), and a
run is shorter. Any answer but 200 ends the run: errors must not be measured.
"""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, cast

import uvloop
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS_KEY_ID, SECRET_ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
TABLE = "orders"
CREATE_TABLE = {
    "TableName": TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}

_USER_AGENT = (
    "Boto3/1.44.3 md/Botocore#1.44.3 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.7 cfg/retry-mode#legacy"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_OVERTIME_S = 10.0
_ITEMS = 64


def request_of(port: int, operation: str, parameters: dict[str, Any]) -> bytes:
    """The bytes of one DynamoDB call to a server on this machine, as boto3 sends it."""
    body = json.dumps(parameters).encode()
    headers = {
        "Host": f"127.0.0.1:{port}",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
        "User-Agent": _USER_AGENT,
        "Accept-Encoding": "identity",
        "amz-sdk-invocation-id": "6f3f0f5b-95ad-4d43-a3a5-5f0b4a7c2f9d",
        "amz-sdk-request": "attempt=1",
    }
    request: Any = AWSRequest("POST", f"http://127.0.0.1:{port}/", headers, body)
    SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "dynamodb", REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST / HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def requests_of(port: int, operation: str) -> list[bytes]:
    """Calls of one operation, for different items."""
    found = []
    for number in range(_ITEMS):
        key = {"id": {"S": f"order-{number:04}"}}
        rest = {
            "customer": {"S": "c-77812"},
            "total": {"N": "129.90"},
            "lines": {"L": [{"S": "2 x lamp"}, {"S": "1 x desk"}]},
            "state": {"S": "PAID"},
        }
        parameters = {"Item": key | rest} if operation == "PutItem" else {"Key": key}
        found.append(request_of(port, operation, {"TableName": TABLE, **parameters}))
    return found


@dataclass
class Load:
    """What was sent, and how long each answer took."""

    requests: Sequence[bytes]
    until_s: float
    latencies_s: list[float] = field(default_factory=list)
    sent: int = 0

    def next_request(self) -> bytes | None:
        """What to send next; None when the time is over."""
        if time.perf_counter() >= self.until_s:
            return None
        self.sent += 1
        return self.requests[self.sent % len(self.requests)]


class _Connection(asyncio.Protocol):
    """One caller."""

    def __init__(self, load: Load) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._load = load
        self._received = b""
        self._sent_at_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received = data = self._received + data if self._received else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(data, 0, end + 2)
        if data[9:12] != b"200" or length is None:
            self._end(RuntimeError(f"not an answer to measure: {data[:600]!r}"))
        elif len(data) >= end + 4 + int(length[1]):
            self._load.latencies_s.append(time.perf_counter() - self._sent_at_s)
            self._received = b""
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or RuntimeError("the server closed a connection"))

    def _send(self) -> None:
        request = self._load.next_request()
        if request is None:
            self._end(None)
            return
        self._sent_at_s = time.perf_counter()
        self._transport.write(request)

    def _end(self, problem: Exception | None) -> None:
        if self.done.done():
            return
        if problem is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(problem)
        self._transport.close()


@dataclass(frozen=True, slots=True)
class Measured:
    """One while of load."""

    answers: int
    answers_per_s: float
    p50_us: float


def drive(port: int, requests: Sequence[bytes], *, connections: int, duration_s: float) -> Measured:
    """Load one server. Raises RuntimeError where an answer is not 200, TimeoutError where answers stay out."""
    return uvloop.run(_drive(port, requests, connections, duration_s))


async def _drive(port: int, requests: Sequence[bytes], connections: int, duration_s: float) -> Measured:
    loop = asyncio.get_running_loop()
    began_s = time.perf_counter()
    load = Load(requests, began_s + duration_s)
    made = [await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port) for _ in range(connections)]
    async with asyncio.timeout(duration_s + _OVERTIME_S):
        await asyncio.gather(*(connection.done for _, connection in made))
    took_s, latencies = time.perf_counter() - began_s, load.latencies_s
    return Measured(len(latencies), len(latencies) / took_s, median(latencies) * 1e6)
