"""One digest file: its content read strictly, and judged by itself (cloudtrail fact sheet 5.2 to 5.6).

The order of the checks is the AWS CLI's (5.6 step 7), which stops at the first that fails, so that both name the same
cause: readable, signature there, complete, in its place, key known, signature right. What the content says is used only
after that. Its end time must be its key's stamp; the links to its predecessor are checked in ``chain``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from opentrail.verify.findings import Finding, Kind, Location
from opentrail.verify.keys import KeyRing, PublicKey
from opentrail.verify.times import display, parse_asked, parse_wire

MAX_DIGEST_BYTES = 64 * 1024 * 1024
"""The largest content of a digest file that is looked at: some 150,000 log files in one interval."""

SIGNATURE_ALGORITHM = "SHA256withRSA"
HASH_ALGORITHM = "SHA-256"

_HEX_HASH = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_MISSING = object()


class DigestProblem(ValueError):
    """The content is not a digest file's."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A log file as a digest lists it; ``sha256`` is of its content before compression."""

    location: Location
    sha256: str


@dataclass(frozen=True, slots=True)
class Previous:
    """The predecessor as a digest names it. ``sha256`` is of its content, ``signature`` is in hex."""

    location: Location
    sha256: str
    signature: str


@dataclass(frozen=True, slots=True)
class Digest:
    """The content of a digest file. ``previous`` is None at the start of a chain."""

    location: Location
    account_id: str
    start: datetime
    end: datetime
    fingerprint: str
    previous: Previous | None
    log_files: tuple[LogEntry, ...]
    sha256: str

    @property
    def signed_text(self) -> bytes:
        """The text that the signature is of (fact sheet 5.4)."""
        previous = self.previous.signature if self.previous else "null"
        where = f"{self.location.bucket}/{self.location.key}"
        return f"{display(self.end)}\n{where}\n{self.sha256}\n{previous}".encode()


@dataclass(frozen=True, slots=True)
class Found:
    """Where a digest file was found, and what its key says: the end of its interval, and whose it is."""

    location: Location
    stamp: datetime
    account_id: str
    backfill: bool = False


