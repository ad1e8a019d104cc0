"""Subscriptions: making and listing them, and their attributes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.operation import operation
from opentrail.services.sns import refusals
from opentrail.services.sns.parts import (
    Parts,
    Surroundings,
    known_topic,
    own_subscription,
    page,
    place,
)
from opentrail.services.sns.subscription_attributes import with_attribute
from opentrail.state.database import Unit
from opentrail.topics import retries
from opentrail.topics.names import check_endpoint, parse_queue_arn
from opentrail.topics.topic import (
    FILTERED_SUBSCRIPTIONS_MAX,
    SUBSCRIPTIONS_MAX,
    Subscription,
    Topic,
)

Request = Mapping[str, Any]

PENDING = "pending confirmation"
_SHOWN_PENDING = "PendingConfirmation"
_PROTOCOLS = frozenset({"http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose"})


class SubscriptionOperations(Surroundings):
    """The operations on subscriptions but for confirming and ending them; a part of ``SnsService``."""

    @operation("Subscribe", writes=True)
    def subscribe(self, call: Call, request: Request, unit: Unit) -> Request:
        """Subscribe an endpoint. It must confirm, but for a queue of the caller's own account."""
        parts = self.parts
        topic = known_topic(parts, unit.connection, call, request["TopicArn"])
        protocol, endpoint = _checked_endpoint(parts, request)
        new = Subscription(
            arn=f"{topic.arn}:{parts.entropy.uuid()}",
            topic_arn=topic.arn,
            owner=call.account_id,
            protocol=protocol,
            endpoint=endpoint,
            created_s=call.received_at.timestamp(),
        )
        for name, value in (request.get("Attributes") or {}).items():
            new = with_attribute(new, name, value)
        existing = parts.store.same_subscription(unit.connection, topic.arn, protocol, endpoint)
        if existing is not None:
            return self._again(request, existing, new, unit)
        _check_room(parts, unit.connection, topic, new)
        if protocol == "sqs" and parse_queue_arn(endpoint).account_id == call.account_id:
            new = replace(new, confirmed=True, authenticated=True)
        parts.store.put_subscription(unit, new, call.region)
        if not new.confirmed:
            parts.publishing.ask_for_confirmation(unit, new)
        return {"SubscriptionArn": _answered(request, new)}

    def _again(self, request: Request, existing: Subscription, new: Subscription, unit: Unit) -> Request:
        """The answer for an endpoint that is subscribed already; one that has not confirmed is asked once more."""
        if request.get("Attributes") and dict(existing.attributes) != dict(new.attributes):
            raise refusals.invalid("Attributes", "Subscription already exists with different attributes")
        if not existing.confirmed:
            self.parts.publishing.ask_for_confirmation(unit, existing)
        return {"SubscriptionArn": _answered(request, existing)}

    @operation("ListSubscriptions")
    def list_subscriptions(self, call: Call, request: Request) -> Request:
        """The account's subscriptions in the region, whosever the topics are."""
        store = self.parts.store
        with store.database.read() as connection:
            found = store.page_of(connection, call.account_id, call.region, place(request))
        return page(found, "Subscriptions", lambda item: item.number, _shape)

    @operation("ListSubscriptionsByTopic")
    def list_subscriptions_by_topic(self, call: Call, request: Request) -> Request:
        """A topic's subscriptions, whosever they are."""
        store = self.parts.store
        with store.database.read() as connection:
            topic = known_topic(self.parts, connection, call, request["TopicArn"])
            found = store.page_to(connection, topic.arn, place(request))
        return page(found, "Subscriptions", lambda item: item.number, _shape)

    @operation("GetSubscriptionAttributes")
    def get_subscription_attributes(self, call: Call, request: Request) -> Request:
        """All attributes of a subscription."""
        store = self.parts.store
        with store.database.read() as connection:
            found = own_subscription(self.parts, connection, call, request["SubscriptionArn"])
            topic = store.topic(connection, found.topic_arn)
        attributes = {
            "SubscriptionArn": found.arn,
            "TopicArn": found.topic_arn,
            "Owner": found.owner,
            "Protocol": found.protocol,
            "Endpoint": found.endpoint,
            "PendingConfirmation": _text(not found.confirmed),
            "ConfirmationWasAuthenticated": _text(found.authenticated),
            "RawMessageDelivery": "false",
            "SubscriptionPrincipal": f"arn:aws:iam::{found.owner}:root",
        }
        if found.protocol in ("http", "https"):
            policies = topic.attributes.get("DeliveryPolicy") if topic else None, found.attributes.get("DeliveryPolicy")
            attributes["EffectiveDeliveryPolicy"] = retries.shown(retries.effective(found.protocol, *policies))
        if "FilterPolicy" in found.attributes:
            attributes["FilterPolicyScope"] = "MessageAttributes"
        return {"Attributes": attributes | dict(found.attributes)}

    @operation("SetSubscriptionAttributes", writes=True)
    def set_subscription_attributes(self, call: Call, request: Request, unit: Unit) -> Request:
        """Change one attribute of a subscription; it holds for what is published from now on."""
        connection = unit.connection
        found = own_subscription(self.parts, connection, call, request["SubscriptionArn"])
        changed = with_attribute(found, request["AttributeName"], request.get("AttributeValue") or "")
        _check_filters(self.parts, connection, changed)
        self.parts.store.put_subscription(unit, changed, call.region)
        return {}


