"""SNS on the whole product: subscribers on SQS and HTTPS, the AWS CLI, a kill, and somebody else's SNS."""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from opentrail.local.certificates import ensure
from tests.support.gateway import Gateway, Key, delivered, make_trail, running, start, trail_policy
from tests.support.ministack import MiniStackHome, running_ministack
from tests.support.subscriber import Subscriber, fetch

ACCOUNT = "123456789012"
BUCKET = "aws-cloudtrail-logs-123456789012-0000abcd"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:logs"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:logs"
PATIENCE_S = 45.0


@pytest.fixture(scope="module")
def queues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStackHome]:
    """An SQS server of its own, which outlives the gateway."""
    with running_ministack(tmp_path_factory.mktemp("queues")) as server:
        yield server


@pytest.fixture
def subscriber(tmp_path: Path) -> Iterator[Subscriber]:
    """An HTTPS server with a certificate of an authority that only the operator knows."""
    files = ensure(tmp_path / "tls", ("localhost",), datetime.now(UTC))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.chain, files.key)
    server = Subscriber(tls=tls)
    server.start()
    yield server
    server.stop()


def _settings(tmp_path: Path, queues: MiniStackHome, services: str = "sqs") -> dict[str, str]:
    credentials = tmp_path / "queues-credentials"
    secret = queues.server.secret_access_key
    credentials.write_text(f"[default]\naws_access_key_id = {ACCOUNT}\naws_secret_access_key = {secret}\n")
    return {
        "OPENTRAIL_LOCAL_MINISTACK": "off",
        "OPENTRAIL_UPSTREAM_QUEUES_ENDPOINT": queues.server.endpoint,
        "OPENTRAIL_UPSTREAM_QUEUES_SERVICES": services,
        "OPENTRAIL_UPSTREAM_QUEUES_CREDENTIALS": str(credentials),
        "OPENTRAIL_SNS_CA_FILE": str(tmp_path / "tls" / "ca.pem"),
    }


