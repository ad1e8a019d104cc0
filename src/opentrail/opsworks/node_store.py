"""Requests to associate and disassociate nodes, in the control state.

Rules. A server's requests are carried out in the order in which they were asked for. Finished ones are forgotten a day
after that, or when more than ``ENDED_KEPT`` newer ones of the server ended.
"""

from typing import Any

import sqlalchemy as sa

from opentrail.opsworks.nodes import KEPT, NodeRequest, NodeRequestStatus
from opentrail.opsworks.tables import node_requests
from opentrail.state.database import Unit
from opentrail.state.instants import from_ms, to_ms

ENDED_KEPT = 10_000
_IN_PROGRESS = node_requests.c.status == NodeRequestStatus.IN_PROGRESS.value


def node_request(connection: sa.Connection, server_id: str, token: str) -> NodeRequest | None:
    """The request of a server that a token stands for."""
    query = sa.select(node_requests).where(node_requests.c.server_id == server_id, node_requests.c.token == token)
    row = connection.execute(query).first()
    return None if row is None else _request_of(row)


def waiting_requests(connection: sa.Connection, server_id: str, limit: int) -> list[NodeRequest]:
    """A server's requests that are not carried out yet, oldest first."""
    query = sa.select(node_requests).where(node_requests.c.server_id == server_id, _IN_PROGRESS)
    rows = connection.execute(query.order_by(node_requests.c.number).limit(limit))
    return [_request_of(row) for row in rows]


def count_waiting(connection: sa.Connection, server_id: str) -> int:
    """How many of a server's requests are not carried out yet."""
    query = sa.select(sa.func.count()).select_from(node_requests)
    return int(connection.execute(query.where(node_requests.c.server_id == server_id, _IN_PROGRESS)).scalar_one())


def add_request(unit: Unit, request: NodeRequest) -> None:
    """A new row; finished requests of the server that nobody may ask about any more go."""
    ended = sa.and_(node_requests.c.server_id == request.server_id, ~_IN_PROGRESS)
    expired = node_requests.c.created_at_ms < to_ms(request.created_at - KEPT)
    unit.execute(sa.delete(node_requests).where(ended, expired))
    newest = sa.select(node_requests.c.number).where(ended).order_by(node_requests.c.number.desc())
    beyond = unit.execute(newest.offset(ENDED_KEPT).limit(1)).scalar()
    if beyond is not None:
        unit.execute(sa.delete(node_requests).where(ended, node_requests.c.number <= beyond))
    unit.execute(sa.insert(node_requests).values(_row(request)))


def end_request(unit: Unit, request: NodeRequest, status: NodeRequestStatus) -> None:
    """Write down how a request ended."""
    unit.execute(sa.update(node_requests).where(node_requests.c.token == request.token).values(status=status.value))


def _row(request: NodeRequest) -> dict[str, Any]:
    return {
        "token": request.token,
        "server_id": request.server_id,
        "node_name": request.node_name,
        "public_key": request.public_key,
        "organization": request.organization,
        "status": request.status.value,
        "created_at_ms": to_ms(request.created_at),
    }


def _request_of(row: sa.Row[Any]) -> NodeRequest:
    return NodeRequest(
        token=row.token,
        server_id=row.server_id,
        node_name=row.node_name,
        public_key=row.public_key,
        organization=row.organization,
        status=NodeRequestStatus(row.status),
        created_at=from_ms(row.created_at_ms),
    )
