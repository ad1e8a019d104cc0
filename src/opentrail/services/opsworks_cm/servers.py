"""CreateServer, DescribeServers, UpdateServer, DeleteServer, DescribeEvents, DescribeAccountAttributes.

Rules: opsworks-cm fact sheet 4 to 6 and 9. Credentials are in the answer of CreateServer and never again.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.opsworks.attributes import credentials
from opentrail.opsworks.backups import BackupStatus
from opentrail.opsworks.front.places import add_custom_domain, has_domain
from opentrail.opsworks.server import Server, check_allowed
from opentrail.opsworks.tags import add_tags
from opentrail.opsworks.windows import parse_window
from opentrail.services.operation import operation
from opentrail.services.opsworks_cm.creation import Creation, read_creation, read_retention
from opentrail.services.opsworks_cm.kits import starter_kit
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.services.opsworks_cm.shapes import event_shape, server_shape
from opentrail.state.database import Unit

EVENTS_PER_PAGE = 100


class ServerOperations:
    """The operations on servers; a part of ``OpsWorksCmService``."""

    parts: Parts

    @operation("CreateServer", writes=True)
    def create_server(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin a server: stored as CREATING, provisioned in the background. Everything slow comes before the unit."""
        creation = read_creation(self.parts, call, request)
        attributes = _credentials(self.parts, call, creation)
        self._check_room(call, creation.server, unit)
        if "BackupId" in request:
            self._check_source(call, request["BackupId"], unit)
        server = creation.server
        self.parts.store.add_server(unit, server)
        if creation.custom is not None:
            add_custom_domain(unit, self.parts.seal, server.server_id, creation.custom)
        add_tags(unit, server.arn, creation.tags)
        self.parts.store.note(unit, server, "Server creation started", server.created_at)
        unit.after_commit(lambda: self.parts.jobs.look_at_server(server.server_id))
        return {"Server": server_shape(server, attributes)}

    @operation("DescribeServers")
    def describe_servers(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One server by name, or all of the account in the region, newest first."""
        parts, name = self.parts, request.get("ServerName")
        with parts.store.database.read() as connection:
            if name is not None:
                return {"Servers": [server_shape(parts.server(connection, call, name))]}
            limit = request.get("MaxResults")
            found = parts.store.servers_of(
                connection,
                call.account_id,
                call.region,
                before=parts.place(call, request),
                limit=None if limit is None else limit + 1,
            )
        shown = found[:limit]
        answer: dict[str, Any] = {"Servers": [server_shape(server) for _, server in shown]}
        if len(found) > len(shown):
            answer["NextToken"] = parts.next_token(call, shown[-1][0])
        return answer

    @operation("UpdateServer", writes=True)
    def update_server(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Change a server's backup and maintenance settings; what is not named stays."""
        changes = _changes(request)
        server = self.parts.server(unit.connection, call, request["ServerName"])
        check_allowed(server, "UpdateServer")
        updated = _rescheduled(server, replace(server, **changes), self.parts.clock.now())
        self.parts.store.put_server(unit, updated)
        return {"Server": server_shape(updated)}

    @operation("DeleteServer", writes=True)
    def delete_server(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin the removal of a server; backups made by hand stay."""
        server = self.parts.server(unit.connection, call, request["ServerName"])
        check_allowed(server, "DeleteServer")
        self.parts.store.put_server(unit, server.deleting())
        self.parts.store.note(unit, server, "Server deletion started", self.parts.clock.now())
        unit.after_commit(lambda: self.parts.jobs.look_at_server(server.server_id))
        return {}

    @operation("DescribeEvents")
    def describe_events(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A server's events, newest first, in pages that stay the same when newer events come."""
        parts = self.parts
        limit = min(request.get("MaxResults") or EVENTS_PER_PAGE, EVENTS_PER_PAGE)
        with parts.store.database.read() as connection:
            server = parts.server(connection, call, request["ServerName"])
            before = parts.place(call, request, server.server_id)
            found = parts.store.events_of(connection, server.server_id, before=before, limit=limit + 1)
        shown = found[:limit]
        answer: dict[str, Any] = {"ServerEvents": [event_shape(server, event, parts.s3_url) for _, event in shown]}
        if len(found) > len(shown):
            answer["NextToken"] = parts.next_token(call, shown[-1][0], server.server_id)
        return answer

    @operation("DescribeAccountAttributes")
    def describe_account_attributes(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002 - the handler's form
        """The quotas for servers and manual backups, and how much of each is used."""
        store, quotas = self.parts.store, self.parts.quotas
        with store.database.read() as connection:
            used_servers = store.count_servers(connection, call.account_id)
            used_backups = store.count_manual_backups(connection, call.account_id)
        return {
            "Attributes": [
                {"Name": "ServerLimit", "Maximum": quotas.servers, "Used": used_servers},
                {"Name": "ManualBackupLimit", "Maximum": quotas.manual_backups, "Used": used_backups},
            ]
        }

    def _check_room(self, call: Call, server: Server, unit: Unit) -> None:
        store, limit = self.parts.store, self.parts.quotas.servers
        if store.server(unit.connection, call.account_id, call.region, server.name) is not None:
            raise ApiError("ResourceAlreadyExistsException", f"Server with name {server.name} already exists")
        if store.count_servers(unit.connection, call.account_id) >= limit:
            text = f"The maximum number of servers ({limit}) has been reached"
            raise ApiError("LimitExceededException", text)
        if server.custom_domain is not None and has_domain(unit.connection, server.custom_domain):
            raise ApiError("ValidationException", f"CustomDomain {server.custom_domain} is another server's already")

    def _check_source(self, call: Call, identifier: str, unit: Unit) -> None:
        """A server can be made from a good backup only; an InvalidStateException is not in CreateServer's model."""
        backup = self.parts.backup(unit.connection, call, identifier)
        if backup.status is not BackupStatus.OK:
            text = f"Backup {identifier} is in state {backup.status}; CreateServer needs state OK"
            raise ApiError("ValidationException", text)


def _rescheduled(before: Server, after: Server, now: datetime) -> Server:
    """A window that was changed, or is used again, counts from now on: what it would have called for before is past."""
    backup = after.preferred_backup_window != before.preferred_backup_window or (
        before.disable_automated_backup and not after.disable_automated_backup
    )
    maintenance = after.preferred_maintenance_window != before.preferred_maintenance_window
    return after.scheduled(backup_due_after=now if backup else None, maintenance_due_after=now if maintenance else None)


def _credentials(parts: Parts, call: Call, creation: Creation) -> list[dict[str, str]]:
    custom = creation.custom
    certificate = None if custom is None else custom.certificate
    return credentials(
        creation.server.engine,
        private_key=creation.private_key,
        starter_kit=starter_kit(parts, creation.server, call, creation.private_key, certificate),
        admin_password=creation.generated_password,
    )


def _changes(request: Mapping[str, Any]) -> dict[str, Any]:
    maintenance, backup = request.get("PreferredMaintenanceWindow"), request.get("PreferredBackupWindow")
    changes = {
        "disable_automated_backup": request.get("DisableAutomatedBackup"),
        "backup_retention_count": read_retention(request.get("BackupRetentionCount")),
        "preferred_maintenance_window": maintenance and str(parse_window(maintenance, "PreferredMaintenanceWindow")),
        "preferred_backup_window": backup and str(parse_window(backup, "PreferredBackupWindow")),
    }
    return {name: value for name, value in changes.items() if value is not None}
