"""Children are started until ready, watched, restarted, and gone afterwards, however we end."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opentrail.clock import SystemClock
from opentrail.errors import OutboundError
from opentrail.processes.child import Child, ChildSpec
from opentrail.processes.pid_files import identify
from opentrail.processes.supervisor import Supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor whose children are gone after the test."""
    made = Supervisor(tmp_path / "processes", SystemClock())
    yield made
    made.stop_all()


def shell(tmp_path: Path, script: str, *, name: str = "child", stop_timeout_s: float = 5) -> ChildSpec:
    """A child that runs a shell script."""
    return ChildSpec(name, ("/bin/sh", "-c", script), tmp_path / f"{name}.log", stop_timeout_s=stop_timeout_s)


def eventually(condition: Callable[[], bool], within_s: float = 10) -> bool:
    """Whether the condition becomes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def started(supervisor: Supervisor, spec: ChildSpec) -> tuple[Child, int]:
    """A child that is ready at once, and its pid."""
    child = supervisor.start(spec, lambda: True)
    assert child.pid is not None
    return child, child.pid


def test_start_returns_when_the_child_is_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    """The answer comes when the probe says so, and the child runs under its own session with its environment."""
    mark = tmp_path / "mark"
    spec = ChildSpec(
        "ready",
        ("sh", "-c", 'sleep 0.2; echo "$WORD" > mark; exec sleep 600'),
        tmp_path / "log",
        {"WORD": "hi"},
        tmp_path,
    )
    child = supervisor.start(spec, lambda: mark.exists() and mark.read_text() == "hi\n")
    assert child.is_alive()
    assert child.pid is not None
    assert os.getsid(child.pid) == child.pid
    assert supervisor.child("ready") is child


def test_a_stopped_child_is_gone(supervisor: Supervisor, tmp_path: Path) -> None:
    """After stop no process runs under the pid, nothing is supervised and no pid file is left."""
    _, pid = started(supervisor, shell(tmp_path, "exec sleep 600"))
    assert (tmp_path / "processes" / "child.json").stat().st_mode & 0o777 == 0o600
    supervisor.stop("child")
    assert identify(pid) is None
    assert supervisor.child("child") is None
    assert list((tmp_path / "processes").iterdir()) == []


def test_stop_of_an_unknown_name_does_nothing(supervisor: Supervisor) -> None:
    """Stopping what is not there is no error."""
    supervisor.stop("nobody")


def test_a_child_that_ignores_the_signal_is_killed_with_its_group(supervisor: Supervisor, tmp_path: Path) -> None:
    """Out of time, the whole process group is killed, grandchildren included."""
    written = tmp_path / "grandchild"
    spec = shell(tmp_path, f"trap '' TERM; sleep 600 & echo $! > {written}; wait", stop_timeout_s=0.2)
    supervisor.start(spec, lambda: written.exists() and written.stat().st_size > 0)
    grandchild = int(written.read_text())
    supervisor.stop("child")
    assert eventually(lambda: identify(grandchild) is None)


def test_a_child_that_ends_before_it_is_ready_is_an_error_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """The error tells the exit code and the log's last lines; nothing is supervised afterwards."""
    with pytest.raises(OutboundError, match=r"exit code 3 before it was ready; its log ends: no such thing") as caught:
        supervisor.start(shell(tmp_path, "echo no such thing >&2; exit 3"), lambda: False)
    assert caught.value.code == "Exited"
    assert supervisor.child("child") is None


def test_a_child_that_never_gets_ready_is_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    """Out of time the error is NotReady, and the process is gone."""
    with pytest.raises(OutboundError) as caught:
        supervisor.start(
            shell(tmp_path, "echo $$ > " + str(tmp_path / "pid") + "; exec sleep 600"),
            lambda: False,
            ready_timeout_s=0.3,
        )
    assert caught.value.code == "NotReady"
    assert identify(int((tmp_path / "pid").read_text())) is None


def test_a_program_that_is_not_there_cannot_be_started(supervisor: Supervisor, tmp_path: Path) -> None:
    """The error names the program and the reason, and retrying is pointless."""
    with pytest.raises(OutboundError, match="cannot run /no/such/program: No such file") as caught:
        supervisor.start(ChildSpec("none", ("/no/such/program",), tmp_path / "log"), lambda: True)
    assert (caught.value.code, caught.value.retryable) == ("NotStarted", False)


def test_one_name_is_one_child(supervisor: Supervisor, tmp_path: Path) -> None:
    """A second child of the same name is refused, and the first one keeps running."""
    child, pid = started(supervisor, shell(tmp_path, "exec sleep 600"))
    with pytest.raises(ValueError, match="supervised already"):
        supervisor.start(shell(tmp_path, "exec sleep 600"), lambda: True)
    assert child.pid == pid


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a" * 101])
def test_a_name_that_is_no_file_name_is_refused(name: str, tmp_path: Path) -> None:
    """Names become pid files, so they cannot leave the directory."""
    with pytest.raises(ValueError, match="not a name"):
        ChildSpec(name, ("true",), tmp_path / "log")


def test_a_child_that_dies_is_restarted(supervisor: Supervisor, tmp_path: Path) -> None:
    """After kill -9 it runs again under another pid, and the follow-up is called."""
    called = threading.Event()
    child = supervisor.start(shell(tmp_path, "exec sleep 600"), lambda: True, on_restart=called.set)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert called.wait(10)
    assert child.restarts == 1
    assert child.pid not in (None, first)
    assert f'"pid": {child.pid}' in (tmp_path / "processes" / "child.json").read_text()


