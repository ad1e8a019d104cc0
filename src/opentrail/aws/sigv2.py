"""Presigned S3 addresses of signature version 2, which ``aws s3 presign`` still makes in us-east-1.

Rules. Only the query form and only for S3; nothing else of version 2 is spoken. It signs the method, the path, the
time of expiry, ``x-amz-`` headers and the sub-resources, with HMAC-SHA1; bodies are not covered.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from opentrail.aws.authorization import Authorization, ProblemKind, SignatureProblem
from opentrail.aws.canonical_request import Scope
from opentrail.aws.http import RequestHead

_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
_SUB_RESOURCES = frozenset(
    {
        *("accelerate", "acl", "analytics", "cors", "delete", "inventory", "lifecycle", "location", "logging"),
        *("metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment"),
        *("response-cache-control", "response-content-disposition", "response-content-encoding"),
        *("response-content-language", "response-content-type", "response-expires", "restore", "select"),
        *("select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning"),
        *("versions", "website"),
    }
)
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


def read_presigned_v2(head: RequestHead) -> PresignedV2 | None:
    """The signature in a presigned address of version 2; None where there is none. Raises SignatureProblem."""
    if "AWSAccessKeyId=" not in head.query or "X-Amz-" in head.query or "authorization" in head.headers:
        return None
    given: dict[str, str] = {}
    for part in head.query.split("&"):
        name, _, value = part.partition("=")
        if name in ("AWSAccessKeyId", "Signature", "Expires", "x-amz-security-token"):
            if name in given:
                raise _malformed(f"{name} may be given only once.")
            given[name] = unquote(value)
    key_id, signature, expires = (given.get(name, "") for name in ("AWSAccessKeyId", "Signature", "Expires"))
    if not (signature and expires and _KEY_ID.fullmatch(key_id)):
        raise _malformed(_MISSING)
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12 and int(expires) <= _MAX_EXPIRES):
        raise _malformed("Expires should be a number of seconds since 1970")
    expires_at = datetime.fromtimestamp(int(expires), UTC)
    return PresignedV2(key_id, expires, expires_at, given.get("x-amz-security-token"), signature.encode())


def verify_v2(head: RequestHead, presigned: PresignedV2, secret: str, resource: str, *, now: datetime) -> None:
    """Check the signature and the expiry. ``resource`` is ``/bucket/key`` as it was on the wire.

    Raises SignatureProblem.
    """
    text = string_to_sign(head, presigned.expires, resource)
    expected = base64.b64encode(hmac.digest(secret.encode(), text.encode("latin-1", "replace"), "sha1"))
    if not hmac.compare_digest(expected, presigned.signature):
        raise SignatureProblem(ProblemKind.MISMATCH, "The request signature we calculated does not match")
    if now > presigned.expires_at:
        raise SignatureProblem(ProblemKind.EXPIRED, "Request has expired")


def string_to_sign(head: RequestHead, expires: str, resource: str) -> str:
    """The text that is signed: method, content headers, expiry, ``x-amz-`` headers, resource with sub-resources."""
    headers = dict(head.headers) | _headers_in(head.query)
    amazon = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    plain = (head.method, headers.get("content-md5", ""), headers.get("content-type", ""), expires)
    return "\n".join(plain) + f"\n{amazon}{resource}{_sub_resources(head.query)}"


def _headers_in(query: str) -> dict[str, str]:
    """Headers that the signer put into the address, because whoever opens it will not send them."""
    pairs = (part.partition("=")[::2] for part in query.split("&"))
    return {
        name: unquote(value)
        for name, value in pairs
        if name.startswith("x-amz-") or name in ("content-md5", "content-type")
    }


def _sub_resources(query: str) -> str:
    parts = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if unquote(name) in _SUB_RESOURCES:
            parts.append((unquote(name), f"{unquote(name)}={unquote(value)}" if equals and value else unquote(name)))
    return "?" + "&".join(text for _, text in sorted(parts)) if parts else ""


def _malformed(message: str) -> SignatureProblem:
    return SignatureProblem(ProblemKind.MALFORMED, message)
