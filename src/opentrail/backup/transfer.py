"""Backups on their way: out of HOME to where they are kept, and from there into a new HOME.

Rules. Nothing is put in place that was not proved, and what is there afterwards is proved again. A stop at any moment
leaves either a whole backup or none, and never a HOME that could be taken for a whole one.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentrail.backup.files import Progress, copy_file, flush_tree, make_private, quiet
from opentrail.backup.manifest import BACKUP_ID, CHECKSUM, MANIFEST, Manifest
from opentrail.backup.snapshot import taking
from opentrail.backup.verification import manifest_in, verify
from opentrail.errors import ConfigError, IntegrityError, OutboundError
from opentrail.state.home import Home, HomeLock, holder_of
from opentrail.state.private_files import flush_directory, write_private

UNFINISHED = "unfinished restore\n"
"""What HOME's format file says while a restore is under way: no OpenTrail starts on that."""

_LOCK = "lock"


def ensure_takes_backup(target: Path, home: Home) -> None:
    """Raise ConfigError where a backup cannot be put there: it must not exist yet, or be an empty directory."""
    if target.is_relative_to(home.root):
        raise ConfigError(f"{target} lies in {home.root} itself: it would be lost along with it")
    _ensure_empty(target)


def take_away(home: Home, backup_id: str, target: Path, progress: Progress = quiet) -> Manifest:
    """Bring a copy out of ``HOME/backups`` to where it is kept, prove it there, and remove it from HOME.

    Raises OutboundError where it is gone or the target's disk refuses, IntegrityError where what arrived is not what
    was made.
    """
    place = home.backups / backup_id
    if not BACKUP_ID.fullmatch(backup_id):
        raise OutboundError("UnknownBackup", "the gateway did not name a backup")
    partial = target.with_name(f".{target.name}.partial")
    with taking(place) as is_ours:
        if not is_ours:
            raise OutboundError("BackupGone", f"{place} is gone: another backup was made meanwhile; try again")
        try:
            with _told(target):
                shutil.rmtree(partial, ignore_errors=True)
                manifest = _copied(place, partial, progress)
                verify(partial, progress)
                partial.replace(target)
                flush_directory(target.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(place, ignore_errors=True)
    return manifest


def restore(directory: Path, home: Home, progress: Progress = quiet) -> Manifest:
    """Make a HOME of a backup, which is proved first.

    Raises ConfigError where HOME is in use or not empty, or the directory holds no backup; IntegrityError where the
    backup is damaged; OutboundError where HOME's disk refuses. HOME is then empty, as it was.
    """
    _ensure_unused(home)
    manifest = verify(directory, progress)
    with _told(home.root):
        lock = HomeLock.acquire(home)
    if lock is None:
        raise ConfigError(f"{home.root} is in use by process {holder_of(home)}")
    try:
        _ensure_empty(home.root, besides=_LOCK)
        with _told(home.root):
            _fill(home, directory, manifest, progress)
    except BaseException:
        _empty(home.root)
        raise
    finally:
        lock.release()
    return manifest


def _fill(home: Home, directory: Path, manifest: Manifest, progress: Progress) -> None:
    """Copy what was proved; a file that is another one by now is refused."""
    home.root.chmod(0o700)
    write_private(home.format_file, UNFINISHED)
    for entry in manifest.files:
        if entry.path != home.format_file.name:
            _copy_proved(directory / entry.path, home.root / entry.path, entry.sha256, progress)
    flush_tree(home.root)
    write_private(home.format_file, f"{manifest.format_version}\n")


def _copied(place: Path, target: Path, progress: Progress) -> Manifest:
    manifest = manifest_in(place)
    make_private(target)
    for entry in manifest.files:
        _copy_proved(place / entry.path, target / entry.path, entry.sha256, progress)
    for name in (CHECKSUM, MANIFEST):
        copy_file(place / name, target / name)
    flush_tree(target)
    return manifest


def _copy_proved(source: Path, target: Path, sha256: str, progress: Progress) -> None:
    if copy_file(source, target, progress) != sha256:
        raise IntegrityError(f"{source}: not the file that the manifest names")


def _ensure_unused(home: Home) -> None:
    if not home.root.exists():
        return
    if home.root.is_dir() and (home.root / _LOCK).exists():
        lock = HomeLock.acquire(home)
        if lock is None:
            raise ConfigError(f"{home.root} is in use by process {holder_of(home)}")
        lock.release()
    _ensure_empty(home.root, besides=_LOCK)


def _ensure_empty(directory: Path, besides: str = "") -> None:
    if not directory.exists():
        return
    try:
        others = [path.name for path in directory.iterdir() if path.name != besides]
    except OSError as problem:
        raise ConfigError(f"{directory}: {problem.strerror or problem}") from problem
    if others:
        raise ConfigError(f"{directory} is not empty; name a directory that is, or does not exist yet")


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """A disk that refuses is told with the place that was named."""
    try:
        yield
    except OSError as problem:
        raise OutboundError("NotWritable", f"{target}: {problem.strerror or problem}") from problem
