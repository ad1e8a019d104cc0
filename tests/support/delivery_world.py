"""A courier with a real journal and state database, over whatever object store and clock a test wants."""

import gzip
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opentrail.clock import SystemEntropy
from opentrail.delivery.courier import Courier, DeliveryOptions
from opentrail.delivery.object_keys import parse
from opentrail.identity.policy import Policy
from opentrail.journal import Draft, Journal, JournalOptions
from opentrail.kms.store import Keys
from opentrail.organizations.store import Organizations
from opentrail.state.database import Database
from opentrail.storage.bucket import ObjectStore
from opentrail.trails.bucket_access import BucketPolicyMode
from opentrail.trails.store import DeliveryStatus, Trails
from opentrail.trails.trail import Trail

ACCOUNT = "123456789012"
VIRGINIA = f"{ACCOUNT}/us-east-1"
IRELAND = f"{ACCOUNT}/eu-west-1"
BUCKET = "logs-bucket"
START = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


class SteeredClock:
    """A clock that tests move; the wall may be set back, the monotonic side never goes back."""

    def __init__(self) -> None:
        self.wall = START
        self.ticks_s = 1000.0

    def now(self) -> datetime:
        """The wall's time."""
        return self.wall

    def monotonic(self) -> float:
        """The monotonic side's time."""
        return self.ticks_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both."""
        self.wall += timedelta(seconds=seconds)
        self.ticks_s += seconds


class Directory:
    """Bucket owners and policies, as tests set them."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {BUCKET: ACCOUNT, "second-bucket": ACCOUNT}
        self.policies: dict[str, Policy] = {}

    def owner(self, name: str) -> str | None:
        """Who owns a bucket."""
        return self.owners.get(name)

    def policy(self, name: str) -> Policy | None:
        """The bucket's policy."""
        return self.policies.get(name)


class DeliveryWorld:
    """Everything a courier needs, kept under one directory; ``restarted`` gives the next life of the same."""

    def __init__(self, directory: Path, store: ObjectStore, clock: Any = None, **options: Any) -> None:
        self.directory, self.store, self.clock = directory, store, clock or SteeredClock()
        self.buckets = Directory()
        self.options = DeliveryOptions(**{"bucket_policy": BucketPolicyMode.TRUST, **options})
        self.database = Database(directory / "state.db")
        self.database.create_tables()
        self.journal = Journal.open(directory / "journal", JournalOptions(segment_bytes=1 << 20))
        self.organizations = Organizations(self.database)
        self.trails = Trails(self.database, self.organizations)
        self.keys: Keys | None = None
        self.courier = self._new_courier()

    def _new_courier(self) -> Courier:
        return Courier(
            journal=self.journal,
            database=self.database,
            trails=self.trails,
            store=self.store,
            buckets=self.buckets,
            clock=self.clock,
            entropy=SystemEntropy(),
            options=self.options,
            keys=self.keys,
        )

    def restart_courier(self) -> None:
        """A new courier over what the last one left, as after a crash."""
        self.courier = self._new_courier()

    def close(self) -> None:
        """Stop and let go of the files."""
        self.courier.stop()
        self.journal.close()
        self.database.close()

    def trail(self, trail_id: str = "t1", **changes: Any) -> Trail:
        """Create a trail that logs."""
        values: dict[str, Any] = {
            "trail_id": trail_id,
            "account_id": ACCOUNT,
            "home_region": "us-east-1",
            "name": f"trail-{trail_id}",
            "bucket": BUCKET,
            "created_at": self.clock.now(),
            "is_logging": True,
        }
        made = Trail(**{**values, **changes})
        self.put_trail(made)
        return made

    def put_trail(self, trail: Trail) -> None:
        """Commit a trail."""
        with self.database.unit() as unit:
            self.trails.put(unit, trail)

    def record(
        self, count: int = 1, *, routes: Iterable[str] = ("t1",), partition: str = VIRGINIA, size_bytes: int = 0
    ) -> list[str]:
        """Append event records, one call each, and give their event ids."""
        ids = [str(uuid.uuid4()) for _ in range(count)]
        time_s = int(self.clock.now().timestamp())
        futures = [
            self.journal.append([Draft(event_id, time_s, partition, tuple(routes), payload(event_id, size_bytes))])
            for event_id in ids
        ]
        for future in futures:
            future.result(timeout=10)
        return ids

    def log_files(self, bucket: str = BUCKET) -> dict[str, list[str]]:
        """The event ids in every log file of a bucket, by object key."""
        keys = [key for key in self.store.list_keys(bucket, "") if parse(key) is not None]
        return {key: event_ids(self.store.get(bucket, key)) for key in keys}

    def delivered(self, bucket: str = BUCKET) -> list[str]:
        """All event ids in a bucket, with repetitions, sorted."""
        return sorted(event_id for ids in self.log_files(bucket).values() for event_id in ids)

    def status(self, trail_id: str = "t1") -> DeliveryStatus:
        """The delivery status of a trail."""
        return self.trails.delivery_status(trail_id)

    def pass_after(self, seconds: float) -> None:
        """Let time pass, then one round of the courier, with its carriers at their end."""
        self.clock.advance(seconds)
        self.run_pass()

    def run_pass(self) -> None:
        """One round of the courier, with its carriers at their end."""
        self.courier.run_pass()
        self.courier.wait_for_carriers()


def payload(event_id: str, size_bytes: int = 0) -> bytes:
    """A small record."""
    return json.dumps({"eventID": event_id, "padding": "x" * size_bytes}, separators=(",", ":")).encode()


def event_ids(body: bytes) -> list[str]:
    """The event ids of a log file's records; fails unless it is one."""
    content = gzip.decompress(body)
    assert content.startswith(b'{"Records":[{')
    document = json.loads(content)
    assert list(document) == ["Records"]
    assert document["Records"]
    return [record["eventID"] for record in document["Records"]]
