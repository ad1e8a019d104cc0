"""Topics and subscriptions in the control state.

Rules. Reads take a connection, so that a handler that writes sees its own unit; writes take a unit. Lists go by number,
which a page's token names: whatever token a caller makes up, he moves within his own list only.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from opentrail.state.database import Database, Unit
from opentrail.topics.names import TopicName
from opentrail.topics.tables import deliveries, messages, subscriptions, topics
from opentrail.topics.topic import Subscription, Topic

PAGE = 100
"""How many topics or subscriptions a list answers at once (SNS API Reference)."""


class TopicStore:
    """The rows of SNS but for messages under way; ``database`` gives the connections and units."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def topic(self, connection: sa.Connection, arn: str) -> Topic | None:
        """The topic with that ARN, whosever it is."""
        row = connection.execute(sa.select(topics).where(topics.c.arn == arn)).first()
        return None if row is None else _topic(row)

    def topics_of(self, connection: sa.Connection, account_id: str, region: str, after: int) -> list[tuple[int, str]]:
        """Number and ARN of an account's topics in a region numbered above ``after``, one more than a page."""
        query = sa.select(topics.c.number, topics.c.arn).where(
            topics.c.account_id == account_id, topics.c.region == region, topics.c.number > after
        )
        return [(row.number, row.arn) for row in connection.execute(query.order_by(topics.c.number).limit(PAGE + 1))]

    def tagged_topics(self, connection: sa.Connection, account_id: str, region: str) -> list[Topic]:
        """An account's topics in a region that have tags."""
        query = sa.select(topics).where(topics.c.account_id == account_id, topics.c.region == region)
        return [topic for topic in map(_topic, connection.execute(query)) if topic.tags]

    def count_topics(self, connection: sa.Connection, account_id: str) -> int:
        """How many topics an account has in all regions."""
        query = sa.select(sa.func.count()).select_from(topics).where(topics.c.account_id == account_id)
        return int(connection.execute(query).scalar_one())

    def put_topic(self, unit: Unit, topic: Topic) -> None:
        """Write a topic, new or changed."""
        values = {
            "policy": topic.policy,
            "attributes": dict(topic.attributes),
            "tags": dict(topic.tags),
            "created_s": topic.created_s,
        }
        changed = unit.execute(sa.update(topics).where(topics.c.arn == topic.arn).values(**values))
        if not changed.rowcount:
            name = topic.name
            place = {"account_id": name.account_id, "region": name.region, "name": name.name}
            unit.execute(sa.insert(topics).values(arn=topic.arn, **place, **values))

    def remove_topic(self, unit: Unit, arn: str) -> None:
        """Forget a topic with its subscriptions and what waits to be delivered to them."""
        of_topic = sa.select(subscriptions.c.arn).where(subscriptions.c.topic_arn == arn)
        unit.execute(sa.delete(deliveries).where(deliveries.c.subscription_arn.in_(of_topic)))
        unit.execute(sa.delete(subscriptions).where(subscriptions.c.topic_arn == arn))
        unit.execute(sa.delete(messages).where(messages.c.topic_arn == arn))
        unit.execute(sa.delete(topics).where(topics.c.arn == arn))

    def subscription(self, connection: sa.Connection, arn: str) -> Subscription | None:
        """The subscription with that ARN, whosever it is."""
        row = connection.execute(sa.select(subscriptions).where(subscriptions.c.arn == arn)).first()
        return None if row is None else _subscription(row)

    def same_subscription(
        self, connection: sa.Connection, topic_arn: str, protocol: str, endpoint: str
    ) -> Subscription | None:
        """The subscription of an endpoint to a topic: there is one at most."""
        query = sa.select(subscriptions).where(
            subscriptions.c.topic_arn == topic_arn,
            subscriptions.c.protocol == protocol,
            subscriptions.c.endpoint == endpoint,
        )
        row = connection.execute(query).first()
        return None if row is None else _subscription(row)

    def subscriptions_to(self, connection: sa.Connection, topic_arn: str) -> Sequence[Subscription]:
        """Every subscription to a topic, those that wait for their confirmation included."""
        query = sa.select(subscriptions).where(subscriptions.c.topic_arn == topic_arn)
        return [_subscription(row) for row in connection.execute(query.order_by(subscriptions.c.number))]

    def page_to(self, connection: sa.Connection, topic_arn: str, after: int) -> list[Subscription]:
        """The subscriptions to a topic numbered above ``after``, one more than a page."""
        return _page(connection, subscriptions.c.topic_arn == topic_arn, after)

    def page_of(self, connection: sa.Connection, owner: str, region: str, after: int) -> list[Subscription]:
        """An account's subscriptions in a region numbered above ``after``, one more than a page."""
        return _page(connection, (subscriptions.c.owner == owner) & (subscriptions.c.region == region), after)

    def put_subscription(self, unit: Unit, subscription: Subscription, region: str) -> None:
        """Write a subscription, new or changed."""
        values = {
            "owner": subscription.owner,
            "created_s": subscription.created_s,
            "confirmed": subscription.confirmed,
            "authenticated": subscription.authenticated,
            "signed_unsubscribe": subscription.signed_unsubscribe,
            "attributes": dict(subscription.attributes),
        }
        this = subscriptions.c.arn == subscription.arn
        if not unit.execute(sa.update(subscriptions).where(this).values(**values)).rowcount:
            place = {"arn": subscription.arn, "topic_arn": subscription.topic_arn, "region": region}
            where = {"protocol": subscription.protocol, "endpoint": subscription.endpoint}
            unit.execute(sa.insert(subscriptions).values(**place, **where, **values))

    def remove_subscription(self, unit: Unit, arn: str) -> None:
        """Forget a subscription and what waits to be delivered to it."""
        unit.execute(sa.delete(deliveries).where(deliveries.c.subscription_arn == arn))
        unit.execute(sa.delete(subscriptions).where(subscriptions.c.arn == arn))

    def pending_before(self, connection: sa.Connection, created_s: float) -> list[str]:
        """The subscriptions that nobody confirmed and that were made before an instant."""
        query = sa.select(subscriptions.c.arn).where(
            subscriptions.c.confirmed.is_(False), subscriptions.c.created_s < created_s
        )
        return [row.arn for row in connection.execute(query)]


def _page(connection: sa.Connection, which: sa.ColumnElement[bool], after: int) -> list[Subscription]:
    query = sa.select(subscriptions).where(which, subscriptions.c.number > after)
    rows = connection.execute(query.order_by(subscriptions.c.number).limit(PAGE + 1))
    return [_subscription(row) for row in rows]


def _topic(row: sa.Row[Any]) -> Topic:
    return Topic(
        name=TopicName(row.account_id, row.region, row.name),
        created_s=row.created_s,
        policy=row.policy,
        attributes=row.attributes,
        tags=row.tags,
    )


def _subscription(row: sa.Row[Any]) -> Subscription:
    columns = (column.name for column in subscriptions.columns if column.name != "region")
    return Subscription(**{name: getattr(row, name) for name in columns})
