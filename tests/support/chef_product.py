"""Chef servers of a running product."""

import time
from typing import Any

from tests.support.gateway import Gateway
from tests.support.opsworks import create_request

HEALTHY_TIMEOUT_S = 90.0


def make_server(gateway: Gateway, name: str = "automate-06", **members: Any) -> dict[str, Any]:
    """CreateServer's answer, credentials included."""
    server: dict[str, Any] = gateway.client("opsworkscm").create_server(**create_request(name, **members))["Server"]
    return server


def healthy(gateway: Gateway, name: str = "automate-06") -> dict[str, Any]:
    """The server once it is HEALTHY."""
    client, deadline = gateway.client("opsworkscm"), time.monotonic() + HEALTHY_TIMEOUT_S
    while True:
        server: dict[str, Any] = client.describe_servers(ServerName=name)["Servers"][0]
        if server["Status"] == "HEALTHY":
            return server
        assert time.monotonic() < deadline, server
        time.sleep(0.2)
