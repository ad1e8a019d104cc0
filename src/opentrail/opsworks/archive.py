"""The archive of a backup: a tar.gz of a server's files, with a manifest of their SHA-256 hashes in front.

Deterministic: the same files and description give the same bytes (one gzip member, no times of its own). Files are
streamed, never held in memory. Reading believes nothing: every file must be one that the manifest names, with its
length and hash, at a path that stays below the directory.
"""

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from opentrail.errors import IntegrityError

MANIFEST = "manifest.json"
FORMAT = "opentrail-opsworks-backup/1"
_COMPRESSION = 6
_PIECE_BYTES = 1024 * 1024
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_LONGEST_MANIFEST_BYTES = 64 * 1024 * 1024
_BROKEN = (
    *(tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, RecursionError),
    *(FileExistsError, NotADirectoryError, IsADirectoryError),
)
"""What broken bytes raise while they are unpacked; a disk that cannot be written raises another OSError."""


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


def check_digest(archive: BinaryIO, sha256: str) -> None:
    """Compare a whole archive with its SHA-256 (hex) and leave it at its start. Raises IntegrityError, OSError."""
    archive.seek(0)
    _, found = _hash(archive)
    archive.seek(0)
    if found != sha256:
        raise IntegrityError(f"the archive's SHA-256 is {found}; it was {sha256} when the backup was made")


def read_archive(archive: BinaryIO, directory: Path) -> None:
    """Unpack an archive that ``write_archive`` made into a directory, which is made here, private.

    Raises IntegrityError where the bytes are not such an archive, or damaged; files may have been written then. Raises
    OSError where a file cannot be written.
    """
    directory.mkdir(mode=_DIRECTORY_MODE)
    try:
        with (
            gzip.GzipFile(mode="rb", fileobj=archive) as compressed,
            tarfile.open(fileobj=compressed, mode="r|") as tar,
        ):
            members = iter(tar)
            missing = _manifest(tar, next(members, None))
            for member in members:
                _unpack(tar, member, missing, directory)
    except _BROKEN as error:
        raise IntegrityError(f"the archive cannot be read: {type(error).__name__}") from error
    if missing:
        raise IntegrityError(f"the archive lacks {len(missing)} of its files, {min(missing)[:200]} among them")


def _manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> dict[str, Any]:
    """The files that the archive must have, by path."""
    if member is None or member.name != MANIFEST or not member.isfile() or member.size > _LONGEST_MANIFEST_BYTES:
        raise IntegrityError("the archive does not begin with its manifest")
    content = tar.extractfile(member)
    manifest = json.loads(content.read()) if content else None
    files = manifest.get("files") if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise IntegrityError(f"the archive's manifest is not of the form {FORMAT}")
    return {str(file.get("path")): file for file in files}


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, missing: dict[str, Any], directory: Path) -> None:
    """Write one file, and take it off the list of those that are missing."""
    path, expected = Path(member.name), missing.pop(member.name, None)
    content = tar.extractfile(member) if member.isreg() else None
    if expected is None or content is None or path.is_absolute() or ".." in path.parts or "\0" in member.name:
        raise IntegrityError(f"the archive has {member.name[:200]!r}, which its manifest does not promise")
    target = directory / path
    for parent in reversed(path.parents):  # mkdir's own parents would not be private
        (directory / parent).mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
    digest, size_bytes = hashlib.sha256(), 0
    with target.open("xb") as out:
        target.chmod(_FILE_MODE)
        while piece := content.read(_PIECE_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
            out.write(piece)
    if (size_bytes, digest.hexdigest()) != (expected.get("sizeBytes"), expected.get("sha256")):
        raise IntegrityError(f"{member.name[:200]} in the archive is not what its manifest says")


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
