"""Tags of trails, which are asked for by ARN (cloudtrail fact sheet 6.1)."""

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.cloudtrail.parts import Parts, Request, Response, Surroundings, reference_of, refuse_token
from opentrail.services.cloudtrail.rendering import tags_of
from opentrail.services.cloudtrail.tags import check_tag_count, read_tags
from opentrail.services.operation import operation
from opentrail.state.database import Unit
from opentrail.trails.organizations import require_administrator
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import TrailSet


class TagOperations(Surroundings):
    """AddTags, ListTags, RemoveTags."""

    @operation("AddTags", writes=True)
    def add_tags(self, call: Call, request: Request, unit: Unit) -> Response:
        """Add tags to a trail; a key that exists gets the new value."""
        tags = read_tags(request["TagsList"])
        trail = _tagged_trail(self.parts, call, request["ResourceId"], unit).tagged(tags)
        check_tag_count(trail)
        self.parts.trails.put(unit, trail)
        return {}

    @operation("ListTags")
    def list_tags(self, call: Call, request: Request) -> Response:
        """The tags of up to twenty trails, by ARN."""
        refuse_token(request, "InvalidTokenException")
        snapshot = self.parts.trails.snapshot
        found = [(arn, _resource(call, arn, snapshot)) for arn in request["ResourceIdList"]]
        return {"ResourceTagList": [{"ResourceId": arn, "TagsList": tags_of(trail.tags)} for arn, trail in found]}

    @operation("RemoveTags", writes=True)
    def remove_tags(self, call: Call, request: Request, unit: Unit) -> Response:
        """Remove tags from a trail by key; values do not matter."""
        keys = [tag["Key"] for tag in request["TagsList"]]
        trail = _tagged_trail(self.parts, call, request["ResourceId"], unit)
        self.parts.trails.put(unit, trail.untagged(keys))
        return {}


def _resource(call: Call, arn: str, trails: TrailSet) -> Trail:
    if not arn.startswith("arn:"):
        raise ApiError("CloudTrailARNInvalidException", f"{arn} is not an ARN; tags are asked for by ARN.")
    if any(f":{kind}/" in arn for kind in ("eventdatastore", "channel", "dashboard")):
        raise ApiError("ResourceTypeNotSupportedException", f"Only trails can be tagged in this version: {arn}")
    trail = trails.find(reference_of(call, arn), call.account_id)
    if trail is None:
        raise ApiError("ResourceNotFoundException", f"Resource {arn} does not exist.")
    return trail


def _tagged_trail(parts: Parts, call: Call, arn: str, unit: Unit) -> Trail:
    trail = _resource(call, arn, parts.trails.within(unit))
    require_administrator(call.account_id, trail.account_id, parts.organizations.within(unit))
    if trail.home_region != call.region:
        message = f"Trail {trail.arn} can only be tagged in its home region, {trail.home_region}."
        raise ApiError("OperationNotPermittedException", message)
    return trail
