"""A process that records and delivers into a directory, and kills itself where it is told; run by durability tests.

    python -m tests.support.delivery_child DIRECTORY KILL_AT RECORDS

It prints each acknowledged event id, then flushes. KILL_AT is ``before:N`` or ``after:N`` (the N-th put of this life),
``anywhere`` (somebody else kills it while the courier's thread runs) or ``never``. Bodies are written to
DIRECTORY/attempted before they are put, so that retries can be compared.
"""

import hashlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from opentrail.clock import SystemClock
from opentrail.errors import OutboundError
from opentrail.storage.bucket import ObjectHead
from tests.support.delivery_world import ACCOUNT, IRELAND, VIRGINIA, DeliveryWorld


class DirectoryStore:
    """An object store of files; a put is a link of a finished file, so it happens wholly or not at all."""

    def __init__(self, directory: Path, kill_at: str = "never") -> None:
        self.directory = directory
        self.kill_at = kill_at
        self.puts = 0

    def path(self, bucket: str, key: str) -> Path:
        """Where an object lies."""
        return self.directory / bucket / key.replace("/", "%2F")

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, *, only_if_absent: bool = False, **_: Any) -> str:
        """Store one object, and die before or after it if it is the one to die at."""
        assert isinstance(body, bytes)
        self.puts += 1
        attempted = self.directory / "attempted" / f"{key.replace('/', '%2F')}.{os.getpid()}"
        attempted.parent.mkdir(parents=True, exist_ok=True)
        attempted.write_bytes(body)
        self._die(f"before:{self.puts}")
        target = self.path(bucket, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not only_if_absent:
            target.unlink(missing_ok=True)
        try:
            os.link(attempted, target)
        except FileExistsError:
            raise OutboundError("PreconditionFailed", "the object exists", retryable=False) from None
        self._die(f"after:{self.puts}")
        return hashlib.sha256(body).hexdigest()

    def _die(self, here: str) -> None:
        if here == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def get(self, bucket: str, key: str) -> bytes:
        """The object's bytes."""
        return self.path(bucket, key).read_bytes()

    def download(self, bucket: str, key: str, out: BinaryIO) -> None:
        """The object's bytes into a file."""
        out.write(self.get(bucket, key))

    def head(self, bucket: str, key: str) -> ObjectHead | None:
        """What there is to say of an object."""
        path = self.path(bucket, key)
        if not path.exists():
            return None
        return ObjectHead(path.stat().st_size, "etag", {}, "application/json", "gzip")

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        self.path(bucket, key).unlink(missing_ok=True)

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """The keys of a bucket, in order."""
        folder = self.directory / bucket
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        yield from (key for name in names if (key := name.replace("%2F", "/")).startswith(prefix))

    def bucket_exists(self, bucket: str) -> bool:
        """Every bucket exists."""
        return True

    def create_bucket(self, bucket: str) -> None:
        """Every bucket exists already."""


def main() -> None:
    """Live one life."""
    directory, kill_at, records = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    world = DeliveryWorld(directory, DirectoryStore(directory / "store", kill_at), SystemClock(), interval_s=0.2)
    if not world.trails.snapshot.of(ACCOUNT):
        world.trail(is_multi_region=True)
    if kill_at == "anywhere":
        world.courier.start()
    for _ in range(records):
        for partition in (VIRGINIA, IRELAND):
            for event_id in world.record(10, partition=partition):
                print(event_id, flush=True)
    world.courier.flush()
    world.close()
    print("done", flush=True)


if __name__ == "__main__":
    main()
