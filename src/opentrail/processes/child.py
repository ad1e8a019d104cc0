"""A child process: what is asked for (``ChildSpec``), what runs (``Child``), and the loop that keeps it running.

A child that dies unasked is started again after a pause of 0.2 s that doubles to 30 s and starts over once the child
has been ready for a minute. One thread per child waits for it. Every decision about stopping goes by process id;
nothing here looks a process up by name.
"""

import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opentrail.clock import Clock
from opentrail.errors import OutboundError
from opentrail.processes.log_files import last_lines, open_log, shorten
from opentrail.processes.pid_files import PidFiles
from opentrail.processes.running import Running
from opentrail.processes.spawner import Spawner

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
READY_POLL_S = 0.02
LOG_CHECK_S = 30.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to run one child.

    ``name`` is unique within a supervisor and names its pid file. ``argv`` is visible to every user of the machine:
    secrets go into ``env`` (merged over a minimal environment) or into files. ``log_file`` takes standard output and
    error, appended, mode 0600. ``stop_signal`` is what the child gets to end, and also what the kernel sends it if we
    die; after ``stop_timeout_s`` its process group is killed. Raises ValueError for a name that could not be a file
    name, or an empty argv.
    """

    name: str
    argv: tuple[str, ...]
    log_file: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"not a name for a child process: {self.name!r}")
        if not self.argv:
            raise ValueError(f"child {self.name} has an empty argv")


@dataclass(frozen=True, slots=True)
class Readiness:
    """When a started child counts as usable: ``probe`` is asked again and again (it must return, not hang) for
    ``timeout_s`` at most.
    """

    probe: Callable[[], bool]
    timeout_s: float


class Child:
    """One supervised process, across its restarts. Made by ``Supervisor.start`` only."""

    def __init__(
        self,
        spec: ChildSpec,
        readiness: Readiness,
        on_restart: Callable[[], None] | None,
        *,
        spawner: Spawner,
        pid_files: PidFiles,
        clock: Clock,
    ) -> None:
        self.spec = spec
        self.restarts = 0
        self._readiness = readiness
        self._on_restart = on_restart
        self._spawner = spawner
        self._pid_files = pid_files
        self._clock = clock
        self._running: Running | None = None
        self._log_start_bytes = 0
        self._lock = threading.Lock()  # a stop must not pass a start that is under way
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{spec.name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None (also in the pause before a restart)."""
        running = self._running
        return running.pid if running is not None and not running.has_ended() else None

    def is_alive(self) -> bool:
        """Whether the process runs right now."""
        return self.pid is not None

    def launch(self) -> None:
        """Start the process, wait until it is ready, and keep it running from then on.

        Raises OutboundError, and nothing runs then: code ``NotStarted`` (the program could not be executed), ``Exited``
        (it ended before it was ready), ``NotReady`` (out of time) or ``Stopped`` (by another thread); the message
        holds its last log lines.
        """
        try:
            self._start_until_ready()
        except BaseException:
            self.stop()
            raise
        self._watcher.start()

    def stop(self) -> None:
        """Ask the process to end, wait, kill its group if it does not, and forget it. Safe at any time, repeatedly."""
        self._stopping.set()
        self._end()
        if self._watcher.ident is not None and self._watcher is not threading.current_thread():
            self._watcher.join()
        self._pid_files.remove(self.spec.name)

    def _start_until_ready(self) -> Running:
        running = self._spawn()
        deadline = self._clock.monotonic() + self._readiness.timeout_s
        while True:
            if self._stopping.is_set():
                raise self._problem("Stopped", "was stopped before it was ready")
            if running.has_ended():
                raise self._problem("Exited", f"ended with {running.exit_text()} before it was ready")
            if self._readiness.probe():
                return running
            if self._clock.monotonic() >= deadline:
                raise self._problem("NotReady", f"not ready within {self._readiness.timeout_s:g} s")
            self._stopping.wait(READY_POLL_S)

    def _spawn(self) -> Running:
        """Start the process once and note it down. Raises OutboundError: NotStarted, or Stopped."""
        spec = self.spec
        with self._lock, open_log(spec.log_file) as log:
            if self._stopping.is_set():
                raise self._problem("Stopped", "was stopped before it was started")
            self._log_start_bytes = os.fstat(log.fileno()).st_size
            try:
                process = self._spawner.spawn(spec.argv, log, env=spec.env, cwd=spec.cwd, death_signal=spec.stop_signal)
            except OSError as error:
                message = f"{spec.name}: cannot run {spec.argv[0]}: {error.strerror or error}"
                raise OutboundError("NotStarted", message, retryable=False) from error
            self._running = Running(process)
            self._pid_files.write(spec.name, process.pid, spec.stop_signal, spec.stop_timeout_s)
            return self._running

    def _watch(self) -> None:
        """The watcher thread: wait for the process; when it died unasked, start it again."""
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            ready_at = self._clock.monotonic()
            self._wait_for_end()
            if self._stopping.is_set():
                return
            if self._clock.monotonic() - ready_at >= STEADY_AFTER_S:
                pause_s = FIRST_PAUSE_S
            pause_s = self._restart(pause_s)

    def _wait_for_end(self) -> None:
        running = self._running
        if running is None:
            return
        while not running.has_ended(LOG_CHECK_S):
            shorten(self.spec.log_file)
        if not self._stopping.is_set():
            _log.warning("%s ended unasked with %s", self.spec.name, running.exit_text())

    def _restart(self, pause_s: float) -> float:
        """Try until the process is ready again or a stop is asked; the next pause in seconds comes back."""
        while not self._stopping.wait(pause_s):
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            self.restarts += 1
            try:
                running = self._start_until_ready()
            except OutboundError as error:
                if not self._stopping.is_set():
                    _log.error("%s", error)
            except Exception:  # noqa: BLE001 - a probe that raises must not end the watch; the child is tried again
                _log.exception("readiness of %s cannot be told", self.spec.name)
            else:
                _log.info("%s runs again as process %d", self.spec.name, running.pid)
                self._announce_restart()
                break
            self._end()
        return pause_s

    def _announce_restart(self) -> None:
        if self._on_restart is None:
            return
        try:
            self._on_restart()
        except Exception:  # noqa: BLE001 - somebody else's bug must not end the watch
            _log.exception("what follows a restart of %s failed", self.spec.name)

    def _end(self) -> None:
        with self._lock:
            if self._running is not None and not self._running.end(self.spec.stop_signal, self.spec.stop_timeout_s):
                _log.warning("%s had to be killed after %g s", self.spec.name, self.spec.stop_timeout_s)

    def _problem(self, code: str, what: str) -> OutboundError:
        lines = last_lines(self.spec.log_file, after_bytes=self._log_start_bytes)
        return OutboundError(code, f"{self.spec.name}: {what}" + (f"; its log ends: {lines}" if lines else ""))
