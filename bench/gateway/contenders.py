"""The servers that are measured side by side, each a process of its own on a free port, started and stopped here."""

import json
import os
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.gateway.load import CREATE_TABLE, request_of
from bench.gateway.serve import SUMMARY
from opentrail.processes.child import ChildSpec
from opentrail.processes.ports import LOOPBACK, free_ports
from opentrail.processes.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
_READY_S = 60.0
_NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream behind {{ server 127.0.0.1:{behind}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """One running server."""

    name: str
    port: int
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds of the whole process so far, threads that have ended included."""
        # The id that clock_getcpuclockid(3) makes of a process id; in nanoseconds, unlike /proc/PID/stat.
        return time.clock_gettime((~self.pid << 3) | 2)


class Contenders:
    """Starts servers below one directory, which must be on a real disk: the journal's flushes are part of the cost."""

    def __init__(self, directory: Path, supervisor: Supervisor) -> None:
        self.directory = directory
        self._supervisor = supervisor

    def upstream(self) -> Contender:
        """The server behind the proxies."""
        (port,) = free_ports(1)
        return self._start("upstream", port, (sys.executable, "-m", "bench.gateway.upstream", str(port)))

    def nginx(self, behind: int) -> Contender | None:
        """``proxy_pass`` in one process, kept connections on both sides, no log; None where nginx is missing."""
        program = nginx_program()
        if program is None:
            return None
        (port,) = free_ports(1)
        directory = self.directory / "nginx"
        directory.mkdir()
        file = directory / "nginx.conf"
        file.write_text(_NGINX.format(directory=directory, behind=behind, port=port))
        return self._start("nginx", port, (program, "-p", str(directory), "-e", "stderr", "-c", str(file)))

    def gateway(self, name: str, behind: int, *options: str) -> Contender:
        """OpenTrail; the options are those of ``bench.gateway.serve``."""
        (port,) = free_ports(1)
        home = str(self.directory / name)
        argv = (sys.executable, "-m", "bench.gateway.serve", home, str(port), str(behind), *options)
        return self._start(name, port, argv)

    def ministack(self, name: str, *, recording: bool) -> Contender | None:
        """MiniStack as its own command runs it, with a table; None where it is not installed."""
        if find_spec("ministack") is None:
            return None
        (port,) = free_ports(1)
        directory = self.directory / name
        directory.mkdir()
        env = {
            "BIND_HOST": LOOPBACK,
            "MINISTACK_HOST": LOOPBACK,
            "GATEWAY_PORT": str(port),
            "CLOUDTRAIL_RECORDING": str(int(recording)),
            "PERSIST_STATE": "0",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
            "LOG_LEVEL": "WARNING",
            "HOME": str(directory),
            "TMPDIR": str(directory),
        }
        found = self._start(name, port, (sys.executable, "-m", "ministack"), env)
        _post(request_of(port, "CreateTable", CREATE_TABLE), port)
        return found

    def stop(self, contender: Contender) -> None:
        """End one in order."""
        self._supervisor.stop(contender.name)

    def frames_of(self, contender: Contender) -> int:
        """How many records and intents a gateway that has been stopped made durable."""
        summary = json.loads((self.directory / contender.name / SUMMARY).read_text())
        return int(summary["frames"])

    def _start(self, name: str, port: int, argv: tuple[str, ...], env: dict[str, str] | None = None) -> Contender:
        paths = os.pathsep.join((str(ROOT), str(ROOT / "src")))
        spec = ChildSpec(name, argv, self.directory / f"{name}.log", {"PYTHONPATH": paths, **(env or {})})
        child = self._supervisor.start(spec, _listens(port), ready_timeout_s=_READY_S)
        assert child.pid is not None
        return Contender(name, port, child.pid)


def nginx_program() -> str | None:
    """Where nginx is: on the PATH, or where ``tools/get_nginx.sh`` has put it."""
    places = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.prefix) / "bin"), "/usr/sbin"))
    return shutil.which("nginx", path=places)


def _listens(port: int) -> Callable[[], bool]:
    def listens() -> bool:
        try:
            socket.create_connection((LOOPBACK, port), 1.0).close()
        except OSError:
            return False
        return True

    return listens


def _post(request: bytes, port: int) -> None:
    """Send one of ``request_of``'s calls through another client. Raises OSError where it is not answered with 200."""
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    url = f"http://{LOOPBACK}:{port}/"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30):
        pass
