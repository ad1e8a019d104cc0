"""Confirming subscriptions and ending them: the operations that also come without a signature, from links in messages.

A call that is not signed is recorded in the account that owns the topic.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentrail.events.call import Call
from opentrail.services.answer import Answer
from opentrail.services.operation import operation
from opentrail.services.sns import refusals
from opentrail.services.sns.parts import Surroundings, known_subscription, known_topic
from opentrail.state.database import Unit
from opentrail.topics.names import parse_topic_arn

Request = Mapping[str, Any]


class ConfirmationOperations(Surroundings):
    """ConfirmSubscription and Unsubscribe; a part of ``SnsService``."""

    @operation("ConfirmSubscription", writes=True)
    def confirm_subscription(self, call: Call, request: Request, unit: Unit) -> Request:
        """Confirm the subscription that a token is of. Once is enough: doing it again changes nothing."""
        parts, signed = self.parts, not call.principal.is_anonymous
        if signed:
            parts.authorise(call)
        topic = known_topic(parts, unit.connection, call, request["TopicArn"])
        subscription_id = parts.tokens.subscription_id(request["Token"])
        arn = f"{topic.arn}:{subscription_id}"
        found = parts.store.subscription(unit.connection, arn) if subscription_id else None
        if found is None or not parts.tokens.is_of(request["Token"], arn, found.created_s):
            raise refusals.invalid("Token")
        if not found.confirmed:
            to_sign = signed and (request.get("AuthenticateOnUnsubscribe") or "").lower() == "true"
            confirmed = replace(found, confirmed=True, authenticated=signed, signed_unsubscribe=to_sign)
            parts.store.put_subscription(unit, confirmed, topic.name.region)
        return _answer(call, {"SubscriptionArn": arn}, topic.arn)

    @operation("Unsubscribe", writes=True)
    def unsubscribe(self, call: Call, request: Request, unit: Unit) -> Request:
        """End a subscription: its owner, its topic's owner, or who has its ARN unless it takes a signature."""
        parts = self.parts
        if not call.principal.is_anonymous:
            parts.authorise(call)
        found = known_subscription(parts, unit.connection, call, request["SubscriptionArn"])
        owners = (found.owner, parse_topic_arn(found.topic_arn).account_id)
        if call.principal.is_anonymous and found.signed_unsubscribe:
            raise refusals.denied("The subscription takes a signed call to end")
        if not call.principal.is_anonymous and call.account_id not in owners:
            raise refusals.denied("Not subscription owner")
        parts.store.remove_subscription(unit, found.arn)
        return _answer(call, {}, found.topic_arn)


def _answer(call: Call, response: Request, topic_arn: str) -> Request:
    if not call.principal.is_anonymous:
        return response
    name = parse_topic_arn(topic_arn)
    return Answer(response, also_for=(name.account_id,), region=name.region)
