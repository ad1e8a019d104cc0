"""Pid files: what a later OpenTrail needs to find, and stop, children that outlived an earlier one.

A pid alone proves nothing, pids are reused. So a file also holds the process's start time (clock ticks since boot), a
hash of its argv and the boot's id, and the same for its owner; a process is only ever signalled when all of them
still agree, through a pidfd taken before the check, and when its owner is gone.
"""

import hashlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from opentrail.processes.running import handle_ended

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME_FIELD = 19  # field 22 of proc(5) stat, counted from the state, which follows the parenthesised name
_LONGEST_FILE_BYTES = 65536
_LONGEST_STOP_S = 3600
_ARGV_READS = 100
_ARGV_PAUSE_S = 0.001
_HIGHEST_PID = 2**22


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a process from a later one with the same pid."""

    pid: int
    start_time_ticks: int
    argv_sha256: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """The content of one pid file."""

    child: Identity
    owner: Identity
    stop_signal: int
    stop_timeout_s: float

    def owner_is_alive(self) -> bool:
        """Whether the process that started the child still runs, and so looks after it."""
        return identify(self.owner.pid) == self.owner


def identify(pid: int) -> Identity | None:
    """Who runs under this pid now; None when nobody does (a zombie is nobody)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        argv = _argv(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return Identity(pid, int(fields[_START_TIME_FIELD]), hashlib.sha256(argv).hexdigest(), boot_id())


def boot_id() -> str:
    """The kernel's name for the time since the machine was started; another one means that memory was lost between."""
    return _BOOT_ID.read_text().strip()


def _argv(pid: int) -> bytes:
    """The argv as the kernel shows it, which is nothing for a moment while one program takes the place of another."""
    path = Path(f"/proc/{pid}/cmdline")
    for _ in range(_ARGV_READS):
        if argv := path.read_bytes():
            return argv
        time.sleep(_ARGV_PAUSE_S)
    return b""


class PidFiles:
    """The directory (0700) of pid files (0600), one per child, named after it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)

    def write(self, name: str, pid: int, stop_signal: int, stop_timeout_s: float) -> None:
        """Note a child of ours down. Does nothing when it has ended already."""
        child, owner = identify(pid), identify(os.getpid())
        if child is None or owner is None:
            return
        text = json.dumps(asdict(Entry(child, owner, int(stop_signal), stop_timeout_s)))
        draft = self._directory / f".{name}.draft"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(self._path(name))

    def remove(self, name: str) -> None:
        """Forget a child; nothing happens when it is not known."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """The children that are noted down, sorted."""
        return sorted(path.name.removesuffix(".json") for path in self._directory.glob("[!.]*.json"))

    def read(self, name: str) -> Entry | None:
        """The entry of a child; None when the file is missing or not one of ours."""
        try:
            with self._path(name).open("rb") as file:
                return _entry(json.loads(file.read(_LONGEST_FILE_BYTES)))
        except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"


def _entry(value: dict[str, object]) -> Entry:
    child, owner = (_identity(value[part]) for part in ("child", "owner"))
    stop_signal, timeout_s = value["stop_signal"], value["stop_timeout_s"]
    if not isinstance(stop_signal, int) or not isinstance(timeout_s, int | float):
        raise TypeError("not a pid file")
    if not 0 <= timeout_s <= _LONGEST_STOP_S:
        raise ValueError("not a pid file")
    return Entry(child, owner, signal.Signals(stop_signal), float(timeout_s))


def _identity(value: object) -> Identity:
    if not isinstance(value, dict):
        raise TypeError("not a process identity")
    pid, ticks, argv_sha256, boot = (value[name] for name in Identity.__slots__)
    if not (isinstance(pid, int) and isinstance(ticks, int) and isinstance(argv_sha256, str) and isinstance(boot, str)):
        raise TypeError("not a process identity")
    if not 1 < pid <= _HIGHEST_PID:
        raise ValueError("not the pid of a child")
    return Identity(pid, ticks, argv_sha256, boot)


def stop_orphan(entry: Entry) -> bool:
    """End the process of an entry if it is still the same one: signal, wait, kill. Returns whether it did run.

    Blocks up to the entry's stop timeout and a little more. The caller has checked that its owner is gone.
    """
    try:
        handle = os.pidfd_open(entry.child.pid)
    except ProcessLookupError:
        return False
    try:
        if identify(entry.child.pid) != entry.child:
            return False
        for number, wait_s in ((entry.stop_signal, entry.stop_timeout_s), (signal.SIGKILL, 10.0)):
            signal.pidfd_send_signal(handle, number)
            if handle_ended(handle, wait_s):
                break
        return True
    except ProcessLookupError:
        return True  # it ended between the check and the signal
    finally:
        os.close(handle)
