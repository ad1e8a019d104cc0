"""How the body of an S3 request is framed, and the checks that it passes through. Pure.

Rules. A check lets everything through but the last piece, and that only when payload hash, chunk signatures, trailing
checksum and length agree with what was signed and announced.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NoReturn, Protocol

from opentrail.aws.chunked import BodyEnd, ChunkedBody, ChunkProblem
from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.aws.sigv4 import UNSIGNED_PAYLOAD, ProblemKind, SignatureProblem
from opentrail.errors import ApiError
from opentrail.gateway.exchange import Caller

MAX_OBJECT_BYTES = 5 * 1024**3
BLOCK_BYTES = 64 * 1024
TRAILER_LENGTHS = {
    "x-amz-checksum-crc32": 8,
    "x-amz-checksum-crc32c": 8,
    "x-amz-checksum-crc64nvme": 12,
    "x-amz-checksum-sha1": 28,
    "x-amz-checksum-sha256": 44,
}
"""The base64 lengths of the checksums that may follow a body."""


@dataclass(frozen=True, slots=True)
class Framing:
    """What a head says about its body: ``payload_bytes`` decoded, ``form`` as in x-amz-content-sha256."""

    form: str
    payload_bytes: int
    trailer_names: tuple[str, ...] = ()

    @property
    def is_chunked(self) -> bool:
        """Whether the body is in aws-chunked framing."""
        return self.form.startswith("STREAMING-")


class BodyCheck(Protocol):
    """Looks at a body as it passes."""

    def feed(self, data: bytes) -> bytes:
        """What of the payload may go on by now; never its last byte. Raises ApiError."""

    def finish(self) -> bytes:
        """The rest of the payload, once everything agrees. Raises ApiError where something does not."""

    @property
    def trailers(self) -> Mapping[str, str]:
        """The checksums that followed the body, verified; known after ``finish``."""


class PlainCheck:
    """A body in no framing: its length, and its SHA-256 where that was signed."""

    trailers: Mapping[str, str] = {}

    def __init__(self, framing: Framing) -> None:
        self._expected = framing
        self._hash = None if framing.form == UNSIGNED_PAYLOAD else sha256()
        self._seen_bytes = 0
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The piece before this one; this one is held back."""
        self._seen_bytes += len(data)
        if self._seen_bytes > self._expected.payload_bytes:
            raise s3_error("IncompleteBody")
        if self._hash is not None:
            self._hash.update(data)
        if not data:
            return b""
        free, self._held = self._held, data
        return free

    def finish(self) -> bytes:
        """The last piece. Raises IncompleteBody or XAmzContentSHA256Mismatch."""
        if self._seen_bytes != self._expected.payload_bytes:
            raise s3_error("IncompleteBody")
        if self._hash is not None:
            computed = self._hash.hexdigest()
            if not hmac.compare_digest(computed.encode(), self._expected.form.encode()):
                raise s3_error("XAmzContentSHA256Mismatch")
        return self._held


class ChunkCheck:
    """A body in aws-chunked framing: its chunks' signatures, its length, its trailing checksum."""

    def __init__(self, framing: Framing, caller: Caller) -> None:
        """Raises ApiError for a form or a trailer that we do not speak."""
        self.trailers: Mapping[str, str] = {}
        try:
            self._body = ChunkedBody(
                framing.form,
                caller.signing_key,
                caller.authorization,
                decoded_length=framing.payload_bytes,
                trailer_names=framing.trailer_names,
            )
        except (SignatureProblem, ChunkProblem) as problem:
            _refuse(problem)

    def feed(self, data: bytes) -> bytes:
        """Payload that may go on. Raises ApiError."""
        try:
            return b"".join(self._body.feed(data))
        except (SignatureProblem, ChunkProblem) as problem:
            _refuse(problem)

    def finish(self) -> bytes:
        """The rest of the payload. Raises ApiError."""
        try:
            end: BodyEnd = self._body.finish()
        except (SignatureProblem, ChunkProblem) as problem:
            _refuse(problem)
        self.trailers = end.trailers
        return end.payload


def framing(head_headers: Mapping[str, str], form: str | None, *, needs_length: bool) -> Framing:
    """Read what a head says about its body. ``form`` is the signed x-amz-content-sha256, None where nothing is signed.

    Raises ApiError: MissingContentLength where an upload announces none, EntityTooLarge above 5 GiB.
    """
    form = form or head_headers.get("x-amz-content-sha256") or UNSIGNED_PAYLOAD
    chunked = form.startswith("STREAMING-")
    text = head_headers.get("x-amz-decoded-content-length" if chunked else "content-length")
    if text is None and (chunked or needs_length or "transfer-encoding" in head_headers):
        raise s3_error("MissingContentLength")
    if text is not None and not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise s3_error("InvalidArgument", "The length of the body is not a number.")
    payload_bytes = int(text or 0)
    if payload_bytes > MAX_OBJECT_BYTES:
        raise s3_error("EntityTooLarge")
    if not chunked:
        if form != UNSIGNED_PAYLOAD and not _is_sha256(form):
            raise s3_error("InvalidArgument", f"x-amz-content-sha256 must be {UNSIGNED_PAYLOAD} or a SHA-256 in hex.")
        return Framing(form, payload_bytes)
    names = tuple(name.strip().lower() for name in head_headers.get("x-amz-trailer", "").split(",") if name.strip())
    if len(names) > 1 or any(name not in TRAILER_LENGTHS for name in names):
        raise s3_error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
    return Framing(form, payload_bytes, names)


def framed_size(payload_bytes: int, trailer_name: str) -> int:
    """How long a payload is in unsigned aws-chunked framing with BLOCK_BYTES chunks and one checksum."""
    blocks, rest = divmod(payload_bytes, BLOCK_BYTES)
    size = blocks * (len(f"{BLOCK_BYTES:x}") + 4 + BLOCK_BYTES)
    size += len(f"{rest:x}") + 4 + rest if rest else 0
    return size + len("0\r\n") + len(trailer_name) + 1 + TRAILER_LENGTHS[trailer_name] + len("\r\n\r\n")


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)


def _refuse(problem: SignatureProblem | ChunkProblem) -> NoReturn:
    if isinstance(problem, ChunkProblem):
        raise ApiError(problem.kind.value, problem.message, status=400) from problem
    if problem.kind is ProblemKind.MISMATCH:
        raise s3_error("SignatureDoesNotMatch") from problem
    raise s3_error("InvalidRequest", problem.message) from problem
