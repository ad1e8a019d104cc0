"""Putting a journal's parts together: lock, recovery, spares, a segment to write to, the writer."""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from opentrail.clock import Entropy, SystemEntropy
from opentrail.errors import JournalError
from opentrail.journal.chain import Chain
from opentrail.journal.files import DiskFiles
from opentrail.journal.header import SegmentHeader
from opentrail.journal.options import JournalOptions
from opentrail.journal.recovery import Recovery, recover, write_head
from opentrail.journal.segments import Segment
from opentrail.journal.spares import SparePool
from opentrail.journal.writer import Writer, start_segment

_LOCK = "lock"


def _nothing(*_: object) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """A journal's doors to the outside: the disk, randomness, and whom to tell.

    ``on_failure`` is called once, from the writer's thread, when the journal has failed for good; ``progress`` before
    each segment is checked at opening.
    """

    files: DiskFiles = field(default_factory=DiskFiles)
    entropy: Entropy = field(default_factory=SystemEntropy)
    on_failure: Callable[[str], None] = _nothing
    progress: Callable[[], None] = _nothing

    def salt(self) -> int:
        """64 random bits for a new segment."""
        return int.from_bytes(self.entropy.token(8), "little")


@dataclass(frozen=True, slots=True)
class Parts:
    """An open journal's parts; the descriptor of the lock is held until the journal is closed."""

    chain: Chain
    writer: Writer
    spares: SparePool
    recovery: Recovery
    lock: int


def open_parts(directory: Path, options: JournalOptions, doors: Doors, *, accept_damage: bool) -> Parts:
    """Lock a directory, recover what is in it, and start the threads. Raises as ``Journal.open`` does."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(directory)
        try:
            return _open_locked(directory, options, doors, lock=lock, accept_damage=accept_damage)
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise JournalError(f"the journal in {directory} cannot be opened: {error.strerror or error}") from error


def _open_locked(directory: Path, options: JournalOptions, doors: Doors, *, lock: int, accept_damage: bool) -> Parts:
    files = doors.files
    recovered = recover(directory, files, doors.salt, accept_damage=accept_damage, progress=doors.progress)
    spares = SparePool(directory, options, files)
    segments = recovered.segments
    if segments and not segments[-1].header.salvaged:
        _reopen(segments[-1], files)
    else:
        segments.append(_begin(directory, options, doors, spares=spares, previous=segments[-1] if segments else None))
    chain = Chain(segments, files, spares)
    writer = Writer(
        directory, options, files=files, chain=chain, spares=spares, salt=doors.salt, on_failure=doors.on_failure
    )
    spares.start()
    writer.start()
    return Parts(chain, writer, spares, recovered.report, lock)


def _lock(directory: Path) -> int:
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise JournalError(f"the journal in {directory} is open in another process") from error
        raise
    return descriptor


def _reopen(last: Segment, files: DiskFiles) -> None:
    """A segment that was closed in order is written to again: its head no longer names an end."""
    if last.header.end_bytes:
        last.header = last.header.opened()
        write_head(files, last.path, last.header)


def _begin(
    directory: Path, options: JournalOptions, doors: Doors, *, spares: SparePool, previous: Segment | None
) -> Segment:
    """Begin a segment, the first of all or the one after a salvaged segment."""
    if not len(spares):
        spares.prepare()
    spare = spares.take()
    if spare is None:
        raise JournalError(spares.problem or "no room for a segment")
    header = SegmentHeader(
        generation=previous.header.generation + 1 if previous else 1,
        segment_bytes=options.segment_bytes,
        first_sequence=previous.header.resume_sequence if previous else 1,
        salt=doors.salt(),
    )
    return start_segment(directory, spare, header, doors.files)
