"""What a backup consists of: the manifest, its form, and what may be in it. Pure.

A backup is a directory of plain files in HOME's own layout, ``manifest.json``, which names each with size and SHA-256,
and ``manifest.sha256``, which vouches for the manifest (``sha256sum -c manifest.sha256`` reads it too).

Not in it: the S3 server's objects, Chef servers' files, MiniStack's state, service models, and whatever tells only of a
running process.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from opentrail.errors import IntegrityError
from opentrail.journal.copying import SequenceRange

MANIFEST = "manifest.json"
CHECKSUM = "manifest.sha256"

FILES = ("format", "credentials", "opentrail.toml", "state/opentrail.sqlite")
"""Files of HOME that a backup has, where HOME has them."""

TREES = ("keys", "tls", "journal/damaged")
"""Directories of HOME whose files a backup has, as they lie there."""

REQUIRED = frozenset({"format", "credentials", "state/opentrail.sqlite", "keys/sealing.key"})
"""What no backup is without, besides a segment of the journal."""

BACKUP_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")

_PART = r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}"
_PATH = re.compile(rf"(?:{'|'.join(re.escape(name) for name in FILES)})|(?:keys|tls|journal|journal/damaged)/{_PART}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: where it lies, below the backup and below HOME, and what it holds."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says about itself."""

    backup_id: str
    created_at: datetime
    version: str
    format_version: int
    sequences: SequenceRange
    files: tuple[FileEntry, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(entry.size_bytes for entry in self.files)


def render(manifest: Manifest) -> bytes:
    """The manifest as JSON, for programs and people."""
    document = {
        "backupId": manifest.backup_id,
        "createdAt": manifest.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": manifest.version,
        "format": manifest.format_version,
        "sequences": {"first": manifest.sequences.first, "last": manifest.sequences.last},
        "files": [
            {"path": entry.path, "sizeBytes": entry.size_bytes, "sha256": entry.sha256} for entry in manifest.files
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def checksum_of(rendered: bytes) -> bytes:
    """The line that vouches for a manifest, in sha256sum's form."""
    return f"{hashlib.sha256(rendered).hexdigest()}  {MANIFEST}\n".encode()


def parse(rendered: bytes, checksum: bytes) -> Manifest:
    """Read a manifest. Raises IntegrityError where it does not have its checksum, or is none."""
    if checksum != checksum_of(rendered):
        raise IntegrityError(f"{MANIFEST} and {CHECKSUM} do not belong together")
    try:
        return _manifest(orjson.loads(rendered))
    except (ValueError, TypeError, KeyError) as problem:
        raise IntegrityError(f"{MANIFEST} is not a backup's manifest") from problem


def _manifest(document: Mapping[str, Any]) -> Manifest:
    """Raises ValueError, TypeError, KeyError where something is not what it must be."""
    sequences = document["sequences"]
    files = tuple(_entry(entry) for entry in document["files"])
    paths = {entry.path for entry in files}
    if len(paths) != len(files) or not paths >= REQUIRED:
        raise ValueError("a file is missing or stands twice")
    return Manifest(
        backup_id=_matching(BACKUP_ID, document["backupId"]),
        created_at=datetime.strptime(document["createdAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        version=str(document["version"]),
        format_version=_count(document["format"]),
        sequences=SequenceRange(_count(sequences["first"]), _count(sequences["last"])),
        files=files,
    )


def _entry(entry: Mapping[str, Any]) -> FileEntry:
    return FileEntry(_matching(_PATH, entry["path"]), _count(entry["sizeBytes"]), _matching(_SHA256, entry["sha256"]))


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError("not the form it must have")
    return text


def _count(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError("not a count")
    return number
