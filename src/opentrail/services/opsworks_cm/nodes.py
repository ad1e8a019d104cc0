"""AssociateNode, DisassociateNode, DescribeNodeAssociationStatus.

Rules: opsworks-cm fact sheet 4, 6.3 and 12.4. A request is answered with a token at once and carried out in the
background.
"""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.opsworks.node_attributes import read_association, read_disassociation
from opentrail.opsworks.node_store import add_request, count_waiting, node_request
from opentrail.opsworks.nodes import NodeRequest, NodeRequestStatus, check_node_name, new_token
from opentrail.opsworks.server import check_allowed
from opentrail.services.operation import operation
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.state.database import Unit

WAITING_LIMIT = 1000
"""How many requests of one server may wait to be carried out."""


class NodeOperations:
    """The operations on nodes; a part of ``OpsWorksCmService``."""

    parts: Parts

    @operation("AssociateNode", writes=True)
    def associate_node(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin to make a Chef client of a node's name with its public key."""
        name = check_node_name(request["NodeName"])
        given = read_association(request["EngineAttributes"])
        return self._begin(call, request, unit, (name, given.organization, given.public_key))

    @operation("DisassociateNode", writes=True)
    def disassociate_node(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Begin to remove a node and its Chef client; one that is not there is no error."""
        name = check_node_name(request["NodeName"])
        organization = read_disassociation(request.get("EngineAttributes") or ())
        return self._begin(call, request, unit, (name, organization, None))

    @operation("DescribeNodeAssociationStatus")
    def describe_node_association_status(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """How far a recent request of this server is."""
        parts = self.parts
        with parts.store.database.read() as connection:
            server = parts.server(connection, call, request["ServerName"])
            found = node_request(connection, server.server_id, request["NodeAssociationStatusToken"])
        if found is None or not found.is_recent(parts.clock.now()):
            text = "No node association request found for the given token"
            raise ApiError("ResourceNotFoundException", text)
        return {"NodeAssociationStatus": found.status.value, "EngineAttributes": []}

    def _begin(
        self, call: Call, request: Mapping[str, Any], unit: Unit, wanted: tuple[str, str, str | None]
    ) -> Mapping[str, Any]:
        parts = self.parts
        server = parts.server(unit.connection, call, request["ServerName"])
        check_allowed(server, call.event_name)
        if count_waiting(unit.connection, server.server_id) >= WAITING_LIMIT:
            raise ApiError("ThrottlingException", f"{WAITING_LIMIT} nodes of server {server.name} wait already")
        node_name, organization, public_key = wanted
        node = NodeRequest(
            token=new_token(parts.entropy),
            server_id=server.server_id,
            node_name=node_name,
            public_key=public_key,
            organization=organization,
            status=NodeRequestStatus.IN_PROGRESS,
            created_at=parts.clock.now(),
        )
        add_request(unit, node)
        unit.after_commit(lambda: parts.jobs.look_at_server(server.server_id))
        return {"NodeAssociationStatusToken": node.token}
