"""Servers and backups as table rows, and back.

The members that nothing searches for travel as one JSON object (``settings``), so that a later release can add one
without a migration.
"""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from opentrail.opsworks.backups import Backup, BackupStatus, BackupType
from opentrail.opsworks.server import MaintenanceStatus, NewInstance, Server, ServerStatus
from opentrail.state.instants import from_ms, to_ms

_SETTINGS = (
    "status_reason",
    "endpoint",
    "engine",
    "engine_model",
    "engine_version",
    "instance_profile_arn",
    "service_role_arn",
    "instance_type",
    "key_pair",
    "associate_public_ip_address",
    "disable_automated_backup",
    "backup_retention_count",
    "preferred_maintenance_window",
    "preferred_backup_window",
)
_LATER = ("custom_domain", "next_pivotal_public_key")
"""Members that rows of earlier releases do not have; their default stands for them."""
_LISTS = ("security_group_ids", "subnet_ids")
_INSTANTS = ("backup_due_after", "maintenance_due_after")
_DETAILS = (
    "description",
    "status_description",
    "user_arn",
    "tools_version",
    "bucket",
    "archive_bytes",
    "archive_sha256",
    "has_log",
)
_SNAPSHOT_COLUMNS = ("server_id", "name", "pivotal_public_key")


def server_row(server: Server) -> dict[str, Any]:
    """The columns of a server, without its ``number``."""
    return {
        "server_id": server.server_id,
        "account_id": server.account_id,
        "region": server.region,
        "name": server.name,
        "created_at_ms": to_ms(server.created_at),
        "status": server.status.value,
        "settings": _settings(server),
        "pivotal_public_key": server.pivotal_public_key,
        "sealed_admin_password": server.sealed_admin_password,
    }


def server_of(row: sa.Row[Any]) -> Server:
    """The server that a row of ``opsworks_servers`` describes."""
    return Server(
        server_id=row.server_id,
        account_id=row.account_id,
        region=row.region,
        name=row.name,
        created_at=from_ms(row.created_at_ms),
        status=ServerStatus(row.status),
        pivotal_public_key=row.pivotal_public_key,
        sealed_admin_password=row.sealed_admin_password,
        **_from_settings(row.settings),
    )


def backup_row(backup: Backup) -> dict[str, Any]:
    """The columns of a backup, without its ``number``."""
    server = backup.server
    snapshot = _settings(server) | {name: getattr(server, name) for name in _SNAPSHOT_COLUMNS}
    return {
        "backup_id": backup.backup_id,
        "account_id": backup.account_id,
        "region": backup.region,
        "server_id": server.server_id,
        "server_name": server.name,
        "type": backup.type.value,
        "status": backup.status.value,
        "created_at_ms": to_ms(backup.created_at),
        "server": snapshot | {"created_at_ms": to_ms(server.created_at), "status": server.status.value},
        "details": {name: getattr(backup, name) for name in _DETAILS},
    }


def backup_of(row: sa.Row[Any]) -> Backup:
    """The backup that a row of ``opsworks_backups`` describes."""
    snapshot: dict[str, Any] = row.server
    server = Server(
        account_id=row.account_id,
        region=row.region,
        created_at=from_ms(snapshot["created_at_ms"]),
        status=ServerStatus(snapshot["status"]),
        **{name: snapshot[name] for name in _SNAPSHOT_COLUMNS},
        **_from_settings(snapshot),
    )
    return Backup(
        backup_id=row.backup_id,
        account_id=row.account_id,
        region=row.region,
        server=server,
        type=BackupType(row.type),
        status=BackupStatus(row.status),
        created_at=from_ms(row.created_at_ms),
        **{name: row.details[name] for name in _DETAILS},
    )


def _settings(server: Server) -> dict[str, Any]:
    lists = {name: getattr(server, name) for name in _LISTS}
    plain = {name: getattr(server, name) for name in (*_SETTINGS, *_LATER)}
    instants = {name: getattr(server, name) for name in _INSTANTS}
    return (
        plain
        | {name: None if value is None else list(value) for name, value in lists.items()}
        | {f"{name}_ms": None if at is None else to_ms(at) for name, at in instants.items()}
        | {
            "maintenance_status": server.maintenance_status,
            "new_instance": None if server.new_instance is None else asdict(server.new_instance),
        }
    )


def _from_settings(settings: dict[str, Any]) -> dict[str, Any]:
    lists = {name: settings[name] for name in _LISTS}
    plain = {name: settings[name] for name in _SETTINGS} | {name: settings[name] for name in _LATER if name in settings}
    return plain | {name: None if value is None else tuple(value) for name, value in lists.items()} | _newest(settings)


def _newest(settings: dict[str, Any]) -> dict[str, Any]:
    """The members that rows of the first release do not have."""
    status, new = settings.get("maintenance_status"), settings.get("new_instance")
    instants = {name: settings.get(f"{name}_ms") for name in _INSTANTS}
    return {name: None if at is None else from_ms(at) for name, at in instants.items()} | {
        "maintenance_status": None if status is None else MaintenanceStatus(status),
        "new_instance": None if new is None else NewInstance(**new),
    }
