"""A second, real S3 server with a bucket for what expires, and the settings by which ``opentrail up`` finds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opentrail.local.seaweedfs import SeaweedFS
from opentrail.storage.bucket import S3ObjectStore
from tests.support.gateway import Key
from tests.support.seaweed import running_seaweed

BUCKET = "audit-archive"


@dataclass(frozen=True)
class ArchiveServer:
    """Where it is, and who may use it."""

    server: SeaweedFS
    credentials: Path

    @property
    def store(self) -> S3ObjectStore:
        """A client of its own."""
        return self.server.store()

    @property
    def key(self) -> Key:
        """Its administrator's key."""
        return Key(self.server.access_key_id, self.server.secret_access_key)

    @property
    def settings(self) -> dict[str, str]:
        """``[upstream.archive]``, as environment variables."""
        named = {"ENDPOINT": self.server.endpoint, "CREDENTIALS": str(self.credentials), "BUCKET": BUCKET}
        return {f"OPENTRAIL_UPSTREAM_ARCHIVE_{name}": value for name, value in named.items()}

    def listed(self) -> list[str]:
        """What it has by now."""
        return list(self.store.list_keys(BUCKET, ""))


@contextmanager
def running_archive(directory: Path) -> Iterator[ArchiveServer]:
    """The server, for the length of a block."""
    with running_seaweed(directory) as server:
        server.store().create_bucket(BUCKET)
        credentials = directory / "archive.credentials"
        pair = (server.access_key_id, server.secret_access_key)
        credentials.write_text("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n".format(*pair))
        yield ArchiveServer(server, credentials)
