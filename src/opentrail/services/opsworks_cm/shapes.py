"""Servers, backups and server events as the API answers them: wire casing, absent members left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentrail.opsworks.backups import Backup, reachable
from opentrail.opsworks.server import Server


def server_shape(server: Server, engine_attributes: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """The model's ``Server``. Engine attributes are shown where the caller passes them, and are an empty list
    otherwise, as in AWS's own answers (opsworks-cm fact sheet 4.1).
    """
    return _present(
        {
            "AssociatePublicIpAddress": server.associate_public_ip_address,
            "BackupRetentionCount": server.backup_retention_count,
            "ServerName": server.name,
            "CreatedAt": server.created_at,
            "CustomDomain": server.custom_domain,
            "DisableAutomatedBackup": server.disable_automated_backup,
            "Endpoint": server.endpoint,
            "EngineAttributes": [dict(attribute) for attribute in engine_attributes],
            "MaintenanceStatus": server.maintenance_status,
            "Status": server.status.value,
            "StatusReason": server.status_reason,
            "ServerArn": server.arn,
        }
        | _settings(server)
    )


def backup_shape(backup: Backup, s3_url: str) -> dict[str, Any]:
    """The model's ``Backup``; everything of the server is as it was when the backup began. Logs are at ``s3_url``."""
    return _present(
        {
            "BackupArn": backup.arn,
            "BackupId": backup.backup_id,
            "BackupType": backup.type.value,
            "CreatedAt": backup.created_at,
            "Description": backup.description,
            "S3LogUrl": reachable(backup.log_url, s3_url),
            "ServerName": backup.server.name,
            "Status": backup.status.value,
            "StatusDescription": backup.status_description,
            "ToolsVersion": backup.tools_version,
            "UserArn": backup.user_arn,
        }
        | _settings(backup.server)
    )


def event_shape(server: Server, event: Mapping[str, Any], s3_url: str) -> dict[str, Any]:
    """The model's ``ServerEvent``; logs are at ``s3_url``."""
    return _present(
        {
            "CreatedAt": event["created_at"],
            "ServerName": server.name,
            "Message": event["message"],
            "LogUrl": reachable(event["log_url"], s3_url),
        }
    )


def _settings(server: Server) -> dict[str, Any]:
    """The members that a server and its backups share."""
    return {
        "Engine": server.engine,
        "EngineModel": server.engine_model,
        "EngineVersion": server.engine_version,
        "InstanceProfileArn": server.instance_profile_arn,
        "InstanceType": server.instance_type,
        "KeyPair": server.key_pair,
        "PreferredBackupWindow": server.preferred_backup_window,
        "PreferredMaintenanceWindow": server.preferred_maintenance_window,
        "SecurityGroupIds": None if server.security_group_ids is None else list(server.security_group_ids),
        "ServiceRoleArn": server.service_role_arn,
        "SubnetIds": None if server.subnet_ids is None else list(server.subnet_ids),
    }


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
