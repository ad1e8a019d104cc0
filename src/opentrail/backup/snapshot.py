"""Making a backup where everything is: by the process that has HOME open, into ``HOME/backups/ID``.

Rules. The state is copied first and the journal after it, with pruning held back from before until after: the copied
state then knows of no frame that the copied journal does not have, and everything it still needs is there. What was
acknowledged before the copy began is in it. A copy is written below HOME only, one at a time, and only while enough of
the disk stays free for the journal; whoever takes it away removes it, and a start removes what nobody took.
"""

import fcntl
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from opentrail.backup.files import copy_file, entry_of, files_in, flush_tree, make_private
from opentrail.backup.manifest import CHECKSUM, FILES, MANIFEST, TREES, Manifest, checksum_of, render
from opentrail.clock import Clock, Entropy
from opentrail.errors import IntegrityError, JournalError, OpenTrailError
from opentrail.journal import Journal
from opentrail.journal.copying import SequenceRange
from opentrail.state.database_copy import copy_database
from opentrail.state.home import FORMAT_VERSION, Home
from opentrail.state.private_files import write_private
from opentrail.version import __version__

log = logging.getLogger(__name__)

_STATE = "state/opentrail.sqlite"
_COPIED_BY_ITSELF = frozenset({_STATE, "format"})


DISK_REFUSED = (OSError, sqlite3.Error, JournalError, IntegrityError)
"""What ``create`` raises where a file cannot be read or written."""


class BackupRefusal(OpenTrailError):
    """No backup can be made now; the operator can do something about it."""


class BackupUnderWay(BackupRefusal):
    """Another one is being made."""


class NoSpaceForBackup(BackupRefusal):
    """The disk of HOME would not keep enough free for the journal."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a backup takes, what stays free for the journal whatever happens, and what is free now."""

    needed_bytes: int
    kept_free_bytes: int
    free_bytes: int

    @property
    def is_enough(self) -> bool:
        """Whether the backup fits."""
        return self.free_bytes >= self.needed_bytes + self.kept_free_bytes

    def __str__(self) -> str:
        """One sentence for the operator."""
        return (
            f"a backup takes about {_mib(self.needed_bytes)} MiB below HOME for a while, and "
            f"{_mib(self.kept_free_bytes)} MiB have to stay free for the journal; {_mib(self.free_bytes)} MiB are free"
        )


class Snapshots:
    """Makes backups of an open HOME."""

    def __init__(self, home: Home, journal: Journal, clock: Clock, entropy: Entropy, *, kept_free_bytes: int) -> None:
        """``kept_free_bytes``: what no backup may take of HOME's disk."""
        self._home = home
        self._journal = journal
        self._clock = clock
        self._entropy = entropy
        self._kept_free_bytes = kept_free_bytes
        self._turn = threading.Lock()

    def create(self) -> Manifest:
        """Make a backup; it lies in ``HOME/backups`` under its id. One that nobody took yet is removed before.

        Raises BackupUnderWay, NoSpaceForBackup, JournalError, IntegrityError, OSError, sqlite3.Error; nothing is left
        behind then.
        """
        if not self._turn.acquire(blocking=False):
            raise BackupUnderWay("another backup is being made")
        try:
            self.remove_left_over()
            room = self.room()
            if not room.is_enough:
                raise NoSpaceForBackup(str(room))
            now = self._clock.now()
            backup_id = f"{now:%Y%m%dT%H%M%SZ}-{self._entropy.token(4).hex()}"
            place = self._home.backups / backup_id
            try:
                make_private(place)
                sequences = self._copy(place)
                manifest = self._describe(place, Manifest(backup_id, now, __version__, FORMAT_VERSION, sequences, ()))
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
            log.info("backup %s: %d bytes, through sequence %d", backup_id, manifest.size_bytes, sequences.last)
            return manifest
        finally:
            self._turn.release()

    def remove_left_over(self) -> None:
        """Remove copies that nobody is taking away."""
        if not self._home.backups.is_dir():
            return
        for place in sorted(self._home.backups.iterdir()):
            with taking(place) as is_ours:
                if is_ours:
                    log.info("removing %s, a backup that nobody took", place)
                    shutil.rmtree(place, ignore_errors=True)

    def room(self) -> Room:
        """What a backup takes now, and whether there is so much."""
        stats = self._journal.stats()
        database = self._home.database
        state_bytes = sum(path.stat().st_size for path in database.parent.glob(f"{database.name}*"))
        trees = (self._home.root / tree for tree in TREES)
        tree_bytes = sum(path.stat().st_size for tree in trees if tree.is_dir() for path in tree.iterdir())
        return Room(
            stats.disk_bytes + state_bytes + tree_bytes, self._kept_free_bytes, shutil.disk_usage(self._home.root).free
        )

    def _copy(self, place: Path) -> SequenceRange:
        """The state first, then the journal."""
        (place / "state").mkdir(mode=0o700)
        (place / "journal").mkdir(mode=0o700)
        with self._journal.unpruned():
            copy_database(self._home.database, place / _STATE)
            sequences = self._journal.copy(place / "journal")
        write_private(place / "format", f"{FORMAT_VERSION}\n")
        for relative in self._further_files():
            copy_file(self._home.root / relative, place / relative)
        return sequences

    def _further_files(self) -> Iterator[str]:
        for name in FILES:
            if name not in _COPIED_BY_ITSELF and (self._home.root / name).is_file():
                yield name
        for tree in TREES:
            directory = self._home.root / tree
            for path in sorted(directory.iterdir()) if directory.is_dir() else ():
                if path.is_file() and not path.name.startswith("."):
                    yield f"{tree}/{path.name}"

    def _describe(self, place: Path, manifest: Manifest) -> Manifest:
        entries = tuple(entry_of(place, relative) for relative in sorted(files_in(place)))
        whole = replace(manifest, files=entries)
        rendered = render(whole)
        write_private(place / CHECKSUM, checksum_of(rendered))
        write_private(place / MANIFEST, rendered)
        flush_tree(self._home.backups)
        return whole


@contextmanager
def taking(place: Path) -> Iterator[bool]:
    """Keep others from removing a copy in ``HOME/backups`` for the length of a block; False where another does."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _mib(size_bytes: int) -> int:
    return -(-size_bytes // (1024 * 1024))
