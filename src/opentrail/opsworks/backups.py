"""A backup as OpsWorks CM knows it: a value with a snapshot of its server's settings, its id and its states.

Pure: no I/O. Rules: opsworks-cm fact sheet 3 (members), 8.3 (ids, content, states), 9 (names and quotas).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from opentrail.errors import ApiError
from opentrail.opsworks.server import Server

AWS_S3 = "https://s3.amazonaws.com"
ARCHIVE_SUFFIX = ".tar.gz"


class BackupStatus(StrEnum):
    """Every value of the model's ``BackupStatus``."""

    IN_PROGRESS = "IN_PROGRESS"
    OK = "OK"
    FAILED = "FAILED"
    DELETING = "DELETING"


class BackupType(StrEnum):
    """Who asked for a backup: the schedule, or somebody."""

    AUTOMATED = "AUTOMATED"
    MANUAL = "MANUAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup. ``server`` is the server as it was when the backup began; later changes of it do not show here.

    ``bucket`` is None until the archive's place is known; ``archive_bytes`` and ``archive_sha256`` (hex) are set with
    status OK; ``has_log`` says whether the log object was written.
    """

    backup_id: str
    account_id: str
    region: str
    server: Server
    type: BackupType
    status: BackupStatus
    created_at: datetime
    description: str | None = None
    status_description: str | None = None
    user_arn: str | None = None
    tools_version: str | None = None
    bucket: str | None = None
    archive_bytes: int | None = None
    archive_sha256: str | None = None
    has_log: bool = False

    @property
    def arn(self) -> str:
        """``arn:aws:opsworks-cm:REGION:ACCOUNT:backup/BACKUP-ID``."""
        return f"arn:aws:opsworks-cm:{self.region}:{self.account_id}:backup/{self.backup_id}"

    @property
    def archive_key(self) -> str:
        """The object key of the archive in ``bucket``."""
        return self.backup_id + ARCHIVE_SUFFIX

    @property
    def log_key(self) -> str:
        """The object key of the log; the id alone, as in AWS's sample S3LogUrl (opsworks-cm fact sheet 8.3)."""
        return self.backup_id

    @property
    def log_url(self) -> str | None:
        """Where the log is, in AWS's form; None while there is none. Callers are shown ``reachable`` of it."""
        return f"{AWS_S3}/{self.bucket}/{self.log_key}" if self.bucket and self.has_log else None

    def stored(self, *, bucket: str, archive_bytes: int, archive_sha256: str, tools_version: str) -> "Backup":
        """The backup once its archive and log are in the bucket."""
        return replace(
            self,
            status=BackupStatus.OK,
            status_description=None,
            bucket=bucket,
            archive_bytes=archive_bytes,
            archive_sha256=archive_sha256,
            tools_version=tools_version,
            has_log=True,
        )

    def failed(self, reason: str) -> "Backup":
        """The backup that could not be made."""
        return replace(self, status=BackupStatus.FAILED, status_description=reason)

    def deleting(self) -> "Backup":
        """The backup on its way out.

        Raises ApiError InvalidStateException while it is being made, or when it is already being deleted.
        """
        if self.status is BackupStatus.DELETING:
            raise ApiError("InvalidStateException", f"Backup {self.backup_id} is already being deleted")
        if self.status is BackupStatus.IN_PROGRESS:
            raise ApiError("InvalidStateException", f"Backup {self.backup_id} is in progress and cannot be deleted yet")
        return replace(self, status=BackupStatus.DELETING)


def reachable(log_url: str | None, s3_url: str) -> str | None:
    """A log's URL at the S3 endpoint that callers have (a URL without a path), in place of AWS's."""
    return None if log_url is None else log_url.replace(AWS_S3, s3_url, 1)


def expired(automated: Sequence[Backup], kept_count: int) -> list[Backup]:
    """Which of a server's automated backups, given newest first, go once a new one was made (8.3).

    The newest good ones stay; one that failed pushes none of them out, and goes with those older than all that stay.
    """
    gone, kept = [], 0
    for backup in automated:
        if backup.status is BackupStatus.OK and kept < kept_count:
            kept += 1
        elif backup.status is BackupStatus.OK or (backup.status is BackupStatus.FAILED and kept == kept_count):
            gone.append(backup)
    return gone


def backup_id(server_name: str, at: datetime) -> str:
    """``ServerName-yyyyMMddHHmmssSSS`` in UTC (opsworks-cm fact sheet 8.3)."""
    return f"{server_name}-{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"


def next_millisecond(at: datetime) -> datetime:
    """The instant to try where an id is taken: ids have no more than a millisecond of difference."""
    return at + timedelta(milliseconds=1)
