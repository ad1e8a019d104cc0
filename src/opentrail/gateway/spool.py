"""The body of a request that does not stream: kept in memory while it is small, in an unlinked file beyond.

Rules (D12). The whole body is here before anything is decided about it, and its hash with it. What it takes is bounded:
each body by ``MAX_BYTES``, and files by a number of places, since nobody is authenticated yet while a body arrives. A
file has no name, so that nothing of it stays when the process is killed.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

from opentrail.errors import ApiError

MAX_BYTES = 128 * 1024 * 1024
"""The largest body; the largest legal one is Lambda's 50 MB of code, in base64."""

MEMORY_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024
_PLACES = 16


class Spool:
    """One body, whole; ``sha256`` is the hash of its bytes in hex."""

    def __init__(self, data: bytes, file: IO[bytes] | None, size_bytes: int, digest: str) -> None:
        self._data = data
        self._file = file
        self.size_bytes = size_bytes
        self.sha256 = digest

    @property
    def is_small(self) -> bool:
        """Whether it is in memory."""
        return self._file is None

    def whole(self) -> bytes:
        """All bytes; for a large body on a worker thread."""
        if self._file is None:
            return self._data
        self._file.seek(0)
        return self._file.read()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes in order, from the first one on."""
        if self._file is None:
            yield self._data
            return
        offset = 0
        while offset < self.size_bytes:
            piece = await asyncio.to_thread(self._read_at, offset)
            offset += len(piece)
            yield piece

    def _read_at(self, offset: int) -> bytes:
        assert self._file is not None
        self._file.seek(offset)
        return self._file.read(_PIECE_BYTES)


class Spooling:
    """Takes bodies in, so many large ones at a time."""

    def __init__(self, directory: Path | None = None) -> None:
        """``directory``: where files are made; None: the system's place for temporary files."""
        self._directory = directory
        self._places = asyncio.Semaphore(_PLACES)

    @asynccontextmanager
    async def taken(self, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> AsyncIterator[Spool]:
        """The body of a request, until the block ends.

        Raises ApiError RequestEntityTooLargeException, before a byte is read where the size is announced.
        """
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > MAX_BYTES:
            raise _too_large()
        pieces: list[bytes] = []
        size, digest = 0, sha256()
        async for piece in body:
            pieces.append(piece)
            size += len(piece)
            digest.update(piece)
            if size > MEMORY_BYTES:
                break
        else:
            yield Spool(b"".join(pieces), None, size, digest.hexdigest())
            return
        async with self._places:
            with tempfile.TemporaryFile(dir=self._directory) as file:
                await asyncio.to_thread(file.write, b"".join(pieces))
                pieces.clear()
                async for piece in body:
                    size += len(piece)
                    if size > MAX_BYTES:
                        raise _too_large()
                    digest.update(piece)
                    await asyncio.to_thread(file.write, piece)
                yield Spool(b"", file, size, digest.hexdigest())


def _too_large() -> ApiError:
    return ApiError("RequestEntityTooLargeException", f"The request is larger than {MAX_BYTES} bytes", status=413)
