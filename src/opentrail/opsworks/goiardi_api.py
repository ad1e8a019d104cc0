"""Talking to one goiardi as its administrator, over loopback HTTP with signed requests.

Answers are bounded; a password is in a request body only, never in a path, a header or an error.
"""

import http.client
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from opentrail.aws.http import Reply
from opentrail.clock import Clock
from opentrail.errors import OutboundError
from opentrail.opsworks.chef_http import ask, decoded, encoded
from opentrail.opsworks.chef_signature import signed_headers
from opentrail.opsworks.engine import EngineCall
from opentrail.processes.ports import LOOPBACK

ADMIN = "admin"
PIVOTAL = "pivotal"
TIMEOUT_S = 5.0
VALIDATOR = "chef-validator"
WEB_UI = "chef-webui"
OWN_CLIENTS = frozenset({VALIDATOR, WEB_UI})
LONGEST_ANSWER_BYTES = 16 * 1024 * 1024
CALL_TIMEOUT_S = 60.0
LONGEST_PASSED_ON_BYTES = 64 * 1024 * 1024
_HANDED_BACK = frozenset({"content-type", "x-chef-version", "x-ops-api-info"})


class GoiardiApi:
    """One server's API at a port, signed with ``admin.pem``; the file is read at each call, as a new store makes it.

    Calls on others' behalf are signed with the web interface's key, which the engine believes for every actor
    (opsworks-cm fact sheet 12.6); it goes nowhere else.
    """

    def __init__(self, port: int, admin_key_file: Path, clock: Clock) -> None:
        self._port = port
        self._admin_key_file = admin_key_file
        self._webui_key_file = admin_key_file.with_name("chef-webui.pem")
        self._webui_key: rsa.RSAPrivateKey | None = None
        self._clock = clock

    def admin_problem(self) -> str | None:
        """What is wrong, where a signed ``GET /users/admin`` does not answer with the user admin; None if it does.

        The status alone proves nothing: goiardi answers 200 to unknown paths (opsworks-cm fact sheet 12.9).
        """
        try:
            status, answer = self._ask("GET", f"/users/{ADMIN}", None)
        except OutboundError as error:
            return error.message
        if status != http.client.OK:
            return f"GET /users/{ADMIN} answered {status}"
        named = isinstance(answer, dict) and answer.get("name") == ADMIN
        return None if named else f"GET /users/{ADMIN} did not answer with the user {ADMIN}"

    def create_pivotal(self, public_key: str, password: str) -> None:
        """Make the Chef superuser with a given public key. Raises OutboundError."""
        user = {"name": PIVOTAL, "password": password, "admin": True, "public_key": public_key}
        self._change("POST", "/users", user, http.client.CREATED)

    def set_admin_password(self, password: str) -> None:
        """Set the dashboard user's password. Raises OutboundError."""
        user = {"name": ADMIN, "admin": True, "password": password}
        self._change("PUT", f"/users/{ADMIN}", user, http.client.OK)

    def set_pivotal_key(self, public_key: str) -> None:
        """Replace the Chef superuser's public key. Raises OutboundError."""
        user = {"name": PIVOTAL, "admin": True, "public_key": public_key}
        self._change("PUT", f"/users/{PIVOTAL}", user, http.client.OK)

    def client_key(self, name: str) -> str | None:
        """A client's public key; None where there is no such client. Raises OutboundError."""
        path = _path("clients", name)
        status, answer = self._ask("GET", path, None)
        if status == http.client.NOT_FOUND:
            return None
        if status != http.client.OK or not isinstance(answer, dict) or answer.get("name") != name:
            raise _refused("GET", path, status, answer)
        return str(answer.get("public_key"))

    def add_client(self, name: str, public_key: str) -> None:
        """Make a plain client with a given public key. Raises OutboundError."""
        client = {"name": name, "admin": False, "validator": False, "public_key": public_key}
        self._change("POST", "/clients", client, http.client.CREATED)

    def remove(self, kind: str, name: str) -> None:
        """Remove one of the ``nodes`` or ``clients``; what is not there is no error. Raises OutboundError."""
        path = _path(kind, name)
        status, answer = self._ask("DELETE", path, None)
        if status not in {http.client.OK, http.client.NOT_FOUND}:
            raise _refused("DELETE", path, status, answer)

    def put_pivotal(self, public_key: str, password: str) -> None:
        """Give pivotal a public key, and make the user with that password where there is none. Raises OutboundError."""
        status, _ = self._ask("GET", f"/users/{PIVOTAL}", None)
        if status == http.client.NOT_FOUND:
            self.create_pivotal(public_key, password)
            return
        user = {"name": PIVOTAL, "admin": True, "public_key": public_key}
        self._change("PUT", f"/users/{PIVOTAL}", user, http.client.OK)

    def forget_nodes(self) -> None:
        """Delete every node, and every client but goiardi's own. Raises OutboundError."""
        for name in self._names("/nodes"):
            self._change("DELETE", f"/nodes/{quote(name, safe='')}", None, http.client.OK)
        for name in self._names("/clients") - OWN_CLIENTS:
            self._change("DELETE", f"/clients/{quote(name, safe='')}", None, http.client.OK)

    def is_indexed(self) -> bool:
        """Whether a search finds as many nodes as there are. Raises OutboundError."""
        _, answer = self._ask("POST", "/search/node?q=*:*", {"name": ["name"]})
        found = answer.get("total") if isinstance(answer, dict) else None
        return found == len(self._names("/nodes"))

    def reindex(self) -> None:
        """Rebuild the search index in the background, as a crash may have cost its tail. Raises OutboundError."""
        self._change("POST", "/search/reindex", {}, http.client.OK)

    def call(self, call: EngineCall) -> Reply:
        """Pass a call on as its actor. Raises OutboundError, also for an answer of more than 64 MiB."""
        headers = dict(call.headers)
        if call.actor is not None:
            if self._webui_key is None:
                self._webui_key = _key(self._webui_key_file)
            now = self._clock.now()
            headers |= signed_headers(call.method, call.path, call.body, user=call.actor, key=self._webui_key, at=now)
            headers["X-Ops-Request-Source"] = "web"
        target = f"{call.path}?{call.query}" if call.query else call.path
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=CALL_TIMEOUT_S)
        request = (call.method, target, call.body, headers)
        response, body = ask(connection, *request, limit_bytes=LONGEST_PASSED_ON_BYTES + 1, shown=call.method)
        if len(body) > LONGEST_PASSED_ON_BYTES:
            raise OutboundError("AnswerTooLong", "the engine's answer has more than 64 MiB", retryable=False)
        return Reply(response.status, _handed_back(response.getheaders()), body)

    def _names(self, path: str) -> set[str]:
        status, answer = self._ask("GET", path, None)
        if status != http.client.OK or not isinstance(answer, dict):
            raise OutboundError("EngineRefused", f"goiardi answered {status} to GET {path}, without a list")
        return set(answer)

    def _change(self, method: str, path: str, body: dict[str, Any] | None, expected: int) -> None:
        status, answer = self._ask(method, path, body)
        if status != expected:
            raise _refused(method, path, status, answer)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, object]:
        content = encoded(body)
        now = self._clock.now()
        headers = dict(
            signed_headers(method, path.partition("?")[0], content, user=ADMIN, key=self._admin_key(), at=now)
        )
        headers |= {"Accept": "application/json", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=TIMEOUT_S)
        request = (method, path, content, headers)
        response, answer = ask(connection, *request, limit_bytes=LONGEST_ANSWER_BYTES, shown=f"{method} {path}")
        return response.status, decoded(answer)

    def _admin_key(self) -> rsa.RSAPrivateKey:
        return _key(self._admin_key_file)


def _key(file: Path) -> rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise OutboundError("EngineKey", f"{file.name} cannot be read: {type(error).__name__}") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise OutboundError("EngineKey", f"{file.name} is not an RSA key", retryable=False)
    return key


def _handed_back(headers: list[tuple[str, str]]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers if name.lower() in _HANDED_BACK}


def _path(kind: str, name: str) -> str:
    return f"/{kind}/{quote(name, safe='')}"


def _refused(method: str, path: str, status: int, answer: object) -> OutboundError:
    """What goiardi's own fault may be mended by time; what it refused stays refused."""
    reason = str(answer.get("error", ""))[:200] if isinstance(answer, dict) else ""
    text = f"goiardi answered {status} to {method} {path[:100]} {reason}".rstrip()
    return OutboundError("EngineRefused", text, retryable=status >= http.client.INTERNAL_SERVER_ERROR)
