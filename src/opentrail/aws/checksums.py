"""Checksums of bodies, computed as the bytes go by: S3's ``x-amz-checksum-*`` and the signed payload hash.

Rules. Values travel as base64 of the big-endian digest, payload hashes as lower-case hex. Comparisons are in constant
time. CRC-32C and CRC-64/NVME come from ``awscrt``, loaded on first use.
"""

import base64
import hmac
import re
import zlib
from collections.abc import Callable
from enum import StrEnum
from hashlib import sha1, sha256

from opentrail.aws.authorization import UNSIGNED_PAYLOAD, ProblemKind, SignatureProblem

_PREFIX = "x-amz-checksum-"
_hex_digest = re.compile(r"[0-9a-f]{64}").fullmatch


class ChecksumAlgorithm(StrEnum):
    """The algorithms, by the last part of their header's name."""

    CRC32 = "crc32"
    CRC32C = "crc32c"
    CRC64NVME = "crc64nvme"
    SHA1 = "sha1"
    SHA256 = "sha256"

    @property
    def header(self) -> str:
        """The header (or trailer) that carries the value, ``x-amz-checksum-crc32``."""
        return _PREFIX + self.value


def algorithm_of(header: str) -> ChecksumAlgorithm | None:
    """The algorithm that a lower-case header name stands for; None where it is not a checksum's."""
    name = header.removeprefix(_PREFIX)
    return ChecksumAlgorithm(name) if name != header and name in set(ChecksumAlgorithm) else None


class Checksum:
    """One checksum in the making."""

    __slots__ = ("_crc", "_hash", "_size_bytes", "_value", "algorithm")

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self.algorithm = algorithm
        self._value = 0
        self._crc, self._size_bytes = _crc(algorithm)
        # S3 offers SHA-1 to detect damage, not to prove anything.
        self._hash = sha1(usedforsecurity=False) if algorithm is ChecksumAlgorithm.SHA1 else sha256()

    def update(self, data: bytes) -> None:
        """Take in more bytes."""
        if self._crc is not None:
            self._value = self._crc(data, self._value)
        else:
            self._hash.update(data)

    def digest(self) -> bytes:
        """The checksum of what was taken in so far."""
        if self._crc is None:
            return self._hash.digest()
        return self._value.to_bytes(self._size_bytes, "big")

    def base64(self) -> str:
        """The digest as headers carry it."""
        return base64.b64encode(self.digest()).decode("ascii")

    def matches(self, value: str) -> bool:
        """Whether a header's value is this checksum."""
        return hmac.compare_digest(self.base64().encode(), value.strip().encode("utf-8", "replace"))


class PayloadHash:
    """The body's SHA-256, checked against a declared ``x-amz-content-sha256`` that is a digest or UNSIGNED-PAYLOAD."""

    __slots__ = ("_declared", "_hash")

    def __init__(self, declared: str) -> None:
        """Raises SignatureProblem (MALFORMED) where the value is neither; streaming forms are ``chunked``'s."""
        if declared != UNSIGNED_PAYLOAD and not _hex_digest(declared):
            raise SignatureProblem(
                ProblemKind.MALFORMED,
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a streaming form, or a valid sha256 value.",
            )
        self._declared = declared
        self._hash = None if declared == UNSIGNED_PAYLOAD else sha256()

    def update(self, data: bytes) -> None:
        """Take in more of the body."""
        if self._hash is not None:
            self._hash.update(data)

    def finish(self) -> None:
        """Raises SignatureProblem (BAD_CONTENT_HASH) where the body is not the declared one."""
        if self._hash is not None and not hmac.compare_digest(self._hash.hexdigest(), self._declared):
            raise SignatureProblem(
                ProblemKind.BAD_CONTENT_HASH,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )


def _crc(algorithm: ChecksumAlgorithm) -> tuple[Callable[[bytes, int], int] | None, int]:
    if algorithm is ChecksumAlgorithm.CRC32:
        return zlib.crc32, 4
    if algorithm is ChecksumAlgorithm.CRC32C:
        from awscrt.checksums import crc32c

        return crc32c, 4
    if algorithm is ChecksumAlgorithm.CRC64NVME:
        from awscrt.checksums import crc64nvme

        return crc64nvme, 8
    return None, 0
