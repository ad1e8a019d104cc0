"""Which trails there are and how they are set (cloudtrail fact sheet 6.2, 6.3)."""

from opentrail.events.call import Call
from opentrail.services.cloudtrail.parts import (
    Request,
    Response,
    Surroundings,
    known_trail,
    reference_of,
    refuse_token,
)
from opentrail.services.cloudtrail.rendering import description_of
from opentrail.services.operation import operation


class DescriptionOperations(Surroundings):
    """DescribeTrails, GetTrail, ListTrails."""

    @operation("DescribeTrails")
    def describe_trails(self, call: Call, request: Request) -> Response:
        """The trails of the region, with shadow trails and an organization's unless not wanted; or those named, unknown
        ones left out.
        """
        shadows = request.get("includeShadowTrails", True)
        names = request.get("trailNameList") or ()
        if names:
            references = [reference_of(call, name) for name in names]
            found = [self.parts.trails.snapshot.find(reference, call.account_id) for reference in references]
            chosen = {trail.trail_id: trail for trail in found if trail is not None}.values()
        else:
            chosen = {
                t.trail_id: t for t in self.parts.trails.visible_to(call.account_id) if t.is_visible_in(call.region)
            }.values()
        home = (call.account_id, call.region)
        listed = (trail for trail in chosen if shadows or (trail.account_id, trail.home_region) == home)
        return {"trailList": [description_of(trail) for trail in listed]}

    @operation("GetTrail")
    def get_trail(self, call: Call, request: Request) -> Response:
        """One trail's settings."""
        return {"Trail": description_of(known_trail(call, request["Name"], self.parts.trails.snapshot))}

    @operation("ListTrails")
    def list_trails(self, call: Call, request: Request) -> Response:
        """All trails of the account and its organization over all regions, in one page."""
        refuse_token(request, "InvalidNextTokenException")
        trails = self.parts.trails.visible_to(call.account_id)
        return {"Trails": [{"TrailARN": t.arn, "Name": t.name, "HomeRegion": t.home_region} for t in trails]}
