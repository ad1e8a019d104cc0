"""Bodies between clients and the engine, and links to cookbook files."""

import json

import pytest

from opentrail.aws.http import Reply
from opentrail.opsworks.front.file_links import LINK_LIFE_S, FileLinks
from opentrail.opsworks.front.refusal import ChefRefusal
from opentrail.opsworks.front.routes import find_route
from opentrail.opsworks.front.translation import (
    client_reply,
    engine_body,
    name_taken_by,
    principal_of,
    with_own_urls,
)

BASE = "https://127.0.0.1:20232"
MD5 = "5d41402abc4b2a76b9719d911017c592"
LINKS = FileLinks(b"k" * 32)
MAKE_CLIENT = find_route("POST", "/organizations/default/clients")
MAKE_USER = find_route("POST", "/users")


def test_new_clients_get_chef_key_in_version_1_only() -> None:
    """Version 1 nests what version 0 has at the top."""
    made = Reply(201, {}, b'{"uri":"u","private_key":"P","public_key":"Q"}')
    new = json.loads(client_reply(MAKE_CLIENT, made, BASE, 1).body)
    assert new == {
        "uri": "u",
        "chef_key": {"name": "default", "public_key": "Q", "private_key": "P", "expiration_date": "infinity"},
    }
    assert json.loads(client_reply(MAKE_CLIENT, made, BASE, 0).body)["private_key"] == "P"
    refused = Reply(409, {}, b'{"error":["Client already exists"]}')
    assert client_reply(MAKE_CLIENT, refused, BASE, 1).body == refused.body


def test_members_that_the_engine_lacks_stay_outside() -> None:
    """create_key is what it does anyway; users of current knife bring more than it takes."""
    assert json.loads(engine_body(MAKE_CLIENT, b'{"name":"n","create_key":true}', 1)) == {"name": "n"}
    user = {"username": "u", "display_name": "U", "email": "u@x", "password": "secret1", "create_key": True}
    assert json.loads(engine_body(MAKE_USER, json.dumps(user).encode(), 1)) == {"name": "u", "password": "secret1"}
    with pytest.raises(ChefRefusal, match="both"):
        engine_body(MAKE_CLIENT, b'{"name":"n","create_key":true,"public_key":"x"}', 1)
    for body in (b"", b"[]", b"{", b"[" * 100_000):
        with pytest.raises(ChefRefusal, match="JSON object"):
            engine_body(MAKE_CLIENT, body, 1)


def test_keys_are_made_of_the_client() -> None:
    """The list names one key, the key is the client's."""
    client = Reply(200, {}, b'{"name":"n","public_key":"Q"}')
    keys = find_route("GET", "/organizations/default/clients/n/keys")
    assert json.loads(client_reply(keys, client, BASE, 1).body) == [
        {"uri": f"{BASE}/organizations/default/clients/n/keys/default", "name": "default", "expired": False}
    ]
    key = find_route("GET", "/clients/n/keys/default")
    found = json.loads(client_reply(key, client, BASE, 1).body)
    assert found == {"name": "default", "public_key": "Q", "expiration_date": "infinity"}


def test_urls_of_the_engine_become_the_servers() -> None:
    """Everywhere in an answer; what merely mentions the engine's name is left alone."""
    nodes = find_route("GET", "/nodes")
    body = b'{"a":"https://engine.invalid/nodes/a","b":"see https://engine.invalid/x","c":"https://engine.invalid.x/"}'
    shown = json.loads(with_own_urls(nodes, body, BASE, "s", LINKS, 0))
    assert shown == {
        "a": f"{BASE}/organizations/default/nodes/a",
        "b": "see https://engine.invalid/x",
        "c": "https://engine.invalid.x/",
    }


@pytest.mark.parametrize(
    ("method", "path", "reads", "writes"),
    [
        ("POST", "/sandboxes", False, True),
        ("GET", "/cookbooks/nginx/1.0.0", True, False),
        ("GET", "/nodes/n", False, False),
    ],
)
def test_links_go_one_way_and_only_where_the_engine_means_them(
    method: str, path: str, reads: bool, writes: bool
) -> None:
    """A sandbox is for writing, a cookbook for reading; a node that names a file gets a URL that opens nothing."""
    body = f'{{"url":"https://engine.invalid/file_store/{MD5}"}}'.encode()
    url = json.loads(with_own_urls(find_route(method, path), body, BASE, "s", LINKS, 1000))["url"]
    where, _, query = url.partition("?")
    assert where == f"{BASE}/organizations/default/file_store/{MD5}"
    assert LINKS.allows(query, "s", MD5, 1000, writes=False) is reads
    assert LINKS.allows(query, "s", MD5, 1000, writes=True) is writes


def test_links_are_for_one_file_of_one_server_for_a_while() -> None:
    """Another server, file, key or time, and changed links, open nothing."""
    query = LINKS.query("s", MD5, 1000, writes=False)
    assert LINKS.allows(query, "s", MD5, 1000 + LINK_LIFE_S, writes=False)
    assert not LINKS.allows(query, "s", MD5, 1001 + LINK_LIFE_S, writes=False)
    assert not LINKS.allows(query, "t", MD5, 1000, writes=False)
    assert not LINKS.allows(query, "s", MD5[::-1], 1000, writes=False)
    assert not FileLinks(b"x" * 32).allows(query, "s", MD5, 1000, writes=False)
    assert not LINKS.allows(query.replace("expires=1900", "expires=9900"), "s", MD5, 1000, writes=False)
    for broken in ("", "expires=1", "expires=1&signature=", "%", query + "&a=1&b=2&c=3&d=4"):
        assert not LINKS.allows(broken, "s", MD5, 0, writes=False)


def test_principals_are_read_with_care() -> None:
    """Whatever else the engine says is nobody's key."""
    assert principal_of(Reply(200, {}, b'{"name":"n","public_key":"Q"}')) == ("n", "Q")
    for reply in (Reply(200, {}, b""), Reply(200, {}, b"[]"), Reply(200, {}, b'{"name":1,"public_key":2}')):
        assert principal_of(reply) is None
    assert principal_of(Reply(500, {}, b'{"name":"n","public_key":"Q"}')) is None


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("POST", "/users", b'{"name":"a b"}', "/clients/a%20b"),
        ("POST", "/clients", b'{"name":"n"}', "/users/n"),
        ("PUT", "/users/n", b'{"name":"m"}', "/clients/m"),
        ("PUT", "/users/n", b'{"name":"n"}', None),
        ("PUT", "/clients/n", b'{"public_key":"x"}', None),
        ("POST", "/users", b'{"name":7}', None),
        ("DELETE", "/users/n", b"", None),
        ("POST", "/nodes", b"[]", None),
    ],
)
def test_new_names_are_looked_for_on_the_other_side(method: str, path: str, body: bytes, place: str | None) -> None:
    """Users' among clients and clients' among users; who keeps his name is not asked."""
    assert name_taken_by(method, find_route(method, path), body) == place
