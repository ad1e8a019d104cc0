"""A Chef server's whole life with the real goiardi: creation, backup, restored copy, deletion, kill -9 in between."""

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.local.goiardi import goiardi_binary
from opentrail.opsworks.engine import EngineSpec, HealthState
from opentrail.opsworks.goiardi import BINARY, Goiardi
from opentrail.opsworks.goiardi_api import GoiardiApi
from opentrail.opsworks.goiardi_files import GoiardiFiles
from opentrail.opsworks.keys import generate_key_pair
from opentrail.processes.supervisor import Supervisor
from opentrail.state.database import Database
from opentrail.state.sealing import Seal
from opentrail.storage.bucket import ObjectStore
from tests.support.memory_store import MemoryObjectStore
from tests.support.opsworks import World, create_request
from tests.support.seaweed import running_seaweed

GOIARDI = str(goiardi_binary() or BINARY)
pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed"),
]
ROOT = Path(__file__).parents[2]


@contextmanager
def running(home: Path, objects: ObjectStore | None = None, *, interval_s: float = 0.3) -> Iterator[World]:
    """One life of OpsWorks CM on a HOME, put together as the application does."""
    clock, entropy = SystemClock(), SystemEntropy()
    supervisor = Supervisor(home / "run", clock)
    supervisor.reap_orphans()
    database = Database(home / "state.db")
    engine = Goiardi(home / "opsworks", supervisor, clock, entropy, binary=GOIARDI)
    scratch = home / "opsworks" / "staging"
    store = objects or MemoryObjectStore()
    seal = Seal.at(home / "sealing.key", entropy)
    world = World(
        database, engine, store, scratch, clock, seal=seal, interval_s=interval_s, make_key_pair=generate_key_pair
    )
    world.jobs.start()
    try:
        yield world
    finally:
        world.jobs.stop()
        supervisor.stop_all()
        database.close()


