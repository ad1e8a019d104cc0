"""Topics and subscriptions as values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentrail.topics.names import TopicName

PENDING_DAYS = 2
"""A subscription that nobody confirms is forgotten after two days, as its token is (SNS Developer Guide)."""

SUBSCRIPTIONS_MAX = 10_000
"""Subscriptions of one topic. AWS allows 12,500,000; here each message is written down once for each of them."""

TOPICS_MAX = 100_000
FILTERED_SUBSCRIPTIONS_MAX = 200
TAGS_MAX = 50
# "Amazon SNS endpoints and quotas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic. ``policy`` is JSON text; ``attributes`` are those that were set, by AWS's names."""

    name: TopicName
    created_s: float
    policy: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """The topic's ARN."""
        return self.name.arn

    @property
    def signature_version(self) -> str:
        """How its messages are signed: ``1`` (SHA-1) unless it asks for ``2`` (SHA-256)."""
        return self.attributes.get("SignatureVersion", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription.

    ``authenticated``: a signed call confirmed it; ``signed_unsubscribe``: only a signed call may end it (SNS's
    AuthenticateOnUnsubscribe). ``number`` orders lists and is 0 until it is stored.
    """

    arn: str
    topic_arn: str
    owner: str
    protocol: str
    endpoint: str
    created_s: float
    confirmed: bool = False
    authenticated: bool = False
    signed_unsubscribe: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    number: int = 0

    @property
    def is_raw(self) -> bool:
        """Whether it gets the message alone, without SNS's envelope."""
        return self.attributes.get("RawMessageDelivery") == "true"

    @property
    def dead_letter_arn(self) -> str | None:
        """The queue that gets what cannot be delivered."""
        text = self.attributes.get("RedrivePolicy")
        return json.loads(text)["deadLetterTargetArn"] if text else None


def default_policy(name: TopicName) -> str:
    """The policy of a new topic, as AWS makes it: the owner's account, by the services that act for it.

    ``aws:SourceOwner`` is set for no call here, so that it takes identity policies in the owner's account, and a
    statement of its own for everybody else, CloudTrail included (cloudtrail fact sheet 4).
    """
    actions = (
        *("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe"),
        *("ListSubscriptionsByTopic", "Publish"),
    )
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in actions],
        "Resource": name.arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": name.account_id}},
    }
    document = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return json.dumps(document, separators=(",", ":"))
