"""The background work on servers: provisioning, health checks, deletion.

Rules. Every step is safe to repeat: it starts from the stored state and ends in one transaction that moves the state
only if nobody moved it meanwhile. A step that time or the operator can mend leaves the state as it is and is tried
again at the next look; one that nothing can mend ends in FAILED with a reason.
"""

import logging
from collections.abc import Callable

from opentrail.clock import Clock
from opentrail.errors import IntegrityError, OutboundError
from opentrail.opsworks.backup_work import BackupWork
from opentrail.opsworks.doors import Doors, NoDoors
from opentrail.opsworks.engine import (
    ENGINE_GONE,
    ENGINE_MISSING,
    Engine,
    EngineSpec,
    FirstUsers,
    Health,
    HealthState,
)
from opentrail.opsworks.new_instances import NewInstances
from opentrail.opsworks.sealing import open_password
from opentrail.opsworks.server import Server, ServerStatus
from opentrail.opsworks.steps import observed
from opentrail.opsworks.store import OpsWorksStore
from opentrail.opsworks.tags import remove_all_tags
from opentrail.state.sealing import Seal

_log = logging.getLogger(__name__)


class ServerWork:
    """Carries out the steps of ``steps.next_step`` except the backup."""

    def __init__(
        self,
        store: OpsWorksStore,
        engine: Engine,
        backups: BackupWork,
        instances: NewInstances,
        seal: Seal,
        clock: Clock,
        doors: Doors | None = None,
    ) -> None:
        """Without ``doors`` clients reach the engine by themselves."""
        self._doors = doors or NoDoors()
        self._store = store
        self._engine = engine
        self._backups = backups
        self._instances = instances
        self._seal = seal
        self._clock = clock
        self._seen: set[str] = set()

    def provision(self, server: Server, stopping: Callable[[], bool]) -> None:
        """Make the engine for a CREATING server; it is RUNNING afterwards, FAILED, or CREATING if we are stopping."""
        self._doors.open(server)  # before the engine: it takes free ports too. What is wrong, the check tells
        try:
            users = FirstUsers(server.pivotal_public_key, open_password(self._seal, server))
            if server.new_instance is None:
                self._engine.provision(EngineSpec(server.server_id, server.endpoint), users)
            else:
                self._instances.make(server, users.admin_password)
        except (OutboundError, OSError, IntegrityError) as error:
            if not stopping():
                self._give_up(server, reason_of(error))
            return
        self.move(server, ServerStatus.CREATING, Server.provisioned, "Server creation completed successfully")

    def check(self, server: Server, stopping: Callable[[], bool]) -> None:
        """Look at a server that should run, and start its engine where it does not.

        A lost connection shows while we try; but the first look of this process only follows our own start.
        """
        health = self._engine.health(server.server_id)
        if health.state is HealthState.DEAD and not stopping():
            if server.server_id in self._seen:
                server = self._note(server, health)
            health = self._started(server)
        self._seen.add(server.server_id)
        problem = self._doors.open(server)
        if problem is not None and health.state is HealthState.OK:
            health = Health(HealthState.FAILING, problem)
        if not stopping():  # what we stop ourselves is not a lost connection
            self._note(server, health)

    def delete(self, server: Server) -> None:
        """Remove a DELETING server: door, engine, files, then its rows and automated backups; manual ones stay.

        It waits while another server is being made from one of those backups.
        """
        if self._backups.is_source(server):
            _log.info("Chef server %s is deleted when nothing is made from its backups any more", server.name)
            return
        self._doors.close(server)
        try:
            self._engine.delete(server.server_id)
        except OutboundError as error:
            _log.warning("Chef server %s is not deleted yet: %s", server.name, error)
            return
        self._seen.discard(server.server_id)
        with self._store.database.unit() as unit:
            backup = self._store.backup_in_progress(unit.connection, server.server_id)
            if backup is not None:  # asked for, but the deletion came first
                self._store.put_backup(unit, backup.failed("The server was deleted"))
            self._backups.delete_automated(unit, server)
            remove_all_tags(unit, server.arn)
            self._store.remove_server(unit, server)

    def report_strays(self) -> None:
        """Warn of what the engine has of servers that no row knows. Nothing of ours leaves such files behind, so they
        mean that the state was lost or restored: they are somebody's data and stay.
        """
        with self._store.database.read() as connection:
            known = {server.server_id for server in self._store.all_servers(connection)}
        for server_id in sorted(set(self._engine.server_ids()) - known):
            _log.warning(
                "the files of Chef server %s belong to no server that OpenTrail knows; they are kept", server_id
            )

    def move(
        self,
        server: Server,
        expected: ServerStatus,
        change: Callable[[Server], Server],
        message: str | None,
    ) -> bool:
        """Change a server's row if it is still in the expected state, and note an event; False if it is not."""
        with self._store.database.unit() as unit:
            now = self._store.server_by_id(unit.connection, server.server_id)
            if now is None or now.status is not expected:
                return False
            after = change(now)
            self._store.put_server(unit, after)
            if message is not None:
                self._store.note(unit, after, message, self._clock.now())
        return True

    def _note(self, server: Server, health: Health) -> Server:
        """Store what a health check found, with a server event where the state is another one now."""
        after = observed(server, health)
        if after == server:
            return server
        message = _event(after) if after.status is not server.status else None
        self.move(server, server.status, lambda now: observed(now, health), message)
        return after

    def _started(self, server: Server) -> Health:
        """Bring a dead engine back; how it is then."""
        try:
            self._engine.start(EngineSpec(server.server_id, server.endpoint))
        except (OutboundError, OSError) as error:
            gone = isinstance(error, OutboundError) and error.code == ENGINE_GONE
            return Health(HealthState.GONE if gone else HealthState.DEAD, reason_of(error))
        return self._engine.health(server.server_id)

    def _give_up(self, server: Server, reason: str) -> None:
        _log.error("Chef server %s could not be created: %s", server.name, reason)
        try:
            self._engine.delete(server.server_id)
        except OutboundError as error:
            _log.warning("what was made of Chef server %s stays until it is deleted: %s", server.name, error)
        text = f"Server creation failed: {reason}"
        self.move(server, ServerStatus.CREATING, lambda now: now.failed(reason), text)


def _event(after: Server) -> str:
    if after.status is ServerStatus.HEALTHY:
        return "Server is healthy"
    return f"Server is {after.status}: {after.status_reason}"


def reason_of(error: Exception) -> str:
    """What went wrong, for the owner of a server."""
    if isinstance(error, OutboundError):
        return error.message if error.code in {ENGINE_MISSING, ENGINE_GONE} else f"{error.code}: {error.message}"
    return f"{type(error).__name__}: {error}"
