"""The aws-chunked body: a decoder that never lets a whole body through before everything about it agrees.

Body of a signed form, ``x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER]``::

    10000;chunk-signature=<64 hex digits>\\r\\n<65536 bytes>\\r\\n
    0;chunk-signature=<64 hex digits>\\r\\n
    x-amz-checksum-crc32c:sOO8/Q==\\r\\n                          (-TRAILER forms only)
    x-amz-trailer-signature:<64 hex digits>\\r\\n                 (the signed one of those)
    \\r\\n

``STREAMING-UNSIGNED-PAYLOAD-TRAILER`` has sizes without signatures, and an unsigned trailer. Each chunk's signature
covers the one before it; the first covers the request's own.

Rules. No I/O: bytes go in with ``feed``, payload comes out, ``finish`` gives the verdict and the rest. The last piece
that came in (up to 64 KiB of it, at least one byte of a body that is not empty) stays behind until ``finish``: whoever
forwards the payload with its length announced has not completed a body that turns out bad. Memory is bounded by the
piece being fed plus what is held back. After an error the decoder is spent.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from opentrail.aws.authorization import Authorization, ProblemKind, SignatureProblem
from opentrail.aws.canonical_request import ALGORITHM, collapse, stamp
from opentrail.aws.checksums import Checksum, ChecksumAlgorithm, algorithm_of
from opentrail.aws.sigv4 import SigningKey
from opentrail.errors import OpenTrailError

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
FORMS = frozenset({SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER})
HELD_BACK_BYTES = 64 * 1024
MAX_BODY_BYTES = 5 * 1024**3  # one PutObject or UploadPart
_TRAILER_SIGNATURE = "x-amz-trailer-signature"
_MAX_CHUNK_HEAD_BYTES = 1024
_MAX_TRAILER_BYTES = 16 * 1024
_EMPTY_SHA256 = sha256().hexdigest()
_signed_head = re.compile(rb"([0-9A-Fa-f]{1,16});chunk-signature=([0-9a-f]{64})").fullmatch
_unsigned_head = re.compile(rb"([0-9A-Fa-f]{1,16})").fullmatch
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)


class ChunkProblemKind(StrEnum):
    """What is wrong with a body, by S3's error code."""

    INCOMPLETE = "IncompleteBody"
    INVALID_CHUNK = "InvalidChunkSizeError"
    MALFORMED_TRAILER = "MalformedTrailerError"
    UNSUPPORTED = "InvalidRequest"
    BAD_CHECKSUM = "BadDigest"
    TOO_LARGE = "EntityTooLarge"


