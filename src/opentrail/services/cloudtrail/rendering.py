"""Trails and their status in the form of CloudTrail's answers (cloudtrail fact sheet 6.2, 6.4); wire casing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from opentrail.delivery.keyring import PublicKey
from opentrail.events.selectors import members_of
from opentrail.trails.store import DeliveryStatus, DigestStatus
from opentrail.trails.trail import Trail


def settings_of(trail: Trail) -> dict[str, Any]:
    """What CreateTrail and UpdateTrail answer; members that are not set are left out."""
    settings = {
        "Name": trail.name,
        "S3BucketName": trail.bucket,
        "S3KeyPrefix": trail.prefix or None,
        "SnsTopicName": trail.sns_topic_arn and trail.sns_topic_arn.rpartition(":")[2],
        "SnsTopicARN": trail.sns_topic_arn,
        "IncludeGlobalServiceEvents": trail.include_global_service_events,
        "IsMultiRegionTrail": trail.is_multi_region,
        "TrailARN": trail.arn,
        "LogFileValidationEnabled": trail.validated_since is not None,
        "CloudWatchLogsLogGroupArn": trail.log_group_arn,
        "CloudWatchLogsRoleArn": trail.logs_role_arn,
        "KmsKeyId": trail.kms_key_arn,
        "IsOrganizationTrail": trail.is_organization,
        "RecursiveLogging": False,  # the delivery of log files leaves no data events
    }
    return {name: value for name, value in settings.items() if value is not None}


def description_of(trail: Trail) -> dict[str, Any]:
    """A ``Trail`` structure, as in GetTrail and DescribeTrails."""
    return {
        **settings_of(trail),
        "HomeRegion": trail.home_region,
        "HasCustomEventSelectors": trail.has_custom_selectors,
        "HasInsightSelectors": bool(trail.insight_selectors),
    }


def selectors_of(trail: Trail, *, in_order_of_fields: bool = False) -> dict[str, Any]:
    """What PutEventSelectors and GetEventSelectors answer; ``in_order_of_fields`` as for ``members_of``."""
    return {"TrailARN": trail.arn, **members_of(trail.selectors, in_order_of_fields=in_order_of_fields)}


def status_of(
    trail: Trail, delivery: DeliveryStatus, digests: DigestStatus, notification: DeliveryStatus, logs: DeliveryStatus
) -> dict[str, Any]:
    """What GetTrailStatus answers: timestamps are absent until they happened once, the legacy texts are then empty."""
    status = {
        "IsLogging": trail.is_logging,
        "LatestDeliveryError": delivery.latest_error,
        "LatestNotificationError": notification.latest_error,
        "LatestDeliveryTime": delivery.latest_delivery_at,
        "LatestCloudWatchLogsDeliveryError": logs.latest_error,
        "LatestCloudWatchLogsDeliveryTime": logs.latest_delivery_at,
        "LatestDigestDeliveryError": digests.latest_error,
        "LatestDigestDeliveryTime": digests.latest_delivery_at,
        "LatestNotificationTime": notification.latest_delivery_at,
        "StartLoggingTime": trail.started_at,
        "StopLoggingTime": trail.stopped_at,
        "LatestDeliveryAttemptTime": _iso_text(delivery.latest_attempt_at),
        "LatestDeliveryAttemptSucceeded": _iso_text(delivery.latest_delivery_at),
        "LatestNotificationAttemptTime": _iso_text(notification.latest_attempt_at),
        "LatestNotificationAttemptSucceeded": _iso_text(notification.latest_delivery_at),
        "TimeLoggingStarted": _iso_text(trail.started_at),
        "TimeLoggingStopped": _iso_text(trail.stopped_at),
    }
    return {name: value for name, value in status.items() if value is not None}


def public_key_of(key: PublicKey) -> dict[str, Any]:
    """A ``PublicKey`` structure; the value is the key in PKCS #1 DER (cloudtrail fact sheet 5.5)."""
    return {
        "Value": key.der,
        "ValidityStartTime": key.valid_from,
        "ValidityEndTime": key.valid_until,
        "Fingerprint": key.fingerprint,
    }


def tags_of(tags: Mapping[str, str | None]) -> list[dict[str, str]]:
    """A ``TagsList``; a tag without a value has its key only."""
    return [{"Key": key} if value is None else {"Key": key, "Value": value} for key, value in tags.items()]


def _iso_text(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
