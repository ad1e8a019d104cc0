"""From a published message to its deliveries, in the unit of the call that published it.

Rules. Whoever is subscribed and confirmed when the message is published gets it, unless his filter policy leaves it
out. Where the queue of one of them is full, nothing is published and the caller is told so: dropping silently would
lose messages that were acknowledged.
"""

from collections.abc import Callable

from opentrail.clock import Clock, Entropy
from opentrail.errors import ApiError, OutboundError
from opentrail.identity.policy import AccessRequest, Decision, evaluate
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.state.database import Unit
from opentrail.topics.deliveries import WAITING_MAX, Deliveries
from opentrail.topics.filters import attribute_values, body_values, compile_filter
from opentrail.topics.message import CONFIRMATION, Message, confirmation_text
from opentrail.topics.policies import read_policy
from opentrail.topics.store import TopicStore
from opentrail.topics.topic import Subscription, Topic

PUBLISH = "SNS:Publish"
QUEUE_FULL = "ThrottledException"


class Publishing:
    """Writes messages down for those who get them."""

    def __init__(
        self, store: TopicStore, deliveries: Deliveries, clock: Clock, entropy: Entropy, wake: Callable[[], None]
    ) -> None:
        """``wake`` is called once a message is committed."""
        self._store = store
        self._deliveries = deliveries
        self._clock = clock
        self._entropy = entropy
        self._wake = wake

    def new_message_id(self) -> str:
        """The id of a message to be published."""
        return self._entropy.uuid()

    def publish(self, unit: Unit, message: Message) -> None:
        """Publish a message to its topic. Raises ApiError Throttled where a subscription's queue is full."""
        chosen = [
            subscription
            for subscription in self._store.subscriptions_to(unit.connection, message.topic_arn)
            if subscription.confirmed and takes(subscription, message)
        ]
        waiting = self._deliveries.waiting(unit.connection, message.topic_arn) if chosen else {}
        for subscription in chosen:
            if waiting.get(subscription.arn, 0) >= WAITING_MAX:
                text = f"{WAITING_MAX} messages wait for subscription {subscription.arn}; nothing was published"
                raise ApiError(QUEUE_FULL, text)
        self._deliveries.add(unit, message, [found.arn for found in chosen], self._clock.now().timestamp())
        unit.after_commit(self._wake)

    def ask_for_confirmation(self, unit: Unit, subscription: Subscription) -> None:
        """Send a subscription's endpoint what it confirms the subscription with."""
        now = self._clock.now()
        message = Message(
            message_id=self.new_message_id(),
            topic_arn=subscription.topic_arn,
            published_at=now,
            bodies={"default": confirmation_text(subscription.topic_arn)},
            type=CONFIRMATION,
        )
        self._deliveries.add(unit, message, [subscription.arn], now.timestamp())
        unit.after_commit(self._wake)

    def publish_as_service(self, unit: Unit, topic_arn: str, text: str, *, service: str, source_arn: str) -> str:
        """Publish for a service of ours that acts for the sake of a resource; answers the message's id.

        Raises OutboundError with SNS's code: NotFound, AuthorizationError, Throttled.
        """
        topic = self._store.topic(unit.connection, topic_arn)
        if topic is None:
            raise OutboundError("NotFound", f"the topic {topic_arn} does not exist")
        if not service_may_publish(topic, service, source_arn):
            text = f"the policy of {topic_arn} does not allow {service} to publish for {source_arn}"
            raise OutboundError("AuthorizationError", text)
        now, message_id = self._clock.now(), self.new_message_id()
        message = Message(message_id=message_id, topic_arn=topic_arn, published_at=now, bodies={"default": text})
        try:
            self.publish(unit, message)
        except ApiError as full:
            raise OutboundError("Throttled", full.message) from full
        return message_id


def takes(subscription: Subscription, message: Message) -> bool:
    """Whether a subscription's filter policy, if it has one, lets a message through."""
    text = subscription.attributes.get("FilterPolicy")
    if not text:
        return True
    in_body = subscription.attributes.get("FilterPolicyScope") == "MessageBody"
    match = compile_filter(text, nested=in_body)
    if not in_body:
        return match(attribute_values(message.attributes))
    values = body_values(message.body_for(subscription.protocol))
    return values is not None and match(values)


def service_may_publish(topic: Topic, service: str, source_arn: str) -> bool:
    """Whether a topic's policy lets a service publish for the sake of a resource (cloudtrail fact sheet 4)."""
    account_id = source_arn.split(":")[4]
    context = {
        "aws:sourcearn": (source_arn,),
        "aws:sourceaccount": (account_id,),
        "aws:securetransport": ("true",),
        "aws:principalisawsservice": ("true",),
        "aws:principalservicename": (service,),
    }
    principal = Principal(PrincipalType.AWS_SERVICE, service=service)
    request = AccessRequest(principal, PUBLISH, topic.arn, context)
    return evaluate(read_policy(topic.policy), request) is Decision.ALLOW
