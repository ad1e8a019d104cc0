"""The door with a fake engine: who gets in, what the engine hears, and what it never hears."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opentrail.aws.http import Reply
from opentrail.opsworks.endpoints import Address, EndpointRule
from opentrail.opsworks.front.door import ChefDoor, ChefRequest
from opentrail.opsworks.front.file_links import FileLinks
from opentrail.opsworks.front.places import Places
from opentrail.opsworks.front.refusal import ChefRefusal
from opentrail.opsworks.keys import generate_key_pair
from opentrail.opsworks.server import ServerStatus
from tests.support.chef_clients import chef_headers, private_key
from tests.support.opsworks import KEY_PAIR, FakeEngine, World, create_request, fake_world

NODE = generate_key_pair()
MD5 = "5d41402abc4b2a76b9719d911017c592"


class Door:
    """A world with one healthy server, a door, and a client who signs."""

    def __init__(self, world: World) -> None:
        self.world = world
        assert isinstance(world.engine, FakeEngine)
        self.engine = world.engine
        self.links = FileLinks(b"k" * 32)
        self.door = ChefDoor(world.engine, Places(world.database, world.seal), self.links, world.clock)
        self.host = world.ask("CreateServer", create_request())["Server"]["Endpoint"]
        world.settle()
        self.knows("i-0abc", NODE.public_pem)

    def knows(self, name: str, public_key: str) -> None:
        body = json.dumps({"name": name, "type": "client", "public_key": public_key}).encode()
        self.engine.answers["GET", f"/principals/{name}"] = Reply(200, {"content-type": "application/json"}, body)

    def ask(self, method: str, path: str, body: bytes = b"", **changes: Any) -> tuple[int, Any]:
        version = changes.pop("version", "1.3")
        headers = chef_headers(
            version,
            method,
            path.partition("?")[0],
            body,
            user=changes.pop("user", "i-0abc"),
            key=private_key(changes.pop("key", NODE.private_pem)),
            at=changes.pop("at", self.world.clock.now()),
        )
        host = changes.pop("host", self.host)
        sent = {name.lower(): value for name, value in (headers | {"Host": host} | changes).items()}
        plain, _, query = path.partition("?")
        request = ChefRequest(method, plain, query, sent, 1)
        try:
            reply = self.door.answer(request, self.door.route(request), changes.get("sent_body", body))
        except ChefRefusal as refusal:
            reply = refusal.reply()
        return reply.status, json.loads(reply.body or b"null")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with fake_world(tmp_path / "world") as world:
        yield Door(world)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.3"])
def test_the_engine_hears_a_verified_call_as_its_actor(door: Door, version: str) -> None:
    """Prefix off, query kept, the same actor, and none of the client's own signature or claims."""
    door.engine.answers["GET", "/search/node"] = Reply(200, {}, b'{"rows":[]}')
    extra: dict[str, Any] = {"Accept": "application/json", "X-Ops-Request-Source": "web", "X-Other": "x"}
    answer = door.ask("GET", "/organizations/default/search/node?q=*:*", version=version, **extra)
    assert answer == (200, {"rows": []})
    call = door.engine.calls[-1]
    assert (call.method, call.path, call.query, call.actor) == ("GET", "/search/node", "q=*:*", "i-0abc")
    assert set(call.headers) == {"accept"}


def test_wrong_signers_are_refused_and_the_engine_is_not_bothered_again(door: Door) -> None:
    """Another's key, an unknown name, a stale time and another body: 401, and nothing passed on."""
    path = "/organizations/default/nodes"
    assert door.ask("GET", path, key=KEY_PAIR.private_pem)[0] == 401
    assert door.ask("GET", path, user="nobody")[0] == 401
    assert door.ask("GET", path, at=door.world.clock.now() - timedelta(minutes=16))[0] == 401
    assert door.ask("POST", path, b"{}", **{"X-Ops-Content-Hash": "AAAA"})[0] == 401
    assert {call.path for call in door.engine.calls} <= {"/principals/i-0abc", "/principals/nobody"}


def test_a_revoked_key_opens_nothing_from_then_on(door: Door) -> None:
    """No key is remembered from one request to the next."""
    path = "/organizations/default/nodes"
    door.engine.answers["GET", "/nodes"] = Reply(200, {}, b"{}")
    assert door.ask("GET", path)[0] == 200
    del door.engine.answers["GET", "/principals/i-0abc"]
    assert door.ask("GET", path)[0] == 401
    door.knows("i-0abc", "garbage")
    assert door.ask("GET", path)[0] == 401


