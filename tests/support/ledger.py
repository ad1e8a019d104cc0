"""An upstream that remembers: a process that speaks enough of SQS and writes each change down before it answers.

Run as a script this file is the server. Each change that arrives is noted in ``arrived``; when its effect happens, a
line of ``done`` is flushed to the disk, and only then it is answered. Both survive a kill at any moment, so that they
tell what a client, or a gateway in between, may not know. Before and after the effect lies a pause, at random; or every
change takes its time, for tests that need to know.
"""

import json
import os
import random
import re
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = "123456789012"
CHANGES = frozenset({"CreateQueue", "DeleteQueue", "SendMessage", "TagQueue"})
REFUSED = "refused-"
"""What the name of a queue begins with that this server does not like."""

_CREDENTIAL = re.compile(rf"AWS4-HMAC-SHA256 Credential={ACCOUNT}/\d{{8}}/us-east-1/sqs/aws4_request, ")


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def setup(self) -> None:
        super().setup()
        self.wfile = self.connection.makefile("wb", buffering=1 << 16)  # an answer leaves in one piece

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class has it so
        """Say nothing."""

    def do_POST(self) -> None:
        """Carry out one call."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        event = self.headers["X-Amz-Target"].partition(".")[2]
        if not _CREDENTIAL.match(self.headers["Authorization"]):
            return self._answer(403, {"__type": "InvalidClientTokenId", "message": "not our caller"})
        name = asked.get("QueueName") or asked["QueueUrl"].rpartition("/")[2]
        books = self.server.books
        if event in CHANGES:
            books.note_arrival(event, name)
        books.pause(0.04, is_change=event in CHANGES)
        if name.startswith(REFUSED):
            refusal = {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "not a queue"}
            return self._answer(400, refusal)
        if event in CHANGES:
            books.note_effect(event, name)
        books.pause(0.02)
        return self._answer(200, self._elements(event, name))

    def _elements(self, event: str, name: str) -> Mapping[str, Any]:
        if event == "CreateQueue":
            return {"QueueUrl": f"http://{self.headers['Host']}/{ACCOUNT}/{name}"}
        if event == "SendMessage":
            return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": "d41d8cd98f00b204e9800998ecf8427e"}
        return {"Attributes": {"QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"}} if "Get" in event else {}

    def _answer(self, status: int, elements: Mapping[str, Any]) -> None:
        body = json.dumps(elements).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        if random.random() < 0.75:  # not every server behind a gateway gives its calls an id
            self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class _Books:
    """The two files, and the pauses."""

    def __init__(self, directory: Path, slow_s: float) -> None:
        mode = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._arrived = os.open(directory / "arrived", mode, 0o600)
        self._done = os.open(directory / "done", mode, 0o600)
        self._slow_s = slow_s

    def note_arrival(self, event: str, name: str) -> None:
        os.write(self._arrived, f"{event} {name}\n".encode())

    def note_effect(self, event: str, name: str) -> None:
        os.write(self._done, f"{event} {name}\n".encode())
        os.fsync(self._done)

    def pause(self, limit_s: float, *, is_change: bool = False) -> None:
        """Wait up to a limit, and now and then not at all; where changes are slow, those alone, and as long as set."""
        if self._slow_s and is_change:
            time.sleep(self._slow_s)
        elif not self._slow_s and random.random() < 0.7:
            time.sleep(random.uniform(0, limit_s))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, books: _Books) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.books = books

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of gateways that are gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # as it came


class Ledger:
    """The server as a process of its own, and what it has written down."""

    def __init__(self, directory: Path, *, slow_s: float = 0) -> None:
        """``slow_s``: how long every change takes, in place of pauses at random."""
        directory.mkdir()
        self._directory = directory
        self._slow_s = slow_s
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @property
    def settings(self) -> dict[str, str]:
        """The environment that makes this an upstream of a gateway."""
        return {
            "OPENTRAIL_UPSTREAM_LEDGER_ENDPOINT": f"http://127.0.0.1:{self._port}",
            "OPENTRAIL_UPSTREAM_LEDGER_SERVICES": "sqs",
            "OPENTRAIL_UPSTREAM_LEDGER_CREDENTIALS": "account",
            "OPENTRAIL_LOCAL_MINISTACK": "off",
        }

    def start(self) -> None:
        """Serve; on the port it had before, where it had one."""
        argv = [sys.executable, __file__, str(self._directory), str(self._port), str(self._slow_s)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def arrived(self) -> Counter[tuple[str, str]]:
        """Every change that has reached the server, whatever became of it: event and queue, with how often."""
        return self._read("arrived")

    def done(self) -> Counter[tuple[str, str]]:
        """Every change that has had its effect."""
        return self._read("done")

    def _read(self, name: str) -> Counter[tuple[str, str]]:
        path = self._directory / name
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter((event, queue) for event, queue in (line.split() for line in lines))


if __name__ == "__main__":
    serving = _Server(int(sys.argv[2]), _Books(Path(sys.argv[1]), float(sys.argv[3])))
    print(serving.server_address[1], flush=True)
    serving.serve_forever()
