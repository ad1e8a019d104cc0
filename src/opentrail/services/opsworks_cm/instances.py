"""RestoreServer and StartMaintenance: what gives an existing server a new instance.

Rules: opsworks-cm fact sheet 4, 5, 8.2 and 8.4, and trap 11.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.opsworks.attributes import MAJOR_UPGRADE, read_maintenance_attributes
from opentrail.opsworks.backups import BackupStatus
from opentrail.opsworks.beginnings import begin_maintenance
from opentrail.opsworks.server import NewInstance, ServerStatus, check_allowed
from opentrail.services.operation import operation
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.services.opsworks_cm.shapes import server_shape
from opentrail.state.database import Unit


class InstanceOperations:
    """The operations on a server's instance; a part of ``OpsWorksCmService``."""

    parts: Parts

    @operation("RestoreServer", writes=True)
    def restore_server(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin to restore a server in place: RESTORING until the instance from the backup has taken over."""
        parts, store = self.parts, self.parts.store
        server = parts.server(unit.connection, call, request["ServerName"])
        backup = parts.backup(unit.connection, call, request["BackupId"])
        check_allowed(server, "RestoreServer")
        if backup.status is not BackupStatus.OK:
            text = f"Backup {backup.backup_id} is in state {backup.status}; RestoreServer needs state OK"
            raise ApiError("InvalidStateException", text)
        instance = NewInstance(
            backup.backup_id, request.get("InstanceType") or backup.server.instance_type, request.get("KeyPair")
        )
        begun = replace(server.moved(ServerStatus.RESTORING), new_instance=instance)
        store.put_server(unit, begun)
        store.note(unit, begun, f"Restore of backup {backup.backup_id} started", parts.clock.now())
        unit.after_commit(lambda: parts.jobs.look_at_server(server.server_id))
        return {"Server": server_shape(begun)}

    @operation("StartMaintenance", writes=True)
    def start_maintenance(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin maintenance on demand: UNDER_MAINTENANCE until a new instance from a fresh backup has taken over."""
        parts = self.parts
        is_upgrade = read_maintenance_attributes(request.get("EngineAttributes") or ())
        server = parts.server(unit.connection, call, request["ServerName"])
        check_allowed(server, "StartMaintenance")
        if is_upgrade:
            text = f"{MAJOR_UPGRADE}: there is no major upgrade of Chef for server {server.name}"
            raise ApiError("ValidationException", text)
        begun, _ = begin_maintenance(parts.store, unit, server, parts.clock.now())
        unit.after_commit(lambda: parts.jobs.look_at_server(server.server_id))
        return {"Server": server_shape(begun)}
