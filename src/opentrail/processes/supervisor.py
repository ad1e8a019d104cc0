"""The supervisor of our child processes: start until ready, watch, restart, stop by pid, and clear away what a killed
predecessor left.

Three things keep children from outliving us: they are stopped on a clean end, the kernel signals them when we die in
any other way, and pid files let the next start find what ignored that signal.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from opentrail.clock import Clock
from opentrail.processes.child import Child, ChildSpec, Readiness
from opentrail.processes.pid_files import PidFiles, stop_orphan
from opentrail.processes.spawner import Spawner


class Supervisor:
    """Owns child processes. Thread safe; children may be started and stopped from any thread."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        """``directory`` takes the pid files; it is made private (0700). Nothing is started or signalled yet."""
        self._clock = clock
        self._pid_files = PidFiles(directory)
        self._spawner = Spawner()
        self._children: dict[str, Child] = {}
        self._lock = threading.Lock()

    def start(
        self,
        spec: ChildSpec,
        ready: Callable[[], bool],
        *,
        ready_timeout_s: float = 30,
        on_restart: Callable[[], None] | None = None,
    ) -> Child:
        """Run a child, and return it when ``ready()`` is true. From then on it is restarted whenever it dies unasked.

        ``ready`` is asked every 20 ms or so and must return soon. ``on_restart`` is called from the watcher's thread
        each time the child is ready again after such a death. Raises OutboundError with code ``NotStarted``,
        ``Exited`` or ``NotReady`` and the child's last log lines (nothing runs then), and ValueError when a child of
        that name is supervised already.
        """
        child = Child(
            spec,
            Readiness(ready, ready_timeout_s),
            on_restart,
            spawner=self._spawner,
            pid_files=self._pid_files,
            clock=self._clock,
        )
        with self._lock:
            if spec.name in self._children:
                raise ValueError(f"a child named {spec.name} is supervised already")
            self._children[spec.name] = child
        try:
            child.launch()
        except BaseException:
            self._forget(child)
            raise
        return child

    def stop(self, name: str) -> None:
        """End a child and stop watching it: its stop signal, then, out of time, the kill. Nothing happens when there
        is no such child.
        """
        child = self.child(name)
        if child is not None:
            child.stop()
            self._forget(child)

    def stop_all(self) -> None:
        """End every child, all at the same time; returns when they are gone."""
        with self._lock:
            names = list(self._children)
        if names:
            with ThreadPoolExecutor(len(names), thread_name_prefix="stop") as pool:
                list(pool.map(self.stop, names))

    def child(self, name: str) -> Child | None:
        """The supervised child of that name, running or about to be restarted; None when there is none."""
        with self._lock:
            return self._children.get(name)

    def reap_orphans(self) -> list[str]:
        """Stop what a predecessor that was killed left running, and return the names of what did still run.

        Call it once, before the first start. Only a process whose pid, start time, argv and boot agree with its pid
        file, and whose owner is gone, is signalled; the files of dead children are removed, those of a living owner
        stay.
        """
        with ThreadPoolExecutor(8, thread_name_prefix="reap") as pool:
            names = self._pid_files.names()
            return [name for name, stopped in zip(names, pool.map(self._reap, names), strict=True) if stopped]

    def _reap(self, name: str) -> bool:
        entry = self._pid_files.read(name)
        if entry is not None and entry.owner_is_alive():
            return False
        stopped = entry is not None and stop_orphan(entry)
        self._pid_files.remove(name)
        return stopped

    def _forget(self, child: Child) -> None:
        with self._lock:
            if self._children.get(child.spec.name) is child:
                del self._children[child.spec.name]
