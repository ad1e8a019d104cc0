"""New instances from backups: the archive is fetched from the bucket, checked against the state, unpacked and given to
the engine.

Rules: opsworks-cm fact sheet 8.3 and 8.4. A server that gets its own backup back has the nodes of that backup again;
one made from another's has none of them. Either way pivotal's key is the server's own, so that a key which was replaced
after the backup does not come back.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from opentrail.errors import OutboundError
from opentrail.opsworks.archive import check_digest, read_archive
from opentrail.opsworks.backup_work import ATTEMPTS, BackupPlaces
from opentrail.opsworks.backups import Backup, BackupStatus
from opentrail.opsworks.engine import Engine, EngineSpec, Restoration
from opentrail.opsworks.server import Server
from opentrail.opsworks.store import OpsWorksStore
from opentrail.storage.patience import patiently


class NewInstances:
    """Makes the instance that a server's ``new_instance`` asks for."""

    def __init__(self, store: OpsWorksStore, engine: Engine, places: BackupPlaces) -> None:
        self._store = store
        self._engine = engine
        self._places = places

    def make(self, server: Server, admin_password: str | None = None) -> Backup:
        """Make the instance and let it take the server's place; returns the backup that it was made from.

        The admin gets the password, or keeps the backup's. Repeating it begins anew. Raises OutboundError, OSError and
        IntegrityError, and a server that was there stays.
        """
        backup = self._backup_of(server)
        with self._unpacked(backup) as directory:
            keeps_nodes = backup.server.server_id == server.server_id
            source = Restoration(directory, server.pivotal_public_key, admin_password, keeps_nodes)
            self._engine.restore(EngineSpec(server.server_id, server.endpoint), source)
        return backup

    def _backup_of(self, server: Server) -> Backup:
        wanted = server.new_instance.backup_id if server.new_instance else ""
        with self._store.database.read() as connection:
            backup = self._store.backup(connection, server.account_id, server.region, wanted)
        if backup is None or backup.status is not BackupStatus.OK:
            raise OutboundError("BackupMissing", f"backup {wanted} cannot be used any more", retryable=False)
        return backup

    @contextmanager
    def _unpacked(self, backup: Backup) -> Iterator[Path]:
        """The files of a backup, for as long as the block lasts."""
        with tempfile.TemporaryDirectory(dir=self._places.scratch) as scratch:
            directory = Path(scratch) / "files"
            with tempfile.TemporaryFile(dir=self._places.scratch) as archive:
                patiently(lambda: self._fetch(backup, archive), attempts=ATTEMPTS)
                check_digest(archive, backup.archive_sha256 or "")
                read_archive(archive, directory)
            yield directory

    def _fetch(self, backup: Backup, archive: BinaryIO) -> None:
        archive.seek(0)
        archive.truncate()
        self._places.objects.download(backup.bucket or "", backup.archive_key, archive)
