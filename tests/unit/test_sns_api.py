"""SNS's operations as boto3 calls them: answers, limits and refusals, in AWS's codes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from opentrail.events.call import Call
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType
from opentrail.services.answer import Answer
from opentrail.topics import deliveries
from opentrail.topics.message import CONFIRMATION
from tests.support.iam_world import ACCOUNT, OTHER, root_of
from tests.support.sns_world import SnsWorld

TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:logs"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue"
DEAD = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
URL = "https://reader.example/sns"


@pytest.fixture
def world() -> SnsWorld:
    """A world with one topic, ``logs``."""
    made = SnsWorld()
    assert made.client().create_topic(Name="logs")["TopicArn"] == TOPIC
    return made


def refused(call: Callable[..., Any], **request: Any) -> str:
    """The code that a call is refused with."""
    with pytest.raises(ClientError) as problem:
        call(**request)
    code: str = problem.value.response["Error"]["Code"]
    return code


def test_a_topic_is_made_once_shown_and_deleted(world: SnsWorld) -> None:
    """The same name is the same topic; what is deleted is gone, with its subscriptions and what waited for them."""
    sns = world.client()
    assert sns.create_topic(Name="logs")["TopicArn"] == TOPIC
    assert refused(sns.create_topic, Name="logs", Attributes={"DisplayName": "other"}) == "InvalidParameter"
    attributes = sns.get_topic_attributes(TopicArn=TOPIC)["Attributes"]
    assert (attributes["Owner"], attributes["SubscriptionsConfirmed"]) == (ACCOUNT, "0")
    assert json.loads(attributes["Policy"])["Statement"][0]["Resource"] == TOPIC
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    sns.publish(TopicArn=TOPIC, Message="m")
    sns.delete_topic(TopicArn=TOPIC)
    sns.delete_topic(TopicArn=TOPIC)
    assert sns.list_topics()["Topics"] == []
    assert sns.list_subscriptions()["Subscriptions"] == []
    world.deliver_all()
    assert world.sent() == []
    assert refused(sns.publish, TopicArn=TOPIC, Message="m") == "NotFound"


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("create_topic", {"Name": "logs.fifo", "Attributes": {"FifoTopic": "true"}}),
        ("create_topic", {"Name": "no name"}),
        ("create_topic", {"Name": "n", "Attributes": {"KmsMasterKeyId": "alias/aws/sns"}}),
        ("create_topic", {"Name": "n", "Attributes": {"Unknown": "x"}}),
        ("create_topic", {"Name": "n", "Tags": [{"Key": "aws:x", "Value": ""}]}),
        ("set_topic_attributes", {"TopicArn": TOPIC, "AttributeName": "Policy", "AttributeValue": "{}"}),
        ("set_topic_attributes", {"TopicArn": TOPIC, "AttributeName": "SignatureVersion", "AttributeValue": "3"}),
        ("set_topic_attributes", {"TopicArn": TOPIC, "AttributeName": "DeliveryPolicy", "AttributeValue": "[]"}),
        ("subscribe", {"TopicArn": "nonsense", "Protocol": "sqs", "Endpoint": QUEUE}),
        ("subscribe", {"TopicArn": TOPIC.replace("us-east-1", "eu-west-1"), "Protocol": "sqs", "Endpoint": QUEUE}),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "pigeon", "Endpoint": "coop"}),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "lambda", "Endpoint": "arn:aws:lambda:us-east-1:1:function:f"}),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": f"{QUEUE}.fifo"}),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "https", "Endpoint": "http://reader.example/"}),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "https", "Endpoint": "https:///nowhere"}),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "https", "Endpoint": "https://user:secret@reader.example/"}),
        ("subscribe", {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "a@b\r\nBcc: c@d"}),
        ("publish", {"TopicArn": TOPIC, "Message": "x" * (256 * 1024 + 1)}),
        ("publish", {"TopicArn": TOPIC, "Message": "m", "Subject": "two\nlines"}),
        ("publish", {"TopicArn": TOPIC, "Message": "m", "Subject": "x" * 101}),
        ("publish", {"TopicArn": TOPIC, "Message": "m", "MessageStructure": "json"}),
        ("publish", {"TopicArn": TOPIC, "Message": '{"sqs": "m"}', "MessageStructure": "json"}),
        ("publish", {"TopicArn": TOPIC, "Message": "m", "MessageGroupId": "g"}),
        ("publish", {"PhoneNumber": "+15550100", "Message": "m"}),
        ("publish", {"Message": "m"}),
        ("list_topics", {"NextToken": "not a token"}),
        ("confirm_subscription", {"TopicArn": TOPIC, "Token": "0" * 96}),
    ],
)
def test_what_cannot_be_is_an_invalid_parameter(world: SnsWorld, operation: str, request_: dict[str, Any]) -> None:
    """Refused with SNS's code, and nothing is left of it."""
    sns = world.client()
    assert refused(getattr(sns, operation), **request_) == "InvalidParameter"
    assert [topic["TopicArn"] for topic in sns.list_topics()["Topics"]] == [TOPIC]
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_lists_come_in_pages(world: SnsWorld) -> None:
    """More than a hundred topics take two pages, which hold each of them once."""
    sns = world.client()
    made = {TOPIC} | {sns.create_topic(Name=f"t{number}")["TopicArn"] for number in range(105)}
    first = sns.list_topics()
    assert len(first["Topics"]) == 100
    second = sns.list_topics(NextToken=first["NextToken"])
    assert "NextToken" not in second
    assert {topic["TopicArn"] for topic in first["Topics"] + second["Topics"]} == made


