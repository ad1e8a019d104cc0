"""The files of one goiardi, and when they are safe to copy.

Rules (opsworks-cm fact sheet 12.1 to 12.3, measured). State lives in memory and is frozen to ``data.bin`` and
``index.bin`` every FREEZE_INTERVAL_S if it changed; a stop during a freeze loses acknowledged writes. So before a stop,
a copy or a promise, wait until twice the interval and half a second have passed since the last write, and the files
stopped changing. ``conf`` and ``data`` belong together: an empty store overwrites the keys in ``conf``.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

FREEZE_INTERVAL_S = 1
QUIET_S = 2 * FREEZE_INTERVAL_S + 0.5
_PRIVATE_DIRECTORY = 0o700
_LEFTOVERS = ("ds-store*", "idx-build*")


@dataclass(frozen=True, slots=True)
class GoiardiFiles:
    """The layout below one server's directory."""

    directory: Path

    @property
    def conf(self) -> Path:
        """Where goiardi keeps its three key files."""
        return self.directory / "conf"

    @property
    def admin_key(self) -> Path:
        """The key of goiardi's own user ``admin``."""
        return self.conf / "admin.pem"

    @property
    def data_file(self) -> Path:
        """The frozen data store."""
        return self.directory / "data" / "data.bin"

    @property
    def index_file(self) -> Path:
        """The frozen search index, which can be rebuilt from the store."""
        return self.directory / "data" / "index.bin"

    @property
    def file_store(self) -> Path:
        """Cookbook files, named by MD5."""
        return self.directory / "lfs"

    @property
    def port_file(self) -> Path:
        """The port that the server was last started on."""
        return self.directory / "port"

    @property
    def log_file(self) -> Path:
        """What goiardi writes while it runs."""
        return self.directory / "goiardi.log"

    def make(self) -> None:
        """Make the directories, private."""
        for directory in (self.directory, self.conf, self.data_file.parent, self.file_store):
            directory.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            directory.chmod(_PRIVATE_DIRECTORY)

    def exists(self) -> bool:
        """Whether there is a server here."""
        return self.conf.is_dir()

    def take(self, source: Path) -> None:
        """Move a copy of a server's files, as ``link_into`` makes them, to here; what was here goes. Raises OSError."""
        self.remove()
        self.directory.mkdir(mode=_PRIVATE_DIRECTORY)
        for part in (self.conf, self.data_file.parent, self.file_store):
            if (source / part.name).is_dir():
                shutil.move(source / part.name, part)
        self.make()

    def remove(self) -> None:
        """Remove everything; nothing happens where there is nothing. Raises OSError."""
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def clear_leftovers(self) -> None:
        """Remove the temporary files of freezes that a crash interrupted; only while goiardi does not run."""
        for pattern in _LEFTOVERS:
            for leftover in self.data_file.parent.glob(pattern):
                leftover.unlink()

    def remembered_port(self) -> int | None:
        """The port of the last start; None where there was none."""
        try:
            return int(self.port_file.read_text("ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def remember_port(self, port: int) -> None:
        """Write down the port, so that the next start takes it again."""
        self.port_file.write_text(str(port), "ascii")

    def stamp(self) -> tuple[int, int]:
        """Something that changes whenever a freeze replaced a file."""
        return _changed_ns(self.data_file), _changed_ns(self.index_file)

    def flush(self) -> None:
        """Make the frozen files durable against a power cut too. Raises OSError."""
        _flush(self.data_file, self.index_file, *self.conf.iterdir(), self.data_file.parent, self.conf)

    def flush_all(self) -> None:
        """The same for everything, cookbook files included: for a server that was just unpacked. Raises OSError."""
        _flush(*(path for path in self.directory.rglob("*") if path.name != self.log_file.name), self.directory)

    def link_into(self, target: Path) -> None:
        """Copy conf, data and lfs into a directory on the same file system, as hard links.

        goiardi never writes into a file that exists (freezes replace files by rename, cookbook files are named by their
        content), so a link keeps the bytes of this moment. The data store comes first: what it names is then there.
        """
        target.mkdir(mode=_PRIVATE_DIRECTORY)
        for source in (self.data_file, self.index_file):
            _link(source, target / "data" / source.name)
        for part in (self.conf, self.file_store):
            (target / part.name).mkdir(mode=_PRIVATE_DIRECTORY)
            for source in sorted(path for path in part.rglob("*") if path.is_file()):
                _link(source, target / source.relative_to(self.directory))


def _flush(*paths: Path) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _link(source: Path, copy: Path) -> None:
    copy.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    try:
        copy.hardlink_to(source)
    except FileNotFoundError:
        return  # a cookbook file deleted meanwhile, or an index that was never frozen


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
