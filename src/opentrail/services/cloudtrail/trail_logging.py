"""Whether a trail logs, and how its delivery goes (cloudtrail fact sheet 6.2, 6.4)."""

from opentrail.events.call import Call
from opentrail.services.cloudtrail.parts import Request, Response, Surroundings, known_trail, own_trail
from opentrail.services.cloudtrail.rendering import status_of
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class LoggingOperations(Surroundings):
    """GetTrailStatus, StartLogging, StopLogging."""

    @operation("GetTrailStatus")
    def get_trail_status(self, call: Call, request: Request) -> Response:
        """Whether a trail logs, and how its delivery goes."""
        trail = known_trail(call, request["Name"], self.parts.trails.snapshot)
        trails, trail_id = self.parts.trails, trail.trail_id
        return status_of(
            trail,
            trails.delivery_status(trail_id),
            trails.digest_status(trail_id),
            trails.notification_status(trail_id),
            trails.logs_status(trail_id),
        )

    @operation("StartLogging", writes=True)
    def start_logging(self, call: Call, request: Request, unit: Unit) -> Response:
        """Let a trail record calls from now on; nothing changes if it does already."""
        trail = own_trail(self.parts, call, request["Name"], unit)
        self.parts.trails.put(unit, trail.started(self.parts.clock.now()))
        return {}

    @operation("StopLogging", writes=True)
    def stop_logging(self, call: Call, request: Request, unit: Unit) -> Response:
        """End a trail's recording; what was recorded so far is still delivered."""
        trail = own_trail(self.parts, call, request["Name"], unit)
        self.parts.trails.put(unit, trail.stopped(self.parts.clock.now()))
        return {}
