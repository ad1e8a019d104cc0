"""A subscriber of SNS over HTTP or HTTPS, as somebody would write one: it confirms, and verifies every signature."""

import base64
import json
import ssl
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


def verify(envelope: dict[str, Any], certificate_pem: bytes) -> None:
    """Raise InvalidSignature unless the envelope is signed by the certificate's key (SNS Developer Guide)."""
    key = x509.load_pem_x509_certificate(certificate_pem).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    text = "".join(f"{name}\n{envelope[name]}\n" for name in _SIGNED[envelope["Type"]] if name in envelope)
    digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[envelope["SignatureVersion"]]
    key.verify(base64.b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), digest)


def fetch(url: str) -> bytes:
    """What a GET answers."""
    with urllib.request.urlopen(url, timeout=20) as response:
        content: bytes = response.read()
    return content


@dataclass
class Received:
    """One request that came in."""

    headers: dict[str, str]
    body: str


@dataclass
class Subscriber:
    """A web server; ``answer`` gives the status of each delivery. ``certificate`` is what it verifies with, fetched
    once and kept: later messages are verified without asking anybody.
    """

    answer: Callable[[Received], int] = lambda _received: 200
    confirms: bool = True
    certificate: bytes = b""
    received: list[Received] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen; on the same port as before where it was stopped."""
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                found = Received({k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length).decode())
                status = subscriber.take(found)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", f"http://127.0.0.1:{subscriber.port}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be down."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, found: Received) -> int:
        """Verify, confirm, remember."""
        status = self.answer(found)
        if status != 200:
            return status
        if "x-amz-sns-rawdelivery" not in found.headers:
            envelope = json.loads(found.body)
            self.certificate = self.certificate or fetch(envelope["SigningCertURL"])
            verify(envelope, self.certificate)
            if envelope["Type"] == "SubscriptionConfirmation" and self.confirms:
                threading.Thread(target=fetch, args=(envelope["SubscribeURL"],), daemon=True).start()
        self.received.append(found)
        return 200

    def notifications(self) -> list[dict[str, Any]]:
        """The envelopes of the notifications that came in."""
        envelopes = [json.loads(item.body) for item in tuple(self.received)]
        return [envelope for envelope in envelopes if envelope["Type"] == "Notification"]