def _topic_policy() -> str:
    statement = {
        "Sid": "AWSCloudTrailSNSPolicy20150319",
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": TOPIC,
        "Condition": {"StringEquals": {"aws:SourceArn": f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/main"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _queue_policy() -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE,
        "Condition": {"ArnEquals": {"aws:SourceArn": TOPIC}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


class Readers:
    """What the two subscribers were told so far."""

    def __init__(self, sqs: Any, queue_url: str, web: Subscriber) -> None:
        self._sqs, self._queue_url, self.web = sqs, queue_url, web
        self.envelopes: list[dict[str, Any]] = []

    def by_queue(self) -> list[str]:
        """The messages from the queue, all there are."""
        while True:
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                self.envelopes.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
            if not answer.get("Messages"):
                return [envelope["Message"] for envelope in self.envelopes]

    def by_web(self) -> list[str]:
        """The messages over HTTPS, each with a signature that held."""
        return [envelope["Message"] for envelope in self.web.notifications()]


def _keys(messages: list[str]) -> set[str]:
    found = [json.loads(text) for text in messages if text.startswith("{")]
    assert all(message["s3Bucket"] == BUCKET for message in found)
    return {key for message in found for key in message["s3ObjectKey"]}


def _log_files(gateway: Gateway) -> set[str]:
    pages = gateway.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".gz")}


@pytest.mark.timeout(200)
def test_two_subscribers_get_each_log_files_message_across_a_kill_and_an_outage(
    tmp_path: Path, queues: MiniStackHome, subscriber: Subscriber
) -> None:
    """Every key that is announced exists; every log file is announced to both, also what was delivered just before the
    kill, and while the web server was down; signatures hold with the certificate fetched at the beginning.
    """
    settings = _settings(tmp_path, queues)
    gateway = start(tmp_path / "home", settings)
    sqs = queues.client("sqs", account=ACCOUNT)
    readers = Readers(sqs, _set_up(gateway, sqs, subscriber), subscriber)
    _until(lambda: bool(_keys(readers.by_web())), "the first log file is announced")
    subscriber.stop()
    for _ in range(3):
        gateway.client("cloudtrail").describe_trails()
        time.sleep(1.1)
    gateway.kill()
    with running(tmp_path / "home", settings) as gateway:
        time.sleep(3)
        subscriber.start()
        gateway.client("cloudtrail").stop_logging(Name="main")
        _until(lambda: len(_log_files(gateway)) >= 4, "log files are delivered after the kill")
        time.sleep(2.5)
        files = _log_files(gateway)
        _until(lambda: _keys(readers.by_queue()) >= files, "the queue is told of every log file")
        _until(lambda: _keys(readers.by_web()) >= files, "the web server is told of every log file")
        assert _keys(readers.by_queue()) == _keys(readers.by_web()) == _log_files(gateway)
        for messages in (readers.by_queue(), readers.by_web()):
            assert [text for text in messages if not text.startswith("{")] == ["CloudTrail validation message."]
        status = gateway.client("cloudtrail").get_trail_status(Name="main")
        assert status["LatestNotificationTime"] >= status["StartLoggingTime"]
        assert status["LatestNotificationAttemptSucceeded"]
        assert "LatestNotificationError" not in status


def _set_up(gateway: Gateway, sqs: Any, subscriber: Subscriber) -> str:
    """A topic with two subscribers, and a trail that announces there; the queue's URL."""
    sns = gateway.client("sns")
    assert sns.create_topic(Name="logs")["TopicArn"] == TOPIC
    queue_url: str = sqs.create_queue(QueueName="logs", Attributes={"Policy": _queue_policy()})["QueueUrl"]
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    patient = {"healthyRetryPolicy": {"numRetries": 100, "minDelayTarget": 1, "maxDelayTarget": 1}}
    sns.subscribe(
        TopicArn=TOPIC,
        Protocol="https",
        Endpoint=f"https://localhost:{subscriber.port}/sns",
        Attributes={"DeliveryPolicy": json.dumps(patient)},
    )

    def confirmed() -> bool:
        states = sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
        return all(state["SubscriptionArn"].startswith(TOPIC) for state in states)

    _until(confirmed, "the web server confirms")
    s3, cloudtrail = gateway.client("s3"), gateway.client("cloudtrail")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=trail_policy(BUCKET, ACCOUNT))
    cloudtrail.create_trail(Name="main", S3BucketName=BUCKET)
    with pytest.raises(ClientError, match="InsufficientSnsTopicPolicyException"):
        cloudtrail.update_trail(Name="main", SnsTopicName="logs")
    assert "SnsTopicARN" not in cloudtrail.get_trail(Name="main")["Trail"]
    sns.set_topic_attributes(TopicArn=TOPIC, AttributeName="Policy", AttributeValue=_topic_policy())
    answer = cloudtrail.update_trail(Name="main", SnsTopicName="logs")
    assert (answer["SnsTopicARN"], answer["SnsTopicName"]) == (TOPIC, "logs")
    cloudtrail.start_logging(Name="main")  # from now on: what was delivered without a topic is not announced
    return queue_url


@pytest.mark.timeout(120)
def test_the_aws_cli_and_links_drive_the_api_and_each_call_is_recorded(
    tmp_path: Path, subscriber: Subscriber, queues: MiniStackHome
) -> None:
    """Commands of the unmodified CLI; Publish is a data event without its text; a visited link is an anonymous call."""
    with running(tmp_path / "home", _settings(tmp_path, queues)) as gateway:
        make_trail(gateway, BUCKET)
        _select_everything(gateway)

        def cli(*arguments: str) -> Any:
            done = gateway.cli("sns", *arguments)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout) if done.stdout.strip() else {}

        topic = cli("create-topic", "--name", "cli", "--tags", "Key=team,Value=audit")["TopicArn"]
        endpoint = f"https://localhost:{subscriber.port}/sns"
        cli("subscribe", "--topic-arn", topic, "--protocol", "https", "--notification-endpoint", endpoint)
        _until(lambda: _confirmed(gateway, topic), "the web server confirms")
        cli("publish", "--topic-arn", topic, "--message", "canary-message", "--subject", "canary-subject")
        _until(lambda: bool(subscriber.notifications()), "the message arrives")
        envelope = subscriber.notifications()[0]
        assert (envelope["Message"], envelope["Subject"]) == ("canary-message", "canary-subject")
        fetch(envelope["UnsubscribeURL"])
        sns = gateway.client("sns")
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
        refused = gateway.cli(
            "sns", "create-platform-application", "--name", "n", "--platform", "GCM", "--attributes", "a=b"
        )
        assert "mobile push" in refused.stderr
        stranger = Key("AKIASTRANGER00000001", "stranger-secret-stranger-secret-stranger")
        gateway.import_key("222222222222", stranger, "--root")
        with pytest.raises(ClientError, match="AuthorizationError"):
            gateway.client("sns", stranger).publish(TopicArn=topic, Message="m")
        sns.delete_topic(TopicArn=topic)
        _until(lambda: "DeleteTopic" in {record["eventName"] for record in _sns_records(gateway)}, "the records arrive")
        records = {record["eventName"]: record for record in _sns_records(gateway)}
    assert "canary" not in json.dumps(records)
    published = records["Publish"]
    assert (published["eventCategory"], published["managementEvent"]) == ("Data", False)
    assert published["resources"] == [{"accountId": ACCOUNT, "type": "AWS::SNS::Topic", "ARN": topic}]
    assert records["Unsubscribe"]["userIdentity"]["accountId"] == "anonymous"
    assert records["ConfirmSubscription"]["recipientAccountId"] == ACCOUNT
    assert "HIDDEN" in records["ConfirmSubscription"]["requestParameters"]["token"]
    assert records["CreateTopic"]["responseElements"] == {"topicArn": topic}


