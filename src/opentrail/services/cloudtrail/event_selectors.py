"""Which events a trail keeps (cloudtrail fact sheet 6.5)."""

from opentrail.events.call import Call
from opentrail.events.selectors_request import parse_selectors
from opentrail.services.cloudtrail.parts import Request, Response, Surroundings, known_trail, own_trail
from opentrail.services.cloudtrail.rendering import selectors_of
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class SelectorOperations(Surroundings):
    """GetEventSelectors, PutEventSelectors."""

    @operation("GetEventSelectors")
    def get_event_selectors(self, call: Call, request: Request) -> Response:
        """The event selectors of a trail, in any region where it is visible."""
        trail = known_trail(call, request["TrailName"], self.parts.trails.snapshot)
        return selectors_of(trail, in_order_of_fields=True)

    @operation("PutEventSelectors", writes=True)
    def put_event_selectors(self, call: Call, request: Request, unit: Unit) -> Response:
        """Give a trail other event selectors, basic or advanced, in place of all it had."""
        trail = own_trail(self.parts, call, request["TrailName"], unit).selecting(parse_selectors(request))
        self.parts.trails.put(unit, trail)
        return selectors_of(trail)