class ChunkProblem(OpenTrailError):
    """A body that is not what it says it is; ``kind`` is S3's error code, ``message`` fit for the caller."""

    def __init__(self, kind: ChunkProblemKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """The end of a body that agrees: the payload held back until now, and its trailers (lower-case names)."""

    payload: bytes
    trailers: Mapping[str, str]
    length_bytes: int


class ChunkedBody:
    """Decodes one aws-chunked body; see the module's rules."""

    def __init__(
        self,
        form: str,
        key: SigningKey | None,
        authorization: Authorization | None,
        *,
        decoded_length: int | None,
        trailer_names: tuple[str, ...] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """``form`` is ``x-amz-content-sha256``, ``decoded_length`` is ``x-amz-decoded-content-length`` in bytes, and
        ``trailer_names`` are the names in ``x-amz-trailer``.

        Raises SignatureProblem (MALFORMED) for a form we do not speak, or a signed one on an unsigned request;
        ChunkProblem for trailers that cannot be, or a length above the limit.
        """
        _check_form(form, signed_request=key is not None and authorization is not None)
        self._names = tuple(name.strip().lower() for name in trailer_names)
        self._checksums = _checksums(form, self._names)
        if decoded_length is not None and decoded_length > max_body_bytes:
            raise ChunkProblem(
                ChunkProblemKind.TOO_LARGE, "Your proposed upload exceeds the maximum allowed object size."
            )
        self._form = form
        self._chain = _Chain(key, authorization) if form != UNSIGNED_TRAILER and key and authorization else None
        self._expected_bytes = decoded_length
        self._limit_bytes = max_body_bytes if decoded_length is None else decoded_length
        self._length_bytes = 0
        self._left_bytes = 0  # of the current chunk
        self._text = bytearray()  # a head, a chunk's end or the trailer section, as far as it has come
        self._step: Callable[[ChunkedBody, bytes, int], int] = ChunkedBody._head
        self._held = b""
        self._out: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Take in bytes of the body, in pieces of any size; returns payload to pass on (never the last of it).

        What comes out is still unproven: only ``finish`` says whether it was right. Raises SignatureProblem (MISMATCH)
        at the end of a chunk whose signature is wrong, and ChunkProblem where the body is malformed or too long.
        """
        position = 0
        while position < len(data):
            position = self._step(self, data, position)
        out, self._out = self._out, []
        return out

    def finish(self) -> BodyEnd:
        """The verdict, once the request's body has ended.

        Raises ChunkProblem where it is incomplete or a length or checksum is wrong, SignatureProblem (MISMATCH) where
        the trailer's signature is.
        """
        # An empty line ends the section, and with it the body.
        ended = self._text == b"\r\n" or self._text.endswith((b"\n\r\n", b"\n\n"))
        if self._step is not ChunkedBody._trailer_section or not ended:
            raise _incomplete()
        if self._expected_bytes is not None and self._length_bytes != self._expected_bytes:
            raise _incomplete()
        trailers = self._trailers()
        for checksum in self._checksums:
            if not checksum.matches(trailers[checksum.algorithm.header]):
                name = checksum.algorithm.value.upper()
                raise ChunkProblem(
                    ChunkProblemKind.BAD_CHECKSUM, f"The {name} you specified did not match the calculated checksum."
                )
        return BodyEnd(self._held, trailers, self._length_bytes)

    def _head(self, data: bytes, position: int) -> int:
        position, line = self._line(data, position, _MAX_CHUNK_HEAD_BYTES)
        if line is None:
            return position
        match = (_unsigned_head if self._chain is None else _signed_head)(line)
        if match is None:
            raise ChunkProblem(ChunkProblemKind.INVALID_CHUNK, "A chunk's size line is not well-formed.")
        self._left_bytes = int(match[1], 16)
        self._length_bytes += self._left_bytes
        if self._length_bytes > self._limit_bytes:
            raise ChunkProblem(
                ChunkProblemKind.INVALID_CHUNK, "The chunks are longer than x-amz-decoded-content-length says."
            )
        if self._chain is not None:
            self._chain.expect(match[2])
        if self._left_bytes:
            self._step = ChunkedBody._payload
        else:
            self._close_chunk()
            self._step = ChunkedBody._trailer_section
        return position

    def _payload(self, data: bytes, position: int) -> int:
        end = min(position + self._left_bytes, len(data))
        piece = data if end - position == len(data) else data[position:end]
        self._left_bytes -= len(piece)
        if self._chain is not None:
            self._chain.update(piece)
        for checksum in self._checksums:
            checksum.update(piece)
        self._hold(piece)
        if not self._left_bytes:
            self._close_chunk()
            self._step = ChunkedBody._chunk_end
        return end

    def _chunk_end(self, data: bytes, position: int) -> int:
        position, line = self._line(data, position, 2)
        if line is not None:
            if line:
                raise ChunkProblem(ChunkProblemKind.INVALID_CHUNK, "A chunk is longer than its size line says.")
            self._step = ChunkedBody._head
        return position

    def _trailer_section(self, data: bytes, position: int) -> int:
        self._text += data[position : position + _MAX_TRAILER_BYTES + 1]
        if len(self._text) > _MAX_TRAILER_BYTES:
            raise _malformed_trailer()
        return len(data)

    def _line(self, data: bytes, position: int, limit_bytes: int) -> tuple[int, bytes | None]:
        """Read up to a line's end (``\\r\\n``): where reading stopped, and the line once it is whole."""
        end = data.find(b"\n", position, position + limit_bytes)
        stop = min(len(data), position + limit_bytes) if end < 0 else end + 1
        self._text += data[position:stop]
        if len(self._text) > limit_bytes or (len(self._text) == limit_bytes and end < 0):
            raise ChunkProblem(ChunkProblemKind.INVALID_CHUNK, "A chunk's size line is too long.")
        if end < 0:
            return stop, None
        if not self._text.endswith(b"\r\n"):
            raise ChunkProblem(ChunkProblemKind.INVALID_CHUNK, "A chunk's size line is not well-formed.")
        line = bytes(self._text[:-2])
        self._text.clear()
        return stop, line

    def _hold(self, piece: bytes) -> None:
        if self._held:
            self._out.append(self._held)
        if len(piece) > HELD_BACK_BYTES:
            self._out.append(piece[:-HELD_BACK_BYTES])
            piece = piece[-HELD_BACK_BYTES:]
        self._held = piece

    def _close_chunk(self) -> None:
        if self._chain is not None:
            self._chain.close()

    def _trailers(self) -> dict[str, str]:
        found = _parse_trailers(bytes(self._text))
        signature = found.pop(_TRAILER_SIGNATURE, None)
        if found.keys() != set(self._names) or (signature is not None) != (self._form == SIGNED_TRAILER):
            raise _malformed_trailer()
        if self._chain is not None and signature is not None:
            self._chain.check_trailers(found, signature)
        return found


class _Chain:
    """Signatures that each cover the one before."""

    def __init__(self, key: SigningKey, authorization: Authorization) -> None:
        self._key = key
        self._where = f"{stamp(authorization.signed_at)}\n{authorization.scope}"
        self._previous = authorization.signature
        self._sent = ""
        self._hash = sha256()

    def expect(self, signature: bytes) -> None:
        self._sent = signature.decode("ascii")
        self._hash = sha256()

    def update(self, payload: bytes) -> None:
        self._hash.update(payload)

    def close(self) -> None:
        text = f"{ALGORITHM}-PAYLOAD\n{self._where}\n{self._previous}\n{_EMPTY_SHA256}\n{self._hash.hexdigest()}"
        self._compare(text, self._sent)
        self._previous = self._sent

    def check_trailers(self, trailers: Mapping[str, str], signature: str) -> None:
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
        digest = sha256(lines.encode("latin-1")).hexdigest()
        self._compare(f"{ALGORITHM}-TRAILER\n{self._where}\n{self._previous}\n{digest}", signature)

    def _compare(self, text: str, signature: str) -> None:
        expected = self._key.signature(text.encode())
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise SignatureProblem(ProblemKind.MISMATCH, _MISMATCH)


def _check_form(form: str, *, signed_request: bool) -> None:
    if form.startswith("STREAMING-AWS4-ECDSA-P256-SHA256"):
        raise SignatureProblem(
            ProblemKind.MALFORMED, f"Chunks signed with SigV4A ({form}) are not supported. Please use {SIGNED}."
        )
    if form not in FORMS:
        raise SignatureProblem(
            ProblemKind.MALFORMED,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a streaming form, or a valid sha256 value.",
        )
    if form != UNSIGNED_TRAILER and not signed_request:
        raise SignatureProblem(ProblemKind.MALFORMED, f"A body of form {form} needs a signed request.")


def _checksums(form: str, names: tuple[str, ...]) -> list[Checksum]:
    algorithms = [algorithm_of(name) for name in names]
    known: list[ChecksumAlgorithm] = [algorithm for algorithm in algorithms if algorithm is not None]
    if len(known) != len(names) or len(set(names)) != len(names) or (names and form == SIGNED):
        raise ChunkProblem(
            ChunkProblemKind.UNSUPPORTED, "The value specified in the x-amz-trailer header is not supported"
        )
    return [Checksum(algorithm) for algorithm in known]


def _parse_trailers(section: bytes) -> dict[str, str]:
    """The lines of a trailer section; empty ones do not count (AWS's own example has some in the middle)."""
    found: dict[str, str] = {}
    for line in section.decode("latin-1").split("\n"):
        name, colon, value = line.removesuffix("\r").partition(":")
        name = name.strip().lower()
        if not name and not colon:
            continue
        if not name or not colon or name in found:
            raise _malformed_trailer()
        found[name] = collapse(value)
    return found


def _incomplete() -> ChunkProblem:
    return ChunkProblem(
        ChunkProblemKind.INCOMPLETE,
        "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header.",
    )


def _malformed_trailer() -> ChunkProblem:
    return ChunkProblem(
        ChunkProblemKind.MALFORMED_TRAILER,
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    )
