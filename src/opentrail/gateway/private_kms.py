"""KMS for the object store behind us: what encrypts and decrypts its objects' data keys, on a loopback port of its own.

Rules. Whether a caller may use a key was decided before, at the S3 door or by the courier; the object store is trusted
with every key, by a key pair that exists only as long as this process. Here only the key's state counts. Nothing is
recorded: the door records what it lets somebody do. It has its own threads, so that it answers whatever the gateway is
busy with, before the gateway's port is served and after.
"""

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentrail.aws.arn import parse_arn
from opentrail.aws.authorization import SignatureProblem, read_authorization
from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Service
from opentrail.aws.protocols import protocol_of
from opentrail.aws.sigv4 import SigningKeys, verify
from opentrail.aws.validate import check
from opentrail.clock import Clock, Entropy
from opentrail.errors import ApiError
from opentrail.gateway.refusals import internal_failure
from opentrail.identity import unique_ids
from opentrail.kms.key import Key
from opentrail.kms.references import parse_reference
from opentrail.kms.store import Keys
from opentrail.kms.vault import Vault, envelope_of

MAX_BODY_BYTES = 64 * 1024
IDLE_S = 60.0
DATA_KEY_BYTES = 32

_LOOPBACK = "127.0.0.1"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The key pair that the object store signs with."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


class PrivateKms:
    """The operations of KMS that an object store calls, for the holder of one key pair."""

    def __init__(self, service: Service, keys: Keys, clock: Clock, entropy: Entropy) -> None:
        """``service`` is KMS's model. Nothing listens until ``start``."""
        self.key = PrivateKey(unique_ids.access_key_id(entropy), unique_ids.secret_access_key(entropy))
        self._service = service
        self._wire = protocol_of(service)
        self._keys = keys
        self._vault = Vault(entropy)
        self._clock = clock
        self._signing_keys = SigningKeys(capacity=16)
        self._server: ThreadingHTTPServer | None = None

    @property
    def endpoint(self) -> str:
        """Where it answers, once started."""
        if self._server is None:
            raise RuntimeError("the private KMS has not been started")
        return f"http://{_LOOPBACK}:{self._server.server_address[1]}"

    def start(self) -> None:
        """Listen on a port of the system's choosing."""
        self._server = ThreadingHTTPServer((_LOOPBACK, 0), _handler(self.answer))
        threading.Thread(target=self._server.serve_forever, name="private-kms", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, head: RequestHead, body: bytes) -> Reply:
        """Answer one request. Never fails."""
        try:
            self._authenticate(head, body)
            name = self._wire.operation_name(self._service, head, body)
            operation = self._service.operation(name)
            request = self._wire.parse(operation, head, body)
            check(operation, request)
            handler = {"GenerateDataKey": self._generate_data_key, "Decrypt": self._decrypt}.get(name)
            if handler is None:
                raise ApiError("NotFoundException", f"{name} is not for the object store")
            return self._wire.serialise(operation, handler(request), "private")
        except ApiError as error:
            return self._wire.serialise_error(self._service, error, "private")
        except Exception:
            log.exception("the private KMS failed")
            return self._wire.serialise_error(self._service, internal_failure(), "private")

    def _authenticate(self, head: RequestHead, body: bytes) -> None:
        refused = ApiError("UnrecognizedClientException", "The security token included in the request is invalid.")
        try:
            authorization = read_authorization(head)
            if authorization is None or authorization.presigned:
                raise refused
            if not hmac.compare_digest(authorization.access_key_id.encode(), self.key.access_key_id.encode()):
                raise refused
            secret, scope = self.key.secret_access_key, authorization.scope
            key = self._signing_keys.get(self.key.access_key_id, secret, scope)
            verify(head, authorization, key, hashlib.sha256(body).hexdigest(), now=self._clock.now())
        except SignatureProblem:
            raise refused from None

    def _generate_data_key(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        key = self._named(request["KeyId"])
        plaintext = self._vault.random(DATA_KEY_BYTES)
        blob = self._vault.seal(key, plaintext, request.get("EncryptionContext") or {})
        return {"CiphertextBlob": blob, "Plaintext": plaintext, "KeyId": key.arn}

    def _decrypt(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        envelope = envelope_of(request.get("CiphertextBlob", b""))
        key = self._keys.snapshot.by_id(envelope.key_id)
        if key is None:
            raise ApiError("NotFoundException", f"Key '{envelope.key_id}' does not exist")
        opened = self._vault.open(key, envelope, request.get("EncryptionContext") or {})
        return {"Plaintext": opened.plaintext, "KeyId": key.arn}

    def _named(self, text: str) -> Key:
        """The key of an ARN, of any account and region: the object store is told nothing else."""
        try:
            arn = parse_arn(text)
            reference = parse_reference(text, account_id=arn.account_id, region=arn.region)
        except ValueError as problem:
            raise ApiError("NotFoundException", str(problem)) from None
        key = self._keys.snapshot.find(reference)
        if key is None:
            raise ApiError("NotFoundException", f"Key '{reference.arn}' does not exist")
        return key


def _handler(answer: Callable[[RequestHead, bytes], Reply]) -> type[BaseHTTPRequestHandler]:
    """Connections that put their requests to ``answer``."""

    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = IDLE_S

        def do_POST(self) -> None:
            """One request with a whole, short body."""
            length = self.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                self.close_connection = True
                self._send(Reply(413))
                return
            body = self.rfile.read(int(length))
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(answer(RequestHead("POST", path, query, headers), body))

        def _send(self, reply: Reply) -> None:
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Nothing: requests are the object store's own."""

    return Connection