def wait_for(condition: Callable[[], bool], timeout_s: float = 40) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def goiardis(home: Path) -> list[int]:
    """The pids of processes that run on a file below a HOME."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdigit() else []
        except OSError:
            continue
        if words and words[0].endswith(b"goiardi") and any(str(home).encode() in word for word in words):
            found.append(int(process.name))
    return found


def api_of(home: Path, server_id: str) -> GoiardiApi:
    files = GoiardiFiles(home / "opsworks" / "servers" / server_id)
    port = files.remembered_port()
    assert port is not None
    return GoiardiApi(port, files.admin_key, SystemClock())


def verified(api: GoiardiApi, password: str) -> bool:
    _, answer = api._ask("POST", "/authenticate_user", {"name": "admin", "password": password})
    return isinstance(answer, dict) and answer.get("verified") is True


def works(home: Path, world: World) -> bool:
    """Whether the engine answers already; right after a start the stored status is still the last one seen."""
    files = GoiardiFiles(home / "opsworks" / "servers" / world.server_id())
    return files.admin_key.exists() and api_of(home, world.server_id()).admin_problem() is None


def contents(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file's bytes, and what goiardi's compressed ones unpack to."""
    for path in (path for path in directory.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        yield path, raw
        if raw[:2] == b"\x78\x9c":
            yield path, zlib.decompressobj().decompress(raw)


def create(world: World, name: str = "automate-06") -> dict[str, str]:
    answer = world.ask("CreateServer", create_request(name))["Server"]
    return {item["Name"]: item["Value"] for item in answer["EngineAttributes"]}


def test_opsworks_life_of_a_chef_server(tmp_path: Path) -> None:
    """Created to HEALTHY in seconds, backed up into the real bucket, copied to a second server, deleted to nothing."""
    home = tmp_path / "home"
    with running_seaweed(tmp_path / "s3") as seaweed, running(home, seaweed.store()) as world:
        shown = create(world)
        wait_for(lambda: world.status() == "HEALTHY")
        server_id = world.server_id()
        assert verified(api_of(home, server_id), shown["CHEF_AUTOMATE_ADMIN_PASSWORD"])
        api_of(home, server_id)._change("POST", "/data", {"name": "bag"}, 201)
        backup_id = world.ask("CreateBackup", {"ServerName": "automate-06"})["Backup"]["BackupId"]
        wait_for(lambda: world.status() == "HEALTHY")
        backup = world.ask("DescribeBackups", {"BackupId": backup_id})["Backups"][0]
        assert (backup["Status"], backup["ToolsVersion"][:8]) == ("OK", "goiardi ")
        bucket = backup["S3LogUrl"].split("/")[3]
        archive = seaweed.store().get(bucket, f"{backup_id}.tar.gz")
        assert b"Backup completed successfully" in seaweed.store().get(bucket, backup_id)
        restored_copy_has_everything(tmp_path / "copy", archive, server_id, shown["CHEF_AUTOMATE_ADMIN_PASSWORD"])
        world.ask("DeleteServer", {"ServerName": "automate-06"})
        wait_for(lambda: world.ask("DescribeServers")["Servers"] == [])
        assert goiardis(home) == []
        assert list((home / "opsworks" / "servers").iterdir()) == []
        world.ask("DeleteBackup", {"BackupId": backup_id})
        wait_for(lambda: world.ask("DescribeBackups")["Backups"] == [])
        assert list(seaweed.store().list_keys(bucket, "")) == []


def restored_copy_has_everything(root: Path, archive: bytes, server_id: str, password: str) -> None:
    """Unpacked beside the original, an archive's checksums hold and it runs on another port with the same data."""
    directory = root / "servers" / server_id
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        tar.extractall(directory, filter="data")
    manifest = json.loads((directory / "manifest.json").read_text())
    for file in manifest["files"]:
        assert hashlib.sha256((directory / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    assert {file["path"] for file in manifest["files"]} >= {"conf/admin.pem", "data/data.bin", "data/index.bin"}
    supervisor = Supervisor(root / "run", SystemClock())
    engine = Goiardi(root, supervisor, SystemClock(), SystemEntropy(), binary=GOIARDI)
    try:
        engine.start(EngineSpec(server_id, manifest["endpoint"]))
        assert engine.health(server_id).state is HealthState.OK
        port = GoiardiFiles(directory).remembered_port()
        assert port is not None
        api = GoiardiApi(port, GoiardiFiles(directory).admin_key, SystemClock())
        assert verified(api, password)
        assert "bag" in str(api._ask("GET", "/data", None))
    finally:
        supervisor.stop_all()


def test_opsworks_no_secret_stays_behind(tmp_path: Path) -> None:
    """Neither the private key, the password nor the starter kit is in any file of HOME or any later answer."""
    with running(tmp_path) as world:
        shown = create(world)
        wait_for(lambda: world.status() == "HEALTHY")
        canaries = [shown["CHEF_AUTOMATE_ADMIN_PASSWORD"], shown["CHEF_STARTER_KIT"][:200]]
        canaries += shown["CHEF_AUTOMATE_PIVOTAL_KEY"].splitlines()[2:6]
        canaries.append(base64.b64decode(shown["CHEF_STARTER_KIT"])[200:400].decode("latin-1"))
        found_pivotal = False
        for path, content in contents(tmp_path):
            found_pivotal |= path.name == "data.bin" and b"pivotal" in content
            assert not [canary for canary in canaries if canary.encode("latin-1") in content], path
        assert found_pivotal  # the search does see into goiardi's store
        later = json.dumps([world.ask("DescribeServers"), world.messages()], default=str)
        assert not [canary for canary in canaries if canary in later]


KILLED_CHILD = """
import sys, json, time
from pathlib import Path
from tests.scenario.test_opsworks_chef_server import create, running
with running(Path(sys.argv[1])) as world:
    print(json.dumps(create(world)), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("after_s", [0.0, 1.0, 4.5])
def test_opsworks_kill_9_during_creation_is_survived(tmp_path: Path, after_s: float) -> None:
    """Killed at any moment after the answer, the next start ends HEALTHY with the answer's password, with one process
    and nothing orphaned.
    """
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": os.environ["PATH"]}
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED_CHILD, str(tmp_path)], stdout=subprocess.PIPE, env=environment, cwd=ROOT
    )
    assert child.stdout is not None
    shown = json.loads(child.stdout.readline())
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    wait_for(lambda: goiardis(tmp_path) == [])
    with running(tmp_path) as world:
        wait_for(lambda: world.status() == "HEALTHY" and works(tmp_path, world))
        assert verified(api_of(tmp_path, world.server_id()), shown["CHEF_AUTOMATE_ADMIN_PASSWORD"])
        assert len(goiardis(tmp_path)) == 1
        assert len(list((tmp_path / "opsworks" / "servers").iterdir())) == 1
    assert goiardis(tmp_path) == []


def test_opsworks_servers_survive_a_restart_and_a_killed_engine(tmp_path: Path) -> None:
    """Servers run again after a restart, on their old ports, and a killed engine comes back by itself."""
    with running(tmp_path) as world:
        create(world, "one")
        create(world, "two")
        wait_for(lambda: world.status("one") == world.status("two") == "HEALTHY")
        servers = tmp_path / "opsworks" / "servers"
        ports = {path.name: (path / "port").read_text() for path in servers.iterdir()}
    assert goiardis(tmp_path) == []
    with running(tmp_path) as world:
        wait_for(lambda: len(goiardis(tmp_path)) == 2)
        assert {path.name: (path / "port").read_text() for path in servers.iterdir()} == ports
        killed = goiardis(tmp_path)[0]
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: killed not in goiardis(tmp_path) and len(goiardis(tmp_path)) == 2)
        wait_for(lambda: world.status("one") == world.status("two") == "HEALTHY")
