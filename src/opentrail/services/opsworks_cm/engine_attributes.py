"""UpdateServerEngineAttributes and ExportServerEngineAttribute.

Rules: opsworks-cm fact sheet 4, 6.4 and 7.2. A key pair that we make is in the answer and never again.
"""

import base64
from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.opsworks.attributes import credentials
from opentrail.opsworks.front.places import custom_certificate
from opentrail.opsworks.node_attributes import read_pivotal_key
from opentrail.opsworks.server import check_allowed
from opentrail.opsworks.userdata import USERDATA, read_choices, userdata_script
from opentrail.services.operation import operation
from opentrail.services.opsworks_cm.kits import server_facts, starter_kit
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.services.opsworks_cm.shapes import server_shape
from opentrail.state.database import Unit


class EngineAttributeOperations:
    """The operations on engine attributes; a part of ``OpsWorksCmService``."""

    parts: Parts

    @operation("UpdateServerEngineAttributes", writes=True)
    def update_server_engine_attributes(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin to replace pivotal's key by the caller's, or by one that is made now (before the unit: it is slow)."""
        given = read_pivotal_key(request["AttributeName"], request.get("AttributeValue"))
        pair = None if given else self.parts.make_key_pair()
        server = self.parts.server(unit.connection, call, request["ServerName"])
        check_allowed(server, call.event_name)
        changed = server.modifying(given or (pair.public_pem if pair else ""))
        self.parts.store.put_server(unit, changed)
        self.parts.store.note(unit, server, "Pivotal's key is being replaced", self.parts.clock.now())
        unit.after_commit(lambda: self.parts.jobs.look_at_server(server.server_id))
        private_key = pair.private_pem if pair else None
        certificate = custom_certificate(unit.connection, server.server_id)
        kit = starter_kit(self.parts, changed, call, private_key, certificate)
        shown = credentials(server.engine, private_key=private_key, starter_kit=kit, admin_password=None)
        return {"Server": server_shape(changed, shown)}

    @operation("ExportServerEngineAttribute")
    def export_server_engine_attribute(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The userdata script for a server's nodes."""
        if request["ExportAttributeName"] != USERDATA:
            raise ApiError("ValidationException", f"ExportAttributeName must be {USERDATA}")
        choices = read_choices(request.get("InputAttributes") or ())
        with self.parts.store.database.read() as connection:
            server = self.parts.server(connection, call, request["ServerName"])
            certificate = custom_certificate(connection, server.server_id)
        check_allowed(server, call.event_name)
        script = userdata_script(server_facts(self.parts, server, call, certificate), choices)
        value = base64.b64encode(script.encode("utf-8")).decode("ascii")
        return {"EngineAttribute": {"Name": USERDATA, "Value": value}, "ServerName": server.name}
