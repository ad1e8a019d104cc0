"""The engine port: the same sentences hold for the fake engine and for the real goiardi."""

import os
import signal
import socket
import stat
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.errors import OutboundError
from opentrail.local.goiardi import goiardi_binary
from opentrail.opsworks.engine import ENGINE_URL, Engine, EngineCall, EngineSpec, FirstUsers, HealthState
from opentrail.opsworks.external import ExternalChef
from opentrail.opsworks.external_api import ExternalApi
from opentrail.opsworks.goiardi import BINARY, Goiardi
from opentrail.opsworks.goiardi_api import GoiardiApi
from opentrail.opsworks.goiardi_files import GoiardiFiles
from opentrail.opsworks.keys import generate_key_pair
from opentrail.processes.supervisor import Supervisor
from tests.support.chef_clients import ChefClient, private_key
from tests.support.chef_product import external_server
from tests.support.gateway import running
from tests.support.opsworks import KEY_PAIR, PASSWORD, FakeEngine

GOIARDI = str(goiardi_binary() or BINARY)
NEEDS_GOIARDI = pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed")
MARKS = [pytest.mark.goiardi, NEEDS_GOIARDI]


@dataclass
class Real:
    """A goiardi driver with its own supervisor."""

    root: Path
    supervisor: Supervisor
    engine: Goiardi

    def files(self, server_id: str) -> GoiardiFiles:
        return GoiardiFiles(self.root / "servers" / server_id)

    def api(self, server_id: str) -> GoiardiApi:
        port = self.files(server_id).remembered_port()
        assert port is not None
        return GoiardiApi(port, self.files(server_id).admin_key, SystemClock())

    def pid(self, server_id: str) -> int:
        child = self.supervisor.child(f"goiardi-{server_id}")
        assert child is not None
        assert child.pid is not None
        return child.pid


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    clock = SystemClock()
    supervisor = Supervisor(tmp_path / "pids", clock)
    yield Real(
        tmp_path / "ow", supervisor, Goiardi(tmp_path / "ow", supervisor, clock, SystemEntropy(), binary=GOIARDI)
    )
    supervisor.stop_all()


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExternalApi]:
    """Somebody else's Chef server, as an administrator of it: goiardi behind the door of another OpenTrail."""
    with running(tmp_path_factory.mktemp("external") / "home") as gateway:
        yield ExternalApi(external_server(gateway), SystemClock())


@pytest.fixture(params=["fake", *(pytest.param(name, marks=MARKS) for name in ("goiardi", "external"))])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "fake":
        return FakeEngine(tmp_path / "fake")
    if request.param == "external":
        return ExternalChef(tmp_path / "external", request.getfixturevalue("external"))
    driver: Real = request.getfixturevalue("real")
    return driver.engine


def new_spec() -> EngineSpec:
    return EngineSpec(str(uuid.uuid4()), "automate-06-abcdefghijklmnop.us-east-1.opsworks-cm.io")


