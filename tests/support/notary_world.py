"""A courier and a notary with a real journal, state and key pairs, over a store in memory and a steered clock."""

import gzip
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from opentrail.clock import SystemEntropy
from opentrail.delivery.deposits import Deposits
from opentrail.delivery.keyring import Keyring
from opentrail.delivery.notary import Notary, NotaryOptions
from opentrail.state.sealing import Seal
from opentrail.trails.trail import Trail
from tests.support.delivery_world import BUCKET, START, DeliveryWorld
from tests.support.key_commits import KeyCommits
from tests.support.memory_store import MemoryObjectStore
from tests.support.validate_logs import Verdict, validate

HOUR_S = 3600


@dataclass(frozen=True)
class StoredDigest:
    """A digest file in the bucket: its key, what it says, and the object's metadata."""

    key: str
    says: dict[str, Any]
    metadata: dict[str, str]

    @property
    def interval(self) -> tuple[str, str]:
        """Start and end."""
        return self.says["digestStartTime"], self.says["digestEndTime"]

    @property
    def log_files(self) -> list[str]:
        """The object keys that it lists."""
        return [file["s3Object"] for file in self.says["logFiles"]]


class NotaryWorld(DeliveryWorld):
    """``hours`` lets time pass as for a running OpenTrail; ``key_commits`` knows the key pairs that were made."""

    def __init__(self, directory: Path, store: MemoryObjectStore, *, digest_interval_s: int = HOUR_S) -> None:
        super().__init__(directory, store)
        self.memory = store
        self.digest_interval_s = digest_interval_s
        self.key_commits = KeyCommits(self.database)
        self.restart_notary()

    def restart_notary(self) -> None:
        """A new notary and keyring over what the last ones left, as after a crash."""
        seal = Seal(bytes(32), SystemEntropy())
        self.keyring = Keyring(self.database, seal, self.clock, self.key_commits)
        self.notary = Notary(
            journal=self.journal,
            database=self.database,
            trails=self.trails,
            deposits=Deposits(self.store, self.buckets, self.options.bucket_policy),
            keyring=self.keyring,
            deliveries=self.courier,
            clock=self.clock,
            options=NotaryOptions(interval_s=self.digest_interval_s),
        )

    def restart(self) -> None:
        """Courier and notary end without warning and begin anew."""
        self.restart_courier()
        self.restart_notary()

    def close(self) -> None:
        """Stop and let go of the files."""
        self.notary.stop()
        super().close()

    def validated_trail(self, trail_id: str = "t1", **changes: Any) -> Trail:
        """Create a trail with validation that logs from now on."""
        now = self.clock.now()
        return self.trail(trail_id, **{"validated_since": now, "started_at": now, **changes})

    def run_pass(self) -> None:
        """One round of courier and notary, with their jobs at their end."""
        super().run_pass()
        self.notary.run_pass()
        self.notary.wait_for_jobs()

    def minutes(self, count: int, each: int = 1) -> None:
        """Let time pass, with a round every few minutes."""
        for _ in range(count):
            self.pass_after(60 * each)

    def hours(self, count: int) -> None:
        """Let hours pass, with a round every ten minutes."""
        self.minutes(6 * count, each=10)

    def digests(self, region: str = "us-east-1", bucket: str = BUCKET) -> list[StoredDigest]:
        """The digest files of a region, in the order of their end times."""
        objects = self.memory.buckets[bucket]
        keys = [key for key in objects if f"/CloudTrail-Digest/{region}/" in key]
        found = [
            StoredDigest(key, json.loads(gzip.decompress(objects[key].body)), dict(objects[key].head.metadata))
            for key in keys
        ]
        return sorted(found, key=lambda digest: digest.says["digestEndTime"])

    def verdict(
        self,
        trail: Trail,
        region: str = "us-east-1",
        start: datetime = START - timedelta(days=1),
        account_id: str | None = None,
    ) -> Verdict:
        """What the AWS CLI's verifier says of everything up to now."""
        known = self.trails.snapshot.get(trail.trail_id) or trail
        return validate(self.memory, self.keyring, known, region, (start, self.clock.now()), account_id)
