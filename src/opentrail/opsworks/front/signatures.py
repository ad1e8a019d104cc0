"""Chef's request signatures as a server reads them: versions 1.0, 1.1 and 1.3.

Pure; the form is the opsworks-cm fact sheet's, section 12.4. 1.0 and 1.1 encrypt the string itself with the private key
(PKCS#1 v1.5, no hash); 1.3 signs its SHA-256. The query string is in none of them.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from opentrail.opsworks.front.refusal import ChefRefusal

SKEW = timedelta(minutes=15)
VERSIONS = ("1.0", "1.1", "1.3")
MOST_PIECES = 40
"""More than a signature by a key of 16384 bits needs."""

_NEEDED = ("x-ops-sign", "x-ops-userid", "x-ops-timestamp", "x-ops-content-hash", "x-ops-authorization-1")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,300}")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_LONGEST_HASH = 64
_SLASHES = re.compile(r"/+")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about who signed it, not believed yet. ``api_version`` is the header's text, or ``0``."""

    user: str
    version: str
    timestamp: str
    content_hash: str
    signature: bytes
    api_version: str


def read_claim(headers: Mapping[str, str]) -> Claim:
    """The signature headers (names in lower case).

    Raises ChefRefusal 401 where one is missing or malformed; no message repeats a value.
    """
    missing = [name for name in _NEEDED if not headers.get(name)]
    if missing:
        raise _unauthorized(f"missing required authentication header(s) {', '.join(missing)}")
    version = _version(headers["x-ops-sign"])
    user, stamp, content_hash = (headers[name] for name in ("x-ops-userid", "x-ops-timestamp", "x-ops-content-hash"))
    if not _NAME.fullmatch(user):
        raise _unauthorized("X-Ops-UserId is not the name of a user or client")
    if not _STAMP.fullmatch(stamp) or len(content_hash) > _LONGEST_HASH:
        raise _unauthorized("X-Ops-Timestamp or X-Ops-Content-Hash is malformed")
    api_version = headers.get("x-ops-server-api-version") or "0"
    return Claim(user, version, stamp, content_hash, _signature(headers), api_version)


def check_freshness(claim: Claim, now: datetime) -> None:
    """Refuse what was signed more than 15 minutes before or after now. Raises ChefRefusal 401."""
    try:
        signed_at = datetime.strptime(claim.timestamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _unauthorized("X-Ops-Timestamp is malformed") from None
    if abs(now - signed_at) > SKEW:
        raise _unauthorized(f"Failed to authenticate as '{claim.user}'. Synchronize the clock on your host.")


def check_content(claim: Claim, body: bytes) -> None:
    """Refuse a body that is not the signed one. Raises ChefRefusal 401."""
    if not hmac.compare_digest(claim.content_hash.encode("latin-1"), _hash(claim, body)):
        raise _unauthorized("X-Ops-Content-Hash does not match the body")


def is_signed_by(claim: Claim, method: str, path: str, public_key: rsa.RSAPublicKey) -> bool:
    """Whether the holder of a key signed this method and raw path (without query) as the claim says."""
    text = signed_text(claim, method, path)
    try:
        if claim.version == "1.3":
            public_key.verify(claim.signature, text, padding.PKCS1v15(), hashes.SHA256())
            return True
        recovered = public_key.recover_data_from_signature(claim.signature, padding.PKCS1v15(), None)
    except (InvalidSignature, ValueError):
        return False
    return hmac.compare_digest(recovered, text)


def signed_text(claim: Claim, method: str, path: str) -> bytes:
    """The string under the signature. Slashes that repeat or end a path do not count."""
    plain = canonical_path(path)
    lines: tuple[str, ...]
    if claim.version == "1.3":
        lines = (
            f"Method:{method}",
            f"Path:{plain}",
            f"X-Ops-Content-Hash:{claim.content_hash}",
            "X-Ops-Sign:version=1.3",
            f"X-Ops-Timestamp:{claim.timestamp}",
            f"X-Ops-UserId:{claim.user}",
            f"X-Ops-Server-API-Version:{claim.api_version}",
        )
    else:
        lines = (
            f"Method:{method}",
            f"Hashed Path:{_sha1(plain)}",
            f"X-Ops-Content-Hash:{claim.content_hash}",
            f"X-Ops-Timestamp:{claim.timestamp}",
            f"X-Ops-UserId:{claim.user if claim.version == '1.0' else _sha1(claim.user)}",
        )
    return "\n".join(lines).encode("latin-1", "replace")


def canonical_path(path: str) -> str:
    """A path with single slashes and none at its end."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


def rsa_public_key(pem: str) -> rsa.RSAPublicKey | None:
    """The key of a PEM text; None where it is none that Chef can sign with."""
    try:
        key = serialization.load_pem_public_key(pem.encode("utf-8", "replace"))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None


def _version(text: str) -> str:
    """The version in ``algorithm=sha1;version=1.1;``."""
    parts = dict(part.strip().partition("=")[::2] for part in text.split(";") if part.strip())
    version = parts.get("version", "")
    if version not in VERSIONS:
        raise _unauthorized(f"X-Ops-Sign must name one of the versions {', '.join(VERSIONS)}")
    if parts.get("algorithm", _algorithm(version)) != _algorithm(version):
        raise _unauthorized(f"X-Ops-Sign: version {version} goes with the algorithm {_algorithm(version)}")
    return version


def _algorithm(version: str) -> str:
    return "sha256" if version == "1.3" else "sha1"


def _signature(headers: Mapping[str, str]) -> bytes:
    pieces = []
    for number in range(1, MOST_PIECES + 1):
        piece = headers.get(f"x-ops-authorization-{number}")
        if piece is None:
            break
        pieces.append(piece)
    try:
        return base64.b64decode("".join(pieces), validate=True)
    except (binascii.Error, ValueError):
        raise _unauthorized("X-Ops-Authorization-N is not a signature in base64") from None


def _hash(claim: Claim, body: bytes) -> bytes:
    digest = hashlib.sha256(body) if claim.version == "1.3" else hashlib.sha1(body, usedforsecurity=False)
    return base64.b64encode(digest.digest())


def _sha1(text: str) -> str:
    raw = hashlib.sha1(text.encode("latin-1", "replace"), usedforsecurity=False).digest()
    return base64.b64encode(raw).decode("ascii")


def _unauthorized(message: str) -> ChefRefusal:
    return ChefRefusal(HTTPStatus.UNAUTHORIZED, message)
