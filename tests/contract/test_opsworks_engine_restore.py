"""The engine port's restoring: the same sentences for the fake engine and for the real goiardi, and goiardi's own."""

import os
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.errors import OutboundError
from opentrail.opsworks.engine import Engine, EngineSpec, HealthState, Restoration
from opentrail.opsworks.goiardi import Goiardi
from opentrail.opsworks.keys import generate_key_pair
from opentrail.processes.supervisor import Supervisor
from tests.contract.test_opsworks_engine_contract import (
    GOIARDI,
    NEEDS_GOIARDI,
    USERS,
    Real,
    new_spec,
    real,
)
from tests.support.opsworks import KEY_PAIR, PASSWORD, FakeEngine

__all__ = ["real"]
OTHER_PAIR = generate_key_pair()


@pytest.fixture(params=["fake", pytest.param("goiardi", marks=[pytest.mark.goiardi, NEEDS_GOIARDI])])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """The engines whose servers' files are ours; an external one is restored by whoever runs it."""
    if request.param == "fake":
        return FakeEngine(tmp_path / "fake")
    driver: Real = request.getfixturevalue("real")
    return driver.engine


def copied(engine: Engine, spec: EngineSpec, to: Path) -> Path:
    """What a backup of a server would hold."""
    with engine.snapshot(spec.server_id) as directory:
        shutil.copytree(directory, to)
    return to


def restoration(directory: Path, **changes: Any) -> Restoration:
    chosen = {"pivotal_public_key": KEY_PAIR.public_pem, "admin_password": None, "keeps_nodes": True} | changes
    return Restoration(directory, **chosen)


def add(real: Real, spec: EngineSpec, *names: str) -> None:
    """A client with a key of its own, a node, a role and a data bag of each name."""
    api = real.api(spec.server_id)
    for name in names:
        client = {"name": name, "public_key": OTHER_PAIR.public_pem, "admin": False}
        api._change("POST", "/clients", client, 201)
        api._change("POST", "/nodes", {"name": name, "json_class": "Chef::Node", "chef_type": "node"}, 201)
        api._change("POST", "/roles", {"name": name, "json_class": "Chef::Role", "chef_type": "role"}, 201)
        api._change("POST", "/data", {"name": name}, 201)


def names(real: Real, spec: EngineSpec, kind: str) -> set[str]:
    return real.api(spec.server_id)._names(f"/{kind}")


def pivotal_key(real: Real, spec: EngineSpec) -> str:
    _, answer = real.api(spec.server_id)._ask("GET", "/users/pivotal", None)
    assert isinstance(answer, dict)
    return "".join(answer["public_key"].split())


def verified(real: Real, spec: EngineSpec, password: str) -> bool:
    user = {"name": "admin", "password": password}
    _, answer = real.api(spec.server_id)._ask("POST", "/authenticate_user", user)
    return isinstance(answer, dict) and answer["verified"] is True


