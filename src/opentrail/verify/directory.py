"""A directory of downloaded files as a bucket: paths below it are keys, as ``aws s3 cp --recursive`` writes them.

A file system has no object metadata, so the signature of a digest file stands beside it in ``FILE.metadata.json``: what
``aws s3api head-object`` prints, or only its ``Metadata``. Nothing outside the directory is read, whatever keys say.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson

from opentrail.errors import OutboundError
from opentrail.storage.listings import ObjectEntry
from opentrail.storage.reading import PIECE_BYTES, OpenObject

SIDECAR_SUFFIX = ".metadata.json"
_SIDECAR_BYTES_MAX = 64 * 1024


class DirectoryReader:
    """Reads a directory as the one bucket that it was downloaded from."""

    def __init__(self, root: Path, bucket: str) -> None:
        self._root = root
        self._bucket = bucket

    @contextmanager
    def open(self, bucket: str, key: str) -> Iterator[OpenObject]:
        path = self._path(key) if bucket == self._bucket else None
        if path is None or not path.is_file():
            raise OutboundError("NoSuchKey", f"there is no file for s3://{bucket}/{key}", retryable=False)
        metadata = _metadata(path.with_name(path.name + SIDECAR_SUFFIX))
        with _readable(path).open("rb", buffering=0) as file:
            yield OpenObject(metadata, iter(lambda: file.read(PIECE_BYTES), b""))

    def list_objects(self, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        if bucket == self._bucket:
            yield from self._walk(prefix.rpartition("/")[0], prefix, after)

    def list_folders(self, bucket: str, prefix: str) -> list[str]:
        if bucket != self._bucket:
            return []
        return [f"{prefix}{entry.name}/" for entry in self._entries(prefix.rstrip("/")) if _is_folder(entry)]

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[ObjectEntry]:
        """The files below a folder in order of their keys' bytes: a directory sorts as its name with a slash."""
        for entry in self._entries(folder):
            key = f"{folder}/{entry.name}" if folder else entry.name
            if _is_folder(entry):
                inside = f"{key}/"
                # Skip whole days before ``after``: everything inside is smaller than it unless it starts alike.
                if (inside.startswith(prefix) or prefix.startswith(inside)) and (
                    inside > after or after.startswith(inside)
                ):
                    yield from self._walk(key, prefix, after)
            elif key.startswith(prefix) and key > after and not key.endswith(SIDECAR_SUFFIX):
                facts = entry.stat()
                yield ObjectEntry(key, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        path = self._path(folder) if folder else self._root
        if path is None or not path.is_dir():
            return []
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name + "/" if _is_folder(entry) else entry.name)

    def _path(self, key: str) -> Path | None:
        """The file of a key; None for a key that no file of this directory can have."""
        parts = key.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            return None
        try:
            path = self._root.joinpath(*parts)
            os.fsencode(path)
        except UnicodeEncodeError:
            return None
        return path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """A link to a directory is none: it may lead anywhere, or around in circles."""
    return entry.is_dir(follow_symlinks=False)


def find_bucket(root: Path) -> str | None:
    """The bucket that the digest files of a directory name as their own: that of the first one that can be read."""
    for path in sorted(root.glob("**/CloudTrail-Digest/**/*.json.gz")):
        bucket = _bucket_named_in(path)
        if bucket is not None:
            return bucket
    return None


def _bucket_named_in(path: Path) -> str | None:
    from opentrail.verify.digest import MAX_DIGEST_BYTES, DigestProblem, read_digest
    from opentrail.verify.inflate import FlawedGzip, inflate

    try:
        with path.open("rb") as file:
            return read_digest(
                b"".join(inflate(iter(lambda: file.read(PIECE_BYTES), b""), MAX_DIGEST_BYTES))
            ).location.bucket
    except (OSError, FlawedGzip, DigestProblem):
        return None


def _readable(path: Path) -> Path:
    if not os.access(path, os.R_OK):
        raise OutboundError("AccessDenied", f"{path} is not readable", retryable=False)
    return path


def _metadata(sidecar: Path) -> Mapping[str, str]:
    """Object metadata of a sidecar file; none where there is none or it is not one."""
    try:
        with sidecar.open("rb") as file:
            document = orjson.loads(file.read(_SIDECAR_BYTES_MAX))
    except (OSError, orjson.JSONDecodeError):
        return {}
    if isinstance(document, dict) and isinstance(document.get("Metadata"), dict):
        document = document["Metadata"]
    if not isinstance(document, dict):
        return {}
    return {name.lower(): value for name, value in document.items() if isinstance(value, str)}