def test_tags_are_put_replaced_and_taken_off(world: SnsWorld) -> None:
    """TagResource, UntagResource and ListTagsForResource agree, and fifty are the most."""
    sns = world.client()
    sns.tag_resource(ResourceArn=TOPIC, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sns.tag_resource(ResourceArn=TOPIC, Tags=[{"Key": "a", "Value": "3"}])
    sns.untag_resource(ResourceArn=TOPIC, TagKeys=["b", "never"])
    assert sns.list_tags_for_resource(ResourceArn=TOPIC)["Tags"] == [{"Key": "a", "Value": "3"}]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert refused(sns.tag_resource, ResourceArn=TOPIC, Tags=many) == "TagLimitExceeded"
    assert refused(sns.list_tags_for_resource, ResourceArn=f"{TOPIC}x") == "ResourceNotFound"


def test_a_web_subscription_gets_nothing_but_the_question_until_it_is_confirmed(world: SnsWorld) -> None:
    """Pending, asked with a token, confirmed by it without a signature, and only then told."""
    sns = world.client()
    assert sns.subscribe(TopicArn=TOPIC, Protocol="https", Endpoint=URL)["SubscriptionArn"] == "pending confirmation"
    sns.publish(TopicArn=TOPIC, Message="too early")
    world.deliver_all()
    (question,) = world.sent("https")
    assert question.headers["x-amz-sns-message-type"] == CONFIRMATION
    token = json.loads(question.text)["Token"]
    assert sns.list_subscriptions()["Subscriptions"][0]["SubscriptionArn"] == "PendingConfirmation"
    assert refused(sns.confirm_subscription, TopicArn=TOPIC, Token=token[:-1] + "x") == "InvalidParameter"
    arn = world.client(ANONYMOUS).confirm_subscription(TopicArn=TOPIC, Token=token)["SubscriptionArn"]
    assert arn == world.client(ANONYMOUS).confirm_subscription(TopicArn=TOPIC, Token=token)["SubscriptionArn"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (attributes["PendingConfirmation"], attributes["ConfirmationWasAuthenticated"]) == ("false", "false")
    sns.publish(TopicArn=TOPIC, Message="now")
    world.deliver_all()
    (told,) = world.sent("https")
    assert json.loads(told.text)["Message"] == "now"
    assert told.headers["x-amz-sns-subscription-arn"] == arn


def test_who_may_unsubscribe(world: SnsWorld) -> None:
    """Owners, and who has the ARN unless the subscription takes a signature; strangers with a signature may not."""
    sns, anybody = world.client(), world.client(ANONYMOUS)
    free = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    assert refused(world.client(root_of(OTHER)).unsubscribe, SubscriptionArn=free) == "AuthorizationError"
    anybody.unsubscribe(SubscriptionArn=free)
    assert refused(anybody.unsubscribe, SubscriptionArn=free) == "NotFound"
    sns.subscribe(TopicArn=TOPIC, Protocol="https", Endpoint=URL)
    world.deliver_all()
    token = json.loads(world.sent("https")[0].text)["Token"]
    signed = sns.confirm_subscription(TopicArn=TOPIC, Token=token, AuthenticateOnUnsubscribe="true")["SubscriptionArn"]
    assert refused(anybody.unsubscribe, SubscriptionArn=signed) == "AuthorizationError"
    sns.unsubscribe(SubscriptionArn=signed)


def test_subscribing_again_is_the_same_subscription(world: SnsWorld) -> None:
    """One per topic and endpoint; other attributes are refused; who has not confirmed is asked again."""
    sns = world.client()
    first = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    assert sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"] == first
    raw = {"RawMessageDelivery": "true"}
    assert refused(sns.subscribe, TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE, Attributes=raw) == "InvalidParameter"
    for _ in range(2):
        sns.subscribe(TopicArn=TOPIC, Protocol="https", Endpoint=URL)
    world.deliver_all()
    assert len(world.sent("https")) == 2


def test_a_subscription_that_nobody_confirms_is_forgotten(world: SnsWorld) -> None:
    """After two days it is gone, and its token with it."""
    sns = world.client()
    sns.subscribe(TopicArn=TOPIC, Protocol="https", Endpoint=URL)
    world.deliver_all()
    token = json.loads(world.sent("https")[0].text)["Token"]
    world.clock.advance(2 * 86_400 + 1)
    world.worker._tidy_if_due()
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert refused(sns.confirm_subscription, TopicArn=TOPIC, Token=token) == "InvalidParameter"


def test_raw_delivery_and_bodies_by_protocol(world: SnsWorld) -> None:
    """A raw subscriber gets the text alone; MessageStructure json gives each protocol its own."""
    sns = world.client()
    arn = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    text = json.dumps({"default": "all", "sqs": "queues"})
    sns.publish(TopicArn=TOPIC, Message=text, MessageStructure="json")
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="true")
    world.deliver_all()
    (raw,) = world.sent()
    assert (raw.raw, raw.text) == (True, "queues")
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="false")
    sns.publish(TopicArn=TOPIC, Message="plain", Subject="s")
    world.deliver_all()
    envelope = json.loads(world.sent()[0].text)
    assert (envelope["Message"], envelope["Subject"], envelope["TopicArn"]) == ("plain", "s", TOPIC)


