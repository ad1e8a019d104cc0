"""Where goiardi's servers are below its root, and how one takes another's place; a crash at any point leaves one.

``servers/<server id>`` is what runs. A restored server is proved in ``restoring``; then the old one is moved to
``replaced``, the new one takes its place, and the old one is removed once the new one runs. Both moves are renames.
"""

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from opentrail.opsworks.goiardi_files import GoiardiFiles

_PRIVATE_DIRECTORY = 0o700


@dataclass(frozen=True, slots=True)
class GoiardiPlaces:
    """The layout below the engine's root."""

    root: Path

    @property
    def servers(self) -> Path:
        """One directory per server that runs, or should."""
        return self.root / "servers"

    @property
    def staging(self) -> Path:
        """Snapshots, for a moment; nothing in it survives a start."""
        return self.root / "staging"

    @property
    def restoring(self) -> Path:
        """Servers that are about to take another's place."""
        return self.root / "restoring"

    @property
    def replaced(self) -> Path:
        """Servers whose place another takes."""
        return self.root / "replaced"

    def make(self) -> None:
        """Make the directories, finish what a killed predecessor had begun to swap, and remove what it left behind.

        A server in ``restoring`` whose predecessor is in ``replaced`` was proved, so it takes the place.
        """
        shutil.rmtree(self.staging, ignore_errors=True)
        for directory in (self.root, self.servers, self.staging, self.restoring, self.replaced):
            directory.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            directory.chmod(_PRIVATE_DIRECTORY)
        for old in self.replaced.iterdir():
            if not (self.servers / old.name).exists():
                new = self.restoring / old.name
                _move(new if new.exists() else old, self.servers)
        for directory in (self.restoring, self.replaced):
            for left in directory.iterdir():
                shutil.rmtree(left, ignore_errors=True)

    def server(self, server_id: str) -> GoiardiFiles:
        """The files of the server that runs."""
        return GoiardiFiles(self.servers / _name(server_id))

    def restored(self, server_id: str) -> GoiardiFiles:
        """The files of the server that shall take its place."""
        return GoiardiFiles(self.restoring / _name(server_id))

    def swap(self, server_id: str) -> None:
        """Put the restored server in its place; the old one, where there is one, is kept. Raises OSError."""
        current = self.servers / _name(server_id)
        shutil.rmtree(self.replaced / current.name, ignore_errors=True)
        if current.exists():
            _move(current, self.replaced)
        _move(self.restoring / current.name, self.servers)

    def swap_back(self, server_id: str) -> None:
        """Put the old server back, where there was one, and remove the new one. Raises OSError."""
        current = self.servers / _name(server_id)
        shutil.rmtree(current)
        if (old := self.replaced / current.name).exists():
            _move(old, self.servers)

    def remove(self, server_id: str) -> None:
        """Remove everything of a server. Raises OSError."""
        for directory in (self.restoring, self.replaced, self.servers):
            GoiardiFiles(directory / _name(server_id)).remove()

    def remove_replaced(self, server_id: str) -> None:
        """Remove the old server. Raises OSError."""
        GoiardiFiles(self.replaced / _name(server_id)).remove()


def _name(server_id: str) -> str:
    return str(uuid.UUID(server_id))


def _move(path: Path, into: Path) -> None:
    """Rename, durable against a power cut."""
    path.rename(into / path.name)
    for directory in (path.parent, into):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
