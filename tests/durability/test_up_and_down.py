"""Starting and stopping: quickly, once per HOME, without leftovers."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.gateway import running, start


def _children(pid: int) -> set[int]:
    """Every descendant of a process."""
    found: set[int] = set()
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    queue = [pid]
    while queue:
        parent = queue.pop()
        new = {child for child, its_parent in parents.items() if its_parent == parent} - found
        found |= new
        queue.extend(new)
    return found


def _alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and " Z " not in _stat(pid)}


def _stat(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return " Z "


def test_a_second_up_on_the_same_home_refuses_clearly(tmp_path: Path) -> None:
    """Exit 2, one line that names the HOME, the process and where it answers; the first goes on."""
    with running(tmp_path / "home") as gateway:
        second = gateway.opentrail("up", "--port", "0")
        assert second.returncode == 2
        assert str(gateway.home) in second.stderr
        assert str(gateway.process.pid) in second.stderr
        assert gateway.url in second.stderr
        assert len(second.stderr.splitlines()) == 1
        assert gateway.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_sigterm_and_sigkill_leave_no_child(tmp_path: Path) -> None:
    """Whether asked or shot, every child is gone soon after."""
    for end in ("stop", "kill"):
        gateway = start(tmp_path / "home")
        children = _children(gateway.process.pid)
        assert children, "the S3 server is a child"
        if end == "stop":
            assert gateway.stop() == 0
        else:
            gateway.kill()
        deadline = time.monotonic() + 15
        while _alive(children) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _alive(children), end


def test_a_warm_start_is_quick(tmp_path: Path) -> None:
    """From the command to `ready` well under half a minute even here; the figure itself is for people."""
    assert start(tmp_path / "home").stop() == 0
    began = time.monotonic()
    gateway = start(tmp_path / "home")
    took_s = time.monotonic() - began
    assert gateway.stop() == 0
    print(f"warm start, `opentrail env` included: {took_s:.1f} s")
    assert took_s < 25


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    """Exit 2, and what to do."""
    with running(tmp_path / "home") as gateway:
        port = gateway.url.rsplit(":", 1)[1]
        command = [sys.executable, "-m", "opentrail", "up", "--home", str(tmp_path / "other"), "--port", port]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ))
        assert refused.returncode == 2
        assert "--port" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
