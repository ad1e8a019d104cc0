"""A disk that misbehaves when a test says so."""

import errno
import os

from opentrail.journal.files import DiskFiles


class BadFiles(DiskFiles):
    """A file system whose faults are switched on by a test."""

    def __init__(self) -> None:
        """Begin without faults."""
        super().__init__()
        self.longest_write = 1 << 30
        self.write_error: int | None = None
        self.fill_error: int | None = None
        self.knows_flag = True
        self.writes_after_error = 0
        self.flushes = 0

    def write_some(self, descriptor: int, data: memoryview, offset: int, flags: int) -> int:
        """Write at most ``longest_write`` bytes, or fail."""
        if flags and not self.knows_flag:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        if self.write_error is not None:
            self.writes_after_error += 1
            super().write_some(descriptor, data[: len(data) // 2], offset, flags)  # some of it may have got there
            raise OSError(self.write_error, os.strerror(self.write_error))
        return super().write_some(descriptor, data[: self.longest_write], offset, flags)

    def flush(self, descriptor: int) -> None:
        """Count the flushes."""
        self.flushes += 1
        super().flush(descriptor)

    def fill(self, descriptor: int, size_bytes: int) -> None:
        """Fill a new segment, or fail."""
        if self.fill_error is not None:
            os.pwrite(descriptor, b"\0" * 1000, 0)
            raise OSError(self.fill_error, os.strerror(self.fill_error))
        super().fill(descriptor, size_bytes)