def _checked_endpoint(parts: Parts, request: Request) -> tuple[str, str]:
    """Protocol and endpoint. Raises ApiError InvalidParameter."""
    protocol, endpoint = request["Protocol"], request.get("Endpoint") or ""
    if protocol not in _PROTOCOLS:
        raise refusals.invalid(f"Does not support this protocol string: {protocol[:60]}")
    if protocol not in parts.protocols:
        configured = " until [sns] smtp names a server" if protocol.startswith("email") else ""
        raise refusals.invalid("Protocol", f"nothing here delivers by {protocol}{configured}")
    try:
        check_endpoint(protocol, endpoint)
    except ValueError as problem:
        what = "SQS endpoint ARN" if protocol == "sqs" else "Endpoint must match the specified protocol"
        raise refusals.invalid(what, str(problem)) from None
    return protocol, endpoint


def _check_room(parts: Parts, connection: sa.Connection, topic: Topic, new: Subscription) -> None:
    if len(parts.store.subscriptions_to(connection, topic.arn)) >= SUBSCRIPTIONS_MAX:
        raise ApiError("SubscriptionLimitExceededException", f"A topic has at most {SUBSCRIPTIONS_MAX} subscriptions")
    _check_filters(parts, connection, new)


def _check_filters(parts: Parts, connection: sa.Connection, changed: Subscription) -> None:
    if "FilterPolicy" not in changed.attributes:
        return
    others = parts.store.subscriptions_to(connection, changed.topic_arn)
    filtered = sum("FilterPolicy" in other.attributes for other in others if other.arn != changed.arn)
    if filtered >= FILTERED_SUBSCRIPTIONS_MAX:
        text = f"A topic has at most {FILTERED_SUBSCRIPTIONS_MAX} subscriptions with a filter policy"
        raise ApiError("FilterPolicyLimitExceededException", text)


def _answered(request: Request, subscription: Subscription) -> str:
    return subscription.arn if subscription.confirmed or request.get("ReturnSubscriptionArn") else PENDING


def _shape(subscription: Subscription) -> dict[str, str]:
    return {
        "SubscriptionArn": subscription.arn if subscription.confirmed else _SHOWN_PENDING,
        "Owner": subscription.owner,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "TopicArn": subscription.topic_arn,
    }


def _text(value: object) -> str:
    return json.dumps(bool(value))