USERS = FirstUsers(KEY_PAIR.public_pem, PASSWORD)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def wait_for(condition: Callable[[], bool], timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_opsworks_engine_life_from_provisioning_to_deletion(engine: Engine) -> None:
    """Provisioned servers are healthy, stopped ones dead, started ones healthy again, deleted ones leave nothing."""
    spec = new_spec()
    assert engine.health(spec.server_id).state is HealthState.DEAD
    engine.provision(spec, USERS)
    assert engine.health(spec.server_id).state is HealthState.OK
    assert engine.server_ids() == [spec.server_id]
    engine.start(spec)
    engine.stop(spec.server_id)
    assert not engine.is_up(spec.server_id)
    assert engine.health(spec.server_id).state is HealthState.DEAD
    engine.start(spec)
    assert engine.health(spec.server_id).state is HealthState.OK
    if isinstance(engine, ExternalChef):
        with pytest.raises(OutboundError, match="its own tools"), engine.snapshot(spec.server_id):
            pass
    else:
        with engine.snapshot(spec.server_id) as directory:
            assert any(directory.rglob("data.bin"))
    engine.delete(spec.server_id)
    assert engine.server_ids() == []
    engine.delete(spec.server_id)
    engine.stop(spec.server_id)


def test_opsworks_engine_provisions_again_over_an_interrupted_attempt(engine: Engine) -> None:
    """A second provisioning of the same server starts from nothing and ends healthy."""
    spec = new_spec()
    engine.provision(spec, USERS)
    engine.provision(spec, USERS)
    assert engine.health(spec.server_id).state is HealthState.OK


def test_opsworks_engine_refuses_what_it_does_not_have(engine: Engine) -> None:
    """Starting or copying a server without files is an OutboundError."""
    with pytest.raises(OutboundError, match="missing"):
        engine.start(new_spec())
    with pytest.raises(OutboundError, match="missing"), engine.snapshot(new_spec().server_id):
        pass
    assert engine.describe().split()


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_knows_its_users_and_keeps_no_secret(real: Real) -> None:
    """pivotal has the given key, admin the given password; files are private and hold the password nowhere."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    pid = real.pid(spec.server_id)
    os.kill(pid, signal.SIGKILL)  # everything was on disk when provisioning returned
    wait_for(lambda: real.engine.health(spec.server_id).state is HealthState.OK)
    assert real.pid(spec.server_id) != pid
    status, answer = real.api(spec.server_id)._ask(
        "POST", "/authenticate_user", {"name": "admin", "password": PASSWORD}
    )
    assert (status, answer) == (200, {"name": "admin", "verified": True})
    status, answer = real.api(spec.server_id)._ask("GET", "/users/pivotal", None)
    assert isinstance(answer, dict)
    assert "".join(answer["public_key"].split()) == "".join(KEY_PAIR.public_pem.split())
    directory = real.files(spec.server_id).directory
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in (path for path in directory.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if content[:1] == b"\x78":
            content += zlib.decompressobj().decompress(content)
        assert PASSWORD.encode() not in content
        if path.suffix == ".pem":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    argv = Path(f"/proc/{real.pid(spec.server_id)}/cmdline").read_bytes()
    assert PASSWORD.encode() not in argv


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_chooses_another_port_when_its_own_is_taken(real: Real) -> None:
    """A server starts on the port that it had, and on another one where somebody else listens there."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    files = real.files(spec.server_id)
    port = files.remembered_port()
    real.engine.stop(spec.server_id)
    real.engine.start(spec)
    assert files.remembered_port() == port
    real.engine.stop(spec.server_id)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        real.engine.start(spec)
        assert files.remembered_port() != port
        assert real.engine.health(spec.server_id).state is HealthState.OK


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_that_answers_wrongly_is_failing(real: Real) -> None:
    """A process that runs but does not accept the admin's signature is FAILING, not OK and not DEAD."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    real.files(spec.server_id).admin_key.write_text(KEY_PAIR.private_pem)
    health = real.engine.health(spec.server_id)
    assert health.state is HealthState.FAILING
    assert "401" in health.problem


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_stop_leaves_no_process_and_start_clears_leftovers(real: Real) -> None:
    """After a stop the process is gone; temporary files of an interrupted freeze are gone after the next start."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    pid = real.pid(spec.server_id)
    real.engine.stop(spec.server_id)
    assert gone(pid)
    leftovers = [real.files(spec.server_id).data_file.with_name(name) for name in ("ds-store123", "idx-build456")]
    for path in leftovers:
        path.write_bytes(b"half")
    real.engine.start(spec)
    assert not any(path.exists() for path in leftovers)


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_keeps_every_write_over_a_quiet_stop(real: Real) -> None:
    """Objects written right before a stop are all there after the next start."""
    spec = new_spec()
    real.engine.provision(spec, USERS)
    api = real.api(spec.server_id)
    names = [f"role-{number}" for number in range(40)]
    for name in names:
        api._change("POST", "/roles", {"name": name, "json_class": "Chef::Role", "chef_type": "role"}, 201)
    real.engine._wrote(spec.server_id)
    real.engine.stop(spec.server_id)
    real.engine.start(spec)
    _, answer = real.api(spec.server_id)._ask("GET", "/roles", None)
    assert isinstance(answer, dict)
    assert set(answer) == set(names)


def test_opsworks_goiardi_missing_is_said_with_advice(tmp_path: Path) -> None:
    """Without the binary provisioning is refused for good, names the package, and leaves nothing behind."""
    supervisor = Supervisor(tmp_path / "pids", SystemClock())
    engine = Goiardi(tmp_path / "ow", supervisor, SystemClock(), SystemEntropy(), binary="no-such-goiardi")
    with pytest.raises(OutboundError, match="apt-get install goiardi") as caught:
        engine.provision(new_spec(), USERS)
    assert (caught.value.code, caught.value.retryable) == ("EngineMissing", False)
    assert engine.server_ids() == []


def test_opsworks_goiardi_clears_staging_and_ignores_foreign_directories(tmp_path: Path) -> None:
    """Snapshots of a killed process are removed at the next start; only server ids count as servers."""
    stale = tmp_path / "ow" / "staging" / "old"
    stale.mkdir(parents=True)
    (tmp_path / "ow" / "servers" / "lost+found").mkdir(parents=True)
    engine = Goiardi(
        tmp_path / "ow", Supervisor(tmp_path / "pids", SystemClock()), SystemClock(), SystemEntropy(), binary=GOIARDI
    )
    assert not stale.exists()
    assert engine.server_ids() == []


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_external_engine_keeps_clients_and_pivotals_key(tmp_path: Path, external: ExternalApi) -> None:
    """Clients come with their key and go, twice without error; a name that is taken is refused for good; pivotal's key
    is replaced; a server that it is not takes nothing, and its clients go there by themselves.
    """
    engine, spec, other = ExternalChef(tmp_path / "external", external), new_spec(), generate_key_pair()
    engine.provision(spec, USERS)
    assert engine.client_key(spec.server_id, "i-0abc") is None
    with engine.durably(spec.server_id):
        engine.add_client(spec.server_id, "i-0abc", KEY_PAIR.public_pem)
    assert (engine.client_key(spec.server_id, "i-0abc") or "").split() == KEY_PAIR.public_pem.split()
    with pytest.raises(OutboundError) as caught:
        engine.add_client(spec.server_id, "i-0abc", other.public_pem)
    assert (caught.value.code, caught.value.retryable) == ("EngineRefused", False)
    engine.remove_node(spec.server_id, "i-0abc")
    engine.remove_node(spec.server_id, "i-0abc")
    assert engine.client_key(spec.server_id, "i-0abc") is None
    server = external._server
    for public, status in ((other.public_pem, 200), (KEY_PAIR.public_pem, 401)):
        engine.set_pivotal_key(spec.server_id, public)
        pivotal = ChefClient(f"https://{server.address}", "pivotal", private_key(other.private_pem), server.ca_file)
        assert pivotal.ask("GET", "/users")[0] == status
    with pytest.raises(OutboundError, match="another server's already"):
        engine.provision(new_spec(), USERS)
    with pytest.raises(OutboundError, match="not in use"):
        engine.client_key(new_spec().server_id, "i-0abc")
    with pytest.raises(OutboundError, match="directly"):
        engine.call(spec.server_id, EngineCall("GET", "/nodes", "pivotal"))


@pytest.mark.goiardi
@NEEDS_GOIARDI
def test_opsworks_goiardi_takes_calls_as_their_actor(real: Real) -> None:
    """A plain client's call has a plain client's rights, pivotal's has an administrator's; URLs begin with ENGINE_URL;
    whoever is not there is refused by the engine itself, and a stopped engine takes no call.
    """
    spec = new_spec()
    real.engine.provision(spec, USERS)
    client = b'{"name":"i-0abc","admin":false}'
    json_headers = {"Content-Type": "application/json", "Accept": "application/json"}
    made = real.engine.call(
        spec.server_id, EngineCall("POST", "/clients", "pivotal", headers=json_headers, body=client)
    )
    assert made.status == 201
    assert f'"{ENGINE_URL}/clients/i-0abc"'.encode() in made.body
    role = b'{"name":"r","json_class":"Chef::Role","chef_type":"role"}'
    for actor, status in (("i-0abc", 403), ("nobody", 401), ("pivotal", 201)):
        call = EngineCall("POST", "/roles", actor, headers=json_headers, body=role)
        assert real.engine.call(spec.server_id, call).status == status, actor
    found = real.engine.call(spec.server_id, EngineCall("GET", "/search/role", "i-0abc", "q=*:*", json_headers))
    assert (found.status, found.headers["content-type"]) == (200, "application/json")
    real.engine.stop(spec.server_id)
    with pytest.raises(OutboundError):
        real.engine.call(spec.server_id, EngineCall("GET", "/roles", "pivotal"))
    real.engine.start(spec)
    kept = real.engine.call(spec.server_id, EngineCall("GET", "/roles/r", "pivotal"))
    assert kept.status == 200
