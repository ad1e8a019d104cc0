"""Topics: making, deleting, listing, and their attributes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.operation import operation
from opentrail.services.sns import refusals
from opentrail.services.sns.parts import Surroundings, known_topic, new_tags, page, place, topic_name
from opentrail.state.database import Unit
from opentrail.topics import retries
from opentrail.topics.names import FIFO_SUFFIX, TopicName, is_topic_name
from opentrail.topics.policies import read_policy
from opentrail.topics.topic import TAGS_MAX, TOPICS_MAX, Topic, default_policy

Request = Mapping[str, Any]

_DISPLAY_NAME_CHARS_MAX = 100
_FIFO_ATTRIBUTES = frozenset(
    {"FifoTopic", "ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy", "BeginningArchiveTime"}
)


class TopicOperations(Surroundings):
    """The operations on topics; a part of ``SnsService``."""

    @operation("CreateTopic", writes=True)
    def create_topic(self, call: Call, request: Request, unit: Unit) -> Request:
        """Make a topic; one that is there already is answered where it has the attributes and tags that are given."""
        name, tags = TopicName(call.account_id, call.region, request["Name"]), new_tags(request)
        given = dict(request.get("Attributes") or {})
        _check_name(name.name, given)
        if request.get("DataProtectionPolicy"):
            raise refusals.invalid("DataProtectionPolicy", "messages are not searched for personal data")
        if len(tags) > TAGS_MAX:
            raise _too_many_tags()
        store = self.parts.store
        new = Topic(name=name, created_s=call.received_at.timestamp(), policy=default_policy(name), tags=tags)
        for attribute, value in given.items():
            new = _with(new, attribute, value)
        existing = store.topic(unit.connection, name.arn)
        if existing is not None:
            _check_same(existing, new, request)
            return {"TopicArn": name.arn}
        if store.count_topics(unit.connection, call.account_id) >= TOPICS_MAX:
            raise ApiError("TopicLimitExceededException", f"An account has at most {TOPICS_MAX} topics")
        store.put_topic(unit, new)
        return {"TopicArn": name.arn}

    @operation("DeleteTopic", writes=True)
    def delete_topic(self, call: Call, request: Request, unit: Unit) -> Request:
        """Delete a topic, its subscriptions and what waits for them; one that does not exist is no error."""
        self.parts.store.remove_topic(unit, topic_name(call, request["TopicArn"]).arn)
        return {}

    @operation("ListTopics")
    def list_topics(self, call: Call, request: Request) -> Request:
        """The account's topics in the region, oldest first."""
        store = self.parts.store
        with store.database.read() as connection:
            found = store.topics_of(connection, call.account_id, call.region, place(request))
        return page(found, "Topics", lambda item: item[0], lambda item: {"TopicArn": item[1]})

    @operation("GetTopicAttributes")
    def get_topic_attributes(self, call: Call, request: Request) -> Request:
        """All attributes of a topic, with the numbers of its subscriptions."""
        store = self.parts.store
        with store.database.read() as connection:
            topic = known_topic(self.parts, connection, call, request["TopicArn"])
            states = [found.confirmed for found in store.subscriptions_to(connection, topic.arn)]
        delivery_policy = topic.attributes.get("DeliveryPolicy")
        attributes = {
            "Policy": topic.policy,
            "Owner": topic.name.account_id,
            "TopicArn": topic.arn,
            "DisplayName": "",
            "SubscriptionsConfirmed": str(states.count(True)),
            "SubscriptionsPending": str(states.count(False)),
            "SubscriptionsDeleted": "0",
            "EffectiveDeliveryPolicy": retries.shown_for_topic(retries.effective("https", delivery_policy, None)),
        }
        return {"Attributes": attributes | dict(topic.attributes)}

    @operation("SetTopicAttributes", writes=True)
    def set_topic_attributes(self, call: Call, request: Request, unit: Unit) -> Request:
        """Change one attribute of a topic."""
        topic = known_topic(self.parts, unit.connection, call, request["TopicArn"])
        self.parts.store.put_topic(unit, _with(topic, request["AttributeName"], request.get("AttributeValue") or ""))
        return {}


def _check_name(name: str, attributes: Mapping[str, str]) -> None:
    if name.endswith(FIFO_SUFFIX) or attributes.get("FifoTopic", "").lower() == "true":
        raise refusals.invalid("Topic Name", "OpenTrail has no FIFO topics")
    if not is_topic_name(name):
        raise refusals.invalid("Topic Name")


def _check_same(existing: Topic, new: Topic, request: Request) -> None:
    given = request.get("Attributes") or {}
    if any(_shown(existing, name) != _shown(new, name) for name in given):
        raise refusals.invalid("Attributes", "Topic already exists with different attributes")
    if new.tags and dict(new.tags) != dict(existing.tags):
        raise refusals.invalid("Tags", "Topic already exists with different tags")


def _shown(topic: Topic, attribute: str) -> str | None:
    return topic.policy if attribute == "Policy" else topic.attributes.get(attribute)


def _with(topic: Topic, attribute: str, value: str) -> Topic:
    """A topic with an attribute set. Raises ApiError InvalidParameter."""
    if attribute == "Policy":
        return replace(topic, policy=_checked_policy(topic.name, value))
    check = _SETTABLE.get(attribute)
    if check is None:
        reason = "OpenTrail has no FIFO topics" if attribute in _FIFO_ATTRIBUTES else "it cannot be set here"
        raise refusals.invalid("AttributeName", f"{attribute[:60]}: {reason}")
    check(value)
    changed = {name: text for name, text in topic.attributes.items() if name != attribute}
    return replace(topic, attributes=changed | ({attribute: value} if value else {}))


def _checked_policy(name: TopicName, text: str) -> str:
    if not text:
        return default_policy(name)
    try:
        policy = read_policy(text)
    except ValueError as problem:
        raise refusals.invalid("Policy", str(problem)) from None
    if any(statement.resources is None for statement in policy.statements):
        raise refusals.invalid("Policy", "statement must have a resource")
    if any(resource != name.arn for resource in policy.resource_texts()):
        raise refusals.invalid("Policy", "statement resource must be this topic's ARN")
    return text


def _check_display_name(value: str) -> None:
    if len(value) > _DISPLAY_NAME_CHARS_MAX or not value.isprintable():
        raise refusals.invalid("DisplayName")


def _check_delivery_policy(value: str) -> None:
    try:
        if value:
            retries.of_topic(value)
    except ValueError as problem:
        raise refusals.invalid("DeliveryPolicy", str(problem)) from None


def _check_signature_version(value: str) -> None:
    if value not in ("1", "2"):
        raise refusals.invalid("SignatureVersion", "it must be 1 or 2")


def _check_tracing(value: str) -> None:
    if value not in ("", "PassThrough"):
        raise refusals.invalid("TracingConfig", "OpenTrail has no X-Ray")


def _check_key(value: str) -> None:
    if value:
        raise refusals.invalid("KmsMasterKeyId", "messages are sealed with a key of this OpenTrail's own")


def _check_fifo(value: str) -> None:
    if value.lower() != "false":
        raise refusals.invalid("FifoTopic", "OpenTrail has no FIFO topics")


_SETTABLE = {
    "DisplayName": _check_display_name,
    "DeliveryPolicy": _check_delivery_policy,
    "SignatureVersion": _check_signature_version,
    "TracingConfig": _check_tracing,
    "KmsMasterKeyId": _check_key,
    "FifoTopic": _check_fifo,
}


def _too_many_tags() -> ApiError:
    return ApiError("TagLimitExceededException", f"A topic has at most {TAGS_MAX} tags")
