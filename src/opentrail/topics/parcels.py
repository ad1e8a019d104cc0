"""What is handed to a sender: one message in the form in which one endpoint gets it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from opentrail.topics.message import CONFIRMATION, Message
from opentrail.topics.topic import Subscription


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message for an endpoint. ``text`` is the envelope, or the message alone where ``raw``; ``unsubscribe_url`` and
    ``subscribe_url`` are for people, who get no envelope.
    """

    endpoint: str
    subscription_arn: str
    message: Message
    text: str = field(repr=False)
    raw: bool = False
    subscribe_url: str = field(default="", repr=False)
    unsubscribe_url: str = field(default="", repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of an HTTP(S) delivery (SNS Developer Guide, "HTTP/HTTPS headers")."""
        message = self.message
        found = {
            "x-amz-sns-message-type": message.type,
            "x-amz-sns-message-id": message.message_id,
            "x-amz-sns-topic-arn": message.topic_arn,
        }
        if message.type != CONFIRMATION:
            found["x-amz-sns-subscription-arn"] = self.subscription_arn
        if self.raw:
            found["x-amz-sns-rawdelivery"] = "true"
        return found


class Sender(Protocol):
    """Takes parcels to endpoints of one kind."""

    def send(self, parcel: Parcel) -> None:
        """Deliver one parcel.

        Raises OutboundError; where it is not ``retryable``, trying again would not help.
        """


def is_sent_raw(subscription: Subscription, message: Message) -> bool:
    """Whether a subscriber gets a message alone. What asks for confirmation has its envelope always."""
    return subscription.is_raw and message.type != CONFIRMATION
