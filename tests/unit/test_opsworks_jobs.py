"""The background of OpsWorks CM with a fake engine: restarts, lost engines, strays, one thread per key."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from opentrail.errors import OutboundError
from opentrail.opsworks.engine import Health, HealthState
from opentrail.opsworks.server import Server, ServerStatus
from opentrail.opsworks.steps import Step, next_step, observed
from opentrail.opsworks.workers import KeyedWorkers
from opentrail.state.database import Database
from tests.support.memory_store import MemoryObjectStore
from tests.support.opsworks import ACCOUNT, FakeEngine, SteppingClock, World, create_request, fake_world, new_seal


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "state.db")
    yield database
    database.close()


class Home:
    """What survives a restart: the database, the engine's files, the bucket and the sealing key."""

    def __init__(self, directory: Path, database: Database) -> None:
        self.directory, self.database = directory, database
        self.seal, self.objects = new_seal(), MemoryObjectStore()

    @contextmanager
    def process(self, *, working: bool = True, interval_s: float = 3600) -> Iterator[World]:
        """One life of the process; with ``working`` False its background never runs, as if it was killed at once."""
        engine = FakeEngine(self.directory / "engine")
        clock = SteppingClock()
        world = World(self.database, engine, self.objects, self.directory, clock, seal=self.seal, interval_s=interval_s)
        if working:
            world.jobs.start()
        else:
            world.jobs.stop()
        try:
            yield world
        finally:
            world.jobs.stop()


@pytest.fixture
def home(tmp_path: Path, database: Database) -> Home:
    return Home(tmp_path, database)