def test_the_engines_own_refusals_stay(door: Door) -> None:
    """A 403 for a plain client is the engine's to say."""
    door.engine.answers["GET", "/users"] = Reply(403, {"content-type": "application/json"}, b'{"error":["no"]}')
    assert door.ask("GET", "/users") == (403, {"error": ["no"]})


@pytest.mark.parametrize(
    "status", [ServerStatus.RESTORING, ServerStatus.UNDER_MAINTENANCE, ServerStatus.DELETING, ServerStatus.FAILED]
)
def test_a_server_that_is_not_there_for_clients_says_so(door: Door, status: ServerStatus) -> None:
    """503 before anybody is asked for a key."""
    server_id = door.world.server_id()
    with door.world.database.unit() as unit:
        server = door.world.store.server_by_id(unit.connection, server_id)
        assert server is not None
        door.world.store.put_server(unit, server.moved(status))
    assert door.ask("GET", "/nodes")[0] == 503
    assert door.engine.calls == []


def test_an_engine_that_is_down_is_told_as_that(door: Door) -> None:
    """503, not a failure of ours."""
    door.engine.up.clear()
    assert door.ask("GET", "/nodes")[0] == 503


def test_an_engine_that_answers_nonsense_lets_nobody_in(door: Door) -> None:
    """A key is taken only from an answer about the very name."""
    for body in (b"", b'{"name":"pivotal","public_key":"x"}', b"[]"):
        door.engine.answers["GET", "/principals/i-0abc"] = Reply(200, {}, body)
        assert door.ask("GET", "/nodes")[0] == 502


def test_unknown_hosts_have_no_server(door: Door) -> None:
    """Another name, or none."""
    for host in ("other.example.org", "", "automate-06", "%", "_" * 50):
        assert door.ask("GET", "/nodes", host=host)[0] == 404
    assert door.ask("GET", "/nodes", host=f"{door.host.upper()}:8443")[0] == 404  # the engine's answer, found by name
    assert door.engine.calls


def test_files_need_their_link_and_nothing_else(door: Door) -> None:
    """No signature is asked for; the engine gets the path without the link."""
    path = f"/organizations/default/file_store/{MD5}"
    door.engine.answers["GET", f"/file_store/{MD5}"] = Reply(200, {"content-type": "text/plain"}, b'"hello"')
    now_s = int(door.world.clock.now().timestamp())
    query = door.links.query(door.world.server_id(), MD5, now_s, writes=False)
    assert door.ask("GET", path)[0] == 403
    assert door.ask("GET", f"{path}?{query}") == (200, "hello")
    assert (door.engine.calls[-1].actor, door.engine.calls[-1].query) == (None, "")
    assert door.ask("PUT", f"{path}?{query}")[0] == 403


def test_heads_that_cannot_be_signed_are_refused_before_the_body(door: Door) -> None:
    """A stranger is not listened to."""
    for headers in ({}, {"x-ops-userid": "a"}):
        with pytest.raises(ChefRefusal, match="missing"):
            door.door.route(ChefRequest("POST", "/nodes", "", headers))


def test_organizations_are_one(door: Door) -> None:
    """The list, the one, and what it is called."""
    status, found = door.ask("GET", "/organizations")
    assert (status, list(found)) == (200, ["default"])
    assert door.ask("GET", "/organizations/default")[1]["name"] == "default"


def test_endpoints_are_names_or_ports() -> None:
    """With a domain a name, with the port where it is not 443; without one a port of its own."""

    class Same:
        def text(self, length: int, alphabet: str) -> str:
            return alphabet[0] * length

    entropy: Any = Same()
    assert EndpointRule("x.org").new("A-b", "eu-west-1", entropy) == "a-b-aaaaaaaaaaaaaaaa.eu-west-1.x.org"
    assert EndpointRule("x.org", 8443).new("a", "r", entropy) == "a-aaaaaaaaaaaaaaaa.r.x.org:8443"
    assert EndpointRule("", 443, lambda: 20232).new("a", "r", entropy) == "127.0.0.1:20232"
    assert Address.of("127.0.0.1:20232") == Address("127.0.0.1", 20232)
    assert str(Address.of("Chef.Example.ORG.")) == "chef.example.org"
