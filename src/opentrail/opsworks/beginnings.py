"""How backups and maintenance begin, whoever asks: a person, or the schedule. The caller has checked the state.

Everything is one change of the state; the background then does what the new state calls for.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from opentrail.opsworks.backups import Backup, BackupStatus, BackupType, backup_id, next_millisecond
from opentrail.opsworks.server import NewInstance, Server, ServerStatus
from opentrail.opsworks.store import OpsWorksStore
from opentrail.opsworks.tags import add_tags, tags_of
from opentrail.state.database import Unit

_NO_TAGS: Mapping[str, str] = {}


def begin_backup(
    store: OpsWorksStore,
    unit: Unit,
    server: Server,
    at: datetime,
    *,
    user_arn: str | None = None,
    description: str | None = None,
    tags: Mapping[str, str] = _NO_TAGS,
    type: BackupType = BackupType.MANUAL,  # noqa: A002 - the member's name
) -> Backup:
    """Begin a backup, with the server's tags and its own; the server is BACKING_UP until it is made.

    Raises ApiError ValidationException where that would be too many tags.
    """
    backup = _new_backup(store, unit, server, at, type=type, user_arn=user_arn, description=description)
    add_tags(unit, backup.arn, tags)
    store.put_server(unit, server.moved(ServerStatus.BACKING_UP))
    store.note(unit, server, f"Backup {backup.backup_id} started", backup.created_at)
    return backup


def begin_maintenance(store: OpsWorksStore, unit: Unit, server: Server, at: datetime) -> tuple[Server, Backup]:
    """Begin maintenance: a backup, from which a new instance is then made (opsworks-cm fact sheet 8.2)."""
    backup = _new_backup(store, unit, server, at, type=BackupType.AUTOMATED)
    begun = replace(server.moved(ServerStatus.UNDER_MAINTENANCE), new_instance=NewInstance(backup.backup_id))
    store.put_server(unit, begun)
    store.note(unit, server, f"Maintenance started, with backup {backup.backup_id}", backup.created_at)
    return begun, backup


def _new_backup(
    store: OpsWorksStore,
    unit: Unit,
    server: Server,
    at: datetime,
    *,
    type: BackupType,  # noqa: A002 - the member's name
    user_arn: str | None = None,
    description: str | None = None,
) -> Backup:
    """A stored backup in progress, under an id that is free, with the server's tags."""
    while store.backup(unit.connection, server.account_id, server.region, backup_id(server.name, at)) is not None:
        at = next_millisecond(at)
    backup = Backup(
        backup_id=backup_id(server.name, at),
        account_id=server.account_id,
        region=server.region,
        server=server,
        type=type,
        status=BackupStatus.IN_PROGRESS,
        created_at=at,
        description=description,
        user_arn=user_arn,
    )
    store.add_backup(unit, backup)
    add_tags(unit, backup.arn, tags_of(unit.connection, server.arn))
    return backup
