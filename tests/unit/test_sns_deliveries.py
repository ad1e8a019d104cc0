"""Deliveries: retries by their policy, the dead-letter queue, order, and what a restart finds."""

import json

import pytest

from opentrail.errors import OutboundError
from opentrail.topics import retries
from opentrail.topics.retries import RetryPolicy
from tests.support.iam_world import ACCOUNT
from tests.support.sns_world import SnsWorld

TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:logs"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue"
DEAD = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
URL = "https://reader.example/sns"
DOWN = OutboundError("Unreachable", "down")
GONE = OutboundError("410", "gone", retryable=False)


@pytest.fixture
def world() -> SnsWorld:
    """A world with a topic."""
    made = SnsWorld()
    made.client().create_topic(Name="logs")
    return made


def subscribe_web(world: SnsWorld, **attributes: str) -> str:
    """A confirmed HTTPS subscription."""
    sns = world.client()
    sns.subscribe(TopicArn=TOPIC, Protocol="https", Endpoint=URL, Attributes=attributes)
    world.deliver_all()
    token = json.loads(world.sent("https")[0].text)["Token"]
    arn: str = sns.confirm_subscription(TopicArn=TOPIC, Token=token)["SubscriptionArn"]
    return arn


def texts(world: SnsWorld, protocol: str) -> list[str]:
    """The messages that a protocol's sender was given."""
    return [parcel.message.body_for(protocol) for parcel in world.sent(protocol)]


def test_what_waits_for_a_subscriber_that_is_down_comes_in_order_when_it_is_back(world: SnsWorld) -> None:
    """Nothing is lost or repeated, and the ones behind the first keep all their retries."""
    subscribe_web(world)
    sns = world.client()
    for number in range(5):
        sns.publish(TopicArn=TOPIC, Message=str(number))
    world.senders["https"].problem = DOWN
    for _ in range(30):
        world.deliver_all()
        world.clock.advance(20)
    world.senders["https"].problem = None
    for _ in range(20):
        world.clock.advance(300)
        world.deliver_all()
    assert sorted(texts(world, "https")) == ["0", "1", "2", "3", "4"]
    assert world.waiting() == 0


def test_a_delivery_is_tried_as_often_as_its_policy_says_and_then_goes_to_the_dead_letters(world: SnsWorld) -> None:
    """numRetries 2: three attempts, then the queue, which gets the envelope and may be down for a while too."""
    policy = {"healthyRetryPolicy": {"numRetries": 2, "minDelayTarget": 5, "maxDelayTarget": 5}}
    dead = json.dumps({"deadLetterTargetArn": DEAD})
    subscribe_web(world, DeliveryPolicy=json.dumps(policy), RedrivePolicy=dead)
    world.client().publish(TopicArn=TOPIC, Message="m")
    world.senders["https"].problem = DOWN
    for _ in range(2):
        world.deliver_all()
        world.clock.advance(5.5)
    world.senders["sqs"].problem = DOWN
    world.deliver_all()  # the third attempt, and the end
    world.deliver_all()
    assert world.waiting() == 1
    world.senders["sqs"].problem = None
    world.clock.advance(1)
    world.deliver_all()
    (parcel,) = world.sent("sqs")
    assert (parcel.endpoint, json.loads(parcel.text)["Message"]) == (DEAD, "m")
    assert world.waiting() == 0


def test_a_final_refusal_is_not_tried_again(world: SnsWorld) -> None:
    """Without a dead-letter queue it is given up, and the next message is not held up."""
    subscribe_web(world)
    sns = world.client()
    sns.publish(TopicArn=TOPIC, Message="refused")
    world.senders["https"].problem = GONE
    world.deliver_all()
    assert world.waiting() == 0
    world.senders["https"].problem = None
    sns.publish(TopicArn=TOPIC, Message="next")
    world.deliver_all()
    assert texts(world, "https") == ["next"]