def test_restarts_back_off(supervisor: Supervisor, tmp_path: Path) -> None:
    """A child that keeps dying is started with pauses that double, not in a tight loop."""
    child = supervisor.start(shell(tmp_path, "exec sleep 0.05"), lambda: True)
    time.sleep(2)
    assert 2 <= child.restarts <= 4


def test_stop_during_the_pause_before_a_restart_returns_at_once(supervisor: Supervisor, tmp_path: Path) -> None:
    """Nobody waits for a back-off that has become pointless."""
    child = supervisor.start(shell(tmp_path, "exec sleep 0.05"), lambda: True)
    assert eventually(lambda: child.restarts >= 3)
    assert eventually(lambda: not child.is_alive())
    before = time.monotonic()
    supervisor.stop("child")
    assert time.monotonic() - before < 0.5
    assert not child.is_alive()


def test_a_failing_follow_up_does_not_end_the_watch(supervisor: Supervisor, tmp_path: Path) -> None:
    """A bug in what follows a restart is logged, and the next death is still noticed."""

    def broken() -> None:
        raise RuntimeError("bug")

    child = supervisor.start(shell(tmp_path, "exec sleep 600"), lambda: True, on_restart=broken)
    for count in (1, 2):
        assert eventually(child.is_alive)
        os.kill(child.pid or 0, signal.SIGKILL)
        assert eventually(lambda count=count: child.restarts == count and child.is_alive())  # type: ignore[misc] # mypy cannot infer lambda defaults


def test_stop_all_works_in_parallel(supervisor: Supervisor, tmp_path: Path) -> None:
    """Five children that each take half a second to end take about that together."""
    pids = [
        started(supervisor, shell(tmp_path, "trap 'sleep 0.5; exit' TERM; while :; do sleep 0.05; done", name=f"c{n}"))[
            1
        ]
        for n in range(5)
    ]
    time.sleep(0.2)
    before = time.monotonic()
    supervisor.stop_all()
    assert time.monotonic() - before < 2
    assert all(identify(pid) is None for pid in pids)


def test_a_supervisor_can_start_again_after_stop_all(supervisor: Supervisor, tmp_path: Path) -> None:
    """Stopping everything is not the end of the supervisor."""
    started(supervisor, shell(tmp_path, "exec sleep 600"))
    supervisor.stop_all()
    child, _ = started(supervisor, shell(tmp_path, "exec sleep 600"))
    assert child.is_alive()


def test_a_child_inherits_no_secret_and_no_descriptor(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither our environment's credentials nor our open files reach a child."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    with (tmp_path / "open").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        script = "env > env; ls -l /proc/self/fd > fds; exec sleep 600"
        spec = ChildSpec("child", ("/bin/sh", "-c", script), tmp_path / "log", cwd=tmp_path)
        fds = tmp_path / "fds"
        supervisor.start(spec, lambda: fds.exists() and fds.stat().st_size > 0)
    assert "canary" not in (tmp_path / "env").read_text()
    names = [line.split(" -> ")[1] for line in (tmp_path / "fds").read_text().splitlines() if " -> " in line]
    assert not any(name.startswith(("pipe:", "socket:")) or name.endswith("/open") for name in names)


def test_the_log_is_private(supervisor: Supervisor, tmp_path: Path) -> None:
    """Output is appended to a file that only we can read."""
    started(supervisor, shell(tmp_path, "echo hello; exec sleep 600"))
    assert eventually(lambda: (tmp_path / "child.log").read_text() == "hello\n")
    assert (tmp_path / "child.log").stat().st_mode & 0o777 == 0o600


PARENT = """
    import sys, time
    from pathlib import Path
    from opentrail.clock import SystemClock
    from opentrail.processes.child import ChildSpec
    from opentrail.processes.supervisor import Supervisor
    home = Path(sys.argv[1])
    supervisor = Supervisor(home / "processes", SystemClock())
    spec = ChildSpec("child", ("/bin/sh", "-c", sys.argv[2]), home / "log", stop_timeout_s=0.3)
    print(supervisor.start(spec, lambda: True).pid, flush=True)
    time.sleep(600)
"""


def killed_parent(home: Path, script: str, number: int) -> int:
    """Run a supervisor in a process of its own, end that process with a signal, and return its child's pid."""
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(home), script], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        assert identify(pid) is not None
        time.sleep(0.1)
        parent.send_signal(number)
    return pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_outlives_a_killed_parent(tmp_path: Path, number: int) -> None:
    """Even after SIGKILL of the parent the child is told to end by the kernel."""
    pid = killed_parent(tmp_path, "exec sleep 600", number)
    assert eventually(lambda: identify(pid) is None)


def test_an_orphan_that_ignored_the_death_signal_is_reaped_at_the_next_start(tmp_path: Path) -> None:
    """What outlived a killed predecessor is found by its pid file and stopped, once."""
    pid = killed_parent(tmp_path, "trap '' TERM; while :; do sleep 0.05; done", signal.SIGKILL)
    time.sleep(0.2)
    assert identify(pid) is not None
    supervisor = Supervisor(tmp_path / "processes", SystemClock())
    assert supervisor.reap_orphans() == ["child"]
    assert identify(pid) is None
    assert supervisor.reap_orphans() == []


def test_the_children_of_a_living_owner_are_left_alone(supervisor: Supervisor, tmp_path: Path) -> None:
    """A second supervisor on the same directory does not take the first one's children for orphans."""
    _, pid = started(supervisor, shell(tmp_path, "exec sleep 600"))
    assert Supervisor(tmp_path / "processes", SystemClock()).reap_orphans() == []
    assert identify(pid) is not None
