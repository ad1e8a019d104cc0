"""A server that plays any service from its model: it answers what the test prepared, and keeps what it was sent."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import speaking
from opentrail.errors import ApiError


@dataclass(frozen=True)
class Arrived:
    """One request as it came."""

    head: RequestHead
    body: bytes


@dataclass
class ModelUpstream:
    """The server. ``results`` are answers by (service, operation), results or errors; what is not there is empty."""

    catalogue: Catalogue
    port: int = 0
    results: dict[tuple[str, str], Mapping[str, Any] | ApiError] = field(default_factory=dict)
    arrived: list[Arrived] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def reply(self, arrived: Arrived, request_id: str) -> Reply:
        """The answer to a request, in the protocol that it speaks."""
        scope = arrived.head.headers["authorization"].partition("Credential=")[2].split("/")
        candidates = self.catalogue.candidates(
            target=arrived.head.headers.get("x-amz-target"), signing_name=scope[3], host=arrived.head.host
        )
        for service in candidates:
            wire = speaking(service, arrived.head)
            try:
                operation = service.operation(wire.operation_name(service, arrived.head, arrived.body))
            except ApiError:
                continue
            result = self.results.get((service.name, operation.name), {})
            if isinstance(result, ApiError):
                return wire.serialise_error(service, result, request_id)
            return wire.serialise(operation, result, request_id)
        return Reply(404, {"content-type": "text/plain"}, b"no such operation")


@contextmanager
def running_model_upstream(catalogue: Catalogue) -> Iterator[ModelUpstream]:
    """Run the server on a free port until the block ends."""
    upstream = ModelUpstream(catalogue)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            """Whatever method it is."""
            announced = int(self.headers.get("content-length", 0))
            body = self.rfile.read(announced)
            if len(body) < announced:  # the request was broken off, so it was none
                self.close_connection = True
                return
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            arrived = Arrived(RequestHead(self.command, path, query, headers), body)
            upstream.arrived.append(arrived)
            reply = upstream.reply(arrived, f"upstream-{len(upstream.arrived)}")
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_any  # noqa: N815 - the library's names

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    upstream.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
