"""The embedded S3 server: SeaweedFS 4.48, one process (``weed mini``), hardened and supervised.

What is set and why (measured with 4.48 unless said otherwise):

* Loopback only. WebDAV, Iceberg, Lance, the admin pages, the IAM API, telemetry and bucket creation by upload are off.
* Deleting a bucket that still holds objects is refused, as AWS does; the server's default deletes them all.
* JWT keys close the HTTP doors of the filer and the volume server, mutual TLS the gRPC doors. What stays is the
  master's status over HTTP, and of course files: nothing here protects against an administrator of the machine.
* A key for server-side encryption, without which every AES256 put fails.
* KMS keys come from us alone: its own provider keeps keys in memory, and a crash loses them with every object.
* As many volumes as are asked for: every bucket takes one, and the automatic limit allows only dozens of buckets.
* Every write below ``/buckets`` is flushed, and so is its metadata: SQLite does that, the default LevelDB does not, at
  the same rate of puts. The volumes' index files are not flushed; they are rebuilt after the machine itself went down.

Secrets reach the process through its environment and files of mode 0600, never through argv. They are made once; losing
them loses every encrypted object, so a directory with data and no secrets is refused rather than filled anew.
"""

import logging
from pathlib import Path

from opentrail.clock import Entropy
from opentrail.errors import OutboundError
from opentrail.local.seaweedfs_files import KeyServer, Ports, Secrets, load_ports, load_secrets, options_text
from opentrail.local.seaweedfs_tls import mutual_tls
from opentrail.local.weed import rebuild_indexes, set_fsync, weed_binary
from opentrail.processes.child import ChildSpec
from opentrail.processes.pid_files import boot_id
from opentrail.processes.supervisor import Supervisor
from opentrail.state.private_files import write_private
from opentrail.storage.bucket import S3ObjectStore

__all__ = ["CHILD_NAME", "READINESS_BUCKET", "SeaweedFS", "weed_binary"]

CHILD_NAME = "seaweedfs"
READINESS_BUCKET = "opentrail-readiness"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0

_READINESS_KEY = "ready"
_log = logging.getLogger(__name__)


class SeaweedFS:
    """One SeaweedFS whose data, secrets, ports and log live in one private directory. Not thread safe."""

    region = "us-east-1"

    def __init__(
        self, directory: Path, supervisor: Supervisor, entropy: Entropy, key_server: KeyServer | None = None
    ) -> None:
        """Nothing is read or written until ``start``. Without ``key_server`` there is no encryption with KMS keys."""
        self._directory = directory.absolute()
        self._data = self._directory / "data"
        self._fsync_mark = self._data / "fsync-is-set"
        self._running_mark = self._directory / "running"
        self._supervisor = supervisor
        self._entropy = entropy
        self._key_server = key_server
        self._secrets: Secrets | None = None
        self._ports: Ports | None = None

    @property
    def endpoint(self) -> str:
        """The S3 address, for example ``http://127.0.0.1:18333``; it may change from one start to the next."""
        return f"http://127.0.0.1:{self._started_ports().s3}"

    @property
    def access_key_id(self) -> str:
        """The administrator's access key."""
        return self._started_secrets().access_key_id

    @property
    def secret_access_key(self) -> str:
        """The administrator's secret key."""
        return self._started_secrets().secret_access_key

    def store(self, *, connect_timeout_s: float = 5.0, read_timeout_s: float = 60.0) -> S3ObjectStore:
        """A client with the administrator's keys."""
        return S3ObjectStore(
            self.endpoint,
            self.region,
            self.access_key_id,
            self.secret_access_key,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
        )

    def start(self) -> None:
        """Start the server, and return when an encrypted object could be put and read back, and writes are flushed.

        Made once and kept: secrets and ports (chosen anew when one is taken). Raises ConfigError when the program or
        the secrets of existing data are missing, OutboundError when the server does not come up.
        """
        binary = weed_binary()
        for directory in (self._directory, self._data):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
        self._secrets = load_secrets(self._directory, self._entropy, has_data=any(self._data.iterdir()))
        self._ports = load_ports(self._directory)
        options = self._write_settings(self._secrets, self._ports)
        env = self._environment(self._secrets)
        self._recover(env)
        spec = ChildSpec(
            name=CHILD_NAME,
            argv=(str(binary), "mini", f"-options={options}"),
            log_file=self._directory / "log",
            env=env,
            cwd=self._directory,
            stop_timeout_s=STOP_TIMEOUT_S,
        )
        ready = _Readiness(self.store(connect_timeout_s=1.0, read_timeout_s=5.0), self._entropy.token(16))
        self._supervisor.start(spec, ready, ready_timeout_s=READY_TIMEOUT_S)
        try:
            self._flush_every_write(env)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server; every object stays. Nothing happens when it does not run."""
        self._supervisor.stop(CHILD_NAME)
        self._running_mark.unlink(missing_ok=True)

    def _started_ports(self) -> Ports:
        if self._ports is None:
            raise RuntimeError("SeaweedFS has not been started")
        return self._ports

    def _started_secrets(self) -> Secrets:
        if self._secrets is None:
            raise RuntimeError("SeaweedFS has not been started")
        return self._secrets

    def _write_settings(self, secrets: Secrets, ports: Ports) -> Path:
        identities, options = self._directory / "s3.json", self._directory / "weed.options"
        write_private(identities, secrets.identities(self._key_server))
        write_private(options, options_text(self._data, identities, ports))
        # The server keeps its own copy of the settings of its last start and would mix them in.
        (self._data / "mini.options").unlink(missing_ok=True)
        return options

    def _environment(self, secrets: Secrets) -> dict[str, str]:
        return {
            # HOME and the working directory are where it looks for settings; the user's must not change ours.
            "HOME": str(self._directory),
            "WEED_LEVELDB2_ENABLED": "false",
            "WEED_SQLITE_ENABLED": "true",
            "WEED_SQLITE_DBFILE": str(self._data / "filer.db"),
            **secrets.environment(),
            **mutual_tls(self._directory),
        }

    def _recover(self, env: dict[str, str]) -> None:
        """Rebuild the indexes when the machine went down under the server: their unflushed ends may be lost.

        A server that was merely killed loses nothing: what it wrote is in the kernel's memory.
        """
        boot = boot_id()
        if self._running_mark.exists() and self._running_mark.read_text() != boot:
            _log.warning("the machine went down while SeaweedFS ran; rebuilding the indexes of its volumes")
            rebuild_indexes(self._data, env)
        write_private(self._running_mark, boot)

    def _flush_every_write(self, env: dict[str, str]) -> None:
        if not self._fsync_mark.exists():
            ports = self._started_ports()
            set_fsync(ports.master, ports.filer, env)
            write_private(self._fsync_mark, "")


class _Readiness:
    """Ready when an encrypted object was put and came back the same; the object is new in every run of ours."""

    def __init__(self, store: S3ObjectStore, token: bytes) -> None:
        self._store = store
        self._token = token

    def __call__(self) -> bool:
        try:
            self._put()
            return self._store.get(READINESS_BUCKET, _READINESS_KEY) == self._token
        except OutboundError:
            return False

    def _put(self) -> None:
        try:
            self._put_token()
        except OutboundError as error:
            if error.code != "NoSuchBucket":
                raise
            self._store.create_bucket(READINESS_BUCKET)
            self._put_token()

    def _put_token(self) -> None:
        self._store.put(
            READINESS_BUCKET,
            _READINESS_KEY,
            self._token,
            content_type="application/octet-stream",
            server_side_encryption="AES256",
        )