def test_a_stop_before_the_outcome_is_written_repeats_and_does_not_lose(
    world: SnsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between delivering and forgetting: the next one delivers once more, and then it is done."""
    world.client().subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    world.client().publish(TopicArn=TOPIC, Message="m")
    with monkeypatch.context() as killed:
        killed.setattr(world.worker, "_conclude", lambda _finished: None)
        world.deliver_all()
    world.deliver_all()
    assert texts(world, "sqs") == ["m", "m"]
    assert world.waiting() == 0


def test_what_is_published_to_a_rolled_back_unit_was_never_published(world: SnsWorld) -> None:
    """Message and deliveries are the call's own transaction."""
    world.client().subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    world.client().set_topic_attributes(TopicArn=TOPIC, AttributeName="Policy", AttributeValue=_open_policy())
    arn = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/main"
    with pytest.raises(RuntimeError), world.database.unit() as unit:
        world.publishing.publish_as_service(unit, TOPIC, "m", service="cloudtrail.amazonaws.com", source_arn=arn)
        raise RuntimeError
    assert world.waiting() == 0


def test_messages_on_disk_are_sealed(world: SnsWorld) -> None:
    """Neither text nor subject stands in the state in clear."""
    world.client().subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    world.client().publish(TopicArn=TOPIC, Message="canary-text", Subject="canary-subject")
    with world.database.read() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert "sns_messages" in dump
    assert "canary" not in dump


@pytest.mark.parametrize("policy", [retries.QUEUES, retries.MAIL, retries.WEB], ids=["queues", "mail", "web"])
def test_delays_grow_from_the_least_to_the_greatest_and_end(policy: RetryPolicy) -> None:
    """The phases follow one another, and after the last retry it is over."""
    shown = min(policy.retries, 200)
    delays = [policy.delay_s(failures) for failures in range(1, shown + 1)]
    assert None not in delays
    known = [delay for delay in delays if delay is not None]
    assert known == sorted(known)
    assert known[-1] == policy.greatest_s
    assert policy.delay_s(policy.retries + 1) is None


def test_the_promised_lengths_of_time_are_kept() -> None:
    """23 days for queues and more than 6 hours for mail, as in AWS's table; more than 6 hours over HTTP."""
    spans = {}
    for name, policy in (("queues", retries.QUEUES), ("mail", retries.MAIL), ("web", retries.WEB)):
        spans[name] = sum(policy.delay_s(failures) or 0 for failures in range(1, policy.retries + 1))
    assert 23 <= spans["queues"] / 86_400 < 24
    assert spans["mail"] > 6 * 3600
    assert spans["web"] > 6 * 3600
    assert (retries.QUEUES.retries, retries.MAIL.retries, retries.WEB.retries) == (100_015, 50, 100)


@pytest.mark.parametrize("growth", sorted(retries.GROWTH))
def test_every_function_reaches_the_greatest_delay(growth: str) -> None:
    """And stays between the two."""
    policy = RetryPolicy(growing=7, least_s=2, greatest_s=50, growth=growth)
    delays = [policy.delay_s(failures) or 0 for failures in range(1, 8)]
    assert delays == sorted(delays)
    assert 2 <= delays[0] < 50
    assert delays[-1] == pytest.approx(50)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "no json",
        '{"healthyRetryPolicy": {"numRetries": 101}}',
        '{"healthyRetryPolicy": {"minDelayTarget": 30, "maxDelayTarget": 20}}',
        '{"healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 2}}',
        '{"healthyRetryPolicy": {"backoffFunction": "none"}}',
        '{"throttlePolicy": {"maxReceivesPerSecond": 1}}',
    ],
)
def test_a_delivery_policy_that_means_nothing_is_refused(text: str) -> None:
    """Nothing is accepted and ignored."""
    with pytest.raises(ValueError, match="DeliveryPolicy"):
        retries.of_subscription(text)


def _open_policy() -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": TOPIC,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
