"""AssociateNode, DisassociateNode and their status with a fake engine: spellings, names, tokens, crashes, patience."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opentrail.errors import ApiError, OutboundError
from opentrail.opsworks import node_store
from opentrail.opsworks.keys import generate_key_pair
from opentrail.opsworks.nodes import check_node_name
from opentrail.opsworks.server import ServerStatus
from opentrail.services.opsworks_cm import nodes
from tests.support.opsworks import KEY_PAIR, OTHER_ACCOUNT, FakeEngine, SteppingClock, World, create_request, fake_world

OTHER = generate_key_pair()
NEW = ("CHEF_AUTOMATE_ORGANIZATION", "CHEF_AUTOMATE_NODE_PUBLIC_KEY")
OLD = ("CHEF_ORGANIZATION", "CHEF_NODE_PUBLIC_KEY")
NAME = "automate-06"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with one HEALTHY server."""
    with fake_world(tmp_path) as world:
        world.ask("CreateServer", create_request())
        world.settle()
        assert world.status() == "HEALTHY"
        yield world


def engine(world: World) -> FakeEngine:
    assert isinstance(world.engine, FakeEngine)
    return world.engine


def clients(world: World) -> dict[str, str]:
    return engine(world).clients[world.server_id()]


def attributes(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in pairs]


def association(
    node: str = "i-0abc", key: str = KEY_PAIR.public_pem, spelling: tuple[str, str] = NEW
) -> dict[str, Any]:
    given = attributes((spelling[0], "default"), (spelling[1], key))
    return {"ServerName": NAME, "NodeName": node, "EngineAttributes": given}


def begin(world: World, operation: str, request: dict[str, Any]) -> str:
    return str(world.ask(operation, request)["NodeAssociationStatusToken"])


def state(world: World, token: str, name: str = NAME) -> str:
    asked = {"ServerName": name, "NodeAssociationStatusToken": token}
    return str(world.ask("DescribeNodeAssociationStatus", asked)["NodeAssociationStatus"])


def associate(world: World, **request: Any) -> str:
    """Associate, wait, and answer the final state."""
    token = begin(world, "AssociateNode", association(**request))
    world.settle()
    return state(world, token)


def refused(world: World, operation: str, request: dict[str, Any]) -> ApiError:
    before = dict(clients(world))
    with pytest.raises(ApiError) as caught:
        world.ask(operation, request)
    world.settle()
    assert clients(world) == before
    return caught.value


@pytest.mark.parametrize("spelling", [NEW, OLD, (NEW[0], OLD[1]), (OLD[0], NEW[1])])
def test_opsworks_nodes_are_associated_in_every_spelling(world: World, spelling: tuple[str, str]) -> None:
    """The engine gets a client with the node's key; the token's state goes to SUCCESS, and an event tells it."""
    assert associate(world, spelling=spelling) == "SUCCESS"
    assert clients(world) == {"i-0abc": KEY_PAIR.public_pem}
    assert world.messages()[0] == "Node i-0abc was associated"


@pytest.mark.parametrize("form", ["'{}'", "\n {} \n", "comment\n{}"])
def test_opsworks_keys_that_a_shell_left_something_around_are_taken(world: World, form: str) -> None:
    """Quotes and blanks around the PEM do no harm; the engine gets the clean key."""
    assert associate(world, key=form.format(KEY_PAIR.public_pem)) == "SUCCESS"
    assert clients(world) == {"i-0abc": KEY_PAIR.public_pem}


def test_opsworks_tokens_are_88_characters_and_never_alike(world: World) -> None:
    """A token is 64 random bytes in base64."""
    tokens = {begin(world, "AssociateNode", association(f"n{number}")) for number in range(5)}
    assert len(tokens) == 5
    assert {len(base64.b64decode(token)) for token in tokens} == {64}


def test_opsworks_nodes_without_an_organization_are_of_the_default_one(world: World) -> None:
    """The organization may be left out, at association and at disassociation."""
    request = association()
    del request["EngineAttributes"][0]
    token = begin(world, "AssociateNode", request)
    world.settle()
    assert state(world, token) == "SUCCESS"
    token = begin(world, "DisassociateNode", {"ServerName": NAME, "NodeName": "i-0abc"})
    world.settle()
    assert (state(world, token), clients(world)) == ("SUCCESS", {})
    assert world.messages()[0] == "Node i-0abc was disassociated"


def test_opsworks_another_organization_makes_the_association_fail(world: World) -> None:
    """Only `default` exists, so the request ends FAILED, as AWS documents, and the event says why."""
    for operation in ("AssociateNode", "DisassociateNode"):
        request = association()
        request["EngineAttributes"][0]["Value"] = "mine"
        token = begin(world, operation, request)
        world.settle()
        assert state(world, token) == "FAILED"
        assert "no organization" in world.messages()[0]
    assert clients(world) == {}