def test_opsworks_engine_restores_in_place_and_into_a_new_server(engine: Engine, tmp_path: Path) -> None:
    """A copy of a server becomes that server again, also after its files are gone, and another one."""
    spec, other = new_spec(), new_spec()
    engine.provision(spec, USERS)
    for number in range(2):
        engine.restore(spec, restoration(copied(engine, spec, tmp_path / str(number))))
        assert engine.health(spec.server_id).state is HealthState.OK
    first, second = copied(engine, spec, tmp_path / "first"), copied(engine, spec, tmp_path / "second")
    engine.delete(spec.server_id)
    with pytest.raises(OutboundError) as caught:
        engine.start(spec)
    assert caught.value.code == "EngineData"
    engine.restore(spec, restoration(first))
    engine.restore(other, restoration(second, admin_password=PASSWORD, keeps_nodes=False))
    assert engine.health(spec.server_id).state is engine.health(other.server_id).state is HealthState.OK
    assert engine.server_ids() == sorted((spec.server_id, other.server_id))
    for one in (spec, other):
        engine.delete(one.server_id)
    assert engine.server_ids() == []


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_restores_what_the_backup_had(real: Real, tmp_path: Path) -> None:
    """Nodes, clients, roles and bags are those of the backup; pivotal has the key given now; port and admin stay."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    add(real, spec, "kept-1", "kept-2")
    backup = copied(real.engine, spec, tmp_path / "backup")
    add(real, spec, "later")
    real.api(spec.server_id)._change("DELETE", "/nodes/kept-1", None, 200)
    port = real.files(spec.server_id).remembered_port()
    real.engine.restore(spec, restoration(backup, pivotal_public_key=OTHER_PAIR.public_pem))
    assert names(real, spec, "nodes") == {"kept-1", "kept-2"}
    assert names(real, spec, "clients") == {"kept-1", "kept-2", "chef-validator", "chef-webui"}
    assert names(real, spec, "roles") == names(real, spec, "data") == {"kept-1", "kept-2"}
    assert pivotal_key(real, spec) == "".join(OTHER_PAIR.public_pem.split())
    assert verified(real, spec, PASSWORD)
    assert real.files(spec.server_id).remembered_port() == port
    assert real.api(spec.server_id).is_indexed()
    root = real.root
    assert [list((root / name).iterdir()) for name in ("restoring", "replaced", "staging")] == [[], [], []]
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in (root / "servers").rglob("*.pem"))


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_makes_a_new_server_without_the_nodes(real: Real, tmp_path: Path) -> None:
    """Another server from the same backup has its roles, bags and users with their new secrets, and no node of it."""
    spec, other = new_spec(), new_spec()
    real.engine.provision(spec, USERS)
    add(real, spec, "node-1", "node-2")
    real.api(spec.server_id)._change("DELETE", "/users/pivotal", None, 200)  # somebody may have
    backup = copied(real.engine, spec, tmp_path / "backup")
    new_password = "Another_one9"
    made = restoration(backup, pivotal_public_key=OTHER_PAIR.public_pem, admin_password=new_password, keeps_nodes=False)
    real.engine.restore(other, made)
    assert names(real, other, "nodes") == set()
    assert names(real, other, "clients") == {"chef-validator", "chef-webui"}
    assert names(real, other, "roles") == {"node-1", "node-2"}
    assert verified(real, other, new_password)
    assert not verified(real, other, PASSWORD)
    assert pivotal_key(real, other) == "".join(OTHER_PAIR.public_pem.split())
    assert names(real, spec, "nodes") == {"node-1", "node-2"}
    os.kill(real.pid(other.server_id), signal.SIGKILL)  # everything was on disk when it returned
    real.engine.delete(spec.server_id)


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_keeps_the_old_server_where_the_backup_does_not_work(real: Real, tmp_path: Path) -> None:
    """A damaged store is refused by goiardi itself; the old server runs on with what it has."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    backup = copied(real.engine, spec, tmp_path / "backup")
    add(real, spec, "mine")
    data = backup / "data" / "data.bin"
    data.write_bytes(data.read_bytes()[:100])
    pid = real.pid(spec.server_id)
    with pytest.raises(OutboundError):
        real.engine.restore(spec, restoration(backup))
    assert real.pid(spec.server_id) == pid
    assert names(real, spec, "nodes") == {"mine"}
    assert [list((real.root / name).iterdir()) for name in ("restoring", "replaced")] == [[], []]


@pytest.fixture
def dead_root(real: Real) -> Iterator[tuple[Path, EngineSpec]]:
    """A stopped server, whose directories are put as a kill in the middle of a swap leaves them."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    add(real, spec, "before")
    real.engine.stop(spec.server_id)
    yield real.root, spec


def started_again(root: Path, spec: EngineSpec, pids: Path) -> set[str]:
    """The roles of the server that the next life finds, which leaves no other directory behind."""
    supervisor = Supervisor(pids, SystemClock())
    engine = Goiardi(root, supervisor, SystemClock(), SystemEntropy(), binary=GOIARDI)
    try:
        engine.start(spec)
        assert [list((root / name).iterdir()) for name in ("restoring", "replaced")] == [[], []]
        return names(Real(root, supervisor, engine), spec, "roles")
    finally:
        supervisor.stop_all()


@pytest.mark.goiardi
@NEEDS_GOIARDI
@pytest.mark.parametrize("moved", ["nothing", "old", "both"])
def test_opsworks_goiardi_survives_a_kill_in_the_middle_of_a_swap(
    dead_root: tuple[Path, EngineSpec], tmp_path: Path, moved: str
) -> None:
    """Killed before the first move the old server is there, after it the new one, and nothing is left behind."""
    root, spec = dead_root
    new = root / "restoring" / spec.server_id
    shutil.copytree(root / "servers" / spec.server_id, new)
    (new / "is-new").touch()
    if moved != "nothing":
        (root / "servers" / spec.server_id).rename(root / "replaced" / spec.server_id)
    if moved == "both":
        new.rename(root / "servers" / spec.server_id)
    assert started_again(root, spec, tmp_path / "again") == {"before"}
    assert (root / "servers" / spec.server_id / "is-new").exists() == (moved != "nothing")
