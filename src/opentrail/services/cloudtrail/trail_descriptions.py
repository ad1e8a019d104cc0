"""Which trails there are and how they are set (cloudtrail fact sheet 6.2, 6.3)."""

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.cloudtrail.parts import Request, Response, Surroundings, known_trail, reference_of
from opentrail.services.cloudtrail.rendering import description_of
from opentrail.services.operation import operation
from opentrail.services.page_tokens import place_in, token_of
from opentrail.trails.trail import Trail

PAGE = 100
"""Trails on a page of ListTrails."""


class DescriptionOperations(Surroundings):
    """DescribeTrails, GetTrail, ListTrails."""

    @operation("DescribeTrails")
    def describe_trails(self, call: Call, request: Request) -> Response:
        """The trails of the region, with shadow trails and an organization's unless not wanted; or those named, unknown
        ones left out.

        Names stand for the account's trails of the region only; any other trail that it sees can be named by its ARN.
        """
        snapshot, names = self.parts.trails.snapshot, request.get("trailNameList")
        if names:
            references = [reference_of(call, name) for name in names]
            found = (snapshot.find(reference, call.account_id, shadows=False) for reference in references)
            chosen = list({trail.trail_id: trail for trail in found if trail is not None}.values())
        else:
            chosen = [trail for trail in snapshot.visible_to(call.account_id) if trail.is_visible_in(call.region)]
        shadows, home = request.get("includeShadowTrails", True), (call.account_id, call.region)
        listed = (trail for trail in chosen if shadows or (trail.account_id, trail.home_region) == home)
        return {"trailList": [description_of(trail) for trail in listed]}

    @operation("GetTrail")
    def get_trail(self, call: Call, request: Request) -> Response:
        """One trail's settings."""
        return {"Trail": description_of(known_trail(call, request["Name"], self.parts.trails.snapshot, say_arn=False))}

    @operation("ListTrails")
    def list_trails(self, call: Call, request: Request) -> Response:
        """The trails of the account and its organization over all regions, by name, in pages."""
        trails = sorted(self.parts.trails.visible_to(call.account_id), key=_place_of)
        if token := request.get("NextToken"):
            place = _place(token)
            trails = [trail for trail in trails if _place_of(trail) > place]
        shown = trails[:PAGE]
        listed = [{"TrailARN": t.arn, "Name": t.name, "HomeRegion": t.home_region} for t in shown]
        return {"Trails": listed} | ({"NextToken": _token_after(shown[-1])} if len(trails) > PAGE else {})


def _place_of(trail: Trail) -> tuple[str, ...]:
    return trail.name, trail.home_region, trail.account_id


def _token_after(trail: Trail) -> str:
    return token_of("/".join(_place_of(trail)))


def _place(token: str) -> tuple[str, ...]:
    """The place after which a page begins. Raises ApiError InvalidNextTokenException."""
    try:
        place = tuple(place_in(token).split("/"))
    except ValueError:
        place = ()
    if len(place) != 3:
        raise ApiError("InvalidNextTokenException", "The token is not valid: it is none that ListTrails gave.")
    return place
