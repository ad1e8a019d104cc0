"""Signature Version 4: verifying and making signatures, in the header and in the query (presigned) form.

Rules. What is signed is decided by the request's own list of signed headers, never by a fixed one; but the host and
every ``x-amz-`` header that the request carries must be on it, so that nothing of meaning travels unsigned. Signatures
are compared in constant time. Time comes in as an argument. Messages have AWS's wording and never hold a signature, a
token or a secret. Keys are derived once per secret, day, region and service, and kept ready to sign with.
"""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256

from opentrail.aws.authorization import (
    UNSIGNED_PAYLOAD,
    Authorization,
    ProblemKind,
    SignatureProblem,
    read_authorization,
)
from opentrail.aws.canonical_request import (
    ALGORITHM,
    AMZ_PREFIX,
    TERMINATOR,
    Scope,
    canonical_paths,
    canonical_query,
    canonical_request,
    fill,
    header_layout,
    stamp,
    string_to_sign,
)
from opentrail.aws.http import RequestHead

__all__ = [
    "UNSIGNED_PAYLOAD",
    "Authorization",
    "ProblemKind",
    "Scope",
    "SignatureProblem",
    "SigningKey",
    "SigningKeys",
    "canonical_query",
    "canonical_request",
    "read_authorization",
    "sign",
    "string_to_sign",
    "verify",
]

# What proxies may change or add on the way; the same list that botocore leaves unsigned.
_NEVER_SIGNED = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class SigningKey:
    """A key for one secret, day, region and service, prepared so that one signature costs one HMAC.

    It keeps the two hash states that HMAC-SHA256 (RFC 2104) starts from; copying those takes half the time of copying
    an ``hmac`` object (measured).
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: str, scope: Scope) -> None:
        key = f"AWS4{secret}".encode()
        for part in (scope.date, scope.region, scope.service, TERMINATOR):
            key = hmac.digest(key, part.encode(), "sha256")
        block = key.ljust(64, b"\0")
        self._inner = sha256(bytes(octet ^ 0x36 for octet in block))
        self._outer = sha256(bytes(octet ^ 0x5C for octet in block))

    def signature(self, text: bytes) -> str:
        """The signature of a text, in hex."""
        inner = self._inner.copy()
        inner.update(text)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


class SigningKeys:
    """Derived keys, the most recently used ``capacity`` of them; safe for threads.

    A key is found by the secret it was derived from, so that a changed secret never meets an old key.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._derive = lru_cache(maxsize=capacity)(_derive)

    def get(self, access_key_id: str, secret: str, scope: Scope) -> SigningKey:
        """The signing key of an access key's secret for a scope."""
        return self._derive(access_key_id, secret, scope.text)

    def forget(self, access_key_id: str) -> None:  # noqa: ARG002 - see below
        """Drop what was derived for an access key that was changed or deleted.

        Everything else goes with it: that is rare, and a key is derived again in microseconds.
        """
        self._derive.cache_clear()

    def __len__(self) -> int:
        return self._derive.cache_info().currsize


def _derive(_access_key_id: str, secret: str, scope: str) -> SigningKey:
    date, region, service, _ = scope.split("/")
    return SigningKey(secret, Scope(date, region, service))


def verify(
    head: RequestHead,
    authorization: Authorization,
    key: SigningKey,
    payload_hash: str,
    *,
    now: datetime,
    max_skew_s: int = 900,
) -> None:
    """Accept a request's signature, or raise SignatureProblem.

    ``authorization`` is what ``read_authorization`` made of the same head. ``payload_hash`` is the body's SHA-256 in
    hex, or the declared ``x-amz-content-sha256`` where the body is still to come and will be checked against it.
    """
    _check_time(authorization, now, max_skew_s)
    layout = header_layout(authorization.signed_headers)
    # As many x-amz- headers as signed ones: there are no others, unless a signed one is missing: a KeyError below.
    if "\n".join(head.headers).count(AMZ_PREFIX) != layout.amz_headers:
        _check_unsigned(head.headers, layout.names)
    for path in canonical_paths(head.path, authorization.scope.service):
        same = head if path == head.path else replace(head, path=path)
        try:
            canonical = fill(layout, same, payload_hash)
        except KeyError:  # a signed header did not arrive
            break
        except UnicodeEncodeError:
            raise SignatureProblem(ProblemKind.MALFORMED, "Header values must be Latin-1 text.") from None
        expected = key.signature(string_to_sign(canonical, authorization.scope, authorization.signed_at))
        if hmac.compare_digest(expected, authorization.signature):
            return
    raise SignatureProblem(ProblemKind.MISMATCH, _MISMATCH)