def test_a_filter_policy_decides_who_is_told(world: SnsWorld) -> None:
    """By attributes, then by the body; a policy that does not fit its scope is refused."""
    sns = world.client()
    policy = json.dumps({"kind": ["log"]})
    arn = sns.subscribe(
        TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE, Attributes={"FilterPolicy": policy}
    )["SubscriptionArn"]  # fmt: skip
    for kind in ("log", "other"):
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        sns.publish(TopicArn=TOPIC, Message=kind, MessageAttributes=attributes)
    sns.publish(TopicArn=TOPIC, Message="without")
    world.deliver_all()
    assert [parcel.message.body_for("sqs") for parcel in world.sent()] == ["log"]
    nested = json.dumps({"detail": {"kind": ["log"]}})
    change = {"SubscriptionArn": arn, "AttributeName": "FilterPolicy", "AttributeValue": nested}
    assert refused(sns.set_subscription_attributes, **change) == "InvalidParameter"
    scope = {"AttributeName": "FilterPolicyScope", "AttributeValue": "MessageBody"}
    sns.set_subscription_attributes(SubscriptionArn=arn, **scope)
    sns.set_subscription_attributes(**change)
    for body in ('{"detail": {"kind": "log"}}', '{"detail": {"kind": "other"}}', "no json"):
        sns.publish(TopicArn=TOPIC, Message=body)
    world.deliver_all()
    assert [parcel.message.body_for("sqs") for parcel in world.sent()] == ['{"detail": {"kind": "log"}}']


