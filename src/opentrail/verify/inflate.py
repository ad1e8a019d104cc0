"""Reading one gzip member, and nothing else, in bounded memory.

CloudTrail writes exactly one member per file (cloudtrail fact sheet 5.6, trap 48). Readers that stop after the first
one never see what was put behind it, so anything behind it is an error here, a second member too. What comes out is
limited as well: a few kilobytes can inflate to gigabytes.
"""

from collections.abc import Iterable, Iterator
from enum import Enum

from isal import igzip_lib

_FEED_BYTES = 16 * 1024
_OUTPUT_BYTES = 128 * 1024


class Flaw(Enum):
    """Why a file is not one gzip member of bearable size."""

    NOT_GZIP = "not-gzip"
    CUT_OFF = "cut-off"
    SECOND_MEMBER = "second-member"
    TRAILING_BYTES = "trailing-bytes"
    TOO_LARGE = "too-large"


class FlawedGzip(Exception):
    """The bytes are not one whole gzip member within the limit."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


def inflate(pieces: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """The content of one gzip member, piece by piece. Raises FlawedGzip; whatever came before it is not to be used."""
    member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    left = max_bytes
    behind = b""
    for piece in pieces:
        view = memoryview(piece)
        for at in range(0, len(view), _FEED_BYTES):
            if member.eof:
                # Two bytes tell a second member from other bytes; they may come one by one.
                behind += bytes(view[at : at + 2])
                if len(behind) >= 2:
                    raise FlawedGzip(_behind(behind))
                continue
            for content in _drained(member, view[at : at + _FEED_BYTES]):
                left -= len(content)
                if left < 0:
                    raise FlawedGzip(Flaw.TOO_LARGE)
                yield content
            if member.eof:
                behind = member.unused_data[:2]
    if not member.eof:
        raise FlawedGzip(Flaw.CUT_OFF)
    if behind:
        raise FlawedGzip(_behind(behind))


def _drained(member: igzip_lib.IgzipDecompressor, fed: memoryview) -> Iterator[bytes]:
    data: memoryview | bytes = fed
    while True:
        try:
            content = member.decompress(data, _OUTPUT_BYTES)
        except igzip_lib.error as error:  # type: ignore[misc]  # its stub calls the class a value
            raise FlawedGzip(Flaw.NOT_GZIP) from error
        if content:
            yield content
        if member.eof or member.needs_input:
            return
        data = b""


def _behind(start: bytes) -> Flaw:
    return Flaw.SECOND_MEMBER if start[:2] == b"\x1f\x8b" else Flaw.TRAILING_BYTES
