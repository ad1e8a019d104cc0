"""A digest file's bytes, and what is signed of it (cloudtrail fact sheet 5.2 to 5.4). Pure: values in, bytes out.

Rules. The content is serialised once; the hash, the signature and the object are made of those very bytes. The string
that is signed binds the content, the place and the previous digest's signature, so that no digest can be changed, moved
or left out without its successors telling. The signature stands in the object's metadata and in the next digest, never
in its own content. One gzip member without a time, so that a repetition gives the same bytes.
"""

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

SIGNATURE_ALGORITHM = "SHA256withRSA"
HASH_ALGORITHM = "SHA-256"
_NO_SIGNATURE = "null"
_GZIP_LEVEL = 6


class Signer(Protocol):
    """One key pair's private half: RSASSA-PKCS1-v1_5 with SHA-256."""

    @property
    def fingerprint(self) -> str:
        """Which public key verifies: as ListPublicKeys shows it."""

    def sign(self, message: bytes) -> bytes:
        """The signature; the same message gets the same one."""


@dataclass(frozen=True, slots=True)
class DigestedFile:
    """A log file as a digest lists it. ``sha256`` (hex) is of the content before compression."""

    bucket: str
    key: str
    sha256: str
    oldest_event_at: datetime
    newest_event_at: datetime


@dataclass(frozen=True, slots=True)
class PreviousDigest:
    """The digest before, as the next one names it. ``sha256`` and ``signature`` are hex."""

    bucket: str
    key: str
    sha256: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What a digest file says; ``previous`` is None in a starting digest. Times are aware, whole seconds."""

    account_id: str
    start: datetime
    end: datetime
    bucket: str
    key: str
    previous: PreviousDigest | None
    log_files: Sequence[DigestedFile]


@dataclass(frozen=True, slots=True)
class SignedDigest:
    """A digest file ready to be put. ``sha256`` and ``signature`` are hex, ``body`` is what the bucket gets."""

    body: bytes
    size_bytes: int
    sha256: str
    signature: str
    fingerprint: str

    @property
    def metadata(self) -> Mapping[str, str]:
        """The object's user metadata (fact sheet 5.3)."""
        return metadata_of(self.signature)


def signed(digest: Digest, signer: Signer) -> SignedDigest:
    """The digest file, signed."""
    content = content_of(digest, signer.fingerprint)
    sha256 = hashlib.sha256(content).hexdigest()
    signature = signer.sign(string_to_sign(digest, sha256)).hex()
    body = gzip.compress(content, _GZIP_LEVEL, mtime=0)
    return SignedDigest(body, len(content), sha256, signature, signer.fingerprint)


def content_of(digest: Digest, fingerprint: str) -> bytes:
    """The JSON of a digest: every key always there, in the order of AWS's documentation (fact sheet 5.2)."""
    previous, files = digest.previous, digest.log_files
    return orjson.dumps(
        {
            "awsAccountId": digest.account_id,
            "digestStartTime": time_text(digest.start),
            "digestEndTime": time_text(digest.end),
            "digestS3Bucket": digest.bucket,
            "digestS3Object": digest.key,
            "digestPublicKeyFingerprint": fingerprint,
            "digestSignatureAlgorithm": SIGNATURE_ALGORITHM,
            "newestEventTime": time_text(max(file.newest_event_at for file in files)) if files else None,
            "oldestEventTime": time_text(min(file.oldest_event_at for file in files)) if files else None,
            "previousDigestS3Bucket": previous.bucket if previous else None,
            "previousDigestS3Object": previous.key if previous else None,
            "previousDigestHashValue": previous.sha256 if previous else None,
            "previousDigestHashAlgorithm": HASH_ALGORITHM if previous else None,
            "previousDigestSignature": previous.signature if previous else None,
            "logFiles": [_listed(file) for file in files],
        }
    )


def string_to_sign(digest: Digest, content_sha256: str) -> bytes:
    """What the signature is made of (fact sheet 5.4): no newline at the end, four letters where nothing came before."""
    previous_signature = digest.previous.signature if digest.previous else _NO_SIGNATURE
    place = f"{digest.bucket}/{digest.key}"
    return f"{time_text(digest.end)}\n{place}\n{content_sha256}\n{previous_signature}".encode()


def metadata_of(signature: str) -> Mapping[str, str]:
    """The user metadata of a digest file with this signature (fact sheet 5.3)."""
    return {"signature": signature, "signature-algorithm": SIGNATURE_ALGORITHM}


def time_text(at: datetime) -> str:
    """A time as digest files have it: UTC, whole seconds."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _listed(file: DigestedFile) -> dict[str, Any]:
    return {
        "s3Bucket": file.bucket,
        "s3Object": file.key,
        "hashValue": file.sha256,
        "hashAlgorithm": HASH_ALGORITHM,
        "newestEventTime": time_text(file.newest_event_at),
        "oldestEventTime": time_text(file.oldest_event_at),
    }