def sign(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    *,
    key: SigningKey,
    access_key_id: str,
    scope: Scope,
    signed_at: datetime,
    payload_hash: str,
) -> dict[str, str]:
    """Sign a request of ours; returns the headers to add: authorization, x-amz-date and x-amz-content-sha256.

    ``path`` and ``query`` are raw, as they will be sent; ``headers`` must hold ``host`` (and, for temporary
    credentials, ``x-amz-security-token``). Every header is signed except those that proxies change. Raises ValueError
    where the host is missing or the scope is of another day.
    """
    added = {"x-amz-date": stamp(signed_at), "x-amz-content-sha256": payload_hash}
    if scope.date != added["x-amz-date"][:8]:
        raise ValueError(f"a scope of {scope.date} cannot sign at {added['x-amz-date']}")
    all_headers = {name.lower(): value for name, value in headers.items()} | added
    if "host" not in all_headers:
        raise ValueError("a request is signed with its host header")
    signed = tuple(sorted(all_headers.keys() - _NEVER_SIGNED))
    head = RequestHead(method, canonical_paths(path, scope.service)[0], query, all_headers)
    signature = key.signature(string_to_sign(canonical_request(head, signed, payload_hash), scope, signed_at))
    credential = f"{access_key_id}/{scope}"
    added["authorization"] = (
        f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(signed)}, Signature={signature}"
    )
    return added


def _check_time(authorization: Authorization, now: datetime, max_skew_s: int) -> None:
    signed_at = authorization.signed_at
    age = now - signed_at
    age_s = 86_400 * age.days + age.seconds  # whole seconds, rounded down: half the time of total_seconds()
    lifetime_s = max_skew_s if authorization.expires_s is None else authorization.expires_s
    if not -max_skew_s <= age_s < lifetime_s and age != timedelta(seconds=lifetime_s):
        raise _out_of_time(authorization, now, max_skew_s)
    day = stamp(signed_at)[:8]
    if day != authorization.scope.date:
        raise SignatureProblem(
            ProblemKind.BAD_SCOPE,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{authorization.scope.date}' != '{day}', from '{stamp(signed_at)}'.",
        )


def _out_of_time(authorization: Authorization, now: datetime, max_skew_s: int) -> SignatureProblem:
    signed, limit, minutes = stamp(authorization.signed_at), timedelta(seconds=max_skew_s), max_skew_s // 60
    if authorization.signed_at > now:
        reckoning = f"{stamp(now + limit)} ({stamp(now)} + {minutes} min.)"
        text = f"Signature not yet current: {signed} is still later than {reckoning}"
    elif authorization.presigned:
        return SignatureProblem(ProblemKind.EXPIRED, "Request has expired")
    else:
        text = f"Signature expired: {signed} is now earlier than {stamp(now - limit)} ({stamp(now)} - {minutes} min.)"
    return SignatureProblem(ProblemKind.SKEWED, text)


def _check_unsigned(headers: Mapping[str, str], signed: tuple[str, ...]) -> None:
    unsigned = sorted(name for name in headers if name.startswith(AMZ_PREFIX) and name not in signed)
    if unsigned:
        raise SignatureProblem(
            ProblemKind.UNSIGNED_HEADER,
            f"There were headers present in the request which were not signed: {', '.join(unsigned[:8])}",
        )
