"""CreateBackup, DescribeBackups, DeleteBackup.

Rules: opsworks-cm fact sheet 4, 8.3 and 9.
"""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.opsworks.beginnings import begin_backup
from opentrail.opsworks.server import check_allowed
from opentrail.opsworks.tags import read_tags
from opentrail.services.operation import operation
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.services.opsworks_cm.shapes import backup_shape
from opentrail.state.database import Unit


class BackupOperations:
    """The operations on backups; a part of ``OpsWorksCmService``."""

    parts: Parts

    @operation("CreateBackup", writes=True)
    def create_backup(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin a manual backup; the server is BACKING_UP until it is made. It gets the server's tags and its own."""
        parts, store = self.parts, self.parts.store
        tags = read_tags(request.get("Tags") or ())
        server = parts.server(unit.connection, call, request["ServerName"])
        check_allowed(server, "CreateBackup")
        limit = parts.quotas.manual_backups
        if store.count_manual_backups(unit.connection, call.account_id) >= limit:
            text = f"The maximum number of manual backups ({limit}) has been reached"
            raise ApiError("LimitExceededException", text)
        backup = begin_backup(
            store,
            unit,
            server,
            parts.clock.now(),
            user_arn=call.principal.arn or None,
            description=request.get("Description"),
            tags=tags,
        )
        unit.after_commit(lambda: parts.jobs.look_at_server(server.server_id))
        return {"Backup": backup_shape(backup, parts.s3_url)}

    @operation("DescribeBackups")
    def describe_backups(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One backup by id, those of one server name, or all of the account in the region, newest first."""
        parts, identifier, name = self.parts, request.get("BackupId"), request.get("ServerName")
        with parts.store.database.read() as connection:
            if identifier is not None:
                backup = parts.backup(connection, call, identifier)
                if name is not None and backup.server.name != name:
                    raise ApiError("ResourceNotFoundException", f"Backup with id {identifier} does not exist")
                return {"Backups": [backup_shape(backup, parts.s3_url)]}
            limit = request.get("MaxResults")
            found = parts.store.backups_of(
                connection,
                (call.account_id, call.region),
                server_name=name,
                before=parts.place(call, request, name or ""),
                limit=None if limit is None else limit + 1,
            )
            if name is not None and not found:
                parts.server(connection, call, name)
        shown = found[:limit]
        answer: dict[str, Any] = {"Backups": [backup_shape(backup, parts.s3_url) for _, backup in shown]}
        if len(found) > len(shown):
            answer["NextToken"] = parts.next_token(call, shown[-1][0], name or "")
        return answer

    @operation("DeleteBackup", writes=True)
    def delete_backup(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin the removal of a backup from the bucket."""
        parts = self.parts
        backup = parts.backup(unit.connection, call, request["BackupId"]).deleting()
        user = parts.store.user_of(unit.connection, backup)
        if user is not None:
            text = f"Backup {backup.backup_id} is in use: server {user.name} is being made from it"
            raise ApiError("InvalidStateException", text)
        parts.store.put_backup(unit, backup)
        number = parts.store.number_of(unit.connection, backup)
        unit.after_commit(lambda: parts.jobs.look_at_backup(number))
        return {}
