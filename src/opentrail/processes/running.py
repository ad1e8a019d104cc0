"""One running process, by pidfd: waiting for its end does not reap it.

As long as a dead child is not reaped, the kernel keeps its pid, and the group of that number, from being reused.
So what is left of its group is killed first, and only then is it reaped.
"""

import os
import select
import signal
import subprocess
import threading
import weakref

KILL_TIMEOUT_S = 10.0


class Running:
    """A started child that leads a process group of its own. Thread safe; nobody else may wait for the process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process
        self._handle = os.pidfd_open(process.pid)
        self._lock = threading.Lock()
        self._exit_code: int | None = None
        weakref.finalize(self, os.close, self._handle)

    def has_ended(self, wait_s: float = 0.0) -> bool:
        """Whether the process has ended, waiting for that as long as asked."""
        return handle_ended(self._handle, wait_s)

    def end(self, stop_signal: int, timeout_s: float) -> bool:
        """Have it end: the signal, then, out of time, the kill. Reaped afterwards. Whether the signal was enough."""
        obeyed = self.has_ended()
        if not obeyed:
            signal.pidfd_send_signal(self._handle, stop_signal)
            obeyed = self.has_ended(timeout_s)
        self.reap()
        return obeyed

    def reap(self) -> int:
        """Kill its whole group, collect the process, and return its exit code (negative: the signal that ended it)."""
        with self._lock:
            if self._exit_code is None:
                os.killpg(self.pid, signal.SIGKILL)
                self._exit_code = self._process.wait(KILL_TIMEOUT_S)
            return self._exit_code

    def exit_text(self) -> str:
        """How it ended, for people. Only after it has ended."""
        code = self.reap()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def handle_ended(handle: int, wait_s: float) -> bool:
    """Whether the process of a pidfd has ended, waiting for that as long as asked."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(wait_s * 1000))
