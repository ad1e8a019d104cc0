"""CloudWatch Logs and EventBridge by the unmodified AWS CLI and SDK: a trail's records as log events and as events.

MiniStack runs beside the gateway, so that each can be down while the other is not.
"""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opentrail.delivery.object_keys import parse
from opentrail.local.ministack import missing
from tests.support.gateway import Gateway, start, trail_policy
from tests.support.log_groups import ACCOUNT, GROUP, GROUP_ARN, PAIR, ROLE_ARN, STREAM, make_role
from tests.support.ministack import MiniStackHome, running_ministack

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

BUCKET = "aws-cloudtrail-logs-123456789012-0000cafe"
QUEUE = "told"
WAIT_S = 120.0


@dataclass
class World:
    """A gateway, the MiniStack behind it, and what the gateway is started with."""

    home: Path
    ministack: MiniStackHome
    settings: Mapping[str, str]
    gateway: Gateway

    def aws(self, *arguments: str) -> dict[str, Any]:
        """One call of the AWS CLI; its answer."""
        done = self.gateway.cli(*arguments, "--output", "json")
        assert done.returncode == 0, (arguments, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def restart_gateway(self) -> None:
        """SIGKILL, and up again on the same HOME."""
        self.gateway.kill()
        self.gateway = start(self.home, self.settings)

    def log_files(self) -> dict[str, str]:
        """The records of all log files by event id, as they are written there."""
        s3, found = self.gateway.client("s3"), dict[str, tuple[dict[str, Any], str]]()
        for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            if parse(item["Key"]) is not None:
                text = gzip.decompress(s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()).decode()
                found |= {record["eventID"]: (record, text) for record in json.loads(text)["Records"]}
        return {event_id: _written(record, text) for event_id, (record, text) in found.items()}

    def log_events(self) -> list[str]:
        """The messages in the trail's stream, as the AWS CLI shows them."""
        names = ("--log-group-name", GROUP, "--log-stream-name", STREAM, "--start-from-head")
        return [event["message"] for event in self.aws("logs", "get-log-events", *names)["events"]]

    def told(self, found: dict[str, Any]) -> dict[str, Any]:
        """Adds the envelopes that wait in the queue, by their event's id."""
        sqs = self.gateway.client("sqs")
        url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                envelope = json.loads(message["Body"])
                found[envelope["detail"]["eventID"]] = envelope
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found


def _written(record: dict[str, Any], text: str) -> str:
    """A record's own text in a log file."""
    written = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    assert written in text, "the record's text is not where its value is"
    return written


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.5)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A trail with a log group, and a rule that sends what the bus is told to a queue."""
    with running_ministack(tmp_path / "behind") as ministack:
        credentials = tmp_path / "upstream"
        secret = ministack.server.secret_access_key
        credentials.write_text(f"[default]\naws_access_key_id = {ACCOUNT}\naws_secret_access_key = {secret}\n")
        settings = {
            "OPENTRAIL_UPSTREAM_DEFAULT_ENDPOINT": ministack.server.endpoint,
            "OPENTRAIL_UPSTREAM_DEFAULT_CREDENTIALS": str(credentials),
            "OPENTRAIL_DELIVERY_EVENT_BUS": "true",
            "OPENTRAIL_DELIVERY_EVENT_BUS_SOURCE": "opentrail.",
        }
        made = World(tmp_path / "home", ministack, settings, start(tmp_path / "home", settings))
        try:
            _prepare(made)
            yield made
        finally:
            made.gateway.stop()


def _prepare(world: World) -> None:
    s3, sqs, events = (world.gateway.client(name) for name in ("s3", "sqs", "events"))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=trail_policy(BUCKET, ACCOUNT))
    make_role(world.gateway.client("iam"))
    world.aws("logs", "create-log-group", "--log-group-name", GROUP)
    pair = ("--cloud-watch-logs-log-group-arn", GROUP_ARN, "--cloud-watch-logs-role-arn", ROLE_ARN)
    shown = world.aws("cloudtrail", "create-trail", "--name", "main", "--s3-bucket-name", BUCKET, *pair)
    assert shown.items() >= PAIR.items()
    sqs.create_queue(QueueName=QUEUE)
    events.put_rule(Name="changes", EventPattern=json.dumps({"source": ["opentrail.cloudtrail"]}))
    target = {"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{QUEUE}"}
    events.put_targets(Rule="changes", Targets=[target])
    world.aws("cloudtrail", "start-logging", "--name", "main")


def tag(world: World, value: str) -> None:
    """One call that changes something, of a service of ours."""
    arn = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/main"
    world.aws("cloudtrail", "add-tags", "--resource-id", arn, "--tags-list", f"Key=step,Value={value}")


def tagged(records: Mapping[str, Any]) -> set[str]:
    """The values of the tags whose calls are among records."""
    calls = [record["requestParameters"] for record in records.values() if record["eventName"] == "AddTags"]
    return {parameters["tagsList"][0]["value"] for parameters in calls}


def by_id(texts: list[str]) -> dict[str, Any]:
    """Records by their event id."""
    return {record["eventID"]: record for record in map(json.loads, texts)}


def test_every_record_is_a_log_event_and_every_change_an_event(world: World) -> None:
    """The log event is the log file's record, byte for byte; the rule's queue gets CloudTrail's envelope."""
    tag(world, "first")
    told: dict[str, Any] = {}
    wait_for(lambda: "first" in tagged(by_id(world.log_events())))
    wait_for(lambda: "first" in tagged({key: found["detail"] for key, found in world.told(told).items()}))
    messages, files = world.log_events(), world.log_files()
    assert set(messages) <= set(files.values())
    assert len(messages) == len(set(messages))
    (envelope,) = [found for found in told.values() if found["detail"]["eventName"] == "AddTags"]
    record = json.loads(files[envelope["detail"]["eventID"]])
    shown = {name: envelope[name] for name in ("detail-type", "source", "account", "region", "resources", "detail")}
    assert shown == {
        "detail-type": "AWS API Call via CloudTrail",
        "source": "opentrail.cloudtrail",
        "account": ACCOUNT,
        "region": "us-east-1",
        "resources": [],
        "detail": record,
    }
    status = world.aws("cloudtrail", "get-trail-status", "--name", "main")
    assert status["LatestCloudWatchLogsDeliveryTime"]
    assert "LatestCloudWatchLogsDeliveryError" not in status


