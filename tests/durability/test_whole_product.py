"""The promise, on the whole product: what was acknowledged is in the bucket exactly once, and nothing is invented."""

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.local.seaweedfs import SeaweedFS
from opentrail.processes.supervisor import Supervisor
from tests.support.gateway import Gateway, call, delivered, make_trail, start

BUCKET = "aws-cloudtrail-logs-123456789012-0000dddd"
PATIENCE_S = 60


class Load:
    """Clients that call without retries and remember what they sent and what was acknowledged."""

    def __init__(self, gateway: Gateway, threads: int = 4) -> None:
        self.sent: set[str] = set()
        self.acknowledged: dict[str, str] = {}
        self._gateway = gateway
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            count += 1
            tag = f"load/{uuid.uuid4()}"
            self.sent.add(tag)
            service, operation, body = (
                ("opsworks-cm", "DescribeServers", {}),
                ("opentrail", "CreateAccount", {"AccountId": f"{random.randrange(10**12):012}"}),
                ("opsworks-cm", "DescribeServers", {"ServerName": "9 is no name"}),
            )[(count + number) % 3]
            try:
                status, request_id = call(self._gateway, service, operation, body, tag)
            except (OSError, http.client.HTTPException):
                continue
            if status < 500:
                self.acknowledged[request_id] = tag

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def _check(gateway: Gateway, loads: list[Load]) -> None:
    """Wait for what is acknowledged, then hold the bucket against what was sent."""
    acknowledged = {request_id: tag for load in loads for request_id, tag in load.acknowledged.items()}
    sent = set().union(*(load.sent for load in loads))
    assert acknowledged, "the load was never served"
    s3 = gateway.client("s3")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        records = [record for record in delivered(s3, BUCKET) if record["userAgent"].startswith("load/")]
        missing = set(acknowledged) - {record["requestID"] for record in records}
        if not missing:
            break
        assert time.monotonic() < deadline, f"{len(missing)} of {len(acknowledged)} acknowledged records are missing"
        time.sleep(0.5)
    assert {record["userAgent"] for record in records} <= sent, "a record that belongs to no call"
    for what in ("requestID", "eventID", "userAgent"):
        twice = [name for name, count in Counter(record[what] for record in records).items() if count > 1]
        assert not twice, f"{what} stands twice: {twice[:3]}"
    for record in records:
        if record["requestID"] in acknowledged:
            assert acknowledged[record["requestID"]] == record["userAgent"]


def _kills(home: Path, rounds: int) -> tuple[int, int]:
    gateway = start(home)
    make_trail(gateway, BUCKET)
    loads = []
    for _ in range(rounds):
        load = Load(gateway)
        loads.append(load)
        time.sleep(random.uniform(0.3, 2.0))
        gateway.kill()
        load.stop()
        gateway = start(home)
    _check(gateway, loads)
    assert gateway.stop() == 0
    return sum(len(load.acknowledged) for load in loads), sum(len(load.sent) for load in loads)


@pytest.mark.timeout(600)
def test_ten_kills_under_load_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """SIGKILL at random moments, ten times."""
    _kills(tmp_path / "home", 10)


@pytest.mark.soak
def test_fifty_kills_under_load_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """SIGKILL at random moments, fifty times."""
    acknowledged, sent = _kills(tmp_path / "home", 50)
    print(f"50 kills: {acknowledged} of {sent} calls acknowledged, each in the bucket exactly once")


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[SeaweedFS]:
    """An S3 server of its own, which a test may stop."""
    supervisor = Supervisor(tmp_path / "s3-processes", SystemClock())
    server = SeaweedFS(tmp_path / "s3", supervisor, SystemEntropy())
    server.start()
    yield server
    server.stop()
    supervisor.stop_all()


def _settings(upstream: SeaweedFS, tmp_path: Path) -> dict[str, str]:
    credentials = tmp_path / "s3-credentials"
    key = f"aws_access_key_id = {upstream.access_key_id}\naws_secret_access_key = {upstream.secret_access_key}\n"
    credentials.write_text(f"[default]\n{key}")
    return {"OPENTRAIL_UPSTREAM_S3_ENDPOINT": upstream.endpoint, "OPENTRAIL_UPSTREAM_S3_CREDENTIALS": str(credentials)}


def _outage(upstream: SeaweedFS, tmp_path: Path, down_s: float) -> None:
    gateway = start(tmp_path / "home", _settings(upstream, tmp_path))
    make_trail(gateway, BUCKET)
    before = upstream.endpoint
    load = Load(gateway, threads=2)
    time.sleep(1)
    upstream.stop()
    time.sleep(down_s)
    status = gateway.client("cloudtrail").get_trail_status(Name="main")
    assert status["LatestDeliveryError"], "the outage is shown"
    assert call(gateway, "opsworks-cm", "DescribeServers", {}, "probe")[0] == 200, "calls go on"
    upstream.start()
    assert upstream.endpoint == before
    time.sleep(1)
    load.stop()
    _check(gateway, [load])
    assert "LatestDeliveryError" not in gateway.client("cloudtrail").get_trail_status(Name="main")
    assert gateway.stop() == 0


def test_a_dead_bucket_is_shown_and_caught_up(upstream: SeaweedFS, tmp_path: Path) -> None:
    """Down for some seconds: calls go on, the error is in GetTrailStatus, and afterwards nothing is missing."""
    _outage(upstream, tmp_path, 6)


@pytest.mark.soak
def test_a_bucket_that_is_dead_for_a_minute_is_caught_up(upstream: SeaweedFS, tmp_path: Path) -> None:
    """The same for a minute."""
    _outage(upstream, tmp_path, 60)


def _flip(journal: Path, marker: bytes) -> Path:
    """Flip one bit in the middle of the journal's records."""
    for segment in sorted(journal.iterdir()):
        if not segment.is_file():
            continue
        content = segment.read_bytes()
        at = content.find(marker)
        if at > 0:
            with segment.open("r+b") as file:
                file.seek(at)
                file.write(bytes([content[at] ^ 1]))
            return segment
    raise AssertionError("the record is in no segment")


def test_damage_in_the_middle_of_the_journal_is_named_and_nothing_valid_is_lost(tmp_path: Path) -> None:
    """The start is refused with file and offset; accepted, every other record is delivered, and the damage recorded."""
    home = tmp_path / "home"
    gateway = start(home, {"OPENTRAIL_DELIVERY_INTERVAL_S": "3600"})
    make_trail(gateway, BUCKET)
    tags = [f"load/{number}-{uuid.uuid4()}" for number in range(40)]
    for tag in tags:
        assert call(gateway, "opsworks-cm", "DescribeServers", {}, tag)[0] == 200
    assert gateway.stop() == 0
    segment = _flip(home / "journal", tags[20].encode())
    refused = gateway.opentrail("up", "--port", "0")
    assert refused.returncode == 1
    assert segment.name in refused.stderr
    assert "offset" in refused.stderr
    gateway = start(home, None, "--accept-damage")
    s3 = gateway.client("s3")
    deadline = time.monotonic() + PATIENCE_S
    wanted = {*tags} - {tags[20]}
    found = delivered(s3, BUCKET)
    while not wanted <= {record["userAgent"] for record in found}:
        assert time.monotonic() < deadline
        time.sleep(0.5)
        found = delivered(s3, BUCKET)
    assert tags[20] not in json.dumps(found)
    assert any(record["eventName"] == "JournalDamageAccepted" for record in found)
    assert gateway.stop() == 0
