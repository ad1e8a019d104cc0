"""The door itself: who calls, which server, whether the signature holds, and the engine's answer in Chef's form.

Rules: opsworks-cm fact sheet 12.6. Every request is checked against the key that the engine has for its signer at that
moment, so a revoked key opens nothing from then on. Bodies are whole and bounded; nothing of them is in any log.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import rsa

from opentrail.aws.http import Reply
from opentrail.clock import Clock
from opentrail.errors import OutboundError
from opentrail.opsworks.engine import Engine, EngineCall
from opentrail.opsworks.front import translation
from opentrail.opsworks.front.file_links import FileLinks
from opentrail.opsworks.front.places import Places
from opentrail.opsworks.front.refusal import JSON_TYPE, ChefRefusal
from opentrail.opsworks.front.routes import Kind, Route, check_api_version, find_route
from opentrail.opsworks.front.signatures import (
    Claim,
    check_content,
    check_freshness,
    is_signed_by,
    read_claim,
    rsa_public_key,
)
from opentrail.opsworks.goiardi_api import ADMIN
from opentrail.opsworks.server import Server, ServerStatus

RETRY_AFTER_S = 30
_IMPERSONATION = "x-ops-request-source"
_PASSED_ON = frozenset({"accept", "content-type", "content-md5", "x-chef-version", "x-ops-reporting-protocol-version"})
_CLOSED: Mapping[ServerStatus, str] = {
    ServerStatus.CREATING: "is being created",
    ServerStatus.SETUP: "is being set up",
    ServerStatus.RESTORING: "is being restored",
    ServerStatus.UNDER_MAINTENANCE: "is under maintenance",
    ServerStatus.DELETING: "is being deleted",
    ServerStatus.FAILED: "could not be created",
    ServerStatus.TERMINATED: "is not running",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChefRequest:
    """The head of a client's request: raw path and query, headers with names in lower case, and the port it came to."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    local_port: int = 0
    peer: str = ""

    @property
    def claimed_name(self) -> str:
        """Who says that it is theirs, for the log; not believed."""
        return self.headers.get("x-ops-userid", "-")[:80]


