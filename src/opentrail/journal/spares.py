"""Spare segments: files of the right size, with their blocks on disk, that are made before they are needed.

One thread keeps a spare ready. Making one can fail because the disk is full; that loses nothing (nothing was written
to a segment in use) and is tried again until it succeeds: it is a *problem*, not a failure of the journal.
"""

import re
import threading
from collections import deque
from pathlib import Path

from opentrail.journal.files import DiskFiles
from opentrail.journal.options import JournalOptions

_NAME = re.compile(r"spare-(\d+)\.segment")
_UNFINISHED = "preparing.segment"


class SparePool:
    """Files that wait to become segments; bounded."""

    def __init__(self, directory: Path, options: JournalOptions, files: DiskFiles) -> None:
        """Adopt the spares that lie in the directory; remove unfinished ones and those of another size."""
        self._directory = directory
        self._options = options
        self._files = files
        self._changed = threading.Condition()
        self._ready: deque[Path] = deque()
        self._problem: str | None = None
        self._closed = False
        self._next_number = 1
        self._adopt()
        self._thread = threading.Thread(target=self._run, name="journal-spares", daemon=True)

    def _adopt(self) -> None:
        (self._directory / _UNFINISHED).unlink(missing_ok=True)
        for path in sorted(self._directory.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match is None:
                continue
            self._next_number = max(self._next_number, int(match[1]) + 1)
            if (
                path.stat().st_size == self._options.segment_bytes
                and len(self._ready) < self._options.max_spare_segments
            ):
                self._ready.append(path)
            else:
                path.unlink()

    @property
    def problem(self) -> str | None:
        """Why no spare can be made at present; None while all is well."""
        return self._problem

    def __len__(self) -> int:
        """How many spares are ready."""
        return len(self._ready)

    @property
    def disk_bytes(self) -> int:
        """What the spares take."""
        return len(self._ready) * self._options.segment_bytes

    def start(self) -> None:
        """Begin to keep a spare ready."""
        self._thread.start()

    def close(self) -> None:
        """Stop; the spares stay for the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def take(self) -> Path | None:
        """A spare, waited for while it is being made; None if none can be had (see ``problem``)."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._problem or self._closed)
            if not self._ready:
                return None
            self._changed.notify_all()
            return self._ready.popleft()

    def give(self, path: Path) -> None:
        """Take back a segment that nobody needs any more: it becomes a spare, or is removed if there are enough.

        Raises OSError."""
        with self._changed:
            keep = len(self._ready) < self._options.max_spare_segments
            spare = self._new_path()
        if not keep or path.stat().st_size != self._options.segment_bytes:
            self._files.remove(path)
            with self._changed:
                self._changed.notify_all()  # room came free
            return
        self._files.rename(path, spare)
        self._add(spare)

    def _new_path(self) -> Path:
        path = self._directory / f"spare-{self._next_number}.segment"
        self._next_number += 1
        return path

    def _add(self, path: Path) -> None:
        with self._changed:
            self._ready.append(path)
            self._problem = None
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while self._wait_until_needed():
                self.prepare()
                with self._changed:
                    if self._problem and not self._closed:
                        self._changed.wait(self._options.retry_s)
        finally:
            with self._changed:
                self._closed = True  # nobody may wait for a thread that is gone
                self._changed.notify_all()

    def _wait_until_needed(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._ready)
            return not self._closed

    def prepare(self) -> None:
        """Make one spare, or note the problem."""
        unfinished = self._directory / _UNFINISHED
        try:
            self._files.create_filled(unfinished, self._options.segment_bytes)
            with self._changed:
                spare = self._new_path()
            self._files.rename(unfinished, spare)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            with self._changed:
                self._problem = f"no room for another segment in {self._directory}: {error.strerror or error}"
                self._changed.notify_all()
            return
        self._add(spare)
