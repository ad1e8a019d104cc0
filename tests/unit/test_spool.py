"""Bodies are taken in whole, within bounds, and leave nothing behind."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opentrail.errors import ApiError
from opentrail.gateway import spool as spool_module
from opentrail.gateway.spool import MEMORY_BYTES, Spooling


async def pieces_of(data: bytes, piece_bytes: int = 100_000) -> AsyncIterator[bytes]:
    """A body in pieces."""
    for offset in range(0, len(data), piece_bytes):
        yield data[offset : offset + piece_bytes]


@pytest.mark.parametrize("size_bytes", [0, 1, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES + 17])
def test_a_body_comes_back_as_it_was(tmp_path: Path, size_bytes: int) -> None:
    """Whole and in pieces, with its size and hash; in a file beyond the limit, which nobody sees."""
    data = bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)

    async def take() -> None:
        async with Spooling(tmp_path).taken({}, pieces_of(data)) as spool:
            assert spool.is_small == (size_bytes <= MEMORY_BYTES)
            assert (spool.size_bytes, spool.sha256) == (size_bytes, hashlib.sha256(data).hexdigest())
            assert spool.whole() == data
            assert b"".join([piece async for piece in spool.pieces()]) == data
            assert os.listdir(tmp_path) == []  # noqa: PTH208 - in a coroutine

    asyncio.run(take())


def test_what_announces_too_much_is_not_read() -> None:
    """The refusal comes before the body."""

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    async def take() -> None:
        async with Spooling().taken({"content-length": str(spool_module.MAX_BYTES + 1)}, never()):
            raise AssertionError("it was taken")

    with pytest.raises(ApiError) as caught:
        asyncio.run(take())
    assert (caught.value.code, caught.value.status) == ("RequestEntityTooLargeException", 413)


def test_what_grows_too_large_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A body without an announced length is counted while it arrives."""
    monkeypatch.setattr(spool_module, "MAX_BYTES", 2 * MEMORY_BYTES)

    async def take() -> None:
        async with Spooling(tmp_path).taken({}, pieces_of(b"x" * (3 * MEMORY_BYTES))):
            raise AssertionError("it was taken")

    with pytest.raises(ApiError):
        asyncio.run(take())


def test_large_bodies_wait_for_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only so many files at a time, however many clients send."""
    monkeypatch.setattr(spool_module, "_PLACES", 2)
    spooling = Spooling(tmp_path)
    inside = most = 0

    async def take() -> None:
        nonlocal inside, most
        async with spooling.taken({}, pieces_of(b"x" * (MEMORY_BYTES + 1))):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(take() for _ in range(6)))

    asyncio.run(all_of_them())
    assert most == 2
