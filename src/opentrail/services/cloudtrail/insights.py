"""Which Insights a trail asks for (cloudtrail fact sheet 6.6). They are kept and shown; nothing computes any yet."""

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
from opentrail.trails.insights import check_insights, insight_members, read_insights

_STORE_MEMBERS = ("EventDataStore", "InsightsDestination")


class InsightOperations(Surroundings):
    """GetInsightSelectors, PutInsightSelectors."""

    @operation("GetInsightSelectors")
    def get_insight_selectors(self, call: Call, request: Request) -> Response:
        """The insight selectors of a trail, as they were put."""
        trail = known_trail(call, named_trail(request, *_STORE_MEMBERS), self.parts.trails.snapshot)
        if not trail.insight_selectors:
            remedy = "Edit the trail settings to enable Insights, and then try the operation again."
            said = f"Trail {trail.arn} does not have Insights enabled. {remedy}"
            raise ApiError("InsightNotEnabledException", said)
        return {"TrailARN": trail.arn, "InsightSelectors": insight_members(trail.insight_selectors)}

    @operation("PutInsightSelectors", writes=True)
    def put_insight_selectors(self, call: Call, request: Request, unit: Unit) -> Response:
        """Give a trail other insight selectors in place of all it had; an empty list disables Insights.

        Where some are enabled, the trail's bucket and key are tried as UpdateTrail tries them.
        """
        trail = own_trail(self.parts, call, named_trail(request, *_STORE_MEMBERS), unit)
        insights = read_insights(request["InsightSelectors"])
        check_insights(insights, trail.selectors)
        if insights:
            self.parts.preflight.check(trail)
        self.parts.trails.put(unit, trail.watching(insights))
        return {"TrailARN": trail.arn, "InsightSelectors": insight_members(insights)}
