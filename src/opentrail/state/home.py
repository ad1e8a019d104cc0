"""HOME: the one directory that holds everything OpenTrail keeps, its lock and its format version.

Only one process opens a HOME at a time. A HOME written by a newer OpenTrail is refused; one written by an older one is
migrated by ``migrations`` after its state has been copied aside.
"""

import configparser
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentrail.errors import ConfigError
from opentrail.state.private_files import write_private

FORMAT_VERSION = 4


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside a HOME. Nothing else in the product joins path names by hand."""

    root: Path

    @property
    def format_file(self) -> Path:
        """The format version, as decimal text."""
        return self.root / "format"

    @property
    def database(self) -> Path:
        """Control state."""
        return self.root / "state" / "opentrail.sqlite"

    @property
    def journal(self) -> Path:
        """Directory of the journal's segments."""
        return self.root / "journal"

    @property
    def sealing_key(self) -> Path:
        """Key of everything sealed."""
        return self.root / "keys" / "sealing.key"

    @property
    def token_key(self) -> Path:
        """Key that authenticates paging tokens."""
        return self.root / "keys" / "tokens.key"

    @property
    def credentials(self) -> Path:
        """The default account's root key, in the form of AWS's shared credentials file."""
        return self.root / "credentials"

    @property
    def config(self) -> Path:
        """The configuration that is read where ``--config`` names no other."""
        return self.root / "opentrail.toml"

    @property
    def tls(self) -> Path:
        """Our certificate authority and the certificates it issued."""
        return self.root / "tls"

    @property
    def backups(self) -> Path:
        """Copies on their way out; what lies there at a start was left by a crash."""
        return self.root / "backups"

    @property
    def run(self) -> Path:
        """Facts about the running process and its children; worthless after it ended."""
        return self.root / "run"

    @property
    def endpoint_file(self) -> Path:
        """Where the running gateway answers."""
        return self.run / "endpoint.json"

    @property
    def seaweedfs(self) -> Path:
        """The embedded object store."""
        return self.root / "seaweedfs"

    @property
    def ministack(self) -> Path:
        """The embedded MiniStack's state, secret, port and log."""
        return self.root / "ministack"

    @property
    def opsworks(self) -> Path:
        """Chef servers."""
        return self.root / "opsworks"

    @property
    def chef_authority(self) -> Path:
        """The certificate that clients of Chef servers must trust."""
        return self.root / "opsworks" / "ca.pem"

    @property
    def models(self) -> Path:
        """Service models for the AWS CLI and SDKs (AWS_DATA_PATH)."""
        return self.root / "models"

    def root_key(self) -> tuple[str, str] | None:
        """The default account's root key (id, secret) from HOME/credentials; None where there is none to be read."""
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(self.credentials)
            section = parser["default"]
            return section["aws_access_key_id"], section["aws_secret_access_key"]
        except (OSError, KeyError, UnicodeDecodeError, configparser.Error):
            return None

    def endpoint(self) -> dict[str, Any] | None:
        """What the running gateway wrote about itself; None where there is nothing readable."""
        try:
            facts = json.loads(self.endpoint_file.read_text())
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None


class HomeLock:
    """Exclusive use of a HOME, held until ``release`` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, home: Home) -> "HomeLock | None":
        """Take the lock; None where another process has it. Makes the directory (mode 0700) at first use."""
        try:
            home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(home.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise ConfigError(f"cannot use {home.root} as HOME: {problem.strerror or problem}") from problem
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """Let others use the HOME."""
        os.close(self._descriptor)


def holder_of(home: Home) -> str:
    """The process id that wrote itself into the lock file, as text; empty where unknown."""
    try:
        return (home.root / "lock").read_text().strip()
    except OSError:
        return ""


def format_of(home: Home) -> int | None:
    """The format version of a HOME; None for a new one. Raises ConfigError where it is newer, or unreadable."""
    if not home.format_file.exists():
        return None
    text = home.format_file.read_text().strip()
    if not text.isdecimal():
        raise ConfigError(f"{home.format_file} holds {text[:20]!r} instead of a format version")
    if int(text) > FORMAT_VERSION:
        raise ConfigError(
            f"{home.root} was written by a newer OpenTrail (format {text}, this one knows {FORMAT_VERSION}); "
            "use that release, or another --home"
        )
    return int(text)


def stamp_format(home: Home) -> None:
    """Write our format version into the HOME."""
    write_private(home.format_file, f"{FORMAT_VERSION}\n".encode())