def test_nothing_is_missing_after_a_kill_and_an_outage(world: World) -> None:
    """The server behind is down, the gateway is killed, and both come back: log group and bus get everything."""
    tag(world, "before")
    wait_for(lambda: "before" in tagged(by_id(world.log_events())))
    world.ministack.server.stop()
    tag(world, "during")
    wait_for(lambda: "during" in tagged(by_id(list(world.log_files().values()))))

    def error() -> Any:
        return world.aws("cloudtrail", "get-trail-status", "--name", "main").get("LatestCloudWatchLogsDeliveryError")

    wait_for(lambda: error() == "ServiceUnavailable")
    world.restart_gateway()
    tag(world, "after")
    world.ministack.server.start()
    world.ministack.server.wait_until_ready()
    expected, told = {"before", "during", "after"}, dict[str, Any]()
    wait_for(lambda: expected <= tagged(by_id(world.log_events())))
    wait_for(lambda: expected <= tagged({key: found["detail"] for key, found in world.told(told).items()}))
    assert error() is None
    in_files = by_id(list(world.log_files().values()))
    in_group = by_id(world.log_events())
    assert in_group.keys() <= in_files.keys()
    until = max(record["eventTime"] for record in in_group.values() if record["eventName"] == "AddTags")
    assert {key for key, record in in_files.items() if record["eventTime"] < until} <= in_group.keys()
