"""Chef servers of a running product."""

import time
from typing import Any

from opentrail.opsworks.external_api import ExternalServer
from opentrail.opsworks.keys import generate_key_pair
from tests.support.chef_clients import ChefClient, private_key
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


def pivotal_of(gateway: Gateway, made: dict[str, Any], url: str = "") -> ChefClient:
    """pivotal at a server, with the key in CreateServer's answer."""
    shown = {attribute["Name"]: attribute["Value"] for attribute in made["EngineAttributes"]}
    key = private_key(shown["CHEF_AUTOMATE_PIVOTAL_KEY"])
    return ChefClient(url or f"https://{made['Endpoint']}", "pivotal", key, gateway.environment["OPENTRAIL_CHEF_CA"])


def external_server(gateway: Gateway) -> ExternalServer:
    """A server of a product as a stranger to it knows it: by its address, its authority and an administrator's key."""
    made = make_server(gateway)
    healthy(gateway)
    pair = generate_key_pair()
    user = {"name": "opentrail", "password": "Secret_of_1", "admin": True, "public_key": pair.public_pem}
    assert pivotal_of(gateway, made).ask("POST", "/users", user)[0] == 201
    authority = gateway.environment["OPENTRAIL_CHEF_CA"]
    return ExternalServer(made["Endpoint"], "opentrail", private_key(pair.private_pem), authority)
