"""The client side of the gateway: a server behind us that speaks AWS, called with its own credentials.

Rules. Callers' credentials never reach the upstream and the upstream's never reach a caller. Nothing is decompressed,
no redirect followed, no cookie kept and no request ever sent twice: what may change something is not ours to repeat.
An S3 path goes out in S3's one canonical spelling of the same key, which is what signatures are computed over; every
other path goes out as it came. A body that fails on the way breaks the connection before its last byte, so that the
upstream stores nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes, urlsplit

import aiohttp
from yarl import URL

from opentrail.aws.canonical_request import stamp
from opentrail.aws.sigv4 import UNSIGNED_PAYLOAD, Scope, SigningKeys, sign
from opentrail.clock import Clock
from opentrail.errors import OutboundError
from opentrail.events.s3 import query_pairs

HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
_NEVER_FORWARDED = HOP_BY_HOP | {
    *("authorization", "x-amz-security-token", "x-amz-date", "x-amz-content-sha256", "date", "host", "expect"),
    *("content-length", "accept-encoding", "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"),
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "cookie"),
}
_AUTHENTICATION_PARAMETERS = frozenset(
    {
        *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders"),
        *("x-amz-signature", "x-amz-security-token", "x-amz-content-sha256"),
        *("awsaccesskeyid", "signature", "expires"),
    }
)
_S3 = "s3"
_MAX_LINE_BYTES = 64 * 1024
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Where a server is and how to sign for it. The secret is not shown by ``repr``.

    ``region`` empty: the one that the caller signed for. ``access_key_id`` empty: the caller's account id stands for
    it, as emulators expect.
    """

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 120.0
    max_connections: int = 256


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is signed for: a service (its signing name), the caller's region and account."""

    service: str = _S3
    region: str = "us-east-1"
    account_id: str = ""


class NoAnswer(OutboundError):
    """No answer came. ``may_have_acted``: the request may have been read, so that it may have had its effect."""

    def __init__(self, code: str, message: str, *, may_have_acted: bool) -> None:
        super().__init__(code, message)
        self.may_have_acted = may_have_acted


@dataclass(frozen=True, slots=True)
class Payload:
    """A body to send: whole, or in pieces that add up to ``size_bytes`` (as sent, framing included)."""

    pieces: bytes | AsyncIterator[bytes]
    size_bytes: int
    form: str = UNSIGNED_PAYLOAD


NOTHING = Payload(b"", 0)
_TO_S3 = Target()


