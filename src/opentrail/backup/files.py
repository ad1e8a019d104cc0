"""Files of a backup on disk: listed, hashed, and copied so that they are on disk, private, and what they should be."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from opentrail.backup.manifest import CHECKSUM, MANIFEST, FileEntry
from opentrail.errors import IntegrityError
from opentrail.state.private_files import flush_directory

Progress = Callable[[int], None]
"""Told how many bytes were dealt with since the last time."""

_PIECE_BYTES = 1024 * 1024


def quiet(_size_bytes: int) -> None:
    """No progress to be shown."""


def files_in(directory: Path) -> Iterator[str]:
    """The relative paths of everything below a backup but the manifest and its checksum; directories only as such.

    Raises IntegrityError where something is neither a file nor a directory: nothing else belongs there.
    """
    for folder, folders, names in os.walk(directory):
        for name in (*folders, *names):
            path = Path(folder, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise IntegrityError(f"{path}: neither a file nor a directory")
        for name in names:
            relative = str(Path(folder, name).relative_to(directory))
            if relative not in {MANIFEST, CHECKSUM}:
                yield relative


def entry_of(directory: Path, relative: str, progress: Progress = quiet) -> FileEntry:
    """Size and hash of a file. Raises IntegrityError where it cannot be read."""
    digest, size_bytes = hashlib.sha256(), 0
    for piece in _pieces(directory / relative):
        digest.update(piece)
        size_bytes += len(piece)
        progress(len(piece))
    return FileEntry(relative, size_bytes, digest.hexdigest())


def ensure_equal(directory: Path, expected: FileEntry, progress: Progress = quiet) -> None:
    """Raise IntegrityError, naming the file, where it is not what the manifest says."""
    if entry_of(directory, expected.path, progress) != expected:
        raise IntegrityError(f"{directory / expected.path}: not the file that the manifest names")


def copy_file(source: Path, target: Path, progress: Progress = quiet) -> str:
    """Copy a file, flushed and for its owner only; answers its SHA-256. ``target`` must not exist.

    Raises IntegrityError where the source cannot be read, OSError where the target's disk refuses.
    """
    make_private(target.parent)
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        for piece in _pieces(source):
            file.write(piece)
            digest.update(piece)
            progress(len(piece))
        file.flush()
        os.fsync(descriptor)
    return digest.hexdigest()


def make_private(directory: Path) -> None:
    """Make a directory, and those above it that are missing, for its owner only."""
    if not directory.is_dir():
        make_private(directory.parent)
        directory.mkdir(mode=0o700)


def flush_tree(directory: Path) -> None:
    """Bring the entries of a directory and of all below it to disk."""
    for folder, _, _ in os.walk(directory):
        flush_directory(Path(folder))


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as problem:
        raise IntegrityError(f"{path}: {problem.strerror or problem}") from problem
    with os.fdopen(descriptor, "rb") as file:
        while True:
            try:
                piece = file.read(_PIECE_BYTES)
            except OSError as problem:
                raise IntegrityError(f"{path}: {problem.strerror or problem}") from problem
            if not piece:
                return
            yield piece
