"""A running OpenTrail's Chef servers, seen from outside: their processes, directories and ports, and the API's view."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentrail.clock import SystemClock
from opentrail.opsworks.goiardi_api import GoiardiApi
from opentrail.opsworks.goiardi_files import GoiardiFiles
from tests.support.gateway import Gateway
from tests.support.opsworks import create_request

SETTLED = {"HEALTHY", "FAILED", "TERMINATED"}


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def engines(home: Path) -> dict[int, str]:
    """The goiardi processes of a HOME, with their command lines."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdigit() else []
        except OSError:
            continue
        if words and words[0].endswith(b"goiardi") and any(bytes(home) in word for word in words):
            found[int(process.name)] = b" ".join(words).decode()
    return found


def resident_mb(pid: int) -> float:
    """A process's resident memory."""
    fields = Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()
    return int(fields[0]) / 1024


@dataclass
class ChefHome:
    """One HOME's OpsWorks CM, through whatever gateway runs on it."""

    gateway: Gateway

    @property
    def root(self) -> Path:
        return self.gateway.home / "opsworks"

    @property
    def api(self) -> Any:
        return self.gateway.client("opsworkscm")

    def create(self, name: str, **members: Any) -> None:
        self.api.create_server(**create_request(name, **members))

    def servers(self) -> dict[str, dict[str, Any]]:
        return {server["ServerName"]: server for server in self.api.describe_servers()["Servers"]}

    def status(self, name: str) -> str:
        server = self.servers().get(name)
        return "gone" if server is None else str(server["Status"])

    def backups(self) -> list[dict[str, Any]]:
        return list(self.api.describe_backups()["Backups"])

    def wait(self, name: str, *statuses: str) -> None:
        wait_for(lambda: self.status(name) in statuses, f"{name} never became {statuses}: {self.servers().get(name)}")

    def files(self, name: str) -> GoiardiFiles:
        server_id = str(self.servers()[name]["ServerArn"]).rpartition("/")[2]
        return GoiardiFiles(self.root / "servers" / server_id)

    def engine(self, name: str) -> GoiardiApi:
        files = self.files(name)
        port = files.remembered_port()
        assert port is not None
        return GoiardiApi(port, files.admin_key, SystemClock())

    def add_role(self, name: str, role: str) -> None:
        self.engine(name)._change("POST", "/roles", {"name": role, "json_class": "Chef::Role"}, 201)

    def roles(self, name: str) -> set[str]:
        return self.engine(name)._names("/roles")

    def in_directory(self, part: str) -> list[Path]:
        try:
            return list((self.root / part).iterdir())
        except OSError:
            return []

    def check_nothing_is_orphaned(self) -> None:
        """Each server has one process, one directory and one port of its own, and there is nothing else."""
        ids = {str(server["ServerArn"]).rpartition("/")[2] for server in self.servers().values()}
        wait_for(lambda: len(engines(self.gateway.home)) == len(ids), f"{engines(self.gateway.home)}, {ids}")
        for argv in engines(self.gateway.home).values():
            assert any(f"servers/{server_id}/" in argv for server_id in ids), argv
        assert {path.name for path in self.in_directory("servers")} == ids
        for part in ("restoring", "replaced", "staging"):
            assert self.in_directory(part) == [], part
        ports = [GoiardiFiles(path).remembered_port() for path in self.in_directory("servers")]
        assert len(set(ports)) == len(ports)
        pid_files = {path.name.partition(".")[0] for path in (self.gateway.home / "run" / "children").iterdir()}
        assert {name for name in pid_files if name.startswith("goiardi-")} == {f"goiardi-{one}" for one in ids}
