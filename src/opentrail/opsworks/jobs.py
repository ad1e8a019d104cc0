"""The background of OpsWorks CM: looks at servers and backups that need something, and at all of them regularly, when
it also begins what the clock calls for.

Rules. All work follows from the stored state, so that after any crash a start goes on from there: servers that should
run are started (in parallel), half-made ones are made again, half-deleted ones deleted. One server, or
one backup deletion, is worked on by one thread at a time.
"""

import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from opentrail.clock import Clock, Entropy
from opentrail.errors import OutboundError
from opentrail.opsworks.backup_work import BackupPlaces, BackupWork
from opentrail.opsworks.doors import Doors
from opentrail.opsworks.engine import Engine
from opentrail.opsworks.new_instances import NewInstances
from opentrail.opsworks.node_work import NodeWork
from opentrail.opsworks.restore_work import RestoreWork
from opentrail.opsworks.scheduler import Scheduler
from opentrail.opsworks.server import Server
from opentrail.opsworks.server_work import ServerWork
from opentrail.opsworks.service_events import Commit
from opentrail.opsworks.steps import Step, next_step
from opentrail.opsworks.store import OpsWorksStore
from opentrail.opsworks.workers import KeyedWorkers
from opentrail.state.sealing import Seal

_LONGEST_CHAIN = 4  # provision or back up, then check: a server needs no more steps in one look
_STOP_THREADS = 8
LONGEST_PAUSE_S = 30.0
"""The clock is looked at no less often than this, however rarely servers are: windows have an hour at most."""

_log = logging.getLogger(__name__)
ServerKey = str
BackupKey = int


@dataclass(frozen=True, slots=True)
class JobOptions:
    """``interval_s``: how often every server is looked at. ``threads``: how many are worked on at once.
    ``is_scheduled``: whether windows count; not for an engine that others back up and maintain.
    """

    interval_s: float = 15.0
    threads: int = 4
    is_scheduled: bool = True


class Jobs:
    """Owns the worker threads and the regular look; ``engine`` is used by nobody else."""

    def __init__(
        self,
        store: OpsWorksStore,
        engine: Engine,
        places: BackupPlaces,
        *,
        seal: Seal,
        clock: Clock,
        entropy: Entropy,
        commit: Commit,
        options: JobOptions = JobOptions(),
        doors: Doors | None = None,
    ) -> None:
        self._store = store
        self._engine = engine
        self._scratch = places.scratch
        self._backups = BackupWork(
            store, engine, places, clock, entropy, commit=commit, look_at_backup=self.look_at_backup
        )
        instances = NewInstances(store, engine, places)
        self._servers = ServerWork(store, engine, self._backups, instances, seal, clock, doors)
        self._restores = RestoreWork(store, engine, self._backups, instances, clock, commit)
        self._scheduler = Scheduler(store, clock, commit, self.look_at_server)
        self._nodes = NodeWork(store, engine, clock)
        self._options = options
        self._workers: KeyedWorkers[ServerKey | BackupKey] = KeyedWorkers(self._perform, options.threads, "opsworks")
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._look_regularly, name="opsworks-watch", daemon=True)

    def start(self) -> None:
        """Go on with everything that was begun and start the servers; returns without waiting for them."""
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._servers.report_strays()
        self._watch.start()

    def look_at_server(self, server_id: str) -> None:
        """Do what a server's new state calls for, soon; for ``Unit.after_commit``."""
        self._workers.look_at(server_id)

    def look_at_backup(self, number: int) -> None:
        """Do what a backup's new state calls for, soon; for ``Unit.after_commit``."""
        self._workers.look_at(number)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no work is under way or waiting; False when time ran out."""
        return self._workers.wait_idle(timeout_s)

    def stop(self) -> None:
        """Finish the steps under way and stop every engine, quietly and in parallel. What is left is done at the next
        start.
        """
        self._stopping.set()
        if self._watch.ident is not None:
            self._watch.join()
        self._workers.stop()
        with ThreadPoolExecutor(_STOP_THREADS, thread_name_prefix="opsworks-stop") as pool:
            list(pool.map(self._engine.stop, self._engine.server_ids()))

    def _look_regularly(self) -> None:
        pause_s = min(self._options.interval_s, LONGEST_PAUSE_S)
        turns = max(1, round(self._options.interval_s / pause_s))
        for turn in itertools.count():
            try:
                self._begin_what_is_due()
                if turn % turns == 0:
                    self._look_at_all()
            except Exception:  # noqa: BLE001 - one failed look must not end the watch over every server
                _log.exception("the regular look at Chef servers failed")
            if self._stopping.wait(pause_s):
                return

    def _look_at_all(self) -> None:
        with self._store.database.read() as connection:
            servers = self._store.all_servers(connection)
            numbers = self._store.backups_being_deleted(connection)
        for server in servers:
            self._workers.look_at(server.server_id)
        for number in numbers:
            self._workers.look_at(number)

    def _begin_what_is_due(self) -> None:
        if not self._options.is_scheduled:
            return
        with self._store.database.read() as connection:
            servers = self._store.all_servers(connection)
        for server in servers:
            try:
                self._scheduler.begin_what_is_due(server)
            except Exception:  # noqa: BLE001 - one server's windows must not keep the others from theirs
                _log.exception("what is due for Chef server %s was not begun", server.name)

    def _perform(self, key: ServerKey | BackupKey) -> None:
        if isinstance(key, int):
            self._backups.delete(key)
            return
        last: Server | None = None
        for _ in range(_LONGEST_CHAIN):
            with self._store.database.read() as connection:
                server = self._store.server_by_id(connection, key)
            if server is None or server == last or self._stopping.is_set():
                return
            self._take(next_step(server), server)
            last = server

    def _take(self, step: Step, server: Server) -> None:
        if step is Step.PROVISION:
            self._name_bucket(server)
            self._servers.provision(server, self._stopping.is_set)
        elif step is Step.DELETE:
            self._servers.delete(server)
        elif step is Step.BACK_UP:
            self._nodes.carry_out(server, self._stopping.is_set)
            self._backups.back_up(server, self._stopping.is_set)
        elif step is Step.RESTORE:
            self._restores.restore(server, self._stopping.is_set)
        elif step is Step.MAINTAIN:
            self._restores.maintain(server, self._stopping.is_set)
        elif step is Step.MODIFY:
            self._nodes.carry_out(server, self._stopping.is_set)
            self._nodes.replace_pivotal_key(server, self._stopping.is_set)
        elif step is Step.CHECK:
            self._servers.check(server, self._stopping.is_set)
            self._nodes.carry_out(server, self._stopping.is_set)

    def _name_bucket(self, server: Server) -> None:
        """Make the account's backup bucket with its first server; a store that is down only delays it."""
        try:
            self._backups.ensure_bucket(server.account_id, server.region)
        except OutboundError as error:
            _log.warning("the bucket for backups of account %s is not made yet: %s", server.account_id, error)
