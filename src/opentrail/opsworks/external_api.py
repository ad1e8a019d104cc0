"""Talking to somebody else's Chef Infra or CINC server as one of its users, over HTTPS with signed requests.

TLS is verified. Answers are bounded, redirects are not followed, and no error repeats a body.
"""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import rsa

from opentrail.clock import Clock
from opentrail.errors import OutboundError
from opentrail.opsworks.chef_http import ask, decoded, encoded
from opentrail.opsworks.chef_signature import signed_headers

PIVOTAL = "pivotal"
KEY_NAME = "opsworks-cm"
"""What pivotal's further key is called on servers where users have several."""
TIMEOUT_S = 20.0
LONGEST_ANSWER_BYTES = 4 * 1024 * 1024
_ORGANIZATION = "/organizations/default"
_NO_KEYS = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})


@dataclass(frozen=True, slots=True)
class ExternalServer:
    """Where it is (``host`` or ``host:port``), who we are there, and whom we trust (no ``ca_file``: the system's)."""

    address: str
    user: str
    key: rsa.RSAPrivateKey = field(repr=False)
    ca_file: str = ""


class ExternalApi:
    """The calls that OpsWorks CM makes there."""

    def __init__(self, server: ExternalServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    def problem(self) -> str | None:
        """What is wrong, where a signed look at our own user is not answered with it; None if it is."""
        path = f"/users/{quote(self._server.user, safe='')}"
        try:
            status, answer = self._ask("GET", path)
        except OutboundError as error:
            return error.message
        if status != HTTPStatus.OK:
            return f"GET {path} answered {status}"
        names = (answer.get("username"), answer.get("name")) if isinstance(answer, dict) else ()
        return None if self._server.user in names else f"GET {path} did not answer with that user"

    def set_pivotal_key(self, public_key: str) -> None:
        """Give pivotal this key: a key of its own name beside the others, or, on servers whose users have one key each,
        that one. The key that we sign with ourselves is never replaced. Raises OutboundError.
        """
        key = {"name": KEY_NAME, "public_key": public_key, "expiration_date": "infinity"}
        path = f"/users/{PIVOTAL}/keys"
        status, _ = self._ask("PUT", f"{path}/{KEY_NAME}", key)
        if status == HTTPStatus.NOT_FOUND:
            status, _ = self._ask("POST", path, key)
        if status in _NO_KEYS and self._server.user != PIVOTAL:
            status = self._set_only_key(public_key)
        if status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            raise OutboundError("EngineRefused", f"the external Chef server answered {status} to pivotal's key")

    def client_key(self, name: str) -> str | None:
        """A client's public key; None where there is no such client. Raises OutboundError."""
        path = f"{_path('clients', name)}/keys/default"
        status, answer = self._ask("GET", path)
        if status == HTTPStatus.NOT_FOUND:
            return None
        if status != HTTPStatus.OK or not isinstance(answer, dict):
            raise _refused("GET", path, status)
        return str(answer.get("public_key"))

    def add_client(self, name: str, public_key: str) -> None:
        """Make a plain client with a given public key. Raises OutboundError."""
        path = f"{_ORGANIZATION}/clients"
        status, _ = self._ask("POST", path, {"name": name, "validator": False, "public_key": public_key})
        if status != HTTPStatus.CREATED:
            raise _refused("POST", path, status)

    def remove(self, kind: str, name: str) -> None:
        """Remove one of the ``nodes`` or ``clients``; what is not there is no error. Raises OutboundError."""
        path = _path(kind, name)
        status, _ = self._ask("DELETE", path)
        if status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise _refused("DELETE", path, status)

    def _set_only_key(self, public_key: str) -> int:
        user = {"name": PIVOTAL, "admin": True, "public_key": public_key}
        status, _ = self._ask("PUT", f"/users/{PIVOTAL}", user)
        return status

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, object]:
        content = encoded(body)
        server, now = self._server, self._clock.now()
        headers = dict(signed_headers(method, path, content, user=server.user, key=server.key, at=now))
        headers |= {"Accept": "application/json", "Content-Type": "application/json", "X-Chef-Version": "17.0.0"}
        try:
            context = ssl.create_default_context(cafile=server.ca_file or None)
            connection = http.client.HTTPSConnection(server.address, timeout=TIMEOUT_S, context=context)
        except OSError as error:
            raise OutboundError("EngineTls", f"opsworks.external_ca cannot be used: {type(error).__name__}") from error
        request = (method, path, content, headers)
        response, answer = ask(connection, *request, limit_bytes=LONGEST_ANSWER_BYTES, shown=f"{method} {path}")
        return response.status, decoded(answer)


def _path(kind: str, name: str) -> str:
    return f"{_ORGANIZATION}/{kind}/{quote(name, safe='')}"


def _refused(method: str, path: str, status: int) -> OutboundError:
    is_final = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    text = f"the external Chef server answered {status} to {method} {path}"
    return OutboundError("EngineRefused", text, retryable=not is_final)
