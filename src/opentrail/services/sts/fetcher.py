"""Small documents from the web: HTTP GET with a bound on everything, and no redirects."""

import http.client
import socket
import ssl
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from opentrail.errors import OutboundError

TIMEOUT_S = 5.0
MAX_BYTES = 256 * 1024


class HttpFetcher:
    """Gets documents over HTTPS (certificates are verified) or, where the URL says so, HTTP."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, max_bytes: int = MAX_BYTES, ca_file: str | None = None) -> None:
        """``ca_file``: certificate authorities (PEM) to trust instead of the system's."""
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._tls = ssl.create_default_context(cafile=ca_file)

    def get(self, url: str) -> bytes:
        """The document at a URL. Raises OutboundError for anything but a 200 that is small and in time."""
        parts = _split(url)
        connection = self._connection(parts)
        alarm = None
        try:
            connection.connect()
            # The socket's own timeout is for each wait; this one is for all of them, whatever the other side drips.
            alarm = Timer(self._timeout_s, _cut, [connection.sock])
            alarm.daemon = True
            alarm.start()
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Accept": "application/json", "User-Agent": "opentrail"})
            response = connection.getresponse()
            body = response.read(self._max_bytes + 1)
            if response.status != 200:
                raise OutboundError(str(response.status), f"{parts.hostname} answered {response.status}")
            if len(body) > self._max_bytes:
                raise OutboundError("TooLarge", f"{parts.hostname} answered more than {self._max_bytes} bytes")
            if response.length:
                raise OutboundError("Incomplete", f"{parts.hostname} did not answer in {self._timeout_s} s")
            return body
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise OutboundError("Unreachable", f"{parts.hostname} cannot be asked: {type(problem).__name__}") from None
        finally:
            if alarm is not None:
                alarm.cancel()
            connection.close()

    def _connection(self, parts: SplitResult) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, parts.port, timeout=self._timeout_s, context=self._tls)
        return http.client.HTTPConnection(host, parts.port, timeout=self._timeout_s)


def _cut(waiting: socket.socket) -> None:
    """Wake whoever waits for the other side."""
    try:
        waiting.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it ended by itself


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise OutboundError("InvalidUrl", "not an address that can be asked", retryable=False)
    return parts
