"""The queue of what is to be delivered: durable, in the unit of the call that published it, bounded per subscription.

Rules. A delivery is forgotten once it was made or given up, in a unit of its own afterwards: after a kill in between it
is made once more (at least once, as SNS promises). A message goes with its last delivery.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from opentrail.state.database import Database, Unit
from opentrail.state.sealing import Seal
from opentrail.topics.message import Message, from_json, to_json
from opentrail.topics.tables import deliveries, messages, subscriptions

WAITING_MAX = 10_000
"""How many messages wait for one subscription: a week of a trail's log files. Then publishing is refused."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one subscription."""

    number: int
    subscription_arn: str
    message_id: str
    failures: int
    dead: bool


class Deliveries:
    """The rows of messages under way."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def waiting(self, connection: sa.Connection, topic_arn: str) -> Mapping[str, int]:
        """How many messages wait for each subscription to a topic; those for which none waits are not in it."""
        of_topic = sa.select(subscriptions.c.arn).where(subscriptions.c.topic_arn == topic_arn)
        arn = deliveries.c.subscription_arn
        query = sa.select(arn, sa.func.count()).where(arn.in_(of_topic)).group_by(arn)
        return {row[0]: row[1] for row in connection.execute(query)}

    def add(self, unit: Unit, message: Message, subscription_arns: Sequence[str], due_s: float) -> None:
        """Write a message down with a delivery for each subscription; none: nothing is written."""
        if not subscription_arns:
            return
        sealed = self._seal.seal(to_json(message), _context(message.message_id))
        unit.execute(
            sa.insert(messages).values(
                message_id=message.message_id,
                topic_arn=message.topic_arn,
                published_s=message.published_at.timestamp(),
                sealed=sealed,
            )
        )
        rows = [
            {"subscription_arn": arn, "message_id": message.message_id, "due_s": due_s, "failures": 0, "dead": False}
            for arn in subscription_arns
        ]
        unit.connection.execute(sa.insert(deliveries), rows)

    def due_subscriptions(self, now_s: float) -> list[str]:
        """The subscriptions for which something is due."""
        query = sa.select(deliveries.c.subscription_arn).where(deliveries.c.due_s <= now_s).distinct()
        with self._database.read() as connection:
            return [row.subscription_arn for row in connection.execute(query)]

    def due(self, connection: sa.Connection, subscription_arn: str, now_s: float, limit: int) -> list[Delivery]:
        """What is due for a subscription, in the order in which it was published."""
        columns = [deliveries.c[name] for name in ("number", "subscription_arn", "message_id", "failures", "dead")]
        query = sa.select(*columns).where(
            deliveries.c.subscription_arn == subscription_arn, deliveries.c.due_s <= now_s
        )
        rows = connection.execute(query.order_by(deliveries.c.number).limit(limit))
        return [Delivery(*row) for row in rows]

    def message(self, connection: sa.Connection, message_id: str) -> Message | None:
        """A message that waits. Raises IntegrityError where it cannot be opened."""
        row = connection.execute(sa.select(messages).where(messages.c.message_id == message_id)).first()
        if row is None:
            return None
        return from_json(self._seal.open(row.sealed, _context(message_id)), message_id, row.topic_arn, row.published_s)

    def done(self, unit: Unit, finished: Iterable[Delivery]) -> None:
        """Forget deliveries that were made or given up, and messages that nobody waits for any more."""
        for delivery in finished:
            unit.execute(sa.delete(deliveries).where(deliveries.c.number == delivery.number))
            waiting = sa.exists().where(deliveries.c.message_id == delivery.message_id)
            unit.execute(sa.delete(messages).where(messages.c.message_id == delivery.message_id, ~waiting))

    def again(self, unit: Unit, delivery: Delivery, due_s: float) -> None:
        """Try a delivery again later, after one more failure."""
        self._change(unit, delivery, failures=delivery.failures + 1, due_s=due_s)

    def bury(self, unit: Unit, delivery: Delivery, due_s: float) -> None:
        """Send a delivery to the dead-letter queue instead."""
        self._change(unit, delivery, failures=0, due_s=due_s, dead=True)

    def forget_orphans(self, unit: Unit) -> None:
        """Forget messages without deliveries, as a removed subscription leaves them."""
        waiting = sa.exists().where(deliveries.c.message_id == messages.c.message_id)
        unit.execute(sa.delete(messages).where(~waiting))

    def _change(self, unit: Unit, delivery: Delivery, **values: Any) -> None:
        unit.execute(sa.update(deliveries).where(deliveries.c.number == delivery.number).values(**values))


def _context(message_id: str) -> str:
    return f"sns message {message_id}"
