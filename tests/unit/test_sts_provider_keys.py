"""Where the keys of OpenID Connect issuers come from, how often anybody is asked, and what is not believed."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opentrail.errors import ApiError, OutboundError
from opentrail.services.sts.fetcher import HttpFetcher
from opentrail.services.sts.provider_keys import MAX_ISSUERS, ProviderKeys
from tests.support.sts_world import SteeredClock

ISSUER = "https://id.example.com"
KEYS = {"keys": [{"kty": "RSA", "kid": "a"}, {"kty": "RSA", "kid": "b", "use": "enc"}, {"kty": "EC"}, 7]}


class Web:
    """Documents by URL, and how often each was asked for."""

    def __init__(self, **more: bytes) -> None:
        self.asked: list[str] = []
        configuration = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        self.documents: dict[str, bytes] = {
            f"{ISSUER}/.well-known/openid-configuration": json.dumps(configuration).encode(),
            f"{ISSUER}/keys": json.dumps(KEYS).encode(),
        }

    def get(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.documents:
            raise OutboundError("404", "not found")
        return self.documents[url]


def keys_of(web: Web, clock: SteeredClock | None = None, source: str | None = None) -> ProviderKeys:
    """Keys from that web."""
    return ProviderKeys(web, {ISSUER: source} if source else {}, clock or SteeredClock())


def test_an_issuer_s_keys_are_discovered_and_kept() -> None:
    """Keys for signatures only: by id, or without one; asked once an hour."""
    web, clock = Web(), SteeredClock()
    keys = keys_of(web, clock)
    assert [key.get("kid") for key in keys.find(ISSUER, "a")] == ["a", None]
    assert [key.get("kid") for key in keys.find(ISSUER, None)] == ["a", None]
    assert len(web.asked) == 2
    clock.forward(seconds=3600)
    keys.find(ISSUER, "a")
    assert len(web.asked) == 4


def test_an_unknown_key_id_is_looked_for_once_a_minute() -> None:
    """A rotated key is found, and invented ids do not make us ask without end."""
    web, clock = Web(), SteeredClock()
    web.documents[f"{ISSUER}/keys"] = b'{"keys":[{"kid":"a"}]}'
    keys = keys_of(web, clock)
    for _ in range(5):
        assert keys.find(ISSUER, "new") == []
    assert len(web.asked) == 2
    web.documents[f"{ISSUER}/keys"] = b'{"keys":[{"kid":"new"}]}'
    clock.forward(seconds=60)
    assert len(keys.find(ISSUER, "new")) == 1
    assert len(web.asked) == 4


def test_a_failure_is_remembered_for_a_while() -> None:
    """A dead issuer is not asked by every call."""
    web, clock = Web(), SteeredClock()
    saved = web.documents.pop(f"{ISSUER}/keys")
    keys = keys_of(web, clock)
    for _ in range(3):
        with pytest.raises(ApiError, match="IDPCommunicationError"):
            keys.find(ISSUER, "a")
    assert len(web.asked) == 2
    web.documents[f"{ISSUER}/keys"] = saved
    clock.forward(seconds=15)
    assert keys.find(ISSUER, "a")


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b"[]",
        b"not json",
        json.dumps({"issuer": "https://evil.example.com", "jwks_uri": f"{ISSUER}/keys"}).encode(),
        json.dumps({"issuer": ISSUER, "jwks_uri": "http://id.example.com/keys"}).encode(),
        json.dumps({"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}).encode(),
        json.dumps({"issuer": ISSUER, "jwks_uri": 7}).encode(),
    ],
)
def test_a_configuration_that_is_none_is_not_followed(document: bytes) -> None:
    """It must be the issuer's own, and its keys at an HTTPS address."""
    web = Web()
    web.documents[f"{ISSUER}/.well-known/openid-configuration"] = document
    with pytest.raises(ApiError, match="IDPCommunicationError"):
        keys_of(web).find(ISSUER, "a")


@pytest.mark.parametrize("document", [b"{}", b"[]", b'{"keys":{}}', b"\xff"])
def test_a_key_set_that_is_none_is_refused(document: bytes) -> None:
    """Without keys, nobody is believed."""
    web = Web()
    web.documents[f"{ISSUER}/keys"] = document
    with pytest.raises(ApiError, match="IDPCommunicationError"):
        keys_of(web).find(ISSUER, "a")


def test_a_configured_file_or_address_is_the_only_source(tmp_path: Path) -> None:
    """The issuer itself is not asked then."""
    file, web = tmp_path / "keys.json", Web()
    file.write_text(json.dumps({"keys": [{"kid": "from-file"}]}))
    assert keys_of(web, source=str(file)).find(ISSUER, None)[0]["kid"] == "from-file"
    web.documents["http://keys.internal/jwks"] = b'{"keys":[{"kid":"from-address"}]}'
    assert keys_of(web, source="http://keys.internal/jwks").find(f"{ISSUER}", None)[0]["kid"] == "from-address"
    assert web.asked == ["http://keys.internal/jwks"]
    with pytest.raises(ApiError, match="IDPCommunicationError"):
        keys_of(web, source=str(tmp_path / "missing")).find(ISSUER, None)


def test_an_issuer_without_https_is_never_asked() -> None:
    """Only the operator may name a plain address."""
    web = Web()
    with pytest.raises(ApiError, match="IDPCommunicationError"):
        keys_of(web).find("http://id.example.com", None)
    assert web.asked == []


def test_only_so_many_issuers_are_remembered() -> None:
    """The memory is bounded."""
    keys = keys_of(Web())
    for number in range(MAX_ISSUERS + 10):
        with pytest.raises(ApiError):
            keys.find(f"https://{number}.example.com", None)
    assert len(keys._kept) == MAX_ISSUERS


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/drip":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            for _ in range(100):
                try:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)
            return
        status = {"/moved": 302, "/gone": 404}.get(self.path, 200)
        body = b"x" * 5000 if self.path == "/large" else self.path.encode()
        self.send_response(status)
        self.send_header("Location", "/ok")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """A web server of our own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_document_is_fetched(address: str) -> None:
    """Path and query go as they are."""
    assert HttpFetcher().get(f"{address}/ok?x=1") == b"/ok?x=1"


@pytest.mark.parametrize("path", ["/moved", "/gone", "/large", "/drip"])
def test_redirects_errors_size_and_slowness_are_refused(address: str, path: str) -> None:
    """Whatever it is, it ends soon."""
    started = time.monotonic()
    with pytest.raises(OutboundError):
        HttpFetcher(max_bytes=4096, timeout_s=0.5).get(address + path)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "url", ["ftp://x/", "file:///etc/passwd", "http://", "https://[", "http://x:0/", "x", "http://127.0.0.1:1/"]
)
def test_other_addresses_are_refused(url: str) -> None:
    """HTTP and HTTPS only; nobody listening is an error like any other."""
    with pytest.raises(OutboundError):
        HttpFetcher(timeout_s=1.0).get(url)
