"""The files that SeaweedFS is started with: secrets (made once), ports (kept while free), identities and options."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from opentrail.clock import Entropy
from opentrail.errors import ConfigError
from opentrail.processes.ports import free_ports, is_free
from opentrail.state.private_files import write_private

GRPC_DISTANCE = 10000

_HIGHEST_PORT = 65535
_KEY_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"  # noqa: S105 - an alphabet, no secret
_LONGEST_SOCKET_PATH_BYTES = 100  # the kernel allows 107


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Everything secret about one SeaweedFS; ``repr`` shows none of it."""

    access_key_id: str
    secret_access_key: str
    sse_key: str
    kek_passphrase: str
    jwt_signing_key: str
    jwt_signing_read_key: str
    jwt_filer_signing_key: str
    jwt_filer_signing_read_key: str
    admin_password: str

    def environment(self) -> dict[str, str]:
        """The variables that hand the secrets to ``weed`` (``weed scaffold -config=security`` names them)."""
        return {
            "WEED_S3_SSE_KEY": self.sse_key,
            "WEED_S3_SSE_KEK_PASSPHRASE": self.kek_passphrase,
            "WEED_JWT_SIGNING_KEY": self.jwt_signing_key,
            "WEED_JWT_SIGNING_READ_KEY": self.jwt_signing_read_key,
            "WEED_JWT_FILER_SIGNING_KEY": self.jwt_filer_signing_key,
            "WEED_JWT_FILER_SIGNING_READ_KEY": self.jwt_filer_signing_read_key,
            "WEED_ADMIN_PASSWORD": self.admin_password,
        }

    def identities(self, key_server: "KeyServer | None" = None) -> str:
        """The content of ``s3.json``: one identity that may do everything, and the KMS, if there is one."""
        credentials = [{"accessKey": self.access_key_id, "secretKey": self.secret_access_key}]
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        found: dict[str, object] = {
            "identities": [{"name": "opentrail", "credentials": credentials, "actions": actions}]
        }
        if key_server is not None:
            found["kms"] = {"default_provider": "opentrail", "providers": {"opentrail": key_server.provider()}}
        return json.dumps(found)


@dataclass(frozen=True, slots=True, repr=False)
class KeyServer:
    """The KMS that objects' data keys come from, and the key pair for it; ``repr`` shows none of it."""

    endpoint: str
    access_key_id: str
    secret_access_key: str

    def provider(self) -> dict[str, object]:
        """SeaweedFS's settings for it. Its cache of data keys is off: a key that is disabled opens nothing any more."""
        return {
            "type": "aws",
            "region": "us-east-1",
            "endpoint": self.endpoint,
            "access_key": self.access_key_id,
            "secret_key": self.secret_access_key,
            "cache_enabled": False,
            "connect_timeout": 5,
            "request_timeout": 10,
        }


@dataclass(frozen=True, slots=True)
class Ports:
    """The HTTP ports of one SeaweedFS on 127.0.0.1; each has its gRPC port 10000 above, as ``weed mini`` expects."""

    master: int
    volume: int
    filer: int
    s3: int
    admin: int

    def are_possible(self) -> bool:
        """Whether the ten are port numbers, each different."""
        http = set(asdict(self).values())
        doors = http | {port + GRPC_DISTANCE for port in http}
        return len(doors) == 2 * len(Ports.__slots__) and min(doors) > 0 and max(doors) <= _HIGHEST_PORT

    def are_free(self) -> bool:
        """Whether nobody listens on any of the ten."""
        return all(is_free(port) and is_free(port + GRPC_DISTANCE) for port in asdict(self).values())


def load_secrets(directory: Path, entropy: Entropy, *, has_data: bool) -> Secrets:
    """The secrets in ``secrets.json``, made and flushed to disk at the first start.

    Raises ConfigError when they are missing beside existing data (it could not be read with new ones), or unreadable.
    """
    path = directory / "secrets.json"
    if not path.exists():
        if has_data:
            raise ConfigError(f"{path} is missing, but {directory / 'data'} holds data that only those keys can read")
        secrets = _new_secrets(entropy)
        write_private(path, json.dumps(asdict(secrets), indent=1))
        return secrets
    try:
        kept = json.loads(path.read_text())
        secrets = Secrets(**{name: str(kept[name]) for name in Secrets.__slots__})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged: restore it from a backup") from error
    path.chmod(0o600)
    return secrets


def load_ports(directory: Path) -> Ports:
    """The ports of the last start in ``ports.json`` if all are free, else newly chosen ones, which are kept."""
    path = directory / "ports.json"
    try:
        kept = json.loads(path.read_text())
        ports = Ports(**{name: int(kept[name]) for name in Ports.__slots__})
        if ports.are_possible() and ports.are_free():
            return ports
    except (FileNotFoundError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        pass  # nothing worth keeping
    ports = Ports(*free_ports(len(Ports.__slots__), also_at=GRPC_DISTANCE))
    write_private(path, json.dumps(asdict(ports)))
    return ports


def options_text(data: Path, identities: Path, ports: Ports) -> str:
    """The options file of ``weed mini``: one ``name=value`` per line. Raises ConfigError for a path with a line
    break.
    """
    options: dict[str, object] = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "webdav": "false",
        "admin.ui": "false",
        "admin.port": ports.admin,
        "filer.disableDirListing": "true",
        "filer.exposeDirectoryData": "false",
        "filer.port": ports.filer,
        "filer.ui.deleteDir": "false",
        "master.port": ports.master,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 1024,
        "s3.allowDeleteBucketNotEmpty": "false",
        "s3.autoCreateBucket": "false",
        "s3.config": identities,
        "s3.iam": "false",
        "s3.port": ports.s3,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "volume.max": 100000,
        "volume.port": ports.volume,
        "volume.preStopSeconds": 0,
        **_sockets(data.parent),
    }
    lines = [f"{name}={value}" for name, value in options.items()]
    if any("\n" in line or "\r" in line for line in lines):
        raise ConfigError(f"SeaweedFS cannot live in a directory whose name has a line break: {data.parent!r}")
    return "\n".join(lines) + "\n"


def _new_secrets(entropy: Entropy) -> Secrets:
    keys = {name: entropy.token(32).hex() for name in Secrets.__slots__}
    keys["access_key_id"] = "AKIA" + entropy.text(16, _KEY_ID_ALPHABET)
    keys["secret_access_key"] = entropy.text(40, _SECRET_ALPHABET)
    return Secrets(**keys)


def _sockets(directory: Path) -> dict[str, object]:
    """Unix sockets in our directory instead of /tmp, where the path is short enough for one."""
    sockets = {f"{part}.localSocket": directory / f"{part}.sock" for part in ("filer", "s3")}
    if any(len(os.fsencode(path)) > _LONGEST_SOCKET_PATH_BYTES for path in sockets.values()):
        return {}
    return dict(sockets)
