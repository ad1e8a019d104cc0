"""Endpoints: the ``host`` or ``host:port`` under which a server's clients reach it, and how a new one is chosen.

Pure but for the choice of a port, which is handed in. Decision 0016. With a domain, endpoints are names below it;
without one, each server has a port of its own on 127.0.0.1, which every client reaches without DNS.
"""

from collections.abc import Callable
from dataclasses import dataclass

from opentrail.clock import Entropy
from opentrail.opsworks.server import Server, new_endpoint

HTTPS_PORT = 443
LOCAL_HOST = "127.0.0.1"
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """An endpoint taken apart."""

    host: str
    port: int = HTTPS_PORT

    @classmethod
    def of(cls, endpoint: str) -> "Address":
        """The address of an endpoint or Host header; the port is 443 where it names none or nonsense."""
        host, _, port = endpoint.rpartition(":") if ":" in endpoint else (endpoint, "", "")
        is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= _HIGHEST_PORT
        return cls(host.lower().rstrip("."), int(port) if is_port else HTTPS_PORT)

    @property
    def is_local(self) -> bool:
        """Whether the port alone tells the server."""
        return self.host == LOCAL_HOST

    def __str__(self) -> str:
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"


def client_url(server: Server, scheme: str) -> str:
    """The URL, without a path, that a server's clients are given: its custom domain, where it has one."""
    if server.custom_domain is None:
        return f"{scheme}://{server.endpoint}"
    return f"{scheme}://{Address(server.custom_domain, Address.of(server.endpoint).port)}"


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """How new servers get their endpoints: below ``domain`` at ``port``, or, without a domain, at a port of their own,
    which ``choose_port`` picks. ``fixed`` is that of an engine whose clients go there directly.
    """

    domain: str = ""
    port: int = HTTPS_PORT
    choose_port: Callable[[], int] | None = None
    fixed: str = ""

    def new(self, name: str, region: str, entropy: Entropy) -> str:
        """The endpoint of a new server. Raises OSError where no port is free."""
        if self.fixed:
            return self.fixed
        if self.domain or self.choose_port is None:
            return str(Address(new_endpoint(name, region, self.domain, entropy), self.port))
        return str(Address(LOCAL_HOST, self.choose_port()))
