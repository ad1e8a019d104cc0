"""Custom domains: the rules of CreateServer, and how their keys are kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentrail.errors import ApiError, IntegrityError
from opentrail.opsworks.custom_domains import (
    CustomDomain,
    open_private_key,
    read_custom_domain,
    seal_private_key,
)
from opentrail.opsworks.front.places import Places
from tests.support.certificates import NOW, Issued, issue
from tests.support.opsworks import World, create_request, fake_world, new_seal

DOMAIN = "chef.example.org"
AUTHORITY = issue("an authority", is_authority=True)
LEAF = issue("chef", DOMAIN, by=AUTHORITY)
SMALL_RSA_KEY = """-----BEGIN PRIVATE KEY-----
not a key
-----END PRIVATE KEY-----
"""


def members(leaf: Issued = LEAF, **changes: Any) -> dict[str, Any]:
    chain = leaf.pem + AUTHORITY.pem if leaf is LEAF else leaf.pem
    request = {"CustomDomain": DOMAIN, "CustomCertificate": chain, "CustomPrivateKey": leaf.key_pem()}
    return request | changes


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path / "world") as made:
        yield made


@pytest.mark.parametrize(
    "leaf",
    [
        LEAF,
        issue("chef", DOMAIN),
        issue(DOMAIN),
        issue("chef", "*.example.org"),
        issue("chef", "a.example.org", DOMAIN.upper()),
    ],
    ids=["chain", "self-signed", "common name", "wildcard", "other case"],
)
def test_custom_domains_that_are_right(leaf: Issued) -> None:
    """A chain, a self-signed one, by subject alternative name or by CN."""
    found = read_custom_domain(members(leaf, CustomDomain="Chef.Example.ORG"), NOW)
    assert found is not None
    assert (found.domain, found.private_key) == (DOMAIN, leaf.key_pem())
    assert found.private_key not in repr(found)


@pytest.mark.parametrize(
    ("request_members", "said"),
    [
        ({"CustomDomain": DOMAIN}, "together"),
        (members(CustomDomain=None), "together"),
        (members(CustomPrivateKey=None), "together"),
        (members(CustomCertificate=None), "together"),
        (members(CustomPrivateKey=issue("x").key_pem()), "not the key"),
        (members(CustomPrivateKey=LEAF.key_pem(b"secret")), "encrypted"),
        (members(CustomPrivateKey=SMALL_RSA_KEY), "PEM"),
        (members(CustomCertificate="-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"), "X.509"),
        (members(CustomCertificate=LEAF.pem + issue("another authority").pem), "issued"),
        (members(CustomCertificate=LEAF.pem * 11), "more than 10"),
        (members(CustomDomain="other.example.org"), "not for CustomDomain"),
        (members(issue("chef", DOMAIN, valid=(-10, -1))), "not valid at this time"),
        (members(issue("chef", DOMAIN, valid=(1, 10))), "not valid at this time"),
        (members(issue(DOMAIN, "other.example.org")), "not for CustomDomain"),
        (members(issue("chef", "*.org")), "not for CustomDomain"),
        (members(issue("chef", "*.example.org"), CustomDomain="a.chef.example.org"), "not for CustomDomain"),
    ],
)
def test_custom_domains_that_are_not(request_members: dict[str, Any], said: str) -> None:
    """Each rule has its own ValidationException, and none repeats a key."""
    with pytest.raises(ApiError) as caught:
        read_custom_domain(request_members, NOW)
    assert caught.value.code == "ValidationException"
    assert said in caught.value.message
    assert "BEGIN" not in caught.value.message


def test_custom_keys_are_sealed_for_one_server() -> None:
    """They open with the same seal and server only."""
    seal, custom = new_seal(), CustomDomain(DOMAIN, LEAF.pem, LEAF.key_pem())
    sealed = seal_private_key(seal, "one", custom)
    assert b"PRIVATE" not in sealed
    assert open_private_key(seal, "one", sealed) == LEAF.key_pem()
    for other, name in ((seal, "two"), (new_seal(), "one")):
        with pytest.raises(IntegrityError):
            open_private_key(other, name, sealed)


def test_servers_keep_their_custom_domain(world: World) -> None:
    """Shown by DescribeServers, found by name, its key in no answer and no row; free again after deletion."""
    at = world.clock.now()
    leaf = issue("chef", DOMAIN, now=at)
    answer = world.ask("CreateServer", create_request(**members(leaf)))
    assert answer["Server"]["CustomDomain"] == DOMAIN
    world.settle()
    assert world.ask("DescribeServers")["Servers"][0]["CustomDomain"] == DOMAIN
    places = Places(world.database, world.seal)
    found = places.server_at("CHEF.example.org:8443", 1)
    assert found is not None
    assert found.name == "automate-06"
    shown = places.certificate_for(DOMAIN)
    assert shown is not None
    assert (shown.chain, shown.key) == (leaf.pem, leaf.key_pem())
    with world.database.read() as connection:
        dump = "\n".join(str(line) for line in connection.connection.driver_connection.iterdump())  # type: ignore[union-attr] # SQLite's
    secret = leaf.key_pem().splitlines()[1]
    assert secret not in dump
    assert secret not in json.dumps([answer, world.ask("DescribeServers"), world.messages()], default=str)
    with pytest.raises(ApiError, match="another server's already"):
        world.ask("CreateServer", create_request("second", **members(leaf)))
    world.ask("DeleteServer", {"ServerName": "automate-06"})
    world.settle()
    assert places.certificate_for(DOMAIN) is None
    world.ask("CreateServer", create_request("second", **members(leaf)))
