"""The engine port: writes about nodes and pivotal; the same sentences hold for the fake engine and the real goiardi."""

import json
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from opentrail.errors import OutboundError
from opentrail.opsworks.engine import ENGINE_RESTARTED, Engine, HealthState
from opentrail.opsworks.keys import generate_key_pair, same_public_key
from tests.contract.test_opsworks_engine_contract import (
    NEEDS_GOIARDI,
    USERS,
    Real,
    engine,
    external,
    new_spec,
    real,
    wait_for,
)
from tests.support.chef_clients import ChefClient, private_key
from tests.support.opsworks import KEY_PAIR

__all__ = ["engine", "external", "real"]  # fixtures
OTHER = generate_key_pair()


def chef_status(port: int, method: str, path: str, body: object, *, user: str, key: rsa.RSAPrivateKey) -> int:
    """The status that goiardi itself, without the door, answers."""
    status: int = ChefClient(f"http://127.0.0.1:{port}", user, key, prefix="").ask(method, path, body)[0]
    return status


@pytest.fixture
def server(engine: Engine) -> Iterator[str]:
    spec = new_spec()
    engine.provision(spec, USERS)
    yield spec.server_id
    engine.delete(spec.server_id)


@pytest.mark.parametrize("name", ["i-0abc", "a.b_c-1", "N" * 300, "0"])
def test_opsworks_engine_clients_come_and_go(engine: Engine, server: str, name: str) -> None:
    """A client has the key that it was made with until it is removed; removing it twice is no error."""
    assert engine.client_key(server, name) is None
    engine.add_client(server, name, KEY_PAIR.public_pem)
    assert same_public_key(engine.client_key(server, name) or "", KEY_PAIR.public_pem)
    with pytest.raises(OutboundError) as caught:
        engine.add_client(server, name, OTHER.public_pem)
    assert not caught.value.retryable
    engine.remove_node(server, name)
    engine.remove_node(server, name)
    assert engine.client_key(server, name) is None


def test_opsworks_engine_that_does_not_run_takes_no_nodes(engine: Engine) -> None:
    """Every write to a server that does not run is an OutboundError, to be tried again."""
    server_id = new_spec().server_id
    attempts: list[Callable[[], object]] = [
        lambda: engine.client_key(server_id, "n"),
        lambda: engine.add_client(server_id, "n", KEY_PAIR.public_pem),
        lambda: engine.remove_node(server_id, "n"),
        lambda: engine.set_pivotal_key(server_id, KEY_PAIR.public_pem),
    ]
    for attempt in attempts:
        with pytest.raises(OutboundError) as caught:
            attempt()
        assert caught.value.retryable


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_nodes_sign_with_their_own_key_until_they_are_removed(real: Real) -> None:
    """An added client makes its node object with its own key; removed, the key is refused at once and the node gone."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    port = real.files(spec.server_id).remembered_port()
    assert port is not None
    key = private_key(OTHER.private_pem)
    node = {"name": "i-0abc", "json_class": "Chef::Node", "chef_type": "node", "run_list": []}
    real.engine.add_client(spec.server_id, "i-0abc", OTHER.public_pem)
    assert chef_status(port, "POST", "/nodes", node, user="i-0abc", key=key) == 201
    assert chef_status(port, "DELETE", "/clients/admin", None, user="i-0abc", key=key) in {403, 404}
    real.engine.remove_node(spec.server_id, "i-0abc")
    assert chef_status(port, "GET", "/nodes/i-0abc", None, user="i-0abc", key=key) == 401
    assert real.api(spec.server_id)._ask("GET", "/nodes/i-0abc", None)[0] == 404


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_pivotal_s_old_key_is_refused_at_once(real: Real) -> None:
    """After ``set_pivotal_key`` the new key signs as an administrator and the old one is refused."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    port = real.files(spec.server_id).remembered_port()
    assert port is not None
    old, new = private_key(KEY_PAIR.private_pem), private_key(OTHER.private_pem)
    assert chef_status(port, "GET", "/users", None, user="pivotal", key=old) == 200
    real.engine.set_pivotal_key(spec.server_id, OTHER.public_pem)
    assert chef_status(port, "GET", "/users", None, user="pivotal", key=old) == 401
    assert chef_status(port, "GET", "/users", None, user="pivotal", key=new) == 200


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_durable_writes_survive_a_kill(real: Real) -> None:
    """What a ``durably`` block wrote is there after kill -9 right behind it: clients, a removal, pivotal's key."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    with real.engine.durably(spec.server_id):
        real.engine.add_client(spec.server_id, "gone", KEY_PAIR.public_pem)
    with real.engine.durably(spec.server_id):
        real.engine.add_client(spec.server_id, "kept", KEY_PAIR.public_pem)
        real.engine.remove_node(spec.server_id, "gone")
        real.engine.set_pivotal_key(spec.server_id, OTHER.public_pem)
    pid = real.pid(spec.server_id)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: real.engine.health(spec.server_id).state is HealthState.OK)
    assert real.pid(spec.server_id) != pid
    assert real.engine.client_key(spec.server_id, "kept")
    assert real.engine.client_key(spec.server_id, "gone") is None
    _, pivotal = real.api(spec.server_id)._ask("GET", "/users/pivotal", None)
    assert same_public_key(json.loads(json.dumps(pivotal))["public_key"], OTHER.public_pem)


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_says_when_a_kill_may_have_undone_writes(real: Real) -> None:
    """A ``durably`` block whose engine was killed in it raises EngineRestarted instead of promising anything."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    with pytest.raises(OutboundError) as caught, real.engine.durably(spec.server_id):
        real.engine.add_client(spec.server_id, "lost", KEY_PAIR.public_pem)
        os.kill(real.pid(spec.server_id), signal.SIGKILL)
        wait_for(lambda: real.engine.health(spec.server_id).state is HealthState.DEAD)
    assert caught.value.code == ENGINE_RESTARTED