def read_digest(content: bytes) -> Digest:
    """The content of a digest file. Raises DigestProblem where it is incomplete or contradicts itself."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise DigestProblem("it is not JSON") from None
    if not isinstance(document, dict):
        raise DigestProblem("it is not a JSON object")
    if document.get("digestSignatureAlgorithm") != SIGNATURE_ALGORITHM:
        raise DigestProblem(f"its digestSignatureAlgorithm is not {SIGNATURE_ALGORITHM}")
    start, end = (_time(document, name) for name in ("digestStartTime", "digestEndTime"))
    if start > end:
        raise DigestProblem("its interval ends before it starts")
    log_files = document.get("logFiles")
    if not isinstance(log_files, list):
        raise DigestProblem("it has no list logFiles")
    return Digest(
        location=Location(_text(document, "digestS3Bucket"), _text(document, "digestS3Object")),
        account_id=_text(document, "awsAccountId"),
        start=start,
        end=end,
        fingerprint=_text(document, "digestPublicKeyFingerprint", _FINGERPRINT),
        previous=_previous(document),
        log_files=tuple(_log_entry(entry) for entry in log_files),
        sha256=sha256(content).hexdigest(),
    )


def judge(digest: Digest, found: Found, metadata: Mapping[str, str], ring: KeyRing) -> Finding | None:
    """What is wrong with a digest file where it was found; None where it is authentic.

    ``metadata`` is the object's own (lower-case names without ``x-amz-meta-``).
    """

    def finding(kind: Kind, sentence: str) -> Finding:
        return Finding(kind, str(found.location), found.stamp, sentence)

    signature = _signature(metadata)
    if isinstance(signature, str):
        return finding(Kind.SIGNATURE_MISSING, f"{signature}; nothing shows who wrote this digest file")
    if digest.location != found.location:
        return finding(
            Kind.DIGEST_MOVED,
            f"it was written as {digest.location} and put here by somebody else; what it lists is not evidence here",
        )
    key = ring.keys.get(digest.fingerprint)
    if key is None:
        return _keyless(digest, ring, finding)
    if not key.verifies(signature, digest.signed_text):
        return finding(
            Kind.SIGNATURE_INVALID,
            f"it is not signed with key {digest.fingerprint}: its content or its signature was changed",
        )
    return _contradiction(digest, found, finding) or _expiry(key, digest, found, metadata, finding)


def _keyless(digest: Digest, ring: KeyRing, finding: Callable[[Kind, str], Finding]) -> Finding:
    broken = ring.broken.get(digest.fingerprint)
    if broken is not None:
        return finding(Kind.KEY_INVALID, f"the public key {digest.fingerprint} cannot be used: {broken}")
    return finding(
        Kind.KEY_UNKNOWN,
        f"it is signed with key {digest.fingerprint}, which is not among this region's public keys: "
        "somebody else signed it, or its key is no longer listed",
    )


def _contradiction(digest: Digest, found: Found, finding: Callable[[Kind, str], Finding]) -> Finding | None:
    if digest.end != found.stamp:
        return finding(Kind.DIGEST_MALFORMED, f"its interval ends at {display(digest.end)}, its key says otherwise")
    if digest.account_id != found.account_id:
        return finding(Kind.DIGEST_MALFORMED, f"it is of account {digest.account_id}, its key says otherwise")
    return None


def _expiry(
    key: PublicKey,
    digest: Digest,
    found: Found,
    metadata: Mapping[str, str],
    finding: Callable[[Kind, str], Finding],
) -> Finding | None:
    """A digest is signed after its interval ended, so a key that had expired by then was no longer the trail's.

    One that came later is fine: digests are written late after an outage (fact sheet 5.2). Backfill digests tell when
    they were made (5.3).
    """
    signed_at = digest.end
    if found.backfill:
        try:
            signed_at = parse_asked(metadata.get("backfill-generation-timestamp", ""))
        except ValueError:
            return finding(Kind.DIGEST_MALFORMED, "it is a backfill digest without backfill-generation-timestamp")
    if signed_at <= key.valid_until:
        return None
    return finding(
        Kind.KEY_EXPIRED,
        f"its key {key.fingerprint} expired at {display(key.valid_until)}, before this was signed: "
        "somebody used a retired key",
    )


def _signature(metadata: Mapping[str, str]) -> bytes | str:
    """The signature of an object's metadata, or what is wrong with it."""
    if "signature" not in metadata or "signature-algorithm" not in metadata:
        return "its metadata holds no signature"
    if metadata["signature-algorithm"] != SIGNATURE_ALGORITHM:
        return f"its metadata names another signature algorithm than {SIGNATURE_ALGORITHM}"
    try:
        return bytes.fromhex(metadata["signature"])
    except ValueError:
        return "the signature in its metadata is not hexadecimal"


def _previous(document: Mapping[str, Any]) -> Previous | None:
    names = ("S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature")
    values = [document.get(f"previousDigest{name}", _MISSING) for name in names]
    if _MISSING in values:
        raise DigestProblem("it does not say whether it has a predecessor")
    if all(value is None for value in values):
        return None
    if None in values:
        raise DigestProblem("it names only parts of a predecessor")
    if document["previousDigestHashAlgorithm"] != HASH_ALGORITHM:
        raise DigestProblem(f"its previousDigestHashAlgorithm is not {HASH_ALGORITHM}")
    return Previous(
        Location(_text(document, "previousDigestS3Bucket"), _text(document, "previousDigestS3Object")),
        _text(document, "previousDigestHashValue", _HEX_HASH),
        _text(document, "previousDigestSignature", _HEX),
    )


def _log_entry(entry: object) -> LogEntry:
    if not isinstance(entry, dict):
        raise DigestProblem("an entry of logFiles is not an object")
    if entry.get("hashAlgorithm") != HASH_ALGORITHM:
        raise DigestProblem(f"a hashAlgorithm in logFiles is not {HASH_ALGORITHM}")
    return LogEntry(Location(_text(entry, "s3Bucket"), _text(entry, "s3Object")), _text(entry, "hashValue", _HEX_HASH))


def _text(document: Mapping[str, Any], name: str, pattern: re.Pattern[str] | None = None) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value or (pattern and not pattern.fullmatch(value)):
        raise DigestProblem(f"its {name} is missing or not what it should be")
    return value


def _time(document: Mapping[str, Any], name: str) -> datetime:
    try:
        return parse_wire(_text(document, name))
    except ValueError:
        raise DigestProblem(f"its {name} is not a time") from None
