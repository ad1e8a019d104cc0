"""The attributes of subscriptions that can be set, and what they may be (SNS API Reference, Subscribe)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from opentrail.services.sns import refusals
from opentrail.topics import retries
from opentrail.topics.filters import compile_filter
from opentrail.topics.names import parse_queue_arn
from opentrail.topics.topic import Subscription

_SCOPES = ("MessageAttributes", "MessageBody")


def with_attribute(subscription: Subscription, name: str, value: str) -> Subscription:
    """A subscription with one attribute set, or cleared by an empty text. Raises ApiError InvalidParameter."""
    check = _SETTABLE.get(name)
    if check is None:
        raise refusals.invalid("AttributeName", f"{name[:60]} cannot be set here")
    others = {key: text for key, text in subscription.attributes.items() if key != name}
    changed = replace(subscription, attributes=others | ({name: value} if value else {}))
    check(changed, value)
    return changed


def _check_filter(subscription: Subscription, _value: str) -> None:
    """The policy must fit its scope, whichever of the two was set."""
    text = subscription.attributes.get("FilterPolicy", "{}")
    scope = subscription.attributes.get("FilterPolicyScope", _SCOPES[0])
    if scope not in _SCOPES:
        raise refusals.invalid("FilterPolicyScope", f"it must be one of {', '.join(_SCOPES)}")
    try:
        compile_filter(text, nested=scope == "MessageBody")
    except ValueError as problem:
        raise refusals.invalid(f"FilterPolicy: {problem}") from None


def _check_raw(subscription: Subscription, value: str) -> None:
    if value not in ("", "true", "false"):
        raise refusals.invalid("RawMessageDelivery", f"{value[:60]} is not true or false")
    if value == "true" and subscription.protocol not in ("sqs", "http", "https"):
        raise refusals.invalid("RawMessageDelivery", f"it cannot be used with protocol {subscription.protocol}")


def _check_delivery_policy(subscription: Subscription, value: str) -> None:
    if subscription.protocol not in ("http", "https"):
        raise refusals.invalid("DeliveryPolicy", "only HTTP and HTTPS subscriptions have one")
    try:
        if value:
            retries.of_subscription(value)
    except ValueError as problem:
        raise refusals.invalid("DeliveryPolicy", str(problem)) from None


def _check_redrive(subscription: Subscription, value: str) -> None:
    if not value:
        return
    try:
        document = json.loads(value)
        queue = parse_queue_arn(document["deadLetterTargetArn"])
        known = isinstance(document, dict) and document.keys() == {"deadLetterTargetArn"}
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        known = False
    if not known:
        raise refusals.invalid("RedrivePolicy", "it must be a JSON object with the deadLetterTargetArn of a queue")
    if (queue.account_id, queue.region) != (subscription.owner, subscription.topic_arn.split(":")[3]):
        raise refusals.invalid("RedrivePolicy", "the queue must be of the subscription's account and region")


_SETTABLE: Mapping[str, Callable[[Subscription, str], None]] = {
    "FilterPolicy": _check_filter,
    "FilterPolicyScope": _check_filter,
    "RawMessageDelivery": _check_raw,
    "DeliveryPolicy": _check_delivery_policy,
    "RedrivePolicy": _check_redrive,
}
