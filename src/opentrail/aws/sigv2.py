"""Presigned S3 addresses of signature version 2, which ``aws s3 presign`` still makes in us-east-1.

Rules. Only the query form, only for S3 objects, and only addresses in which everything that means something is signed:
the parameters of the signature, ``response-*``, ``versionId``, ``partNumber`` and ``uploadId``, each at most once and
without control characters; anything else in the query is refused, because version 2 would not notice it. It signs the
method, the path, the time of expiry and the ``x-amz-`` headers that are really sent, with HMAC-SHA1; never bodies.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from opentrail.aws.authorization import Authorization, ProblemKind, SignatureProblem
from opentrail.aws.canonical_request import Scope
from opentrail.aws.http import RequestHead

_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
_OF_THE_SIGNATURE = frozenset({"AWSAccessKeyId", "Signature", "Expires", "x-amz-security-token"})
_SIGNED = frozenset(
    {
        *("response-cache-control", "response-content-disposition", "response-content-encoding"),
        *("response-content-language", "response-content-type", "response-expires"),
        *("partNumber", "uploadId", "versionId"),
    }
)
_FROM_THE_SIGNER = frozenset({"content-type", "content-md5"})  # headers that the address repeats for who opens it
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_MISSING = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
_MAX_EXPIRES = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class PresignedV2:
    """What an address says of its signature; nothing of it is proven yet. The signature is not shown by ``repr``."""

    access_key_id: str
    expires: str
    expires_at: datetime
    security_token: str | None
    signature: bytes

    def __repr__(self) -> str:
        """Without what would let somebody use the address."""
        return f"PresignedV2({self.access_key_id}, expires {self.expires})"

    def authorization(self, region: str) -> Authorization:
        """The same facts in the form of version 4, for what comes after the signature."""
        scope = Scope(f"{self.expires_at:%Y%m%d}", region, "s3")
        return Authorization(
            self.access_key_id, scope, (), "", self.expires_at, True, None, "UNSIGNED-PAYLOAD", self.security_token
        )


def is_presigned_v2(authorization: Authorization) -> bool:
    """Whether what is known of a signature came from ``PresignedV2.authorization``: version 4 always signs headers."""
    return not authorization.signed_headers


def read_presigned_v2(head: RequestHead) -> PresignedV2 | None:
    """The signature in a presigned address of version 2; None where there is none. Raises SignatureProblem."""
    if "AWSAccessKeyId=" not in head.query or "X-Amz-" in head.query or "authorization" in head.headers:
        return None
    given = _parameters(head.query)
    if head.path.strip("/") == "" or "x-amz-target" in head.headers:
        raise _malformed("Signature version 2 is for S3 objects only; use AWS4-HMAC-SHA256.")
    key_id, signature, expires = (_text(given, name) for name in ("AWSAccessKeyId", "Signature", "Expires"))
    if not (signature and expires and _KEY_ID.fullmatch(key_id)):
        raise _malformed(_MISSING)
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12 and int(expires) <= _MAX_EXPIRES):
        raise _malformed("Expires should be a number of seconds since 1970")
    expires_at = datetime.fromtimestamp(int(expires), UTC)
    token = _text(given, "x-amz-security-token") or None
    return PresignedV2(key_id, expires, expires_at, token, signature.encode("latin-1"))


def verify_v2(head: RequestHead, presigned: PresignedV2, secret: str, resource: str, *, now: datetime) -> None:
    """Check the signature and the expiry. ``resource`` is ``/bucket/key`` as it was on the wire.

    Raises SignatureProblem.
    """
    text = string_to_sign(head, presigned.expires, resource)
    expected = base64.b64encode(hmac.digest(secret.encode(), text, "sha1"))
    if not hmac.compare_digest(expected, presigned.signature):
        raise SignatureProblem(ProblemKind.MISMATCH, "The request signature we calculated does not match")
    if now > presigned.expires_at:
        raise SignatureProblem(ProblemKind.EXPIRED, "Request has expired")


def string_to_sign(head: RequestHead, expires: str, resource: str) -> bytes:
    """The text that is signed: method, content headers, expiry, ``x-amz-`` headers, resource with sub-resources.

    What the address repeats of the signer's headers counts only where the header sent is the same, or (content type
    and hash) none is sent. Raises SignatureProblem for an address that says anything unsigned.
    """
    given = _parameters(head.query)
    headers = {name: value.encode("latin-1") for name, value in head.headers.items()}
    for name in _FROM_THE_SIGNER & given.keys():
        if headers.setdefault(name, given[name]) != given[name]:
            raise SignatureProblem(ProblemKind.MISMATCH, f"The header {name} is not the one that was signed")
    if "x-amz-security-token" in given:
        headers["x-amz-security-token"] = given["x-amz-security-token"]
    amazon = (name.encode() + b":" + headers[name].strip() for name in sorted(headers) if name.startswith("x-amz-"))
    plain = (head.method.encode(), headers.get("content-md5", b""), headers.get("content-type", b""), expires.encode())
    return b"\n".join((*plain, *amazon, resource.encode("latin-1") + _sub_resources(given)))


def _parameters(query: str) -> dict[str, bytes]:
    """The query's parameters, decoded. Raises SignatureProblem for any that the signature would not cover."""
    found: dict[str, bytes] = {}
    try:
        parts = [part.encode("ascii").partition(b"=") for part in query.split("&") if part]
    except UnicodeEncodeError:
        raise _malformed("The query must be percent-encoded.") from None
    for raw_name, _, raw_value in parts:
        name, value = raw_name.decode(), unquote_to_bytes(raw_value)
        if name not in _OF_THE_SIGNATURE | _SIGNED | _FROM_THE_SIGNER:
            raise _malformed("The address says more than signature version 2 signs; use AWS4-HMAC-SHA256.")
        if name in found or _CONTROLS.search(value):
            raise _malformed("A parameter is given twice, or holds control characters.")
        found[name] = value
    return found


def _text(given: dict[str, bytes], name: str) -> str:
    return given.get(name, b"").decode("latin-1")


def _sub_resources(given: dict[str, bytes]) -> bytes:
    parts = [name.encode() + (b"=" + given[name] if given[name] else b"") for name in sorted(_SIGNED & given.keys())]
    return b"?" + b"&".join(parts) if parts else b""


def _malformed(message: str) -> SignatureProblem:
    return SignatureProblem(ProblemKind.MALFORMED, message)