def wait_for(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fake(world: World) -> FakeEngine:
    assert isinstance(world.engine, FakeEngine)
    return world.engine


def exists(world: World) -> bool:
    return bool(world.ask("DescribeServers")["Servers"])


def test_opsworks_creation_is_resumed_after_a_kill(home: Home) -> None:
    """A server whose process died while CREATING becomes HEALTHY, with its answer's password, at the next start."""
    with home.process(working=False) as world:
        shown = world.ask("CreateServer", create_request())["Server"]["EngineAttributes"]
        password = next(item["Value"] for item in shown if item["Name"] == "CHEF_AUTOMATE_ADMIN_PASSWORD")
    with home.process() as world:
        wait_for(lambda: world.status() == "HEALTHY")
        assert fake(world).users[world.server_id()].admin_password == password


def test_opsworks_sealed_password_is_erased_once_applied(home: Home) -> None:
    """The password is sealed in the row only while the server is CREATING, and gone when it is RUNNING or FAILED."""
    with home.process(working=False) as world:
        world.ask("CreateServer", create_request())
        with home.database.read() as connection:
            sealed = world.store.all_servers(connection)[0].sealed_admin_password
        assert sealed
    with home.process() as world:
        wait_for(lambda: world.status() == "HEALTHY")
        with home.database.read() as connection:
            assert world.store.all_servers(connection)[0].sealed_admin_password is None


def test_opsworks_creation_with_another_sealing_key_fails_truthfully(home: Home) -> None:
    """Where the sealed password cannot be opened any more the server is FAILED with a reason, not half made."""
    with home.process(working=False) as world:
        world.ask("CreateServer", create_request())
    home.seal = new_seal()
    with home.process() as world:
        wait_for(lambda: world.status() == "FAILED")
        assert fake(world).server_ids() == []
        assert "cannot be opened" in world.messages()[0]


def test_opsworks_backup_is_made_again_after_a_kill(home: Home) -> None:
    """A backup that was IN_PROGRESS when the process died is OK after the next start, and the server HEALTHY."""
    with home.process() as world:
        world.ask("CreateServer", create_request())
        world.settle()
    with home.process(working=False) as world:
        backup = world.ask("CreateBackup", {"ServerName": "automate-06"})["Backup"]
        assert world.status() == "BACKING_UP"
    with home.process() as world:
        wait_for(lambda: world.status() == "HEALTHY")
        assert world.ask("DescribeBackups", {"BackupId": backup["BackupId"]})["Backups"][0]["Status"] == "OK"


def test_opsworks_deletions_are_finished_after_a_kill(home: Home) -> None:
    """A server and a backup that were DELETING are gone after the next start, with files, objects, events and tags."""
    with home.process() as world:
        world.ask("CreateServer", create_request(Tags=[{"Key": "a", "Value": "b"}]))
        world.settle()
        backup = world.ask("CreateBackup", {"ServerName": "automate-06"})["Backup"]
        world.settle()
    with home.process(working=False) as world:
        world.ask("DeleteServer", {"ServerName": "automate-06"})
        world.ask("DeleteBackup", {"BackupId": backup["BackupId"]})
    with home.process() as world:
        wait_for(lambda: not exists(world))
        wait_for(lambda: not world.ask("DescribeBackups")["Backups"])
        assert fake(world).server_ids() == []
        assert [keys for keys in home.objects.buckets.values() if keys] == []
        with home.database.read() as connection:
            for table in ("opsworks_server_events", "opsworks_tags"):
                assert connection.exec_driver_sql(f"select count(*) from {table}").scalar() == 0


def test_opsworks_backup_overtaken_by_deletion_is_failed(home: Home) -> None:
    """A backup whose server was deleted before it began ends FAILED instead of waiting for ever."""
    with home.process() as world:
        world.ask("CreateServer", create_request())
        world.settle()
    with home.process(working=False) as world:
        world.ask("CreateBackup", {"ServerName": "automate-06"})
        world.ask("DeleteServer", {"ServerName": "automate-06"})
    with home.process() as world:
        wait_for(lambda: not exists(world))
        backup = world.ask("DescribeBackups")["Backups"][0]
        assert (backup["Status"], backup["StatusDescription"]) == ("FAILED", "The server was deleted")


def test_opsworks_servers_are_started_again_without_a_false_alarm(home: Home) -> None:
    """A restart starts the engines of all servers and leaves no event of a lost connection."""
    with home.process() as world:
        for name in ("a", "b", "c"):
            world.ask("CreateServer", create_request(name))
        world.settle()
    with home.process() as world:
        wait_for(lambda: len(fake(world).up) == 3)
        world.settle()
        assert fake(world).log == ["start"] * 3
        assert {world.status(name) for name in "abc"} == {"HEALTHY"}
        assert world.messages("a")[0] == "Server is healthy"
        assert len(world.messages("a")) == 3


def test_opsworks_files_of_unknown_servers_are_kept_and_told(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """What the engine has of servers that no row knows stays (the state may be an old copy), and the log says so."""
    stray = home.directory / "engine" / "11111111-1111-4111-8111-111111111111"
    stray.mkdir(parents=True)
    with home.process():
        assert stray.exists()
    assert stray.name in caplog.text


def test_opsworks_a_lost_engine_is_noticed_and_brought_back(home: Home) -> None:
    """A dead process shows as CONNECTION_LOST while it cannot be started, and as HEALTHY when it can."""
    with home.process(interval_s=0.05) as world:
        world.ask("CreateServer", create_request())
        wait_for(lambda: world.status() == "HEALTHY")
        fake(world).problem = OutboundError("Exited", "no memory")
        fake(world).up.clear()
        wait_for(lambda: world.status() == "CONNECTION_LOST")
        reason = world.ask("DescribeServers", {"ServerName": "automate-06"})["Servers"][0]["StatusReason"]
        assert reason
        fake(world).problem = None
        wait_for(lambda: world.status() == "HEALTHY")
        told = world.messages()
        assert told[0] == "Server is healthy"
        assert told[1].startswith("Server is CONNECTION_LOST")
        fake(world).bad.add(world.server_id())
        wait_for(lambda: world.status() == "UNHEALTHY")
        reason = world.ask("DescribeServers", {"ServerName": "automate-06"})["Servers"][0]["StatusReason"]
        assert '"message": "it says 500"' in reason


def test_opsworks_a_deletion_that_fails_is_tried_again(home: Home) -> None:
    """A backup whose store is down stays DELETING and goes when the store is back."""
    with home.process(interval_s=0.05) as world:
        world.ask("CreateServer", create_request())
        wait_for(lambda: world.status() == "HEALTHY")
        backup = world.ask("CreateBackup", {"ServerName": "automate-06"})["Backup"]
        wait_for(lambda: world.ask("DescribeBackups")["Backups"][0]["Status"] == "OK")
        home.objects.outage = OutboundError("ConnectionError", "down")
        world.ask("DeleteBackup", {"BackupId": backup["BackupId"]})
        time.sleep(0.2)
        assert world.ask("DescribeBackups")["Backups"][0]["Status"] == "DELETING"
        home.objects.outage = None
        wait_for(lambda: not world.ask("DescribeBackups")["Backups"])


def test_opsworks_backup_is_put_again_when_the_store_says_so(home: Home) -> None:
    """One retryable failure of the put does not fail the backup."""
    with home.process() as world:
        world.ask("CreateServer", create_request())
        world.settle()
        put, failures = home.objects.put, [OutboundError("SlowDown", "later")]

        def flaky(*args: object, **kwargs: object) -> str:
            if failures:
                raise failures.pop()
            return put(*args, **kwargs)  # type: ignore[arg-type]  # passes on whatever it was given

        home.objects.put = flaky  # type: ignore[method-assign]  # the fault is injected here
        world.ask("CreateBackup", {"ServerName": "automate-06"})
        world.settle()
        assert world.ask("DescribeBackups")["Backups"][0]["Status"] == "OK"


def test_opsworks_events_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server keeps its newest events only."""
    monkeypatch.setattr("opentrail.opsworks.store.EVENTS_KEPT", 5)
    with fake_world(tmp_path / "w") as world:
        world.ask("CreateServer", create_request())
        world.settle()
        with world.database.unit() as unit:
            server = world.store.server(unit.connection, ACCOUNT, "us-east-1", "automate-06")
            assert server is not None
            for number in range(20):
                world.store.note(unit, server, f"m{number}", world.clock.now())
        assert world.messages() == ["m19", "m18", "m17", "m16", "m15"]


def test_opsworks_every_state_has_a_step() -> None:
    """Unfinished states call for their work, watched ones for a check, final ones for nothing."""
    steps = {status: next_step(a_server(status)) for status in ServerStatus}
    assert steps[ServerStatus.CREATING] is Step.PROVISION
    assert steps[ServerStatus.DELETING] is Step.DELETE
    assert steps[ServerStatus.BACKING_UP] is Step.BACK_UP
    assert {status for status, step in steps.items() if step is Step.CHECK} == {
        ServerStatus.RUNNING,
        ServerStatus.HEALTHY,
        ServerStatus.UNHEALTHY,
        ServerStatus.CONNECTION_LOST,
    }
    assert steps[ServerStatus.FAILED] is Step.NOTHING


def test_opsworks_health_moves_only_watched_states() -> None:
    """A health check never takes a server out of CREATING, DELETING, BACKING_UP or FAILED."""
    for status in (ServerStatus.CREATING, ServerStatus.DELETING, ServerStatus.BACKING_UP, ServerStatus.FAILED):
        server = a_server(status)
        assert observed(server, Health(HealthState.OK)) == server
    lost = observed(a_server(ServerStatus.HEALTHY), Health(HealthState.DEAD, "gone"))
    assert (lost.status, lost.status_reason) == (ServerStatus.CONNECTION_LOST, "gone")
    assert observed(lost, Health(HealthState.OK)) == a_server(ServerStatus.HEALTHY)


def test_opsworks_workers_never_work_on_one_key_twice_at_once() -> None:
    """However often a key is asked for, its work does not overlap, and a request during the work is not lost."""
    busy: set[int] = set()
    overlaps: list[int] = []
    looks = {0: 0, 1: 0}
    lock = threading.Lock()

    def perform(key: int) -> None:
        with lock:
            overlaps.extend([key] if key in busy else [])
            busy.add(key)
            looks[key] += 1
        time.sleep(0.005)
        with lock:
            busy.discard(key)
        if looks[key] == 2:
            raise ValueError("a bug ends one look, not the worker")

    workers = KeyedWorkers(perform, 4, "test")
    for _ in range(20):
        for key in (0, 1):
            workers.look_at(key)
        time.sleep(0.002)
    assert workers.wait_idle(5)
    assert overlaps == []
    assert min(looks.values()) >= 3
    workers.look_at(0)
    workers.stop()
    workers.look_at(1)
    assert workers.wait_idle(0.1)


def a_server(status: ServerStatus) -> Server:
    """Some server in a state."""
    server = Server(
        server_id="11111111-1111-4111-8111-111111111111",
        account_id=ACCOUNT,
        region="us-east-1",
        name="a",
        created_at=SteppingClock().now(),
        status=ServerStatus.CREATING,
        endpoint="e",
        engine="ChefAutomate",
        engine_model="Single",
        engine_version="2020-07",
        instance_profile_arn="p",
        service_role_arn="r",
        instance_type="m5.large",
        preferred_maintenance_window="Fri:01:00",
        preferred_backup_window="01:00",
        pivotal_public_key="k",
    )
    return replace(server, status=status)
