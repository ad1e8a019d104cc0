"""Making, changing and deleting trails (cloudtrail fact sheet 6.2, 6.3)."""

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations.organization import Organization
from opentrail.services.cloudtrail.parts import Request, Response, Surroundings, own_trail
from opentrail.services.cloudtrail.refusals import refuse_unsupported_settings
from opentrail.services.cloudtrail.rendering import settings_of
from opentrail.services.cloudtrail.tags import check_tag_count, read_tags
from opentrail.services.operation import operation
from opentrail.state.database import Unit
from opentrail.trails.bucket_access import marker_keys
from opentrail.trails.log_groups import stream_of
from opentrail.trails.names import check_trail_name
from opentrail.trails.notification import topic_arn_of, validate_topic
from opentrail.trails.organizations import administered_by
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import MAX_TRAILS_PER_REGION, TrailSet

_DESTINATION = ("S3BucketName", "S3KeyPrefix", "KmsKeyId")  # what is tried before it is taken
_LOGS = ("CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn")  # the same


class TrailOperations(Surroundings):
    """CreateTrail, DeleteTrail, UpdateTrail."""

    @operation("CreateTrail", writes=True)
    def create_trail(self, call: Call, request: Request, unit: Unit) -> Response:
        """Create a trail, which does not log yet."""
        check_trail_name(request["Name"])
        refuse_unsupported_settings(request)
        now = self.parts.clock.now()
        topic = request.get("SnsTopicName") or None
        existing = self.parts.trails.within(unit)
        organization = _organization(call, request, existing)
        trail = Trail(
            trail_id=self.parts.entropy.uuid(),
            account_id=organization.master_account_id if organization else call.account_id,
            organization_id=organization.organization_id if organization else None,
            is_organization=organization is not None,
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
            log_group_arn=request.get("CloudWatchLogsLogGroupArn") or None,
            logs_role_arn=request.get("CloudWatchLogsRoleArn") or None,
        ).validated(now, enabled=request.get("EnableLogFileValidation"))
        _check_combination(trail)
        check_tag_count(trail)
        if existing.has_name_conflict(trail):
            raise _already_exists(trail)
        _check_limit(existing, trail)
        self.parts.trail_logs.check(trail)
        # Before the marker: a message is taken back with the unit, an object is not.
        if trail.sns_topic_arn is not None:
            validate_topic(self.parts.publisher, unit, trail.sns_topic_arn, trail.arn)
        self.parts.preflight.check(trail)
        self.parts.trails.put(unit, trail)
        return settings_of(trail)

    @operation("DeleteTrail", writes=True)
    def delete_trail(self, call: Call, request: Request, unit: Unit) -> Response:
        """Delete a trail; what it recorded so far is still delivered, objects stay."""
        trail = own_trail(self.parts, call, request["Name"], unit)
        self.parts.trails.put(unit, trail.deleted(self.parts.clock.now()))
        return {}

    @operation("UpdateTrail", writes=True)
    def update_trail(self, call: Call, request: Request, unit: Unit) -> Response:
        """Change a trail's settings; absent members keep their value, an empty text clears what can be absent."""
        refuse_unsupported_settings(request)
        existing = self.parts.trails.within(unit)
        before = own_trail(self.parts, call, request["Name"], unit)
        topic = request.get("SnsTopicName")
        trail = before.configured(
            sns_topic_arn=topic and topic_arn_of(topic, call.account_id, call.region),
            bucket=request.get("S3BucketName"),
            prefix=request.get("S3KeyPrefix"),
            is_multi_region=request.get("IsMultiRegionTrail"),
            include_global_service_events=request.get("IncludeGlobalServiceEvents"),
            kms_key_arn=self._key_arn(call, request.get("KmsKeyId"), request.get("S3BucketName") or before.bucket),
            log_group_arn=request.get("CloudWatchLogsLogGroupArn"),
            logs_role_arn=request.get("CloudWatchLogsRoleArn"),
        ).validated(self.parts.clock.now(), enabled=request.get("EnableLogFileValidation"))
        trail = _of_organization(call, request, existing, trail)
        _check_combination(trail)
        if trail.is_multi_region and not before.is_multi_region:
            if existing.has_name_conflict(trail):
                raise ApiError("ConflictException", f"Trail {trail.name} exists in another region of the account.")
            _check_limit(existing, trail, code="InvalidParameterCombinationException")
        if any(request.get(member) is not None for member in _LOGS) or stream_of(trail) != stream_of(before):
            self.parts.trail_logs.check(trail)
        if topic and trail.sns_topic_arn is not None:
            validate_topic(self.parts.publisher, unit, trail.sns_topic_arn, trail.arn)
        is_new_place = not set(marker_keys(trail)) <= set(marker_keys(before))
        if is_new_place or any(request.get(member) is not None for member in _DESTINATION):
            self.parts.preflight.check(trail)
        self.parts.trails.put(unit, trail)
        return settings_of(trail)

    def _key_arn(self, call: Call, named: str | None, bucket: str) -> str | None:
        """The KMS key that a request names; what is empty or absent stays so."""
        if not named:
            return named
        if self.parts.trail_keys is None:
            reason = "log files are encrypted with keys of OpenTrail's own KMS in its own S3 server only"
            raise ApiError("UnsupportedOperationException", f"KmsKeyId: {reason}.")
        return self.parts.trail_keys.resolve(call, named, bucket)


def _organization(call: Call, request: Request, existing: TrailSet) -> Organization | None:
    """The organization that a trail is asked to be of."""
    if not request.get("IsOrganizationTrail"):
        return None
    return administered_by(call.account_id, existing.organizations)


def _of_organization(call: Call, request: Request, existing: TrailSet, trail: Trail) -> Trail:
    """The trail with UpdateTrail's IsOrganizationTrail: only the management account's own can become one."""
    if request.get("IsOrganizationTrail") is None:
        return trail
    organization = _organization(call, request, existing)
    if organization is None:
        return trail.for_organization(None)
    if organization.master_account_id != trail.account_id:
        text = f"Trail {trail.arn} belongs to a member: trails of the management account can be an organization's."
        raise ApiError("NotOrganizationMasterAccountException", text)
    return trail.for_organization(organization.organization_id)


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