def test_a_batch_tells_each_message_its_own_result(world: SnsWorld) -> None:
    """What is wrong with one entry is that entry's failure; what is wrong with the batch refuses it."""
    sns = world.client()
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    entries = [{"Id": "good", "Message": "m"}, {"Id": "bad", "Message": "m", "Subject": "\n"}]
    answer = sns.publish_batch(TopicArn=TOPIC, PublishBatchRequestEntries=entries)
    assert [done["Id"] for done in answer["Successful"]] == ["good"]
    assert [(failed["Id"], failed["SenderFault"]) for failed in answer["Failed"]] == [("bad", True)]
    world.deliver_all()
    assert len(world.sent()) == 1
    batch = sns.publish_batch
    assert refused(batch, TopicArn=TOPIC, PublishBatchRequestEntries=[]) == "EmptyBatchRequest"
    twice = [{"Id": "a", "Message": "m"}] * 2
    assert refused(batch, TopicArn=TOPIC, PublishBatchRequestEntries=twice) == "BatchEntryIdsNotDistinct"
    large = [{"Id": str(number), "Message": "x" * 200_000} for number in range(2)]
    assert refused(batch, TopicArn=TOPIC, PublishBatchRequestEntries=large) == "BatchRequestTooLong"
    eleven = [{"Id": str(number), "Message": "m"} for number in range(11)]
    assert refused(batch, TopicArn=TOPIC, PublishBatchRequestEntries=eleven) == "TooManyEntriesInBatchRequest"


def test_a_full_queue_refuses_and_publishes_nothing(world: SnsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttled, with the subscription's name; the others are not told either."""
    monkeypatch.setattr("opentrail.topics.publishing.WAITING_MAX", 2)
    assert deliveries.WAITING_MAX == 10_000
    sns = world.client()
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    for _ in range(2):
        sns.publish(TopicArn=TOPIC, Message="m")
    other = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=DEAD)["SubscriptionArn"]
    assert refused(sns.publish, TopicArn=TOPIC, Message="m") == "Throttled"
    with world.database.read() as connection:
        assert world.deliveries.waiting(connection, TOPIC).get(other, 0) == 0
    assert world.waiting() == 2


def _user(name: str, account: str = ACCOUNT) -> Principal:
    return Principal(
        PrincipalType.IAM_USER, account, f"AIDA{name}", f"arn:aws:iam::{account}:user/{name}", "AKIA", name
    )


def test_a_users_own_policies_decide_in_the_owners_account(world: SnsWorld) -> None:
    """The default policy gives a user nothing; a statement that names him does."""
    user = world.client(_user("ada"))
    assert refused(user.publish, TopicArn=TOPIC, Message="m") == "AuthorizationError"
    _allow(world, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ada"}, "SNS:Publish")
    user.publish(TopicArn=TOPIC, Message="m")
    assert refused(user.subscribe, TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE) == "AuthorizationError"


def test_another_account_needs_the_topics_policy(world: SnsWorld) -> None:
    """Without a statement it is refused, and not told whether there is such a topic; AddPermission lets it in."""
    other = world.client(root_of(OTHER))
    for arn in (TOPIC, f"{TOPIC}-not-there"):
        assert refused(other.publish, TopicArn=arn, Message="m") == "AuthorizationError"
    sns = world.client()
    permission = {"TopicArn": TOPIC, "Label": "other", "AWSAccountId": [OTHER], "ActionName": ["Publish", "Subscribe"]}
    sns.add_permission(**permission)
    assert refused(sns.add_permission, **permission) == "InvalidParameter"
    other.publish(TopicArn=TOPIC, Message="m")
    assert refused(other.delete_topic, TopicArn=TOPIC) == "AuthorizationError"
    own = f"arn:aws:sqs:us-east-1:{OTHER}:queue"
    arn = other.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=own)["SubscriptionArn"]
    foreign = other.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    assert arn.startswith(TOPIC)
    assert foreign == "pending confirmation"
    sns.remove_permission(TopicArn=TOPIC, Label="other")
    assert refused(other.publish, TopicArn=TOPIC, Message="m") == "AuthorizationError"


def _allow(world: SnsWorld, principal: dict[str, str], action: str) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": TOPIC}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    world.client().set_topic_attributes(TopicArn=TOPIC, AttributeName="Policy", AttributeValue=policy)


def test_a_call_without_a_signature_is_recorded_where_the_topic_is(world: SnsWorld) -> None:
    """The answer carries the topic's account and region to the recorder."""
    sns = world.client()
    arn = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    call: Call = world.call("Unsubscribe", ANONYMOUS)
    with world.database.unit() as unit:
        answer = world.handlers["Unsubscribe"].method(call, {"SubscriptionArn": arn}, unit)
    assert isinstance(answer, Answer)
    assert (answer.also_for, answer.region) == ((ACCOUNT,), "us-east-1")
