"""The background work on backups: making one, deleting one, and ending those that are superfluous.

Rules: opsworks-cm fact sheet 8.3. A backup is a consistent copy of the server's files as one archive, encrypted by the
store, in a private bucket of the account (one per account and region, named with its first server). Repeating a backup
that was interrupted writes the same keys again.
"""

import io
import logging
import string
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from opentrail.clock import Clock, Entropy
from opentrail.errors import OutboundError
from opentrail.events.record import ServiceEvent
from opentrail.opsworks.archive import write_archive
from opentrail.opsworks.backups import Backup, BackupStatus, BackupType, expired
from opentrail.opsworks.engine import Engine, EngineSpec
from opentrail.opsworks.server import Server, ServerStatus
from opentrail.opsworks.service_events import Commit, backup_expired
from opentrail.opsworks.store import NumberedBackup, OpsWorksStore
from opentrail.opsworks.tags import remove_all_tags
from opentrail.state.database import Unit
from opentrail.storage.bucket import ObjectStore
from opentrail.storage.patience import patiently

BUCKET_RANDOM_LENGTH = 12
ATTEMPTS = 3
"""How often an object is sent, or fetched, where the store says that trying again may help."""
_ENCRYPTION = "AES256"
_log = logging.getLogger(__name__)


class RegisterBucket(Protocol):
    """Tells whoever keeps buckets' owners that a bucket belongs to an account, within the unit that names it."""

    def __call__(self, unit: Unit, bucket: str, account_id: str, region: str) -> None: ...


@dataclass(frozen=True, slots=True)
class BackupPlaces:
    """Where backups go: the object store, a private directory for archives in the making, and bucket ownership."""

    objects: ObjectStore
    scratch: Path
    register_bucket: RegisterBucket


