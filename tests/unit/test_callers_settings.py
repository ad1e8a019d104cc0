"""Settings of callers: trusted proxies and STS, and what the server adapter makes of them."""

import asyncio
from typing import Any

import pytest

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.config import load, words
from opentrail.errors import ConfigError
from opentrail.gateway.asgi import Application
from opentrail.gateway.client_address import Networks, networks
from opentrail.gateway.exchange import Incoming, Outgoing


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENTRAIL_GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8, proxy.example.org"),
        ("OPENTRAIL_GATEWAY_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("OPENTRAIL_STS_OIDC_JWKS", "https://idp.example.org"),
        ("OPENTRAIL_STS_KEY_ROTATION_S", "5"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(variable: str, value: str) -> None:
    """ConfigError names the setting."""
    section, name = variable.removeprefix("OPENTRAIL_").lower().split("_", 1)
    with pytest.raises(ConfigError, match=f"{section}.{name}"):
        load(None, {variable: value})


def test_lists_are_separated_by_commas() -> None:
    """White space and empty parts do not count."""
    assert words(" a, b ,,c ") == ["a", "b", "c"]
    assert load(None, {}).gateway.trusted_proxies == ""


class Remembering:
    """A handler that keeps the last request."""

    def __init__(self) -> None:
        self.peer = ""

    async def handle(self, incoming: Incoming) -> Outgoing:
        """Remember, and answer nothing."""
        self.peer = incoming.head.peer
        return Outgoing(204)


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [((), "127.0.0.1"), (networks("127.0.0.0/8"), "198.51.100.7"), (networks("::1"), "127.0.0.1")],
)
def test_the_header_counts_behind_a_trusted_proxy_only(trusted: Networks, expected: str) -> None:
    """Several header lines are one list, read from the right."""
    handler = Remembering()
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/",
        "query_string": b"",
        "client": ("127.0.0.1", 4711),
        "headers": [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"198.51.100.7, 127.0.0.9")],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message["type"].startswith("http.response.")

    application = Application(handler, SystemClock(), SystemEntropy(), trusted_proxies=trusted)
    asyncio.run(application(scope, receive, send))
    assert handler.peer == expected
