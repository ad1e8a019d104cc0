"""A gateway with two servers behind it that live by themselves: SeaweedFS for S3, and the ledger for SQS.

Each can be killed and started again alone. A trail takes everything that callers do, in a bucket that is read at
SeaweedFS itself.
"""

import gzip
import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.local.seaweedfs import CHILD_NAME, SeaweedFS
from opentrail.processes.supervisor import Supervisor
from tests.support.callers import BUCKET, Name, Reply, Request, Seen, connect, fresh_mark, send, sqs
from tests.support.gateway import Gateway, false_start, make_trail, start
from tests.support.ledger import Ledger
from tests.support.reckoning import Effects, figures, findings, name_of, objects_effects

TRAIL_BUCKET = "aws-cloudtrail-logs-123456789012-0000eeee"
PATIENCE_S = 90
IDLE_LOOKS = 5
ACTIVITY = ("opentrail_journal_open_intents", "opentrail_calls_total", "opentrail_upstream_in_flight")
SELECTORS: list[dict[str, Any]] = [
    {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
    {
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            {"Field": "resources.ARN", "StartsWith": [f"arn:aws:s3:::{BUCKET}/"]},
        ]
    },
    {
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::SQS::Queue"]},
        ]
    },
]


class World:
    """The gateway, and what is behind it."""

    def __init__(self, directory: Path, ledger: Ledger, settings: Mapping[str, str] | None = None) -> None:
        """Nothing runs yet; ``settings`` are the gateway's, beside what names its upstreams."""
        self.ledger = ledger
        self._home = directory / "home"
        self._settings = dict(settings or {})
        self._supervisor = Supervisor(directory / "s3-processes", SystemClock())
        self._seaweed = SeaweedFS(directory / "s3", self._supervisor, SystemEntropy())
        self._credentials = directory / "s3-credentials"
        self._records: dict[str, list[dict[str, Any]]] = {}
        self._fences: set[Name] = set()
        self._seen: dict[Name, Seen] = {}
        self._gateway: Gateway | None = None

    @property
    def gateway(self) -> Gateway:
        """The one that runs, or ran last."""
        assert self._gateway is not None
        return self._gateway

    def start(self) -> None:
        """Start everything, and make the trail and the callers' bucket."""
        self.ledger.start()
        self._seaweed.start()
        key = f"aws_access_key_id = {self._seaweed.access_key_id}\n"
        secret = f"aws_secret_access_key = {self._seaweed.secret_access_key}\n"
        self._credentials.write_text(f"[default]\n{key}{secret}")
        self._gateway = start(self._home, self._environment())
        make_trail(self.gateway, TRAIL_BUCKET)
        self.gateway.client("cloudtrail").put_event_selectors(TrailName="main", AdvancedEventSelectors=SELECTORS)
        self.gateway.client("s3").create_bucket(Bucket=BUCKET)

    def _environment(self) -> dict[str, str]:
        s3 = {
            "OPENTRAIL_UPSTREAM_S3_ENDPOINT": self._seaweed.endpoint,
            "OPENTRAIL_UPSTREAM_S3_CREDENTIALS": str(self._credentials),
            "OPENTRAIL_JOURNAL_SEGMENT_BYTES": str(1 << 20),
        }
        return s3 | self.ledger.settings | self._settings

    def restart_gateway(self, settings: Mapping[str, str] | None = None) -> Gateway:
        """Start it after a kill or a stop; ``settings`` replace those it had."""
        self._settings = dict(self._settings if settings is None else settings)
        self._gateway = start(self._home, self._environment(), tools=self.gateway.environment)
        return self._gateway

    def kill_starting_gateway(self, alive_s: float) -> None:
        """Start the gateway, and SIGKILL it that much later, ready or not."""
        false_start(self._home, self._environment(), alive_s)

    def kill_seaweed(self) -> None:
        """SIGKILL; it stays down until ``start_seaweed``."""
        self.signal_seaweed(signal.SIGKILL)

    def signal_seaweed(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        child = self._supervisor.child(CHILD_NAME)
        assert child is not None
        assert child.pid is not None
        os.kill(child.pid, number)

    def start_seaweed(self) -> None:
        """Start it again, with what it holds."""
        self._seaweed.stop()
        self._seaweed.start()

    def keys(self) -> set[str]:
        """The keys of the callers' objects, read at SeaweedFS."""
        return set(self._seaweed.store().list_keys(BUCKET, ""))

    def effects(self, seen: Mapping[Name, Seen]) -> Effects:
        """What both servers hold of these calls."""
        objects = objects_effects(seen, self.keys())
        return Effects(objects.happened + self.ledger.done(), objects.undone)

    def call(self, request: Request) -> Reply:
        """One call on a connection of its own."""
        connection = connect(self.gateway)
        try:
            return send(self.gateway, request, connection)
        finally:
            connection.close()

    def records(self) -> list[dict[str, Any]]:
        """Every record that the gateway has and ever had of marked calls: waits until nothing is under way in it any
        more, and all that stands in its journal is delivered."""
        self._wait_until_idle()
        fence = sqs("GetQueueAttributes", fresh_mark())
        self._fences.add(fence.name)
        assert self.call(fence).status == 200
        deadline = time.monotonic() + PATIENCE_S
        while True:
            named = [(name_of(record), record) for record in self._delivered()]
            if any(name == fence.name for name, _ in named):  # files hold what the journal holds, in its order
                return [record for name, record in named if name is not None and name not in self._fences]
            assert time.monotonic() < deadline, "delivery stands still"
            time.sleep(0.3)

    def _wait_until_idle(self) -> None:
        """Clients that went away wait for no answer, but what they sent is still carried out."""
        deadline, last, idle = time.monotonic() + PATIENCE_S, "", 0
        while idle < IDLE_LOOKS:
            assert time.monotonic() < deadline, "the gateway does not come to rest"
            time.sleep(0.2)
            with urllib.request.urlopen(f"{self.gateway.url}/_opentrail/metrics", timeout=10) as page:
                figures = [line for line in page.read().decode().splitlines() if line.startswith(ACTIVITY)]
            is_idle = "opentrail_journal_open_intents 0.0" in figures and "\n".join(figures) == last
            idle = idle + 1 if is_idle else 0
            last = "\n".join(figures)

    def _delivered(self) -> list[dict[str, Any]]:
        store = self._seaweed.store()
        for key in store.list_keys(TRAIL_BUCKET, "AWSLogs/"):
            if "/CloudTrail/" in key and key.endswith(".json.gz") and key not in self._records:
                self._records[key] = json.loads(gzip.decompress(store.get(TRAIL_BUCKET, key)))["Records"]
        return [record for records in self._records.values() for record in records]

    def reckon(self, seen: Mapping[Name, Seen]) -> list[dict[str, Any]]:
        """Hold together everything that was ever called here: nothing may be found. Answers the records of these
        calls, and prints the figures.
        """
        self._seen |= seen
        records = self.records()
        effects = self.effects(self._seen)
        print(figures(self._seen, effects, records))
        found = findings(self._seen, effects, records)
        assert not found, f"{len(found)} findings: " + "; ".join(found[:10])
        return [record for record in records if name_of(record) in seen]

    def close(self) -> None:
        """End everything, at once."""
        if self._gateway is not None and self._gateway.process.poll() is None:
            self._gateway.kill()
        self.ledger.kill()
        self._supervisor.stop_all()


@contextmanager
def running_world(directory: Path, ledger: Ledger, settings: Mapping[str, str] | None = None) -> Iterator[World]:
    """All of it, for the length of a block."""
    world = World(directory, ledger, settings)
    try:
        world.start()
        yield world
    finally:
        world.close()
