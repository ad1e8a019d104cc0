"""A log file's bytes: ``{"Records":[...]}`` around records exactly as they were captured, in one gzip member.

Deterministic: the same records in the same order with the same compression give the same bytes, because the gzip header
carries no time and the compressor is fed in pieces whose borders depend on the records alone. Records are never parsed.
Format: cloudtrail fact sheet 3.1.
"""

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

ENVELOPE_START = b'{"Records":['
ENVELOPE_END = b"]}"
ENVELOPE_BYTES = len(ENVELOPE_START) + len(ENVELOPE_END)
SEPARATOR_BYTES = 1

_GZIP_WINDOW_BITS = 31
_PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Compression:
    """Which deflate writes a file: ``isal`` levels 0 to 3 (fast), or ``zlib`` levels 0 to 9."""

    compressor: str = "isal"
    level: int = 2

    def __post_init__(self) -> None:
        highest = {"isal": 3, "zlib": 9}.get(self.compressor)
        if highest is None or not 0 <= self.level <= highest:
            raise ValueError(f"no such compression: {self.compressor} level {self.level}")

    def start(self) -> Any:
        """A fresh compression object that writes one gzip member."""
        if self.compressor == "isal":
            return isal_zlib.compressobj(self.level, isal_zlib.DEFLATED, _GZIP_WINDOW_BITS)
        return zlib.compressobj(self.level, zlib.DEFLATED, _GZIP_WINDOW_BITS)


@dataclass(frozen=True, slots=True)
class LogFile:
    """A finished log file. ``sha256`` (hex) and ``size_bytes`` are of the content before compression."""

    body: bytes
    sha256: str
    size_bytes: int
    record_count: int


class LogFileWriter:
    """Takes records in order and gives the file; holds about 256 KiB of them besides the compressed bytes."""

    def __init__(self, compression: Compression) -> None:
        self._deflate = compression.start()
        self._digest = hashlib.sha256()
        self._written: list[bytes] = []
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._size_bytes = 0
        self.record_count = 0

    def add(self, records: Iterable[bytes]) -> None:
        """Append records, each one JSON object."""
        waiting, waiting_bytes = self._waiting, self._waiting_bytes
        for record in records:
            waiting.append(record)
            waiting_bytes += len(record)
            if waiting_bytes >= _PIECE_BYTES:
                self._write_piece()
                waiting_bytes = 0
        self._waiting_bytes = waiting_bytes

    def finish(self) -> LogFile:
        """The file. Raises ValueError where there is no record: a log file is never empty (fact sheet 3.1)."""
        self._write_piece(last=True)
        if not self.record_count:
            raise ValueError("a log file without records")
        body = b"".join([*self._written, self._deflate.flush()])
        return LogFile(body, self._digest.hexdigest(), self._size_bytes, self.record_count)

    def _write_piece(self, *, last: bool = False) -> None:
        joined = b",".join(self._waiting)
        if not self.record_count:
            joined = ENVELOPE_START + joined
        elif self._waiting:
            joined = b"," + joined
        if last:
            joined += ENVELOPE_END
        self._digest.update(joined)
        self._size_bytes += len(joined)
        self._written.append(self._deflate.compress(joined))
        self.record_count += len(self._waiting)
        self._waiting.clear()


def build(records: Iterable[bytes], compression: Compression) -> LogFile:
    """The log file of some records."""
    writer = LogFileWriter(compression)
    writer.add(records)
    return writer.finish()


def content_sha256(body: bytes, *, max_bytes: int) -> str | None:
    """The SHA-256 (hex) of what a gzip body inflates to; None if it is no gzip or longer than ``max_bytes``.

    For comparing an object already in a bucket with what we would have written: content counts, not compression.
    """
    inflate = zlib.decompressobj(_GZIP_WINDOW_BITS)
    digest = hashlib.sha256()
    left = max_bytes + 1
    data = body
    try:
        while data and not inflate.eof and left > 0:
            piece = inflate.decompress(data, min(left, _PIECE_BYTES))
            digest.update(piece)
            left -= len(piece)
            data = inflate.unconsumed_tail
    except zlib.error:
        return None
    complete = inflate.eof and not inflate.unused_data and left > 0
    return digest.hexdigest() if complete else None
