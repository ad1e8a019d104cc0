"""Pid files prove a process, and nobody else is ever signalled."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.clock import SystemClock
from opentrail.processes.pid_files import Entry, Identity, PidFiles, identify, stop_orphan
from opentrail.processes.supervisor import Supervisor

GONE = Identity(pid=2**22, start_time_ticks=1, argv_sha256="0", boot_id="0")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs on its own."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def entry_of(process: subprocess.Popen[bytes], **changes: object) -> Entry:
    """An entry for the process whose owner is gone, with parts of the identity changed."""
    identity = identify(process.pid)
    assert identity is not None
    return Entry(replace(identity, **changes), GONE, signal.SIGTERM, 5.0)  # type: ignore[arg-type] # the tests choose fitting values


def test_an_orphan_is_stopped(stranger: subprocess.Popen[bytes]) -> None:
    """When everything agrees the process gets its stop signal."""
    assert stop_orphan(entry_of(stranger))
    assert stranger.wait(5) == -signal.SIGTERM


@pytest.mark.parametrize("changes", [{"start_time_ticks": 1}, {"argv_sha256": "0"}, {"boot_id": "another"}])
def test_a_process_that_only_has_the_same_pid_is_left_alone(
    stranger: subprocess.Popen[bytes], changes: dict[str, object], tmp_path: Path
) -> None:
    """Another start time, argv or boot means another process: its file goes, the process stays."""
    (tmp_path / "child.json").write_text(json.dumps(asdict(entry_of(stranger, **changes))))
    assert Supervisor(tmp_path, SystemClock()).reap_orphans() == []
    assert stranger.poll() is None
    assert not (tmp_path / "child.json").exists()


def test_an_entry_comes_back_as_it_was_written(stranger: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """What is read is the child, and us as its owner."""
    files = PidFiles(tmp_path / "pids")
    files.write("one", stranger.pid, signal.SIGINT, 2.5)
    assert files.read("one") == Entry(entry_of(stranger).child, identify(os.getpid()), signal.SIGINT, 2.5)  # type: ignore[arg-type] # we do run
    assert files.names() == ["one"]
    assert (tmp_path / "pids").stat().st_mode & 0o777 == 0o700


def test_a_process_that_ended_already_is_not_noted_down(tmp_path: Path) -> None:
    """There is nothing to find later, so there is no file."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
        PidFiles(tmp_path).write("one", process.pid, signal.SIGTERM, 1)
    assert PidFiles(tmp_path).names() == []


def test_a_zombie_is_nobody() -> None:
    """A dead process that was not reaped yet does not count as running."""
    with subprocess.Popen(["true"]) as process:
        handle = os.pidfd_open(process.pid)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert identify(process.pid) is None
        os.close(handle)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["child", "owner", "pid", "stop_signal"]), inner),
)


@settings(max_examples=100, deadline=None)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 60000))
def test_no_content_of_a_pid_file_stops_a_start(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Damaged files are removed, and nothing is raised or signalled."""
    directory = tmp_path_factory.mktemp("pids")
    (directory / "child.json").write_bytes(content)
    assert Supervisor(directory, SystemClock()).reap_orphans() == []
    assert list(directory.iterdir()) == []


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries({"pid": st.integers(), "start_time_ticks": st.integers()}),
    st.integers() | st.none(),
    st.floats(),
)
def test_odd_numbers_in_a_pid_file_do_no_harm(
    tmp_path_factory: pytest.TempPathFactory, numbers: dict[str, int], stop_signal: int | None, timeout_s: float
) -> None:
    """Pids, signals and times out of range are as good as no file."""
    directory = tmp_path_factory.mktemp("pids")
    identity = {**numbers, "argv_sha256": "", "boot_id": ""}
    entry = {"child": identity, "owner": identity, "stop_signal": stop_signal, "stop_timeout_s": timeout_s}
    (directory / "child.json").write_text(json.dumps(entry))
    assert Supervisor(directory, SystemClock()).reap_orphans() == []
