"""What a trail's topic is told, and the port through which it is told (cloudtrail fact sheet 4). Pure.

Rules. One message for each log file, after the object is in the bucket; digest files are not announced. When a topic is
set, it gets a text that is no JSON, which readers drop.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opentrail.errors import ApiError, OutboundError
from opentrail.state.database import Unit
from opentrail.topics.names import FIFO_SUFFIX, TopicName, is_topic_name, parse_topic_arn

VALIDATION_MESSAGE = "CloudTrail validation message."
_NAME_CHARS_MAX = 256
_DENIED = frozenset({"AuthorizationError", "NotFound", "AccessDenied", "KMSAccessDenied"})


@dataclass(frozen=True, slots=True)
class Notification:
    """One message that CloudTrail publishes for the sake of a trail."""

    topic_arn: str
    text: str
    trail_arn: str


class Publisher(Protocol):
    """The way to topics, ours or those of an upstream."""

    def publish(self, unit: Unit, notification: Notification) -> None:
        """Publish as CloudTrail; where the topic is ours, in this unit. Raises OutboundError with SNS's code."""


class NoTopics:
    """A publisher where there are no topics at all."""

    def publish(self, unit: Unit, notification: Notification) -> None:  # noqa: ARG002 - the port's form
        """Raises OutboundError NotFound."""
        raise OutboundError("NotFound", f"there is no topic {notification.topic_arn}")


def topic_arn_of(name_or_arn: str, account_id: str, region: str) -> str:
    """The topic that a trail's SnsTopicName means, in the trail's account and region where it is a name.

    Raises ApiError InvalidSnsTopicNameException, for FIFO topics too.
    """
    if len(name_or_arn) > _NAME_CHARS_MAX or name_or_arn.endswith(FIFO_SUFFIX):
        raise _invalid(name_or_arn)
    if not name_or_arn.startswith("arn:"):
        if not is_topic_name(name_or_arn):
            raise _invalid(name_or_arn)
        return TopicName(account_id, region, name_or_arn).arn
    try:
        return parse_topic_arn(name_or_arn).arn
    except ValueError:
        raise _invalid(name_or_arn) from None


def log_file_text(bucket: str, keys: Sequence[str]) -> str:
    """The message about log files that were delivered."""
    return json.dumps({"s3Bucket": bucket, "s3ObjectKey": list(keys)}, separators=(",", ":"), ensure_ascii=False)


def validate_topic(publisher: Publisher, unit: Unit, topic_arn: str, trail_arn: str) -> None:
    """Publish the validation message.

    Raises ApiError InsufficientSnsTopicPolicyException where the topic does not exist or does not let CloudTrail
    publish, ServiceUnavailable (503) where it cannot be asked.
    """
    try:
        publisher.publish(unit, Notification(topic_arn, VALIDATION_MESSAGE, trail_arn))
    except OutboundError as problem:
        if problem.code in _DENIED:
            text = f"SNS Topic does not exist or the topic policy is incorrect! {problem.message}"
            raise ApiError("InsufficientSnsTopicPolicyException", text) from problem
        text = f"SNS topic {topic_arn} cannot be reached now ({problem.code})."
        raise ApiError("ServiceUnavailable", text, status=503) from problem


def _invalid(name: str) -> ApiError:
    return ApiError("InvalidSnsTopicNameException", f"SNS topic name {name[:80]} is invalid.")
