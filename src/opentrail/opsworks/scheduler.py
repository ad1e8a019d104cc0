"""Begins what the clock calls for: automated backups and weekly maintenance, each with its service event."""

from collections.abc import Callable

from opentrail.clock import Clock
from opentrail.events.record import ServiceEvent
from opentrail.opsworks.backups import BackupType
from opentrail.opsworks.beginnings import begin_backup, begin_maintenance
from opentrail.opsworks.schedule import Due, due
from opentrail.opsworks.server import Server
from opentrail.opsworks.service_events import Commit, backup_begun, maintenance_begun
from opentrail.opsworks.store import OpsWorksStore
from opentrail.state.database import Unit


class Scheduler:
    """Looks at servers with the injected clock; ``schedule`` decides."""

    def __init__(
        self, store: OpsWorksStore, clock: Clock, commit: Commit, look_at_server: Callable[[str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._commit = commit
        self._look_at_server = look_at_server

    def begin_what_is_due(self, server: Server) -> None:
        """Begin a server's backup or maintenance where its window has opened. Raises JournalError."""
        if due(server, self._clock.now()) is not None:  # most looks need no transaction
            self._commit(lambda unit: self._begin(unit, server.server_id))

    def _begin(self, unit: Unit, server_id: str) -> list[ServiceEvent]:
        """Decide again with what the state says now, and begin."""
        server, now = self._store.server_by_id(unit.connection, server_id), self._clock.now()
        what = None if server is None else due(server, now)
        if server is None or what is None:
            return []
        unit.after_commit(lambda: self._look_at_server(server_id))
        if what is Due.BACKUP:
            counted = server.scheduled(backup_due_after=now)
            backup = begin_backup(self._store, unit, counted, now, type=BackupType.AUTOMATED)
            return [backup_begun(server, backup)]
        _, backup = begin_maintenance(self._store, unit, server.scheduled(maintenance_due_after=now), now)
        return [maintenance_begun(server, backup)]