class ChefDoor:
    """Answers Chef's API for every server; ``scheme`` is that of the URLs in its answers."""

    def __init__(
        self, engine: Engine, places: Places, links: FileLinks, clock: Clock, *, scheme: str = "https"
    ) -> None:
        self._engine = engine
        self._places = places
        self._links = links
        self._clock = clock
        self._scheme = scheme
        self._nobody = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()

    def route(self, request: ChefRequest) -> Route:
        """What a request's head asks for, before its body is read. Raises ChefRefusal, also for a head that cannot be
        that of a signed request.
        """
        check_api_version(request.headers)
        route = find_route(request.method, request.path)
        if route.is_signed:
            check_freshness(read_claim(request.headers), self._clock.now())
        return route

    def admit_to_file(self, request: ChefRequest, route: Route) -> Server:
        """The server of a cookbook file, for whoever has a link to it. Raises ChefRefusal."""
        server, now_s = self._server(request), int(self._clock.now().timestamp())
        if not self._links.allows(request.query, server.server_id, route.last, now_s, writes=request.method == "PUT"):
            raise ChefRefusal(HTTPStatus.FORBIDDEN, "This link is not, or no longer, one to this file")
        return server

    def answer(self, request: ChefRequest, route: Route, body: bytes) -> Reply:
        """The answer to a whole request. Raises ChefRefusal; blocks while the engine works."""
        if route.kind is Kind.STATUS:
            return translation.status()
        if route.kind is Kind.FILE:
            return self._file(request, route, self.admit_to_file(request, route), body)
        server = self._server(request)
        if _IMPERSONATION in request.headers:
            _log.warning("%s asked for another's name in vain at the Chef server %s", request.peer, server.name)
        actor = self._authenticated(request, server, body)
        base_url = self._base_url(request, server)
        if route.kind is Kind.ORGANIZATIONS:
            return translation.organizations(base_url)
        if route.kind is Kind.ORGANIZATION:
            return translation.organization(server.server_id)
        return self._passed_on(request, route, server, actor, body)

    def _passed_on(self, request: ChefRequest, route: Route, server: Server, actor: str, body: bytes) -> Reply:
        version = check_api_version(request.headers)
        engine_body = translation.engine_body(route, body, version)
        self._check_name(request.method, route, server, engine_body)
        headers = _passed_on(request.headers)
        call = EngineCall(request.method, route.path, actor, request.query, headers, engine_body)
        base_url = self._base_url(request, server)
        reply = translation.client_reply(route, self._asked(server, call), base_url, version)
        now_s = int(self._clock.now().timestamp())
        own = translation.with_own_urls(route, reply.body, base_url, server.server_id, self._links, now_s)
        return Reply(reply.status, reply.headers, own)

    def _check_name(self, method: str, route: Route, server: Server, body: bytes) -> None:
        """Refuse a user the name of a client, and the other way round: the engine lets a user have it, and then takes
        the client's signature for the user's.
        """
        place = translation.name_taken_by(method, route, body)
        if place is None:
            return
        reply = self._asked(server, EngineCall("GET", place, ADMIN, headers={"accept": "application/json"}))
        if reply.status != HTTPStatus.NOT_FOUND:
            raise ChefRefusal(HTTPStatus.CONFLICT, "The name is taken: users and clients share their names")

    def _file(self, request: ChefRequest, route: Route, server: Server, body: bytes) -> Reply:
        return self._asked(server, EngineCall(request.method, route.path, None, "", _passed_on(request.headers), body))

    def _server(self, request: ChefRequest) -> Server:
        server = self._places.server_at(request.headers.get("host", ""), request.local_port)
        if server is None:
            raise ChefRefusal(HTTPStatus.NOT_FOUND, "There is no Chef server at this address")
        if server.status in _CLOSED:
            text = f"The Chef server {server.name} {_CLOSED[server.status]}"
            raise ChefRefusal(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_AFTER_S)
        return server

    def _authenticated(self, request: ChefRequest, server: Server, body: bytes) -> str:
        """The name of whoever signed. Time and content come first: they cost nobody anything to check."""
        claim = read_claim(request.headers)
        check_freshness(claim, self._clock.now())
        check_content(claim, body)
        key = self._public_key(server, claim)
        holds = is_signed_by(claim, request.method, request.path, key or self._nobody)
        if key is None or not holds:
            text = f"Invalid signature for user or client '{claim.user}'"
            raise ChefRefusal(HTTPStatus.UNAUTHORIZED, text)
        return claim.user

    def _public_key(self, server: Server, claim: Claim) -> rsa.RSAPublicKey | None:
        """The key that the engine has for a name right now."""
        path = f"/principals/{quote(claim.user, safe='')}"
        reply = self._asked(server, EngineCall("GET", path, ADMIN, headers={"accept": "application/json"}))
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        principal = translation.principal_of(reply)
        if principal is None or principal[0] != claim.user:
            raise ChefRefusal(HTTPStatus.BAD_GATEWAY, "The Chef engine does not say whose keys it has")
        return rsa_public_key(principal[1])

    def _asked(self, server: Server, call: EngineCall) -> Reply:
        try:
            return self._engine.call(server.server_id, call)
        except OutboundError as error:
            _log.warning("Chef server %s did not answer: %s", server.name, error)
            text = f"The Chef server {server.name} cannot answer at the moment"
            raise ChefRefusal(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_AFTER_S) from error

    def _base_url(self, request: ChefRequest, server: Server) -> str:
        """The URL that this client reaches the server by: the custom domain where it used it, else the endpoint."""
        host = request.headers.get("host", "")
        is_custom = server.custom_domain is not None and host.partition(":")[0].lower() == server.custom_domain.lower()
        return f"{self._scheme}://{host if is_custom else server.endpoint}"


def failure() -> Reply:
    """The answer to a request that we failed at."""
    return Reply(int(HTTPStatus.INTERNAL_SERVER_ERROR), JSON_TYPE, b'{"error":["Internal server error"]}')


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _PASSED_ON}