def _confirmed(gateway: Gateway, topic: str) -> bool:
    found = gateway.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return all(item["SubscriptionArn"].startswith(topic) for item in found)


def _select_everything(gateway: Gateway) -> None:
    management = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
    data = {
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::SNS::Topic"]},
        ]
    }
    gateway.client("cloudtrail").put_event_selectors(TrailName="main", AdvancedEventSelectors=[management, data])


def _sns_records(gateway: Gateway) -> list[dict[str, Any]]:
    records = delivered(gateway.client("s3"), BUCKET)
    return [record for record in records if record["eventSource"] == "sns.amazonaws.com"]


@pytest.mark.timeout(120)
def test_trails_announce_at_an_upstreams_sns_where_it_is_named(tmp_path: Path, queues: MiniStackHome) -> None:
    """Topics are made, and log files announced, at the server of ``[upstream.queues]``; we have none."""
    sqs, foreign = queues.client("sqs", account=ACCOUNT), queues.client("sns", account=ACCOUNT)
    with running(tmp_path / "home", _settings(tmp_path, queues, "sqs,sns")) as gateway:
        topic = gateway.client("sns").create_topic(Name="foreign")["TopicArn"]
        assert topic in {item["TopicArn"] for item in foreign.list_topics()["Topics"]}
        queue_url = sqs.create_queue(QueueName="foreign")["QueueUrl"]
        foreign.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:foreign")
        make_trail(gateway, BUCKET)
        cloudtrail = gateway.client("cloudtrail")
        with pytest.raises(ClientError, match="InsufficientSnsTopicPolicyException"):
            cloudtrail.update_trail(Name="main", SnsTopicName="not-there")
        cloudtrail.update_trail(Name="main", SnsTopicName=topic)
        readers = Readers(sqs, queue_url, Subscriber())
        _until(lambda: bool(_keys(readers.by_queue())), "a log file is announced")
        assert _keys(readers.by_queue()) <= _log_files(gateway)
        assert "CloudTrail validation message." in readers.by_queue()
