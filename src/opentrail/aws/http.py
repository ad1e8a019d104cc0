"""HTTP as values: what a request's head says, and what a reply consists of. No sockets here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TlsDetails:
    """What a TLS handshake agreed on, in CloudTrail's spelling (``TLSv1.3``, ``TLS_AES_128_GCM_SHA256``)."""

    version: str
    cipher_suite: str


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The first line and the headers of one request, as they were on the wire.

    ``path`` and ``query`` are raw (still percent-encoded; the query without its question mark). Header names are lower
    case; a header sent more than once has its values joined by a comma, in order. Values are Latin-1 text.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    peer: str = "127.0.0.1"
    tls: TlsDetails | None = None

    @property
    def host(self) -> str:
        """The Host header, with its port if it has one; empty where the client sent none."""
        return self.headers.get("host", "")


def folded(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers, with names in lower case, as ``RequestHead`` has them."""
    found: dict[str, str] = {}
    for name, value in headers:
        text = name.decode("latin-1")
        found[text] = f"{found[text]},{value.decode('latin-1')}" if text in found else value.decode("latin-1")
    return found


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, body included."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
