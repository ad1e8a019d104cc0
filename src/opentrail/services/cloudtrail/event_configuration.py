"""The event configuration of trails: summaries of their data events (cloudtrail fact sheet 3.8).

Configurations are kept and shown; nothing is aggregated yet. The size of events and their context can be configured
for event data stores only.
"""

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.cloudtrail.parts import (
    Request,
    Response,
    Surroundings,
    known_trail,
    named_trail,
    own_trail,
)
from opentrail.services.operation import operation
from opentrail.state.database import Unit
from opentrail.trails.aggregation import aggregation_members, check_aggregations, read_aggregations
from opentrail.trails.trail import Trail

_OF_STORES = ("MaxEventSize", "ContextKeySelectors")


class ConfigurationOperations(Surroundings):
    """GetEventConfiguration, PutEventConfiguration."""

    @operation("GetEventConfiguration")
    def get_event_configuration(self, call: Call, request: Request) -> Response:
        """The aggregation configurations of a trail; an empty list where it has none."""
        return _shown(known_trail(call, named_trail(request, "EventDataStore"), self.parts.trails.snapshot))

    @operation("PutEventConfiguration", writes=True)
    def put_event_configuration(self, call: Call, request: Request, unit: Unit) -> Response:
        """Give a trail other aggregation configurations; an empty list ends aggregation."""
        trail = own_trail(self.parts, call, named_trail(request, "EventDataStore"), unit)
        for member in _OF_STORES:
            if request.get(member) is not None:
                said = f"{member} cannot be given with TrailName: it is a setting of event data stores."
                raise ApiError("InvalidParameterCombinationException", said)
        if request.get("AggregationConfigurations") is None:
            raise ApiError("InvalidParameterException", "AggregationConfigurations must be given for a trail.")
        aggregations = read_aggregations(request["AggregationConfigurations"])
        check_aggregations(aggregations, trail.selectors)
        trail = trail.aggregating(aggregations)
        self.parts.trails.put(unit, trail)
        return _shown(trail)


def _shown(trail: Trail) -> Response:
    return {"TrailARN": trail.arn, "AggregationConfigurations": aggregation_members(trail.aggregations)}
