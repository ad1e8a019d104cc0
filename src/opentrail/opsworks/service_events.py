"""What the schedule does by itself, as service events (opsworks-cm fact sheet 11): the names are those of the
operations that a person would have called. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from opentrail.events.record import ServiceEvent
from opentrail.opsworks.backups import Backup
from opentrail.opsworks.server import Server
from opentrail.state.database import Unit

EVENT_SOURCE = "opsworks-cm.amazonaws.com"

Commit = Callable[[Callable[[Unit], Sequence[ServiceEvent]]], None]
"""Makes a change and the service events that tell of it durable together."""


def backup_begun(server: Server, backup: Backup) -> ServiceEvent:
    """The backup window of a server opened."""
    details = {"serverName": server.name, "backupId": backup.backup_id, "backupType": backup.type.value}
    return _event("CreateBackup", server, backup.created_at, details)


def maintenance_begun(server: Server, backup: Backup) -> ServiceEvent:
    """The maintenance window of a server opened."""
    details = {"serverName": server.name, "backupId": backup.backup_id}
    return _event("StartMaintenance", server, backup.created_at, details)


def backup_expired(server: Server, backup: Backup, at: datetime) -> ServiceEvent:
    """A newer automated backup made an old one superfluous."""
    details: dict[str, str | int] = {
        "serverName": backup.server.name,
        "backupId": backup.backup_id,
        "backupRetentionCount": server.backup_retention_count,
    }
    return _event("DeleteBackup", server, at, details)


def _event(name: str, server: Server, at: datetime, details: Mapping[str, str | int]) -> ServiceEvent:
    return ServiceEvent(
        event_source=EVENT_SOURCE,
        event_name=name,
        account_id=server.account_id,
        region=server.region,
        occurred_at=at,
        details=details,
        invoked_by=EVENT_SOURCE,
        resources=({"ARN": server.arn, "accountId": server.account_id, "type": "AWS::OpsWorksCM::Server"},),
    )
