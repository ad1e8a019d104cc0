"""The one thread that starts child processes.

The kernel sends a child its parent-death signal when the THREAD that started it ends. So every start happens on one
thread that lives as long as the process (or as its supervisor): however we die, SIGKILL included, the children are
told.
"""

import os
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# What a child inherits; everything else (credentials, proxies, LD_PRELOAD, AWS_*) must be asked for.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")

_LAUNCH = Path(__file__).with_name("launch.py")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class _Start:
    run: Callable[[], subprocess.Popen[bytes]]
    started: Future[subprocess.Popen[bytes]]


class Spawner:
    """Starts processes from its own thread, which ends when the spawner is garbage (no child of it is supervised any
    more).
    """

    def __init__(self) -> None:
        self._starts: queue.SimpleQueue[_Start | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._starts.put, None)

    def spawn(
        self, argv: tuple[str, ...], output: BinaryIO, *, env: Mapping[str, str], cwd: Path | None, death_signal: int
    ) -> subprocess.Popen[bytes]:
        """Run a program in a session of its own, with no input, ``output`` as standard output and error, and no other
        descriptors.

        Returns once the program itself runs (not merely its launcher). Raises OSError if it cannot be executed.
        """
        self._ensure_thread()
        start = _Start(lambda: _launch(argv, output, env, cwd, death_signal), Future())
        self._starts.put(start)
        return start.started.result()

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=_serve, args=(self._starts,), name="spawner", daemon=True)
                self._thread.start()


def _serve(starts: "queue.SimpleQueue[_Start | None]") -> None:
    while (start := starts.get()) is not None:
        try:
            start.started.set_result(start.run())
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the start
            start.started.set_exception(error)


def _launch(
    argv: tuple[str, ...], output: BinaryIO, env: Mapping[str, str], cwd: Path | None, death_signal: int
) -> subprocess.Popen[bytes]:
    reader, writer = os.pipe()
    launcher = (sys.executable, "-I", "-S", str(_LAUNCH), str(int(death_signal)), str(os.getpid()), str(writer))
    try:
        process = subprocess.Popen(
            (*launcher, *argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=(writer,),
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as report:
        problem = report.read()
    if problem:
        process.wait()
        raise OSError(int(problem), os.strerror(int(problem)))
    return process


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {"PATH": _DEFAULT_PATH, "LANG": "C.UTF-8", **inherited, **env}
