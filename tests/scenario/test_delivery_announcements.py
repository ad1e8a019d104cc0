"""Log files and what a trail's topic is told of them: the courier with a real journal, state and SNS, time by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentrail.app.notifications import OwnTopics
from opentrail.clock import SystemEntropy
from opentrail.delivery.announcer import KEPT, Announcer
from opentrail.errors import OutboundError
from opentrail.state.database import Unit
from opentrail.state.sealing import Seal
from opentrail.topics.deliveries import Deliveries
from opentrail.topics.names import TopicName
from opentrail.topics.publishing import Publishing
from opentrail.topics.store import TopicStore
from opentrail.topics.topic import Subscription, Topic, default_policy
from opentrail.trails.notification import Notification
from tests.support.delivery_world import ACCOUNT, BUCKET, DeliveryWorld
from tests.support.memory_store import MemoryObjectStore

NAME = TopicName(ACCOUNT, "us-east-1", "logs")
SUBSCRIPTION = f"{NAME.arn}:00000000-0000-4000-8000-000000000001"


class World(DeliveryWorld):
    """A courier whose publisher is our own SNS over the same database; ``told`` is what waits for a subscriber."""

    def __init__(self, directory: Path) -> None:
        self.objects = MemoryObjectStore(BUCKET)
        super().__init__(directory, self.objects, interval_s=60.0)
        self.store_of_topics = TopicStore(self.database)
        self.deliveries = Deliveries(self.database, Seal(b"k" * 32, SystemEntropy()))
        publishing = Publishing(self.store_of_topics, self.deliveries, self.clock, SystemEntropy(), lambda: None)
        self.publisher: Any = OwnTopics(publishing)
        self.restart_announcer()
        queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue"
        subscription = Subscription(
            arn=SUBSCRIPTION,
            topic_arn=NAME.arn,
            owner=ACCOUNT,
            protocol="sqs",
            endpoint=queue,
            created_s=0,
            confirmed=True,
        )
        with self.database.unit() as unit:
            self.store_of_topics.put_subscription(unit, subscription, "us-east-1")
        self.allow()

    def restart_announcer(self) -> None:
        """A new announcer over what the last one left."""
        self.announcer = Announcer(self.database, self.trails, self.publisher, self.clock)

    def allow(self, *, allowed: bool = True) -> None:
        """Let CloudTrail publish, or no longer."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "SNS:Publish",
            "Resource": NAME.arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        policy = text if allowed else default_policy(NAME)
        with self.database.unit() as unit:
            self.store_of_topics.put_topic(unit, Topic(name=NAME, created_s=0, policy=policy))

    def deliver_log_file(self) -> None:
        """One more log file, with its mark."""
        self.record()
        self.run_pass()
        self.pass_after(61)

    def told(self) -> list[str]:
        """The keys in the messages that wait for the subscriber."""
        with self.database.read() as connection:
            due = self.deliveries.due(connection, SUBSCRIPTION, 1e12, 100)
            found = [self.deliveries.message(connection, delivery.message_id) for delivery in due]
        messages = [json.loads(message.body_for("sqs")) for message in found if message is not None]
        assert all(list(message) == ["s3Bucket", "s3ObjectKey"] for message in messages)
        return [key for message in messages for key in message["s3ObjectKey"]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with a trail that has a topic."""
    made = World(tmp_path)
    made.trail(sns_topic_arn=NAME.arn)
    yield made
    made.close()


def test_each_log_file_is_announced_once_under_the_key_that_it_has(world: World) -> None:
    """Whatever restarts in between."""
    for _ in range(3):
        world.deliver_log_file()
        world.announcer.run_pass()
        world.restart_courier()
        world.restart_announcer()
    world.announcer.run_pass()
    assert sorted(world.told()) == sorted(world.log_files())
    assert len(world.log_files()) == 3
    status = world.trails.notification_status("t1")
    assert (status.latest_delivery_at, status.latest_error) == (world.clock.now(), None)


def test_a_stop_after_the_mark_announces_later_and_one_before_it_does_not(world: World) -> None:
    """The announcement is exactly as durable as the mark."""
    world.deliver_log_file()
    assert world.told() == []
    world.restart_announcer()
    world.announcer.run_pass()
    assert world.told() == list(world.log_files())
    world.objects.outage = OutboundError("SlowDown", "come back later")
    world.deliver_log_file()
    world.announcer.run_pass()
    assert len(world.told()) == 1


def test_a_stop_while_publishing_publishes_once(world: World) -> None:
    """Publishing and forgetting the announcement are one transaction."""
    world.deliver_log_file()

    class Killed:
        def publish(self, unit: Unit, notification: Notification) -> None:
            world.publisher.publish(unit, notification)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Announcer(world.database, world.trails, Killed(), world.clock).run_pass()
    assert world.told() == []
    world.announcer.run_pass()
    assert world.told() == list(world.log_files())


def test_a_topic_that_refuses_is_shown_and_told_when_it_lets_cloudtrail_in_again(world: World) -> None:
    """The error's code is in the status, the last success stays; nothing is missing afterwards."""
    world.allow(allowed=False)
    for _ in range(2):
        world.deliver_log_file()
        world.announcer.run_pass()
    status = world.trails.notification_status("t1")
    assert (status.latest_error, status.latest_delivery_at) == ("AuthorizationError", None)
    world.allow()
    world.clock.advance(61)
    world.announcer.run_pass()
    assert sorted(world.told()) == sorted(world.log_files())
    assert world.trails.notification_status("t1").latest_error is None


def test_a_topic_that_is_gone_is_given_up_after_a_day(world: World) -> None:
    """And what waited does not grow for ever."""
    with world.database.unit() as unit:
        world.store_of_topics.remove_topic(unit, NAME.arn)
    world.deliver_log_file()
    world.announcer.run_pass()
    assert world.trails.notification_status("t1").latest_error == "NotFound"
    world.clock.advance(KEPT.total_seconds() + 1)
    world.announcer.run_pass()
    assert list(world.announcer.announcements.trail_ids()) == []


def test_a_trail_without_a_topic_announces_nothing(world: World) -> None:
    """Also what waited when its topic was taken away."""
    world.deliver_log_file()
    (trail,) = world.trails.snapshot.every()
    world.put_trail(trail.configured(sns_topic_arn=""))
    world.deliver_log_file()
    world.announcer.run_pass()
    assert world.told() == []
    assert list(world.announcer.announcements.trail_ids()) == []


def test_one_topic_that_cannot_be_reached_holds_no_other_up(world: World) -> None:
    """Each trail goes its own pace."""
    other = NAME.arn.replace("logs", "elsewhere")
    world.trail("t2", sns_topic_arn=other)

    class OneDown:
        def publish(self, unit: Unit, notification: Notification) -> None:
            if notification.topic_arn == other:
                raise OutboundError("RequestTimeout", "no answer")
            world.publisher.publish(unit, notification)

    world.record(routes=("t1", "t2"))
    world.run_pass()
    world.pass_after(61)
    Announcer(world.database, world.trails, OneDown(), world.clock).run_pass()
    assert len(world.told()) == 1
    assert world.trails.notification_status("t2").latest_error == "RequestTimeout"
