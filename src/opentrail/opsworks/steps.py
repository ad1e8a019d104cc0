"""What a server needs next, and what a health check makes of its state. Pure.

Everything is decided from the stored state, so that a restart at any point goes on where the last process ended.
"""

import json
from collections.abc import Mapping
from enum import StrEnum

from opentrail.opsworks.engine import Health, HealthState
from opentrail.opsworks.server import WATCHED, Server, ServerStatus


class Step(StrEnum):
    """The next thing to do for a server."""

    PROVISION = "PROVISION"
    DELETE = "DELETE"
    BACK_UP = "BACK_UP"
    MODIFY = "MODIFY"
    RESTORE = "RESTORE"
    MAINTAIN = "MAINTAIN"
    CHECK = "CHECK"
    NOTHING = "NOTHING"


_STEPS: Mapping[ServerStatus, Step] = {
    ServerStatus.CREATING: Step.PROVISION,
    ServerStatus.DELETING: Step.DELETE,
    ServerStatus.BACKING_UP: Step.BACK_UP,
    ServerStatus.MODIFYING: Step.MODIFY,
    ServerStatus.RESTORING: Step.RESTORE,
    ServerStatus.UNDER_MAINTENANCE: Step.MAINTAIN,
} | dict.fromkeys(WATCHED, Step.CHECK)


def next_step(server: Server) -> Step:
    """The step that a server's state calls for."""
    return _STEPS.get(server.status, Step.NOTHING)


def observed(server: Server, health: Health) -> Server:
    """The server after a health check (opsworks-cm fact sheet 12.9): a dead process is CONNECTION_LOST, one
    without files TERMINATED, a failing check UNHEALTHY with a JSON reason, a good one HEALTHY.

    Only watched states move.
    """
    if server.status not in WATCHED:
        return server
    if health.state is HealthState.OK:
        return server.moved(ServerStatus.HEALTHY)
    if health.state is HealthState.DEAD:
        return server.moved(ServerStatus.CONNECTION_LOST, health.problem)
    if health.state is HealthState.GONE:
        return server.moved(ServerStatus.TERMINATED, health.problem)
    reason = json.dumps({"check": "ChefServer", "status": "FAILED", "message": health.problem[:1000]})
    return server.moved(ServerStatus.UNHEALTHY, reason)
