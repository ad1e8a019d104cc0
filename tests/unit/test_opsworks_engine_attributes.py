"""UpdateServerEngineAttributes and ExportServerEngineAttribute with a fake engine."""

import base64
import io
import shlex
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opentrail.aws.http import TlsDetails
from opentrail.errors import ApiError, OutboundError
from opentrail.opsworks.keys import generate_key_pair
from opentrail.opsworks.server import ALLOWED, ServerStatus
from opentrail.opsworks.userdata import NodeChoices, ServerFacts, read_choices, userdata_script
from opentrail.services.opsworks_cm.kits import server_facts
from tests.support.opsworks import KEY_PAIR, FakeEngine, World, call_of, create_request, fake_world

FIRST = generate_key_pair()
NAME = "automate-06"
KEY = "CHEF_AUTOMATE_PIVOTAL_KEY"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with one HEALTHY server whose pivotal has FIRST; pairs that are made are KEY_PAIR."""
    with fake_world(tmp_path) as world:
        given = [{"Name": KEY, "Value": FIRST.public_pem}]
        world.ask("CreateServer", create_request(EngineAttributes=given))
        world.settle()
        yield world


def engine(world: World) -> FakeEngine:
    assert isinstance(world.engine, FakeEngine)
    return world.engine


def pivotal(world: World) -> str:
    return engine(world).pivotal[world.server_id()]


def update(world: World, name: str = KEY, **members: Any) -> dict[str, Any]:
    server: dict[str, Any] = world.ask(
        "UpdateServerEngineAttributes", {"ServerName": NAME, "AttributeName": name} | members
    )["Server"]
    return server


def shown(server: dict[str, Any]) -> dict[str, str]:
    return {item["Name"]: item["Value"] for item in server["EngineAttributes"]}


def kit_of(server: dict[str, Any]) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(base64.b64decode(shown(server)["CHEF_STARTER_KIT"]))).namelist()


@pytest.mark.parametrize("name", [KEY, "CHEF_PIVOTAL_KEY"])
@pytest.mark.parametrize("value", [{}, {"AttributeValue": "null"}])
def test_opsworks_pivotal_s_key_is_made_where_none_is_given(world: World, name: str, value: dict[str, str]) -> None:
    """The answer is MODIFYING with the private key and a kit that has it, never shown again; the old key is gone."""
    server = update(world, name, **value)
    assert server["Status"] == "MODIFYING"
    assert shown(server)[KEY] == KEY_PAIR.private_pem
    assert ".chef/private.pem" in kit_of(server)
    world.settle()
    assert (world.status(), pivotal(world)) == ("HEALTHY", KEY_PAIR.public_pem)
    assert world.messages()[:3] == [
        "Server is healthy",
        "Pivotal's key was replaced",
        "Pivotal's key is being replaced",
    ]
    assert world.ask("DescribeServers")["Servers"][0]["EngineAttributes"] == []


def test_opsworks_pivotal_gets_the_caller_s_key(world: World) -> None:
    """A given public key is told to the engine; neither the answer nor the kit has a private key then."""
    server = update(world, AttributeValue=KEY_PAIR.public_pem)
    assert set(shown(server)) == {"CHEF_STARTER_KIT"}
    assert ".chef/private.pem" not in kit_of(server)
    world.settle()
    assert pivotal(world) == KEY_PAIR.public_pem


def test_opsworks_engine_chef_answers_with_the_old_name(world: World) -> None:
    """A server of Engine ``Chef`` shows ``CHEF_PIVOTAL_KEY``."""
    world.ask("CreateServer", create_request("old") | {"Engine": "Chef"})
    world.settle()
    request = {"ServerName": "old", "AttributeName": KEY}
    answer = world.ask("UpdateServerEngineAttributes", request)["Server"]
    assert set(shown(answer)) == {"CHEF_PIVOTAL_KEY", "CHEF_STARTER_KIT"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHEF_AUTOMATE_ADMIN_PASSWORD", "Passw0rd!"),
        ("CHEF_AUTOMATE_NODE_PUBLIC_KEY", KEY_PAIR.public_pem),
        (KEY, ""),
        (KEY, "secret-canary"),
        (KEY, KEY_PAIR.private_pem),
    ],
)
def test_opsworks_other_attributes_and_bad_keys_change_nothing(world: World, name: str, value: str) -> None:
    """ValidationException without the value; the server stays as it is."""
    with pytest.raises(ApiError, match="ValidationException") as caught:
        update(world, name, AttributeValue=value)
    assert "canary" not in caught.value.message
    assert "BEGIN" not in caught.value.message
    assert (world.status(), pivotal(world)) == ("HEALTHY", FIRST.public_pem)


def test_opsworks_attributes_are_updated_one_at_a_time_in_two_states(world: World) -> None:
    """HEALTHY and UNHEALTHY only: a MODIFYING server refuses the next update."""
    assert ALLOWED["UpdateServerEngineAttributes"] == {ServerStatus.HEALTHY, ServerStatus.UNHEALTHY}
    with world.database.unit() as unit:
        server = world.store.all_servers(unit.connection)[0]
        world.store.put_server(unit, server.moved(ServerStatus.MODIFYING))
    with pytest.raises(ApiError) as caught:
        update(world)
    assert caught.value.code == "InvalidStateException"
    assert "needs state HEALTHY or UNHEALTHY" in caught.value.message


def test_opsworks_a_crash_does_not_undo_the_new_key(world: World) -> None:
    """An engine that forgets the write is told again before the server leaves MODIFYING."""
    engine(world).crashes = 1
    update(world)
    world.settle()
    engine(world).crash(world.server_id())
    assert (world.status(), pivotal(world)) == ("HEALTHY", KEY_PAIR.public_pem)


def test_opsworks_a_key_that_the_engine_does_not_take_is_said_truthfully(world: World) -> None:
    """The server does not stay MODIFYING: an event says why, the old key is kept, and the next update works."""
    engine(world).client_problem = OutboundError("EngineRefused", "500", retryable=True)
    update(world)
    world.settle()
    assert world.status() == "HEALTHY"
    assert world.messages()[1] == "Pivotal's key was not replaced: EngineRefused: 500"
    assert pivotal(world) == FIRST.public_pem
    engine(world).client_problem = None
    update(world)
    world.settle()
    assert pivotal(world) == KEY_PAIR.public_pem


def test_opsworks_modifying_servers_are_finished_by_the_next_start(tmp_path: Path) -> None:
    """A process that dies while MODIFYING leaves what its successor needs: the key stands in the state."""
    with fake_world(tmp_path) as world:
        world.ask("CreateServer", create_request())
        world.settle()
        world.jobs.stop()
        engine(world).up.clear()
        update(world, AttributeValue=FIRST.public_pem)
        assert world.status() == "MODIFYING"
        successor = World(world.database, world.engine, world.objects, tmp_path, world.clock, seal=world.seal)
        successor.jobs.look_at_server(world.server_id())
        successor.settle()
        assert (world.status(), pivotal(world)) == ("HEALTHY", FIRST.public_pem)
        successor.jobs.stop()


# ExportServerEngineAttribute


def export(world: World, name: str = "Userdata", **inputs: str) -> str:
    given = [{"Name": key, "Value": value} for key, value in inputs.items()]
    request = {"ServerName": NAME, "ExportAttributeName": name, "InputAttributes": given}
    answer = world.ask("ExportServerEngineAttribute", request)
    assert answer["ServerName"] == NAME
    assert answer["EngineAttribute"]["Name"] == "Userdata"
    return base64.b64decode(answer["EngineAttribute"]["Value"]).decode()


def test_opsworks_userdata_has_the_server_s_facts_and_the_caller_s_choices(world: World) -> None:
    """The script names server, endpoint, region and what the input attributes say, and is shell that parses."""
    script = export(
        world,
        RunList="recipe[a::b],role[c]",
        OrganizationName="default",
        NodeEnvironment="prod",
        NodeClientVersion="1.2.3",
    )
    server = world.ask("DescribeServers")["Servers"][0]
    for line in (
        f"CHEF_SERVER_NAME={NAME}",
        f"CHEF_SERVER_ENDPOINT={server['Endpoint']}",
        f"CHEF_SERVER_URL=https://{server['Endpoint']}",
        "REGION=us-east-1",
        "RUN_LIST='recipe[a::b],role[c]'",
        "NODE_ENVIRONMENT=prod",
        "CHEF_CLIENT_VERSION=1.2.3",
        "CHEF_ORGANIZATION=default",
    ):
        assert f"\n{line}" in script
    assert "@" not in script.partition("# What the environment")[0]
    assert subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert "RUN_LIST=''" in export(world)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RunList", "recipe[a]; rm -rf /"),
        ("RunList", "recipe[a],"),
        ("RunList", "recipe[a"),
        ("RunList", "recipe[a]\n"),
        ("OrganizationName", "mine"),
        ("OrganizationName", ""),
        ("NodeEnvironment", "a b"),
        ("NodeClientVersion", "1.2.3.4"),
        ("NodeClientVersion", "latest"),
        ("Nothing", "x"),
    ],
)
def test_opsworks_other_input_attributes_are_refused(world: World, name: str, value: str) -> None:
    """Values of another form and unknown names are ValidationExceptions that do not repeat the value."""
    with pytest.raises(ApiError, match="ValidationException") as caught:
        export(world, **{name: value})
    assert value == "" or len(value) < 5 or value not in caught.value.message


def test_opsworks_only_userdata_is_exported_and_only_once_named(world: World) -> None:
    """Other export names, repeated inputs, unknown servers, and states without an engine are refused."""
    with pytest.raises(ApiError, match="ValidationException"):
        export(world, "userdata")
    with pytest.raises(ApiError, match="more than once"):
        read_choices([{"Name": "RunList", "Value": ""}] * 2)
    request = {"ServerName": "nobody", "ExportAttributeName": "Userdata"}
    with pytest.raises(ApiError, match="ResourceNotFoundException"):
        world.ask("ExportServerEngineAttribute", request)
    for status in ServerStatus:
        with world.database.unit() as unit:
            server = world.store.all_servers(unit.connection)[0]
            world.store.put_server(unit, server.moved(status))
        if status in {"CREATING", "TERMINATED", "FAILED", "DELETING"}:
            with pytest.raises(ApiError, match="InvalidStateException"):
                export(world)
        else:
            assert export(world).startswith("#!/bin/bash\n")


def test_opsworks_userdata_calls_back_where_its_maker_called(world: World) -> None:
    """The API's URL is the host and scheme of the export call, and empty where the host is no host."""
    with world.database.read() as connection:
        server = world.store.all_servers(connection)[0]
    urls = []
    for host, tls in (("10.0.0.9:4566", None), ("ct.example", TlsDetails("TLSv1.3", "x")), ("a'b", None), ("", None)):
        facts = server_facts(
            world.service.parts, server, replace(call_of("ExportServerEngineAttribute"), host=host, tls=tls), None
        )
        urls.append(facts.api_url)
    assert urls == ["http://10.0.0.9:4566", "https://ct.example", "", ""]


def test_opsworks_userdata_quotes_whatever_it_is_made_with() -> None:
    """Nothing that a fact contains is run or expanded by the shell."""
    evil = "'; touch /tmp/x; echo $(id) `id` \"\n@REGION@\\"
    facts = ServerFacts(name=evil, endpoint=evil, region=evil, chef_url=evil, api_url=evil, root_ca="a\n" + evil)
    script = userdata_script(facts, NodeChoices(evil, evil, evil))
    head = script.partition("# What the environment")[0]
    assignments = "\n".join(head.splitlines()[head.splitlines().index("set -e -o pipefail") :])
    probe = f'{assignments}\nprintf "%s\\0" "$CHEF_SERVER_NAME" "$REGION" "$RUN_LIST" "$ROOT_CA"'
    said = subprocess.run(["/bin/bash", "-c", probe], capture_output=True, text=True, check=True).stdout
    assert said.split("\0")[:3] == [evil] * 3
    assert shlex.quote(evil) in script
