"""A message, and the forms in which subscribers get it. Pure but for the signer that is handed in.

Rules (SNS Developer Guide, "HTTP/HTTPS notification JSON format", "Parsing message formats", "Verifying the signatures
of Amazon SNS messages"). The signature is over the envelope's members in the order of their names, each name and value
on a line of its own, those that are absent left out. Raw delivery sends the message alone.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
API_VERSION = "2010-03-31"
PAGES = "/_opentrail/sns/"
"""Where our endpoint has the signing certificate, and what links in messages lead to."""

_SIGNED: Mapping[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}

Sign = Callable[[bytes, str], bytes]
"""A signature over bytes, by SNS's signature version (``1`` or ``2``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. ``bodies``: its text by protocol, ``default`` for all others; ``attributes``: type and text by name
    (binary ones in base64); ``token`` is set for the confirmation of a subscription.
    """

    message_id: str
    topic_arn: str
    published_at: datetime
    bodies: Mapping[str, str] = field(repr=False)
    subject: str | None = field(default=None, repr=False)
    attributes: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    type: str = NOTIFICATION
    token: str = field(default="", repr=False)

    def body_for(self, protocol: str) -> str:
        """The text that subscribers of a protocol get."""
        return self.bodies.get(protocol, self.bodies["default"])

    @property
    def timestamp(self) -> str:
        """When it was published, as envelopes have it."""
        return f"{self.published_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{self.published_at.microsecond // 1000:03}Z"


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses in messages, all below our endpoint's."""

    endpoint: str
    certificate_name: str

    @property
    def certificate(self) -> str:
        """Where the certificate is that signatures are verified with."""
        return f"{self.endpoint}{PAGES}{self.certificate_name}"

    def subscribe(self, topic_arn: str, token: str) -> str:
        """What confirms a subscription when it is visited."""
        return self._call("ConfirmSubscription", TopicArn=topic_arn, Token=token)

    def unsubscribe(self, subscription_arn: str) -> str:
        """What ends a subscription when it is visited."""
        return self._call("Unsubscribe", SubscriptionArn=subscription_arn)

    def _call(self, action: str, **parameters: str) -> str:
        query = urlencode({"Action": action, "Version": API_VERSION, **parameters})
        return f"{self.endpoint}{PAGES}?{query}"


def envelope(message: Message, protocol: str, subscription_arn: str, links: Links, sign: Sign, version: str) -> str:
    """The signed JSON text that a subscriber gets; ``version`` is the topic's signature version."""
    members: dict[str, object] = {"Type": message.type, "MessageId": message.message_id}
    if message.type == CONFIRMATION:
        members["Token"] = message.token
    members["TopicArn"] = message.topic_arn
    if message.subject is not None:
        members["Subject"] = message.subject
    members["Message"] = message.body_for(protocol)
    if message.type == CONFIRMATION:
        members["SubscribeURL"] = links.subscribe(message.topic_arn, message.token)
    members["Timestamp"] = message.timestamp
    members["SignatureVersion"] = version
    signature = sign(string_to_sign(members), version)
    members["Signature"] = base64.b64encode(signature).decode()
    members["SigningCertURL"] = links.certificate
    if message.type == NOTIFICATION:
        members["UnsubscribeURL"] = links.unsubscribe(subscription_arn)
    if message.attributes:
        members["MessageAttributes"] = {
            name: {"Type": kind, "Value": text} for name, (kind, text) in message.attributes.items()
        }
    return json.dumps(members, indent=2, ensure_ascii=False)


def string_to_sign(members: Mapping[str, object]) -> bytes:
    """What an envelope's signature is computed over."""
    lines = [f"{name}\n{members[name]}\n" for name in _SIGNED[str(members["Type"])] if members.get(name) is not None]
    return "".join(lines).encode("utf-8", "surrogatepass")


def confirmation_text(topic_arn: str) -> str:
    """The text of a message that asks for confirmation."""
    return (
        f"You have chosen to subscribe to the topic {topic_arn}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message."
    )


def to_json(message: Message) -> bytes:
    """A message as it is kept until it is delivered; the token is not in it."""
    return json.dumps(
        {
            "bodies": dict(message.bodies),
            "subject": message.subject,
            "attributes": {name: list(value) for name, value in message.attributes.items()},
            "type": message.type,
        }
    ).encode()


def from_json(raw: bytes, message_id: str, topic_arn: str, published_s: float) -> Message:
    """The reverse of ``to_json``."""
    found = json.loads(raw)
    return Message(
        message_id=message_id,
        topic_arn=topic_arn,
        published_at=datetime.fromtimestamp(published_s, UTC),
        bodies=found["bodies"],
        subject=found["subject"],
        attributes={name: (kind, text) for name, (kind, text) in found["attributes"].items()},
        type=found["type"],
    )
