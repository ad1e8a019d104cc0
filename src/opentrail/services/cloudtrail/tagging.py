"""Tags of trails, which are asked for by ARN and in the trail's home region (cloudtrail fact sheet 6.1)."""

from collections.abc import Sequence

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.cloudtrail.lake_arns import LAKE_KINDS, check_lake_arn, resource_arn
from opentrail.services.cloudtrail.parts import Parts, Request, Response, Surroundings, reference_of, refuse_token
from opentrail.services.cloudtrail.rendering import tags_of
from opentrail.services.cloudtrail.tags import check_tag_count, read_tags
from opentrail.services.operation import operation
from opentrail.state.database import Unit
from opentrail.trails.organizations import require_administrator
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import TrailSet

_RESOURCES_MAX = 20  # of one ListTags (CloudTrail API Reference: ResourceIdList); the model does not say it
_NO_SUCH = {"eventdatastore": "EventDataStoreNotFoundException", "channel": "ChannelNotFoundException"}


class TagOperations(Surroundings):
    """AddTags, ListTags, RemoveTags."""

    @operation("AddTags", writes=True)
    def add_tags(self, call: Call, request: Request, unit: Unit) -> Response:
        """Add tags to a trail; a key that exists gets the new value."""
        tags = read_tags(request["TagsList"])
        trail = _changed(self.parts, call, request["ResourceId"], unit).tagged(tags)
        check_tag_count(trail)
        self.parts.trails.put(unit, trail)
        return {}

    @operation("ListTags")
    def list_tags(self, call: Call, request: Request) -> Response:
        """The tags of up to twenty trails, by ARN."""
        refuse_token(request, "InvalidTokenException")
        arns = request["ResourceIdList"]
        _check_count(arns)
        snapshot = self.parts.trails.snapshot
        found = [(arn, _tagged(call, arn, snapshot, no_such_channel="ResourceNotFoundException")) for arn in arns]
        return {"ResourceTagList": [{"ResourceId": arn, "TagsList": tags_of(trail.tags)} for arn, trail in found]}

    @operation("RemoveTags", writes=True)
    def remove_tags(self, call: Call, request: Request, unit: Unit) -> Response:
        """Remove tags from a trail by key; values do not matter, and keys that it does not have are no error."""
        keys = read_tags(request["TagsList"])
        trail = _changed(self.parts, call, request["ResourceId"], unit)
        self.parts.trails.put(unit, trail.untagged(keys))
        return {}


def _check_count(arns: Sequence[str]) -> None:
    if not 1 <= len(arns) <= _RESOURCES_MAX:
        bound = "greater than or equal to 1" if not arns else f"less than or equal to {_RESOURCES_MAX}"
        message = f"Value at 'resourceIdList' failed to satisfy constraint: Member must have length {bound}"
        raise ApiError("ValidationException", f"1 validation error detected: {message}")


def _tagged(call: Call, text: str, trails: TrailSet, *, no_such_channel: str = _NO_SUCH["channel"]) -> Trail:
    """The trail with an ARN, in its home region: one of the account or of its organization.

    Raises ApiError CloudTrailARNInvalidException, also for the wrong Region and for another account, with the sentences
    of public reports of ListTags; ResourceTypeNotSupportedException for what has no tags; and for what can have them,
    EventDataStoreARNInvalid-, ChannelARNInvalid-, EventDataStoreNotFound-, ChannelNotFound- or
    ResourceNotFoundException.
    """
    try:
        arn = resource_arn(text)
    except ValueError as problem:
        raise ApiError("CloudTrailARNInvalidException", f"{text[:256]} is not valid: {problem}.") from None
    if arn.region != call.region:
        said = f"Region in ARN is wrong, you can only access resources in region {call.region}."
        raise ApiError("CloudTrailARNInvalidException", said)
    if arn.resource_type in LAKE_KINDS:
        check_lake_arn(arn)
        code = no_such_channel if arn.resource_type == "channel" else _NO_SUCH.get(arn.resource_type)
        raise ApiError(code or "ResourceNotFoundException", f"Resource {text} does not exist.")
    if arn.resource_type != "trail":
        raise ApiError("ResourceTypeNotSupportedException", f"{text} is no resource that can have tags.")
    trail = trails.find(reference_of(call, text), call.account_id)
    if trail is None:
        if arn.account_id == call.account_id:
            raise ApiError("ResourceNotFoundException", f"Resource {text} does not exist.")
        raise ApiError("CloudTrailARNInvalidException", "You must specify an ARN that the caller account can access.")
    return trail


def _changed(parts: Parts, call: Call, text: str, unit: Unit) -> Trail:
    """The same, to be changed: NotOrganizationMasterAccountException for those who may see it only."""
    trails = parts.trails.within(unit)
    trail = _tagged(call, text, trails)
    require_administrator(call.account_id, trail.account_id, trails.organizations)
    return trail