class UpstreamAnswer:
    """An answer whose head has arrived. Header names are lower case; ``close`` it, whatever happens."""

    def __init__(self, response: aiohttp.ClientResponse, closed: Callable[[], None]) -> None:
        """``closed`` is called once, when the answer needs its connection no longer."""
        self._response = response
        self._closed: Callable[[], None] | None = closed
        self.status = response.status
        self.headers: dict[str, str] = {}
        for name, value in response.headers.items():
            lower, text = name.lower(), _as_latin1(value)
            if lower not in HOP_BY_HOP:
                self.headers[lower] = f"{self.headers[lower]},{text}" if lower in self.headers else text

    def __aiter__(self) -> "UpstreamAnswer":
        return self

    async def __anext__(self) -> bytes:
        """The next piece of the body as it arrives. Raises OutboundError where the upstream goes away."""
        try:
            piece = await self._response.content.read(_PIECE_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.close()
            raise _unreachable(error) from error
        if not piece:
            self.close()
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Be done with the answer, read to its end or not."""
        self.close()

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body. Raises OutboundError where it is larger than the limit or ends early."""
        found = bytearray()
        async for piece in self:
            found += piece
            if len(found) > limit_bytes:
                self.close()
                raise OutboundError("ResponseTooLarge", f"the upstream answered more than {limit_bytes} bytes")
        return bytes(found)

    def close(self) -> None:
        """Give the connection back; it is closed instead where part of the answer has not been read."""
        if self._closed is not None:
            self._closed()
            self._closed = None
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Upstream:
    """One server. ``endpoint`` may change while we run: a restarted server can come back on another port.

    For metrics: ``in_flight`` calls have no whole answer yet, ``errors`` got none, ``is_up`` tells of the last one.
    """

    def __init__(self, settings: UpstreamSettings, clock: Clock) -> None:
        self.endpoint = settings.endpoint
        self._settings = settings
        self._clock = clock
        self._keys = SigningKeys(capacity=512)
        self._session: aiohttp.ClientSession | None = None
        self._outdated: list[aiohttp.ClientSession] = []
        self.in_flight = 0
        self.errors = 0
        self.is_up = True

    async def send(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: Payload = NOTHING,
        *,
        target: Target = _TO_S3,
    ) -> UpstreamAnswer:
        """Send one request, signed anew; returns when the answer's head is here.

        ``path`` and ``query`` are raw; ``headers`` are the caller's, from which what is not the upstream's business is
        taken out. Raises NoAnswer where no answer came, and other OutboundErrors for what cannot be sent.
        """
        path = canonical_path(path) if target.service == _S3 else path
        query = forwarded_query(query)
        url = URL(self.endpoint.rstrip("/") + path + (f"?{query}" if query else ""), encoded=True)
        signed = self._signed(method, path, query, forwarded_headers(headers or {}), body, target)
        data = body.pieces if body.size_bytes or method in ("PUT", "POST") else None
        self.in_flight += 1
        try:
            response = await self._answered(method, url, signed, data)
        except BaseException as error:
            self.in_flight -= 1
            if isinstance(error, NoAnswer):
                self.errors += 1
                self.is_up = False
            raise
        self.is_up = True
        return UpstreamAnswer(response, self._landed)

    async def _answered(
        self, method: str, url: URL, headers: dict[str, str], data: bytes | AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        """The head of an answer; a read is asked for again where a kept connection proves closed. Raises NoAnswer."""
        try:
            return await self._once(method, url, headers, data)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if method not in ("GET", "HEAD") or not isinstance(error, aiohttp.ServerDisconnectedError):
                raise _unreachable(error) from error
        try:  # asking again changes nothing
            return await self._once(method, url, headers, data)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error

    def _landed(self) -> None:
        self.in_flight -= 1

    def reconfigure(self, settings: UpstreamSettings) -> None:
        """Call with these settings from now on; calls under way end on the connections that they have."""
        self.endpoint = settings.endpoint
        if settings == self._settings:
            return
        self._settings = settings
        if self._session is not None:
            self._outdated.append(self._session)
            self._session = None

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._session, *self._outdated):
            if session is not None:
                await session.close()
        self._session = None
        self._outdated.clear()

    async def _once(
        self, method: str, url: URL, headers: dict[str, str], data: bytes | AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        sent = {name: _as_utf8(value) for name, value in headers.items()}
        return await self._opened().request(
            method, url, headers=sent, data=data, allow_redirects=False, skip_auto_headers=_NO_AUTOMATIC_HEADERS
        )

    def _signed(
        self, method: str, path: str, query: str, headers: dict[str, str], body: Payload, target: Target
    ) -> dict[str, str]:
        settings = self._settings
        signed_at = self._clock.now().replace(microsecond=0)  # as precise as a signature is; its text is cached
        scope = Scope(stamp(signed_at)[:8], settings.region or target.region, target.service)
        access_key_id, secret = settings.access_key_id or target.account_id, settings.secret_access_key
        headers["host"] = urlsplit(self.endpoint).netloc
        if body.size_bytes or method in ("PUT", "POST"):
            headers["content-length"] = str(body.size_bytes)
        key = self._keys.get(access_key_id, secret, scope)
        return headers | sign(
            method,
            path,
            query,
            headers,
            key=key,
            access_key_id=access_key_id,
            scope=scope,
            signed_at=signed_at,
            payload_hash=body.form,
        )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made on first use: it belongs to the running event loop
            settings = self._settings
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=settings.max_connections, keepalive_timeout=15),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=settings.connect_timeout_s, sock_read=settings.read_timeout_s
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=_MAX_LINE_BYTES,
                max_field_size=_MAX_LINE_BYTES,
                read_bufsize=_PIECE_BYTES,
            )
            # aiohttp would send PUT and DELETE again where a kept connection proves closed; it has no option for that.
            session._retry_connection = False  # noqa: SLF001
            self._session = session
        return self._session


def canonical_path(path: str) -> str:
    """S3's canonical spelling of a raw path: the same bytes once decoded, each byte encoded that is not unreserved."""
    return quote(unquote_to_bytes(path.encode("latin-1")), safe="/-_.~") or "/"


def forwarded_query(query: str) -> str:
    """A raw query without the parameters of a presigned signature, spelt anew so that every parser reads the same.

    What cannot be decoded, or is read differently by others (a semicolon, half an escape), goes out as the text that
    our own decision was made on.
    """
    pairs = ((name, value) for name, value in query_pairs(query) if name.lower() not in _AUTHENTICATION_PARAMETERS)
    return "&".join(f"{_quoted(name)}={_quoted(value)}" if value else _quoted(name) for name, value in pairs)


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """A caller's headers without credentials, connection matters and what we say ourselves; names in lower case."""
    named = {name.strip().lower() for name in headers.get("connection", "").split(",")}  # hop-by-hop by declaration
    kept = {name: value for name, value in headers.items() if name not in _NEVER_FORWARDED and name not in named}
    codings = [coding.strip() for coding in kept.pop("content-encoding", "").split(",")]
    codings = [coding for coding in codings if coding and coding.lower() != "aws-chunked"]
    if codings:
        kept["content-encoding"] = ",".join(codings)
    kept["accept-encoding"] = "identity"
    return kept


_NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_NO_AUTOMATIC_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def _as_utf8(value: str) -> str:
    """Latin-1 text such that aiohttp, which writes UTF-8, writes the bytes it stands for. Raises OutboundError."""
    try:
        return value if value.isascii() else value.encode("latin-1").decode()
    except UnicodeError:
        raise OutboundError("InvalidHeader", "a header is not UTF-8 text", retryable=False) from None


def _as_latin1(value: str) -> str:
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~", errors="replace")


def _unreachable(error: BaseException) -> NoAnswer:
    kind = "RequestTimeout" if isinstance(error, TimeoutError | asyncio.TimeoutError) else "ServiceUnavailable"
    text = f"the server behind us did not answer: {type(error).__name__}"
    return NoAnswer(kind, text, may_have_acted=not isinstance(error, _NEVER_CONNECTED))
