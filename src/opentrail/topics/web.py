"""Deliveries over HTTP and HTTPS.

Rules. One POST per attempt, with 15 seconds for all of it (SNS Developer Guide, "Amazon SNS message delivery to HTTPS
endpoints"). No redirect is followed. The name is resolved once and the connection made to the address that was looked
at: link-local, metadata and multicast addresses are refused, and so is our own endpoint. 4xx but 429 is final, all
else that is not 2xx is tried again.
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Timer
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from opentrail.errors import OutboundError
from opentrail.topics.parcels import Parcel

TIMEOUT_S = 15.0
USER_AGENT = "Amazon Simple Notification Service Agent"
_ANSWER_BYTES_MAX = 64 * 1024
_PORTS = {"http": 80, "https": 443}

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Limits:
    """Where deliveries may not go. ``own_port``: our endpoint's; ``own_hosts``: its names and addresses."""

    blocked: tuple[Network, ...] = ()
    own_port: int = 0
    own_hosts: frozenset[str] = frozenset()

    def refusal(self, host: str, port: int, address: Address) -> str | None:
        """Why nothing is sent to an address; None where it may be."""
        plain = (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
        if plain.is_multicast or plain.is_unspecified:
            return "the address is no host's"
        if any(plain.version == network.version and plain in network for network in self.blocked):
            return "the address is in a blocked network"
        if port == self.own_port and (plain.is_loopback or {host.lower(), str(plain)} & self.own_hosts):
            return "the address is our own"
        return None


class WebSender:
    """POSTs parcels."""

    def __init__(self, limits: Limits, *, ca_file: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """``ca_file``: certificate authorities (PEM) that subscribers' certificates may be of, besides the system's.

        Raises OSError where it cannot be read.
        """
        self._limits = limits
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()
        if ca_file:
            self._tls.load_verify_locations(ca_file)

    def send(self, parcel: Parcel) -> None:
        """Deliver one parcel. Raises OutboundError."""
        parts = urlsplit(parcel.endpoint)
        connection = _Pinned(parts, self._address(parts), self._timeout_s, self._tls)
        alarm: Timer | None = None
        try:
            connection.connect()
            # The socket's own timeout is for each wait; this one is for all of them, whatever the other side drips.
            alarm = Timer(self._timeout_s, connection.cut)
            alarm.daemon = True
            alarm.start()
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            headers = {"Content-Type": "text/plain; charset=UTF-8", "User-Agent": USER_AGENT, **parcel.headers}
            body = parcel.text.encode("utf-8", "surrogatepass")
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            response.read(_ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise OutboundError("Unreachable", f"{parts.hostname}: {type(problem).__name__}") from problem
        finally:
            if alarm is not None:
                alarm.cancel()
            connection.close()
        _check(response.status, parts)

    def _address(self, parts: SplitResult) -> tuple[str, int]:
        """The address to connect to. Raises OutboundError where the name has none, or none that may be used."""
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as problem:
            raise OutboundError("UnknownHost", f"{host} cannot be resolved") from problem
        addresses = _addresses(found)
        for address in addresses:
            reason = self._limits.refusal(host, port, address)
            if reason is not None:
                raise OutboundError("BlockedAddress", f"{host}: {reason}", retryable=False)
        if not addresses:
            raise OutboundError("UnknownHost", f"{host} has no address")
        return str(addresses[0]), port


class _Pinned(http.client.HTTPConnection):
    """A connection to an address, under the name that it was looked up by."""

    def __init__(self, parts: SplitResult, address: tuple[str, int], timeout_s: float, tls: ssl.SSLContext) -> None:
        super().__init__(parts.hostname or "", parts.port or _PORTS[parts.scheme], timeout=timeout_s)
        self._address = address
        self._tls = tls if parts.scheme == "https" else None
        self.default_port = _PORTS[parts.scheme]

    def connect(self) -> None:
        """Connect, and shake hands under the name."""
        self.sock = socket.create_connection(self._address, self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """Wake whoever waits for the other side."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass  # it ended by itself


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from CIDR blocks and addresses. Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _addresses(found: Sequence[tuple[object, ...]]) -> list[Address]:
    texts = [str(entry[4][0]).partition("%")[0] for entry in found]  # type: ignore[index] # socket's own tuples
    return [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]


def _check(status: int, parts: SplitResult) -> None:
    if 200 <= status < 300:
        return
    final = 400 <= status < 500 and status != 429
    raise OutboundError(str(status), f"{parts.hostname} answered {status}", retryable=not final)