class BackupWork:
    """Makes and deletes backups."""

    def __init__(
        self,
        store: OpsWorksStore,
        engine: Engine,
        places: BackupPlaces,
        clock: Clock,
        entropy: Entropy,
        *,
        commit: Commit,
        look_at_backup: Callable[[int], None],
    ) -> None:
        self._store = store
        self._engine = engine
        self._places = places
        self._clock = clock
        self._entropy = entropy
        self._commit = commit
        self._look_at_backup = look_at_backup

    def ensure_bucket(self, account_id: str, region: str) -> str:
        """The bucket for backups of an account and region; chosen, registered and made where there is none yet.

        Raises OutboundError where the store cannot make it; the choice stays.
        """
        bucket = self._chosen_bucket(account_id, region)
        if not self._places.objects.bucket_exists(bucket):
            self._places.objects.create_bucket(bucket)
        return bucket

    def back_up(self, server: Server, stopping: Callable[[], bool]) -> None:
        """Make the backup that a BACKING_UP server waits for; the server is RUNNING afterwards, to be checked."""
        with self._store.database.read() as connection:
            backup = self._store.backup_in_progress(connection, server.server_id)
        if backup is None:
            self._release(server, None)
            return
        done = self.make(server, backup, stopping, start=True)
        if done is not None:
            self._release(server, done)

    def make(
        self, server: Server, backup: Backup, stopping: Callable[[], bool], *, start: bool = False
    ) -> Backup | None:
        """The backup, made or failed; None where it has to be made again because we are stopping.

        ``start``: the server has to run meanwhile. Nothing of the outcome is stored yet.
        """
        try:
            if start:
                self._engine.start(EngineSpec(server.server_id, server.endpoint))
            return self._make(server, backup)
        except (OutboundError, OSError) as error:
            if stopping():
                return None
            _log.error("backup %s failed: %s", backup.backup_id, error)
            return self._with_log(backup.failed(str(error)))

    def keep(self, unit: Unit, server: Server, backup: Backup) -> None:
        """Store how a backup ended, with its server event."""
        self._store.put_backup(unit, backup)
        self._store.note(unit, server, _event(backup), self._clock.now(), backup.log_url)

    def expire(self, unit: Unit, server: Server) -> list[ServiceEvent]:
        """Begin to delete the automated backups beyond a server's retention count; the events that tell of it."""
        now, told = self._clock.now(), []
        numbers = {backup.backup_id: number for number, backup in self._automated(unit, server)}
        automated = [backup for _, backup in self._automated(unit, server)]
        for backup in expired(automated, server.backup_retention_count):
            if self._store.user_of(unit.connection, backup) is None:
                self._begin_deletion(unit, numbers[backup.backup_id], backup)
                told.append(backup_expired(server, backup, now))
        return told

    def delete_automated(self, unit: Unit, server: Server) -> None:
        """Begin to delete all automated backups of a server that is gone."""
        for number, backup in self._automated(unit, server):
            if backup.status is not BackupStatus.DELETING:
                self._begin_deletion(unit, number, backup)

    def is_source(self, server: Server) -> bool:
        """Whether another server is being made from one of a server's automated backups."""
        with self._store.database.read() as connection:
            users = (
                self._store.user_of(connection, backup)
                for _, backup in self._store.automated_backups(connection, server.server_id)
            )
            return any(user is not None and user.server_id != server.server_id for user in users)

    def delete(self, number: int) -> None:
        """Remove a DELETING backup from the bucket, then its row."""
        with self._store.database.read() as connection:
            backup = self._store.backup_by_number(connection, number)
        if backup is None or backup.status is not BackupStatus.DELETING:
            return
        try:
            self._delete_objects(backup)
        except OutboundError as error:
            _log.warning("backup %s is not deleted yet: %s", backup.backup_id, error)
            return
        with self._store.database.unit() as unit:
            remove_all_tags(unit, backup.arn)
            self._store.remove_backup(unit, backup)

    def _delete_objects(self, backup: Backup) -> None:
        with self._store.database.read() as connection:
            bucket = self._store.backup_bucket(connection, backup.account_id, backup.region)
        if bucket is None or not self._places.objects.bucket_exists(bucket):
            return
        for key in (backup.archive_key, backup.log_key):
            self._places.objects.delete(bucket, key)

    def _automated(self, unit: Unit, server: Server) -> list[NumberedBackup]:
        return self._store.automated_backups(unit.connection, server.server_id)

    def _begin_deletion(self, unit: Unit, number: int, backup: Backup) -> None:
        self._store.put_backup(unit, backup.deleting())
        unit.after_commit(lambda: self._look_at_backup(number))

    def _make(self, server: Server, backup: Backup) -> Backup:
        tools_version = self._engine.describe()
        bucket = self.ensure_bucket(backup.account_id, backup.region)
        with tempfile.TemporaryFile(dir=self._places.scratch) as archive:
            with self._engine.snapshot(server.server_id) as directory:
                described = _description(backup, tools_version)
                digest = write_archive(archive, directory, described, backup.created_at)
            self._put(bucket, backup.archive_key, archive, "application/gzip")
        told = f"{backup.archive_key}: {digest.size_bytes} bytes, SHA-256 {digest.sha256}"
        log = self._log_text(backup, told, "Backup completed successfully")
        self._put(bucket, backup.log_key, io.BytesIO(log), "text/plain")
        return backup.stored(
            bucket=bucket, archive_bytes=digest.size_bytes, archive_sha256=digest.sha256, tools_version=tools_version
        )

    def _with_log(self, backup: Backup) -> Backup:
        """A failed backup with a log of its own, where the store takes one."""
        try:
            bucket = self.ensure_bucket(backup.account_id, backup.region)
            log = self._log_text(backup, f"Backup failed: {backup.status_description}")
            self._put(bucket, backup.log_key, io.BytesIO(log), "text/plain")
        except OutboundError as error:
            _log.warning("backup %s has no log: %s", backup.backup_id, error)
            return backup
        return replace(backup, bucket=bucket, has_log=True)

    def _put(self, bucket: str, key: str, body: BinaryIO, content_type: str) -> None:
        """Store a file, trying again where the store says that may help."""

        def put() -> None:
            body.seek(0)
            self._places.objects.put(bucket, key, body, content_type=content_type, server_side_encryption=_ENCRYPTION)

        patiently(put, attempts=ATTEMPTS)

    def _release(self, server: Server, backup: Backup | None) -> None:
        """Store how the backup ended, release the server, and end what is superfluous now, together."""

        def released(unit: Unit) -> list[ServiceEvent]:
            now = self._store.server_by_id(unit.connection, server.server_id)
            if now is None:
                return []
            after = now.moved(ServerStatus.RUNNING) if now.status is ServerStatus.BACKING_UP else now
            self._store.put_server(unit, after)
            if backup is None:
                return []
            self.keep(unit, after, backup)
            is_newest = backup.type is BackupType.AUTOMATED and backup.status is BackupStatus.OK
            return self.expire(unit, after) if is_newest else []

        self._commit(released)

    def _chosen_bucket(self, account_id: str, region: str) -> str:
        with self._store.database.unit() as unit:
            bucket = self._store.backup_bucket(unit.connection, account_id, region)
            if bucket is None:
                random = self._entropy.text(BUCKET_RANDOM_LENGTH, string.ascii_lowercase + string.digits)
                bucket = f"aws-opsworks-cm-{account_id}-{region}-{random}"
                self._store.add_backup_bucket(unit, account_id, region, bucket)
                self._places.register_bucket(unit, bucket, account_id, region)
        return bucket

    def _log_text(self, backup: Backup, *results: str) -> bytes:
        lines = [(backup.created_at, f"Backup of {backup.server.name} started")]
        lines += [(self._clock.now(), text) for text in results]
        return "".join(f"{at:%Y/%m/%d %H:%M:%S} UTC  {text}\n" for at, text in lines).encode()


def _description(backup: Backup, engine: str) -> dict[str, str | None]:
    server = backup.server
    return {
        "backupId": backup.backup_id,
        "createdAt": backup.created_at.isoformat(),
        "engine": engine,
        "serverName": server.name,
        "serverArn": server.arn,
        "endpoint": server.endpoint,
    }


def _event(backup: Backup) -> str:
    if backup.status is BackupStatus.OK:
        return f"Backup {backup.backup_id} completed successfully"
    return f"Backup {backup.backup_id} failed: {backup.status_description}"
