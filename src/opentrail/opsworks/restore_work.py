"""The background work that gives a server a new instance: restoring in place, and maintenance.

Rules: opsworks-cm fact sheet 8.2 and 8.4. The endpoint stays. The old instance goes only when the new one has proved
that it works, so what fails ends with the old one running, and an event that says why. Every step starts from the
stored state and may be repeated after a crash.
"""

import logging
from collections.abc import Callable

from opentrail.clock import Clock
from opentrail.errors import IntegrityError, OutboundError
from opentrail.events.record import ServiceEvent
from opentrail.opsworks.backup_work import BackupWork
from opentrail.opsworks.backups import BackupStatus
from opentrail.opsworks.engine import Engine, EngineSpec
from opentrail.opsworks.new_instances import NewInstances
from opentrail.opsworks.server import MaintenanceStatus, Server, ServerStatus
from opentrail.opsworks.server_work import reason_of
from opentrail.opsworks.service_events import Commit
from opentrail.opsworks.store import OpsWorksStore
from opentrail.state.database import Unit

_FAILURES = (OutboundError, OSError, IntegrityError)
_log = logging.getLogger(__name__)


class RestoreWork:
    """Carries out RESTORE and MAINTAIN."""

    def __init__(
        self,
        store: OpsWorksStore,
        engine: Engine,
        backups: BackupWork,
        instances: NewInstances,
        clock: Clock,
        commit: Commit,
    ) -> None:
        self._store = store
        self._engine = engine
        self._backups = backups
        self._instances = instances
        self._clock = clock
        self._commit = commit

    def restore(self, server: Server, stopping: Callable[[], bool]) -> None:
        """Give a RESTORING server the instance it waits for; it is RUNNING afterwards, to be checked."""
        wanted = server.new_instance.backup_id if server.new_instance else ""
        try:
            backup = self._instances.make(server)
        except _FAILURES as error:
            if stopping():
                return  # it is done again after the next start
            self._run_again(server)
            message = f"Restore of backup {wanted} failed: {reason_of(error)}"
            self._finish(server, ServerStatus.RESTORING, Server.settled, message)
            return
        version = backup.server.engine_version
        done = "Restore completed successfully"
        self._finish(server, ServerStatus.RESTORING, lambda now: now.restored(version), done)

    def maintain(self, server: Server, stopping: Callable[[], bool]) -> None:
        """Back up an UNDER_MAINTENANCE server and make a new instance from that; it is RUNNING afterwards.

        Nobody can reach the server meanwhile, so that nothing is lost between the copy and the new instance.
        """
        try:
            self._engine.stop(server.server_id)
            if not self._is_backed_up(server, stopping):
                return
            self._instances.make(server)
        except _FAILURES as error:
            if not stopping():
                self._run_again(server)
                self._end(server, MaintenanceStatus.FAILED, f"Maintenance failed: {reason_of(error)}")
            return
        self._end(server, MaintenanceStatus.SUCCESS, "Maintenance completed successfully")

    def _run_again(self, server: Server) -> None:
        """Start what the server has, now rather than at the next look, which would call it a lost connection."""
        try:
            self._engine.start(EngineSpec(server.server_id, server.endpoint))
        except _FAILURES as error:
            _log.warning("Chef server %s does not run: %s", server.name, error)

    def _is_backed_up(self, server: Server, stopping: Callable[[], bool]) -> bool:
        """Whether the backup is there now; False where we are stopping. Raises OutboundError where it failed."""
        with self._store.database.read() as connection:
            backup = self._store.backup_in_progress(connection, server.server_id)
        if backup is None:
            return True
        done = self._backups.make(server, backup, stopping)
        if done is None:
            return False
        with self._store.database.unit() as unit:
            self._backups.keep(unit, server, done)
        if done.status is not BackupStatus.OK:
            raise OutboundError("BackupFailed", done.status_description or "no reason is known", retryable=False)
        return True

    def _end(self, server: Server, outcome: MaintenanceStatus, message: str) -> None:
        self._finish(server, ServerStatus.UNDER_MAINTENANCE, lambda now: now.maintained(outcome), message)

    def _finish(self, server: Server, expected: ServerStatus, change: Callable[[Server], Server], message: str) -> None:
        """Store how the work ended, with its event and the end of backups that are superfluous now."""
        if "failed" in message:
            _log.error("Chef server %s: %s", server.name, message)

        def finished(unit: Unit) -> list[ServiceEvent]:
            now = self._store.server_by_id(unit.connection, server.server_id)
            if now is None or now.status is not expected:
                return []
            after = change(now)
            self._store.put_server(unit, after)
            self._store.note(unit, after, message, self._clock.now())
            return self._backups.expire(unit, after) if expected is ServerStatus.UNDER_MAINTENANCE else []

        self._commit(finished)
