"""The trail operations of AWS CloudTrail's API (cloudtrail fact sheet 6), in the order of its reference.

Handlers get validated requests in wire casing. Those that write decide on what their own transaction sees. A trail of
another account does not exist for the caller, and is changed in its home region only.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from opentrail.clock import Clock, Entropy
from opentrail.delivery.keyring import PublicKey
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.events.selectors_request import parse_selectors
from opentrail.services.cloudtrail.preflight import Preflight
from opentrail.services.cloudtrail.refusals import refuse_unsupported_settings
from opentrail.services.cloudtrail.rendering import (
    description_of,
    public_key_of,
    selectors_of,
    settings_of,
    status_of,
    tags_of,
)
from opentrail.services.cloudtrail.tags import check_tag_count, read_tags
from opentrail.services.cloudtrail.trail_keys import TrailKeys
from opentrail.services.operation import operation
from opentrail.state.database import Unit
from opentrail.storage.bucket import ObjectStore
from opentrail.trails.bucket_access import BucketDirectory, BucketPolicyMode
from opentrail.trails.names import TrailReference, check_trail_name, parse_reference
from opentrail.trails.notification import NoTopics, Publisher, topic_arn_of, validate_topic
from opentrail.trails.store import Trails
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import MAX_TRAILS_PER_REGION, TrailSet

_DESTINATION = ("S3BucketName", "S3KeyPrefix", "KmsKeyId")  # what is tried before it is taken

Request = Mapping[str, Any]
Response = Mapping[str, Any]


class PublicKeys(Protocol):
    """Whose keys ListPublicKeys lists: ``delivery.keyring.Keyring``."""

    def public_keys(self, region: str, start: datetime, end: datetime) -> Sequence[PublicKey]:
        """The keys of a region that are valid at some time of a range, oldest first."""


class CloudTrailService:
    """CloudTrail as callers see it."""

    def __init__(
        self,
        *,
        trails: Trails,
        buckets: BucketDirectory,
        store: ObjectStore,
        keys: PublicKeys,
        clock: Clock,
        entropy: Entropy,
        mode: BucketPolicyMode = BucketPolicyMode.CHECK,
        quiet_store: ObjectStore | None = None,
        publisher: Publisher | None = None,
        trail_keys: TrailKeys | None = None,
    ) -> None:
        """Serve these trails; ``mode`` says how bucket policies are checked, ``publisher`` is the way to topics.

        Without ``trail_keys`` no trail has a KMS key.
        """
        self._trails = trails
        self._keys = keys
        self._publisher = publisher or NoTopics()
        self._preflight = Preflight(buckets, store, mode, quiet_store, trail_keys)
        self._trail_keys = trail_keys
        self._clock = clock
        self._entropy = entropy

    @operation("AddTags", writes=True)
    def add_tags(self, call: Call, request: Request, unit: Unit) -> Response:
        """Add tags to a trail; a key that exists gets the new value."""
        tags = read_tags(request["TagsList"])
        trail = self._tagged_trail(call, request["ResourceId"], self._trails.within(unit)).tagged(tags)
        check_tag_count(trail)
        self._trails.put(unit, trail)
        return {}

    @operation("CreateTrail", writes=True)
    def create_trail(self, call: Call, request: Request, unit: Unit) -> Response:
        """Create a trail, which does not log yet."""
        check_trail_name(request["Name"])
        refuse_unsupported_settings(request)
        now = self._clock.now()
        topic = request.get("SnsTopicName") or None
        trail = Trail(
            trail_id=self._entropy.uuid(),
            account_id=call.account_id,
            home_region=call.region,
            name=request["Name"],
            bucket=request["S3BucketName"],
            prefix=request.get("S3KeyPrefix") or "",
            sns_topic_arn=topic and topic_arn_of(topic, call.account_id, call.region),
            include_global_service_events=request.get("IncludeGlobalServiceEvents", True),
            is_multi_region=request.get("IsMultiRegionTrail", False),
            created_at=now,
            tags=read_tags(request.get("TagsList") or ()),
            kms_key_arn=self._key_arn(call, request.get("KmsKeyId"), request["S3BucketName"]) or None,
        ).validated(now, enabled=request.get("EnableLogFileValidation"))
        _check_combination(trail)
        check_tag_count(trail)
        existing = self._trails.within(unit)
        if existing.has_name_conflict(trail):
            raise _already_exists(trail)
        _check_limit(existing, trail)
        # Before the marker: a message is taken back with the unit, an object is not.
        if trail.sns_topic_arn is not None:
            validate_topic(self._publisher, unit, trail.sns_topic_arn, trail.arn)
        self._preflight.check(trail)
        self._trails.put(unit, trail)
        return settings_of(trail)

    @operation("DeleteTrail", writes=True)
    def delete_trail(self, call: Call, request: Request, unit: Unit) -> Response:
        """Delete a trail; what it recorded so far is still delivered, objects stay."""
        trail = self._own_trail(call, request["Name"], unit)
        self._trails.put(unit, trail.deleted(self._clock.now()))
        return {}

    @operation("DescribeTrails")
    def describe_trails(self, call: Call, request: Request) -> Response:
        """The trails of the region, with shadow trails unless not wanted; or those named, unknown ones left out."""
        shadows = request.get("includeShadowTrails", True)
        names = request.get("trailNameList") or ()
        if names:
            references = [_reference(call, name) for name in names]
            found = [self._trails.snapshot.find(reference, call.account_id) for reference in references]
            chosen = {trail.trail_id: trail for trail in found if trail is not None}.values()
        else:
            chosen = {t.trail_id: t for t in self._trails.of(call.account_id) if t.is_visible_in(call.region)}.values()
        listed = (trail for trail in chosen if shadows or trail.home_region == call.region)
        return {"trailList": [description_of(trail) for trail in listed]}

    @operation("GetEventSelectors")
    def get_event_selectors(self, call: Call, request: Request) -> Response:
        """The event selectors of a trail, in any region where it is visible."""
        trail = self._known_trail(call, request["TrailName"], self._trails.snapshot)
        return selectors_of(trail, in_order_of_fields=True)

    @operation("GetTrail")
    def get_trail(self, call: Call, request: Request) -> Response:
        """One trail's settings."""
        return {"Trail": description_of(self._known_trail(call, request["Name"], self._trails.snapshot))}

    @operation("GetTrailStatus")
    def get_trail_status(self, call: Call, request: Request) -> Response:
        """Whether a trail logs, and how its delivery goes."""
        trail = self._known_trail(call, request["Name"], self._trails.snapshot, say_arn=True)
        trails, trail_id = self._trails, trail.trail_id
        return status_of(
            trail,
            trails.delivery_status(trail_id),
            trails.digest_status(trail_id),
            trails.notification_status(trail_id),
        )

    @operation("ListPublicKeys")
    def list_public_keys(self, call: Call, request: Request) -> Response:
        """The public keys that may have signed the region's digest files in a range of time, by default now."""
        _refuse_token(request, "InvalidTokenException")
        now = self._clock.now()
        start, end = request.get("StartTime", now), request.get("EndTime", now)
        if start > end:
            raise ApiError("InvalidTimeRangeException", "The start time must not be after the end time.")
        return {"PublicKeyList": [public_key_of(key) for key in self._keys.public_keys(call.region, start, end)]}

    @operation("ListTags")
    def list_tags(self, call: Call, request: Request) -> Response:
        """The tags of up to twenty trails, by ARN."""
        _refuse_token(request, "InvalidTokenException")
        snapshot = self._trails.snapshot
        found = [(arn, self._resource(call, arn, snapshot)) for arn in request["ResourceIdList"]]
        return {"ResourceTagList": [{"ResourceId": arn, "TagsList": tags_of(trail.tags)} for arn, trail in found]}

    @operation("ListTrails")
    def list_trails(self, call: Call, request: Request) -> Response:
        """All trails of the account over all regions, in one page."""
        _refuse_token(request, "InvalidNextTokenException")
        trails = self._trails.of(call.account_id)
        return {"Trails": [{"TrailARN": t.arn, "Name": t.name, "HomeRegion": t.home_region} for t in trails]}

    @operation("PutEventSelectors", writes=True)
    def put_event_selectors(self, call: Call, request: Request, unit: Unit) -> Response:
        """Give a trail other event selectors, basic or advanced, in place of all it had."""
        trail = self._own_trail(call, request["TrailName"], unit).selecting(parse_selectors(request))
        self._trails.put(unit, trail)
        return selectors_of(trail)

    @operation("RemoveTags", writes=True)
    def remove_tags(self, call: Call, request: Request, unit: Unit) -> Response:
        """Remove tags from a trail by key; values do not matter."""
        keys = [tag["Key"] for tag in request["TagsList"]]
        trail = self._tagged_trail(call, request["ResourceId"], self._trails.within(unit))
        self._trails.put(unit, trail.untagged(keys))
        return {}

    @operation("StartLogging", writes=True)
    def start_logging(self, call: Call, request: Request, unit: Unit) -> Response:
        """Let a trail record calls from now on; nothing changes if it does already."""
        trail = self._own_trail(call, request["Name"], unit, say_arn=True)
        self._trails.put(unit, trail.started(self._clock.now()))
        return {}

    @operation("StopLogging", writes=True)
    def stop_logging(self, call: Call, request: Request, unit: Unit) -> Response:
        """End a trail's recording; what was recorded so far is still delivered."""
        trail = self._own_trail(call, request["Name"], unit, say_arn=True)
        self._trails.put(unit, trail.stopped(self._clock.now()))
        return {}

    @operation("UpdateTrail", writes=True)
    def update_trail(self, call: Call, request: Request, unit: Unit) -> Response:
        """Change a trail's settings; absent members keep their value, an empty prefix, topic name or key clears it."""
        refuse_unsupported_settings(request)
        existing = self._trails.within(unit)
        before = self._own_trail(call, request["Name"], unit)
        topic = request.get("SnsTopicName")
        trail = before.configured(
            sns_topic_arn=topic and topic_arn_of(topic, call.account_id, call.region),
            bucket=request.get("S3BucketName"),
            prefix=request.get("S3KeyPrefix"),
            is_multi_region=request.get("IsMultiRegionTrail"),
            include_global_service_events=request.get("IncludeGlobalServiceEvents"),
            kms_key_arn=self._key_arn(call, request.get("KmsKeyId"), request.get("S3BucketName") or before.bucket),
        ).validated(self._clock.now(), enabled=request.get("EnableLogFileValidation"))
        _check_combination(trail)
        if trail.is_multi_region and not before.is_multi_region:
            if existing.has_name_conflict(trail):
                raise ApiError("ConflictException", f"Trail {trail.name} exists in another region of the account.")
            _check_limit(existing, trail, code="InvalidParameterCombinationException")
        if topic and trail.sns_topic_arn is not None:
            validate_topic(self._publisher, unit, trail.sns_topic_arn, trail.arn)
        begins_validation = trail.validated_since is not None and before.validated_since is None
        if begins_validation or any(request.get(member) is not None for member in _DESTINATION):
            self._preflight.check(trail)
        self._trails.put(unit, trail)
        return settings_of(trail)

    def _key_arn(self, call: Call, named: str | None, bucket: str) -> str | None:
        """The KMS key that a request names; what is empty or absent stays so."""
        if not named:
            return named
        if self._trail_keys is None:
            reason = "log files are encrypted with keys of OpenTrail's own KMS in its own S3 server only"
            raise ApiError("UnsupportedOperationException", f"KmsKeyId: {reason}.")
        return self._trail_keys.resolve(call, named, bucket)

    def _known_trail(self, call: Call, name_or_arn: str, trails: TrailSet, *, say_arn: bool = False) -> Trail:
        """The caller's trail of this name or ARN, or TrailNotFoundException.

        ``say_arn``: the operations whose message shows the ARN although a name was given (cloudtrail fact sheet 6.2).
        """
        reference = _reference(call, name_or_arn)
        trail = trails.find(reference, call.account_id)
        if trail is None:
            shown = reference.arn if say_arn else name_or_arn
            raise ApiError("TrailNotFoundException", f"Unknown trail: {shown} for the user: {call.account_id}")
        return trail

    def _own_trail(self, call: Call, name_or_arn: str, unit: Unit, *, say_arn: bool = False) -> Trail:
        """The same, to be changed: InvalidHomeRegionException anywhere but in its home region."""
        trail = self._known_trail(call, name_or_arn, self._trails.within(unit), say_arn=say_arn)
        if trail.home_region != call.region:
            message = f"Trail {trail.arn} can only be changed in its home region, {trail.home_region}."
            raise ApiError("InvalidHomeRegionException", message)
        return trail

    def _resource(self, call: Call, arn: str, trails: TrailSet) -> Trail:
        if not arn.startswith("arn:"):
            raise ApiError("CloudTrailARNInvalidException", f"{arn} is not an ARN; tags are asked for by ARN.")
        if any(f":{kind}/" in arn for kind in ("eventdatastore", "channel", "dashboard")):
            raise ApiError("ResourceTypeNotSupportedException", f"Only trails can be tagged in this version: {arn}")
        trail = trails.find(_reference(call, arn), call.account_id)
        if trail is None:
            raise ApiError("ResourceNotFoundException", f"Resource {arn} does not exist.")
        return trail

    def _tagged_trail(self, call: Call, arn: str, trails: TrailSet) -> Trail:
        trail = self._resource(call, arn, trails)
        if trail.home_region != call.region:
            message = f"Trail {trail.arn} can only be tagged in its home region, {trail.home_region}."
            raise ApiError("OperationNotPermittedException", message)
        return trail


def _reference(call: Call, name_or_arn: str) -> TrailReference:
    return parse_reference(name_or_arn, account_id=call.account_id, region=call.region)


def _check_combination(trail: Trail) -> None:
    if trail.is_multi_region and not trail.include_global_service_events:
        raise ApiError("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")


def _check_limit(existing: TrailSet, trail: Trail, *, code: str = "MaximumNumberOfTrailsExceededException") -> None:
    if existing.exceeds_limit(trail):
        message = f"User: {trail.account_id} already has {MAX_TRAILS_PER_REGION} trails in a region of this trail."
        raise ApiError(code, message)


def _already_exists(trail: Trail) -> ApiError:
    message = f"Trail {trail.name} already exists for customer: {trail.account_id}"
    return ApiError("TrailAlreadyExistsException", message)


def _refuse_token(request: Request, code: str) -> None:
    if request.get("NextToken"):
        raise ApiError(code, "The token is not valid: everything was answered in one page.")
