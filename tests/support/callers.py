"""Clients that call a gateway without retries, each call with a mark of its own, and remember what they saw.

Every call's mark stands in parameters that its event record shows: the name of a queue, the key of an object. A call is
known by its event name and its mark. Half of the calls go to SQS, half to S3; most change something, some only read,
some are refused by the server behind the gateway.
"""

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.gateway import Gateway
from tests.support.ledger import ACCOUNT, CHANGES, REFUSED

BUCKET = "kept"
"""The bucket for the objects of these calls."""

STREAMED_BYTES = 3 << 19
"""More than the gateway reads before it sends an object on: it passes through while it comes."""

Name = tuple[str, str]
"""What a call is known by: its event name and its mark."""

_REFUSED_PAUSE_S = 0.02


@dataclass(frozen=True)
class Request:
    """A call as it will be signed and sent."""

    event: str
    mark: str
    read_only: bool
    service: str
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> Name:
        """What it is known by."""
        return self.event, self.mark


@dataclass(frozen=True)
class Reply:
    """The head of an answer: all that matters of it."""

    status: int
    request_id: str | None


@dataclass
class Seen:
    """What became of a call, as its client knows it; no reply: the connection broke, or was never made."""

    request: Request
    reply: Reply | None = None


def fresh_mark() -> str:
    """A mark that no other call has."""
    return f"m{uuid.uuid4().hex}"


def sqs(event: str, mark: str, padding: str = "") -> Request:
    """A call about the queue that is called as the mark says."""
    parameters: dict[str, object] = {"QueueUrl": f"http://sqs.example/{ACCOUNT}/{mark}"}
    if event == "CreateQueue":
        parameters = {"QueueName": mark}
    elif event == "SendMessage":
        parameters["MessageBody"] = "content"
    elif event == "TagQueue":
        parameters["Tags"] = {"mark": mark}
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"AmazonSQS.{event}",
        "User-Agent": f"callers{padding}",
    }
    return Request(event, mark, event not in CHANGES, "sqs", "POST", "/", json.dumps(parameters).encode(), headers)


def s3(event: str, mark: str, padding: str = "", *, body_bytes: int = 20) -> Request:
    """A call about the object whose key the mark is; ``body_bytes``: the size of what is put."""
    method = event.removesuffix("Object").upper()
    body = bytes(body_bytes) if event == "PutObject" else b""
    headers = {"User-Agent": f"callers{padding}"}
    return Request(event, mark, method in ("GET", "HEAD"), "s3", method, f"/{BUCKET}/{mark}", body, headers)


def signed(gateway: Gateway, request: Request) -> dict[str, str]:
    """The headers of a request, with its signature."""
    unsigned = AWSRequest(request.method, f"{gateway.url}{request.path}", dict(request.headers), request.body)
    signer = S3SigV4Auth if request.service == "s3" else SigV4Auth
    root = Credentials(gateway.root.access_key_id, gateway.root.secret_access_key)
    signer(root, request.service, "us-east-1").add_auth(unsigned)
    return dict(unsigned.headers)


def connect(gateway: Gateway) -> http.client.HTTPConnection:
    """A connection to a gateway, made when first used."""
    where = urlsplit(gateway.url)
    return http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)


def send(gateway: Gateway, request: Request, connection: http.client.HTTPConnection) -> Reply:
    """Send a call exactly once. Raises OSError or HTTPException where no answer came."""
    connection.request(request.method, request.path, request.body, signed(gateway, request))
    answer = connection.getresponse()
    request_id = answer.headers["x-amzn-requestid"] or answer.headers["x-amz-request-id"]
    with suppress(OSError, http.client.HTTPException):  # its head was seen, which is what counts
        answer.read()
        return Reply(answer.status, request_id)
    connection.close()
    return Reply(answer.status, request_id)


class Callers:
    """Many clients at a time, against a gateway that may be another process from one moment to the next."""

    def __init__(self, gateway: Gateway, count: int, *, padding: str = "") -> None:
        """``padding`` makes each record that much longer."""
        self.seen: dict[Name, Seen] = {}
        self._gateway = gateway
        self._padding = padding
        self._answered: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def use(self, gateway: Gateway) -> None:
        """Call this one from now on."""
        with self._changed:
            self._gateway = gateway
            self._changed.notify_all()

    def wait_for_calls(self, count: int, timeout_s: float = 60) -> None:
        """Return when so many more calls have been answered."""
        goal, deadline = self.answered.total() + count, time.monotonic() + timeout_s
        while self.answered.total() < goal:
            assert time.monotonic() < deadline, "the callers are not served"
            time.sleep(0.005)

    @property
    def answered(self) -> Counter[int]:
        """How many calls have been answered with which status."""
        with self._lock:
            return self._answered.copy()

    def stop(self) -> None:
        """Return when every client has finished its last call."""
        self._stopping.set()
        self.use(self._gateway)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        chance = random.Random()
        mine: list[str] = []
        gateway, connection = self._gateway, connect(self._gateway)
        while not self._stopping.is_set():
            if gateway is not self._gateway:
                connection.close()
                gateway, connection = self._gateway, connect(self._gateway)
            request = self._choose(chance, mine)
            seen = self.seen.setdefault(request.name, Seen(request))
            try:
                seen.reply = send(gateway, request, connection)
            except ConnectionRefusedError:
                del self.seen[request.name]  # never sent: a record of it would be an invention
                self._wait_for_another(gateway)
            except (OSError, http.client.HTTPException):
                connection.close()
            if seen.reply is not None:
                self._note(seen.reply)
                if seen.reply.status < 300 and request.event == "PutObject":
                    mine.append(request.mark)
        connection.close()

    def _note(self, reply: Reply) -> None:
        with self._lock:
            self._answered[reply.status] += 1
        if reply.status >= 500:
            time.sleep(_REFUSED_PAUSE_S)

    def _wait_for_another(self, gateway: Gateway) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping.is_set() or gateway is not self._gateway, 60)

    def _choose(self, chance: random.Random, mine: list[str]) -> Request:
        mark = fresh_mark()
        if chance.random() < 0.5:
            event = chance.choice((*sorted(CHANGES), "CreateQueue", "GetQueueAttributes"))
            return sqs(event, f"{REFUSED}{mark}" if chance.random() < 0.05 else mark, self._padding)
        if mine and chance.random() < 0.2:
            return s3("DeleteObject", mine.pop(), self._padding)
        if chance.random() < 0.15:
            return s3("GetObject", mark, self._padding)
        return s3("PutObject", mark, self._padding, body_bytes=STREAMED_BYTES if chance.random() < 0.1 else 20)
