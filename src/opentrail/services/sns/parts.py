"""What the handlers of SNS work with, and the look-ups that they share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from opentrail.clock import Clock, Entropy
from opentrail.events.call import Call
from opentrail.services.page_tokens import place_in, token_of
from opentrail.services.sns import refusals
from opentrail.topics.names import FIFO_SUFFIX, TopicName, parse_subscription_arn, parse_topic_arn
from opentrail.topics.publishing import Publishing
from opentrail.topics.signing import Tokens
from opentrail.topics.store import PAGE, TopicStore
from opentrail.topics.topic import Subscription, Topic

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The service's surroundings.

    ``protocols`` are those that subscriptions can have here; ``authorise`` raises ApiError where a signed call is not
    allowed (for operations that may also come unsigned).
    """

    store: TopicStore
    publishing: Publishing
    tokens: Tokens
    clock: Clock
    entropy: Entropy
    protocols: frozenset[str]
    authorise: Callable[[Call], None]


class Surroundings:
    """What every group of operations finds in ``self``."""

    parts: Parts


def topic_name(call: Call, arn: str, what: str = "TopicArn") -> TopicName:
    """The topic that an ARN means. Raises ApiError InvalidParameter, also for one of another region."""
    if arn.endswith(FIFO_SUFFIX):
        raise refusals.invalid(what, "OpenTrail has no FIFO topics")
    try:
        name = parse_topic_arn(arn)
    except ValueError as problem:
        raise refusals.invalid(what, str(problem)) from None
    if name.region != call.region and not call.principal.is_anonymous:
        raise refusals.invalid(what)
    return name


def known_topic(parts: Parts, connection: sa.Connection, call: Call, arn: str) -> Topic:
    """The topic with that ARN, whose policy has been asked. Raises ApiError InvalidParameter, NotFound."""
    found = parts.store.topic(connection, topic_name(call, arn).arn)
    if found is None:
        raise refusals.no_topic()
    return found


def known_subscription(parts: Parts, connection: sa.Connection, call: Call, arn: str) -> Subscription:
    """The subscription with that ARN. Raises ApiError InvalidParameter, NotFound."""
    try:
        topic, _ = parse_subscription_arn(arn)
    except ValueError as problem:
        raise refusals.invalid("SubscriptionArn", str(problem)) from None
    topic_name(call, topic.arn, "SubscriptionArn")
    found = parts.store.subscription(connection, arn)
    if found is None:
        raise refusals.no_subscription()
    return found


def own_subscription(parts: Parts, connection: sa.Connection, call: Call, arn: str) -> Subscription:
    """A subscription that the caller's account, or its topic's account, has. Raises ApiError AuthorizationError too."""
    found = known_subscription(parts, connection, call, arn)
    if call.account_id not in (found.owner, parse_topic_arn(found.topic_arn).account_id):
        raise refusals.denied("Not subscription owner")
    return found


def page(items: Sequence[T], member: str, number: Callable[[T], int], show: Callable[[T], Any]) -> dict[str, Any]:
    """A page of a list that was read with one item more than fits."""
    shown = items[:PAGE]
    answer: dict[str, Any] = {member: [show(item) for item in shown]}
    if len(items) > PAGE:
        answer["NextToken"] = token_of(str(number(shown[-1])))
    return answer


def place(request: Mapping[str, Any]) -> int:
    """The number after which a page begins. Raises ApiError InvalidParameter for a token that is none."""
    token = request.get("NextToken")
    if not token:
        return 0
    try:
        text = place_in(token)
    except ValueError:
        raise refusals.invalid("NextToken") from None
    if not (text.isascii() and text.isdecimal()) or len(text) > 15:
        raise refusals.invalid("NextToken")
    return int(text)


def new_tags(request: Mapping[str, Any]) -> dict[str, str]:
    """The tags that a request gives. Raises ApiError InvalidParameter for keys given twice, reserved or too long."""
    given = request.get("Tags") or ()
    tags = {tag["Key"]: tag["Value"] for tag in given}
    if len(tags) != len(given):
        raise refusals.invalid("Tags", "a tag key is given more than once")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:"):
            raise refusals.invalid("Tags", "a tag has a key or value that it cannot have")
    return tags
