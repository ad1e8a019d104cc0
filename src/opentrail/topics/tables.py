"""The tables of SNS in the control state.

Rules. Instants are epoch seconds. Messages are sealed; they are kept while a delivery of theirs waits. ``number``
columns only grow: they order lists and deliveries, and give pages a place to go on from.
"""

import sqlalchemy as sa

from opentrail.state.database import metadata

topics = sa.Table(
    "sns_topics",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("arn", sa.Text, nullable=False, unique=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("region", sa.String(64), nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)
sa.Index("sns_topics_of_account", topics.c.account_id, topics.c.region, topics.c.number)

subscriptions = sa.Table(
    "sns_subscriptions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("arn", sa.Text, nullable=False, unique=True),
    sa.Column("topic_arn", sa.Text, nullable=False),
    sa.Column("region", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(12), nullable=False),
    sa.Column("protocol", sa.String(16), nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("confirmed", sa.Boolean, nullable=False),
    sa.Column("authenticated", sa.Boolean, nullable=False),
    sa.Column("signed_unsubscribe", sa.Boolean, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.UniqueConstraint("topic_arn", "protocol", "endpoint"),
    sqlite_autoincrement=True,
)
sa.Index("sns_subscriptions_of_owner", subscriptions.c.owner, subscriptions.c.region, subscriptions.c.number)
sa.Index("sns_subscriptions_of_topic", subscriptions.c.topic_arn, subscriptions.c.number)

messages = sa.Table(
    "sns_messages",
    metadata,
    sa.Column("message_id", sa.String(36), primary_key=True),
    sa.Column("topic_arn", sa.Text, nullable=False),
    sa.Column("published_s", sa.Float, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

deliveries = sa.Table(
    "sns_deliveries",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("subscription_arn", sa.Text, nullable=False),
    sa.Column("message_id", sa.String(36), nullable=False, index=True),
    sa.Column("due_s", sa.Float, nullable=False, index=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("dead", sa.Boolean, nullable=False),
    sqlite_autoincrement=True,
)
"""One row per message and subscription until it is delivered; ``dead``: it goes to the dead-letter queue by now."""
sa.Index("sns_deliveries_of_subscription", deliveries.c.subscription_arn, deliveries.c.number)

keys = sa.Table(
    "sns_keys",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("certificate", sa.Text, nullable=False),
)