def test_opsworks_disassociation_of_an_unknown_node_succeeds(world: World) -> None:
    """What is not there is disassociated already; the attributes of the association may be passed again."""
    token = begin(world, "DisassociateNode", association("nobody"))
    world.settle()
    assert state(world, token) == "SUCCESS"


def test_opsworks_a_node_keeps_its_key_until_it_is_disassociated(world: World) -> None:
    """The same key again is no error; another key for a taken name FAILs and changes nothing; after disassociation the
    name is free.
    """
    assert associate(world) == "SUCCESS"
    assert associate(world) == "SUCCESS"
    assert associate(world, key=OTHER.public_pem) == "FAILED"
    assert "another key" in world.messages()[0]
    assert clients(world) == {"i-0abc": KEY_PAIR.public_pem}
    begin(world, "DisassociateNode", {"ServerName": NAME, "NodeName": "i-0abc"})
    assert associate(world, key=OTHER.public_pem) == "SUCCESS"
    assert clients(world) == {"i-0abc": OTHER.public_pem}


def test_opsworks_requests_are_carried_out_in_their_order(world: World) -> None:
    """Asked for while the engine does not answer, requests of one node end as if carried out one by one."""
    engine(world).client_problem = OutboundError("ConnectionError", "no answer")
    tokens = [
        begin(world, "AssociateNode", association()),
        begin(world, "DisassociateNode", {"ServerName": NAME, "NodeName": "i-0abc"}),
        begin(world, "AssociateNode", association(key=OTHER.public_pem)),
    ]
    world.settle()
    assert [state(world, token) for token in tokens] == ["IN_PROGRESS"] * 3
    engine(world).client_problem = None
    world.jobs.look_at_server(world.server_id())
    world.settle()
    assert [state(world, token) for token in tokens] == ["SUCCESS"] * 3
    assert clients(world) == {"i-0abc": OTHER.public_pem}


def test_opsworks_writes_that_a_crash_undid_are_made_again(world: World) -> None:
    """An engine that is killed between a write and its freeze is told again: SUCCESS is never said of what is lost."""
    engine(world).crashes = 2
    assert associate(world) == "SUCCESS"
    engine(world).crash(world.server_id())
    assert clients(world) == {"i-0abc": KEY_PAIR.public_pem}
    engine(world).crashes = 1
    token = begin(world, "DisassociateNode", {"ServerName": NAME, "NodeName": "i-0abc"})
    world.settle()
    engine(world).crash(world.server_id())
    assert (state(world, token), clients(world)) == ("SUCCESS", {})


def test_opsworks_associations_that_cannot_be_made_fail_within_the_waiter_s_time(world: World) -> None:
    """After three minutes without an answer of the engine the request is FAILED and not tried any more."""
    engine(world).client_problem = OutboundError("ConnectionError", "no answer")
    token = begin(world, "AssociateNode", association())
    world.settle()
    assert state(world, token) == "IN_PROGRESS"
    assert isinstance(world.clock, SteppingClock)
    world.clock.at += timedelta(seconds=181)
    world.jobs.look_at_server(world.server_id())
    world.settle()
    assert state(world, token) == "FAILED"
    engine(world).client_problem = None
    world.jobs.look_at_server(world.server_id())
    world.settle()
    assert (state(world, token), clients(world)) == ("FAILED", {})


def test_opsworks_what_the_engine_refuses_for_good_fails_alone(world: World) -> None:
    """One request that can never be carried out does not keep others of the same look from success."""
    engine(world).client_problem = OutboundError("ConnectionError", "no answer")
    request = association("first")
    request["EngineAttributes"][0]["Value"] = "mine"
    tokens = [begin(world, "AssociateNode", request), begin(world, "AssociateNode", association("second"))]
    world.settle()
    engine(world).client_problem = None
    world.jobs.look_at_server(world.server_id())
    world.settle()
    assert [state(world, token) for token in tokens] == ["FAILED", "SUCCESS"]


@pytest.mark.parametrize("name", ["pivotal", "admin", "Admin", "chef-webui", "chef-validator", "a:b", ".", "..", "..."])
def test_opsworks_names_that_chef_cannot_have_are_refused(world: World, name: str) -> None:
    """Reserved names, colons and dots alone are ValidationExceptions, for disassociation too."""
    for operation in ("AssociateNode", "DisassociateNode"):
        assert refused(world, operation, association(name)).code == "ValidationException"


@pytest.mark.parametrize("name", ["i-0abc", "a.b", "-", "_", "7", "N" * 300, "pivotal2", "..a"])
def test_opsworks_other_names_are_taken(name: str) -> None:
    """Whatever else the model's pattern allows is a node's name."""
    assert check_node_name(name) == name


