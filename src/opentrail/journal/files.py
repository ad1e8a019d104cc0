"""The journal's door to the file system: few verbs, each durable when it returns.

Every file is made with mode 0600. A write goes out as ``pwritev(..., RWF_DSYNC)``, one system call that returns when
the bytes are on disk; where the file system does not know the flag, as a write followed by ``fdatasync``.
"""

import errno
import os
from pathlib import Path

_ZEROS = bytes(1024 * 1024)
_FLUSH_EVERY_BYTES = 4 * 1024 * 1024
_READ_PIECE_BYTES = 4 * 1024 * 1024
_UNKNOWN_FLAG = (errno.EOPNOTSUPP, errno.ENOSYS)


class DiskFiles:
    """The real file system. Tests override single verbs to make a disk misbehave."""

    def __init__(self) -> None:
        """Assume that a write can be flushed by its flag until the file system says no."""
        self._flags = getattr(os, "RWF_DSYNC", 0)

    def open(self, path: Path) -> int:
        """A descriptor for reading and writing an existing file."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def write_some(self, descriptor: int, data: memoryview, offset: int, flags: int) -> int:
        """One system call: write at an offset, answer how many bytes went."""
        return os.pwritev(descriptor, [data], offset, flags)

    def flush(self, descriptor: int) -> None:
        """Bring what was written without the flag to disk."""
        os.fdatasync(descriptor)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of the bytes at an offset; they are on disk when this returns. Raises OSError."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            done += self._write_some(descriptor, view[done:], offset + done)
        if not self._flags:
            self.flush(descriptor)

    def _write_some(self, descriptor: int, data: memoryview, offset: int) -> int:
        try:
            written = self.write_some(descriptor, data, offset, self._flags)
        except OSError as error:
            if not self._flags or error.errno not in _UNKNOWN_FLAG:
                raise
            self._flags = 0
            written = self.write_some(descriptor, data, offset, 0)
        if written <= 0:
            raise OSError(errno.EIO, "the write made no progress")
        return written

    def read(self, path: Path, offset: int, size_bytes: int) -> bytes:
        """Up to that many bytes from an offset; fewer at the end of the file."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            pieces = []
            while size_bytes > 0:
                piece = os.pread(descriptor, min(size_bytes, _READ_PIECE_BYTES), offset)
                if not piece:
                    break
                pieces.append(piece)
                offset += len(piece)
                size_bytes -= len(piece)
            return b"".join(pieces)
        finally:
            os.close(descriptor)

    def create_filled(self, path: Path, size_bytes: int) -> None:
        """Make a new file of zeros that owns its blocks; leaves nothing behind when it fails. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self.fill(descriptor, size_bytes)
            os.fsync(descriptor)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def fill(self, descriptor: int, size_bytes: int) -> None:
        """Write zeros, flushed in portions so that the appends beside it do not wait for one long flush."""
        self.reserve(descriptor, size_bytes)
        offset = 0
        while offset < size_bytes:
            offset += os.pwrite(descriptor, memoryview(_ZEROS)[: size_bytes - offset], offset)
            if offset % _FLUSH_EVERY_BYTES == 0:
                os.fdatasync(descriptor)

    def reserve(self, descriptor: int, size_bytes: int) -> None:
        """Ask for the blocks first: a full disk then says so before anything is written."""
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
        except OSError as error:
            if error.errno not in (*_UNKNOWN_FLAG, errno.EINVAL):
                raise

    def create_whole(self, path: Path, data: bytes) -> None:
        """Make a file with this content, flushed, in place of any file of that name."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self.write(descriptor, data, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name (replacing a file that has it), durably."""
        source.replace(target)
        self.flush_directory(target.parent)

    def remove(self, path: Path) -> None:
        """Remove a file, durably."""
        path.unlink(missing_ok=True)
        self.flush_directory(path.parent)

    def flush_directory(self, directory: Path) -> None:
        """Bring a directory's entries to disk."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
