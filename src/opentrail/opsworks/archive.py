"""The archive of a backup: a tar.gz of a server's files, with a manifest of their SHA-256 hashes in front.

Deterministic: the same files and description give the same bytes (one gzip member, no times of its own). Files are
streamed, never held in memory.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

MANIFEST = "manifest.json"
FORMAT = "opentrail-opsworks-backup/1"
_COMPRESSION = 6
_PIECE_BYTES = 1024 * 1024
_FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class ArchiveDigest:
    """The finished archive: its length and SHA-256 (hex)."""

    size_bytes: int
    sha256: str


def write_archive(out: BinaryIO, directory: Path, description: Mapping[str, str | None], at: datetime) -> ArchiveDigest:
    """Write the archive of a directory to an empty file open for reading and writing, and leave it at its start.

    ``description`` goes into the manifest beside ``format`` and ``files`` (path, sizeBytes, sha256); ``at`` is every
    entry's time. Raises OSError.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    manifest = {"format": FORMAT, **description, "files": [_entry(path, directory) for path in files]}
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=out, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        content = json.dumps(manifest, indent=1).encode("utf-8")
        tar.addfile(_header(MANIFEST, len(content), at), io.BytesIO(content))
        for path in files:
            with path.open("rb") as source:
                tar.addfile(_header(str(path.relative_to(directory)), path.stat().st_size, at), source)
    out.seek(0)
    digest = ArchiveDigest(*_hash(out))
    out.seek(0)
    return digest


def _entry(path: Path, directory: Path) -> dict[str, str | int]:
    with path.open("rb") as source:
        size_bytes, sha256 = _hash(source)
    return {"path": str(path.relative_to(directory)), "sizeBytes": size_bytes, "sha256": sha256}


def _header(name: str, size_bytes: int, at: datetime) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode, header.mtime = size_bytes, _FILE_MODE, int(at.timestamp())
    return header


def _hash(source: BinaryIO) -> tuple[int, str]:
    digest, size_bytes = hashlib.sha256(), 0
    while piece := source.read(_PIECE_BYTES):
        digest.update(piece)
        size_bytes += len(piece)
    return size_bytes, digest.hexdigest()