@pytest.mark.parametrize(
    "given",
    [
        [],
        attributes((NEW[0], "default")),
        attributes((NEW[1], "")),
        attributes((NEW[1], "no key")),
        attributes((NEW[1], KEY_PAIR.private_pem)),
        attributes((NEW[1], KEY_PAIR.public_pem), (OLD[1], KEY_PAIR.public_pem)),
        attributes((NEW[0], "default"), (OLD[0], "default"), (NEW[1], KEY_PAIR.public_pem)),
        attributes((NEW[0], ""), (NEW[1], KEY_PAIR.public_pem)),
        attributes(("CHEF_PIVOTAL_KEY", "x"), (NEW[1], KEY_PAIR.public_pem)),
        [{"Name": NEW[1]}],
        [{"Value": "x"}],
    ],
)
def test_opsworks_wrong_node_attributes_are_refused_without_repeating_them(
    world: World, given: list[dict[str, str]]
) -> None:
    """Missing, repeated, unknown, empty and useless attributes are ValidationExceptions; values are not echoed."""
    problem = refused(world, "AssociateNode", {"ServerName": NAME, "NodeName": "n", "EngineAttributes": given})
    assert problem.code == "ValidationException"
    assert "BEGIN" not in problem.message
    assert "no key" not in problem.message


@pytest.mark.parametrize("operation", ["AssociateNode", "DisassociateNode"])
def test_opsworks_nodes_need_a_healthy_server_of_the_caller(world: World, operation: str) -> None:
    """Every other state is InvalidStateException, even BACKING_UP; an unknown or foreign server does not exist."""
    for status in set(ServerStatus) - {ServerStatus.HEALTHY}:
        with world.database.unit() as unit:
            server = world.store.all_servers(unit.connection)[0]
            world.store.put_server(unit, server.moved(status))
        problem = refused(world, operation, association())
        assert problem.code == "InvalidStateException"
        assert problem.message == f"Server {NAME} is in state {status}; {operation} needs state HEALTHY"
    assert refused(world, operation, association() | {"ServerName": "other"}).code == "ResourceNotFoundException"
    with pytest.raises(ApiError, match="ResourceNotFoundException"):
        world.ask(operation, association(), account_id=OTHER_ACCOUNT)


def test_opsworks_tokens_belong_to_one_server_and_end_after_a_day(world: World) -> None:
    """Another server's token, an invented one, an old one and one of a server that is gone are not found."""
    world.ask("CreateServer", create_request("two"))
    world.settle()
    token = begin(world, "AssociateNode", association())
    world.settle()
    assert state(world, token) == "SUCCESS"
    for wrong, name in ((token, "two"), ("x" * 88, NAME), (token, "three")):
        with pytest.raises(ApiError, match="ResourceNotFoundException"):
            state(world, wrong, name)
    assert isinstance(world.clock, SteppingClock)
    world.clock.at += timedelta(hours=24)
    with pytest.raises(ApiError, match="ResourceNotFoundException: No node association request found"):
        state(world, token)
    world.ask("DeleteServer", {"ServerName": NAME})
    world.settle()
    world.ask("CreateServer", create_request())
    world.settle()
    with pytest.raises(ApiError, match="ResourceNotFoundException"):
        state(world, token)


def test_opsworks_old_requests_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go a day after they ended, or when more than the kept number of newer ones ended; a deleted server's too."""
    monkeypatch.setattr(node_store, "ENDED_KEPT", 3)
    first = begin(world, "AssociateNode", association("n0"))
    for number in range(1, 6):
        begin(world, "AssociateNode", association(f"n{number}"))
        world.settle()
    assert rows(world) == 4
    with pytest.raises(ApiError, match="ResourceNotFoundException"):
        state(world, first)
    assert isinstance(world.clock, SteppingClock)
    world.clock.at += timedelta(hours=25)
    begin(world, "AssociateNode", association("n9"))
    assert rows(world) == 1
    world.settle()
    world.ask("DeleteServer", {"ServerName": NAME})
    world.settle()
    assert rows(world) == 0


def rows(world: World) -> int:
    with world.database.read() as connection:
        return int(connection.exec_driver_sql("select count(*) from opsworks_node_requests").scalar_one())


def test_opsworks_waiting_requests_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More requests than may wait are throttled and leave nothing."""
    monkeypatch.setattr(nodes, "WAITING_LIMIT", 2)
    engine(world).client_problem = OutboundError("ConnectionError", "no answer")
    for number in range(2):
        begin(world, "AssociateNode", association(f"n{number}"))
    assert refused(world, "AssociateNode", association("n3")).code == "ThrottlingException"
    assert rows(world) == 2
